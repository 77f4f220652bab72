"""A stream of Converse's kind, folded into the answer that would have come in one piece."""

import binascii
from collections.abc import Callable
from typing import Any, ClassVar

from llm_observe.records import AnyPart, Error, Text
from llm_observe.wire.bedrock.blocks import content_parts
from llm_observe.wire.bedrock.errors import exception_in
from llm_observe.wire.jsonio import Document, integer, items, load_argument, mapping, text


class _Block:
    """A content block in the making."""

    __slots__ = ("citations", "inputs", "media", "redacted", "results", "start", "stopped", "texts", "thoughts")

    def __init__(self) -> None:
        self.start: Document = {}
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.inputs: list[str] = []
        self.citations: list[Any] = []
        self.results: list[Any] = []
        self.media: list[str] = []
        self.redacted = self.stopped = False

    def add(self, delta: Document) -> bool:
        """One more delta. Whether it has something of the answer in it."""
        told = _piece(self.texts, delta.get("text"))
        if len(delta) == 1 and told:
            return True  # by far the most frequent delta
        told |= _piece(self.inputs, mapping(delta.get("toolUse")).get("input"))
        if thought := mapping(delta.get("reasoningContent")):
            told |= _piece(self.thoughts, thought.get("text"))
            self.redacted = self.redacted or "redactedContent" in thought
        if (citation := delta.get("citation")) is not None:
            self.citations.append(citation)
        self.results += items(delta.get("toolResult"))
        if image := mapping(delta.get("image")):
            _piece(self.media, mapping(image.get("source")).get("bytes"))
        return told or bool(self.media)

    def is_text(self) -> bool:
        """Whether it is text and nothing else."""
        return not (self.start or self.thoughts or self.inputs or self.citations or self.results or self.media or self.redacted)

    def whole(self) -> list[Document]:
        """The block as a plain answer has it: as several, where its index was taken twice."""
        found: list[Document] = []
        if self.thoughts:
            found.append({"reasoningContent": {"reasoningText": {"text": "".join(self.thoughts)}}})
        elif self.redacted:
            found.append({"reasoningContent": {"redactedContent": ""}})
        said = "".join(self.texts)
        found.append({"citationsContent": {"content": [{"text": said}], "citations": self.citations}} if self.citations else {"text": said})
        if "toolUse" in self.start or self.inputs:
            found.append({"toolUse": mapping(self.start.get("toolUse")) | self._input()})
        if "toolResult" in self.start or self.results:
            found.append({"toolResult": mapping(self.start.get("toolResult")) | {"content": self.results}})
        if "image" in self.start or self.media:
            found.append({"image": mapping(self.start.get("image")) | {"source": {"bytes": _joined(self.media)}}})
        return found

    def _input(self) -> Document:
        raw = "".join(self.inputs)
        return {"input": load_argument(raw)} if raw else {"input": {}} if self.stopped else {}


class Folded:
    """Everything the events say."""

    def __init__(self) -> None:
        self.role: str | None = None
        self.reason: str | None = None
        self.blocks: dict[int, _Block] = {}
        self.metadata: Document = {}
        self.error: Error | None = None
        self.begun = self.complete = False

    def add(self, event: Document) -> bool:
        """One more event. Whether it has something of the answer in it."""
        told = False
        for name, value in event.items():
            if (read := self.READERS.get(name)) is not None:
                told |= read(self, mapping(value))
            elif self.error is None:
                self.error = exception_in(event)
        return told

    def parts(self) -> tuple[AnyPart, ...]:
        """The parts of the message. Nova gives each piece of a text a block of its own: neighbours are joined."""
        found: list[AnyPart] = []
        texts: list[str] = []
        for index in sorted(self.blocks):
            block = self.blocks[index]
            if block.is_text():
                texts += block.texts
                continue
            for part in content_parts(block.whole()):
                if type(part) is Text and not part.citations:
                    texts.append(part.content)
                    continue
                found += _joined_text(texts)
                found.append(part)
                texts = []
        return (*found, *_joined_text(texts))

    def _message_start(self, told: Document) -> bool:
        self.begun, self.role = True, text(told.get("role"))
        return False

    def _block_start(self, told: Document) -> bool:
        self._block(told).start = mapping(told.get("start"))
        return False

    def _block_delta(self, told: Document) -> bool:
        return self._block(told).add(mapping(told.get("delta")))

    def _block_stop(self, told: Document) -> bool:
        self._block(told).stopped = True
        return False

    def _message_stop(self, told: Document) -> bool:
        self.begun, self.reason = True, text(told.get("stopReason")) or self.reason
        return False

    def _metadata(self, told: Document) -> bool:
        self.complete, self.metadata = True, told
        return False

    def _block(self, told: Document) -> _Block:
        self.begun = True
        index = integer(told.get("contentBlockIndex")) or 0
        block = self.blocks.get(index)
        if block is None:
            block = self.blocks[index] = _Block()
        return block

    READERS: ClassVar[dict[str, Callable[["Folded", Document], bool]]] = {
        "messageStart": _message_start,
        "contentBlockStart": _block_start,
        "contentBlockDelta": _block_delta,
        "contentBlockStop": _block_stop,
        "messageStop": _message_stop,
        "metadata": _metadata,
    }


EVENTS = frozenset(Folded.READERS)
"""The types of events that are Converse's."""


def _piece(pieces: list[str], piece: Any) -> bool:
    if type(piece) is str and piece:
        pieces.append(piece)
        return True
    return False


def _joined_text(pieces: list[str]) -> tuple[AnyPart, ...]:
    return (Text(content="".join(pieces)),) if pieces else ()


def _joined(pieces: list[str]) -> str:
    """Pieces of base64 that are each whole, as one; left as they are where they are none."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return binascii.b2a_base64(b"".join(map(binascii.a2b_base64, pieces)), newline=False).decode()
    except (binascii.Error, ValueError):
        return "".join(pieces)
