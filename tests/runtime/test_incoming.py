"""What a web request brings along: its id and its trace."""

import pytest

from llm_observe._runtime.incoming import web_scope
from llm_observe._runtime.observer import Observer

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def scope_of():
    """A maker of scopes out of what a request brings along."""
    observer = Observer(exporters=[])
    return lambda request_id=None, traceparent=None, size=None: web_scope(observer, "POST", "/chat", request_id, traceparent, size)


def test_without_anything_there_are_ids_of_its_own(scope_of):
    """The request's id is the record's."""
    scope = scope_of()

    assert (scope.id, None, None, 32) == (scope.request_id, scope.parent_id, scope.request_size, len(scope.trace_id))


@pytest.mark.parametrize("given", ["abc", "a" * 128, "01J:x/y+z=@-_.", "7"])
def test_a_well_formed_id_is_kept(scope_of, given):
    """Whoever called us knows the request by it."""
    assert given == scope_of(given).request_id


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", "a\nb", "a\n", "ä", "-a", '"', "a;b"])
def test_an_ill_formed_id_is_replaced(scope_of, given):
    """It goes into logs and headers."""
    scope = scope_of(given)

    assert scope.id == scope.request_id


@pytest.mark.parametrize("given", [f"00-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-00-what-comes", f"01-{TRACE}-{PARENT}-01"])
def test_a_trace_is_continued(scope_of, given):
    """W3C Trace Context, versions to come included."""
    scope = scope_of(traceparent=given)

    assert (TRACE, PARENT) == (scope.trace_id, scope.parent_id)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01\n",
    ],
)
def test_a_trace_that_is_none_is_not_continued(scope_of, given):
    """A new one takes its place."""
    scope = scope_of(traceparent=given)

    assert (True, None) == (scope.trace_id != TRACE, scope.parent_id)


@pytest.mark.parametrize(
    ("given", "size"), [("0", 0), ("12", 12), ("-1", None), ("1e3", None), ("٣", None), ("", None), ("9" * 40, 10**15 - 1)]
)
def test_a_size_is_a_number(scope_of, given, size):
    """As Content-Length has it."""
    assert size == scope_of(size=given).request_size
