"""Whatever Bedrock's bytes: nothing raises, what can be encoded comes out, and how they were cut makes no difference."""

import base64
import json
import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_observe.records import Decoded, Text
from llm_observe.wire import decode

STREAMS = {"converse_stream": "converse-stream", "claude_stream": "invoke-with-response-stream"}
VERBS = ["converse", "converse-stream", "invoke", "invoke-with-response-stream"]
NAMES = st.sampled_from(
    [
        *("messages", "content", "text", "image", "document", "source", "bytes", "s3Location", "uri", "toolUse", "toolResult", "json"),
        *("reasoningContent", "reasoningText", "redactedContent", "citationsContent", "citations", "citation", "guardContent", "system"),
        *(
            "output",
            "message",
            "stopReason",
            "usage",
            "inputTokens",
            "cacheReadInputTokens",
            "metrics",
            "latencyMs",
            "trace",
            "promptRouter",
        ),
        *("toolConfig", "tools", "toolSpec", "inputSchema", "systemTool", "inferenceConfig", "outputConfig", "textFormat", "structure"),
        *("jsonSchema", "schema", "additionalModelRequestFields", "messageStart", "contentBlockStart", "contentBlockDelta", "messageStop"),
        *("metadata", "delta", "start", "contentBlockIndex", "input", "chunk", "throttlingException", "error", "type", "role", "format"),
        *("amazon-bedrock-invocationMetrics", "inputTokenCount", "prompt", "inputText", "textGenerationConfig", "anthropic_version"),
        *(
            "results",
            "outputText",
            "completionReason",
            "outputs",
            "generations",
            "completions",
            "data",
            "finishReason",
            "reason",
            "choices",
        ),
        *("stop_reason", "finish_reason", "index", "event_type", "embedding", "embeddings", "embeddingsByType", "images", "artifacts"),
        *("base64", "finish_reasons", "taskType", "textToImageParams", "text_prompts", "mediaSource", "query", "documents", "texts"),
        *("input_type", "singleEmbeddingParams", "inputImage", "id", "model", "completion", "generation", "stop", "images", "chat_history"),
    ]
)
KINDS = st.sampled_from(
    ["message", "message_start", "text", "server_tool_use", "json_schema", "SINGLE_EMBEDDING", "error", "text-generation", "png"]
)
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


@pytest.fixture(scope="session")
def exchange(bedrock, converse_stream, claude_stream):
    """An exchange whose answer is one of the streams, or a part of it."""
    whole = {"converse_stream": converse_stream, "claude_stream": claude_stream}

    def make(name: str, data: bytes | None = None, **changes):
        request = {"anthropic_version": "v", "messages": []} if name == "claude_stream" else None
        return bedrock(whole[name] if data is None else data, request, verb=STREAMS[name], **changes)

    return make


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


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.floats(0, 1), max_size=30))
def test_however_the_bytes_arrive_the_decoded_is_the_same(exchange, name, cuts):
    """Cut through frames, lengths, checksums, base64 and characters."""
    whole = exchange(name)

    assert without_cuts(decode(whole)) == without_cuts(decode(exchange(name, b"", chunks=pieces(whole.chunks[0], cuts))))


@pytest.mark.parametrize("name", STREAMS)
def test_every_truncation_is_told_and_keeps_the_text_that_came(exchange, name):
    """A beginning of the text; truncated until the end has come."""
    data = exchange(name).chunks[0]
    whole = text_of(decode(exchange(name)))
    for cut in range(1, len(data)):
        decoded = sound(decode(exchange(name, data[:cut])))
        assert whole.startswith(text_of(decoded))
        assert (False, "truncated") == (decoded.wire.complete, decoded.status)

    assert (True, "ok") == (decode(exchange(name)).wire.complete, decode(exchange(name)).status)


@pytest.mark.parametrize("name", STREAMS)
def test_no_flipped_byte_raises_or_goes_unnoticed(exchange, name):
    """Every byte, turned into something else."""
    data = exchange(name).chunks[0]
    dice = random.Random(7)
    for position in range(len(data)):
        broken = bytearray(data)
        broken[position] ^= dice.randrange(1, 256)
        assert sound(decode(exchange(name, bytes(broken)))).wire.reason.startswith("event stream damaged: ")


