"""Messages, tools and citations of Cohere's.

Nothing here is opaque: documents and what tools gave are the application's own, and are kept as they were sent.
"""

from typing import Any

from llm_observe.records import AnyPart, Generic, Message, Reasoning, Text, ToolCall, ToolCallResponse, ToolDefinition
from llm_observe.wire.answer import text_parts
from llm_observe.wire.jsonio import Document, integer, items, load_argument, mapping, text
from llm_observe.wire.media import linked, without_type

_NOT_OF_TEXT = frozenset({"PLAN", "THINKING_CONTENT"})  # citations of what is no answer

_ROLES = {"user": "user", "chatbot": "assistant", "system": "system", "tool": "tool"}  # the first version shouts its own


def message_of(message: Document) -> Message:
    """One message of the second version, its role as it was sent."""
    role = text(message.get("role")) or ""
    if role == "tool":
        response = _tool_response(message.get("content"))
        return Message(role=role, parts=(ToolCallResponse(id=text(message.get("tool_call_id")), response=response),))
    return Message(role=role, parts=parts_of(message))


def parts_of(message: Document) -> tuple[AnyPart, ...]:
    """The parts of a message: content, the plan for the tools (which is a thought), their calls."""
    parts = [*content_parts(message.get("content"), items(message.get("citations")))]
    if plan := text(message.get("tool_plan")):
        parts.append(Reasoning(content=plan))
    parts += [called(call) for call in items(message.get("tool_calls")) if type(call) is dict]
    return tuple(parts)


def content_parts(content: Any, citations: list[Any]) -> tuple[AnyPart, ...]:
    """A message's content, a string or blocks; each of the *citations* with the block it is of, or the first text."""
    blocks = [{"type": "text", "text": content}] if type(content) is str else items(content)
    places: dict[int | None, list[Any]] = {}
    for citation in citations:
        if type(citation) is dict and text(citation.get("type")) not in _NOT_OF_TEXT:
            places.setdefault(integer(citation.get("content_index")), []).append(citation)
    parts: list[AnyPart] = []
    for index, block in enumerate(blocks):
        if type(block) is not dict:
            continue
        if block.get("type") == "text":
            if said := text(block.get("text")):
                parts.append(Text(content=said, citations=(*places.pop(index, []), *places.pop(None, []))))
        else:
            parts += _block(block)
    return tuple(parts)


def documents_of(body: Document) -> tuple[AnyPart, ...]:
    """The documents that the answer is to stand on."""
    return tuple(Generic(generic_type="document", content=document) for document in items(body.get("documents")))


def with_parts(messages: list[Message], more: tuple[AnyPart, ...]) -> tuple[Message, ...]:
    """*messages*, with *more* at the user's last turn."""
    last = next((n for n in range(len(messages) - 1, -1, -1) if messages[n].role == "user"), None)
    if more and last is None:
        return (*messages, Message(role="user", parts=more))
    if more and last is not None:
        messages[last] = Message(role="user", parts=messages[last].parts + more)
    return tuple(messages)


def called(call: Document) -> ToolCall:
    """A tool call: a function with its arguments as text, or (in the first version) a name with its parameters."""
    function = mapping(call.get("function")) or call
    arguments = function.get("arguments", function.get("parameters"))
    if type(arguments) is str:
        arguments = load_argument(arguments) if arguments else None
    return ToolCall(id=text(call.get("id")), name=text(function.get("name")) or "", arguments=arguments)


def tool_definition(tool: Document) -> ToolDefinition:
    """A tool offered: its parameters as a schema, or (in the first version) one by one."""
    function = mapping(tool.get("function")) or tool
    return ToolDefinition(
        type=text(tool.get("type")) or "function",
        name=text(function.get("name")),
        description=text(function.get("description")),
        parameters=function.get("parameters") or function.get("parameter_definitions"),
    )


def turn_of(turn: Document) -> Message:
    """One turn of the first version's history."""
    role = text(turn.get("role")) or ""
    calls = tuple(called(call) for call in items(turn.get("tool_calls")) if type(call) is dict)
    return Message(role=_ROLES.get(role.lower(), role), parts=text_parts(turn.get("message")) + calls + tool_results(turn))


def tool_results(turn: Document) -> tuple[AnyPart, ...]:
    """What the application's tools gave, in the first version: each with the call that it answers, for calls have no ids there."""
    return tuple(ToolCallResponse(response=result) for result in items(turn.get("tool_results")) if type(result) is dict)


def _block(block: Document) -> tuple[AnyPart, ...]:
    kind = text(block.get("type")) or ""
    if kind == "thinking":
        thought = text(block.get("thinking"))
        return (Reasoning(content=thought),) if thought else ()
    link = block.get("image_url")
    if kind == "image_url" and (url := text(link) or text(mapping(link).get("url"))):
        return (linked("image", url),)
    return (Generic(generic_type=kind, content=without_type(block)),)


def _tool_response(content: Any) -> Any:
    """What a tool said: the string; of one text or document what it holds; of several a list of that."""
    if type(content) is not list:
        return "" if content is None else content
    held = [_held(block) for block in content]
    return held[0] if len(held) == 1 else held


def _held(block: Any) -> Any:
    block = mapping(block)
    if type(said := block.get("text")) is str:
        return said
    document = block.get("document")
    return mapping(document).get("data", document)
