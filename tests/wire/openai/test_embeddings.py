"""Embeddings: how many vectors of what length, and never the vectors."""

import base64
import struct

import msgspec
import pytest

from llm_observe.records import CallRequest, Error, Message, Text, Uri, Usage
from llm_observe.wire import Unknown, decode

NUMBERS = [0.123456, -0.654321, 0.111213]
PACKED = base64.b64encode(struct.pack("<3f", *NUMBERS)).decode()


def answer(*vectors: object, **members) -> dict:
    """A whole answer of these."""
    data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return {"object": "list", "model": "embedding-x-1", "data": data, "usage": usage} | members


def asks(content: str) -> Message:
    """The user's message."""
    return Message(role="user", parts=(Text(content=content),))


def dimension(decoded) -> int | None:
    """How long the vectors are."""
    return decoded.embeddings.dimension.count if decoded.embeddings else None


@pytest.mark.parametrize(
    ("given", "messages", "count"),
    [
        pytest.param("hi", (asks("hi"),), 1, id="a string"),
        pytest.param(["hi", "", "ho"], (asks("hi"), asks("ho")), 3, id="strings"),
        pytest.param([101, 102], (), 1, id="token ids"),
        pytest.param([[101, 102], [103]], (), 2, id="lists of token ids"),
        pytest.param([{"type": "text", "text": "hi"}, {"text": "ho"}], (asks("hi"), asks("ho")), 2, id="parts"),
        pytest.param([{"content": [{"type": "text", "text": "hi"}]}], (asks("hi"),), 1, id="contents"),
        pytest.param(
            [{"image": "https://x.y/z.png?sig=s"}],
            (Message(role="user", parts=(Uri(modality="image", uri="https://x.y/z.png"),)),),
            1,
            id="a picture's address",
        ),
        pytest.param(None, (), None, id="none"),
    ],
)
def test_inputs_are_the_users_messages(embedding, given, messages, count):
    """Token ids count, and say nothing."""
    decoded = decode(embedding(answer(NUMBERS), {"model": "embedding-x", "input": given}))

    assert (messages, count) == (decoded.input.messages, decoded.input.count)


def test_a_picture_is_measured_not_kept(embedding):
    """Jina takes it as base64."""
    (message,) = decode(embedding(answer(NUMBERS), {"model": "m", "input": [{"image": PACKED}]})).input.messages

    assert ("image", 12) == (message.parts[0].modality, message.parts[0].size)


def test_a_plain_answer(embedding):
    """Whose, how many, how long, for how much."""
    decoded = decode(embedding(answer(NUMBERS, NUMBERS), {"model": "embedding-x", "input": ["a", "b"], "encoding_format": "float"}))

    assert ("openai.embeddings", "embeddings", "embedding-x-1", 2, 3) == (
        decoded.wire.format,
        decoded.operation.name,
        decoded.response.model,
        decoded.response.embedding_count,
        dimension(decoded),
    )
    assert (Usage(input_tokens=4), ("float",), (), "ok") == (
        decoded.usage,
        decoded.request.encoding_formats,
        decoded.output.messages,
        decoded.status,
    )


@pytest.mark.parametrize("vector", [NUMBERS, PACKED])
def test_no_vector_is_kept(embedding, vector):
    """Neither its numbers nor their bytes."""
    record = msgspec.json.encode(decode(embedding(answer(vector)))).decode()

    assert [] == [shown for shown in (*map(str, NUMBERS), PACKED) if shown in record]


