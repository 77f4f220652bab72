"""A stream of Cohere's second version, folded into the message it builds."""

from typing import Any

from llm_observe.wire.jsonio import Document, items, mapping, text


class _Call:
    """A tool call in the making."""

    __slots__ = ("arguments", "start")

    def __init__(self) -> None:
        self.start: Document = {}
        self.arguments: list[str] = []

    def whole(self) -> Document:
        function = mapping(self.start.get("function")) | {"arguments": "".join(self.arguments)}
        return self.start | {"function": function}


class Folded:
    """Everything the events say of the message."""

    __slots__ = ("blocks", "calls", "citations", "plan", "role")

    def __init__(self) -> None:
        self.role: Any = None
        self.blocks: dict[int, dict[str, list[str]]] = {}  # by their index: the pieces of each of their members
        self.plan: list[str] = []
        self.calls: dict[int, _Call] = {}
        self.citations: list[Any] = []

    def add(self, kind: str, index: int, message: Document) -> bool:
        """One more event: its type, the index it is of, what it says of the message. Whether that has something of the answer in it."""
        if kind in {"content-delta", "content-start"}:
            return self._content(index, mapping(message.get("content")))
        if kind == "tool-plan-delta":
            return _piece(self.plan, message.get("tool_plan"))
        if kind in {"tool-call-delta", "tool-call-start"}:
            return self._call(index, _only(message.get("tool_calls")))
        if kind == "citation-start":
            self.citations.append(_only(message.get("citations")))
        elif kind == "message-start":
            self.role = message.get("role")
        return False

    def whole(self) -> Document:
        """The message, as a plain answer has it."""
        content = []
        for index in sorted(self.blocks):
            content += [{"type": member, member: "".join(pieces)} for member, pieces in self.blocks[index].items()]
        return {
            "role": self.role,
            "content": content,
            "tool_plan": "".join(self.plan),
            "tool_calls": [self.calls[index].whole() for index in sorted(self.calls)],
            "citations": self.citations,
        }

    def _content(self, index: int, content: Document) -> bool:
        block = self.blocks.setdefault(index, {})
        told = [_piece(block.setdefault(member, []), content[member]) for member in ("thinking", "text") if member in content]
        return any(told)

    def _call(self, index: int, told: Document) -> bool:
        call = self.calls.get(index)
        if call is None:
            call = self.calls[index] = _Call()
        call.start = call.start or told
        _piece(call.arguments, mapping(told.get("function")).get("arguments"))
        return bool(told)


def _piece(pieces: list[str], piece: Any) -> bool:
    if (said := text(piece)) is not None:
        pieces.append(said)
    return said is not None


def _only(value: Any) -> Document:
    """An object that stands alone where the message has a list."""
    return mapping(next(iter(items(value)), value))
