"""Cohere's embed. Never the vectors: how many, and how long they are."""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import AnyPart, CallRequest, Exchange, Message
from llm_observe.wire.answer import Answer, Asked, error_of, text_parts
from llm_observe.wire.cohere.parts import content_parts
from llm_observe.wire.cohere.usage import usage_of
from llm_observe.wire.jsonio import integer, items, load, mapping, text
from llm_observe.wire.media import linked

_PACKED = 8  # dimensions in a byte of the binary kinds


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request: texts, pictures, or inputs that may be of both."""
    body = mapping(body)
    inputs = [value for kind in ("texts", "images", "inputs") for value in items(body.get(kind))]
    return Asked(
        request=CallRequest(
            model=text(body.get("model")), encoding_formats=tuple(kind for kind in items(body.get("embedding_types")) if type(kind) is str)
        ),
        messages=tuple(
            Message(role="user", parts=parts)
            for kind, read in (("texts", text_parts), ("images", _picture), ("inputs", _mixed))
            for parts in map(read, items(body.get(kind)))
        ),
        count=len(inputs) if any(kind in body for kind in ("texts", "images", "inputs")) else None,
        dimension=integer(body.get("output_dimension")),
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """The answer. The same inputs are there once for each type of embedding that was asked for."""
    document = mapping(document)
    embeddings = document.get("embeddings")
    kinds = mapping(embeddings) if type(embeddings) is dict else {"float": embeddings}
    sets = {kind: items(vectors) for kind, vectors in kinds.items() if items(vectors)}
    sizes = [size for kind, vectors in sets.items() if (size := _length(kind, vectors[0]))]
    return Answer(
        id=text(document.get("id")),
        model=text(document.get("model")),
        usage=usage_of(mapping(document.get("meta"))),
        embedding_count=max(map(len, sets.values()), default=0) if "embeddings" in document else None,
        dimension=sizes[0] if sizes else None,
        error=error_of(document),
    )


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """Embeddings come in one piece; the first event is taken for it."""
    return answered(load(events[0]) if events else None, exchange)


def _picture(image: Any) -> tuple[AnyPart, ...]:
    return (linked("image", url),) if (url := text(image)) else ()


def _mixed(value: Any) -> tuple[AnyPart, ...]:
    return content_parts(mapping(value).get("content"), [])


def _length(kind: str, vector: Any) -> int | None:
    """The dimensions of a vector: numbers, or packed by eights; base64 is of four bytes each."""
    if type(vector) is list:
        return len(vector) * (_PACKED if "binary" in kind else 1)
    return len(vector) * 3 // 16 if type(vector) is str else None
