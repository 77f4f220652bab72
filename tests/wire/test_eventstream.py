"""AWS's event streams: cut anywhere, damaged anywhere, compared with AWS's own reader of them."""

import json
import time
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe.records import Exchange
from llm_observe.wire.body import GAP, body_of
from llm_observe.wire.eventstream import MAX_FRAME, MAX_HEADERS, EventStream, begins

TYPE = "application/vnd.amazon.eventstream"


def read(*pieces: bytes, behind_gap: bool = False) -> tuple[list[object], str | None]:
    """The events in these pieces, and what is said of damage."""
    stream = EventStream(behind_gap=behind_gap)
    found = [event for piece in pieces for event in stream.feed(piece)] + stream.close()
    return [json.loads(event) for event in found], stream.problem


@pytest.fixture(scope="module")
def stream(frame) -> bytes:
    """A stream with all kinds of frames."""
    return (
        frame("messageStart", {"role": "assistant"})
        + frame("contentBlockDelta", {"delta": {"text": "Grüße, 世界 🌍"}})
        + frame("messageStop")
        + frame("throttlingException", {"message": "slow"}, message_type="exception")
        + frame("", message_type="error", **{":error-code": "InternalError", ":error-message": "bad"})
    )


EVENTS = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"delta": {"text": "Grüße, 世界 🌍"}}},
    {"messageStop": {}},
    {"throttlingException": {"message": "slow"}},
    {"error": {"code": "InternalError", "message": "bad"}},
]


def test_each_frame_is_an_object_of_its_type(stream):
    """An event's payload, or nothing; an exception's; what the headers say of an error."""
    assert (EVENTS, None) == read(stream)


@given(cuts=st.lists(st.floats(0, 1), max_size=30))
def test_however_the_bytes_arrive_the_events_are_the_same(stream, cuts):
    """Cut through lengths, headers, payloads and checksums."""
    edges = [0, *sorted(int(cut * len(stream)) for cut in cuts), len(stream)]

    assert (EVENTS, None) == read(*(stream[a:b] for a, b in pairwise(edges)))


def test_aws_reads_the_same(stream, frame):
    """What botocore makes of the frames, and of ours that it makes itself no difference."""
    reader = pytest.importorskip("botocore.eventstream").EventStreamBuffer()
    reader.add_data(stream)
    messages = list(reader)

    assert ["event", "event", "event", "exception", "error"] == [message.headers[":message-type"] for message in messages]
    assert [next(iter(event.values())) for event in EVENTS[:2]] == [json.loads(message.payload) for message in messages[:2]]


def test_all_kinds_of_headers_are_passed_over(seal):
    """Flags, numbers, bytes, instants, UUIDs: only text is looked at."""
    values = [
        (0, b""),
        (1, b""),
        (2, b"b"),
        (3, b"sh"),
        (4, b"int4"),
        (5, b"longlong"),
        (6, b"\0\3raw"),
        (8, b"12345678"),
        (9, b"1234567890123456"),
        (7, b"\0\4ping"),
    ]
    block = b"".join(
        len(name).to_bytes(1) + name + bytes([kind]) + value
        for name, (kind, value) in zip([b"abcdefghi"[n : n + 1] for n in range(9)] + [b":event-type"], values, strict=True)
    )

    assert ([{"ping": {"a": 1}}], None) == read(seal(block, b'{"a": 1}'))


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"\x01a", id="a name without a type"),
        pytest.param(b"\x09a", id="a name cut"),
        pytest.param(b"\x01a\x0a", id="a type there is not"),
        pytest.param(b"\x01a\x07\x00", id="a size cut"),
        pytest.param(b"\x01a\x07\x00\x09abc", id="a value cut"),
    ],
)
def test_headers_that_are_none_are_damage(seal, frame, block):
    """Whatever the checksums say."""
    assert ([{"ping": {}}], "event stream damaged: 1 event left out") == read(seal(block, b"{}") + frame("ping"))


@pytest.mark.parametrize("name", ['a"b', "ä", "", "\ud7ff"])
def test_a_type_is_whatever_it_is(frame, name):
    """Written as JSON; none is the empty one."""
    assert ([{name: {}}], None) == read(frame(name))


def test_a_damaged_payload_costs_its_event(frame):
    """The rest is read all the same, and the loss is told."""
    bad = bytearray(frame("b", {"x": 1}))
    bad[-6] ^= 1

    assert ([{"a": {}}, {"c": {}}], "event stream damaged: 1 event left out") == read(frame("a") + bytes(bad) + frame("c"))


def test_damaged_lengths_cost_what_comes_before_the_next_frame(frame):
    """Its place is found by its checksum, wherever the bytes were cut."""
    bad = bytearray(frame("b", {"x": 1}))
    bad[2] ^= 1
    data = frame("a") + bytes(bad) + frame("c") + frame("d")
    expected = [{"a": {}}, {"c": {}}, {"d": {}}], f"event stream damaged: {len(bad)} bytes left out"

    assert expected == read(data)
    assert expected == read(*(data[i : i + 1] for i in range(len(data))))


