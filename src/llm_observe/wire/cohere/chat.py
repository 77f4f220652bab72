"""Cohere's chat: the second version here, the first in :mod:`llm_observe.wire.cohere.v1`. Which one it is shows in the body.

A stream is folded into the message that a plain answer would have held, and then both go one way.
"""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import CallRequest, Error, Exchange
from llm_observe.wire.answer import UNKNOWN_ERROR, Answer, Asked, error_of, unread_reason
from llm_observe.wire.cohere import v1
from llm_observe.wire.cohere.fold import Folded
from llm_observe.wire.cohere.parts import documents_of, message_of, parts_of, tool_definition, with_parts
from llm_observe.wire.cohere.usage import usage_of
from llm_observe.wire.jsonio import MALFORMED, Document, integer, items, load, mapping, number, text

DONE = b"[DONE]"


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request, of either version."""
    body = mapping(body)
    if "message" in body:
        return v1.asked(body, parameters(body))
    messages = body.get("messages")
    told = [message_of(message) for message in items(messages) if type(message) is dict]
    form = mapping(body.get("response_format"))
    return Asked(
        request=parameters(body),
        messages=with_parts(told, documents_of(body)),
        count=len(messages) if type(messages) is list else None,
        tools=tuple(tool_definition(tool) for tool in items(body.get("tools")) if type(tool) is dict),
        output_type=v1.output_type(form),
        schema=v1.schema_of(form),
    )


def parameters(body: Document) -> CallRequest:
    """What both versions name alike."""
    return CallRequest(
        model=text(body.get("model")),
        stream=True if body.get("stream") is True else None,
        max_tokens=integer(body.get("max_tokens")),
        temperature=number(body.get("temperature")),
        top_p=number(body.get("p")),
        top_k=integer(body.get("k")),
        frequency_penalty=number(body.get("frequency_penalty")),
        presence_penalty=number(body.get("presence_penalty")),
        stop_sequences=tuple(stop for stop in items(body.get("stop_sequences")) if type(stop) is str),
        seed=integer(body.get("seed")),
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer, of either version. One event alone is the beginning of a stream."""
    document = mapping(document)
    if "event_type" in document:
        return v1.folded([document])
    if "text" in document or "generation_id" in document:
        return v1.answered(document)
    message = mapping(document.get("message"))
    return Answer(
        id=text(document.get("id")),
        model=text(document.get("model")),
        choices=((text(message.get("role")) or "assistant", parts_of(message)),) if message else (),
        reasons=(text(document.get("finish_reason")),) if message else (),
        usage=usage_of(mapping(document.get("usage"))),
        error=error_of(document),
    )


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream, of either version: ``message-end`` ends the second's, ``stream-end`` the first's."""
    documents = [None if event == DONE else load(event) for event in events]
    if any("event_type" in mapping(document) for document in documents):
        return v1.folded(documents)
    message = Folded()
    said_id: str | None = None
    end: Document = {}
    error: Error | None = None
    begun, complete, unread = False, DONE in events, 0
    first_content: int | None = None
    for place, event in enumerate(documents):
        if type(event) is not dict:
            unread += event is MALFORMED
            continue
        kind, delta = text(event.get("type")) or "", mapping(event.get("delta"))
        begun = begun or bool(delta)
        if kind == "message-end":
            complete, end = True, delta
            error = error or _error(delta)
        elif "error" in event or not kind:
            error = error or v1.failure(event)
        elif message.add(kind, integer(event.get("index")) or 0, mapping(delta.get("message"))) and first_content is None:
            first_content = place
        if "id" in event:
            said_id = said_id or text(event["id"])
    whole = message.whole()
    return Answer(
        id=said_id,
        choices=((text(whole.get("role")) or "assistant", parts_of(whole)),) if begun else (),
        reasons=(text(end.get("finish_reason")),) if begun else (),
        usage=usage_of(mapping(end.get("usage"))),
        error=error,
        complete=complete,
        reason=unread_reason(unread),
        first_content=first_content,
    )


def _error(delta: Document) -> Error | None:
    """Why the message ended, where it is a failure: its words, its type in the provider's finest word."""
    message = text(delta.get("error"))
    if message is None:
        return error_of(delta)
    return Error(type=text(delta.get("error_type")) or text(delta.get("finish_reason")) or UNKNOWN_ERROR, message=message)
