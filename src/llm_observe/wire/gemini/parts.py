"""Contents, their parts, and tools of the ``generateContent`` kind."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from llm_observe.records import (
    AnyPart,
    Blob,
    File,
    Generic,
    Message,
    Reasoning,
    ServerToolCall,
    ServerToolCallResponse,
    ToolCall,
    ToolCallResponse,
    ToolDefinition,
    Uri,
)
from llm_observe.wire.answer import text_parts
from llm_observe.wire.gemini.fields import member, others, several
from llm_observe.wire.jsonio import Document, mapping, text
from llm_observe.wire.media import blob, linked, modality_of, scrubbed

_ON_FILE = re.compile(r"https://generativelanguage\.googleapis\.com/v\w+/(files/[\w-]+)")
_NAMED = frozenset({"id", "type", "toolType", "tool_type"})
_YOUTUBE = re.compile(r"https?://(?:www\.)?youtube\.com/watch\?v=[\w-]+")  # its query names the film, not a secret


def message_of(content: Any) -> Message:
    """One content of the request. Without a role it is the user's."""
    content = mapping(content)
    return Message(role=text(content.get("role")) or "user", parts=content_parts(content))


def content_parts(content: Any) -> tuple[AnyPart, ...]:
    """The parts of a content, which may be plain text where only text is meant."""
    if type(content) is str:
        return text_parts(content)
    return tuple(part for raw in several(mapping(content).get("parts")) if type(raw) is dict for part in parts_of(raw))


def parts_of(part: Document) -> tuple[AnyPart, ...]:
    """One part; none where it says nothing (an empty text, a signature by itself)."""
    if len(part) == 1 and type(part.get("text")) is str:
        return text_parts(part["text"])  # by far the most frequent part
    found: list[AnyPart] = []
    for name, value in part.items():
        if value is None:
            continue
        if (read := _READERS.get(name)) is not None:
            found += read(value, part)
        elif name not in _BESIDE:
            found.append(Generic(generic_type=name, content=scrubbed(value)))
    return tuple(found)


def is_text(part: Document) -> bool:
    """Whether a part is text and nothing else."""
    if type(part.get("text")) is not str:
        return False
    return len(part) == 1 or not any(name in _READERS and name != "text" and value is not None for name, value in part.items())


def tool_definitions(tools: Any) -> tuple[ToolDefinition, ...]:
    """The tools offered: the application's functions by their names, servers of the Model Context Protocol by theirs, Google's own by their keys."""
    return tuple(definition for tool in several(tools) if type(tool) is dict for definition in _definitions(tool))


def _definitions(tool: Document) -> list[ToolDefinition]:
    found = []
    for key, value in tool.items():
        if key in {"functionDeclarations", "function_declarations"}:
            found += [_function(function) for function in several(value) if type(function) is dict]
        elif key in {"mcpServers", "mcp_servers"}:
            found += [ToolDefinition(type=key, name=text(mapping(server).get("name"))) for server in several(value)]
        elif value is not None:
            found.append(ToolDefinition(type=key))
    return found


def _function(function: Document) -> ToolDefinition:
    parameters = function.get("parameters")
    return ToolDefinition(
        type="function",
        name=text(function.get("name")),
        description=text(function.get("description")),
        parameters=member(function, "parametersJsonSchema") if parameters is None else parameters,
    )


def _text(value: Any, part: Document) -> tuple[AnyPart, ...]:
    if part.get("thought") is True:
        return (Reasoning(content=value),) if type(value) is str and value else ()
    return text_parts(value)


def _inline(value: Any, part: Document) -> tuple[AnyPart, ...]:
    value = mapping(value)
    mime_type = text(member(value, "mimeType"))
    heard = text(mapping(member(part, "audioTranscription")).get("text"))
    return (blob(_modality(mime_type), value.get("data"), mime_type, heard),)


