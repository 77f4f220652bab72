"""Every text of a record, wherever it stands."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from llm_observe.records import AnyRecord, Call, Generic, ServerToolCall, ServerToolCallResponse, Step, Text, ToolCall, ToolCallResponse

DEEPEST = 48  # levels of a user's value
TOO_DEEP = "[too deep]"
_OURS = frozenset({"id", "trace_id", "span_id", "parent_id", "schema", "status", "started_at"})  # of a record: made by us
_CONTENT = re.compile(r"(system_instructions|input|output|tool|prompt|attributes|scope\.tags|error\.message)(\.|$)")
_SAID = {  # the parts that hold values of the application's own
    ToolCall: "arguments",
    ToolCallResponse: "response",
    ServerToolCall: "server_tool_call",
    ServerToolCallResponse: "server_tool_call_response",
    Generic: "content",
}
_PLAIN = (int, float, bool, type(None), datetime)
_SECRET_NAME = re.compile(
    r"password|passwd|passphrase|secret|authorization|cookie|apikey|(access|secret|private|account|subscription|signing|encryption)key"
    r"|(access|auth|refresh|session|bearer|security|id|api)token|credentials|connectionstring"
)


def is_content(path: str) -> bool:
    """Whether somebody's words stand at *path*, and not a fact about the call."""
    return _CONTENT.match(path) is not None


def is_secret(name: object) -> bool:
    """Whether what stands under *name* is a secret, whatever it looks like."""
    if type(name) is not str or len(name) > 64:
        return False
    bare = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    found = _SECRET_NAME.search(bare)
    return found is not None and found.end() == len(bare)


def names_one(record: AnyRecord) -> bool:
    """Whether a text stands under a secret's name in a value of *record* that has names of the application's own."""
    scope = record.scope
    if scope is not None and scope.tags and names_a_secret(scope.tags):
        return True
    if not isinstance(record, Call):
        return isinstance(record, Step) and names_a_secret(record.attributes)
    for message in (*record.input.messages, *record.output.messages):
        for part in message.parts:
            if type(part) is not Text and (where := _SAID.get(type(part))) is not None and names_a_secret(getattr(part, where)):
                return True
    return False


def names_a_secret(value: Any, depth: int = DEEPEST) -> bool:
    """Whether a text stands under a secret's name in *value*."""
    if depth == 0:
        return True  # to be looked at, and cut off
    if isinstance(value, dict):
        return any(
            (is_secret(name) and isinstance(one, str)) or (type(one) not in _PLAIN and names_a_secret(one, depth - 1))
            for name, one in value.items()
        )
    return isinstance(value, list | tuple) and any(type(one) not in _PLAIN and names_a_secret(one, depth - 1) for one in value)


def walked(record: AnyRecord, text: Callable[[str, str, bool], str]) -> AnyRecord:
    """*record* with *text* of each text instead: it gets the text, its path, and whether it stands under a secret's name."""
    changed = {}
    for name in record.__struct_fields__:
        if name not in _OURS:
            value = getattr(record, name)
            seen = _value(value, name, text, DEEPEST, secret=False)
            if seen is not value:
                changed[name] = seen
    return msgspec.structs.replace(record, **changed) if changed else record


def _value(value: Any, path: str, text: Callable[[str, str, bool], str], depth: int, *, secret: bool) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str):
        return text(value, path, secret) if value else value
    if depth == 0:
        return TOO_DEEP
    if isinstance(value, msgspec.Struct):
        changed = {}
        for name in value.__struct_fields__:
            before = getattr(value, name)
            after = _value(before, f"{path}.{name}", text, depth - 1, secret=False)
            if after is not before:
                changed[name] = after
        return msgspec.structs.replace(value, **changed) if changed else value
    if isinstance(value, dict):
        new = {
            _name(name, path, text): _value(one, f"{path}.{name}", text, depth - 1, secret=secret or is_secret(name))
            for name, one in value.items()
        }
        return value if all(new.get(name, value) is one for name, one in value.items()) else new
    if isinstance(value, list | tuple):
        several = [_value(one, f"{path}.{n}", text, depth - 1, secret=secret) for n, one in enumerate(value)]
        return (
            value
            if all(new is old for new, old in zip(several, value, strict=True))
            else type(value)(several)
            if type(value) in {list, tuple}
            else several
        )
    # What JSON writes in its own way, or by its repr: as it will be written.
    return _value(msgspec.to_builtins(value, enc_hook=repr, str_keys=True), path, text, depth - 1, secret=secret)


def _name(name: Any, path: str, text: Callable[[str, str, bool], str]) -> Any:
    return text(name, f"{path}.{name}", False) if isinstance(name, str) and name else name
