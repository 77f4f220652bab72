"""Where the request side leaves things for the sink.

A deque, a length check and a byte count: no lock, because a lock here could be waited for, and a garbage collection inside it
could come back to it (`__del__` of an abandoned stream hands over too). Anyio's channels begin on the sink's side: they are not
thread-safe. Costs, measured: an append 40 ns, `call_soon_threadsafe` 5 us, a task started through a portal 80 us.

Counters are bumped with a plain `+=`. CPython switches threads at calls and backward jumps only, none of which lies between the
load and the store, so no bump is lost; a build without the GIL promises nothing of the sort. The length check makes the bound
soft by as many records as there are threads.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

RESERVE = 8  # of all the room, one part in so many is for failures and retries only, and as much of its bytes for calls without content
BURST = 256  # items that wait: more than a nap of the sink's should let come


class Item(Protocol):
    """Something on its way to the sink. ``size`` is the bytes that it keeps alive."""

    @property
    def size(self) -> int: ...


def _matters(item: object) -> bool:
    return getattr(item, "matters", False)


class Handover:
    """Bounded by records and by bytes; what it refuses is counted by reason.

    Content is shed before metadata, metadata before records, and ordinary records before failures and retries.
    """

    def __init__(self, room: int, room_bytes: int, wake: Callable[[], None]) -> None:
        self.room, self.room_bytes = room, room_bytes
        self._common = room - room // RESERVE
        self._own_bytes = room_bytes // RESERVE
        self._content_bytes = room_bytes - 2 * self._own_bytes
        self.asleep = True  # the sink will not look by itself: it must be woken
        self.closed = False
        self.accepted = 0  # by the request side
        self.taken = 0  # by the sink
        self.held = 0  # bytes that wait further on, in the exporters' channels; the sink writes it
        self.lent = 0  # bytes of answers that are under way
        self._lendable = room_bytes // 2  # beside the room
        self.shed = 0  # accepted without their bodies, for want of bytes
        self.begun = 0  # calls on their way here,
        self.ended = 0  # and those of them that have come to their end
        self.watched = False  # whether somebody wants to know of calls that begin
        self.dropped = {"queue_full_count": 0, "queue_full_bytes": 0, "disabled": 0, "forked_child": 0}
        self._waiting: deque[tuple[Item, int, int]] = deque()  # each with its bytes, and with those of them that count as lean
        self._bytes_in = 0
        self._bytes_out = 0  # only the sink writes it
        self._lean_in = self._lean_out = 0  # those of them that have lost their content
        self._wake = wake

    @property
    def bytes(self) -> int:
        """Bytes that wait."""
        return max(0, self._bytes_in - self._bytes_out)

    @property
    def in_flight(self) -> int:
        """Calls under way: begun, and not at their end."""
        return max(0, self.begun - self.ended)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: Item) -> None:
        """Leave *item*. Near the byte bound its content goes first, then it is refused, and counted."""
        if self.closed:
            self._refuse(item, "disabled")
            return
        count = len(self._waiting)
        if count >= self._common and (count >= self.room or not _matters(item)):
            self._refuse(item, "queue_full_count")
            return
        size, lean = item.size, 0
        waiting = self._bytes_in - self._bytes_out
        if waiting + self.held + size > self._content_bytes:
            part = self._own_bytes * (2 if _matters(item) else 1)  # of failures and retries, as much again
            room = self.room_bytes - 2 * self._own_bytes + part - waiting - self.held
            shed = getattr(item, "shed", None)
            if shed is not None:
                # What is left of it is small, and has a part of its own: records take more in the channels than the bytes they are made of.
                left, room = self._content_bytes - waiting - self.held, max(room, part - (self._lean_in - self._lean_out))
                shed(left, room)
                size = item.size
                lean = size if size > left else 0
            if size > room:
                self._refuse(item, "queue_full_bytes")
                return
            self.shed += shed is not None
            self._lean_in += lean
        self._bytes_in += size
        self.accepted += 1
        self._waiting.append((item, size, lean))
        if self.asleep or count == BURST:
            self.asleep = False
            self._wake()

    def _refuse(self, item: Item, reason: str) -> None:
        """Count it, and have it let go of what it holds: its context remembers it all the same."""
        self.dropped[reason] += 1
        settled = getattr(item, "settled", None)
        if settled is not None:
            settled("")

    def lend(self, size: int) -> bool:
        """Whether *size* more bytes may be kept of an answer that is under way. Who has them gives them back from ``lent``."""
        if self.lent + size > self._lendable:
            return False
        self.lent += size
        return True

    def look(self) -> None:
        """A call has begun while the sink sleeps: wake it where somebody watches, or they would not see a call that lasts."""
        if self.watched:
            self.asleep = False
            self._wake()

    def order(self, item: Item) -> None:
        """Leave an instruction to the sink: not bounded, not counted, and it wakes the sink."""
        self._waiting.append((item, -1, 0))
        self.asleep = False
        self._wake()

    def take(self, most: int, most_bytes: int = 4 * 2**20) -> list[Item]:
        """What waits, oldest first: *most* at the most, and as much as fills *most_bytes*. For the sink's thread only."""
        taken: list[Item] = []
        until = self._bytes_out + most_bytes
        while self._waiting and len(taken) < most and self._bytes_out < until:
            item, size, lean = self._waiting.popleft()
            if size >= 0:
                self._bytes_out += size
                self._lean_out += lean
                self.taken += 1
            taken.append(item)
        return taken
