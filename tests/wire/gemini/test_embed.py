"""Embeddings at Google: how many and how long, never the vectors."""

import json

import pytest

from llm_observe.records import Blob, Error, Message, Modality, Text, Uri, Usage
from llm_observe.wire import Unknown, decode

STUDIO = "https://generativelanguage.googleapis.com/v1beta/models/gemini-embedding-x:"
VERTEX = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/models/"
PREDICT = VERTEX + "text-embedding-005:predict"


def test_a_batch(embeddings):
    """Each request is one input; the vectors are counted and measured."""
    request = {
        "requests": [
            {"model": "models/gemini-embedding-x", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 3},
            {"content": {"parts": [{"text": "b"}], "role": "user"}},
        ]
    }
    document = {"embeddings": [{"values": [0.1, 0.2, 0.3]}, {"values": [0.4, 0.5, 0.6]}], "usageMetadata": {"promptTokenCount": 14}}
    decoded = decode(embeddings(document, request))

    assert ("gemini.embed", "embeddings", "gcp.gemini", "gemini-embedding-x") == (
        decoded.wire.format,
        decoded.operation.name,
        decoded.provider.name,
        decoded.request.model,
    )
    assert (2, 2, 3, 14, "ok") == (
        decoded.input.count,
        decoded.response.embedding_count,
        decoded.embeddings.dimension.count,
        decoded.usage.input_tokens,
        decoded.status,
    )
    assert (Message(role="user", parts=(Text(content="a"),)), Message(role="user", parts=(Text(content="b"),))) == decoded.input.messages


