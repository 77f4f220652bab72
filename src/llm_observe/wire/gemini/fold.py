"""One candidate of an answer, folded from the chunks of a stream, or from the one document that a plain answer is."""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import AnyPart, Generic, Text, ToolCall
from llm_observe.wire.answer import finish_reason
from llm_observe.wire.gemini.calls import CallInPieces, is_in_pieces
from llm_observe.wire.gemini.citations import Cited
from llm_observe.wire.gemini.fields import member, several, word
from llm_observe.wire.gemini.parts import is_text, parts_of
from llm_observe.wire.jsonio import Document, mapping, text

_USUAL = frozenset({"content", "index", "safetyRatings"})
_ODD = frozenset({"error", "content_filter"})


class _Run:
    """Pieces of text that belong together: all thought, or all said."""

    __slots__ = ("pieces", "thought")

    def __init__(self, thought: bool) -> None:
        self.thought = thought
        self.pieces: list[str] = []

    def whole(self) -> Document:
        return {"text": "".join(self.pieces), "thought": self.thought}


class Candidate:
    """Everything that the chunks say about one candidate."""

    __slots__ = ("_cited", "_reasons", "_said", "_stream", "_under_way", "message", "reason", "role")

    def __init__(self, reasons: Sequence[str], *, stream: bool) -> None:
        self._reasons = reasons  # by their numbers
        self._stream = stream
        self.role = "model"
        self.reason: str | None = None
        self.message: str | None = None  # why it stopped, in a sentence
        self._said: list[Document | _Run | CallInPieces] = []
        self._under_way: CallInPieces | None = None
        self._cited = Cited()

    def add(self, candidate: Document) -> bool:
        """One more chunk. Whether it has something of the answer in it."""
        content = mapping(candidate.get("content"))
        self.role = text(content.get("role")) or self.role
        if not candidate.keys() <= _USUAL:
            self.reason = word(member(candidate, "finishReason"), self._reasons) or self.reason
            self.message = text(member(candidate, "finishMessage")) or self.message
            self._cited.add(candidate)
        something = False
        for part in several(content.get("parts")):
            if type(part) is dict:
                something = self._add_part(part) or something
        return something

    @property
    def searches(self) -> int:
        """How often the web was searched for it."""
        return self._cited.searches

    def parts(self) -> tuple[AnyPart, ...]:
        """The message: its parts in the order they came, what it stands on at its last text, and why it ended where it should not have."""
        parts = [part for said in self._said for part in parts_of(said.whole() if isinstance(said, _Run | CallInPieces) else said)]
        if citations := self._cited.citations():
            last = next(((n, part) for n, part in reversed([*enumerate(parts)]) if isinstance(part, Text)), None)
            if last is not None:
                parts[last[0]] = Text(content=last[1].content, citations=citations)
        if self.message and self.reason and finish_reason(self.reason) in _ODD:
            parts.append(Generic(generic_type="finish_message", content=self.message))
        return tuple(parts)

    def ended(self, parts: tuple[AnyPart, ...], *, blocked: bool) -> str:
        """The convention's word for why it stopped. Google says of a tool call that it is a ``STOP`` like any other."""
        if self.reason is None:
            return "content_filter" if blocked else "error"
        mapped = finish_reason(self.reason)
        return "tool_call" if mapped == "stop" and any(isinstance(part, ToolCall) for part in parts) else mapped

    def _add_part(self, part: Document) -> bool:
        if self._stream and is_text(part):
            return self._add_text(part["text"], part.get("thought") is True)
        call: Any = member(part, "functionCall")
        if type(call) is dict and (self._under_way is not None or is_in_pieces(call)):
            self._add_call(call)
            return True
        self._said.append(part)
        return any(value is not None for name, value in part.items() if name not in {"thought", "thoughtSignature", "thought_signature"})

    def _add_text(self, piece: str, thought: bool) -> bool:
        if not piece:
            return False
        last = self._said[-1] if self._said else None
        if type(last) is not _Run or last.thought is not thought:
            last = _Run(thought)
            self._said.append(last)
        last.pieces.append(piece)
        return True

    def _add_call(self, call: Document) -> None:
        under_way = self._under_way
        if under_way is None or not under_way.goes_on_in(call):
            under_way = CallInPieces()
            self._said.append(under_way)
        self._under_way = under_way if under_way.add(call) else None
