"""An application's log lines say which request they belong to."""

import io
import logging

import pytest

import llm_observe
from llm_observe.logs import IdFilter, add_ids
from llm_observe.testing import recording


@pytest.fixture
def lines():
    """A logger with our filter on its handler, and what it writes."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(request_id)s|%(trace_id)s|%(span_id)s|%(message)s"))
    handler.addFilter(IdFilter())
    logger = logging.getLogger("a shop of these tests")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield logger, written
    logger.removeHandler(handler)
    handler.close()


def test_a_line_has_the_ids_of_its_request(lines):
    """Those that are on the request's record."""
    logger, written = lines
    with recording() as recorded:
        with llm_observe.scope("job"):
            logger.info("packed")
        (request,) = recorded.requests

    assert f"{request.request_id}|{request.trace_id}|{request.span_id}|packed\n" == written.getvalue()


def test_a_line_inside_a_step_has_the_steps_span(lines):
    """Under which its calls are recorded, too."""
    logger, written = lines
    with recording() as recorded:
        with llm_observe.scope("job"), llm_observe.step("pack"):
            logger.info("packed")
        (step,) = recorded.steps

    assert step.span_id == written.getvalue().split("|")[2]


def test_a_line_outside_has_none(lines):
    """And its format may name them all the same."""
    logger, written = lines
    logger.info("begun")

    assert "|||begun\n" == written.getvalue()


def test_what_a_line_says_itself_stays(lines):
    """An id of the application's own is not written over."""
    logger, written = lines
    with recording(), llm_observe.scope("job"):
        logger.info("packed", extra={"request_id": "mine"})

    assert "mine" == written.getvalue().split("|")[0]


def test_structlogs_events_have_them():
    """Through its own chain of processors."""
    structlog = pytest.importorskip("structlog")
    captured = []

    def last(_, __, event):
        captured.append(event)
        raise structlog.DropEvent

    logger = structlog.wrap_logger(structlog.PrintLogger(io.StringIO()), processors=[add_ids, last])
    with recording() as recorded:
        with llm_observe.scope("job"):
            logger.info("packed", trace_id="mine")
        (request,) = recorded.requests
    logger.info("done")

    assert {"event": "packed", "trace_id": "mine", "request_id": request.request_id, "span_id": request.span_id} == captured[0]
    assert {"event": "done"} == captured[1]
