"""JSON as it comes: fast where it is right, patient where it is not.

:func:`load` never raises. What it gives can be encoded again: no lone surrogates, no nesting deeper than the floors above can
walk, no number that has no JSON. The accessors below it read one field of such a document and answer "nothing" to whatever
has the wrong shape, so that the decoders have no type checks of their own.
"""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

Document = dict[str, Any]

MAX_DEPTH = 200
"""Nesting that is still read. Real bodies stay under 40; the encoder and the processors have to walk what is let through."""

_LONG = 8192  # bytes from which on it pays to look for brackets one by one
_EXACT_DIGITS = 400  # longer integers are kept as text: Python itself refuses to parse from 4,300 on
_NOTHING: Document = {}


class _Malformed:
    """The type of :data:`MALFORMED`."""

    def __repr__(self) -> str:
        return "MALFORMED"


MALFORMED = _Malformed()
"""What :func:`load` gives for bytes that are no JSON. (None is JSON.)"""


def load(data: bytes | str) -> Any:
    """The document in *data*, or :data:`MALFORMED`."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError):
        document = _load_patiently(data)
    except RecursionError:
        return MALFORMED
    # A document of n bytes nests n / 2 deep at most, and no deeper than it has brackets to open.
    if len(data) > 2 * MAX_DEPTH and _has_many_openers(data) and _is_deep(document):
        return MALFORMED
    return document


def load_argument(text: str) -> Any:
    """Tool call arguments: what the text says where it is JSON, else the text."""
    document = load(text)
    return text if document is MALFORMED else document


def _load_patiently(data: bytes | str) -> Any:
    """What msgspec is too strict for: broken UTF-8, lone surrogates, raw control characters, NaN, huge numbers, a BOM."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    try:
        document = json.loads(text.removeprefix("\ufeff"), strict=False, parse_constant=_no_number, parse_int=_integer, parse_float=_finite)
        # Through UTF-8 once, because a surrogate may hide in any string or key.
        return msgspec.json.decode(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, msgspec.DecodeError, RecursionError):
        return MALFORMED


def _no_number(_: str) -> None:
    """NaN and the infinities are unknown values."""


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) < _EXACT_DIGITS else digits


def _has_many_openers(data: bytes | str) -> bool:
    if isinstance(data, bytes):
        if len(data) < _LONG:  # taking them out leaps from one to the next: three times as fast as `count`
            return 2 * len(data) - len(data.replace(b"{", b"")) - len(data.replace(b"[", b"")) > MAX_DEPTH
        return _counted(data.find, (b"{", b"[")) > MAX_DEPTH
    return _counted(data.find, ("{", "[")) > MAX_DEPTH


def _counted(find: Callable[..., int], things: Iterable[bytes | str]) -> int:
    """How many of *things* there are, up to more than we ask for: in a long text, to look for the next costs a tenth of counting them all."""
    count = 0
    for thing in things:
        place = find(thing)
        while place >= 0 and count <= MAX_DEPTH:
            count += 1
            place = find(thing, place + 1)
    return count


def _is_deep(document: Any) -> bool:
    """Level by level, not by recursion: that is what this guards."""
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            value
            for holder in level
            for value in (holder.values() if type(holder) is dict else holder if type(holder) is list else ())
            if type(value) is dict or type(value) is list
        ]
        if not level:
            return False
    return True


def encodable(value: str | None) -> str | None:
    """Text from elsewhere (headers, exceptions), without lone surrogates."""
    return value if value is None or value.isascii() else value.encode("utf-8", "replace").decode()


def mapping(value: Any) -> Document:
    """The object, or an empty one."""
    return value if type(value) is dict else _NOTHING


def items(value: Any) -> list[Any]:
    """The list, or an empty one."""
    return value if type(value) is list else []


def text(value: Any) -> str | None:
    """The string, or nothing; an empty one is nothing too."""
    return value if type(value) is str and value else None


def integer(value: Any) -> int | None:
    """The whole number, or nothing. ``true`` is no number; ``3.0`` is one."""
    if type(value) is int:
        return value
    return int(value) if type(value) is float and value.is_integer() else None


def number(value: Any) -> float | None:
    """The number, or nothing."""
    if type(value) is float:
        return value
    try:
        return float(value) if type(value) is int else None
    except OverflowError:
        return None
