"""Cohere's chat, first version: one message and those before it, an answer that is one text, a stream of JSON lines."""

from collections.abc import Sequence
from typing import Any

import msgspec

from llm_observe.records import AnyPart, CallRequest, Conversation, Error, Message, ServerToolCall, ServerToolCallResponse, Usage
from llm_observe.wire.answer import UNKNOWN_ERROR, Answer, Asked, error_of, finish_reason, text_parts, unread_reason, usage
from llm_observe.wire.cohere.parts import called, content_parts, documents_of, tool_definition, tool_results, turn_of, with_parts
from llm_observe.wire.cohere.usage import usage_of
from llm_observe.wire.jsonio import MALFORMED, Document, integer, items, mapping, text
from llm_observe.wire.media import scrubbed


def asked(body: Document, request: CallRequest) -> Asked:
    """The request. What tools gave is of the same turn as the message: the message may be empty then."""
    history = body.get("chat_history")
    turns = [turn_of(turn) for turn in items(history) if type(turn) is dict]
    turns.append(Message(role="user", parts=text_parts(body.get("message")) + tool_results(body)))
    conversation, form = text(body.get("conversation_id")), mapping(body.get("response_format"))
    return Asked(
        request=request,
        system=text_parts(body.get("preamble")) or text_parts(body.get("preamble_override")),
        messages=with_parts(turns, documents_of(body)),
        count=len(items(history)) + 1,
        tools=tuple(tool_definition(tool) for tool in items(body.get("tools")) if type(tool) is dict),
        output_type=output_type(form),
        schema=schema_of(form),
        conversation=Conversation(id=conversation) if conversation else None,
    )


def output_type(form: Document) -> str | None:
    """The kind of answer that a ``response_format`` asks for, in the convention's word."""
    kind = text(form.get("type")) or ""
    return "json" if kind.startswith("json") else "text" if kind == "text" else None


def schema_of(form: Document) -> Any:
    """The schema that it asks for."""
    return mapping(form.get("json_schema")) or mapping(form.get("schema")) or None


def answered(document: Document, *, complete: bool = True, error: Error | None = None, first_content: int | None = None) -> Answer:
    """A plain answer, or what a stream was folded to. It ends in ``COMPLETE`` where it calls tools, too."""
    calls = tuple(called(call) for call in items(document.get("tool_calls")) if type(call) is dict)
    said = content_parts(document.get("text"), items(document.get("citations")))
    reason = text(document.get("finish_reason"))
    mapped = "tool_call" if calls and reason == "COMPLETE" else finish_reason(reason) if reason else None
    return Answer(
        id=text(document.get("response_id")),
        choices=(("assistant", _searched(document) + said + calls),),
        reasons=(reason,),
        mapped=(mapped,) if mapped else None,
        usage=_usage(document),
        error=error or error_of(document),
        complete=complete,
        first_content=first_content,
    )


def folded(events: Sequence[Any]) -> Answer:
    """The events of a stream. ``stream-end`` has the whole answer; without it, there is what came."""
    pieces: list[str] = []
    citations: list[Any] = []
    calls: dict[int, _Call] = {}
    found: Document = {}
    whole: Document = {}
    error: Error | None = None
    complete, unread = False, 0
    first_content: int | None = None
    for place, event in enumerate(events):
        if type(event) is not dict:
            unread += event is MALFORMED
            continue
        kind, piece = text(event.get("event_type")), None
        if kind == "stream-end":
            complete, whole = True, mapping(event.get("response"))
            found["finish_reason"] = event.get("finish_reason") or whole.get("finish_reason")
            error = error or failure(event)
        elif kind == "text-generation":
            piece = text(event.get("text"))
        elif kind == "citation-generation":
            citations += items(event.get("citations"))
        elif kind == "tool-calls-chunk":
            delta = mapping(event.get("tool_call_delta"))
            piece = text(event.get("text")) or text(delta.get("text"))  # of the plan for the tools, which is the answer's text here
            calls.setdefault(integer(delta.get("index")) or 0, _Call()).add(delta)
        elif kind in {"tool-calls-generation", "search-queries-generation", "search-results"}:
            found |= {name: value for name, value in event.items() if name in {"tool_calls", "search_queries", "search_results"}}
        elif "message" in event or "error" in event or "err" in event:
            error = error or failure(event)
        if piece is not None:
            pieces.append(piece)
        if first_content is None and (piece is not None or kind in {"tool-calls-chunk", "tool-calls-generation"}):
            first_content = place
    found["text"], found["citations"] = "".join(pieces), citations
    found.setdefault("tool_calls", [calls[index].whole() for index in sorted(calls)])
    answer = answered(found | _said(whole), complete=complete, error=error, first_content=first_content)
    begun = any(type(event) is dict and "event_type" in event for event in events)
    nothing: dict[str, Any] = {} if begun else {"choices": (), "reasons": ()}
    return msgspec.structs.replace(answer, reason=unread_reason(unread), **nothing)


def failure(event: Document) -> Error | None:
    """The error that an event tells of."""
    message = text(event.get("error")) or text(event.get("err")) or text(event.get("message"))
    if message is None:
        return error_of(event)
    return Error(type=text(event.get("error_type")) or text(event.get("finish_reason")) or UNKNOWN_ERROR, message=message)


class _Call:
    """A tool call in the making."""

    __slots__ = ("name", "parameters")

    def __init__(self) -> None:
        self.name: str | None = None
        self.parameters: list[str] = []

    def add(self, delta: Document) -> None:
        self.name = self.name or text(delta.get("name"))
        self.parameters.append(text(delta.get("parameters")) or "")

    def whole(self) -> Document:
        return {"name": self.name, "parameters": "".join(self.parameters)}


def _said(whole: Document) -> Document:
    """The members of the whole answer that say something."""
    return {name: value for name, value in whole.items() if value is not None}


def _searched(document: Document) -> tuple[AnyPart, ...]:
    """The search that Cohere made itself, with the connectors it was given: what for, and what it found."""
    queries = [mapping(query).get("text") for query in items(document.get("search_queries"))]
    results = [scrubbed(result) for result in items(document.get("search_results"))]
    asked = (ServerToolCall(name="search", server_tool_call={"type": "search", "queries": queries}),) if queries else ()
    if not results:
        return asked
    found = {"type": "search", "results": results, "documents": scrubbed(items(document.get("documents")))}
    return (*asked, ServerToolCallResponse(server_tool_call_response=found))


def _usage(document: Document) -> Usage:
    """The counts in ``meta``, or where they stood at first."""
    if "meta" in document or "token_count" not in document:
        return usage_of(mapping(document.get("meta")))
    counts = mapping(document["token_count"])
    return usage(input=integer(counts.get("prompt_tokens")), output=integer(counts.get("response_tokens")))
