"""Anthropic Messages: at Anthropic, on Bedrock's and Azure's plain endpoints, and on Vertex.

A stream is folded block by block: its blocks become what a plain answer would have held, and then both go one way.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from llm_observe.records import CallRequest, Error, Exchange, ReasoningRequest, Usage
from llm_observe.wire.answer import Answer, Asked, error_of, unread_reason, usage
from llm_observe.wire.anthropic.blocks import message_of, parts_of, system_of, tool_definition
from llm_observe.wire.jsonio import MALFORMED, Document, integer, items, load, load_argument, mapping, number, text
from llm_observe.wire.provider import known_host

_DELTAS = {  # type of a delta: its member that holds a piece, the block it belongs to, the block's member that it grows
    "text_delta": ("text", "text", "text"),
    "thinking_delta": ("thinking", "thinking", "thinking"),
    "input_json_delta": ("partial_json", "tool_use", "input"),
    "compaction_delta": ("content", "compaction", "content"),
}


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
    output_config = mapping(body.get("output_config"))
    level = text(output_config.get("effort"))
    return Asked(
        request=CallRequest(
            model=text(body.get("model")) or _vertex_model(exchange.path),
            stream=True if body.get("stream") is True else None,
            max_tokens=integer(body.get("max_tokens")),
            temperature=number(body.get("temperature")),
            top_p=number(body.get("top_p")),
            top_k=integer(body.get("top_k")),
            stop_sequences=tuple(stop for stop in items(body.get("stop_sequences")) if type(stop) is str),
            reasoning=ReasoningRequest(level=level) if level else None,
            service_tier=text(body.get("service_tier")),
        ),
        system=system_of(body.get("system")),
        messages=tuple(message_of(message) for message in items(messages) if type(message) is dict),
        count=len(messages) if type(messages) is list else None,
        tools=tuple(tool_definition(tool) for tool in items(body.get("tools")) if type(tool) is dict),
        output_type=_output_type(body, output_config),
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
    blocks: dict[int, _Block] = {}
    first: Document = {}
    counts: Document = {}
    error: Error | None = None
    request_id: str | None = None
    complete, unread = False, 0
    first_content: int | None = None
    for place, data in enumerate(events):
        event = load(data)
        if type(event) is not dict:
            unread += event is MALFORMED
            continue
        kind = event.get("type")
        if kind == "content_block_delta":
            index = integer(event.get("index")) or 0
            if index not in blocks:  # its start is behind a gap
                blocks[index] = _Block({})
            if blocks[index].add(mapping(event.get("delta"))) and first_content is None:
                first_content = place
        elif kind == "content_block_start":
            blocks[integer(event.get("index")) or 0] = _Block(mapping(event.get("content_block")))
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


class _Block:
    """A content block in the making."""

    __slots__ = ("pieces", "start")

    def __init__(self, start: Document) -> None:
        self.start = start
        self.pieces: dict[str, list[str]] = {}

    def add(self, delta: Document) -> bool:
        """One more delta. Whether it has something of the answer in it."""
        kind = text(delta.get("type"))
        if kind in _DELTAS and type(piece := delta.get(_DELTAS[kind][0])) is str:
            self.pieces.setdefault(kind, []).append(piece)
            return bool(piece)
        return False

    def whole(self) -> Document:
        block = dict(self.start)
        for kind, pieces in self.pieces.items():
            _, holder, member = _DELTAS[kind]
            grown = "".join(pieces)
            if member != "input":
                block[member] = (text(block.get(member)) or "") + grown
            elif grown:
                block[member] = load_argument(grown)
            block.setdefault("type", holder)
        return block


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
    parts = tuple(part for block in items(message.get("content")) if type(block) is dict for part in parts_of(block))
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
    )


def usage_of(counts: Document) -> Usage:
    """The counts, with the cached tokens in the input: here they are given beside it."""
    fresh = integer(counts.get("input_tokens"))
    read, written = integer(counts.get("cache_read_input_tokens")), integer(counts.get("cache_creation_input_tokens"))
    return usage(
        input=None if fresh is None else fresh + (read or 0) + (written or 0),
        output=integer(counts.get("output_tokens")),
        cache_read=read,
        cache_write=written,
        reasoning=integer(mapping(counts.get("output_tokens_details")).get("thinking_tokens")),
    )


def _known(members: Any) -> Document:
    """The members that say something: null keeps what was said before."""
    return {name: value for name, value in mapping(members).items() if value is not None}


def _vertex_model(path: str) -> str | None:
    """``.../publishers/anthropic/models/{model}:rawPredict``."""
    return unquote(path.partition("/models/")[2].rpartition(":")[0]) or None


def _output_type(body: Document, output_config: Document) -> str | None:
    form = mapping(output_config.get("format")) or mapping(body.get("output_format"))
    return "json" if (text(form.get("type")) or "").startswith("json") else None
