"""Which records a setting means."""

import pytest

from llm_observe.processors.patterns import at, parts, pattern
from llm_observe.records import ScopeInfo


@pytest.mark.parametrize(
    ("text", "found", "matches"),
    [
        ("gpt-x", "gpt-x", True),
        ("gpt-x", "gpt-xy", False),
        ("gpt-*", "gpt-x", True),
        ("*-mini", "gpt-x-mini", True),
        ("a[b]?c", "a[b]?c", True),
        ("a[b]?c", "abxc", False),
        ("*", "", True),
        ("Gpt", "gpt", False),
    ],
)
def test_a_star_is_anything_and_all_else_is_itself(text, found, matches):
    """From one end to the other; brackets and question marks, which routes may have, mean nothing."""
    assert matches is pattern(text)(found)


@pytest.mark.parametrize(
    ("text", "method", "route"),
    [
        ("/chat/{id}", None, "/chat/{id}"),
        ("POST /chat", "POST", "/chat"),
        ("POST  *", "POST", "*"),
        (" GET /a ", "GET", "/a"),
        ("nightly job", None, "nightly job"),
        ("NIGHTLY job", None, "NIGHTLY job"),
    ],
)
def test_a_method_may_stand_before_a_route(text, method, route):
    """A job's name may have spaces in it."""
    assert (method, route) == parts(text)


@pytest.mark.parametrize(
    ("text", "belongs"),
    [("/chat/{id}", True), ("/chat/*", True), ("POST /chat/*", True), ("GET /chat/*", False), ("/chat", False), ("*", True)],
)
def test_a_record_of_a_web_request_belongs_to_its_route(make, text, belongs):
    """By the template, and by the method where one is named."""
    assert belongs is at(text)(make.call(scope=ScopeInfo(method="POST", route="/chat/{id}")))


@pytest.mark.parametrize("kind", ["call", "step", "request"])
def test_what_happens_in_a_job_belongs_to_its_name(make, kind):
    """Its own record too, whose scope does not repeat it."""
    record = (
        make.request(name="nightly", http=None, scope=ScopeInfo())
        if kind == "request"
        else getattr(make, kind)(scope=ScopeInfo(name="nightly"))
    )

    assert (True, False) == (at("night*")(record), at("/night*")(record))


@pytest.mark.parametrize("scope", [None, ScopeInfo(method="GET"), ScopeInfo(), ScopeInfo(name=17)])
def test_where_there_is_no_route_nothing_belongs(make, scope):
    """Outside of any request, and where the framework found none. A path is never looked at."""
    assert not at("*")(make.call(scope=scope))
