"""Whatever Anthropic's bytes: nothing raises, what can be encoded comes out, and how they were cut makes no difference."""

import random
from itertools import pairwise

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_observe.records import Decoded, Text
from llm_observe.wire import decode

EVENTS = {"content-type": "text/event-stream"}
NAMES = st.sampled_from(
    [
        *("type", "completion", "stop_reason", "error", "message", "id", "model", "log_id", "prompt", "max_tokens_to_sample", "citations"),
        *("citation", "content", "content_block", "delta", "index", "text", "usage", "iterations", "server_tool_use", "input_tokens"),
        *("web_search_requests", "stop_details", "explanation", "thread", "previous_message_id", "output_config", "format", "schema"),
        *("data", "source", "is_error", "tool_use_id", "messages", "system", "tools", "cache_read_input_tokens", "output_tokens"),
    ]
)
KINDS = st.sampled_from(
    [
        *("completion", "ping", "error", "text", "message_start", "message_delta", "message_stop", "content_block_start", "refusal"),
        *(
            "content_block_delta",
            "citations_delta",
            "text_delta",
            "compaction",
            "mcp_tool_result",
            "web_fetch_tool_result",
            "stop_sequence",
        ),
    ]
)
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


def pieces(data: bytes, cuts: list[float]) -> list[bytes]:
    """*data* cut at these parts of its length."""
    edges = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def without_cuts(decoded: Decoded) -> Decoded:
    """What does not tell how the bytes arrived."""
    return msgspec.structs.replace(decoded, wire=msgspec.structs.replace(decoded.wire, chunk_count=None))


def sound(decoded: object) -> Decoded:
    """A Decoded that the sink can encode, and that hides no fault of ours."""
    assert isinstance(decoded, Decoded)
    assert msgspec.json.encode(decoded)
    assert "not read:" not in (decoded.wire.reason or "")
    return decoded


def text_of(decoded: Decoded) -> str:
    """The model's text."""
    return "".join(part.content for message in decoded.output.messages for part in message.parts if isinstance(part, Text))


@given(cuts=st.lists(st.floats(0, 1), max_size=30))
def test_however_the_bytes_arrive_the_decoded_is_the_same(completion, completion_stream, cuts):
    """Cut through events, lines and characters."""
    cut = completion(b"", chunks=pieces(completion_stream, cuts))

    assert without_cuts(decode(completion(completion_stream))) == without_cuts(decode(cut))


def test_every_truncation_is_told_and_keeps_the_text_that_came(completion, completion_stream):
    """A beginning of the text; truncated until the end has come."""
    whole = text_of(decode(completion(completion_stream)))
    told = set()
    for cut in range(1, len(completion_stream)):
        decoded = sound(decode(completion(completion_stream[:cut], response_headers=EVENTS)))
        assert whole.startswith(text_of(decoded))
        told.add((decoded.wire.complete, decoded.status))

    assert {(False, "truncated"), (True, "ok")} == told
    assert "truncated" == decode(completion(completion_stream[: len(completion_stream) // 2])).status


def test_no_flipped_byte_raises(completion, completion_stream):
    """Every byte, turned into something else."""
    dice = random.Random(7)
    for position in range(len(completion_stream)):
        broken = bytearray(completion_stream)
        broken[position] ^= dice.randrange(1, 256)
        sound(decode(completion(bytes(broken))))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(shape=st.dictionaries(NAMES, SHAPES, max_size=8))
def test_no_shape_raises_or_hides_behind_a_reason(anthropic, completion, events, shape):
    """The words of the formats with anything at all under them, in the request, in the answer, in a stream."""
    for answer in (
        shape,
        {"content": [shape]} | shape,
        events(shape, {"completion": shape}, {"type": "content_block_delta", "delta": shape}),
    ):
        sound(decode(completion(answer, shape | {"prompt": "p", "max_tokens_to_sample": 1})))
        sound(decode(anthropic(answer, shape | {"model": "m", "messages": [shape, {"role": "user", "content": [shape]}]})))
