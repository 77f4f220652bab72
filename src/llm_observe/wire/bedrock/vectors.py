"""Models on Bedrock that embed: Titan, Nova, Marengo. Never the vectors: how many, and how long they are. Cohere's are read as at home."""

from typing import Any

from llm_observe.records import AnyPart, CallRequest, Exchange, Message
from llm_observe.wire.answer import Answer, Asked, error_of, text_parts, usage
from llm_observe.wire.jsonio import Document, integer, items, mapping, text
from llm_observe.wire.media import blob, linked

_PARAMS = ("singleEmbeddingParams", "segmentedEmbeddingParams")
_MEDIA = ("image", "video", "audio")
_BITS = ("binary", "ubinary")


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request: what is to be embedded as one vector is one message, whatever it is of."""
    body = mapping(body)
    told = next((params for name in _PARAMS if (params := mapping(body.get(name)))), body)
    kinds = items(body.get("embeddingTypes"))
    parts = _parts(told)
    length = _first(
        body.get("dimensions"), told.get("embeddingDimension"), mapping(body.get("embeddingConfig")).get("outputEmbeddingLength")
    )
    return Asked(
        request=CallRequest(encoding_formats=tuple(kind for kind in kinds if type(kind) is str)),
        messages=(Message(role="user", parts=parts),) if parts else (),
        count=1 if parts else None,
        dimension=length,
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """The answer. Titan has the same vector once for each type that was asked for."""
    document = mapping(document)
    vectors = _vectors(document)
    return Answer(
        id=text(document.get("id")),
        usage=usage(input=integer(document.get("inputTextTokenCount")), output=None),
        embedding_count=len(vectors),
        dimension=len(vectors[0]) or None if vectors else None,
        error=error_of(document) if "error" in document else None,
    )


def _vectors(document: Document) -> list[list[Any]]:
    by_type = mapping(document.get("embeddingsByType"))
    one = items(document.get("embedding")) or next((vector for vector in map(items, by_type.values()) if vector), [])
    if one:
        return [one]
    several = items(document.get("embeddings")) or items(document.get("data"))
    return [items(mapping(item).get("embedding")) if type(item) is dict else items(item) for item in several]


def _parts(told: Document) -> tuple[AnyPart, ...]:
    """Text, plain or under its name; a picture's base64; media with their source."""
    words = mapping(told.get("text"))
    parts = text_parts(told.get("inputText")) + text_parts(words.get("value")) + text_parts(words.get("inputText"))
    if "inputImage" in told:
        parts += (blob("image", told["inputImage"]),)
    for kind in (*_MEDIA, "mediaSource"):
        medium = mapping(told.get(kind))
        source = mapping(medium.get("source")) or mapping(medium.get("mediaSource")) or medium
        parts += _medium(kind if kind in _MEDIA else text(told.get("inputType")) or "video", source)
    return parts


def _medium(kind: str, source: Document) -> tuple[AnyPart, ...]:
    if uri := text(mapping(source.get("s3Location")).get("uri")):
        return (linked(kind, uri),)
    data = text(source.get("bytes")) or text(source.get("base64String"))
    return (blob(kind, data),) if data else ()


def _first(*values: Any) -> int | None:
    return next((count for value in values if (count := integer(value)) is not None), None)
