"""Ollama's embeddings: ``embed``, and ``embeddings`` before it. Never the vectors: how many, and how long they are."""

from collections.abc import Sequence
from typing import Any

import msgspec

from llm_observe.records import Exchange, Message
from llm_observe.wire.answer import Answer, Asked, error_of, text_parts
from llm_observe.wire.jsonio import integer, items, load, mapping, text
from llm_observe.wire.ollama.fields import duration_of, request_of, usage_of


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request: a text or several; in the older way a prompt."""
    body = mapping(body)
    given = body.get("input", body.get("prompt"))
    inputs = items(given) if type(given) is list else [] if given is None else [given]
    return Asked(
        request=msgspec.structs.replace(request_of(body), stream=None),
        messages=tuple(Message(role="user", parts=text_parts(value)) for value in inputs),
        count=len(inputs) if given is not None else None,
        dimension=integer(body.get("dimensions")),
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """The answer. An empty vector is the older way's for an empty prompt."""
    document = mapping(document)
    vectors = [document["embedding"]] if "embedding" in document else items(document.get("embeddings"))
    vectors = [vector for vector in vectors if items(vector)]
    return Answer(
        model=text(document.get("model")),
        usage=usage_of(document),
        embedding_count=len(vectors) if "embedding" in document or "embeddings" in document else None,
        dimension=len(vectors[0]) if vectors else None,
        error=error_of(document),
        processing_time=duration_of(document),
    )


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """Embeddings come in one piece; the first event is taken for it."""
    return answered(load(events[0]) if events else None, exchange)
