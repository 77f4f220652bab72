"""A Chat Completions stream, folded: what its chunks say, choice by choice."""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import Error
from llm_observe.wire.answer import error_of
from llm_observe.wire.jsonio import MALFORMED, Document, items, load
from llm_observe.wire.openai.alike import FEW, joined
from llm_observe.wire.openai.fold import Folded

DONE = b"[DONE]"

_RUN = 256  # events that are looked at together
_STEP = 32  # events that are read, at most, before it is tried again whether the next are alike

_LAST = frozenset(  # members of a chunk of which the last one counts
    {"usage", "x_groq", "timings", "service_tier", "system_fingerprint", "citations", "search_results"}
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

    def read(self, events: Sequence[bytes]) -> None:
        """All the events: those that are alike at once, the others one by one."""
        place, step, end = 0, 1, len(events)
        while end - place >= FEW:
            if found := joined(events[place : place + _RUN]):
                event, count = found
                self._add(event, place)
                place, step = place + count, 1
            else:
                for at in range(place, min(place + step, end)):
                    self._add(events[at], at)
                place, step = place + step, min(2 * step, _STEP)
        for at in range(place, end):
            self._add(events[at], at)

    def _add(self, event: bytes, place: int) -> None:
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
        for name in _LAST.intersection(chunk):
            if member := chunk[name]:
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