def test_a_stream_lost_to_its_end_says_so(frame):
    """Nothing that could be a frame comes any more. Fewer bytes than it takes to see that may be the beginning of one."""
    assert ([{"a": {}}], "event stream damaged: 12 bytes left out") == read(frame("a") + b"\n" * 12)
    assert ([{"a": {}}], None) == read(frame("a") + b"\n" * 11)


def test_a_byte_may_be_all_that_is_lost(frame):
    """In the singular."""
    assert ([{"a": {}}, {"b": {}}], "event stream damaged: 1 byte left out") == read(frame("a") + b"!" + frame("b"))


@pytest.mark.parametrize(
    ("length", "headers"),
    [(15, 0), (MAX_FRAME + 1, 0), (MAX_HEADERS + 99, MAX_HEADERS + 1), (20, 5), (0, 0)],
    ids=["too short", "too long", "too many headers", "headers longer than the frame", "nothing"],
)
def test_impossible_lengths_are_damage(frame, length, headers):
    """Also where their checksum is right: nobody waits for 4 GiB."""
    lengths = length.to_bytes(4) + headers.to_bytes(4)
    prelude = lengths + zlib.crc32(lengths).to_bytes(4)

    assert not begins(prelude)
    assert ([{"a": {}}], "event stream damaged: 12 bytes left out") == read(prelude + frame("a"))


@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_no_flipped_byte_costs_more_than_its_frame(stream, place, change):
    """And none goes unnoticed."""
    broken = bytearray(stream)
    broken[int(place * len(stream))] ^= change
    events, problem = read(bytes(broken))

    assert 4 == len(events)
    assert all(event in EVENTS for event in events)
    assert problem.startswith("event stream damaged: ")


@given(st.lists(st.binary(max_size=50), max_size=5), st.booleans())
def test_no_bytes_raise(pieces, behind_gap):
    """Whatever comes."""
    assert [] == read(*pieces, behind_gap=behind_gap)[0]


@pytest.mark.parametrize("behind_gap", [True, False])
@pytest.mark.parametrize("filler", [b"\0", b"\0\0\0\x20\0\0\0\x10aaaaaaaa", b"{", b"\1"], ids=["zeros", "lengths", "text", "ones"])
def test_looking_for_a_frame_is_soon_over(filler, behind_gap):
    """Eight MiB in which there is none, full of what could be one."""
    start = time.thread_time()
    read(filler * ((8 << 20) // len(filler)), behind_gap=behind_gap)

    assert time.thread_time() - start < 2


def test_many_small_reads_of_one_large_frame_are_linear(frame):
    """No byte is joined again and again."""
    data = frame("chunk", b'{"bytes":"' + b"A" * (4 << 20) + b'"}')
    start = time.thread_time()
    events, _ = read(*(data[i : i + 64] for i in range(0, len(data), 64)))

    assert 1 == len(events)
    assert time.thread_time() - start < 2


# In a body


def exchange(data: bytes, content_type: str = TYPE, **changes) -> Exchange:
    """An exchange with this answer."""
    return Exchange(
        client="",
        method="POST",
        host="h",
        path="/p",
        chunks=[data],
        response_headers={"content-type": content_type},
        status_code=200,
        **changes,
    )


@pytest.mark.parametrize("content_type", [TYPE, TYPE.upper(), "application/json", ""])
def test_a_body_is_known_by_its_type_or_by_its_bytes(stream, content_type):
    """Headers are lost, and lie."""
    assert EVENTS == [json.loads(event) for event in body_of(exchange(stream, content_type)).events]


def test_an_error_under_the_streams_type_is_a_document():
    """The bytes are JSON, whatever the header says."""
    assert {"message": "m"} == body_of(exchange(b' {"message": "m"}')).document


def test_damage_is_the_reason_of_the_body(frame):
    """For whoever wonders what is missing."""
    assert "event stream damaged: 1 byte left out" == body_of(exchange(b"!" + frame("a"))).reason


def test_events_behind_a_gap_are_found(frame):
    """The frame that begins before the gap is dropped, and so is the one that ends behind it; that is no damage."""
    begun, ended = frame("b", {"x": 1}), frame("c", {"y": 2})
    body = body_of(exchange(frame("a") + begun[:30], tail=[ended[20:], frame("d")[:5], frame("d")[5:]], chunk_times=[7]))

    assert [b'{"a":{}}', b'{"d":{}}'] == body.events
    assert (GAP, [7]) == (body.reason, body.times)


def test_each_event_has_the_instant_of_the_read_that_completed_it(frame):
    """Two in one read have the same."""
    a, b, c = frame("a"), frame("b"), frame("c")
    cut = exchange(b"")
    cut.chunks, cut.chunk_times = [a[:9], a[9:] + b, c[:20], c[20:]], [1, 2, 3, 4]

    assert [2, 2, 4] == body_of(cut).times
