"""Whatever Cohere's bytes: nothing raises, what can be encoded comes out, and how they were cut makes no difference."""

import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_observe.records import Decoded, Text
from llm_observe.wire import decode

STREAMS = ["chat_events", "chat_lines", "generate_lines"]
NAMES = st.sampled_from(
    [
        *("type", "event_type", "index", "delta", "message", "content", "text", "thinking", "tool_plan", "tool_calls", "function", "name"),
        *(
            "arguments",
            "parameters",
            "citations",
            "content_index",
            "finish_reason",
            "usage",
            "meta",
            "tokens",
            "billed_units",
            "error",
            "err",
        ),
        *("input_tokens", "image_tokens", "search_units", "cached_tokens", "response", "generations", "response_id", "generation_id", "id"),
        *("tool_call_delta", "search_queries", "search_results", "documents", "token_count", "chat_history", "role", "tool_results"),
        *("preamble", "tools", "response_format", "schema", "json_schema", "stop_sequences", "embeddings", "float", "binary", "base64"),
        *("texts", "images", "inputs", "embedding_types", "output_dimension", "results", "data", "query", "image_url", "url", "document"),
    ]
)
KINDS = st.sampled_from(
    [
        *(
            "text",
            "thinking",
            "image_url",
            "document",
            "tool",
            "PLAN",
            "COMPLETE",
            "ERROR",
            "message-start",
            "message-end",
            "content-start",
        ),
        *("content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta", "citation-start", "stream-end", "text-generation"),
        *("tool-calls-chunk", "tool-calls-generation", "citation-generation", "search-results", "stream-error", "data:image/png;base64,AA"),
    ]
)
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


@pytest.fixture(scope="session")
def exchange(cohere, first, generate):
    """An exchange whose answer is that stream."""
    made = {"chat_events": cohere, "chat_lines": first, "generate_lines": generate}
    kinds = {"chat_events": "text/event-stream", "chat_lines": "application/stream+json", "generate_lines": "application/stream+json"}
    return lambda name, data, **changes: made[name](data, response_headers={"content-type": kinds[name]}, **changes)


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
    """The model's first text."""
    return "".join(part.content for message in decoded.output.messages[:1] for part in message.parts if isinstance(part, Text))


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.floats(0, 1), max_size=30))
def test_however_the_bytes_arrive_the_decoded_is_the_same(request, exchange, name, cuts):
    """Cut through events, lines and characters."""
    data = request.getfixturevalue(name)

    assert without_cuts(decode(exchange(name, data))) == without_cuts(decode(exchange(name, b"", chunks=pieces(data, cuts))))


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_byte_by_byte(request, exchange, name):
    """The finest cut of all; the first event's time is that of the byte that completed it."""
    data = request.getfixturevalue(name)
    single = [data[i : i + 1] for i in range(len(data))]
    decoded = decode(exchange(name, b"", chunks=single, chunk_times=list(range(len(data)))))
    end = data.index(b"\n\n") + 1 if name == "chat_events" else data.index(b"\n")

    assert without_cuts(decode(exchange(name, data))) == without_cuts(decoded)
    assert end == decoded.first_chunk_at
    assert decoded.first_chunk_at <= decoded.first_content_at


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
def test_no_shape_raises_or_hides_behind_a_reason(cohere, first, generate, embed, rerank, lines, events, shape):
    """The words of the formats with anything at all under them, in the request, in the answer, in a stream."""
    request = shape | {"messages": [shape, {"role": "tool", "content": [shape]}], "chat_history": [shape], "tools": [shape]}
    delta = {"type": "content-delta", "delta": {"message": {"content": shape}}}
    stream = lines(shape, {"event_type": "stream-end", "response": shape}, {"event_type": "tool-calls-chunk", "tool_call_delta": shape})
    for answer in (shape, {"message": shape, "text": "a", "citations": [shape]} | shape, events(shape, delta, {"delta": shape}), stream):
        for make in (cohere, first, generate, embed, rerank):
            sound(decode(make(answer, request)))
        sound(decode(first(answer, {"message": "hi"} | request)))
