"""Embeddings: ``embedContent`` and ``batchEmbedContents``, and ``predict``, Vertex AI's older way. Never the vectors, only how many and how long."""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import AnyPart, CallRequest, Exchange, Message, Usage
from llm_observe.wire.answer import Answer, Asked, error_of, retry_delay, text_parts, usage
from llm_observe.wire.gemini.fields import member, model_of, several
from llm_observe.wire.gemini.parts import content_parts, file_part
from llm_observe.wire.gemini.usage import embedding_usage
from llm_observe.wire.jsonio import Document, integer, items, load, mapping, text
from llm_observe.wire.media import blob


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request: one content, or several requests of one each."""
    body = mapping(body)
    known = "requests" in body or "content" in body
    requests = [request for request in several(body.get("requests")) if type(request) is dict] if "requests" in body else [body] * known
    inputs = [content_parts(request.get("content")) for request in requests]
    configs = [mapping(member(request, "embedContentConfig")) or request for request in requests]
    dimension = next((size for config in configs if (size := integer(member(config, "outputDimensionality"))) is not None), None)
    return _asked(exchange, body, inputs, dimension, known=known)


def asked_of_predict(body: Any, exchange: Exchange) -> Asked:
    """The request of the older way: each instance is a text, or a text and media."""
    body = mapping(body)
    parameters = mapping(body.get("parameters"))
    size = integer(member(parameters, "outputDimensionality"))
    inputs = [_instance(instance) for instance in several(body.get("instances")) if type(instance) is dict]
    dimension = integer(parameters.get("dimension")) if size is None else size
    return _asked(exchange, body, inputs, dimension, known="instances" in body)


def predicts_embeddings(body: Any, exchange: Exchange) -> bool:
    """Whether a ``predict`` is for embeddings: models of every kind are asked that way."""
    named = "embedding" in (model_of(exchange.path) or "")
    if type(body) is not dict:
        return named
    instances = [mapping(instance) for instance in several(body.get("instances"))]
    texts = [instance for instance in instances if type(instance.get("content")) is str]
    if named:
        return bool(texts) or any(kind in instance for instance in instances for kind in ("text", "image", "video"))
    return any(member(instance, "taskType") is not None for instance in texts)


def answered(document: Any, exchange: Exchange) -> Answer:
    """The answer of either way."""
    document = mapping(document)
    if error := error_of(document):
        return Answer(error=error, retry_after=retry_delay(document))
    embeddings = [document["embedding"]] if "embedding" in document else items(document.get("embeddings"))
    vectors = [_values(embedding) for embedding in embeddings]
    counts = embedding_usage(member(document, "usageMetadata"))
    if "predictions" in document:
        predictions = [mapping(prediction) for prediction in items(document["predictions"])]
        vectors = [vector for prediction in predictions for vector in _vectors(prediction)]
        counts = _counted([mapping(prediction.get("embeddings")) for prediction in predictions])
    elif counts.input_tokens is None:
        counts = _counted([mapping(embedding) for embedding in embeddings])
    return Answer(usage=counts, embedding_count=len(vectors), dimension=next((len(vector) for vector in vectors if vector), None))


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """Embeddings come in one piece; the first event is taken for it."""
    return answered(load(events[0]) if events else None, exchange)


def _asked(exchange: Exchange, body: Document, inputs: list[tuple[AnyPart, ...]], dimension: int | None, *, known: bool) -> Asked:
    return Asked(
        request=CallRequest(model=model_of(exchange.path) or text(body.get("model"))),
        messages=tuple(Message(role="user", parts=parts) for parts in inputs),
        count=len(inputs) if known else None,
        dimension=dimension,
    )


def _instance(instance: Document) -> tuple[AnyPart, ...]:
    parts = list(text_parts(instance.get("content")) + text_parts(instance.get("text")))
    for kind in ("image", "video"):
        media = mapping(instance.get(kind))
        mime_type = text(member(media, "mimeType"))
        if uri := text(member(media, "gcsUri")):
            parts.append(file_part(uri, mime_type, kind))
        elif data := text(member(media, "bytesBase64Encoded")):
            parts.append(blob(kind, data, mime_type))
    return tuple(parts)


def _values(embedding: Any) -> list[Any]:
    return embedding if type(embedding) is list else items(mapping(embedding).get("values"))


def _vectors(prediction: Document) -> list[list[Any]]:
    """A text's vector, or those of a text, of a picture and of each part of a film."""
    found = [_values(prediction[name]) for name in ("embeddings", "textEmbedding", "imageEmbedding") if name in prediction]
    return found + [_values(mapping(part).get("embedding")) for part in items(prediction.get("videoEmbeddings"))]


def _counted(embeddings: list[Document]) -> Usage:
    """The tokens that each vector's statistics tell."""
    statistics = [mapping(embedding.get("statistics")) for embedding in embeddings]
    counts = [count for told in statistics if (count := integer(member(told, "tokenCount"))) is not None]
    return usage(input=sum(counts) if counts else None, output=None)
