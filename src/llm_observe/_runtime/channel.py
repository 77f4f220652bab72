"""One exporter's way out: its own queue, batches, retries and numbers.

Room is counted in records and bytes. Lists are offered, never single records: a reader that wakes once a record is overrun by a burst.
The age of a batch counts from its first record. The queue is a deque and not an anyio channel: it outlives the loop of a sink that died.
"""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

import msgspec

from llm_observe._runtime.clock import Clock, Ids
from llm_observe._runtime.guard import Guard, described
from llm_observe._runtime.stats import ExporterStats
from llm_observe._runtime.verb import verb
from llm_observe.errors import Rejected, RetryLater
from llm_observe.protocols import Batch
from llm_observe.records import AnyRecord

FIRST_RETRY, LONGEST_RETRY = 0.5, 60.0  # seconds, full jitter between (reliability.md, 2)
LONGEST_TOLD = 300.0  # seconds a destination may send us away for


class Parcel:
    """A record with its JSON, shared by all channels.

    ``size`` is the bytes of both. A text that is not all ASCII takes up to four bytes a character in memory. ``at`` is when it was
    packed: the age of a batch counts from there.
    """

    __slots__ = ("at", "line", "record", "size")

    def __init__(self, record: AnyRecord, line: bytes) -> None:
        self.record, self.line = record, line
        self.size = (2 if line.isascii() else 5) * len(line) + 512
        self.at = time.monotonic()


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
    ) -> None:
        self.name, self.exporter, self.limits = name, exporter, limits
        self.seconds = 0.0
        self.exported = self.waiting_bytes = self.batches = self.failures = 0
        self.dropped: Counter[str] = Counter()
        self.last_error: str | None = None
        self.settled: Callable[[], object] = lambda: None  # called when room has become free
        self.exported_in: Callable[[float], object] = lambda _: None  # called with the time of each export, failed ones too
        self._guard, self._ids, self._clock, self._jitter = guard, ids, clock, jitter
        self._verb = verb(exporter)
        self._waiting: deque[Parcel] = deque()
        self._flying: list[Parcel] = []
        self._batch_id = ""
        self._offered = self._done = self._hurry_to = 0  # records so far: taken in, out again, and wanted out without delay

    @property
    def waiting(self) -> int:
        """Records that no batch holds yet."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """Records of the batch that is being exported."""
        return len(self._flying)

    def open(self) -> None:
        """Be ready for the loop that runs now."""
        self._news, self._again, self._out = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def offer(self, parcels: Sequence[Parcel]) -> None:
        """Take what there is room for, count the rest. One that is bigger than all the room is taken when it is alone."""
        was_empty = not self._waiting
        for parcel in parcels:
            if len(self._waiting) >= self.limits.queue_records:
                self.dropped["queue_full_count"] += 1
            elif self.waiting_bytes and self.waiting_bytes + parcel.size > self.limits.queue_bytes:
                self.dropped["queue_full_bytes"] += 1
            else:
                self.waiting_bytes += parcel.size
                self._offered += 1
                self._waiting.append(parcel)
        if was_empty or self._plenty():
            self._news.set()

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
        """Count all that is left as dropped for *reason*."""
        if left := self.waiting + self.in_flight:
            self.dropped[reason] += left
        self._done += left
        self._waiting.clear()
        self._flying = []
        self.waiting_bytes = 0

    def stats(self, *, captured: int, upstream_dropped: dict[str, int], upstream_waiting: int) -> ExporterStats:
        """The exporter in numbers, with what was lost or still waits before it came here.

        *captured* is counted on the request side, everything else where it happened: that they add up is the conservation law.
        """
        dropped = Counter(self.dropped)
        dropped.update(upstream_dropped)
        return ExporterStats(
            captured=captured,
            exported=self.exported,
            spooled=0,
            queued=self.waiting + upstream_waiting,
            in_flight=self.in_flight,
            dropped={reason: count for reason, count in dropped.items() if count},
            batches=self.batches,
            failures=self.failures,
            seconds=self.seconds,
            last_error=self.last_error,
        )

    # --- batches -------------------------------------------------------------------------------------------------

    async def _gather(self) -> None:
        """Wait for a first record, then for company until the first one is old enough."""
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        oldest = self._waiting[0].at + self.limits.batch_age
        while self._done >= self._hurry_to and not self._plenty() and (left := oldest - time.monotonic()) > 0:
            self._news.clear()
            await wait(self._news, left)

    def _plenty(self) -> bool:
        """Whether a whole batch waits."""
        return len(self._waiting) >= self.limits.batch_records or self.waiting_bytes >= self.limits.batch_bytes

    def _board(self) -> None:
        """Make the next batch of what has waited longest; one record that is bigger than a batch goes alone."""
        size = 0
        while self._waiting and len(self._flying) < self.limits.batch_records:
            size += self._waiting[0].size
            if self._flying and size > self.limits.batch_bytes:
                break
            self._flying.append(self._waiting.popleft())
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
                self.dropped[error.reason] += lost
                self.exported += len(parcels) - lost
                break
            except (Exception, SystemExit, asyncio.CancelledError) as error:  # whatever a user's exporter raises: the batch comes back
                if isinstance(error, asyncio.CancelledError) and _cancelled():
                    raise
                self._failed(error)
                await self._back_off(tries, error.after if isinstance(error, RetryLater) else None)
                tries += 1
            else:
                self.exported += len(parcels)
                self.batches += 1
                break
        self._flying = []
        self._done += len(parcels)
        self.waiting_bytes -= sum(parcel.size for parcel in parcels)
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


def _cancelled() -> bool:
    """Whether it is this task that is cancelled, and not something inside an exporter."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