@pytest.mark.parametrize("verb", VERBS)
@given(data=st.binary(max_size=200), status=st.sampled_from([None, 200, 400]))
def test_no_bytes_raise(bedrock, verb, data, status):
    """In the request, in the answer, in a chunk."""
    sound(decode(bedrock(data, data or None, verb=verb, status_code=status, tail=[data])))
    sound(decode(bedrock(data, None, verb=verb, status_code=status, response_headers={})))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(shape=st.dictionaries(NAMES, SHAPES, max_size=8), models=st.sampled_from(["m", "anthropic.claude-x", "amazon.titan-embed-text-v1"]))
def test_no_shape_raises_or_hides_behind_a_reason(bedrock, frame, chunk, shape, models):
    """The words of the formats with anything at all under them, in the request, in the answer, in a stream."""
    request = shape | {"messages": [shape, {"role": "user", "content": [shape]}]}
    for verb in ("converse", "invoke"):
        sound(decode(bedrock(shape, request, verb=verb, model=models)))
        sound(decode(bedrock({"output": {"message": {"content": [shape]}}, **shape}, shape, verb=verb, model=models)))
        sound(decode(bedrock(shape, shape, verb=verb, model=models, status_code=400)))
    deltas = b"".join(
        frame(name, {"delta": shape, "start": shape, **shape}) for name in ("contentBlockStart", "contentBlockDelta", "metadata")
    )
    sound(decode(bedrock(deltas, request, verb="converse-stream")))
    sound(
        decode(bedrock(chunk(shape) + chunk({"choices": [shape]}) + chunk(shape), shape, verb="invoke-with-response-stream", model=models))
    )
    for first in (
        {"contentBlockStart": {}},
        {"type": "message_start"},
        {"event_type": "text-generation"},
        {"type": "content-start"},
        {"choices": []},
    ):
        sound(decode(bedrock(chunk(first) + chunk(shape), request, verb="invoke-with-response-stream")))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"[" * 5000 + b"]" * 5000, id="a bomb"),
        pytest.param(b"9" * 5000, id="5,000 digits"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"-1e999", id="minus infinity"),
        pytest.param(b'"\\ud83d"', id="a lone surrogate"),
        pytest.param(b'"\xff\xfe"', id="not UTF-8"),
    ],
)
def test_hostile_values_anywhere(bedrock, frame, value):
    """As a parameter, as content, as a number, as arguments, inside of a chunk."""
    request = b'{"messages": [{"role": "user", "content": [{"text": %b, "toolUse": {"input": %b}}]}], "inferenceConfig": {"topP": %b, "maxTokens": %b}}'
    plain = b'{"output": {"message": {"content": [{"text": %b}]}}, "usage": {"inputTokens": %b}, "results": [{"outputText": %b, "tokenCount": %b}]}'
    request, plain = request.replace(b"%b", value), plain.replace(b"%b", value)
    for verb in ("converse", "invoke"):
        sound(decode(bedrock({}, request, verb=verb, chunks=[plain])))
    delta = b'{"contentBlockIndex": %b, "delta": {"text": %b, "toolUse": {"input": %b}}}'.replace(b"%b", value)
    sound(
        decode(
            bedrock(
                frame("contentBlockDelta", delta) + frame("metadata", b'{"metrics": {"latencyMs": %b}}' % value), verb="converse-stream"
            )
        )
    )
    inner = base64.b64encode(
        b'{"outputText": %b, "index": %b, "amazon-bedrock-invocationMetrics": {"inputTokenCount": %b}}'.replace(b"%b", value)
    )
    packed = json.dumps({"bytes": inner.decode()}).encode()
    sound(decode(bedrock(frame("chunk", packed), verb="invoke-with-response-stream")))


def test_a_model_that_is_no_text_can_be_encoded(bedrock):
    """A path is whatever a client sends."""
    for model in ("%ff%fe", "\udcff", "%ED%A0%80"):
        sound(decode(bedrock({}, verb="invoke", model=model)))
