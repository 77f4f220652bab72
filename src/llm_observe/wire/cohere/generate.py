"""Cohere's generate: a prompt and its continuations, one or several."""

from collections.abc import Sequence
from typing import Any

import msgspec

from llm_observe.records import Choice, Error, Exchange, Message
from llm_observe.wire.answer import Answer, Asked, error_of, text_parts, unread_reason
from llm_observe.wire.cohere.chat import parameters
from llm_observe.wire.cohere.usage import usage_of
from llm_observe.wire.cohere.v1 import failure
from llm_observe.wire.jsonio import MALFORMED, Document, integer, items, load, mapping, text


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request: the prompt is the one message."""
    body = mapping(body)
    prompt = body.get("prompt")
    request, several = parameters(body), integer(body.get("num_generations"))
    ends = tuple(end for end in items(body.get("end_sequences")) if type(end) is str)
    return Asked(
        request=msgspec.structs.replace(
            request, stop_sequences=request.stop_sequences + ends, choice=None if several is None or several == 1 else Choice(count=several)
        ),
        messages=(Message(role="user", parts=text_parts(prompt)),) if type(prompt) is str else (),
        count=1 if type(prompt) is str else None,
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer. One event alone is the beginning of a stream."""
    document = mapping(document)
    return _folded([document]) if "event_type" in document else _answer(document)


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream: ``stream-end`` ends it."""
    return _folded([load(event) for event in events])


def _answer(document: Document) -> Answer:
    generations = [generation for generation in items(document.get("generations")) if type(generation) is dict]
    return Answer(
        id=text(document.get("id")),
        choices=tuple(("assistant", text_parts(generation.get("text"))) for generation in generations),
        reasons=tuple(text(generation.get("finish_reason")) for generation in generations),
        usage=usage_of(mapping(document.get("meta"))),
        error=error_of(document),
    )


def _folded(events: Sequence[Any]) -> Answer:
    """The events of a stream. The last has the whole answer; without it, there is what came, one text a generation."""
    texts: dict[int, list[str]] = {}
    whole: Document = {}
    reason: str | None = None
    error: Error | None = None
    complete, unread = False, 0
    first_content: int | None = None
    for place, event in enumerate(events):
        if type(event) is not dict:
            unread += event is MALFORMED
            continue
        kind = event.get("event_type")
        if kind == "stream-end":
            complete, whole, reason = True, mapping(event.get("response")), text(event.get("finish_reason"))
        elif kind == "text-generation":
            said = text(event.get("text")) or ""
            texts.setdefault(integer(event.get("index")) or 0, []).append(said)
            if said and first_content is None:
                first_content = place
        else:
            reason = reason or text(event.get("finish_reason"))
            error = error or failure(event)
    if not items(whole.get("generations")):
        came = [{"text": "".join(texts[index]), "finish_reason": reason} for index in sorted(texts)]
        whole = whole | {"generations": came}
    changes: dict[str, Any] = {"error": error} if error else {}
    return msgspec.structs.replace(_answer(whole), complete=complete, reason=unread_reason(unread), first_content=first_content, **changes)
