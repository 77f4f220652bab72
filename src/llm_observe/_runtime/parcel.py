"""A record and its JSON, as channels hold them."""

import time
from typing import TYPE_CHECKING

from llm_observe.records import AnyRecord

if TYPE_CHECKING:
    from llm_observe._runtime.segment import Segment


class Parcel:
    """A record with its JSON, shared by all channels.

    ``size`` is the bytes of both. A text that is not all ASCII takes up to four bytes a character in memory. ``at`` is when it was
    packed: the age of a batch counts from there. ``adopted`` is one that another process captured.
    """

    __slots__ = ("at", "line", "record", "size")
    kept = adopted = False

    def __init__(self, record: AnyRecord, line: bytes, at: float | None = None) -> None:
        self.record, self.line = record, line
        self.size = (2 if line.isascii() else 5) * len(line) + 512
        self.at = time.monotonic() if at is None else at


class Kept(Parcel):
    """A parcel that is on disk too: in *segment* under *number*, up to byte *end*."""

    __slots__ = ("end", "number", "segment")
    kept = True

    def __init__(self, parcel: Parcel, segment: "Segment", number: int, end: int) -> None:
        self.record, self.line, self.size, self.at = parcel.record, parcel.line, parcel.size, parcel.at
        self.segment, self.number, self.end = segment, number, end

    @property
    def adopted(self) -> bool:  # type: ignore[override]  # a constant there, and here what its segment says
        """Whether another process captured it."""
        return self.segment.adopted
