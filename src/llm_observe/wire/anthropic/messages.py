"""Anthropic Messages: at Anthropic, on Bedrock's and Azure's plain endpoints, and on Vertex.

A stream is folded block by block: its blocks become what a plain answer would have held, and then both go one way.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from llm_observe.records import AnyPart, CallRequest, Compaction, Conversation, Error, Exchange, PreviousResponse, ReasoningRequest, Refusal
from llm_observe.wire.answer import Answer, Asked, error_of, unread_reason
from llm_observe.wire.anthropic.blocks import message_of, parts_of, system_of, tool_definition
from llm_observe.wire.anthropic.delta import Delta, read
from llm_observe.wire.anthropic.fold import Block
from llm_observe.wire.anthropic.usage import usage_of
from llm_observe.wire.jsonio import MALFORMED, Document, integer, items, load, mapping, number, text
from llm_observe.wire.provider import known_host


def agrees(body: Any, exchange: Exchange) -> bool:
    """Chat applications and messengers have a ``/messages`` of their own: look for a model in the body, else at the address."""
    if type(body) is dict:
        return type(body.get("model")) is str and type(body.get("messages")) is list
    if "anthropic-version" in exchange.request_headers:
        return True
    return exchange.path.endswith("/v1/messages") and known_host(exchange)


def is_raw_predict(body: Any, exchange: Exchange) -> bool:
    """Counting tokens is no inference, and goes to a model of that name."""
    return "/count-tokens:" not in exchange.path


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request."""
    body = mapping(body)
    messages = body.get("messages")
    level, form = None, {}
    if "output_config" in body or "output_format" in body:
        output_config = mapping(body.get("output_config"))
        level = text(output_config.get("effort"))
        form = mapping(output_config.get("format")) or mapping(body.get("output_format"))
    previous = text(mapping(body["thread"]).get("previous_message_id")) if "thread" in body else None
    return Asked(
        request=CallRequest(
            model=text(body.get("model")) or _vertex_model(exchange.path),
            stream=True if body.get("stream") is True else None,
            max_tokens=integer(body.get("max_tokens")),
            temperature=number(body["temperature"]) if "temperature" in body else None,
            top_p=number(body["top_p"]) if "top_p" in body else None,
            top_k=integer(body["top_k"]) if "top_k" in body else None,
            stop_sequences=tuple([stop for stop in items(body["stop_sequences"]) if type(stop) is str]) if "stop_sequences" in body else (),
            reasoning=ReasoningRequest(level=level) if level else None,
            service_tier=text(body["service_tier"]) if "service_tier" in body else None,
            previous_response=PreviousResponse(id=previous) if previous else None,
        ),
        system=system_of(body["system"]) if "system" in body else (),
        messages=tuple([message_of(message) for message in items(messages) if type(message) is dict]),
        count=len(messages) if type(messages) is list else None,
        tools=tuple([tool_definition(tool) for tool in items(body["tools"]) if type(tool) is dict]) if "tools" in body else (),
        output_type="json" if form and (text(form.get("type")) or "").startswith("json") else None,
        schema=mapping(form.get("schema")) or None if form else None,
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer."""
    document = mapping(document)
    if error := error_of(document):
        return Answer(error=error, request_id=text(document.get("request_id")))
    return _answer(document, begun=type(document.get("content")) is list)


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream: ``message_stop`` ends it."""
    message: Document = {}
    blocks: dict[int, Block] = {}
    first: Document = {}
    counts: Document = {}
    error: Error | None = None
    request_id: str | None = None
    complete, unread = False, 0
    first_content: int | None = None
    for place, data in read(events):
        if isinstance(data, Delta):
            block = blocks.get(data.index)
            if block is None:  # its start is behind a gap
                block = blocks[data.index] = Block({})
            if block.say(data.delta.kind, data.delta.text) and first_content is None:
                first_content = place
            continue
        event = load(data)
        if type(event) is not dict:
            unread += event is MALFORMED
            continue
        kind = event.get("type")
        if kind == "content_block_delta":
            index = integer(event.get("index")) or 0
            if index not in blocks:  # its start is behind a gap
                blocks[index] = Block({})
            if blocks[index].add(mapping(event.get("delta"))) and first_content is None:
                first_content = place
        elif kind == "content_block_start":
            blocks[integer(event.get("index")) or 0] = Block(mapping(event.get("content_block")))
        elif kind == "message_start":
            message = dict(mapping(event.get("message")))
            first = mapping(message.get("usage"))
        elif kind == "message_delta":
            message.update(_known(event.get("delta")))
            counts.update(_known(event.get("usage")))  # cumulative: field by field, the last word counts
        elif kind == "message_stop":
            complete = True
        elif kind == "error" or "error" in event:
            error = error or error_of(event)
            request_id = request_id or text(event.get("request_id"))
    if not complete and "output_tokens" not in counts:  # the first count is a placeholder
        first = {name: count for name, count in first.items() if name != "output_tokens"}
    message["usage"] = {**first, **counts}
    message["content"] = [blocks[index].whole() for index in sorted(blocks)]
    return _answer(
        message,
        begun=len(message) > 2 or bool(blocks),
        complete=complete,
        error=error,
        request_id=request_id,
        reason=unread_reason(unread),
        first_content=first_content,
    )


def _answer(
    message: Document,
    *,
    begun: bool,
    complete: bool = True,
    error: Error | None = None,
    request_id: str | None = None,
    reason: str | None = None,
    first_content: int | None = None,
) -> Answer:
    counts = mapping(message.get("usage"))
    parts = tuple([part for block in items(message.get("content")) if type(block) is dict for part in parts_of(block)])
    if "stop_details" in message:
        parts += _refused(message)
    return Answer(
        id=text(message.get("id")),
        model=text(message.get("model")),
        service_tier=text(counts.get("service_tier")),
        choices=((text(message.get("role")) or "assistant", parts),) if begun else (),
        reasons=(text(message.get("stop_reason")),) if begun else (),
        usage=usage_of(counts),
        error=error,
        complete=complete,
        request_id=request_id,
        reason=reason,
        first_content=first_content,
        conversation=Conversation(compacted=True) if Compaction in map(type, parts) else None,
    )


def _refused(message: Document) -> tuple[AnyPart, ...]:
    """Why the model would not answer, where that is told."""
    explanation = text(mapping(message.get("stop_details")).get("explanation"))
    return (Refusal(content=explanation),) if explanation else ()


def _known(members: Any) -> Document:
    """The members that say something: null keeps what was said before."""
    return {name: value for name, value in mapping(members).items() if value is not None}


def _vertex_model(path: str) -> str | None:
    """``.../publishers/anthropic/models/{model}:rawPredict``."""
    return unquote(path.partition("/models/")[2].rpartition(":")[0]) or None
