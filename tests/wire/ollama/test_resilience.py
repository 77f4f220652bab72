"""Whatever Ollama's bytes: nothing raises, what can be encoded comes out, and how they were cut makes no difference."""

import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_observe.records import Decoded, Text
from llm_observe.wire import decode

STREAMS = ["chat_lines", "generate_lines"]
LINES = {"content-type": "application/x-ndjson"}
NAMES = st.sampled_from(
    [
        *("model", "message", "messages", "role", "content", "thinking", "tool_calls", "function", "name", "arguments", "images", "image"),
        *(
            "response",
            "done",
            "done_reason",
            "error",
            "prompt_eval_count",
            "eval_count",
            "total_duration",
            "options",
            "num_predict",
            "stop",
        ),
        *("format", "think", "stream", "tools", "prompt", "system", "input", "dimensions", "embedding", "embeddings", "tool_name", "id"),
    ]
)
SHAPES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["stop", "tool", "data:image/png;base64,A"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


@pytest.fixture(scope="session")
def exchange(chat, generate):
    """An exchange whose answer is that stream."""
    made = {"chat_lines": chat, "generate_lines": generate}
    return lambda name, data, **changes: made[name](data, response_headers=LINES, **changes)


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
    """A Decoded that the sink can encode, and that hides no fault of ours."""
    assert isinstance(decoded, Decoded)
    assert msgspec.json.encode(decoded)
    assert "not read:" not in (decoded.wire.reason or "")
    return decoded


def text_of(decoded: Decoded) -> str:
    """The model's text."""
    return "".join(part.content for message in decoded.output.messages for part in message.parts if isinstance(part, Text))


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.floats(0, 1), max_size=30))
def test_however_the_bytes_arrive_the_decoded_is_the_same(request, exchange, name, cuts):
    """Cut through lines and characters."""
    data = request.getfixturevalue(name)

    assert without_cuts(decode(exchange(name, data))) == without_cuts(decode(exchange(name, b"", chunks=pieces(data, cuts))))


@given(cuts=st.lists(st.floats(0, 1), max_size=30))
def test_however_the_bytes_arrive_behind_a_proxy_it_is_recognised(chat, chat_lines, cuts):
    """By the first line, wherever that is cut."""
    cut = chat(b"", chunks=pieces(chat_lines, cuts), response_headers=LINES, url="https://proxy.example/api/chat", port=443)

    assert "ollama.chat" == sound(decode(cut)).wire.format


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_byte_by_byte(request, exchange, name):
    """The finest cut of all; the first line's time is that of the byte that ended it."""
    data = request.getfixturevalue(name)
    single = [data[i : i + 1] for i in range(len(data))]
    decoded = decode(exchange(name, b"", chunks=single, chunk_times=list(range(len(data)))))

    assert without_cuts(decode(exchange(name, data))) == without_cuts(decoded)
    assert data.index(b"\n") == decoded.first_chunk_at == decoded.first_content_at


@pytest.mark.parametrize("name", STREAMS)
def test_every_truncation_is_told_and_keeps_the_text_that_came(request, exchange, name):
    """A beginning of the text; truncated until the end has come."""
    data = request.getfixturevalue(name)
    whole = text_of(decode(exchange(name, data)))
    told = set()
    for cut in range(1, len(data)):
        decoded = sound(decode(exchange(name, data[:cut])))
        assert whole.startswith(text_of(decoded))
        told.add((decoded.wire.complete, decoded.status))

    assert {(False, "truncated"), (True, "ok")} == told
    assert "truncated" == decode(exchange(name, data[: len(data) // 2])).status


@pytest.mark.parametrize("name", STREAMS)
def test_no_flipped_byte_raises(request, exchange, name):
    """Every byte, turned into something else."""
    data = request.getfixturevalue(name)
    dice = random.Random(7)
    for position in range(len(data)):
        broken = bytearray(data)
        broken[position] ^= dice.randrange(1, 256)
        sound(decode(exchange(name, bytes(broken))))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(shape=st.dictionaries(NAMES, SHAPES, max_size=8))
def test_no_shape_raises_or_hides_behind_a_reason(chat, generate, embed, lines, shape):
    """The words of the formats with anything at all under them, in the request, in the answer, in a stream."""
    request = shape | {"messages": [shape, {"role": "tool"} | shape], "tools": [shape, {"function": shape}]}
    for answer in (shape, {"message": shape, "done": True}, lines(shape, {"message": shape}, {"done": True} | shape)):
        for make in (chat, generate, embed):
            sound(decode(make(answer, request)))
