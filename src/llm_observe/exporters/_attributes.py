"""A record as OpenTelemetry attributes: the GenAI conventions' names, and our own where they have none.

The path of a field is its attribute's name, below the convention's prefix: nothing is listed here but what leaves that rule.
"""

import functools
import itertools
import operator
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import msgspec

from llm_observe._runtime.encode import encode
from llm_observe.records import AnyRecord, Blob, Call, Message, Refusal, Text

Value = str | bool | int | float | tuple[str, ...]

PREFIX = "gen_ai."
OWN = "llm_observe."
DETAILS, EXCEPTION = "gen_ai.client.inference.operation.details", "gen_ai.client.operation.exception"  # events

# Where a field goes, with all below it, that is not under the prefix by its own path. None: it is no attribute.
PLACES: dict[str, str | None] = {
    **dict.fromkeys(["trace_id", "span_id", "parent_id", "started_at", "duration", "name", "schema", "service"]),  # the span's own
    **dict.fromkeys(["sampled", "trace_state", "instrumentation", "attempts", "error.message", "response.chunk_gaps"]),
    **{path: OWN + path for path in ("id", "status", "request_id", "wire", "cost", "truncated", "scope", "calls", "disconnected")},
    **{path: OWN + path for path in ("sampling", "content")},
    **{path: OWN + path for path in ("error.code", "error.permanent", "provider.guessed", "usage.billed", "input.count", "output.schema")},
    **{path: OWN + path for path in ("response.status", "response.time_to_first_content", "response.embedding_count")},
    **{path: path for path in ("error", "server", "http", "url")},  # the core conventions' own
    "attributes": "",  # a step's: the user has named them
    "scope.user_id": "user.id",
    "scope.session_id": "session.id",
    "scope.tags": OWN + "tag",
    "request.guardrail": "aws.bedrock.guardrail.id",
    "request.service_tier": "openai.request.service_tier",
    "response.service_tier": "openai.response.service_tier",
    "response.system_fingerprint": "openai.response.system_fingerprint",
}
OPENAI = "openai."
_OPENAIS = {"openai", "azure.ai.openai"}  # providers whose telemetry has attributes under that prefix
_APIS = {"openai.chat": "chat_completions", "openai.responses": "responses"}
INT64 = range(-(2**63), 2**63)


def attributes(record: AnyRecord) -> dict[str, Value]:
    """Everything *record* says, but for what the span itself says: its ids, times, name and status."""
    found: dict[str, Value] = {}
    _walk(record, "", PREFIX, found)
    if not isinstance(record, Call):
        return found
    if record.request.stream is False:
        del found[PREFIX + "request.stream"]  # set only when true
    if record.provider.name not in _OPENAIS:
        return {(OWN + name.removeprefix(OPENAI) if name.startswith(OPENAI) else name): value for name, value in found.items()}
    if record.request.service_tier == "auto":
        del found["openai.request.service_tier"]
    if record.wire is not None and (api := _APIS.get(record.wire.format)):
        found["openai.api.type"] = api
    return found


def plain(value: Any) -> Value:
    """*value* as an attribute can have it: what has members is JSON."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value) if value in INT64 else str(value)
    if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
        return tuple(str(plain(one)) for one in value)
    return json(value)


def json(value: Any) -> str:
    """*value* as JSON, whatever it is."""
    return encode(value).decode()


def parts(message: Message) -> Message:
    """*message* with such parts only as the convention knows. A refusal is text to it, and a blob has content: ours is not on record."""
    known: Any = tuple(_part(part) for part in message.parts)
    return msgspec.structs.replace(message, parts=known)


def _part(part: Any) -> Any:
    if isinstance(part, Refusal):
        return Text(content=part.content)
    return {**msgspec.to_builtins(part), "content": ""} if isinstance(part, Blob) else part


def _walk(struct: msgspec.Struct, path: str, name: str, found: dict[str, Value]) -> None:
    """Add the attributes of *struct*, which is the field at *path*, to those *found*; what has no place of its own goes below *name*."""
    values, (defaults, fields) = msgspec.structs.astuple(struct), _fields(type(struct), path, name)
    said = map(operator.is_not, values, defaults)  # fields at their defaults never come to the interpreter
    for value, (place, here, number) in itertools.compress(zip(values, fields, strict=True), said):
        if place is None:
            continue
        kind = type(value)
        if kind is str:
            found[place] = value if value.isascii() else plain(value)
        elif kind is int or kind is float:
            found[place] = plain(value if number is None else number(value))
        elif isinstance(value, msgspec.Struct):
            _walk(value, here, place + ".", found)
        elif value in ((), {}):
            continue
        elif kind is dict and here != "output.schema.":
            _entries(value, place + "." if place else "", found)
        elif kind is tuple and isinstance(value[0], Message):
            found[place] = json(tuple(map(parts, value)))
        else:
            found[place] = plain(value)


def _entries(value: Mapping[str, Any], name: str, found: dict[str, Value]) -> None:
    for key, one in value.items():
        if isinstance(one, msgspec.Struct):
            _walk(one, "*.", f"{name}{key}.", found)
        elif one is not None:
            found[str(plain(f"{name}{key}"))] = plain(one)


_Field = tuple[str | None, str, type[int] | type[float] | None]
"""An attribute's place, where what is below it is, and its number type: a provider's JSON has 1 for 1.0."""


@functools.lru_cache(maxsize=1024)  # some names have a key of the record in them
def _fields(kind: type[msgspec.Struct], path: str, name: str) -> tuple[list[object], list[_Field]]:
    """The defaults and the fields of a *kind* that is at *path* and whose names begin with *name*."""
    hints, fields = get_type_hints(kind), msgspec.structs.fields(kind)
    here = [path + field.encode_name for field in fields]
    return [field.default for field in fields], [
        (PLACES.get(at, name + field.encode_name), at + ".", _number(hints[field.name])) for at, field in zip(here, fields, strict=True)
    ]


def _number(hint: Any) -> type[int] | type[float] | None:
    """``float`` for ``float`` and ``float | None``, and so for ``int``."""
    return next((one for one in (float, int) if one in {hint, *get_args(hint)}), None)
