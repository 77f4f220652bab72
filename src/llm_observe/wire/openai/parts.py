"""Messages, parts and tools of the Chat Completions kind."""

from typing import Any

import msgspec

from llm_observe.records import AnyPart, File, Generic, Message, Reasoning, Refusal, Text, ToolCall, ToolCallResponse, ToolDefinition
from llm_observe.wire.jsonio import Document, items, load_argument, mapping, text
from llm_observe.wire.media import blob, linked, without_type

_LINKS = {"image_url": "image", "video_url": "video", "audio_url": "audio", "document_url": "document"}


def message_of(message: Document) -> Message:
    """One message of the request, its role as it was sent."""
    role = text(message.get("role")) or ""
    name = text(message.get("name"))
    if role in {"tool", "function"}:
        response = tool_response(message.get("content"))
        return Message(role=role, parts=(ToolCallResponse(id=text(message.get("tool_call_id")), response=response),), name=name)
    return Message(role=role, parts=output_parts(message), name=name)


def output_parts(message: Document) -> tuple[AnyPart, ...]:
    """The parts of a message: thoughts, content, refusal, audio, calls."""
    content = message.get("content")
    if len(message) == 2 and type(content) is str and content:
        return (Text(content=content),)  # role and content: by far the most frequent message
    parts: list[AnyPart] = []
    if thought := reasoning_of(message):
        parts.append(Reasoning(content=thought))
    parts += content_parts(content)
    if refusal := text(message.get("refusal")):
        parts.append(Refusal(content=refusal))
    if audio := mapping(message.get("audio")):
        parts.append(_audio(audio))
    parts += [called(call) for call in items(message.get("tool_calls")) if type(call) is dict]
    if function := mapping(message.get("function_call")):
        parts.append(called({"function": function}))
    return tuple(parts)


def content_parts(content: Any) -> tuple[AnyPart, ...]:
    """A message's content: a string, a list of parts, or (some vendors' structured answers) an object."""
    if type(content) is str:
        return (Text(content=content),) if content else ()
    if type(content) is dict:
        return (Text(content=msgspec.json.encode(content).decode()),) if "type" not in content else _part(content)
    parts: list[AnyPart] = []
    for item in items(content):
        if type(item) is dict:
            parts += _part(item)
        elif type(item) is str and item:
            parts.append(Text(content=item))
    return tuple(parts)


def reasoning_of(message: Document) -> str | None:
    """Thoughts, in one of the places vendors have for them."""
    thought = text(message.get("reasoning_content")) or text(message.get("reasoning"))
    if thought is None and "reasoning_details" in message:
        details = [mapping(detail) for detail in items(message["reasoning_details"])]
        thought = "".join(text(detail.get("text")) or text(detail.get("summary")) or "" for detail in details)
    return thought or None


def called(call: Document) -> ToolCall:
    """A whole tool call. Arguments are text that should be JSON, but some vendors send the object."""
    function = mapping(call.get("function"))
    if not function and (custom := mapping(call.get("custom"))):
        return ToolCall(id=text(call.get("id")), name=text(custom.get("name")) or "", arguments=custom.get("input"))
    arguments = function.get("arguments")
    if type(arguments) is str:
        arguments = load_argument(arguments)
    return ToolCall(id=text(call.get("id")), name=text(function.get("name")) or "", arguments=arguments)


def tool_definitions(body: Document) -> tuple[ToolDefinition, ...]:
    """The tools offered, the legacy ``functions`` too."""
    tools = [_tool(tool) for tool in items(body.get("tools")) if type(tool) is dict]
    tools += [_tool({"type": "function", "function": function}) for function in items(body.get("functions")) if type(function) is dict]
    return tuple(tools)


def tool_response(content: Any) -> Any:
    """What a tool said: the string; a single text part's string; else the parts as plain data."""
    if type(content) is not list:
        return content if content is not None else ""
    parts = content_parts(content)
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].content
    return msgspec.to_builtins(list(parts))


def _tool(tool: Document) -> ToolDefinition:
    kind = text(tool.get("type")) or "function"
    told = mapping(tool.get(kind)) or tool  # `{type, function: {...}}`, or flat
    return ToolDefinition(
        type=kind, name=text(told.get("name")), description=text(told.get("description")), parameters=told.get("parameters")
    )


def _part(part: Document) -> tuple[AnyPart, ...]:
    kind = text(part.get("type")) or ("text" if "text" in part else "")
    if kind in {"text", "input_text", "output_text"}:
        content = text(part.get("text"))
        return (Text(content=content),) if content else ()
    if kind in _LINKS:
        link = part.get(kind)
        url = text(link) or text(mapping(link).get("url"))
        return (linked(_LINKS[kind], url),) if url else (Generic(generic_type=kind),)
    if kind == "input_audio":
        audio = part.get(kind)
        form = text(mapping(audio).get("format"))
        return (blob("audio", mapping(audio).get("data") or audio, f"audio/{form}" if form else None),)
    if kind == "file":
        return (_file(mapping(part.get("file"))),)
    if kind in {"thinking", "reasoning"}:
        thought = _thought(part.get(kind)) or _thought(part.get("summary")) or _thought(part.get("text"))
        return (Reasoning(content=thought),) if thought else ()
    if kind == "refusal":
        refusal = text(part.get("refusal"))
        return (Refusal(content=refusal),) if refusal else ()
    return (Generic(generic_type=kind, content=without_type(part)),)


def _thought(value: Any) -> str:
    """A string, or a list of text parts."""
    return value if type(value) is str else "".join(text(mapping(item).get("text")) or "" for item in items(value))


def _file(file: Document) -> AnyPart:
    if file_id := text(file.get("file_id")):
        return File(modality="document", file_id=file_id)
    data = text(file.get("file_data"))
    if data is None:
        return Generic(generic_type="file")
    if data[:5].lower() == "data:" or data.startswith(("http://", "https://")):
        return linked("document", data)
    return blob("document", data)


def _audio(audio: Document) -> AnyPart:
    file_id = text(audio.get("id"))
    if file_id and not audio.get("data"):
        return File(modality="audio", file_id=file_id)  # an earlier answer, named again in the next request
    return blob("audio", audio.get("data"), transcript=text(audio.get("transcript")))
