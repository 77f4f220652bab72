"""One exporter's way out: its own queue, batches, retries and numbers.

Room is counted in records and bytes. With a spool, each record is on disk before it is exported, and what finds no room in memory waits there. Lists are offered, never single records: a reader that wakes once a record is overrun by a burst.
The age of a batch counts from its first record. The queue is a deque and not an anyio channel: it outlives the loop of a sink that died.
"""

import asyncio
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from llm_observe._runtime.clock import Clock, Ids
from llm_observe._runtime.guard import Guard, described
from llm_observe._runtime.parcel import Kept, Parcel
from llm_observe._runtime.stats import ExporterStats
from llm_observe._runtime.verb import verb
from llm_observe.errors import Rejected, RetryLater
from llm_observe.protocols import Batch

if TYPE_CHECKING:
    from llm_observe._runtime.spool import Loaded, Spool

FIRST_RETRY, LONGEST_RETRY = 0.5, 60.0  # seconds, full jitter between (reliability.md, 2)
LONGEST_TOLD = 300.0  # seconds a destination may send us away for
LOOK = 10.0  # seconds an idle channel lets pass before it looks for what others left in the spool
BREATH = 0.0001  # seconds of rest between two reads from the disk: long enough for a waiting thread to take the GIL


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a channel holds, and how big its batches are."""

    queue_records: int
    queue_bytes: int
    batch_records: int
    batch_bytes: int
    batch_age: float


class Channel:
    """Everything here but ``stats`` runs in the sink's loop, and survives it: a new loop goes on where one that died left off."""

    def __init__(
        self,
        name: str,
        exporter: object,
        limits: Limits,
        *,
        guard: Guard,
        ids: Ids,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
        spool: "Spool | None" = None,
    ) -> None:
        self.name, self.exporter, self.limits = name, exporter, limits
        self.seconds = 0.0
        self.exported = self.waiting_bytes = self.batches = self.failures = 0
        self.dropped: Counter[str] = Counter()
        self.adopted = self.adopted_exported = 0  # records that processes left that are gone
        self.adopted_dropped: Counter[str] = Counter()
        self.last_error: str | None = None
        self.settled: Callable[[], object] = lambda: None  # called when room has become free
        self.exported_in: Callable[[float], object] = lambda _: None  # called with the time of each export, failed ones too
        self._guard, self._ids, self._clock, self._jitter = guard, ids, clock, jitter
        self._verb = verb(exporter)
        self._waiting: deque[Parcel] = deque()
        self._flying: list[Parcel] = []
        self._guests = 0  # adopted ones among those that wait; a batch has adopted ones only, or none
        self._spool, self._left = spool, 0  # _left: records that are in the spool, and that we have let go of
        self._batch_id = ""
        self._offered = self._done = self._hurry_to = 0  # records so far: taken in, out again, and wanted out without delay

    @property
    def waiting(self) -> int:
        """Records in memory that no batch holds yet, adopted ones not counted."""
        return len(self._waiting) - self._guests

    @property
    def in_flight(self) -> int:
        """Records of the batch that is being exported, adopted ones not counted."""
        flying = self._flying
        return 0 if flying and flying[0].adopted else len(flying)

    @property
    def spooled(self) -> int:
        """Records that are in the spool and not in memory."""
        return self._left + (0 if self._spool is None else self._spool.behind)

    def open(self) -> None:
        """Be ready for the loop that runs now."""
        self._news, self._again, self._out = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def offer(self, parcels: Sequence[Parcel]) -> None:
        """Take what there is room for, count the rest. One that is bigger than all the room is taken when it is alone."""
        was_empty = not self._waiting
        for parcel in parcels if self._spool is None else self._spooled(self._spool, parcels):
            if len(self._waiting) >= self.limits.queue_records:
                self.dropped["queue_full_count"] += 1
            elif self._too_many(parcel):
                self.dropped["queue_full_bytes"] += 1
            else:
                self.waiting_bytes += parcel.size
                self._offered += 1
                self._waiting.append(parcel)
        if was_empty or self._plenty():
            self._news.set()

    def _too_many(self, parcel: Parcel) -> bool:
        return self.waiting_bytes > 0 and self.waiting_bytes + parcel.size > self.limits.queue_bytes

    def _spooled(self, spool: "Spool", parcels: Sequence[Parcel]) -> Iterable[Parcel]:
        """Write *parcels* to the disk; yield those that are to wait in memory too. Where some are on disk only, so is what follows."""
        for parcel in spool.keep(parcels):
            full = len(self._waiting) >= self.limits.queue_records or self._too_many(parcel)
            if not isinstance(parcel, Kept):
                if full:
                    self.dropped[spool.trouble] += 1
                else:
                    yield parcel
            elif full or spool.behind:
                spool.behind += 1
                self._offered += 1
            else:
                spool.took(parcel)
                yield parcel

    async def run(self) -> None:
        """Deliver, batch by batch, until cancelled."""
        while True:
            if not self._flying:
                await self._gather()
                self._board()
            await self._deliver()
            await asyncio.sleep(0)  # an exporter that never waits must not keep the loop to itself

    async def emptied(self) -> None:
        """Have all that was offered so far go out without delay; return when it has, or was dropped."""
        target = self._offered
        self._hurry_to = max(self._hurry_to, target)
        self._news.set()
        self._again.set()
        while self._done < target:
            self._out.clear()
            await self._out.wait()

    def give_up(self, reason: str) -> None:
        """Count all that is left as dropped for *reason*, but for what the spool has: that is left there for whoever comes."""
        left, on_disk = self.waiting + self.in_flight, self.spooled - self._left
        kept = sum(parcel.kept and not parcel.adopted for parcel in (*self._flying, *self._waiting))
        if left > kept:
            self.dropped[reason] += left - kept
        self.adopted -= len(self._waiting) + len(self._flying) - left
        self._done += left + on_disk
        self._waiting.clear()
        self._flying = []
        self._guests = self.waiting_bytes = 0
        self._left += kept + on_disk
        if self._spool is not None:
            self._spool.release()

    def has_orphans(self) -> bool:
        """Whether there is something in the spool already."""
        return self._spool is not None and self._spool.orphans()

    def forked(self) -> None:
        """In a forked child: leave the spool's files to the parent."""
        if self._spool is not None:
            self._spool.release()

    def stats(self, *, captured: int, upstream_dropped: dict[str, int], upstream_waiting: int) -> ExporterStats:
        """The exporter in numbers, with what was lost or still waits before it came here.

        *captured* is counted on the request side, everything else where it happened: that they add up is the conservation law.
        """
        dropped = Counter(self.dropped)
        dropped.update(upstream_dropped)
        return ExporterStats(
            captured=captured,
            exported=self.exported,
            spooled=self.spooled,
            spooled_bytes=0 if self._spool is None else self._spool.size,
            queued=self.waiting + upstream_waiting,
            in_flight=self.in_flight,
            dropped={reason: count for reason, count in dropped.items() if count},
            adopted=self.adopted,
            adopted_exported=self.adopted_exported,
            adopted_dropped=dict(self.adopted_dropped),
            batches=self.batches,
            failures=self.failures,
            seconds=self.seconds,
            last_error=self.last_error,
        )

    # --- batches -------------------------------------------------------------------------------------------------

    async def _gather(self) -> None:
        """Wait for a first record, then for company until the first one is old enough."""
        while True:
            if self._spool is not None:
                await self._load(self._spool)
            if self._waiting:
                break
            self._news.clear()
            await wait(self._news, None if self._spool is None else LOOK)
        oldest = self._waiting[0].at + self.limits.batch_age
        while self._done >= self._hurry_to and not self._plenty() and (left := oldest - time.monotonic()) > 0:
            self._news.clear()
            await wait(self._news, left)

    async def _load(self, spool: "Spool") -> None:
        """Bring a batch's worth back from the disk. What others left has time until nobody is in a hurry."""
        while not self._plenty() and (loaded := spool.load(orphans=self._done >= self._hurry_to)) is not None:
            self._board_again(loaded)
            await asyncio.sleep(BREATH)

    def _board_again(self, loaded: "Loaded") -> None:
        """Have what was *loaded* wait with the others, and count what was lost."""
        self.waiting_bytes += sum(parcel.size for parcel in loaded.parcels)
        if loaded.adopted:
            self.adopted += len(loaded.parcels) + loaded.lost
            self._guests += len(loaded.parcels)
        self._waiting.extend(loaded.parcels)
        if loaded.lost and loaded.adopted:
            self.adopted_dropped[loaded.reason] += loaded.lost
        elif loaded.lost:
            self.dropped[loaded.reason] += loaded.lost
            self._done += loaded.lost
            self._out.set()

    def _plenty(self) -> bool:
        """Whether a whole batch waits."""
        return len(self._waiting) >= self.limits.batch_records or self.waiting_bytes >= self.limits.batch_bytes

    def _board(self) -> None:
        """Make the next batch of what has waited longest; one record that is bigger than a batch goes alone, adopted ones go by themselves."""
        size, adopted = 0, self._waiting[0].adopted if self._waiting else False
        while self._waiting and len(self._flying) < self.limits.batch_records:
            size += self._waiting[0].bulk
            if self._flying and (size > self.limits.batch_bytes or self._waiting[0].adopted is not adopted):
                break
            self._flying.append(self._waiting.popleft())
            self._guests -= adopted
        self._batch_id = self._ids.record(self._clock.wall())

    # --- delivery ------------------------------------------------------------------------------------------------

    async def _deliver(self) -> None:
        """Bring out the batch in flight, however often it takes: its id stays the same."""
        parcels = self._flying
        batch = Batch(self._batch_id, [p.record for p in parcels], [p.line for p in parcels])
        tries = 0
        while True:
            began = time.monotonic()
            try:
                try:
                    await self._verb(batch)
                finally:
                    self.seconds += (took := time.monotonic() - began)
                    self.exported_in(took)
            except Rejected as error:
                self._failed(error)
                lost = len(parcels) if error.count is None else min(error.count, len(parcels))
                self._settle(parcels, lost, error.reason)
                break
            except (Exception, SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:  # whatever a user's exporter raises
                if meant_for_us(error):
                    raise
                self._failed(error)
                await self._back_off(tries, error.after if isinstance(error, RetryLater) else None)
                tries += 1
            else:
                self.batches += 1
                self._settle(parcels)
                break

    def _settle(self, parcels: Sequence[Parcel], lost: int = 0, reason: str = "") -> None:
        """*parcels* are done with: they have arrived, all but as many as are *lost* for *reason*."""
        self._flying = []
        if parcels[0].adopted:
            self.adopted_exported += len(parcels) - lost
            dropped = self.adopted_dropped
        else:
            self.exported += len(parcels) - lost
            self._done += len(parcels)
            dropped = self.dropped
        if lost:
            dropped[reason] += lost
        self.waiting_bytes -= sum(parcel.size for parcel in parcels)
        if self._spool is not None:
            self._spool.settle(parcels)
        self._out.set()
        self.settled()

    def _failed(self, error: BaseException) -> None:
        self.failures += 1
        self.last_error = described(error)[:500]
        self._guard.say(
            f"{self.name}: {type(error).__name__}", f"exporter {self.name}: {self.last_error}; {self.waiting + self.in_flight} records wait"
        )

    async def _back_off(self, tries: int, told: object) -> None:
        """Stay away: for as long as we were *told*, whoever is in a hurry; else for a while that a hurry cuts short."""
        longest = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(tries, 10))
        delay = 0.05 + longest * self._jitter()
        if isinstance(told, int | float) and told > 0:
            await asyncio.sleep(max(delay, min(told, LONGEST_TOLD)))
        else:
            self._again.clear()
            await wait(self._again, delay)


async def wait(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for *event*, or for *seconds*. An alarm clock, not a cancellation: `move_on_after` around the wait costs twice as much."""
    alarm = None if seconds is None else asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        if alarm is not None:
            alarm.cancel()


def meant_for_us(error: BaseException) -> bool:
    """Whether this task or this process is to end, and not something inside an exporter."""
    if isinstance(error, KeyboardInterrupt):
        return threading.current_thread() is threading.main_thread()
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling() > 0)
