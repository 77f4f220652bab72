"""Whatever the bytes: nothing raises, what can be encoded comes out, and how they were cut makes no difference."""

import gzip
import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_observe.records import Decoded, Text
from llm_observe.wire import decode

STREAMS = ["chat_stream", "message_stream"]
CUTS = st.lists(st.floats(0, 1), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="session")
def exchange(openai, anthropic):
    """An exchange with the provider whose stream it is."""
    return {"chat_stream": openai, "message_stream": anthropic}


def pieces(data: bytes, cuts: list[float]) -> list[bytes]:
    """*data* cut at these parts of its length."""
    edges = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def without_cuts(decoded: Decoded) -> Decoded:
    """What does not tell how the bytes arrived."""
    wire = msgspec.structs.replace(decoded.wire, chunk_count=None)
    response = msgspec.structs.replace(decoded.response, chunk_gaps=())
    return msgspec.structs.replace(decoded, wire=wire, response=response, first_chunk_at=None, first_content_at=None)


def sound(decoded: object) -> Decoded:
    """A Decoded, which the sink can encode."""
    assert isinstance(decoded, Decoded)
    assert msgspec.json.encode(decoded)
    return decoded


def text_of(decoded: Decoded) -> str:
    """The assistant's text."""
    return "".join(part.content for message in decoded.output.messages for part in message.parts if isinstance(part, Text))


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("name", STREAMS)
@given(cuts=CUTS)
def test_however_the_bytes_arrive_the_decoded_is_the_same(request, exchange, name, encoding, cuts):
    """Cut through events, lines, characters and packed blocks."""
    data = request.getfixturevalue(name)
    data = gzip.compress(data, mtime=0) if encoding else data
    headers = {"content-encoding": encoding} if encoding else {}
    whole = exchange[name](data, response_headers=headers)
    cut = exchange[name](data, response_headers=headers, chunks=pieces(data, cuts))

    assert without_cuts(decode(whole)) == without_cuts(decode(cut))


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_byte_by_byte(request, exchange, name):
    """The finest cut of all; the first event's time is that of its last byte."""
    data = request.getfixturevalue(name)
    decoded = decode(exchange[name](data, chunks=[data[i : i + 1] for i in range(len(data))], chunk_times=list(range(len(data)))))

    assert without_cuts(decode(exchange[name](data))) == without_cuts(decoded)
    assert data.index(b"\n\n", data.index(b"data:")) + 1 == decoded.first_chunk_at


