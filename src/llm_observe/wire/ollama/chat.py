"""Ollama's chat."""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import Exchange, Message, Reasoning, ToolCallResponse, ToolDefinition
from llm_observe.wire.answer import Answer, Asked, text_parts
from llm_observe.wire.jsonio import Document, items, load, mapping, text
from llm_observe.wire.ollama.fields import output_type, pictures, request_of, schema_of
from llm_observe.wire.ollama.lines import calls_of, folded


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request."""
    body = mapping(body)
    messages = body.get("messages")
    return Asked(
        request=request_of(body),
        messages=tuple(_message(message) for message in items(messages) if type(message) is dict),
        count=len(messages) if type(messages) is list else None,
        tools=tuple(_tool(tool) for tool in items(body.get("tools")) if type(tool) is dict),
        output_type=output_type(body),
        schema=schema_of(body),
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer: a stream of one line."""
    return folded([mapping(document)])


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream of lines."""
    return folded([load(event) for event in events])


def _message(message: Document) -> Message:
    """One message, its role as it was sent. What a tool gave is named by the tool: calls need no ids here."""
    role, name = text(message.get("role")) or "", text(message.get("tool_name")) or text(message.get("name"))
    if role == "tool":
        response = ToolCallResponse(id=text(message.get("tool_call_id")), response=message.get("content"))
        return Message(role=role, parts=(response, *pictures(message)), name=name)
    thought = text(message.get("thinking"))
    thoughts = (Reasoning(content=thought),) if thought else ()
    parts = (*thoughts, *text_parts(message.get("content")), *pictures(message), *calls_of(message))
    return Message(role=role, parts=parts, name=name)


def _tool(tool: Document) -> ToolDefinition:
    function = mapping(tool.get("function"))
    return ToolDefinition(
        type=text(tool.get("type")) or "function",
        name=text(function.get("name")),
        description=text(function.get("description")),
        parameters=function.get("parameters"),
    )
