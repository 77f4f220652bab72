"""A stream of a response: its last event, which has all, and what can be made of the others where that one never came."""

import re
from collections.abc import Sequence
from typing import Any

from llm_observe.records import Error
from llm_observe.wire.answer import UNKNOWN_ERROR, error_of, unread_reason
from llm_observe.wire.jsonio import MALFORMED, Document, integer, items, load, mapping, text
from llm_observe.wire.openai.items import is_call, parts_of

_FINISHED = frozenset({"response.completed", "response.failed", "response.incomplete", "response.cancelled"})
_BEGUN = frozenset({"response.created", "response.queued", "response.in_progress"})
_ADDED, _DONE = "response.output_item.added", "response.output_item.done"
_ANNOTATED = "response.output_text.annotation.added"
_MAY_BE_FINISHED = re.compile(rb'"response\.(?:completed|failed|incomplete|cancelled)"')
_END = b"[DONE]"

_PIECES = {  # an event with a piece of a part: the item, its member with the parts, the part's place in it, the part, what it grows
    "response.output_text.delta": ("message", "content", "content_index", "output_text", "text"),
    "response.refusal.delta": ("message", "content", "content_index", "refusal", "refusal"),
    "response.reasoning_text.delta": ("reasoning", "content", "content_index", "reasoning_text", "text"),
    "response.reasoning_summary_text.delta": ("reasoning", "summary", "summary_index", "summary_text", "text"),
}
_GROWING = {  # an event with a piece of the item itself: the item, what it grows
    "response.function_call_arguments.delta": ("function_call", "arguments"),
    "response.custom_tool_call_input.delta": ("custom_tool_call", "input"),
    "response.mcp_call_arguments.delta": ("mcp_call", "arguments"),
    "response.code_interpreter_call_code.delta": ("code_interpreter_call", "code"),
}


def finished_at(events: Sequence[bytes]) -> tuple[int, Document] | None:
    """The finished response and the place of its event, looked for from the end: heartbeats and `[DONE]` may follow."""
    for place in range(len(events) - 1, -1, -1):
        if _MAY_BE_FINISHED.search(events[place]):
            event = mapping(load(events[place]))
            if text(event.get("type")) in _FINISHED:
                return place, mapping(event.get("response"))
    return None


def content_at(events: Sequence[bytes]) -> int | None:
    """The place of the first event with something of the answer in it: text, thought, call, or what a hosted tool gave."""
    for place, data in enumerate(events):
        if b"delta" in data or b"output_item" in data:
            event = mapping(load(data))
            kind, item = text(event.get("type")), mapping(event.get("item"))
            if kind in _PIECES or kind in _GROWING:
                found = text(event.get("delta")) is not None
            else:
                found = (kind == _ADDED and is_call(item)) or (kind == _DONE and bool(parts_of(item, sent=False)))
            if found:
                return place
    return None


class Folded:
    """What the events of a stream say, one after the other."""

    __slots__ = ("done", "error", "response", "unread", "whole")

    def __init__(self, events: Sequence[bytes]) -> None:
        self.response: Document = {}  # as it was when it began
        self.error: Error | None = None
        self.done = False
        self.whole: dict[int | str, _Item] = {}
        unread = 0
        for data in events:
            if data == _END:
                self.done = True
                continue
            event = load(data)
            unread += event is MALFORMED
            if type(event) is dict:
                self._add(event)
        self.unread = unread_reason(unread)

    def output(self) -> list[Document]:
        """The items as far as they came."""
        return [item.whole() for item in self.whole.values()]

    def _add(self, event: Document) -> None:
        kind = text(event.get("type"))
        if kind is None:
            self.error = self.error or error_of(event)
        elif kind in _PIECES:
            self._item(event, _PIECES[kind][0]).add_piece(event, *_PIECES[kind][1:])
        elif kind in _GROWING:
            self._item(event, _GROWING[kind][0]).grow(event, _GROWING[kind][1])
        elif kind in {_ADDED, _DONE}:
            item = mapping(event.get("item"))
            self.whole[_key(event, item.get("id"))] = _Item(item)
        elif kind == _ANNOTATED:
            self._item(event, "message").annotate(event)
        elif kind in _BEGUN:
            self.response = mapping(event.get("response")) or self.response
        elif kind == "error":
            self.error = self.error or _error(event)

    def _item(self, event: Document, kind: str) -> "_Item":
        """The item that an event belongs to; one whose beginning is behind a gap begins here."""
        key = _key(event, event.get("item_id"))
        if key not in self.whole:
            self.whole[key] = _Item({"type": kind, "id": event.get("item_id")})
        return self.whole[key]


class _Item:
    """An item in the making."""

    __slots__ = ("annotations", "grown", "pieces", "start")

    def __init__(self, start: Document) -> None:
        self.start = start
        self.pieces: dict[tuple[str, int, str, str], list[str]] = {}
        self.grown: dict[str, list[str]] = {}
        self.annotations: dict[int, list[Any]] = {}

    def add_piece(self, event: Document, member: str, place: str, kind: str, field: str) -> None:
        """A piece of one of its parts."""
        if piece := text(event.get("delta")):
            self.pieces.setdefault((member, integer(event.get(place)) or 0, kind, field), []).append(piece)

    def grow(self, event: Document, field: str) -> None:
        """A piece of itself."""
        if piece := text(event.get("delta")):
            self.grown.setdefault(field, []).append(piece)

    def annotate(self, event: Document) -> None:
        """What one of its texts stands on."""
        self.annotations.setdefault(integer(event.get("content_index")) or 0, []).append(event.get("annotation"))

    def whole(self) -> Document:
        """The item as a finished response would have it."""
        item = dict(self.start)
        for field, pieces in self.grown.items():
            item[field] = (text(item.get(field)) or "") + "".join(pieces)
        for member in ("content", "summary"):
            parts = [
                {"type": kind, field: "".join(pieces), "annotations": self.annotations.get(place, [])}
                for (holder, place, kind, field), pieces in sorted(self.pieces.items())
                if holder == member
            ]
            if parts:
                item[member] = [*items(item.get(member)), *parts]
        return item


def _key(event: Document, name: Any) -> int | str:
    """What an item is known by: its place, else its id."""
    place = integer(event.get("output_index"))
    return place if place is not None else text(name) or 0


def _error(event: Document) -> Error:
    """An ``error`` event: its members are at the top, or under ``error``."""
    return error_of(event) or Error(type=text(event.get("code")) or UNKNOWN_ERROR, message=text(event.get("message")))