@pytest.mark.parametrize("name", STREAMS)
def test_every_truncation_is_told_and_keeps_the_text_that_came(request, exchange, name):
    """A beginning of the text; truncated until the end has come."""
    data = request.getfixturevalue(name)
    whole = text_of(decode(exchange[name](data)))
    for cut in range(1, len(data)):
        decoded = sound(decode(exchange[name](data[:cut], response_headers={"content-type": "text/event-stream"})))
        assert whole.startswith(text_of(decoded))
        assert ("ok" if decoded.wire.complete else "truncated") == decoded.status

    assert "truncated" == decode(exchange[name](data[: len(data) // 2])).status


@pytest.mark.parametrize("name", STREAMS)
def test_no_flipped_byte_raises(request, exchange, name):
    """Every byte, turned into something else."""
    data = request.getfixturevalue(name)
    dice = random.Random(7)
    for position in range(len(data)):
        broken = bytearray(data)
        broken[position] ^= dice.randrange(1, 256)
        sound(decode(exchange[name](bytes(broken))))


@given(
    data=st.binary(max_size=300),
    encoding=st.sampled_from(["", "gzip", "deflate", "br", "gzip, gzip", "\x00"]),
    status=st.sampled_from([None, 200, 400]),
)
def test_no_bytes_raise(exchange, data, encoding, status):
    """In the request, in the answer, in both."""
    for name in STREAMS:
        sound(decode(exchange["chat_stream"](data, data or None, response_headers={"content-encoding": encoding}, status_code=status)))
        sound(decode(exchange[name](b"data: " + data, tail=[data], status_code=status)))


KEYS = st.sampled_from(
    [
        "type",
        "index",
        "delta",
        "content",
        "choices",
        "message",
        "usage",
        "error",
        "tool_calls",
        "function",
        "arguments",
        "content_block",
        "text",
        "source",
        "tools",
        "messages",
        "role",
        "system",
        "finish_reason",
        "id",
        "name",
        "audio",
        "reasoning_details",
        "custom",
        "x_groq",
        "output_config",
        "response_format",
        "modalities",
        "stop",
        "file",
        "image_url",
        "input_audio",
        "thinking",
        "function_call",
        "model",
    ]
)
KINDS = st.sampled_from(
    [
        "text",
        "image",
        "document",
        "tool_use",
        "tool_result",
        "thinking",
        "file",
        "image_url",
        "input_audio",
        "message_start",
        "message_delta",
        "content_block_start",
        "content_block_delta",
        "message_stop",
        "error",
        "text_delta",
        "input_json_delta",
        "web_search_tool_result",
    ]
)
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | KINDS | st.just("data:image/png;base64,AAAA"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=300)
@given(shape=st.dictionaries(KEYS, SHAPES, max_size=8))
def test_no_shape_raises_or_hides_behind_a_reason(exchange, events, shape):
    """The words of the formats with anything at all under them: the decoders themselves stand it."""
    for name in STREAMS:
        messages = shape | {"model": "m", "messages": [shape, {"role": "user", "content": [shape]}]}
        choices = shape | {"choices": [shape, {"message": shape, "delta": shape}], "content": [shape]}
        for answer in (choices, events(shape, choices, shape)):
            decoded = sound(decode(exchange[name](answer, messages)))
            assert "not read" not in (decoded.wire.reason or "")


def test_a_fault_of_ours_leaves_what_is_certain(exchange, monkeypatch):
    """Provider, status, sizes; and the name of the fault, for whoever reads the record."""
    from llm_observe.wire import formats

    def fault(*_):
        raise RuntimeError

    broken = tuple(msgspec.structs.replace(form, asked=fault, answered=fault) for form in formats.FORMATS)
    monkeypatch.setattr(formats, "FORMATS", broken)
    monkeypatch.setattr(formats, "_at", formats._at.__wrapped__)  # what is known of an address is of the sound ones
    decoded = sound(decode(exchange["chat_stream"]({"choices": []})))

    assert ("openai", 200, "response not read: RuntimeError", False) == (
        decoded.provider.name,
        decoded.wire.status_code,
        decoded.wire.reason,
        decoded.wire.complete,
    )


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"[" * 5000 + b"]" * 5000, id="a bomb"),
        pytest.param(b'{"a":' * 900 + b"1" + b"}" * 900, id="too deep to encode"),
        pytest.param(b"9" * 5000, id="5,000 digits"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"-1e999", id="minus infinity"),
        pytest.param(b'"\\ud83d"', id="a lone surrogate"),
        pytest.param(b'{"a": 1, "a": 2}', id="equal keys"),
        pytest.param(b'"\xff\xfe"', id="not UTF-8"),
    ],
)
@pytest.mark.parametrize("name", STREAMS)
def test_hostile_values_anywhere(exchange, name, value):
    """As a parameter, as content, as a tool's schema, as arguments, as usage."""
    request = (
        b'{"model": "m", "temperature": %b, "max_tokens": %b, "messages": [{"role": "user", "content": %b}], "tools": [{"parameters": %b}]}'
    )
    plain = b'{"id": %b, "content": [%b], "usage": {"prompt_tokens": %b}, "choices": [{"message": {"content": %b}}]}'
    sound(decode(exchange[name](plain.replace(b"%b", value), request.replace(b"%b", value))))
    sound(decode(exchange[name](b"data: " + plain.replace(b"%b", value) + b"\n\n")))


def test_arguments_that_are_a_bomb_stay_text(exchange):
    """The call is told, its arguments as they came."""
    bomb = "[" * 3000
    calls = [{"id": "c", "function": {"name": "f", "arguments": bomb}}]
    decoded = sound(decode(exchange["chat_stream"]({"choices": [{"finish_reason": "tool_calls", "message": {"tool_calls": calls}}]})))

    assert bomb == decoded.output.messages[0].parts[0].arguments


def test_a_packed_bomb_is_cut(exchange):
    """And said to be."""
    bomb = gzip.compress(b"data: " + bytes(40 << 20), 9)
    headers = {"content-encoding": "gzip", "content-type": "text/event-stream"}
    decoded = sound(decode(exchange["chat_stream"](bomb, response_headers=headers)))

    assert "response too long once unpacked: the rest left out" == decoded.wire.reason
