"""Content blocks, messages and tools of Converse's kind: what a block is, its only member tells. Nova's own bodies have the same."""

from collections.abc import Callable
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
from llm_observe.wire.jsonio import Document, items, mapping, text
from llm_observe.wire.media import blob, linked, scrubbed

SERVER_TOOL = "server_tool_use"

_MIME_TYPES = {
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "html": "text/html",
    "m4a": "audio/mp4",
    "md": "text/markdown",
    "mka": "audio/x-matroska",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mpg": "video/mpeg",
    "mpga": "audio/mpeg",
    "pdf": "application/pdf",
    "three_gp": "video/3gpp",
    "txt": "text/plain",
    "wmv": "video/x-ms-wmv",
    "x-aac": "audio/aac",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_PLACES = frozenset({"cachePoint"})  # they say where something is, and nothing themselves


def message_of(message: Document) -> Message:
    """One message of the request, its role as it was sent."""
    return Message(role=text(message.get("role")) or "", parts=content_parts(message.get("content")))


def content_parts(content: Any) -> tuple[AnyPart, ...]:
    """A content or system field: blocks, or a string."""
    if type(content) is str:
        return text_parts(content)
    return tuple(part for block in items(content) if type(block) is dict for part in parts_of(block))


def parts_of(block: Document) -> tuple[AnyPart, ...]:
    """One block as parts; none where it says nothing."""
    return tuple(part for kind, value in block.items() if kind not in _PLACES for part in _READERS.get(kind, _other)(kind, value))


def tool_definitions(config: Document) -> tuple[ToolDefinition, ...]:
    """The tools of a ``toolConfig``: the application's, and those that Bedrock runs itself."""
    found = []
    for tool in map(mapping, items(config.get("tools"))):
        if spec := mapping(tool.get("toolSpec")):
            parameters = mapping(spec.get("inputSchema")).get("json")
            found.append(
                ToolDefinition(
                    type="function", name=text(spec.get("name")), description=text(spec.get("description")), parameters=parameters
                )
            )
        elif system := mapping(tool.get("systemTool")):
            found.append(ToolDefinition(type="system", name=text(system.get("name"))))
    return tuple(found)


def _text(kind: str, value: Any) -> tuple[AnyPart, ...]:
    return text_parts(value)


def _media(kind: str, value: Any) -> tuple[AnyPart, ...]:
    media = mapping(value)
    form, source = text(media.get("format")), mapping(media.get("source"))
    mime_type = _MIME_TYPES.get(form, f"{'application' if kind == 'document' else kind}/{form}") if form else None
    if uri := text(mapping(source.get("s3Location")).get("uri")):
        return (linked(kind, uri, mime_type),)
    if "text" in source or "content" in source:
        return text_parts(source.get("text")) + content_parts(source.get("content"))
    if "bytes" in source:
        return (blob(kind, source["bytes"], mime_type),)
    return (Generic(generic_type=kind, content=scrubbed(value)),)


def _tool_use(kind: str, value: Any) -> tuple[AnyPart, ...]:
    call = mapping(value)
    call_id, name = text(call.get("toolUseId")), text(call.get("name")) or ""
    if call.get("type") == SERVER_TOOL:
        return (ServerToolCall(id=call_id, name=name, server_tool_call={"type": name, "input": call.get("input")}),)
    return (ToolCall(id=call_id, name=name, arguments=call.get("input")),)


def _tool_result(kind: str, value: Any) -> tuple[AnyPart, ...]:
    """What a tool gave: only those of Bedrock's own have a type."""
    result = mapping(value)
    call_id, failed = text(result.get("toolUseId")), result.get("status") == "error"
    if named := text(result.get("type")):
        response = {"type": named, "content": scrubbed(items(result.get("content")))}
        return (ServerToolCallResponse(id=call_id, server_tool_call_response=response | ({"is_error": True} if failed else {})),)
    response_ = _tool_response(result.get("content"))
    return (ToolCallResponse(id=call_id, response={"is_error": True, "content": response_} if failed else response_),)


def _tool_response(content: Any) -> Any:
    """What one block holds: its text, its JSON, its medium; of several a list of that."""
    if type(content) is not list:
        return "" if content is None else content
    held = [_held(mapping(block)) for block in content]
    return held[0] if len(held) == 1 else held


def _held(block: Document) -> Any:
    if "json" in block:
        return block["json"]
    parts = parts_of(block)
    if all(isinstance(part, Text) for part in parts):
        return "".join(part.content for part in parts if isinstance(part, Text))
    return msgspec.to_builtins(parts[0] if len(parts) == 1 else list(parts))


def _reasoning(kind: str, value: Any) -> tuple[AnyPart, ...]:
    """A thought, or one that only the provider can read."""
    if thought := text(mapping(mapping(value).get("reasoningText")).get("text")):
        return (Reasoning(content=thought),)
    return (Generic(generic_type="redactedContent"),) if "redactedContent" in mapping(value) else ()


def _guarded(kind: str, value: Any) -> tuple[AnyPart, ...]:
    """What a guardrail is to look at."""
    guarded = mapping(value)
    return text_parts(mapping(guarded.get("text")).get("text")) + (_media("image", guarded["image"]) if "image" in guarded else ())


def _cited(kind: str, value: Any) -> tuple[AnyPart, ...]:
    cited = mapping(value)
    said = "".join(text(mapping(piece).get("text")) or "" for piece in items(cited.get("content")))
    return (Text(content=said, citations=tuple(map(scrubbed, items(cited.get("citations"))))),) if said else ()


def _other(kind: str, value: Any) -> tuple[AnyPart, ...]:
    return (Generic(generic_type=kind, content=scrubbed(value)),)


_READERS: dict[str, Callable[[str, Any], tuple[AnyPart, ...]]] = {
    "text": _text,
    "image": _media,
    "document": _media,
    "video": _media,
    "audio": _media,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "reasoningContent": _reasoning,
    "guardContent": _guarded,
    "citationsContent": _cited,
}
