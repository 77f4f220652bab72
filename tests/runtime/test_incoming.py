"""What a web request brings along: its id and its trace."""

import pytest

from llm_observe._runtime.incoming import web_scope
from llm_observe._runtime.observer import Observer

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def scope_of():
    """A maker of scopes out of what a request brings along."""
    observer = Observer(exporters=[])
    return lambda request_id=None, traceparent=None, size=None, tracestate=None: web_scope(
        observer, "POST", "/chat", request_id, traceparent, size, tracestate
    )


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


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("congo=t61rcWkgMzE", "congo=t61rcWkgMzE"),
        ("rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE,\t", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        ("fw529a3039@dt=FfAAAAAAAAA0cE8=", None),
        ("tenant@vendor=a b+c", "tenant@vendor=a b+c"),
        ("", None),
        ("Upper=1", None),
        ("a=1,b", None),
        ("a=1\r\nx: y", None),
        ("a=", None),
        (",".join(f"k{n}=v" for n in range(33)), None),
    ],
)
def test_what_others_said_on_the_trace_goes_on(scope_of, given, kept):
    """A `tracestate` is kept as it came, white space aside; one that is not well-formed is not."""
    assert kept == scope_of(traceparent=f"00-{TRACE}-{PARENT}-01", tracestate=given).trace_state


def test_of_a_long_state_the_beginning_goes_on(scope_of):
    """The oldest words are the last ones; what goes on has 512 characters at most, and no half a word."""
    given = ",".join(f"k{n}={'v' * 96}" for n in range(6))

    kept = scope_of(traceparent=f"00-{TRACE}-{PARENT}-01", tracestate=given).trace_state

    assert ",".join(given.split(",")[:5]) == kept


@pytest.mark.parametrize("traceparent", [None, "nonsense"])
def test_a_state_without_its_trace_says_nothing(scope_of, traceparent):
    """The trace is ours then."""
    assert None is scope_of(traceparent=traceparent, tracestate="congo=1").trace_state
