"""A record and its JSON, as channels hold them."""

import time
from typing import TYPE_CHECKING

from llm_observe.records import AnyRecord

if TYPE_CHECKING:
    from llm_observe._runtime.segment import Segment


class Parcel:
    """A record with its JSON, shared by all channels.

    ``size`` is the bytes of both that are in memory for it alone, ``bulk`` what it takes on its way out: the same, but where texts are
    shared with other records. A text that is not all ASCII takes up to four bytes a character in memory. ``at`` is when it was
    packed: the age of a batch counts from there. ``adopted`` is one that another process captured.
    """

    __slots__ = ("at", "bulk", "line", "record", "size")
    kept = adopted = False

    def __init__(self, record: AnyRecord, line: bytes, at: float | None = None) -> None:
        self.record, self.line = record, line
        self.size = self.bulk = self.per_byte * len(line) + 512
        self.at = time.monotonic() if at is None else at

    @property
    def per_byte(self) -> int:
        """Bytes in memory for each of the JSON's, itself included."""
        return 2 if self.line.isascii() else 5


class Kept(Parcel):
    """A parcel that is on disk too: in *segment* under *number*, up to byte *end*."""

    __slots__ = ("end", "number", "segment")
    kept = True

    def __init__(self, parcel: Parcel, segment: "Segment", number: int, end: int) -> None:
        self.record, self.line, self.at = parcel.record, parcel.line, parcel.at
        self.size = self.bulk = parcel.size
        self.segment, self.number, self.end = segment, number, end

    @property
    def adopted(self) -> bool:  # type: ignore[override]  # a constant there, and here what its segment says
        """Whether another process captured it."""
        return self.segment.adopted
