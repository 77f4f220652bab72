"""How much of what was said leaves the sink: by route, by a function, from the application."""

import asyncio

import msgspec
import pytest

from llm_observe import Observer, content, current, record_call, scope, step
from llm_observe._runtime.default import swapped
from llm_observe._runtime.incoming import web_scope
from llm_observe._runtime.scope import SUPPRESSED, entered
from llm_observe.errors import SettingsError
from llm_observe.exporters.file import FileExporter

LETTERS = {"content_for": {"/letters/{id}": "none", "POST /chat": "metadata"}}


def answered(observer, make, route, *, prompt="canary", error="canary", method="POST"):
    """A web request to *route* in which a model was asked, and which failed in the end."""
    web = web_scope(observer, method, "/some/path", None, None, None)
    web.route = route
    observer.hand_over(make.captured(make.exchange(prompt=prompt), scope=web))
    web.fail(ValueError(error))
    web.finish()
    assert observer.flush(60, final=True)


def said(record):
    """What is left of the messages: who spoke, and what."""
    return [(message.role, *(part.content for part in message.parts)) for message in (*record.input.messages, *record.output.messages)]


@pytest.mark.parametrize(
    ("route", "left", "level"),
    [
        ("/letters/{id}", [], "none"),
        ("/chat", [("user",), ("assistant",)], "metadata"),
        ("/other", [("user", "canary"), ("assistant", "Hello")], None),
        (None, [], "none"),
    ],
)
def test_a_route_has_a_level_of_its_own(observe, memory, make, route, left, level):
    """And the record says which, where it is less than all. A route that is not known may be any of them."""
    observer = observe(memory, **LETTERS)

    answered(observer, make, route)

    (call,) = memory.calls
    assert (left, level, 12) == (said(call), call.content, call.usage.input_tokens)


@pytest.mark.parametrize(("route", "message"), [("/letters/{id}", None), ("/chat", None), ("/other", "canary")])
def test_what_an_error_said_goes_with_the_content(observe, memory, make, route, message):
    """It may quote the prompt; its type stays."""
    observer = observe(memory, **LETTERS)

    answered(observer, make, route)

    (request,) = memory.requests
    assert ("ValueError", message) == (request.error.type, request.error.message)


def test_a_route_may_have_more_than_the_others(observe, memory, make):
    """That is for the settings to say."""
    observer = observe(memory, content="none", content_for={"/public": "full"})

    answered(observer, make, "/public")
    answered(observer, make, "/other")

    assert [[("user", "canary"), ("assistant", "Hello")], []] == list(map(said, memory.calls))


def test_no_byte_of_it_leaves_the_sink(observe, memory, make, tmp_path):
    """Not to an exporter, not to the spool, not to a span or an event."""
    down = make.told()
    down.how = OSError("down")
    observer = observe(memory, FileExporter(tmp_path / "files"), down, spool=str(tmp_path / "spool"), **LETTERS)

    web = web_scope(observer, "POST", "/letters/17", None, None, None)
    web.route = "/letters/{id}"
    for n in range(3):
        observer.hand_over(make.captured(make.exchange(prompt=f"canary {n}", at=n), scope=web))
    web.fail(ValueError("canary"))
    web.finish()
    observer.shutdown(2)

    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert (4, True, [False] * len(written)) == (len(memory.records), len(written) >= 3, [b"canary" in one for one in written])


