"""Reranking: a query, and documents put in the order of how well they answer it. With Cohere, and those that took over its format.

Of the answer the order is kept, with its scores. The query and the documents are no messages, and the record has no place for them.
"""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import CallRequest, Exchange, Generic, Usage
from llm_observe.wire.answer import Answer, Asked, error_of, usage
from llm_observe.wire.cohere.usage import usage_of
from llm_observe.wire.jsonio import Document, integer, items, load, mapping, text
from llm_observe.wire.media import scrubbed


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request."""
    return Asked(request=CallRequest(model=text(mapping(body).get("model"))))


def answered(document: Any, exchange: Exchange) -> Answer:
    """The answer: ``results``, or ``data`` with Voyage AI."""
    document = mapping(document)
    results = items(document.get("results")) or items(document.get("data"))
    ranked = Generic(generic_type="rerank_results", content=scrubbed(results))
    return Answer(
        id=text(document.get("id")),
        model=text(document.get("model")),
        choices=(("assistant", (ranked,)),) if results else (),
        usage=_usage(document),
        error=error_of(document),
    )


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """Results come in one piece; the first event is taken for it."""
    return answered(load(events[0]) if events else None, exchange)


def _usage(document: Document) -> Usage:
    """Cohere's counts, or those of the others: all their tokens are input."""
    counts = mapping(document.get("usage"))
    if not counts:
        return usage_of(mapping(document.get("meta")))
    whole = integer(counts.get("prompt_tokens"))
    return usage(input=integer(counts.get("total_tokens")) if whole is None else whole, output=None)