def _heard(value: Any, part: Document) -> tuple[AnyPart, ...]:
    """What was said in a sound that is not there; else it stands with the sound."""
    heard = text(mapping(value).get("text"))
    return (Blob(modality="audio", transcript=heard),) if heard and member(part, "inlineData") is None else ()


def _file(value: Any, part: Document) -> tuple[AnyPart, ...]:
    value = mapping(value)
    uri, mime_type = text(member(value, "fileUri")), text(member(value, "mimeType"))
    return (file_part(uri, mime_type),) if uri else ()


def file_part(uri: str, mime_type: str | None, modality: str | None = None) -> AnyPart:
    """Media at an address: on file with Google, or somewhere else."""
    modality = modality or _modality(mime_type)
    if on_file := _ON_FILE.match(uri):
        return File(modality=modality, file_id=on_file[1], mime_type=mime_type)
    if film := _YOUTUBE.match(uri):
        return Uri(modality=modality if mime_type else "video", uri=film[0], mime_type=mime_type)
    return linked(modality, uri, mime_type)


def _call(value: Any, part: Document) -> tuple[AnyPart, ...]:
    value = mapping(value)
    return (ToolCall(id=text(value.get("id")), name=text(value.get("name")) or "", arguments=value.get("args")),)


def _response(value: Any, part: Document) -> tuple[AnyPart, ...]:
    """What the application's function gave. Where calls have no ids, their names tell which is answered."""
    value = mapping(value)
    response = value.get("response")
    if media := content_parts(value):
        response = {"response": response, "parts": msgspec.to_builtins(list(media))}
    return (ToolCallResponse(id=text(value.get("id")) or text(value.get("name")), response=response),)


def _code(value: Any, part: Document) -> tuple[AnyPart, ...]:
    return (_server_call("code_execution", "code_execution", value),)


def _code_result(value: Any, part: Document) -> tuple[AnyPart, ...]:
    return (_server_response("code_execution", value),)


def _tool(value: Any, part: Document) -> tuple[AnyPart, ...]:
    kind = _tool_type(value)
    return (_server_call(kind, kind, value),)


def _tool_result(value: Any, part: Document) -> tuple[AnyPart, ...]:
    return (_server_response(_tool_type(value), value),)


def _tool_type(value: Any) -> str:
    kind = member(mapping(value), "toolType")
    return kind if type(kind) is str else ""


def _server_call(name: str, kind: str, value: Any) -> ServerToolCall:
    return ServerToolCall(id=text(mapping(value).get("id")), name=name, server_tool_call={"type": kind, **others(mapping(value), _NAMED)})


def _server_response(kind: str, value: Any) -> ServerToolCallResponse:
    return ServerToolCallResponse(
        id=text(mapping(value).get("id")), server_tool_call_response={"type": kind, **others(mapping(value), _NAMED)}
    )


def _modality(mime_type: str | None) -> str:
    return modality_of(mime_type) if mime_type else "document"


_READERS: dict[str, Callable[[Any, Document], tuple[AnyPart, ...]]] = {
    "text": _text,
    "inlineData": _inline,
    "inline_data": _inline,
    "fileData": _file,
    "file_data": _file,
    "functionCall": _call,
    "function_call": _call,
    "functionResponse": _response,
    "function_response": _response,
    "executableCode": _code,
    "executable_code": _code,
    "codeExecutionResult": _code_result,
    "code_execution_result": _code_result,
    "toolCall": _tool,
    "tool_call": _tool,
    "toolResponse": _tool_result,
    "tool_response": _tool_result,
    "audioTranscription": _heard,
    "audio_transcription": _heard,
}
_BESIDE = frozenset(  # what a part has to say about its content
    {"thought", "thoughtSignature", "thought_signature", "videoMetadata", "video_metadata", "mediaResolution", "media_resolution"}
    | {"partMetadata", "part_metadata", "mediaProcessing", "media_processing", "speechMetadata", "speech_metadata"}
    | {"documentMetadata", "document_metadata", "spreadsheetMetadata", "spreadsheet_metadata", "audioMetadata", "audio_metadata"}
)
