"""What prompts repeat within a session waits once for an exporter that is behind, and goes out whole."""

import json
import threading
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llm_observe
from llm_observe._runtime.encode import encode
from llm_observe._runtime.once import Once
from llm_observe._runtime.parcel import Parcel
from llm_observe.records import Call, Input, Message, Operation, Provider, ScopeInfo, Step, Text, Tool, ToolDefinition

ROOM = 2**20
LONG = "All that was said before. " * 40


def call(*texts, session="s", trace="t", system=(), tools=()) -> Call:
    """A call that sends *texts*."""
    return Call(
        id=str(len(texts)),
        trace_id=trace,
        span_id="2",
        started_at=datetime(2027, 1, 1, tzinfo=UTC),
        duration=0.0,
        name="chat",
        status="ok",
        operation=Operation(name="chat"),
        provider=Provider(name="openai"),
        scope=None if session is None else ScopeInfo(session_id=session),
        system_instructions=tuple(Text(content=text) for text in system),
        tool=Tool(definitions=tuple(ToolDefinition(type="function", name=name) for name in tools)),
        input=Input(messages=tuple(Message(role="user", parts=(Text(content="".join(text)),)) for text in texts)),
    )


def packed(*calls) -> list[Parcel]:
    """*calls*, with texts of their own each."""
    return [Parcel(one, encode(one)) for one in calls]


def test_a_turn_waits_in_the_bytes_that_are_new():
    """A conversation of so many turns of one length grows by the turn, and not with its square."""
    once = Once(ROOM)

    sizes = [parcel.size for parcel in once.slim(packed(*(call(*[LONG] * n) for n in range(1, 30))))]

    assert [True] * 28 == [size < sizes[0] + 512 for size in sizes[1:]]
    assert once.saved > sum(n * len(LONG) for n in range(1, 29))


def test_what_is_repeated_is_one_object():
    """The instructions, the tools and the messages alike."""
    first, second = (
        parcel.record for parcel in Once(ROOM).slim(packed(*(call(LONG, *more, system=[LONG], tools=["t"]) for more in ([], ["new"]))))
    )

    assert (True, True, True) == (
        first.input.messages[0] is second.input.messages[0],
        first.system_instructions[0] is second.system_instructions[0],
        first.tool.definitions[0] is second.tool.definitions[0],
    )


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ({"session": "a"}, {"session": "a", "trace": "other"}, True),
        ({"session": "a"}, {"session": "b"}, False),
        ({"session": None}, {"session": None}, True),
        ({"session": None}, {"session": None, "trace": "other"}, False),
    ],
    ids=["a session over traces", "two sessions", "a trace without a session", "two traces"],
)
def test_only_within_a_session(one, other, shared):
    """Or within a trace, where no session is told: an agent's loop."""
    once = Once(ROOM)

    once.slim(packed(call(LONG, **one), call(LONG, **other)))

    assert shared == (once.saved > 0)


def test_little_is_not_worth_a_second_encoding():
    """What a short prompt repeats is left as it is, JSON and all."""
    parcels = packed(call("hi"), call("hi", "there"))

    assert parcels == Once(ROOM).slim(parcels)


def test_steps_and_requests_pass():
    """They have no prompts."""
    parcel = Parcel(
        Step(id="1", trace_id="t", span_id="2", started_at=datetime(2027, 1, 1, tzinfo=UTC), duration=0.0, name="x", status="ok"), b"{}"
    )

    assert [parcel] == Once(ROOM).slim([parcel])


def test_what_is_remembered_is_bounded_and_counted():
    """The oldest sessions go first; one that is bigger than all the room is not remembered."""
    once = Once(5000)

    for n in range(100):
        once.slim(packed(call(LONG, session=f"s{n}")))
    once.slim(packed(call(LONG, session="s0")))
    assert (0, 5000) == (once.saved, once.bytes)
    once.slim(packed(call(LONG, session="s99")))
    assert once.saved > 0

    once.slim(packed(call("x" * 6000, session="big")))
    assert 0 == once.bytes


def test_nothing_is_remembered_when_nobody_is_behind_any_more():
    """It would only take room."""
    once = Once(ROOM)
    once.slim(packed(call(LONG)))

    once.forget()

    assert (0, 0) == (once.bytes, once.saved)


class Odd(Text):
    """A part that does not like to be compared."""

    def __eq__(self, other):
        raise RecursionError

    __hash__ = None


def test_what_cannot_be_compared_waits_whole():
    """A user's processor may leave anything there."""
    odd = call(LONG)
    odd = Call(
        **{field: getattr(odd, field) for field in odd.__struct_fields__ if field != "input"}, input=Input(messages=(Odd(content=LONG),))
    )
    parcels = packed(odd, odd)

    assert parcels == Once(ROOM).slim(parcels)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.text(max_size=3).map(lambda text: text * 300), max_size=4)), max_size=12))
def test_the_json_is_the_same(turns):
    """Whatever is repeated, left out, changed or not ASCII."""
    parcels = packed(*(call(*texts, session=session, system=texts[:1], tools=["t"] * (len(texts) % 2)) for session, texts in turns))
    lines = [parcel.line for parcel in parcels]

    slim = Once(3000).slim(parcels)

    assert lines == [parcel.line for parcel in slim]
    assert all(512 <= parcel.size <= parcel.bulk == whole.size for parcel, whole in zip(slim, parcels, strict=True))


def test_a_conversation_waits_for_an_exporter_that_is_down(observe, told, memory, make):
    """It gets more of it than its room would hold, in batches of the usual size, and the same as the one that was never behind."""
    told.how = threading.Event()
    observer = observe(told, memory, queue_bytes=4_000_000, batch_bytes=300_000)
    turns = 60
    with llm_observe.scope("chat", session_id="s", observer=observer) as scope:
        for n in range(turns):
            said = [{"role": "user", "content": f"{m}" + "x" * 3_000} for m in range(n)]
            body = json.dumps({"model": "gpt-x", "messages": said}).encode()
            observer.hand_over(make.captured(make.exchange(request_body=body, request_size=len(body)), scope=scope))
            until = time.monotonic() + 60
            while len(memory.records) <= n and time.monotonic() < until:
                time.sleep(0.002)
    waiting = max(channel.waiting_bytes for channel in observer.channels.values())
    told.how.set()
    numbers = observer.shutdown(60)

    assert (0, {}) == (numbers.shed, numbers.exporters["told"].dropped)
    assert numbers.saved_bytes > 3_000 * turns * turns / 4
    assert waiting < 2_000_000
    assert 300_000 > max(sum(len(encode(record)) for record in batch) for batch in told.batches)
    assert memory.calls == [record for record in told.records if isinstance(record, Call)]
