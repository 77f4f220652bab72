"""One exchange to one :class:`Decoded`: what the bytes say, and what is certain where they say nothing.

``status`` is ``cancelled`` where the application cancelled; ``error`` where the provider, HTTP or the client said so; ``truncated`` where
the answer lacks its end; else ``ok``.
"""

import operator

import msgspec

from llm_observe.records import (
    CallResponse,
    Conversation,
    Cut,
    Decoded,
    Dimension,
    Embeddings,
    Error,
    Exchange,
    Input,
    Message,
    Operation,
    Output,
    Status,
    Tool,
    Wire,
)
from llm_observe.wire.answer import Answer, Asked, finish_reason, retry_delay
from llm_observe.wire.body import Body, body_of
from llm_observe.wire.endpoints import Endpoints
from llm_observe.wire.failure import failure
from llm_observe.wire.format import Format
from llm_observe.wire.formats import NO_ENDPOINTS, Spoken, matched, request_document
from llm_observe.wire.headers import provider_request_id, retry_after
from llm_observe.wire.jsonio import MALFORMED, encodable, mapping, text
from llm_observe.wire.limits import processing_time, rate_limits
from llm_observe.wire.others import other

DONE = b"[DONE]"
_SHORT = 40  # bytes; no event with something of an answer in it is shorter, every heartbeat is

MOST_CHUNKS = 10_000
"""Chunks of a stream whose times are kept: a body of the largest size has a hundred times as many at worst."""

SHED = "response left out for want of room"


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange that is no model call, or none that can be read."""

    reason: str


def decode(exchange: Exchange, endpoints: Endpoints = NO_ENDPOINTS) -> Decoded | Unknown:
    """What the bytes of *exchange* say, with the user's own *endpoints* beside the table. Never raises: where our reading fails, what is certain is still told."""
    try:
        body = request_document(exchange)
        spoken = matched(exchange, body, endpoints)
    except Exception as error:  # an exchange that is itself broken; the sink goes on
        return Unknown(reason=f"unreadable exchange: {type(error).__name__}")
    if spoken is None:
        what = other(exchange)
        said = f"no inference: it {what}" if what else "no known format"
        return Unknown(reason=f"{said}: {exchange.method} {exchange.path[:200]}")
    form, reason = spoken.format, None
    try:
        asked = form.asked(None if body is MALFORMED else body, exchange)
    except Exception as error:
        asked, reason = Asked(), f"request not read: {type(error).__name__}"
    try:
        received, answer = _answer(form, exchange)
    except Exception as error:
        received, answer = Body(reason=f"response not read: {type(error).__name__}"), Answer(complete=False)
    if reason is None and body is MALFORMED and exchange.request_body:
        reason = "request is no JSON"
    return _decoded(exchange, spoken, asked, received, answer, received.reason or answer.reason or reason)


def _answer(form: Format, exchange: Exchange) -> tuple[Body, Answer]:
    if "response" in exchange.shed:
        return Body(reason=SHED), Answer(complete=None)
    if exchange.status_code is None and not exchange.chunks:
        return Body(), Answer(complete=None)
    failed = exchange.status_code is not None and exchange.status_code >= 400
    body = body_of(exchange, arrays=form.arrays and not failed)
    if body.events is not None:
        return body, form.streamed(body.events, exchange)
    if body.document is MALFORMED:
        error = form.failed(None, exchange) if failed else None  # it may be told in a header alone
        return body, Answer(error=error, complete=failed and exchange.end in {"eof", "closed"})  # errors may be a page of HTML
    if failed:
        return body, Answer(
            error=form.failed(body.document, exchange),
            request_id=text(mapping(body.document).get("request_id")),
            retry_after=retry_delay(body.document),
        )
    return body, form.answered(body.document, exchange)