@pytest.mark.parametrize(
    ("members", "vector", "expected"),
    [
        pytest.param({}, NUMBERS, 3, id="counted"),
        pytest.param({"encoding_format": "base64"}, PACKED, 3, id="from the bytes"),
        pytest.param({"encoding_format": "base64"}, PACKED.rstrip("="), 3, id="without padding"),
        pytest.param({"dimensions": 256}, NUMBERS, 256, id="as asked for"),
        pytest.param({"output_dimension": 256}, NUMBERS, 256, id="as asked for with Voyage and Mistral"),
        pytest.param({"output_dtype": "int8", "encoding_format": "base64"}, base64.b64encode(bytes(8)).decode(), 8, id="a byte a number"),
        pytest.param({"output_dtype": "ubinary"}, [1, 2, 3], 24, id="a bit a number"),
        pytest.param({"output_dtype": "binary", "encoding_format": "base64"}, "AAAA", 24, id="a bit a number, packed"),
        pytest.param({"output_dtype": "novel"}, NUMBERS, 3, id="a kind nobody knows"),
        pytest.param({}, [NUMBERS, NUMBERS], 3, id="a vector for each token"),
        pytest.param({}, {}, None, id="no vector at all"),
        pytest.param({}, [], None, id="an empty one"),
    ],
)
def test_how_long_the_vectors_are(embedding, members, vector, expected):
    """What was asked for, else the length of the first."""
    assert expected == dimension(decode(embedding(answer(vector), {"model": "m", "input": "a"} | members)))


def test_formats_are_those_that_were_asked_for(embedding):
    """Voyage has a type beside the encoding."""
    request = {"model": "m", "input": "a", "encoding_format": "base64", "output_dtype": "int8"}

    assert CallRequest(model="m", encoding_formats=("base64", "int8")) == decode(embedding(answer("AAAA"), request)).request


@pytest.mark.parametrize(
    ("url", "members", "expected"),
    [
        ("https://api.mistral.ai/v1/embeddings", {"id": "emb_1"}, ("mistral.embeddings", "mistral_ai", 4, "emb_1")),
        ("https://api.voyageai.com/v1/embeddings", {"usage": {"total_tokens": 7}}, ("voyage.embeddings", "voyageai", 7, None)),
        ("https://api.jina.ai/v1/embeddings", {"usage": {}}, ("openai.embeddings", "jina", None, None)),
    ],
)
def test_some_vendors_brand_of_the_format_has_its_own_name(embedding, url, members, expected):
    """The decoder is the same; Voyage has no count but the total."""
    decoded = decode(embedding(answer(NUMBERS, **members), url=url))

    assert expected == (decoded.wire.format, decoded.provider.name, decoded.usage.input_tokens, decoded.response.id)


def test_an_error_answer_has_its_words(embedding):
    """Voyage's stand under ``detail``."""
    decoded = decode(embedding({"detail": "Model m is not supported."}, status_code=400, url="https://api.voyageai.com/v1/embeddings"))

    assert (Error(type="400", message="Model m is not supported."), None) == (decoded.error, decoded.response.embedding_count)


@pytest.mark.parametrize("document", [{"error": {"type": "t", "message": "m"}}, {"data": 7}, {"data": [7, {}]}, 7])
def test_an_answer_without_vectors_has_none(embedding, document):
    """And no length."""
    assert None is dimension(decode(embedding(document)))


def test_an_answer_that_says_to_be_a_stream_is_read_as_what_it_holds(embedding, events):
    """Nobody streams vectors."""
    headers = {"content-type": "text/event-stream"}

    assert 1 == decode(embedding(events(answer(NUMBERS)), response_headers=headers)).response.embedding_count
    assert None is decode(embedding(b"", response_headers=headers)).response.embedding_count


@pytest.mark.parametrize(
    ("url", "request_", "known"),
    [
        pytest.param("https://api.openai.com/v1/embeddings", {"model": "m", "input": "hi"}, True, id="OpenAI"),
        pytest.param("https://api.openai.com/v1/embeddings", b"{", True, id="a broken body, at OpenAI's"),
        pytest.param("https://gateway.example/v1/embeddings", {"model": "m", "input": ["hi"]}, True, id="a gateway"),
        pytest.param("https://store.example/collections/7/embeddings", {"vectors": [[0.1]]}, False, id="a vector store"),
        pytest.param("https://store.example/v1/embeddings", {"input": "hi"}, False, id="an application's own"),
        pytest.param("https://store.example/v1/embeddings", b"{", False, id="nothing to see"),
    ],
)
def test_an_applications_own_embeddings_are_none(embedding, url, request_, known):
    """The body tells where the host is nobody's."""
    assert known != isinstance(decode(embedding(answer(NUMBERS), request_, url=url)), Unknown)
