"""Whatever Google's bytes: nothing raises, what can be encoded comes out, and how they were cut makes no difference."""

import json
import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_observe.records import Decoded, Text
from llm_observe.wire import decode

STREAM = "https://generativelanguage.googleapis.com/v1beta/models/gemini-x:streamGenerateContent"
STREAMS = ["content_events", "content_array", "interaction_events"]


@pytest.fixture(scope="session")
def exchange(gemini, interaction):
    """An exchange whose answer is that stream."""

    def make(name: str, data: bytes, request: object = None, **changes):
        if name == "interaction_events":
            return interaction(data, request, **changes)
        return gemini(data, request, url=STREAM, **changes)

    return make


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
    """Cut through events, elements, lines and characters."""
    data = request.getfixturevalue(name)

    assert without_cuts(decode(exchange(name, data))) == without_cuts(decode(exchange(name, data, chunks=pieces(data, cuts))))


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_byte_by_byte(request, exchange, name):
    """The finest cut of all; the first event's time is that of the byte that completed it."""
    data = request.getfixturevalue(name)
    single = [data[i : i + 1] for i in range(len(data))]
    decoded = decode(exchange(name, data, chunks=single, chunk_times=list(range(len(data)))))
    end = data.index(b"}\n,") if name == "content_array" else min(data.find(end) for end in (b"\n\n", b"\r\n\r") if end in data)

    assert without_cuts(decode(exchange(name, data))) == without_cuts(decoded)
    assert abs(end - decoded.first_chunk_at) <= 2


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


WORDS = [
    *("candidates", "content", "parts", "text", "thought", "thoughtSignature", "inlineData", "mimeType", "data", "fileData", "fileUri"),
    *("functionCall", "partialArgs", "jsonPath", "stringValue", "numberValue", "nullValue", "willContinue", "args", "name", "id", "role"),
    *(
        "functionResponse",
        "response",
        "executableCode",
        "codeExecutionResult",
        "toolCall",
        "toolResponse",
        "toolType",
        "audioTranscription",
    ),
    *("finishReason", "finishMessage", "index", "groundingMetadata", "groundingChunks", "groundingSupports", "groundingChunkIndices"),
    *("segment", "segments", "startIndex", "webSearchQueries", "citationMetadata", "citations", "urlContextMetadata", "urlMetadata"),
    *("promptFeedback", "blockReason", "usageMetadata", "promptTokenCount", "thoughtsTokenCount", "promptTokensDetails", "modality"),
    *("tokenCount", "modelVersion", "responseId", "error", "details", "retryDelay", "violations", "quotaId", "reason", "status", "code"),
    *("contents", "systemInstruction", "tools", "functionDeclarations", "mcpServers", "googleSearch", "generationConfig", "topK"),
    *("stopSequences", "responseModalities", "responseFormat", "responseSchema", "responseMimeType", "thinkingConfig", "thinkingLevel"),
    *("requests", "embedding", "embeddings", "values", "statistics", "predictions", "videoEmbeddings", "instances", "parameters", "image"),
    *("embedContentConfig", "outputDimensionality", "bytesBase64Encoded", "gcsUri", "taskType"),
    *("model", "agent", "input", "type", "event_type", "interaction", "interaction_id", "step", "steps", "delta", "outputs", "summary"),
    *("annotations", "arguments", "call_id", "result", "is_error", "errors", "usage", "total_tokens", "total_thought_tokens"),
    *("input_tokens_by_modality", "grounding_tool_count", "count", "tokens", "response_format", "response_modalities", "schema"),
    *("generation_config", "previous_interaction_id", "system_instruction", "uri", "mime_type", "function_call", "inline_data"),
]
KINDS = [
    *("text", "image", "audio", "thought", "model_output", "user_input", "function_call", "function_result", "google_search_call"),
    *("google_search_result", "mcp_server_tool_call", "thought_summary", "thought_signature", "arguments_delta", "text_annotation_delta"),
    *("step.start", "step.delta", "step.stop", "content.start", "content.delta", "interaction.completed", "interaction.status_update"),
    *("error", "STOP", "SAFETY", "TEXT", "IMAGE", "completed", "in_progress", "failed", "12s", "$.a.b[0]", "$[0]", "$.a", "AAAA", "="),
    *("data:image/png;base64,AAAA", "https://generativelanguage.googleapis.com/v1beta/files/x", "https://x.y/z?s#f", "PerDay"),
]
NAMES = st.sampled_from(WORDS)
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


def events(*documents: object) -> bytes:
    """Each an event."""
    return b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(shape=st.dictionaries(NAMES, SHAPES, max_size=8), part=st.dictionaries(NAMES, SHAPES, max_size=5))
