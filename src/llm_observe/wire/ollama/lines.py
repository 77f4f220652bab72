"""An answer of Ollama's, in one document or in lines: each line has a piece of it, the last one says that it is done, why, and the counts."""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import AnyPart, Error, Reasoning, Text, ToolCall
from llm_observe.wire.answer import Answer, error_of, finish_reason, unread_reason
from llm_observe.wire.jsonio import MALFORMED, Document, items, load_argument, mapping, text
from llm_observe.wire.media import blob
from llm_observe.wire.ollama.fields import duration_of, pictures, usage_of


def folded(lines: Sequence[Any]) -> Answer:
    """What the *lines* say together."""
    said: list[str] = []
    thought: list[str] = []
    others: list[AnyPart] = []
    calls: list[ToolCall] = []
    model: str | None = None
    role: str | None = None
    last: Document = {}
    error: Error | None = None
    begun, unread = False, 0
    first_content: int | None = None
    for place, line in enumerate(lines):
        if type(line) is not dict:
            unread += line is MALFORMED
            continue
        error = error or error_of(line)
        model = model or text(line.get("model"))
        if line.get("done") is True:
            last = line
        message = mapping(line.get("message"))
        begun = begun or bool(message) or "response" in line
        role = role or text(message.get("role"))
        more = calls_of(message)
        media = pictures(message) + _drawn(line)
        calls += more
        others += media
        told = _piece(said, message.get("content"), line.get("response"))
        told = _piece(thought, message.get("thinking"), line.get("thinking")) or told
        if first_content is None and (told or more or media):
            first_content = place
    reason = text(last.get("done_reason"))
    mapped = "tool_call" if calls and reason == "stop" else finish_reason(reason) if reason else None
    parts: list[AnyPart] = [Reasoning(content="".join(thought))] if thought else []
    parts += [Text(content="".join(said))] if said else []
    return Answer(
        model=model,
        choices=((role or "assistant", (*parts, *others, *calls)),) if begun else (),
        reasons=(reason,) if begun else (),
        mapped=(mapped,) if begun and mapped else None,
        usage=usage_of(last),
        error=error,
        complete=bool(last),
        reason=unread_reason(unread),
        first_content=first_content,
        processing_time=duration_of(last),
    )


def calls_of(message: Document) -> tuple[ToolCall, ...]:
    """The tool calls of a message: whole ones, their arguments an object."""
    return tuple(_called(call) for call in items(message.get("tool_calls")) if type(call) is dict)


def _called(call: Document) -> ToolCall:
    function = mapping(call.get("function"))
    arguments = function.get("arguments")
    if type(arguments) is str:
        arguments = load_argument(arguments)
    return ToolCall(id=text(call.get("id")), name=text(function.get("name")) or "", arguments=arguments)


def _drawn(line: Document) -> tuple[AnyPart, ...]:
    """The picture that a model of that kind made."""
    return (blob("image", line["image"]),) if text(line.get("image")) else ()


def _piece(pieces: list[str], *places: Any) -> bool:
    found = [piece for place in places if (piece := text(place)) is not None]
    pieces += found
    return bool(found)
