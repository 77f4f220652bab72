"""A record to one line of JSON, once for all exporters."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from llm_observe.records import AnyRecord

DEEPEST = 64  # levels of a user's value; what lies below, and what contains itself, is cut off

_encoder = msgspec.json.Encoder(enc_hook=repr)


def encode(record: AnyRecord) -> bytes:
    """*record* as one compact JSON object, no newline in it.

    What JSON does not know becomes its ``repr``. What cannot be written at all (a lone surrogate, a dict inside itself, a ``repr`` that
    raises, a number of five thousand digits) is replaced by what can, so that the rest of the record is not lost with it.
    """
    try:
        return _encoder.encode(record)
    except Exception:  # a user's tag, attribute or prompt: rare, and may take its time
        return _encoder.encode(_plain(record, DEEPEST))


def _plain(value: Any, depth: int) -> Any:
    """*value* in terms that any JSON can hold."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else float(value) if abs(value) < 10**300 else "[a number too long]"
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth == 0:
        return "[too deep]"
    if isinstance(value, msgspec.Struct):
        return _fields(value, depth - 1)
    if isinstance(value, Mapping):
        return {_key(name): _plain(one, depth - 1) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one, depth - 1) for one in value]
    try:
        return _plain(msgspec.to_builtins(value, enc_hook=repr), 1)
    except Exception:
        return f"[{type(value).__name__}]"


def _fields(record: msgspec.Struct, depth: int) -> dict[str, Any]:
    """A Struct as msgspec writes it: with its tag, and without what has its default."""
    config = record.__struct_config__
    tag = {str(config.tag_field): config.tag} if config.tag_field else {}
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        empty = field.default_factory in {dict, list} and not value
        if not empty and value is not field.default:
            tag[field.encode_name] = _plain(value, depth)
    return tag


def _key(name: Any) -> str:
    return _text(name if isinstance(name, str) else str(_plain(name, 1)))


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
