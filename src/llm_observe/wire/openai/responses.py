"""OpenAI Responses: items in, items out. Azure, OpenRouter, DeepSeek and others speak it too.

The last event of a stream holds the whole response: the others are folded only where it never came. Fetching a response that was
asked for earlier gives the same document; its tokens were counted when it was made.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from llm_observe.records import AnyPart, Conversation, Error, Exchange, Message, Prompt, Text, Usage
from llm_observe.wire.answer import Answer, Asked, error_of, finish_reason, text_parts
from llm_observe.wire.body import body_of
from llm_observe.wire.jsonio import MALFORMED, Document, items, load, mapping, text
from llm_observe.wire.openai.items import is_call, message_of, parts_of
from llm_observe.wire.openai.parameters import call_request, output_form
from llm_observe.wire.openai.responsefold import Folded, content_at, finished_at
from llm_observe.wire.openai.tools import tool_definitions
from llm_observe.wire.openai.usage import response_usage
from llm_observe.wire.provider import known_host

_UNFINISHED = frozenset({"queued", "in_progress"})
_ASKED = ("input", "model", "prompt", "previous_response_id", "conversation")
_NOTHING_USED = Usage()


def agrees(body: Any, exchange: Exchange) -> bool:
    """Forms and surveys have ``/responses`` of their own: look for an input and a model, or a prompt; less will do at a provider's host."""
    if type(body) is not dict:
        return known_host(exchange)
    if known_host(exchange):
        return any(member in body for member in _ASKED)
    has_input = type(body.get("input")) is str or type(body.get("input")) is list
    return (has_input and type(body.get("model")) is str) or text(mapping(body.get("prompt")).get("id")) is not None


def is_fetch(body: Any, exchange: Exchange) -> bool:
    """Whether a GET fetches a response, not a list of its items: what was answered tells, else who was asked and by whom."""
    path = exchange.path.partition("?")[0].partition("#")[0]
    if "/" in path.rpartition("/responses/")[2]:
        return False
    told = _is_response(exchange)
    return told if told is not None else known_host(exchange) or "x-stainless-retry-count" in exchange.request_headers


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request."""
    body = mapping(body)
    given = body.get("input")
    output_type, schema = output_form(mapping(mapping(body.get("text")).get("format")))
    return Asked(
        request=call_request(body, exchange),
        system=_system(body.get("instructions")),
        messages=_messages(given),
        count=len(given) if type(given) is list else None if given is None else 1,
        tools=tool_definitions(body),
        output_type=output_type,
        schema=schema,
        conversation=_conversation(body.get("conversation")),
        prompt=_prompt(mapping(body.get("prompt"))),
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer: a response, which may not be finished yet."""
    return _answer(mapping(document))


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream: the event with the finished response ends it. Where that one lacks the items, they are gathered from the others."""
    first_content, finished = content_at(events), finished_at(events)
    if finished is None:
        return msgspec.structs.replace(_unfinished(Folded(events)), first_content=first_content)
    place, response = finished
    if not response.get("output"):
        response = {**response, "output": Folded(events).output()}
    answer = _answer(response)
    return msgspec.structs.replace(answer, first_content=place if first_content is None and answer.choices else first_content)


def fetch_asked(body: Any, exchange: Exchange) -> Asked:
    """A fetch asks for nothing but an answer that is there already."""
    return Asked()


def fetched(document: Any, exchange: Exchange) -> Answer:
    """A response that was fetched."""
    return msgspec.structs.replace(answered(document, exchange), usage=_NOTHING_USED)


def fetch_streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A response that is streamed once more."""
    return msgspec.structs.replace(streamed(events, exchange), usage=_NOTHING_USED)


def _unfinished(folded: Folded) -> Answer:
    """What came before the stream broke off."""
    answer = _answer({**folded.response, "service_tier": None, "usage": None, "output": folded.output()})
    if folded.done and folded.error is None:
        return msgspec.structs.replace(answer, reason=folded.unread)
    begun = folded.response or folded.whole or folded.error
    return msgspec.structs.replace(
        answer,
        reasons=(),
        mapped=("error",) if begun else (),
        error=folded.error or answer.error,
        complete=folded.error is not None,
        reason=folded.unread,
    )


def _answer(response: Document) -> Answer:
    output = [item for item in items(response.get("output")) if type(item) is dict]
    parts = tuple(part for item in output for part in parts_of(item, sent=False))
    status, error = text(response.get("status")), error_of(response)
    reasons, mapped = _reasons(response, status, output)
    return Answer(
        id=text(response.get("id")),
        model=text(response.get("model")),
        service_tier=None if status in _UNFINISHED else text(response.get("service_tier")),  # until then, the one that was asked for
        choices=(("assistant", parts),) if parts or status in {"completed", "incomplete"} else (),
        reasons=reasons,
        mapped=mapped,
        usage=response_usage(response),
        error=Error(type=status) if error is None and status == "failed" else error,
        status=status,
        conversation=_conversation(response.get("conversation"), compacted=any(item.get("type") == "compaction" for item in output)),
    )


def _reasons(response: Document, status: str | None, output: list[Document]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Why it ended, in the wire's words and in the convention's. There is no finish reason here: status and items tell."""
    if status is None or status in _UNFINISHED:
        return (), ()
    if status == "completed":
        return (status,), ("tool_call" if any(map(is_call, output)) else "stop",)
    word = status if status != "incomplete" else text(mapping(response.get("incomplete_details")).get("reason")) or status
    return (word,), (finish_reason(word),)


def _messages(given: Any) -> tuple[Message, ...]:
    if type(given) is str:
        return (Message(role="user", parts=(Text(content=given),)),) if given else ()
    return tuple(message_of(item) for item in items(given) if type(item) is dict)


def _system(instructions: Any) -> tuple[AnyPart, ...]:
    """The instructions: a string, or items."""
    if type(instructions) is str:
        return text_parts(instructions)
    return tuple(part for item in items(instructions) if type(item) is dict for part in parts_of(item))


def _conversation(value: Any, *, compacted: bool = False) -> Conversation | None:
    named = text(value) or text(mapping(value).get("id"))
    return Conversation(id=named, compacted=compacted or None) if named or compacted else None


def _prompt(template: Document) -> Prompt | None:
    name = text(template.get("id"))
    return Prompt(name=name, version=text(template.get("version"))) if name else None


def _is_response(exchange: Exchange) -> bool | None:
    """Whether what was answered is a response, or the events of one; None where nothing was, or an error."""
    if exchange.status_code is None or exchange.status_code >= 400 or not exchange.chunks:
        return None
    body = body_of(exchange)
    if body.events:
        return (text(mapping(load(body.events[0])).get("type")) or "").startswith("response.") or None
    return None if body.document is MALFORMED else mapping(body.document).get("object") == "response"
