"""OpenAI's embeddings, which Mistral, Voyage and others speak. The vectors are counted and measured, never kept."""

from collections.abc import Sequence
from typing import Any

import msgspec

from llm_observe.records import CallRequest, Exchange
from llm_observe.wire.answer import Answer, Asked, error_of
from llm_observe.wire.jsonio import Document, integer, items, load, mapping, text
from llm_observe.wire.openai.inputs import count_of, messages_of
from llm_observe.wire.openai.parameters import call_request
from llm_observe.wire.openai.usage import embeddings_usage
from llm_observe.wire.provider import known_host

_BITS = {"int8": 8, "uint8": 8, "binary": 1, "ubinary": 1}  # of one number of a vector, where it is no float
_FLOAT = 32


def agrees(body: Any, exchange: Exchange) -> bool:
    """Vector stores and applications have ``/embeddings`` of their own: where the host is nobody's, look for a model and an input."""
    if known_host(exchange):
        return True
    return type(body) is dict and type(body.get("model")) is str and type(body.get("input")) in {str, list}


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request."""
    body = mapping(body)
    formats = (text(body.get("encoding_format")), text(body.get("output_dtype")))
    given = body.get("input")
    return Asked(
        request=_with_formats(body, exchange, tuple(form for form in formats if form)),
        messages=messages_of(given),
        count=count_of(given),
        dimension=_dimensions(body),
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """The answer."""
    document = mapping(document)
    vectors = [item["embedding"] for item in items(document.get("data")) if type(item) is dict and "embedding" in item]
    return Answer(
        id=text(document.get("id")),
        model=text(document.get("model")),
        usage=embeddings_usage(mapping(document.get("usage"))),
        embedding_count=len(vectors) if type(document.get("data")) is list else None,
        dimension=_length(vectors[0], exchange) if vectors else None,
        error=error_of(document),
    )


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """Nobody streams vectors: whatever says to be a stream is read as the document it holds."""
    return answered(load(events[0]) if events else None, exchange)


def _with_formats(body: Document, exchange: Exchange, formats: tuple[str, ...]) -> CallRequest:
    request = call_request(body, exchange)
    return msgspec.structs.replace(request, encoding_formats=formats) if formats else request


def _dimensions(body: Document) -> int | None:
    """The length that was asked for; Voyage and Mistral call it ``output_dimension``."""
    asked_for = integer(body.get("dimensions"))
    return integer(body.get("output_dimension")) if asked_for is None else asked_for


def _length(vector: Any, exchange: Exchange) -> int | None:
    """How many numbers a vector has: a list of them, or their bytes in base64. Narrow ones come packed, eight bits to a number at least."""
    bits = _bits(exchange)
    if type(vector) is str:
        return (len(vector) * 3 // 4 - vector[-2:].count("=")) * 8 // bits
    numbers = items(vector)
    if numbers and type(numbers[0]) is list:
        numbers = numbers[0]  # a vector for each token
    return len(numbers) * (8 if bits == 1 else 1)


def _bits(exchange: Exchange) -> int:
    body = exchange.request_body or b""
    dtype = mapping(load(body)).get("output_dtype") if b'"output_dtype"' in body else None
    return _BITS.get(dtype, _FLOAT) if type(dtype) is str else _FLOAT
