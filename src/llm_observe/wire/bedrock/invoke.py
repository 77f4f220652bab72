"""Bedrock's InvokeModel, plain and streamed: the envelope around bodies that are native to a family of models.

The model stands in the address, the counts of tokens in headers or at the end of the stream: they are taken where the body has none.
"""

import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from llm_observe.records import Error, Exchange, Usage
from llm_observe.wire.answer import Answer, Asked, usage
from llm_observe.wire.bedrock.errors import exception_in
from llm_observe.wire.bedrock.families import asking, saying, streaming
from llm_observe.wire.bedrock.home import addressed
from llm_observe.wire.jsonio import Document, encodable, integer, load, mapping, number

_METRICS = "amazon-bedrock-invocationMetrics"
_MARK = _METRICS.encode()
_MOST_DIGITS = 15


def asked(body: Any, exchange: Exchange, *, stream: bool = False) -> Asked:
    """The request."""
    family = asking(body, exchange)
    told = family.asked(body, exchange) if family else Asked()
    return msgspec.structs.replace(
        told, operation=family.operation if family else None, request=addressed(told.request, exchange, stream=stream)
    )


def asked_streaming(body: Any, exchange: Exchange) -> Asked:
    """The request for a stream: its path says so."""
    return asked(body, exchange, stream=True)


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer."""
    told = saying(document).answered(document, exchange)
    return _with(told, _header_counts(exchange.response_headers), exchange)


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream: the model's own end ends it, or the metrics that Bedrock puts into the last event."""
    inner: list[bytes] = []
    metrics: Document = {}
    error: Error | None = None
    for data in events:
        event = load(data)
        piece = _unpacked(event)
        if piece is None:  # a gateway may have unpacked it already
            piece = data
            if type(event) is dict and (raised := exception_in(event)) is not None:
                error, piece = error or raised, b"{}"
        if _MARK in piece:
            metrics = mapping(mapping(load(piece)).get(_METRICS)) or metrics
        inner.append(piece)
    told = streaming(inner).streamed(inner, exchange)
    latency = number(metrics.get("invocationLatency"))
    told = msgspec.structs.replace(
        told,
        error=error or told.error,
        complete=told.complete or bool(metrics),
        processing_time=told.processing_time if latency is None else latency / 1000,
    )
    return _with(told, _metrics_counts(metrics), exchange)


def _unpacked(event: Any) -> bytes | None:
    """What an event holds: ``{"chunk": {"bytes": base64}}``; nothing where it is none of these."""
    packed = mapping(mapping(event).get("chunk")).get("bytes")
    if type(packed) is not str:
        return None
    try:
        return binascii.a2b_base64(packed)
    except ValueError:  # binascii.Error is one, and so is what is said of text that is not ASCII
        return b""


def _with(told: Answer, counts: Usage, exchange: Exchange) -> Answer:
    """*told* with the counts that its body does not have, and the tier that served it."""
    known = told.usage
    if known.input_tokens is None:
        known = msgspec.structs.replace(
            known,
            input_tokens=counts.input_tokens,
            cache_read=known.cache_read or counts.cache_read,
            cache_write=known.cache_write or counts.cache_write,
        )
    if known.output_tokens is None:
        known = msgspec.structs.replace(known, output_tokens=counts.output_tokens)
    tier = told.service_tier or encodable(exchange.response_headers.get("x-amzn-bedrock-service-tier"))
    return msgspec.structs.replace(told, usage=known, service_tier=tier)


def _header_counts(headers: Mapping[str, str]) -> Usage:
    names = ("input", "output", "cache-read-input", "cache-write-input")
    return _counts(*(_whole(headers.get(f"x-amzn-bedrock-{name}-token-count")) for name in names))


def _metrics_counts(metrics: Document) -> Usage:
    names = ("input", "output", "cacheReadInput", "cacheWriteInput")
    return _counts(*(integer(metrics.get(f"{name}TokenCount")) for name in names))


def _counts(fresh: int | None, output: int | None, read: int | None, written: int | None) -> Usage:
    """A usage with the cached tokens in the input: they are given beside it."""
    whole = None if fresh is None else fresh + (read or 0) + (written or 0)
    return usage(input=whole, output=output, cache_read=read, cache_write=written)


def _whole(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS else None
