"""How much of what was said stays on which record."""

import msgspec
import pytest

from llm_observe.processors.control import Control
from llm_observe.records import Error, Input, Message, ScopeInfo, Text


def control(level="full", routes=None, function=None, *, caught=None):
    """One with these settings; what it catches fails the test, unless it is expected."""

    def unexpected(error):
        raise error

    return Control(level, routes or {}, function, whole=lambda record: record, caught=caught or unexpected)


def level(one, record):
    """The level that is decided for *record*."""
    return one.decided(record).content or "full"


@pytest.fixture
def call(make):
    """A call with something said in it, in a web request."""
    said = (Message(role="user", parts=(Text(content="canary"),)),)
    return make.call(
        scope=ScopeInfo(method="POST", route="/letters/{id}"), input=Input(messages=said, count=1), error=Error(type="x", message="canary")
    )


@pytest.mark.parametrize("setting", ["full", "metadata", "none"])
def test_without_more_the_setting_holds(call, setting):
    """Also outside of any request, and for every kind of record."""
    assert (setting, setting) == (level(control(setting), call), level(control(setting), msgspec.structs.replace(call, scope=None)))


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ({"/letters/*": "none"}, "none"),
        ({"/letters/{id}": "full"}, "full"),
        ({"POST /letters/*": "none", "GET /letters/*": "full"}, "none"),
        ({"/other": "none"}, "metadata"),
        ({"/letters/17": "none"}, "metadata"),
    ],
)
def test_a_route_has_its_own_level(call, routes, expected):
    """A lower one or a higher one, by its template; other routes have the setting's."""
    assert expected == level(control("metadata", routes), call)


@pytest.mark.parametrize(
    "routes",
    [
        {"/letters/*": "none", "*": "full"},
        {"*": "full", "/letters/*": "none"},
        {"POST /letters/*": "none", "/letters/*": "full"},
        {"/letters/*": "full", "POST /letters/*": "none"},
        {"POST *": "full", "/letters/*": "none"},
    ],
)
def test_the_one_that_says_most_of_the_route_counts(call, routes):
    """In whatever order they stand; a method counts where the routes are alike."""
    assert "none" == level(control("full", routes), call)


@pytest.mark.parametrize(
    ("setting", "routes", "expected"),
    [
        ("full", {"/letters/*": "none", "/a": "metadata"}, "none"),
        ("none", {"/a": "full"}, "none"),
        ("full", {"/a": "full"}, "full"),
        ("full", {}, "full"),
    ],
)
def test_where_the_route_is_not_known_the_lowest_of_all_holds(make, setting, routes, expected):
    """It was asked before the framework had found one, or by an application that has none: it may be any of them."""
    assert expected == level(control(setting, routes), make.call(scope=ScopeInfo(method="POST")))


@pytest.mark.parametrize("setting", ["full", "metadata", "none"])
@pytest.mark.parametrize("said", [None, "full", "metadata", "none"])
def test_a_function_can_only_take_away(call, setting, said):
    """None is no opinion."""
    order = ["none", "metadata", "full"]

    assert min(setting, said or "full", key=order.index) == level(control(setting, function=lambda record: said), call)


def test_a_function_cannot_give_back_what_a_route_takes(call):
    """The settings are what is allowed."""
    assert "none" == level(control("full", {"/letters/*": "none"}, lambda record: "full"), call)


def _raises(record):
    raise ValueError("canary")


@pytest.mark.parametrize("function", [_raises, lambda record: "metdata", lambda record: True, lambda record: 1])
def test_a_function_that_fails_takes_all_away(call, function):
    """It may have been about to; and it is told."""
    caught = []

    assert ("none", 1) == (level(control(function=function, caught=caught.append), call), len(caught))


@pytest.mark.parametrize(("own", "expected"), [("full", "metadata"), ("metadata", "metadata"), ("none", "none")])
def test_the_applications_word_can_only_take_away(call, own, expected):
    """What a scope was given is on the record already."""
    assert expected == level(control("metadata"), msgspec.structs.replace(call, content=own))


def test_a_word_that_is_no_level_takes_all_away(call):
    """A level misspelt is not full."""
    caught = []

    assert ("none", 1) == (level(control(caught=caught.append), msgspec.structs.replace(call, content="off")), len(caught))


def test_a_record_that_keeps_all_says_nothing(call):
    """Not even where it was told so."""
    assert call is control().decided(call)
    assert None is control().decided(msgspec.structs.replace(call, content="full")).content


@pytest.mark.parametrize(("setting", "messages"), [("full", [1]), ("metadata", [0]), ("none", [])])
def test_what_was_decided_is_done(call, setting, messages):
    """Messages with what was said in them, without it, or none."""
    one = control(setting)
    left = one.applied(one.decided(call))

    assert (messages, setting == "full") == (
        [len(message.parts) for message in left.input.messages],
        b"canary" in msgspec.json.encode(left),
    )


def test_only_what_keeps_its_content_is_looked_at_further(call):
    """Of the others there is nothing left to cut."""
    seen = []
    one = Control("full", {"/letters/*": "none"}, None, whole=lambda record: seen.append(record) or record, caught=seen.append)

    one.applied(one.decided(call))
    assert [] == seen
    other = msgspec.structs.replace(call, scope=None)
    assert other is one.applied(one.decided(other))
    assert [other] == seen