def test_no_shape_of_content_raises(gemini, shape, part):
    """The words of the format with anything at all under them."""
    content = {"parts": [part, shape, {"functionCall": part}, {"functionCall": {"partialArgs": [part, shape], "willContinue": True}}]}
    candidate = shape | {"content": content, "groundingMetadata": part | {"groundingChunks": [shape], "groundingSupports": [part]}}
    chunk = shape | {"candidates": [candidate, shape, part], "usageMetadata": part}
    request = shape | {"contents": [content, shape], "generationConfig": part, "tools": [shape, part]}
    for answer in (shape, chunk, [chunk, shape], events(shape, chunk, chunk, [part])):
        sound(decode(gemini(answer, request)))
        sound(decode(gemini(answer, shape, url=STREAM)))
    sound(decode(gemini(shape, request, status_code=429)))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(shape=st.dictionaries(NAMES, SHAPES, max_size=8), step=st.dictionaries(NAMES, SHAPES, max_size=5), index=st.integers(0, 1) | SHAPES)
def test_no_shape_of_an_interaction_raises(interaction, shape, step, index):
    """The words of the format with anything at all under them."""
    whole = shape | {"steps": [step, shape], "usage": step}
    request = shape | {"input": [step, shape, "a"], "generation_config": step, "response_format": [step, shape]}
    stream = events(
        {"event_type": "step.start", "index": index, "step": step},
        {"event_type": "step.delta", "index": index, "delta": shape},
        {"event_type": "step.delta", "index": index, "delta": step | {"type": "text"}},
        shape,
        {"event_type": "interaction.completed", "interaction": step},
    )
    for answer in (shape, whole, stream):
        sound(decode(interaction(answer, request)))
        sound(
            decode(
                interaction(answer, method="GET", url="https://generativelanguage.googleapis.com/v1beta/interactions/i", request_body=None)
            )
        )


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(shape=st.dictionaries(NAMES, SHAPES, max_size=8), other=SHAPES)
def test_no_shape_of_embeddings_raises(embeddings, shape, other):
    """The words of the format with anything at all under them."""
    predict = "https://aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/models/text-embedding-x:predict"
    answer = shape | {"embeddings": [other, shape], "predictions": [other, shape], "usageMetadata": other}
    sound(decode(embeddings(answer, shape | {"requests": [other, shape]})))
    sound(decode(embeddings(shape | {"embedding": other}, shape)))
    sound(decode(embeddings(answer, {"instances": [shape | {"content": "a"}, other], "parameters": other}, url=predict)))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"[" * 5000 + b"]" * 5000, id="a bomb"),
        pytest.param(b'{"parts":[{"functionResponse":' * 60 + b"1" + b"}]}" * 60, id="parts in parts"),
        pytest.param(b"9" * 5000, id="5,000 digits"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b'"\\ud83d"', id="a lone surrogate"),
        pytest.param(b'{"text": 1, "text": "a"}', id="equal keys"),
        pytest.param(b'"\xff\xfe"', id="not UTF-8"),
    ],
)
@pytest.mark.parametrize("name", STREAMS)
def test_hostile_values_anywhere(exchange, name, value):
    """As content, as a part, as arguments, as usage, as a reason."""
    request = b'{"model": "m", "input": %b, "contents": %b, "generationConfig": {"topK": %b, "responseSchema": %b}, "tools": %b}'
    plain = (
        b'{"candidates": [{"content": %b, "finishReason": %b, "index": %b}, {"content": {"parts": [%b, {"functionCall": {"args": %b}}]}}],'
        b' "usageMetadata": {"promptTokenCount": %b}, "steps": [{"type": "model_output", "content": %b}], "status": %b, "usage": %b}'
    )
    request, plain = request.replace(b"%b", value), plain.replace(b"%b", value)
    sound(decode(exchange(name, plain, request)))
    sound(decode(exchange(name, b"data: " + plain + b"\n\n", request)))
    sound(decode(exchange(name, b"[" + plain + b"]", request)))


def test_text_in_many_pieces_is_joined_once(gemini):
    """A hundred thousand pieces of text, and as many of arguments."""
    chunks = [{"candidates": [{"content": {"parts": [{"text": "x"}]}}]}] * 100_000
    call = {"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.a", "stringValue": "y"}], "willContinue": True}}
    chunks += [{"candidates": [{"content": {"parts": [call]}}]}] * 100_000
    text, called = sound(decode(gemini(events(*chunks), url=STREAM))).output.messages[0].parts

    assert (100_000, 100_000) == (len(text.content), len(called.arguments["a"]))
