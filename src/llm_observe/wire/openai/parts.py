"""Messages of the Chat Completions kind, and their calls."""

from itertools import compress
from typing import Any

from llm_observe.records import (
    AnyPart,
    File,
    Message,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    ToolCallResponse,
)
from llm_observe.wire.jsonio import Document, items, load_argument, mapping, text
from llm_observe.wire.media import blob, scrubbed
from llm_observe.wire.openai.content import cited, content_parts, part_of, plain_of

_PLAIN = frozenset({"role", "name", "content", "tool_calls"})  # what nearly all messages say


def message_of(message: Document) -> Message:
    """One message of the request, its role as it was sent."""
    role, content = message.get("role"), message.get("content")
    if type(role) is not str:
        role = ""
    if role == "tool" or role == "function":  # noqa: PLR1714  # a comparison less, and there may be hundreds
        parts: tuple[AnyPart, ...] = (ToolCallResponse(id=text(message.get("tool_call_id")), response=plain_of(content)),)
    elif len(message) == 2 and role and type(content) is str and content:
        return Message(role=role, parts=(Text(content=content),))  # by far the most frequent
    else:
        parts = output_parts(message)
    return Message(role=role, parts=parts, name=text(message["name"]) if "name" in message else None)


def output_parts(message: Document, sources: tuple[object, ...] = ()) -> tuple[AnyPart, ...]:
    """The parts of a message: thoughts, content, refusal, media, tools that the provider ran, calls.

    *sources* are what the answer as a whole stands on.
    """
    content = message.get("content")
    if _PLAIN.issuperset(compress(message, message.values())):  # nothing else says anything
        said = (Text(content=content),) if type(content) is str and content else () if content is None else content_parts(content)
        said = cited(said, sources) if sources else said
        calls = message.get("tool_calls")
        return (*said, *[called(call) for call in items(calls) if type(call) is dict]) if calls else said
    parts: list[AnyPart] = []
    if thought := reasoning_of(message):
        parts.append(Reasoning(content=thought))
    parts += cited(content_parts(content), (*citations_of(message), *sources))
    if refusal := text(message.get("refusal")):
        parts.append(Refusal(content=refusal))
    parts += images_of(message)
    if audio := mapping(message.get("audio")):
        parts += audio_of(audio)
    parts += executed_of(items(message.get("executed_tools")))
    parts += [called(call) for call in items(message.get("tool_calls")) if type(call) is dict]
    if function := mapping(message.get("function_call")):
        parts.append(called({"function": function}))
    return tuple(parts)


def reasoning_of(message: Document) -> str | None:
    """Thoughts, in one of the places vendors have for them."""
    thought = text(message.get("reasoning_content")) or text(message.get("reasoning"))
    if thought is None and "reasoning_details" in message:
        details = [mapping(detail) for detail in items(message["reasoning_details"])]
        thought = "".join(text(detail.get("text")) or text(detail.get("summary")) or "" for detail in details)
    return thought or None


def citations_of(message: Document) -> tuple[object, ...]:
    """What a message stands on: OpenAI's and OpenRouter's annotations, others' citations, Azure's own data."""
    found = [*items(message.get("annotations")), *items(message.get("citations")), *items(mapping(message.get("context")).get("citations"))]
    return tuple(scrubbed(found)) if found else ()


def sources_of(document: Document) -> tuple[object, ...]:
    """What an answer as a whole stands on: Perplexity's search results, or no more than their addresses."""
    if "search_results" not in document and "citations" not in document:
        return ()
    return tuple(scrubbed(items(document.get("search_results")) or items(document.get("citations"))))


def images_of(message: Document) -> list[AnyPart]:
    """Pictures that the model made: OpenRouter has them beside the content."""
    return [part for image in items(message.get("images")) if type(image) is dict for part in part_of({"type": "image_url", **image})]


def executed_of(tools: list[Any]) -> list[AnyPart]:
    """Tools that Groq ran itself, and what they gave."""
    parts: list[AnyPart] = []
    for tool in tools:
        if type(tool) is not dict:
            continue
        name = text(tool.get("type")) or ""
        arguments = tool.get("arguments")
        parsed = load_argument(arguments) if type(arguments) is str else arguments
        parts.append(ServerToolCall(name=name, server_tool_call={"type": name, "arguments": parsed}))
        given = {member: tool[member] for member in tool if member not in {"type", "arguments", "index"} and tool[member]}
        if given:
            parts.append(ServerToolCallResponse(server_tool_call_response={"type": name, **scrubbed(given)}))
    return parts


def called(call: Document) -> ToolCall:
    """A whole tool call. Arguments are text that should be JSON, but some vendors send the object."""
    function = mapping(call.get("function"))
    if not function and (custom := mapping(call.get("custom"))):
        return ToolCall(id=text(call.get("id")), name=text(custom.get("name")) or "", arguments=custom.get("input"))
    arguments = function.get("arguments")
    if type(arguments) is str:
        arguments = load_argument(arguments)
    return ToolCall(id=text(call.get("id")), name=text(function.get("name")) or "", arguments=arguments)


def audio_of(audio: Document) -> list[AnyPart]:
    """Speech; an earlier answer's, named again in the next request, by its id. Nothing where it has nothing (Snowflake)."""
    data, file_id, transcript = text(audio.get("data")), text(audio.get("id")), text(audio.get("transcript"))
    if data or transcript:
        return [blob("audio", data, transcript=transcript)]
    return [File(modality="audio", file_id=file_id)] if file_id else []
