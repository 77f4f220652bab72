"""One exporter's way out: its own queue, batches, retries and numbers.

Lists travel on the anyio channel, never single records: a reader that wakes once a record is overrun by a burst. Room is counted in
records and bytes. The age of a batch counts from its first record.
"""

import inspect
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from llm_observe._runtime.clock import Clock, Ids
from llm_observe._runtime.guard import Guard
from llm_observe._runtime.stats import ExporterStats
from llm_observe.errors import Rejected, RetryLater
from llm_observe.protocols import Batch
from llm_observe.records import AnyRecord

FIRST_RETRY, LONGEST_RETRY = 0.5, 60.0  # seconds, full jitter between (reliability.md, 2)


class Parcel:
    """A record with its JSON, shared by all channels.

    ``size`` is the bytes of both. A text that is not all ASCII takes up to four bytes a character in memory.
    """

    __slots__ = ("line", "record", "size")

    def __init__(self, record: AnyRecord, line: bytes) -> None:
        self.record, self.line = record, line
        self.size = (2 if line.isascii() else 5) * len(line) + 512


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a channel holds, and how big its batches are."""

    queue_records: int
    queue_bytes: int
    batch_records: int
    batch_bytes: int
    batch_age: float


class Channel:
    """Everything here but ``stats`` runs in the sink's loop."""

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
        self.exported = self.in_flight = self.waiting = self.waiting_bytes = self.batches = self.failures = 0
        self.dropped: Counter[str] = Counter()
        self.last_error: str | None = None
        self._guard, self._ids, self._clock, self._jitter = guard, ids, clock, jitter
        self._verb = _verb(exporter)
        self._held: list[Parcel] = []
        self._hurry = False
        self._pause: anyio.CancelScope | None = None
        self._idle: anyio.Event | None = None

    def open(self) -> None:
        """Make the channel, inside the sink's loop. What a sink that died had left in the old one is counted."""
        self.give_up("sink_died")
        self._send, self._receive = anyio.create_memory_object_stream[list[Parcel]](math.inf)

    def offer(self, parcels: Sequence[Parcel]) -> None:
        """Take what there is room for, count the rest."""
        taken = []
        for parcel in parcels:
            if self.waiting >= self.limits.queue_records:
                self.dropped["queue_full_count"] += 1
            elif self.waiting_bytes + parcel.size > self.limits.queue_bytes:
                self.dropped["queue_full_bytes"] += 1
            else:
                self.waiting += 1
                self.waiting_bytes += parcel.size
                taken.append(parcel)
        if taken:
            self._send.send_nowait(taken)

    async def run(self) -> None:
        """Deliver until the sink closes the channel."""
        async with self._receive:
            while await self._gather():
                while self._held and (len(self._held) >= self.limits.batch_records or not self._receive.statistics().current_buffer_used):
                    await self._deliver(self._next_batch())
                self._rest()

    def hurry(self) -> None:
        """Wait for neither company nor a better moment until everything is out."""
        self._hurry = True
        if self._pause is not None:
            self._pause.cancel()

    async def emptied(self) -> None:
        """Return when nothing waits and nothing is in flight."""
        if self.waiting or self.in_flight:
            self._idle = self._idle or anyio.Event()
            self.hurry()
            await self._idle.wait()

    async def close(self) -> None:
        """No more will be offered; ``run`` ends when the rest is out."""
        self._hurry = True
        self._send.close()
        self.hurry()

    def give_up(self, reason: str) -> None:
        """Count all that is left as dropped for *reason*."""
        left = self.waiting + self.in_flight
        if left:
            self.dropped[reason] += left
        self.waiting = self.waiting_bytes = self.in_flight = 0
        self._held.clear()

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
            last_error=self.last_error,
        )

    # --- batches -------------------------------------------------------------------------------------------------

    async def _gather(self) -> bool:
        """Wait for a first record, then for company. False when the channel is closed and empty."""
        try:
            if not self._held:
                self._held += await self._receive.receive()
            if not self._hurry:
                with anyio.CancelScope(deadline=anyio.current_time() + self.limits.batch_age) as self._pause:
                    while len(self._held) < self.limits.batch_records and sum(p.size for p in self._held) < self.limits.batch_bytes:
                        self._held += await self._receive.receive()
            while self._receive.statistics().current_buffer_used and len(self._held) < self.limits.batch_records:
                self._held += self._receive.receive_nowait()
        except anyio.EndOfStream:
            pass
        finally:
            self._pause = None
        return bool(self._held)

    def _next_batch(self) -> list[Parcel]:
        size, count = 0, 0
        for parcel in self._held[: self.limits.batch_records]:
            size += parcel.size
            if count and size > self.limits.batch_bytes:
                break
            count += 1
        batch, self._held = self._held[:count], self._held[count:]
        return batch

    def _rest(self) -> None:
        if not self.waiting and not self.in_flight and self._idle is not None:
            self._idle.set()
            self._idle = None
            self._hurry = False

    # --- delivery ------------------------------------------------------------------------------------------------

    async def _deliver(self, parcels: list[Parcel]) -> None:
        size = sum(parcel.size for parcel in parcels)
        batch = Batch(self._ids.record(self._clock.wall()), [p.record for p in parcels], [p.line for p in parcels])
        self.in_flight += len(parcels)
        self.waiting -= len(parcels)
        tries = 0
        while True:
            try:
                await self._verb(batch)
            except Rejected as error:
                self._failed(error)
                self.dropped[error.reason] += len(parcels)
                break
            except Exception as error:  # whatever a user's exporter raises: the batch stays, and comes back
                self._failed(error)
                await self._back_off(tries, error.after if isinstance(error, RetryLater) else None)
                tries += 1
            else:
                self.exported += len(parcels)
                self.batches += 1
                break
        self.in_flight -= len(parcels)
        self.waiting_bytes -= size

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self.last_error = f"{type(error).__name__}: {error}"[:500]
        self._guard.say(
            f"{self.name}: {type(error).__name__}", f"exporter {self.name}: {self.last_error}; {self.waiting + self.in_flight} records wait"
        )

    async def _back_off(self, tries: int, after: float | None) -> None:
        longest = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(tries, 10))
        delay = max(after or 0.0, 0.05 + longest * self._jitter())
        with anyio.CancelScope(deadline=anyio.current_time() + delay) as self._pause:
            await anyio.sleep_forever()
        self._pause = None


def _verb(exporter: object) -> Callable[[Batch], Awaitable[object]]:
    """The one thing *exporter* does, as something to await."""
    call: Any = getattr(exporter, "export", exporter)
    if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None)):  # noqa: B004 - an object may be async
        return call  # type: ignore[no-any-return]

    async def in_a_thread(batch: Batch) -> None:
        started = False

        def run() -> None:
            nonlocal started
            started = True
            call(batch)

        try:
            await anyio.to_thread.run_sync(run, abandon_on_cancel=True)
        except RuntimeError:
            if started:
                raise
            run()  # no thread can be started while the interpreter ends

    return in_a_thread
