"""What an application gave, in terms that any JSON can hold.

Tags, attributes and messages may be anything: a number of five thousand digits, a list inside itself, an object whose ``repr`` asks a
database that does not answer. What is plain already costs a walk. Code that is not ours runs in a thread of its own, which is left
behind when it takes too long; then the name of the type stands for the value.
"""

import base64
import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from llm_observe._runtime.scope import SUPPRESSED, frame

DEEPEST = 64  # levels; what lies below is cut off
MOST = 200_000  # values in one; a list of itself twice, thirty times over, has a thousand million
PATIENCE = 1.0  # seconds that code which is not ours may take
MOST_STUCK = 4  # threads left behind; with so many of them, none is begun any more

_ATOMS = frozenset({str, bool, float, type(None)})
_stuck: list[threading.Thread] = []


class _ForeignError(Exception):
    """There is something in it that only code which is not ours can tell of."""


def plain(value: Any) -> Any:
    """*value* as texts, numbers, lists and dicts, as near to it as they can come. It never raises."""
    if type(value) in _ATOMS:
        return value
    try:
        try:
            return _Walk(_refused).value(value, DEEPEST)
        except _ForeignError:
            return _watched(lambda: _Walk(_asked).value(value, DEEPEST))
    except Exception:  # too slow, too deep for this stack, changed while we looked at it
        try:
            return _Walk(_named).value(value, DEEPEST)
        except Exception:
            return _named(_Walk(_named), value, 0)


def word(value: Any) -> str:
    """*value* where a text has to stand."""
    return value if type(value) is str else str(plain(value))


class _Walk:
    """One walk through a value; *foreign* is what is done about what is neither JSON's nor ours."""

    def __init__(self, foreign: "Callable[[_Walk, Any, int], Any]") -> None:
        self._foreign = foreign
        self._left = MOST
        self._inside: set[int] = set()

    def value(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return _text(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -(2**63) <= value < 2**64 else float(value) if abs(value) < 10**300 else "[a number too long]"
        if kind is float:
            return value if math.isfinite(value) else None
        if kind is bytes or kind is bytearray:
            return base64.b64encode(value).decode()
        if depth == 0:
            return "[too deep]"
        if id(value) in self._inside:
            return "[itself]"
        self._inside.add(id(value))
        try:
            return self._container(value, kind, depth - 1)
        finally:
            self._inside.discard(id(value))

    def _container(self, value: Any, kind: type, depth: int) -> Any:
        if kind is dict:
            return self.mapping(value, depth)
        if kind in {list, tuple, set, frozenset}:
            return self.several(value, depth)
        if isinstance(value, msgspec.Struct):
            return self._fields(value, depth)
        return self._foreign(self, value, depth)

    def mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        made = {}
        for name, one in value.items():
            if self._spent():
                made["[too much]"] = True
                break
            made[self._key(name)] = self.value(one, depth)
        return made

    def several(self, value: Any, depth: int) -> list[Any]:
        made = []
        for one in value:
            if self._spent():
                made.append("[too much]")
                break
            made.append(self.value(one, depth))
        return made

    def _spent(self) -> bool:
        self._left -= 1
        return self._left < 0

    def _key(self, name: Any) -> str:
        return _text(name) if type(name) is str else str(self.value(name, 1))

    def _fields(self, record: msgspec.Struct, depth: int) -> dict[str, Any]:
        """A Struct as msgspec writes it: with its tag, and without what has its default."""
        config = record.__struct_config__
        made = {str(config.tag_field): config.tag} if config.tag_field else {}
        for field in msgspec.structs.fields(record):
            value = getattr(record, field.name)
            empty = field.default_factory in {dict, list} and not value
            if not empty and value is not field.default:
                made[field.encode_name] = self.value(value, depth)
        return made


def _refused(_walk: _Walk, _value: Any, _depth: int) -> Any:
    raise _ForeignError


def _named(_walk: _Walk, value: Any, _depth: int) -> Any:
    return f"[{type(value).__name__}]"


def _asked(walk: _Walk, value: Any, depth: int) -> Any:
    """What it says itself: as the text, number or collection that it is too, as msgspec has it, or by its ``repr``."""
    try:
        match value:
            case str():
                return _text(str(value))
            case int() | float():
                return walk.value(int(value) if isinstance(value, int) else float(value), depth)
            case Mapping():
                return walk.mapping(value, depth)
            case list() | tuple() | set() | frozenset():
                return walk.several(value, depth)
            case _:
                return walk.value(msgspec.to_builtins(value, enc_hook=repr), depth)
    except Exception:
        return _named(walk, value, depth)


def _watched(work: Callable[[], Any]) -> Any:
    """What *work* comes to, in a thread that is left behind when it takes too long.

    :raises TimeoutError: when it does, or when too many have.
    :raises RuntimeError: when no thread can be started while the interpreter ends.
    """
    _stuck[:] = [thread for thread in _stuck if thread.is_alive()]
    if len(_stuck) >= MOST_STUCK:
        raise TimeoutError
    found: list[Any] = []

    def run() -> None:
        frame.set(SUPPRESSED)  # what it asks whom is nobody's request
        try:
            found.append(work())
        except BaseException:  # a thread has nobody to raise to
            return

    thread = threading.Thread(target=run, name="llm-observe-repr", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if not found:
        _stuck.append(thread)
        raise TimeoutError
    return found[0]


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
