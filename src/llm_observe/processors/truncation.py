"""Long texts cut, field by field: the record stays valid, and ``truncated`` says what was cut, how long it was and which it was."""

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from llm_observe.records import (
    AnyPart,
    AnyRecord,
    Blob,
    Call,
    Compaction,
    Cut,
    Generic,
    Message,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    ToolCallResponse,
    ToolDefinition,
)

MARK = " […]"
"""What a text ends in that went on."""

_encode = msgspec.json.Encoder().encode
_LONG: dict[type, tuple[str, ...]] = {  # the kinds of parts, and their fields that hold what was said
    Text: ("content", "citations"),
    Reasoning: ("content",),
    Refusal: ("content",),
    Compaction: ("content",),
    ToolCall: ("arguments",),
    ToolCallResponse: ("response",),
    ServerToolCall: ("server_tool_call",),
    ServerToolCallResponse: ("server_tool_call_response",),
    Blob: ("transcript",),
    Generic: ("content",),
}
_Kind = TypeVar("_Kind", bound=msgspec.Struct)


def truncation(limit: int) -> Callable[[AnyRecord], AnyRecord]:
    """The processor that keeps the first *limit* bytes of each text. What is no text is measured as JSON."""

    def truncated(record: AnyRecord) -> AnyRecord:
        if not isinstance(record, Call):
            return record
        wire, output = record.wire, record.output
        # Nothing that was sent is longer than the body it came in. (What came back may have been packed.)
        size = None if wire is None else wire.request_size
        sent_is_short = size is not None and size <= limit
        answer_is_short = _is_short(output.messages, limit)
        if sent_is_short and answer_is_short:
            return record
        cutter = _Cutter(limit)
        changed: dict[str, Any] = {}
        if not sent_is_short:
            changed["system_instructions"] = cutter.parts(record.system_instructions, "system_instructions")
            changed["input"] = _with(record.input, messages=cutter.messages(record.input.messages, "input.messages"))
            changed["tool"] = _with(record.tool, definitions=cutter.tools(record.tool.definitions))
            output = _with(output, schema=cutter.value(output.schema, "output.schema"))
        if not answer_is_short:
            output = _with(output, messages=cutter.messages(output.messages, "output.messages"))
        if not cutter.cuts:
            return record
        return msgspec.structs.replace(record, output=output, truncated={**record.truncated, **cutter.cuts}, **changed)

    return truncated


def _is_short(messages: tuple[Message, ...], limit: int) -> bool:
    """Whether there are short texts only, as in nearly every answer: measured without a copy."""
    for message in messages:
        for part in message.parts:  # a loop, for all() with a generator takes four times as long
            if type(part) is not Text or len(part.content) * 4 > limit or part.citations:
                return False
    return True


class _Cutter:
    """Cuts what is longer than *limit* bytes, and notes it in ``cuts`` by its path."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.cuts: dict[str, Cut] = {}

    def value(self, value: Any, path: str) -> Any:
        """A text as its beginning; anything else as the beginning of its JSON, in what its field can hold."""
        if not value or type(value) in {int, float, bool}:
            return value
        if type(value) is str:
            return self._text(value.encode("utf-8", "surrogatepass"), path, value) if len(value) * 4 > self.limit else value
        raw = _encode(value)
        if len(raw) <= self.limit:
            return value
        text = self._text(raw, path, value)
        if type(value) is tuple:
            return ()  # citations: pieces of one say nothing
        return {"type": value["type"], "truncated": text} if "server_tool_call" in path and type(value) is dict else text

    def messages(self, messages: tuple[Message, ...], path: str) -> tuple[Message, ...]:
        """Messages, part by part."""
        return tuple(_with(message, parts=self.parts(message.parts, f"{path}.{n}.parts")) for n, message in enumerate(messages))

    def parts(self, parts: tuple[AnyPart, ...], path: str) -> tuple[AnyPart, ...]:
        """Parts, by the fields of each that can be long."""
        return tuple(self._fields(part, _LONG.get(type(part), ()), f"{path}.{n}") for n, part in enumerate(parts))

    def tools(self, tools: tuple[ToolDefinition, ...]) -> tuple[ToolDefinition, ...]:
        """The tools offered."""
        return tuple(self._fields(tool, ("description", "parameters"), f"tool.definitions.{n}") for n, tool in enumerate(tools))

    def _text(self, raw: bytes, path: str, value: Any) -> Any:
        """Whole characters of *raw*, as many as may stay, and a mark; *value* where all of it may."""
        if len(raw) <= self.limit:
            return value
        self.cuts[path] = Cut(bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())
        return raw[: self.limit].decode("utf-8", "ignore") + MARK

    def _fields(self, thing: _Kind, names: tuple[str, ...], path: str) -> _Kind:
        return _with(thing, **{name: self.value(getattr(thing, name), f"{path}.{name}") for name in names})


def _with(thing: _Kind, **fields: Any) -> _Kind:
    """*thing* with these *fields*; itself, where they are what it has."""
    return thing if all(getattr(thing, name) is value for name, value in fields.items()) else msgspec.structs.replace(thing, **fields)