def test_spans_and_events_have_no_more_than_the_record(observe, make):
    """The exporter of OpenTelemetry gets what the others get."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from llm_observe.exporters.otel import OtelExporter

    spans = InMemorySpanExporter()
    observer = observe(OtelExporter(span_exporter=spans), **LETTERS)

    answered(observer, make, "/letters/{id}")

    attributes = [dict(span.attributes) for span in spans.get_finished_spans()]
    assert ([False, False], {"none"}) == (["canary" in str(one) for one in attributes], {one["llm_observe.content"] for one in attributes})


def test_calls_outside_of_any_request_have_the_level_of_all(observe, memory, make):
    """No route means none of the routes."""
    observer = observe(memory, content="metadata", content_for={"*": "full"})
    observer.hand_over(make.captured(make.exchange()))
    assert observer.flush(60)

    assert ["metadata"] == [call.content for call in memory.calls]


def test_a_function_decides_by_the_record(observe, memory, make):
    """By tags, for one thing: who asked."""
    observer = observe(memory, content_callback=lambda record: "none" if record.scope and record.scope.user_id == "u-1" else None)
    for user in ("u-1", "u-2"):
        with scope("job", observer=observer, user=user), record_call("m", provider="local", input="Hi"):
            pass
    assert observer.flush(60)

    assert [[], [("user", "Hi")]] == list(map(said, memory.calls))


def test_a_function_that_fails_is_counted_and_nothing_is_kept(observe, memory, make):
    """It is asked about each record."""
    observer = observe(memory, content_callback=lambda record: 1 / 0)

    answered(observer, make, "/chat")

    (call,), (request,) = memory.calls, memory.requests
    assert ([], None, 2) == (said(call), request.error.message, observer.stats().errors)


def test_a_processor_cannot_have_a_route_forgotten(observe, memory, make):
    """The level is decided of the record as it was; the processor still sees what was said, and may measure it."""
    seen = []

    def no_scopes(record):
        seen.append(said(record) if hasattr(record, "input") else None)
        return msgspec.structs.replace(record, scope=None)

    observer = observe(memory, processors=[no_scopes], **LETTERS)

    answered(observer, make, "/letters/{id}")

    assert ([("user", "canary"), ("assistant", "Hello")], []) == (seen[0], said(memory.calls[0]))


def test_a_processor_that_fails_leaves_the_level_on_the_record(observe, memory, make):
    """And nothing else of what was said."""
    observer = observe(memory, processors=[lambda record: 1 / 0], **LETTERS)

    answered(observer, make, "/letters/{id}")

    assert ([], "none") == (said(memory.calls[0]), memory.calls[0].content)


# --- from the application --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "left"), [("none", []), ("metadata", [("user",)]), ("full", [("user", "Hi")]), (None, [("user", "Hi")])])
def test_a_scope_has_a_level_for_all_in_it(observe, memory, level, left):
    """Calls, steps and its own record."""
    observer = observe(memory)

    with scope("letters", observer=observer, content=level), step("find"), record_call("m", provider="local", input="Hi"):
        pass
    assert observer.flush(60)

    kept = None if level == "full" else level
    assert (left, [kept] * 3) == (said(memory.calls[0]), [record.content for record in memory.records])


def test_a_decorated_function_has_it_each_time(observe, memory):
    """As it has the rest."""
    observer = observe(memory)

    @scope("letters", observer=observer, content="none")
    def work():
        with record_call("m", provider="local", input="Hi"):
            pass

    work()
    work()
    assert observer.flush(60)

    assert [[], []] == list(map(said, memory.calls))


def test_a_request_can_be_given_one_while_it_runs(observe, memory):
    """For all that ends from then on."""
    observer = observe(memory)

    with scope("chat", observer=observer):
        with record_call("m", provider="local", input="Hi"):
            current().content = "none"
    assert observer.flush(60)

    assert ([], ["none", "none"]) == (said(memory.calls[0]), [record.content for record in memory.records])


@pytest.mark.parametrize(
    ("outer", "inner", "level"),
    [
        (None, None, None),
        (None, "none", "none"),
        ("none", None, "none"),
        ("none", "full", "none"),
        ("none", "metadata", "none"),
        ("metadata", "none", "none"),
        ("metadata", "metadata", "metadata"),
        ("full", "metadata", "metadata"),
        ("metadata", "full", "metadata"),
    ],
)
def test_a_scope_in_a_scope_can_only_take_away(observe, memory, outer, inner, level):
    """What is around it holds inside."""
    observer = observe(memory)

    with scope("outer", observer=observer, content=outer), scope("inner", content=inner):
        pass
    assert observer.flush(60)

    assert level == memory.requests[0].content


@pytest.mark.parametrize(("outer", "inner"), [("off", None), ("off", "metadata"), ("metadata", "off"), (None, "off")])
def test_a_level_misspelt_keeps_nothing(observe, memory, outer, inner):
    """It was to take something away. The application goes on, and the failure is counted."""
    observer = observe(memory)

    with scope("outer", observer=observer, content=outer), scope("inner", content=inner):
        with record_call("m", provider="local", input="Hi"):
            pass
    assert observer.flush(60)

    assert ([], "none", True) == (said(memory.calls[0]), memory.calls[0].content, observer.stats().errors > 0)


def ask(name="m"):
    """A call told by hand, of the name *name*."""
    with record_call(name, provider="local", input="Hi"):
        pass


def levels(memory):
    """The level of each record, by its name."""
    return {record.name: record.content for record in memory.records}


def test_a_part_of_a_request_has_a_level(observe, memory):
    """What is asked before and after it has not; and it is part of the request as ever."""
    observer = observe(memory)

    with scope("chat", observer=observer) as chat:
        ask("before")
        with content("none"):
            ask("inside")
            with step("find"):
                ask("deeper")
        ask("after")
    assert observer.flush(60)

    assert {"chat before": None, "chat inside": "none", "chat deeper": "none", "find": "none", "chat after": None, "chat": None} == levels(
        memory
    )
    parents = {record.name: record.parent_id for record in memory.records}
    assert [chat.span_id] * 4 == [parents[name] for name in ("chat before", "chat inside", "find", "chat after")]
    assert (4, 1) == (memory.requests[0].calls.count, len({record.trace_id for record in memory.records}))


def test_it_needs_no_request(observe, memory):
    """Each call outside of any is a trace of its own, inside of it as well."""
    observer = observe(memory)

    with swapped(observer), content("none"):
        ask("a")
        ask("b")
    assert observer.flush(60)

    assert {"chat a": "none", "chat b": "none"} == levels(memory)
    assert (2, {None}) == (len({call.trace_id for call in memory.calls}), {call.parent_id for call in memory.calls})


@pytest.mark.parametrize(
    ("outer", "inner", "level"),
    [
        ("none", "full", "none"),
        ("metadata", "none", "none"),
        ("none", "metadata", "none"),
        ("metadata", "full", "metadata"),
        ("off", "metadata", "none"),
    ],
)
def test_a_part_of_a_part_can_only_take_away(observe, memory, outer, inner, level):
    """And one misspelt keeps nothing."""
    observer = observe(memory)

    with scope("chat", observer=observer), content(outer), content(inner):
        ask()
    assert observer.flush(60)

    assert level == memory.calls[0].content


@pytest.mark.parametrize(("own", "level"), [(None, "metadata"), ("full", "metadata"), ("none", "none")])
def test_a_scope_in_a_part_has_its_level(observe, memory, own, level):
    """Its own record too."""
    observer = observe(memory)

    with scope("chat", observer=observer), content("metadata"), scope("inner", content=own):
        ask()
    assert observer.flush(60)

    assert {"chat m": level, "inner": level, "chat": None} == levels(memory)


def test_a_part_and_its_scope_are_both_heeded(observe, memory):
    """The lower of the two."""
    observer = observe(memory)

    with scope("chat", observer=observer, content="metadata"):
        with content("none"):
            ask("inside")
        ask("after")
    assert observer.flush(60)

    assert {"chat inside": "none", "chat after": "metadata", "chat": "metadata"} == levels(memory)


def test_it_decorates_what_a_step_does(observe, memory):
    """Functions, coroutine functions, and generators of both kinds, which leave it with each piece."""
    observer = observe(memory)

    @content("none")
    def function(again=True):
        ask("function")
        if again:
            function(again=False)

    @content("none")
    async def coroutine():
        await asyncio.sleep(0)
        ask("coroutine")

    @content("none")
    def generator():
        ask("generator")
        yield

    @content("none")
    async def agenerator():
        ask("agenerator")
        yield

    async def work():
        await asyncio.gather(coroutine(), coroutine())
        async for _ in agenerator():
            ask("between async")

    with scope("chat", observer=observer):
        function()
        for _ in generator():
            ask("between")
        asyncio.run(work())
        ask("after")
    assert observer.flush(60)

    inside, outside = ("function", "coroutine", "generator", "agenerator"), ("between", "between async", "after")
    assert {**{f"chat {name}": "none" for name in inside}, **{f"chat {name}": None for name in outside}, "chat": None} == levels(memory)


def test_a_retried_call_has_the_lower_of_its_attempts_levels(observe, memory, make, hands):
    """A client's retry runs where the attempt did; should it not, nothing is kept that either was to lose."""
    observer = observe(memory, clock=hands.clock)
    first = make.captured(make.exchange(429, at=0))
    second = make.captured(make.exchange(at=2, count=1), after=first)
    first.content = "none"
    for one in (first, second):
        observer.hand_over(one)
    assert observer.flush(60, final=True)

    assert [(2, "none", [])] == [(len(call.attempts), call.content, said(call)) for call in memory.calls]


def test_our_own_traffic_stays_unobserved_in_it(observe, memory):
    """What is suppressed is."""
    observer = observe(memory)

    with swapped(observer), entered(SUPPRESSED), content("none"):
        ask()
    assert observer.flush(60)

    assert [] == memory.records


def test_the_settings_hold_beside_what_a_scope_says(observe, memory):
    """The lowest of all counts."""
    observer = observe(memory, content_for={"nightly*": "none"})

    with scope("nightly", observer=observer, content="full"), record_call("m", provider="local", input="Hi"):
        pass
    assert observer.flush(60)

    assert [] == said(memory.calls[0])


@pytest.mark.parametrize(
    "settings", [{"content_for": {"/chat": "some"}}, {"content_for": ["/chat"]}, {"content_callback": "none"}, {"content_callback": dict}]
)
def test_a_level_that_is_none_fails_at_the_start(settings):
    """And not with each record."""
    with pytest.raises(SettingsError, match=next(iter(settings))):
        Observer(exporters=[], **settings)
