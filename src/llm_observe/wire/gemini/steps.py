"""Steps, contents and tools of the Interactions kind."""

from typing import Any

import msgspec

from llm_observe.records import (
    AnyPart,
    Generic,
    Message,
    Reasoning,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    ToolCallResponse,
    ToolDefinition,
)
from llm_observe.wire.answer import text_parts
from llm_observe.wire.gemini.fields import others, several
from llm_observe.wire.gemini.parts import file_part
from llm_observe.wire.jsonio import Document, items, text
from llm_observe.wire.media import blob, scrubbed, without_type

MEDIA = frozenset({"image", "audio", "video", "document"})
"""The contents that are no text."""

_CALL, _RESULT = frozenset({"type", "id", "name"}), frozenset({"type", "call_id"})
_ASKED = {"user_input": "user", "function_result": "tool"}  # the steps that are the application's; the others are the model's


def messages_of(given: Any) -> tuple[Message, ...]:
    """The input: a text, contents that make one message, or the steps so far."""
    if type(given) is str:
        return (Message(role="user", parts=text_parts(given)),)
    messages: list[Message] = []
    contents: list[Any] = []
    for item in [*several(given), None]:
        if type(item) is str or (type(item) is dict and _is_content(item)):
            contents.append(item)
            continue
        if contents:
            messages.append(Message(role="user", parts=content_parts(contents)))
            contents = []
        if type(item) is dict:
            messages.append(_message(item))
    return tuple(messages)


def content_parts(content: Any) -> tuple[AnyPart, ...]:
    """A text, one content or several."""
    if type(content) is str:
        return text_parts(content)
    parts: list[AnyPart] = []
    for item in several(content):
        if type(item) is dict:
            parts += _content(item)
        elif type(item) is str:
            parts += text_parts(item)
    return tuple(parts)


def parts_of(step: Document) -> tuple[AnyPart, ...]:
    """One step; none where it says nothing (a thought that is not shown)."""
    kind = text(step.get("type")) or ""
    if kind in {"model_output", "user_input"}:
        return content_parts(step.get("content"))
    if kind == "thought":
        shown = content_parts(step.get("summary"))
        return tuple(Reasoning(content=part.content) if isinstance(part, Text) else part for part in shown)
    if kind == "function_call":
        return (ToolCall(id=text(step.get("id")), name=text(step.get("name")) or "", arguments=step.get("arguments")),)
    if kind == "function_result":
        return (ToolCallResponse(id=text(step.get("call_id")) or text(step.get("name")), response=_result(step)),)
    if kind.endswith("_call"):
        return (_server_call(kind.removesuffix("_call"), step),)
    if kind.endswith("_result"):
        response = {"type": kind.removesuffix("_result"), **others(step, _RESULT)}
        return (ServerToolCallResponse(id=text(step.get("call_id")), server_tool_call_response=response),)
    return _content(step)


def tool_definitions(tools: Any) -> tuple[ToolDefinition, ...]:
    """The tools offered: the application's functions, and the provider's by their types."""
    return tuple(
        ToolDefinition(
            type=text(tool.get("type")) or "function",
            name=text(tool.get("name")),
            description=text(tool.get("description")),
            parameters=tool.get("parameters"),
        )
        for tool in several(tools)
        if type(tool) is dict
    )


def _message(item: Document) -> Message:
    role = text(item.get("role"))
    if role and "type" not in item:  # a turn, as the first version had them
        return Message(role=role, parts=content_parts(item.get("content")))
    return Message(role=_ASKED.get(text(item.get("type")) or "", "model"), parts=parts_of(item))


def _is_content(item: Document) -> bool:
    kind = item.get("type")
    return kind == "text" or (type(kind) is str and kind in MEDIA)


def _content(item: Document) -> tuple[AnyPart, ...]:
    kind = text(item.get("type")) or ("text" if "text" in item else "")
    if kind == "text":
        content = text(item.get("text"))
        citations = tuple(scrubbed(annotation) for annotation in items(item.get("annotations")) if type(annotation) is dict)
        return (Text(content=content, citations=citations),) if content else ()
    if kind in MEDIA:
        mime_type = text(item.get("mime_type"))
        uri = text(item.get("uri"))
        return (file_part(uri, mime_type, kind) if uri else blob(kind, item.get("data"), mime_type),)
    return (Generic(generic_type=kind, content=without_type(item)),)


def _result(step: Document) -> Any:
    """What the application's function gave: as it is; a single text's string; else its contents as plain data."""
    response = step.get("result")
    if type(response) is list:
        parts = content_parts(response)
        alone = len(parts) == 1 and isinstance(parts[0], Text)
        response = parts[0].content if alone and isinstance(parts[0], Text) else msgspec.to_builtins(list(parts))
    return {"is_error": True, "content": response} if step.get("is_error") is True else response


def _server_call(kind: str, step: Document) -> ServerToolCall:
    name = text(step.get("name")) or kind
    return ServerToolCall(id=text(step.get("id")), name=name, server_tool_call={"type": kind, **others(step, _CALL)})
