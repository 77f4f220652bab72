"""Anthropic's text completions, as they were before Messages: a prompt with its turns written out, and its continuation. No tokens are counted."""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import CallRequest, Error, Exchange, Message
from llm_observe.wire.answer import Answer, Asked, error_of, text_parts, unread_reason
from llm_observe.wire.jsonio import MALFORMED, Document, integer, items, load, mapping, number, text
from llm_observe.wire.provider import known_host

DONE = b"[DONE]"

_WHOLE_SO_FAR = "2023-01-01"  # the first version of the API: each event repeats all that was said, and none tells its type


def agrees(body: Any, exchange: Exchange) -> bool:
    """A prompt and a bound for its continuation, which nobody else calls so."""
    if type(body) is not dict:
        return "anthropic-version" in exchange.request_headers or known_host(exchange)
    return type(body.get("prompt")) is str and "max_tokens_to_sample" in body


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request: the prompt is the one message."""
    body = mapping(body)
    prompt = body.get("prompt")
    return Asked(
        request=CallRequest(
            model=text(body.get("model")),
            stream=True if body.get("stream") is True else None,
            max_tokens=integer(body.get("max_tokens_to_sample")),
            temperature=number(body.get("temperature")),
            top_p=number(body.get("top_p")),
            top_k=integer(body.get("top_k")),
            stop_sequences=tuple(stop for stop in items(body.get("stop_sequences")) if type(stop) is str),
        ),
        messages=(Message(role="user", parts=text_parts(prompt)),) if type(prompt) is str else (),
        count=1 if type(prompt) is str else None,
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer."""
    document = mapping(document)
    return _answer(document, error=error_of(document), complete=True)


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream: the event with the reason ends it."""
    pieces: list[str] = []
    said: Document = {}
    error: Error | None = None
    typed, complete, unread = False, False, 0
    first_content: int | None = None
    for place, data in enumerate(events):
        if data == DONE:
            complete = True
            continue
        event = load(data)
        if type(event) is not dict:
            unread += event is MALFORMED
            continue
        typed = typed or "type" in event
        if "completion" in event:
            said |= {name: value for name, value in event.items() if value is not None}
            complete = complete or text(event.get("stop_reason")) is not None
            if piece := text(event["completion"]):
                pieces.append(piece)
                first_content = place if first_content is None else first_content
        elif "error" in event:
            error = error or error_of(event)
    version = exchange.request_headers.get("anthropic-version")
    repeated = not typed if version is None else version == _WHOLE_SO_FAR
    if said:
        said["completion"] = "".join(pieces[-1:] if repeated else pieces)
    return _answer(said, error=error, complete=complete, reason=unread_reason(unread), first_content=first_content)


def _answer(
    document: Document, *, error: Error | None, complete: bool, reason: str | None = None, first_content: int | None = None
) -> Answer:
    begun = "completion" in document
    return Answer(
        id=text(document.get("id")) or text(document.get("log_id")),
        model=text(document.get("model")),
        choices=(("assistant", text_parts(document.get("completion"))),) if begun else (),
        reasons=(text(document.get("stop_reason")),) if begun else (),
        error=error,
        complete=complete,
        request_id=text(document.get("request_id")),
        reason=reason,
        first_content=first_content,
    )
