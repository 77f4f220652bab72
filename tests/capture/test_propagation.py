"""The trace in the headers of model calls."""

import contextlib

import httpx2
import pytest

import llm_observe
from llm_observe import Observer
from llm_observe._runtime.default import swapped
from llm_observe._runtime.incoming import web_scope
from llm_observe._runtime.scope import Frame, entered
from llm_observe.exporters import MemoryExporter
from llm_observe.testing import recording

CHAT = "http://provider.test/v1/chat/completions"
ASKED = {"model": "m", "messages": []}
ANSWER = {"model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}]}


class Asked:
    """A model behind a client, and what it was told."""

    def __init__(self, memory, **settings):
        self.memory, self.told, self.statuses = memory, [], []
        self.observer = Observer(exporters=[self.memory], strict=True, batch_age=0, **settings)

    def answer(self, request):
        self.told.append(dict(request.headers))
        return httpx2.Response(self.statuses.pop(0) if self.statuses else 200, json=ANSWER)

    def ask(self, url=CHAT, *, times=1, **options):
        with httpx2.Client(transport=httpx2.MockTransport(self.answer)) as client:
            for _ in range(times):
                client.post(url, json=ASKED, **options)

    @property
    def call(self):
        assert self.observer.flush(10, final=True)
        (call,) = self.memory.calls
        return call


@pytest.fixture
def asked():
    """Makes such a model."""
    made = []

    def make(memory=None, **settings):
        made.append(Asked(MemoryExporter() if memory is None else memory, **settings))
        made[-1].observer.start()
        return made[-1]

    yield make
    for one in made:
        one.observer.shutdown()


def test_nobody_is_told_unless_it_is_asked_for(asked):
    """A provider is none of the trace's business."""
    model = asked()
    with swapped(model.observer), llm_observe.scope("job"):
        model.ask()

    assert "traceparent" not in model.told[0]


def test_the_call_is_the_parent_of_what_the_model_does(asked):
    """The header has the ids of the call's record."""
    model = asked(propagate=True)
    with swapped(model.observer), llm_observe.scope("job"):
        model.ask()

    call = model.call
    assert f"00-{call.trace_id}-{call.span_id}-01" == model.told[0]["traceparent"]


def test_a_call_outside_of_scopes_begins_a_trace(asked):
    """The same on record and in the header."""
    model = asked(propagate=True)
    with swapped(model.observer):
        model.ask()

    call = model.call
    assert (f"00-{call.trace_id}-{call.span_id}-01", None) == (model.told[0]["traceparent"], call.parent_id)


def test_the_attempt_that_counts_is_the_one_that_is_told(asked):
    """A call that was retried has the id that its last attempt carried."""
    model = asked(propagate=True)
    model.statuses = [503, 200]
    with swapped(model.observer), llm_observe.scope("job"):
        model.ask(times=2)

    call = model.call
    assert 2 == len(call.attempts)
    assert f"00-{call.trace_id}-{call.span_id}-01" == model.told[1]["traceparent"]


def test_a_header_that_is_there_stays(asked):
    """An SDK that propagates itself knows better."""
    model = asked(propagate=True)
    with swapped(model.observer), llm_observe.scope("job"):
        model.ask(headers={"traceparent": "theirs"})

    assert "theirs" == model.told[0]["traceparent"]


def test_other_requests_are_left_alone(asked):
    """Only model calls carry it."""
    model = asked(propagate=True)
    with swapped(model.observer), llm_observe.scope("job"):
        model.ask("http://elsewhere.test/api")

    assert "traceparent" not in model.told[0]


def test_an_unsampled_trace_goes_on_unsampled(asked):
    """The flags say so."""
    model = asked(propagate=True)
    with swapped(model.observer), llm_observe.scope("job") as job:
        job.sampled = False
        model.ask()

    call = model.call
    assert (f"00-{call.trace_id}-{call.span_id}-00", False) == (model.told[0]["traceparent"], call.sampled)


def test_the_state_of_the_trace_goes_along(asked):
    """Beside OpenTelemetry, `tracestate` is the current span's."""
    from opentelemetry import trace

    model = asked(propagate=True, otel=True)
    context = trace.SpanContext(1, 2, True, trace.TraceFlags(1), trace.TraceState([("vendor", "x")]))
    with swapped(model.observer), trace.use_span(trace.NonRecordingSpan(context)):
        model.ask()

    call = model.call
    assert (f"{1:032x}", f"{2:016x}", "vendor=x") == (call.trace_id, call.parent_id, model.told[0]["tracestate"])


def test_the_state_of_an_incoming_trace_goes_along(asked):
    """Without OpenTelemetry, too, from a step in a job in the request."""
    model = asked(propagate=True)
    here = web_scope(model.observer, "GET", "/", None, f"00-{1:032x}-{2:016x}-01", None, "vendor=x")
    with entered(Frame(here, here.span_id)), llm_observe.scope("job"), llm_observe.step("step"):
        model.ask()

    call = model.call
    assert (f"{1:032x}", "vendor=x", "vendor=x") == (call.trace_id, call.trace_state, model.told[0]["tracestate"])


@pytest.mark.parametrize("outside", [True, False])
def test_a_trace_that_is_left_out_goes_on_unsampled(asked, outside):
    """Whoever serves the model is told what was decided, and decides no other way."""

    class Nothing(MemoryExporter):
        def keeps(self, trace_id, name, facts):
            return False

    model = asked(Nothing(), propagate=True)
    with swapped(model.observer), contextlib.nullcontext() if outside else llm_observe.scope("job"):
        model.ask()

    call = model.call
    assert (f"00-{call.trace_id}-{call.span_id}-00", False) == (model.told[0]["traceparent"], call.sampled)


def test_every_client_takes_it_along(post, llm_provider):
    """The header that the server gets has the ids of the call's record."""
    with recording(propagate=True) as recorded, llm_observe.scope("job"):
        post(llm_provider.url + "/model/x/chat/completions")

    (call,) = recorded.calls
    assert f"00-{call.trace_id}-{call.span_id}-01" == llm_provider.requests[0].headers["traceparent"]


def test_every_client_leaves_a_header_that_is_there(post, llm_provider):
    """An SDK that propagates itself knows better."""
    with recording(propagate=True):
        post(llm_provider.url + "/model/x/chat/completions", {"Traceparent": "theirs"})

    assert "theirs" == llm_provider.requests[0].headers["traceparent"]
