"""A Chat Completions stream, folded: what its chunks say, choice by choice."""

from collections.abc import Iterable
from typing import Any

from llm_observe.records import Error
from llm_observe.wire.answer import error_of
from llm_observe.wire.jsonio import MALFORMED, Document, items, load
from llm_observe.wire.openai.chunk import Chunk
from llm_observe.wire.openai.fold import Folded

DONE = b"[DONE]"

_LAST = (  # members of a chunk of which the last one counts
    *("usage", "x_groq", "timings", "service_tier", "system_fingerprint"),
    *("citations", "search_results"),
)


class Stream:
    """Everything that the events of one stream say; ``first_content`` is the place of the first with something of the answer in it."""

    __slots__ = ("choices", "done", "error", "first_content", "id", "model", "said", "unread")

    def __init__(self) -> None:
        self.choices: dict[int, Folded] = {}
        self.said: Document = {}
        self.id: Any = None  # the first that is not empty: Azure opens with a chunk of empty ones
        self.model: Any = None
        self.error: Error | None = None
        self.done, self.unread = False, 0
        self.first_content: int | None = None

    def say(self, chunks: Iterable[Chunk], start: int) -> None:
        """:meth:`add` for usual chunks in a row, the first of them at the place *start*. Most of a stream goes through here."""
        said_id, model, first = self.id, self.model, self.first_content
        for place, chunk in enumerate(chunks, start):
            if not said_id:
                said_id = chunk.id
            if not model:
                model = chunk.model
            if chunk.system_fingerprint:
                self.said["system_fingerprint"] = chunk.system_fingerprint
            if chunk.service_tier:
                self.said["service_tier"] = chunk.service_tier
            (choice,) = chunk.choices
            delta = choice.delta
            content, thought = delta.content, delta.reasoning_content
            folded = self.choices.get(choice.index)
            if folded is None:
                folded = self.choices[choice.index] = Folded()
            if content is not None:
                folded.text.append(content)
            if thought:
                folded.reasoning.append(thought)
            if first is None and (content or thought):
                first = place
        self.id, self.model, self.first_content = said_id, model, first

    def add(self, event: bytes, place: int) -> None:
        """One more event, of any kind."""
        if event == DONE:
            self.done = True
            return
        chunk = load(event)
        if type(chunk) is not dict:
            self.unread += chunk is MALFORMED
            self.error = self.error or error_of(chunk)
            return
        self.id = self.id or chunk.get("id")
        self.model = self.model or chunk.get("model")
        for name in _LAST:
            if member := chunk.get(name):
                self.said[name] = member
        if "error" in chunk or chunk.get("object") == "error":
            self.error = self.error or error_of(chunk)
        for position, choice in enumerate(items(chunk.get("choices"))):
            if type(choice) is dict:
                self._add_to(choice, position, place)

    def _add_to(self, choice: Document, position: int, place: int) -> None:
        index = choice.get("index")
        if type(index) is not int:
            index = position
        folded = self.choices.get(index)
        if folded is None:
            folded = self.choices[index] = Folded()
        if folded.add(choice) and self.first_content is None:
            self.first_content = place
        if "error" in choice:
            self.error = self.error or error_of(choice)
        if usage := choice.get("usage"):  # Moonshot
            self.said["usage"] = usage
