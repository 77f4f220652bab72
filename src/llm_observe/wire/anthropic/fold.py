"""A content block of a stream, folded into the block that a plain answer would have held."""

from typing import Any

from llm_observe.wire.jsonio import Document, items, load_argument, text

_DELTAS = {  # type of a delta: its member that holds a piece, the block it belongs to, the block's member that it grows
    "text_delta": ("text", "text", "text"),
    "thinking_delta": ("thinking", "thinking", "thinking"),
    "input_json_delta": ("partial_json", "tool_use", "input"),
    "compaction_delta": ("content", "compaction", "content"),
}


class Block:
    """A content block in the making."""

    __slots__ = ("citations", "pieces", "start")

    def __init__(self, start: Document) -> None:
        self.start = start
        self.pieces: dict[str, list[str]] = {}
        self.citations: list[Any] = []

    def add(self, delta: Document) -> bool:
        """One more delta. Whether it has something of the answer in it."""
        kind = text(delta.get("type"))
        if kind in _DELTAS and type(piece := delta.get(_DELTAS[kind][0])) is str:
            return self.say(kind, piece)
        if kind == "citations_delta":
            self.citations.append(delta.get("citation"))
        return False

    def say(self, kind: str, piece: str) -> bool:
        """:meth:`add` for a delta that is a piece of this *kind* and nothing else."""
        self.pieces.setdefault(kind, []).append(piece)
        return bool(piece)

    def whole(self) -> Document:
        """The block, as a plain answer has it."""
        block = dict(self.start)
        for kind, pieces in self.pieces.items():
            _, holder, member = _DELTAS[kind]
            grown = "".join(pieces)
            if member != "input":
                block[member] = (text(block.get(member)) or "") + grown
            elif grown:
                block[member] = load_argument(grown)
            block.setdefault("type", holder)
        if self.citations:
            block["citations"] = items(block.get("citations")) + self.citations
        return block
