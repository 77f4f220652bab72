"""One step of an interaction's stream, folded into what a plain answer would have held."""

from typing import Any

from llm_observe.wire.gemini.fields import several
from llm_observe.wire.gemini.steps import MEDIA
from llm_observe.wire.jsonio import Document, load_argument, mapping, text

_HOLDERS = {"thought_summary": "thought", "thought_signature": "thought", "arguments_delta": "function_call"}
_SIGNED = frozenset({"type", "signature"})


class _Content:
    """A text, or media, in the making: its pieces are joined when it is whole."""

    __slots__ = ("annotations", "grows", "kind", "mime_type", "pieces")

    def __init__(self, kind: str, grows: str, mime_type: str | None) -> None:
        self.kind, self.grows, self.mime_type = kind, grows, mime_type
        self.pieces: list[str] = []
        self.annotations: list[Any] = []

    def whole(self) -> Document:
        return {"type": self.kind, self.grows: "".join(self.pieces), "mime_type": self.mime_type, "annotations": self.annotations}


class Step:
    """A step in the making."""

    __slots__ = ("_arguments", "_contents", "_members", "_start")

    def __init__(self, start: Document) -> None:
        kind = text(start.get("type"))
        is_content = kind == "text" or kind in MEDIA  # the first version had no steps around its contents
        self._start = {"type": "model_output", "content": [start]} if is_content else dict(start)
        self._contents: list[_Content | Document] = []
        self._arguments: list[str] = []
        self._members: dict[str, list[Any]] = {}

    def add(self, delta: Document) -> bool:
        """One more delta. Whether it has something of the answer in it."""
        kind = text(delta.get("type")) or ""
        if kind == "thought_summary":
            return self._said_by(kind) and self._add_content(mapping(delta.get("content")))
        if kind == "text" or kind in MEDIA:
            return self._said_by("model_output") and self._add_content(delta)
        if kind == "text_annotation_delta":
            self._annotate(several(delta.get("annotations")))
            return False
        if kind == "thought_signature":
            return False
        if kind == "arguments_delta":
            piece = delta.get("arguments")
            self._said_by(kind)
            if type(piece) is str:
                self._arguments.append(piece)
            return bool(piece)
        self._said_by(kind)
        for name, value in delta.items():
            if name not in _SIGNED and value is not None:
                self._members.setdefault(name, []).append(value)
        return bool(self._members)

    def whole(self) -> Document:
        """The step."""
        step = self._start
        for name, values in self._members.items():
            step[name] = _joined(values)
        if self._arguments:
            step["arguments"] = load_argument("".join(self._arguments))
        if self._contents:
            holder = "summary" if step.get("type") == "thought" else "content"
            grown = [content.whole() if isinstance(content, _Content) else content for content in self._contents]
            step[holder] = several(step.get(holder)) + grown
        return step

    def _said_by(self, kind: str) -> bool:
        """Where the step's beginning is behind a gap, its deltas tell what it is."""
        self._start.setdefault("type", _HOLDERS.get(kind, kind))
        return True

    def _add_content(self, content: Document) -> bool:
        kind = text(content.get("type")) or "text"
        grows = "text" if kind == "text" else "data"
        piece, mime_type = content.get(grows), text(content.get("mime_type"))
        if type(piece) is not str:
            if content.get("uri"):
                self._contents.append(content)
            return bool(content.get("uri"))
        last = self._contents[-1] if self._contents else None
        if not isinstance(last, _Content) or last.kind != kind or (mime_type is not None and last.mime_type not in {None, mime_type}):
            last = _Content(kind, grows, mime_type)
            self._contents.append(last)
        last.pieces.append(piece)
        last.annotations += several(content.get("annotations"))
        return bool(piece)

    def _annotate(self, annotations: list[Any]) -> None:
        last = next((content for content in reversed(self._contents) if isinstance(content, _Content)), None)
        if last is not None:
            last.annotations += annotations


def _joined(values: list[Any]) -> Any:
    """What the deltas of one member make: texts and lists go on, objects are filled, of anything else the last counts."""
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return "".join(values)
    if kinds == {list}:
        return [item for value in values for item in value]
    if kinds == {dict}:
        return {name: inner for value in values for name, inner in value.items()}
    return values[-1]
