"""A function call that comes in pieces, as Vertex AI sends it where the request asks for ``streamFunctionCallArguments``.

Each piece says by a JSON path to which argument it belongs; a text goes on where the last piece of its path ended.
"""

import re
from itertools import pairwise
from typing import Any

from llm_observe.wire.gemini.fields import member, several
from llm_observe.wire.jsonio import Document, mapping, text

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\[(['"])(.*?)\3\]""")
_LONGEST_PATH = 1000  # characters; no schema comes near, and longer ones take ever longer to read
_DEEPEST = 50


class CallInPieces:
    """One call in the making."""

    __slots__ = ("_args", "_id", "_name", "_values")

    def __init__(self) -> None:
        self._id: str | None = None
        self._name: str | None = None
        self._args: Document = {}
        self._values: dict[str, Any] = {}  # by path: a list of the pieces of a text, or what is none

    def goes_on_in(self, call: Document) -> bool:
        """Whether *call* is more of this one, or the next."""
        name, call_id = text(call.get("name")), text(call.get("id"))
        return name in {None, self._name} and (call_id is None or self._id in {None, call_id})

    def add(self, call: Document) -> bool:
        """One more piece. Whether there is more to come."""
        self._id = self._id or text(call.get("id"))
        self._name = self._name or text(call.get("name"))
        self._args.update(mapping(call.get("args")))
        for piece in several(member(call, "partialArgs")):
            if type(piece) is dict and (path := text(member(piece, "jsonPath"))):
                self._note(path, piece)
        return member(call, "willContinue") is True

    def whole(self) -> Document:
        """The part that a plain answer would have held."""
        for path, value in self._values.items():
            _put(self._args, _steps(path), "".join(value) if type(value) is list else value)
        return {"functionCall": {"id": self._id, "name": self._name, "args": self._args}}

    def _note(self, path: str, piece: Document) -> None:
        grown = member(piece, "stringValue")
        if type(grown) is str:
            pieces = self._values.get(path)
            if type(pieces) is not list:
                pieces = self._values[path] = []
            pieces.append(grown)
            return
        value = next((value for name in ("numberValue", "boolValue") if (value := member(piece, name)) is not None), None)
        if value is not None or "nullValue" in piece or "null_value" in piece:
            self._values[path] = value


def is_in_pieces(call: Document) -> bool:
    """Whether a call says to be one of these."""
    return member(call, "partialArgs") is not None or member(call, "willContinue") is True


def _steps(path: str) -> list[str | int]:
    """``$.places[0].name`` as its steps; none where it leads nowhere."""
    if len(path) > _LONGEST_PATH:
        return []
    steps: list[str | int] = []
    for found in _STEP.finditer(path):
        name, index, _, quoted = found.groups()
        steps.append(int(index) if index else name or quoted or "")
    return steps if len(steps) <= _DEEPEST else []


def _put(args: Document, steps: list[str | int], value: Any) -> None:
    if not steps or type(steps[0]) is int:
        return
    holder: Any = args
    for step, following in pairwise(steps):
        inner = _held(holder, step)
        kind: type = list if type(following) is int else dict
        if type(inner) is not kind:
            inner = kind()
            _hold(holder, step, inner)
        holder = inner
    _hold(holder, steps[-1], value)


def _held(holder: Any, step: Any) -> Any:
    if type(holder) is list:
        return holder[step] if step < len(holder) else None
    return holder.get(step)


def _hold(holder: Any, step: Any, value: Any) -> None:
    """Set the item of an object or a list; what lies beyond a list's end comes next in it."""
    if type(holder) is list and step >= len(holder):
        holder.append(value)
    else:
        holder[step] = value
