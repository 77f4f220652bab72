"""The line to read, and that no text breaks out of it."""

import json
import re
import string
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe.exporters.stdout import json_line, line
from llm_observe.records import (
    CallResponse,
    Error,
    Input,
    InputTokens,
    Message,
    Output,
    Provider,
    Reasoning,
    Refusal,
    ScopeInfo,
    Text,
    ToolCall,
    Usage,
)

COLOURS = re.compile("\x1b\\[(?:0|1|2|31|32|33|36)m")
# By their numbers, not by our own expression: controls, marks, separators, embeddings, isolates, surrogates.
UNSAFE = {*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000)}

nasty = st.text(st.one_of(st.characters(), st.sampled_from("\x1b\x07\n\r\t\x7f\x85\x9b\x9d\u2028\u2029\u202e\u2066\ud83d")), max_size=60)


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    """Times are shown in the machine's zone; here, that is UTC."""
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def said(asked: str, *answer) -> dict:
    """The input and output of a call."""
    return {
        "input": Input(
            messages=(Message(role="system", parts=(Text(content="Be kind."),)), Message(role="user", parts=(Text(content=asked),)))
        ),
        "output": Output(messages=(Message(role="assistant", parts=answer),)),
    }


def test_a_call_says_when_how_it_went_how_long_what_and_to_whom(make):
    """The shortest line there is."""
    assert "12:00:01.250 ok           1.25s chat gpt-x openai" == line(make.call())


def test_a_call_says_what_it_took_and_where_it_belongs(make):
    """Time to the first chunk, tokens, attempts, the error, the route, the request, and a glimpse of what was said."""
    call = make.call(
        status="error",
        response=CallResponse(time_to_first_chunk=0.314),
        usage=Usage(input_tokens=1200, output_tokens=34, cache_read=InputTokens(input_tokens=1024)),
        attempts=("first", "second"),
        error=Error(type="rate_limit_exceeded", message="Slow down."),
        scope=ScopeInfo(method="POST", route="/chat/{id}"),
        request_id="r-1",
        **said("What is up?", Text(content="The sky.")),
    )

    assert (
        "12:00:01.250 error        1.25s chat gpt-x openai first 0.31s in 1200 (1024 cached) out 34 2 attempts"
        ' rate_limit_exceeded: Slow down. POST /chat/{id} [r-1] "What is up?" → "The sky."'
    ) == line(call)


def test_a_request_says_what_its_calls_came_to(make):
    """Shorter: no route twice, no content."""
    request = make.request(calls=make.totals(count=3, errors=1, retries=1, input_tokens=12_345, output_tokens=7), disconnected=True)

    assert "12:00:01.250 ok           1.25s POST /chat/{id} 200 client left 3 calls in 12k out 7 1 retry 1 failed [r-1]" == line(request)


def test_a_request_without_calls_says_nothing_of_them(make):
    """Nor of an HTTP status a job has not."""
    assert "12:00:01.250 ok           1.25s nightly [r-1]" == line(make.request(name="nightly", http=None, calls=make.totals()))


def test_one_call_is_not_one_calls(make):
    """Words agree with their numbers."""
    request = make.request(calls=make.totals(count=1, retries=2))

    assert "1 call in 0 out 0 2 retries" in line(request)


def test_a_step_is_named_as_one(make):
    """With its error, if it had one."""
    assert "12:00:01.250 ok           1.25s step retrieval ValueError" == line(make.step(error=Error(type="ValueError")))


def test_a_step_is_dim_but_for_its_error(make):
    """What the user marked himself stands back behind the calls."""
    coloured = line(make.step(error=Error(type="ValueError")), True)

    assert ("\x1b[2mstep retrieval\x1b[0m" in coloured, "\x1b[31mValueError\x1b[0m" in coloured) == (True, True)


@pytest.mark.parametrize(("status", "code"), [("ok", 32), ("error", 31), ("cancelled", 33), ("truncated", 33)])
def test_how_it_went_is_seen_by_its_colour(make, status, code):
    """Green, red, and yellow for what broke off."""
    assert f"\x1b[{code}m{status:<9}\x1b[0m" in line(make.call(status=status), True)


