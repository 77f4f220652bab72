"""Content blocks, messages and tools of the Anthropic kind."""

from typing import Any

import msgspec

from llm_observe.records import (
    AnyPart,
    Compaction,
    File,
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
from llm_observe.wire.jsonio import Document, items, mapping, text
from llm_observe.wire.media import blob, linked, scrubbed, without_type


def message_of(message: Document) -> Message:
    """One message of the request, its role as it was sent."""
    role, content = message.get("role"), message.get("content")
    return Message(
        role=role if type(role) is str else "",
        parts=(Text(content=content),) if type(content) is str and content else content_parts(content),
    )


def system_of(system: Any) -> tuple[AnyPart, ...]:
    """The system field: a string or text blocks."""
    return content_parts(system)


def content_parts(content: Any) -> tuple[AnyPart, ...]:
    """A content field: a string or blocks."""
    if type(content) is str:
        return text_parts(content)
    return tuple([part for block in items(content) if type(block) is dict for part in parts_of(block)])


def parts_of(block: Document) -> tuple[AnyPart, ...]:
    """One block as parts; none where it says nothing (an empty text, a thought that is not shown)."""
    kind = block.get("type")
    if type(kind) is not str:
        kind = ""
    if kind == "text":
        return _text(block)
    if kind == "thinking":
        thought = text(block.get("thinking"))
        return (Reasoning(content=thought),) if thought else ()
    if kind == "tool_use":
        return (ToolCall(id=text(block.get("id")), name=text(block.get("name")) or "", arguments=block.get("input")),)
    if kind == "tool_result":
        return (ToolCallResponse(id=text(block.get("tool_use_id")), response=_tool_response(block)),)
    if kind in {"server_tool_use", "mcp_tool_use"}:
        return (_server_call(kind, block),)
    if kind.endswith("_tool_result"):
        return (ServerToolCallResponse(id=text(block.get("tool_use_id")), server_tool_call_response=_server_response(kind, block)),)
    if kind in {"image", "document"}:
        return _media(kind, block)
    if kind == "container_upload":
        return (File(modality="document", file_id=text(block.get("file_id")) or ""),)
    if kind == "compaction":
        return (Compaction(content=text(block.get("content"))),)
    return (Generic(generic_type=kind, content=None if kind == "redacted_thinking" else without_type(block)),)


def tool_definition(tool: Document) -> ToolDefinition:
    """A tool offered: the application's are functions, the provider's go by their dated type."""
    kind = text(tool.get("type"))
    return ToolDefinition(
        type="function" if kind in {None, "custom"} else str(kind),
        name=text(tool.get("name")),
        description=text(tool.get("description")),
        parameters=tool.get("input_schema"),
    )


def _text(block: Document) -> tuple[AnyPart, ...]:
    said, citations = block.get("text"), block.get("citations")
    if type(said) is not str or not said:
        return ()
    return (Text(content=said, citations=tuple(map(scrubbed, items(citations)))) if citations else Text(content=said),)


def _tool_response(block: Document) -> Any:
    """What the application's tool said: the string; a single text's string; else the parts as plain data."""
    parts = content_parts(block.get("content"))
    if len(parts) <= 1 and all(isinstance(part, Text) for part in parts):
        response: Any = "".join(part.content for part in parts if isinstance(part, Text))
    else:
        response = msgspec.to_builtins(list(parts))
    return {"is_error": True, "content": response} if block.get("is_error") is True else response


def _server_call(kind: str, block: Document) -> ServerToolCall:
    name = text(block.get("name")) or ""
    call: dict[str, object] = {"type": name if kind == "server_tool_use" else "mcp", "input": block.get("input")}
    if server := text(block.get("server_name")):
        call["server_name"] = server
    return ServerToolCall(id=text(block.get("id")), name=name, server_tool_call=call)


def _server_response(kind: str, block: Document) -> dict[str, object]:
    response = {"type": kind, "content": scrubbed(_opened(block.get("content")))}
    return response | {"is_error": True} if block.get("is_error") is True else response


def _opened(value: Any) -> Any:
    """Plain text (of a page that was fetched) out of the place where base64 may stand too, for what stands there is left out."""
    if type(value) is list:
        return [_opened(member) for member in value]
    if type(value) is not dict:
        return value
    if value.get("type") == "text" and type(value.get("data")) is str:
        return {"text" if name == "data" else name: member for name, member in value.items()}
    return {name: _opened(member) for name, member in value.items()}


def _media(kind: str, block: Document) -> tuple[AnyPart, ...]:
    source = mapping(block.get("source"))
    mime_type = text(source.get("media_type"))
    if (url := text(source.get("url"))) is not None:
        return (linked(kind, url, mime_type),)
    if (file_id := text(source.get("file_id"))) is not None:
        return (File(modality=kind, file_id=file_id, mime_type=mime_type),)
    if source.get("type") == "text":
        return text_parts(source.get("data"))
    if source.get("type") == "content":
        return content_parts(source.get("content"))
    return (blob(kind, source.get("data"), mime_type),)