def _decoded(exchange: Exchange, spoken: Spoken, asked: Asked, body: Body, answer: Answer, reason: str | None) -> Decoded:
    error = failure(exchange, body, answer)
    complete = None if body.lacking and not answer.complete else answer.complete
    raw, reasons = answer.reasons, answer.mapped
    if reasons is None:
        given = complete is False or any(raw)  # else a server that gives none
        reasons = tuple(map(_reason, raw)) if given else ()
    messages = tuple(
        [
            Message(role=role, parts=parts, finish_reason=reasons[n] if n < len(reasons) else None)
            for n, (role, parts) in enumerate(answer.choices)
        ]
    )
    gap, headers = bool(exchange.tail), exchange.response_headers
    first_chunk_at, gaps = _chunks(body) if body.times else (None, ())
    dimension = asked.dimension or answer.dimension
    # In two steps: Python makes a dict of more than fifteen keywords first, which takes three times as long.
    usual = Decoded(
        operation=Operation(name=asked.operation) if asked.operation else spoken.operation,
        provider=spoken.provider,
        wire=Wire(
            format=spoken.name,
            client=exchange.client or None,
            status_code=exchange.status_code,
            finish_reasons=raw if None not in raw else tuple([one for one in raw if one is not None]),  # type: ignore[arg-type]  # none is None
            complete=complete,
            end=exchange.end,
            reason=reason,
            request_size=exchange.request_size or _request_size(exchange),
            response_size=exchange.response_size or _response_size(exchange),
            chunk_count=None if gap or "response" in exchange.shed else len(exchange.chunks),
        ),
        status=_status(exchange, error, complete=complete),
        server=spoken.server,
        request=asked.request,
        response=CallResponse(
            id=answer.id,
            model=answer.model,
            finish_reasons=reasons,
            status=answer.status,
            chunk_gaps=() if gap else gaps,
            embedding_count=None if gap else answer.embedding_count,
            service_tier=answer.service_tier,
            system_fingerprint=answer.system_fingerprint,
        ),
        usage=answer.usage,
        system_instructions=asked.system,
        input=Input(messages=asked.messages, count=asked.count if asked.messages or exchange.request_ends is None else None),
        output=Output(messages=messages, type=asked.output_type, schema=asked.schema),
        tool=Tool(definitions=asked.tools),
        error=error,
        provider_request_id=encodable(provider_request_id(headers)) or answer.request_id,
        rate_limits=rate_limits(headers),
    )
    return msgspec.structs.replace(
        usual,
        conversation=_conversation(asked.conversation, answer.conversation) if asked.conversation or answer.conversation else None,
        prompt=asked.prompt,
        embeddings=Embeddings(dimension=Dimension(count=dimension)) if dimension else None,
        retry_after=_either(retry_after(headers), answer.retry_after),
        processing_time=_either(processing_time(headers), answer.processing_time),
        first_chunk_at=first_chunk_at,
        first_content_at=None if answer.first_content is None else _at(body.times, answer.first_content),
        truncated=_truncated(exchange) if exchange.shed or gap else {},
    )


def _reason(raw: str | None) -> str:
    """The convention's word for one of the wire's; one that never came is an error."""
    return "error" if raw is None else finish_reason(raw)


def _status(exchange: Exchange, error: Error | None, *, complete: bool | None) -> Status:
    if exchange.end == "cancelled":
        return "cancelled"
    if error is not None or exchange.end == "error":
        return "error"
    if exchange.status_code is None:
        return "truncated"  # given up before an answer came
    return "truncated" if complete is False else "ok"


def _conversation(asked: Conversation | None, answered: Conversation | None) -> Conversation | None:
    """What either side says of it: the request names it, the answer tells that it was compacted."""
    if asked is None or answered is None:
        return asked or answered
    return Conversation(id=asked.id or answered.id, compacted=asked.compacted or answered.compacted)


def _either(header: float | None, body: float | None) -> float | None:
    return body if header is None else header


def _chunks(body: Body) -> tuple[int | None, tuple[int, ...]]:
    """When the first chunk of the stream came, and the microseconds from each to the next."""
    if not body.times or not body.events:
        return None, ()
    events, times = body.events, body.times
    if events[-1] == DONE:
        events, times = events[:-1], times[: len(events) - 1]
    if min(map(len, events), default=0) < _SHORT:
        times = [at for event, at in zip(events, times, strict=False) if not _is_heartbeat(event)]
    if not times:
        return None, ()
    first = times[0]
    whole = [(at - first) // 1000 for at in times[:MOST_CHUNKS]]  # the gaps add up: each instant is rounded once
    return first, tuple(map(operator.sub, whole[1:], whole))


def _is_heartbeat(event: bytes) -> bool:
    """Whether an event is no output of the model."""
    return len(event) < _SHORT and (b'"ping"' in event or event == DONE)


def _at(times: list[int], event: int) -> int | None:
    return times[event] if event < len(times) else None


def _request_size(exchange: Exchange) -> int:
    return exchange.request_size or len(exchange.request_body or b"")


def _response_size(exchange: Exchange) -> int:
    return exchange.response_size or sum(map(len, exchange.chunks)) + sum(map(len, exchange.tail))


def _truncated(exchange: Exchange) -> dict[str, Cut]:
    cuts = {}
    if "request" in exchange.shed:
        cuts["input.messages"] = Cut(bytes=_request_size(exchange))
    if "response" in exchange.shed or exchange.tail:
        cuts["output.messages"] = Cut(bytes=_response_size(exchange))
    return cuts