def test_a_coloured_line_says_the_same(make):
    """Colours add nothing but colours."""
    call = make.call(request_id="r", attempts=(1, 2), **said("a", Text(content="b")))

    assert line(call) == COLOURS.sub("", line(call, True))


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ((Reasoning(content="hm"), Text(content="yes")), '"yes"'),
        ((ToolCall(name="get_weather"),), "get_weather()"),
        ((Refusal(content="no"),), '"no"'),
        ((Text(content=" \n"), ToolCall(name="f")), "f()"),
        ((), ""),
    ],
)
def test_of_an_answer_the_first_thing_said_is_shown(make, parts, shown):
    """Text, refusal or tool; thoughts and empty texts are passed over."""
    assert f'openai "q"{" → " + shown if shown else ""}' in line(make.call(**said("q", *parts)))


def test_an_answer_to_no_question_is_shown_too(make):
    """Completion of a prompt that was not kept."""
    call = make.call(output=Output(messages=(Message(role="assistant", parts=(Text(content="so"),)),)))

    assert line(call).endswith('openai → "so"')


def test_of_a_question_the_last_thing_said_is_shown(make):
    """People paste first and ask then."""
    asked = Message(role="user", parts=(Text(content="a long document"), Text(content="Sum up?")))

    assert line(make.call(input=Input(messages=(asked,)))).endswith('openai "Sum up?"')


def test_long_texts_are_cut_and_folded(make):
    """About sixty characters, on one line, whatever the size and the white space."""
    shown = line(make.call(**said("so\n\n  much " * 10_000, Text(content="x" * 100_000))))

    assert ' "so much so much so much' in shown
    assert len(shown) < 200


def test_unknown_tokens_are_not_zero(make):
    """A stream that broke off before its usage."""
    assert "in 5 out ?" in line(make.call(usage=Usage(input_tokens=5)))


@pytest.mark.parametrize("duration", [float("inf"), float("nan"), 1e300])
def test_a_duration_beyond_the_calendar_is_no_error(make, duration):
    """Then the line has the time of the beginning."""
    assert line(make.call(duration=duration)).startswith("12:00:00.000 ok")


def test_the_last_year_of_the_calendar_is_no_error(make):
    """A frozen clock may say anything."""
    assert line(make.step(started_at=datetime.max.replace(tzinfo=UTC))).startswith("23:59:59.999")


def test_what_a_terminal_would_obey_is_shown_instead(make):
    """OSC 52 writes the clipboard, CSI moves the cursor, U+202E turns the direction."""
    shown = line(make.call(**said("a", Text(content="\x1b]52;c;cm0=\x07 \x9b2J \u202egpj.exe"))))

    assert r'"\x1b]52;c;cm0=\x07 \x9b2J \u202egpj.exe"' in shown


@given(nasty, nasty, nasty, st.floats(), st.booleans())
def test_no_text_in_any_field_breaks_out_of_its_line(make, one, two, three, number, colour):
    """Whatever is where: one line, and no control but our own colours."""
    scope = ScopeInfo(name=one, method=two, route=three, tags={one: two})
    shared = {"name": one, "status": three, "request_id": two, "error": Error(type=three, message=one), "scope": scope, "duration": number}
    records = [
        make.call(
            provider=Provider(name=two),
            response=CallResponse(model=one, time_to_first_chunk=number),
            **shared,
            **said(one, Text(content=two)),
        ),
        make.call(**shared, **said(two, ToolCall(name=three))),
        make.request(**shared),
        make.step(**shared),
    ]

    for record in records:
        shown = line(record, colour)
        if colour:
            shown = COLOURS.sub("", shown)
        assert set() == UNSAFE & set(map(ord, shown))


@given(st.dictionaries(nasty, nasty))
def test_json_says_the_same_without_anything_a_terminal_obeys(make, tags):
    """The same value, one line, no control at all."""
    tags = {k.encode(errors="replace").decode(): v.encode(errors="replace").decode() for k, v in tags.items()}
    record = make.step(attributes=tags)
    shown = json_line(msgspec.json.encode(record))

    assert json.loads(msgspec.json.encode(record)) == json.loads(shown)
    assert set() == UNSAFE & set(map(ord, shown))


def test_json_is_left_as_it_is_where_it_is_safe(make):
    """Nothing is escaped without need."""
    text = string.printable + "äöü 你好 🦊"
    encoded = msgspec.json.encode(make.step(name=text))

    assert encoded.decode() == json_line(encoded)


def test_bytes_that_are_no_text_do_not_stop_the_line():
    """Then they are replaced."""
    assert '{"a":"\ufffd"}' == json_line(b'{"a":"\xff"}')


def test_a_short_duration_is_in_milliseconds(make):
    """Hundredths of a second say nothing of a call that takes 4 ms."""
    assert line(make.call(duration=0.004)).startswith("12:00:00.004 ok             4ms chat gpt-x")