def test_one_content(embeddings):
    """It is one input, however many parts it has."""
    request = {"content": {"parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}, "taskType": "x"}
    decoded = decode(embeddings({"embedding": {"values": [0.1, 0.2]}}, request, url=STUDIO + "embedContent"))

    assert (1, 1, 2) == (decoded.input.count, decoded.response.embedding_count, decoded.embeddings.dimension.count)
    assert [Text, Blob] == [type(part) for part in decoded.input.messages[0].parts]


@pytest.mark.parametrize(
    "members", [{"outputDimensionality": 768}, {"output_dimensionality": 768}, {"embedContentConfig": {"outputDimensionality": 768}}]
)
def test_the_length_that_was_asked_for(embeddings, members):
    """It is known before the answer is."""
    decoded = decode(embeddings(None, {"content": {"parts": [{"text": "a"}]}} | members, url=STUDIO + "embedContent", status_code=None))

    assert 768 == decoded.embeddings.dimension.count


def test_a_request_that_is_not_there_has_no_inputs(embeddings):
    """Their number is not known; the model is."""
    decoded = decode(embeddings({"embeddings": [{"values": [1]}]}, b"x", request_body=None))

    assert (None, (), "gemini-embedding-x", 1) == (
        decoded.input.count,
        decoded.input.messages,
        decoded.request.model,
        decoded.response.embedding_count,
    )


@pytest.mark.parametrize("name", ["promptTokensDetails", "promptTokenDetails"])
def test_usage(embeddings, name):
    """One of the two services misspells it."""
    counts = {"promptTokenCount": 7, name: [{"modality": "TEXT", "tokenCount": 5}, {"modality": "IMAGE", "tokenCount": 2}]}
    usage = decode(embeddings({"embeddings": [], "usageMetadata": counts})).usage

    assert Usage(input_tokens=7, text=Modality(input_tokens=5), image=Modality(input_tokens=2)) == usage


def test_the_older_way(embeddings):
    """Its tokens are told by vector."""
    request = {
        "instances": [{"content": "a", "task_type": "RETRIEVAL_QUERY"}, {"content": "b", "title": "t"}],
        "parameters": {"outputDimensionality": 2},
    }
    told = {"statistics": {"token_count": 3, "truncated": False}, "values": [0.1, 0.2]}
    decoded = decode(embeddings({"predictions": [{"embeddings": told}, {"embeddings": told}]}, request, url=PREDICT))

    assert ("gemini.embed", "gcp.vertex_ai", "text-embedding-005") == (decoded.wire.format, decoded.provider.name, decoded.request.model)
    assert (2, 2, 2, 6) == (
        decoded.input.count,
        decoded.response.embedding_count,
        decoded.embeddings.dimension.count,
        decoded.usage.input_tokens,
    )
    assert ["a", "b"] == [message.parts[0].content for message in decoded.input.messages]


def test_media_the_older_way(embeddings):
    """A text, a picture and each part of a film have a vector each."""
    request = {
        "instances": [{"text": "a", "image": {"bytesBase64Encoded": "AAAA", "mimeType": "image/png"}, "video": {"gcsUri": "gs://b/c.mp4"}}],
        "parameters": {"dimension": 128},
    }
    prediction = {"textEmbedding": [0.1], "imageEmbedding": [0.2], "videoEmbeddings": [{"embedding": [0.3]}, {"embedding": [0.4]}]}
    decoded = decode(embeddings({"predictions": [prediction]}, request, url=VERTEX + "multimodalembedding@001:predict"))

    assert (1, 4, 128) == (decoded.input.count, decoded.response.embedding_count, decoded.embeddings.dimension.count)
    assert [Text, Blob, Uri] == [type(part) for part in decoded.input.messages[0].parts]


@pytest.mark.parametrize(
    ("model", "instance", "expected"),
    [
        ("models/text-embedding-005", {"content": "a"}, True),
        ("models/textembedding-gecko@003", {"content": "a"}, True),
        ("endpoints/123", {"content": "a", "task_type": "x"}, True),
        ("endpoints/123", {"content": "a"}, False),
        ("models/imagen-4", {"prompt": "a"}, False),
        ("models/veo-3", {"prompt": "a", "image": {}}, False),
        ("models/text-bison", {"content": "a"}, False),
        ("models/text-embedding-005", {"prompt": "a"}, False),
        ("models/text-embedding-005", 7, False),
    ],
)
def test_only_some_predictions_are_embeddings(embeddings, model, instance, expected):
    """Models of every kind are asked that way."""
    url = f"https://aiplatform.googleapis.com/v1/projects/p/locations/l/{model}:predict"

    assert expected is not isinstance(decode(embeddings({"predictions": []}, {"instances": [instance]}, url=url)), Unknown)


@pytest.mark.parametrize(("model", "expected"), [("text-embedding-005", True), ("imagen-4", False)])
def test_a_prediction_whose_request_is_not_there(embeddings, model, expected):
    """The model's name has to do."""
    exchange = embeddings({"predictions": []}, b"x", url=f"{VERTEX}{model}:predict", request_body=None)

    assert expected is not isinstance(decode(exchange), Unknown)


@pytest.mark.parametrize("status", [400, 200])
def test_an_error(embeddings, status):
    """Whatever the status says."""
    decoded = decode(embeddings({"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}, status_code=status))

    assert (Error(type="INVALID_ARGUMENT", message="no", code="400"), None) == (decoded.error, decoded.response.embedding_count)


def test_vectors_are_never_kept(embeddings):
    """Nowhere in the record."""
    decoded = decode(embeddings({"embeddings": [{"values": [0.123456789]}]}))

    assert "0.123456789" not in repr(decoded)


@pytest.mark.parametrize("answer", [b"data: {}\n\n", b": x\n\n", b"data: [[1]]\n\n"])
def test_a_stream_that_should_be_none(embeddings, answer):
    """It is read for what it is."""
    assert 0 == decode(embeddings(answer)).response.embedding_count


@pytest.mark.parametrize("embedding", [7, None, {}, {"values": 7}, [], json.dumps("x")])
def test_vectors_of_the_wrong_shape(embeddings, embedding):
    """They are counted; their length is not known."""
    decoded = decode(embeddings({"embeddings": [embedding]}))

    assert (1, None) == (decoded.response.embedding_count, decoded.embeddings)
