"""The background thread: take, assemble and decode, send on.

It looks by itself while there is traffic (an append costs the request 40 ns, a wake-up 5 us) and sleeps when there is none, to be woken
by the first item: an idle process has no wake-ups at all. A burst wakes it too. Measured: with 250 calls a second, a look every 20 ms
costs the sink a third more CPU than one every 100 ms, and one every 200 ms hardly less.

What it takes goes through its stages together, some items at a time: each is read, then records are made of them, then these are sent.
So the code and the data of a stage are in the processor's caches for all but the first: a seventh less CPU a plain call than item by
item, and a fifth a stream.
"""

import asyncio
import contextlib
import contextvars
import functools
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import anyio
import anyio._backends._asyncio

from llm_observe._runtime.assemble import Assembler
from llm_observe._runtime.channel import Channel, meant_for_us, wait
from llm_observe._runtime.guard import Guard
from llm_observe._runtime.handover import Handover, Item
from llm_observe._runtime.items import Captured, Flush, Settle
from llm_observe._runtime.meters import Meters
from llm_observe._runtime.outlet import Outlet
from llm_observe._runtime.pace import Pace
from llm_observe._runtime.scope import SUPPRESSED, frame
from llm_observe.records import AnyRecord

_T = TypeVar("_T")

NAP = 0.1  # seconds between two looks while there is traffic
IDLE = 1.0  # seconds without traffic after which the sink goes to sleep
GROUP, GROUP_BYTES = 32, 2**19  # items that go through a stage together, and their bytes: read documents are several times as large
FIRST_GROUP = 8  # items, until it is known how long they take
TURN = 4  # breaths between two turns of the loop, in which exporters go on
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 20.0  # seconds before the loop starts anew after a failure: three times a minute at most
TELLING = 0.5  # seconds between two looks of the meters at our own numbers
LONGEST_CLOSE = 0.4  # seconds that exporters have to close
GRACE = 0.5  # seconds that a stop may last beyond its time


class Sink:
    """One thread, one loop, all of an observer's slow work."""

    def __init__(
        self,
        handover: Handover,
        assembler: Assembler,
        channels: Sequence[Channel],
        outlet: Outlet,
        guard: Guard,
        meters: Meters,
        numbers: Callable[[], object],
    ) -> None:
        self.handover, self.assembler, self.channels, self.outlet, self.guard = handover, assembler, channels, outlet, guard
        self.meters, self._numbers, self._told_at = meters, numbers, 0.0
        self._settled = self._told = 0  # batches that channels were done with, and what `_changes` was when the meters were told last
        self.restarts = 0  # of the loop, after a failure of our own
        self.lost = {"decode_error": 0, "shutdown_deadline": 0}
        self._pace, self._turned = Pace(self._late), 0  # after how many breaths the loop had its last turn
        self._hand: deque[Item] = deque()  # taken, and not worked on yet
        self._made: deque[AnyRecord] = deque()  # records that are not sent yet
        self._most = FIRST_GROUP  # items that go together now
        self._orders: list[Flush] = []
        self._thread: threading.Thread | None = None
        self._worker = 0  # the thread that does the work, by its ident
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakeup: asyncio.Event | None = None
        self._stop_at: float | None = None  # time.monotonic() by which to be gone
        self._stopping = threading.Event()
        self._finished = False
        self._gone = threading.Event()
        for channel in channels:
            channel.settled = self._out
            channel.exported_in = functools.partial(self.meters.exported, channel.name)

    @property
    def running(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def working_here(self) -> bool:
        """Whether the thread that asks is the one that does the work: it cannot wait for itself."""
        return threading.get_ident() == self._worker

    @property
    def abandoned(self) -> bool:
        """Whether its time is up and it is still at work: something that it called does not return."""
        return self._stop_at is not None and time.monotonic() > self._stop_at + GRACE and not self._gone.is_set()

    def wake(self) -> None:
        """Have the sink look at the hand-over now; starts its thread if there is none. Any thread may call it."""
        loop, wakeup = self._loop, self._wakeup
        if loop is not None and wakeup is not None:
            with contextlib.suppress(RuntimeError):  # it closed a moment ago: the thread below is new
                loop.call_soon_threadsafe(wakeup.set)
                return
        self.start()

    def start(self) -> None:
        """Start the thread unless it runs already."""
        if not self._starting.acquire(blocking=False):
            return  # somebody is at it; perhaps this very thread, in whose midst a signal or the garbage collector came here
        try:
            if self.running or self._gone.is_set():
                return
            self._thread = thread = threading.Thread(target=self._run, name="llm-observe", daemon=True)
            thread.start()
        finally:
            self._starting.release()

    def stop(self, timeout: float) -> None:
        """Bring out what is left within *timeout* seconds, then end. Where no thread can be had, the caller's does the work."""
        self._stop_at = time.monotonic() + timeout
        self._stopping.set()
        if not self.running and not self._gone.is_set():
            try:
                self.start()
            except RuntimeError:  # the interpreter is ending and starts no threads any more
                with contextlib.suppress(RuntimeError):  # nor loops, inside a running one
                    self._run()
                return
        self.wake()
        self.join(timeout)

    def join(self, timeout: float) -> None:
        """Wait for the end of a stop that somebody ordered: at most *timeout* seconds, and no longer than the stop itself may take."""
        if self._stop_at is not None and not self.working_here:
            self._gone.wait(max(0.0, min(timeout, self._stop_at - time.monotonic()) + GRACE))

    def bring_out(self, timeout: float) -> None:
        """Bring out what is there within *timeout* seconds, and be ready for more: for a process that runs no exit handlers any more."""
        self.stop(timeout)
        if self._finished:
            self._finished, self._stop_at = False, None
            self._gone.clear()
            self._stopping.clear()
            self.handover.closed = False

    # --- inside the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        # An empty context: the thread may have been started inside a request, which is none of the sink's business.
        contextvars.Context().run(self._in_context)

    def _in_context(self) -> None:
        frame.set(SUPPRESSED)
        self._worker = threading.get_ident()
        pause = FIRST_PAUSE
        try:
            while not self._finished and not self._late():
                began = time.monotonic()
                try:
                    anyio.run(self._main, backend="asyncio")
                except BaseException as error:  # ours, or one of a user's that ends threads. What was taken is still at hand
                    if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                        raise  # the process is on its way out, and somebody has lost patience
                    self.restarts += 1
                    self.guard.caught(error, "the sink")
                    if self._stopping.is_set():
                        time.sleep(FIRST_PAUSE)
                        continue
                    pause = FIRST_PAUSE if time.monotonic() - began > LONGEST_PAUSE else min(10 * pause, LONGEST_PAUSE)
                    self._stopping.wait(pause)
        finally:
            self._loop = self._wakeup = self._thread = None
            self._worker = 0
            self.handover.asleep = True
            if self._stop_at is not None:
                self.handover.closed = True
                self._gone.set()

    def _late(self) -> bool:
        """Whether the time to bring out what is left has run out."""
        return self._stop_at is not None and time.monotonic() > self._stop_at

    async def _main(self) -> None:
        self._wakeup = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            for channel in self.channels:
                channel.open()
                tasks.start_soon(channel.run)
            for order in self._orders:
                tasks.start_soon(self._flush, order)
            await self._pump(tasks.start_soon)
            await self._bring_out(tasks.start_soon)
            tasks.cancel_scope.cancel()
        for channel in self.channels:
            channel.give_up("shutdown_deadline")
        await self._close_exporters()
        self._told_at = 0.0
        self._tell()
        self.meters.close()
        self._finished = True

    async def _pump(self, start_soon: Callable[..., object]) -> None:
        quiet = 0.0
        while self._stop_at is None:
            self._hand.extend(self.handover.take(256))
            busy = bool(self._hand)
            await self._work(start_soon)
            if self.assembler.pending:
                self._emit(self.assembler.overdue)
            self._tell()
            if busy:
                quiet = 0.0
                continue
            await self._rest(NAP if quiet < IDLE or self.assembler.pending or self._untold else None)
            quiet += NAP

    async def _rest(self, seconds: float | None) -> None:
        """Wait for *seconds*, or for a call: None is a sleep that the next item ends."""
        wakeup = self._wakeup
        if wakeup is None:
            return
        wakeup.clear()
        self.handover.asleep = seconds is None
        overtaken = len(self.handover) or (seconds is None and self._untold)  # what came before `asleep` was set did not wake us
        if not overtaken and self._stop_at is None:
            await wait(wakeup, seconds)
            self._pace.rested()
        self.handover.asleep = False

    async def _work(self, start_soon: Callable[..., object]) -> None:
        while (self._hand or self._made) and not self._late():
            self._go_on()
            while self._hand and isinstance(order := self._hand[0], Flush) and not self._made:
                self._orders.append(order)
                self._hand.popleft()
                start_soon(self._flush, order)
            if self._pace.breaths - self._turned >= TURN:
                self._turned = self._pace.breaths
                await asyncio.sleep(0)

    def _go_on(self) -> None:
        """Take some of the items at hand through the stages: fewer than the last time, if those kept the loop for too long.

        What it cannot finish is still there, in ``_hand`` or in ``_made``.
        """
        group, before = list(self._group()), self._pace.breaths
        self.assembler.read(self._pace.over(group))
        for item in self._pace.over(group):
            self._hand.popleft()
            self._make(functools.partial(self.assembler.records, item), owed=0 if isinstance(item, Settle) else 1)
        self._send()
        self._most = max(1, self._most // 2) if self._pace.breaths - before > 2 * TURN else min(GROUP, 2 * self._most)

    def _group(self) -> Iterator[Item]:
        room = GROUP_BYTES
        for item in itertools.islice(self._hand, self._most):
            if isinstance(item, Flush) or room <= 0:
                return
            room -= item.size if isinstance(item, Captured) else 0
            yield item

    def _emit(self, settle: Callable[[], Iterable[AnyRecord]]) -> None:
        """Send what *settle* yields of what waited."""
        self._make(settle, owed=0)
        self._send()

    def _make(self, settle: Callable[[], Iterable[AnyRecord]], *, owed: int) -> None:
        """Make the records that *settle* yields. Of what is *owed* and what waited, all that neither comes nor waits on is lost, and counted."""
        records: list[AnyRecord] = []
        owed += self.assembler.kept
        try:
            records.extend(settle())
        except Exception as error:
            self.lost["decode_error"] += owed - self.assembler.kept - len(records)
            self.guard.caught(error, "decoding")
        finally:
            self._made.extend(records)

    def _send(self) -> None:
        """Send the records that are made."""
        self.outlet.send(self._pace.over(_taken(self._made)))

    def _tell(self) -> None:
        """Tell the meters how we are, once in a while."""
        now = time.monotonic()
        if not self.meters or now - self._told_at < TELLING:
            return
        self._told_at, self._told = now, self._changes
        self.meters.health(self._numbers)

    @property
    def _untold(self) -> bool:
        """Whether the meters' numbers are not the last ones yet: a sleep now would leave them so until the next request."""
        return bool(self.meters) and (self._told != self._changes or any(channel.waiting or channel.in_flight for channel in self.channels))

    @property
    def _changes(self) -> int:
        """A number that rises with what the meters are to be told of before a sleep: batches that went, calls that began or ended."""
        return self._settled + self.handover.begun + self.handover.ended

    def _out(self) -> None:
        self._settled += 1
        self.outlet.weigh()

    async def _flush(self, order: Flush) -> None:
        async with anyio.create_task_group() as tasks:
            for channel in self.channels:
                tasks.start_soon(channel.emptied)
        self._done(order)

    def _done(self, order: Flush) -> None:
        order.done.set()
        if order in self._orders:
            self._orders.remove(order)

    async def _bring_out(self, start_soon: Callable[..., object]) -> None:
        self.handover.closed = True
        while self._hand or self._made or len(self.handover):
            self._hand.extend(self.handover.take(256))
            if self._late():
                self.lost["shutdown_deadline"] += sum(not isinstance(item, Flush | Settle) for item in self._hand) + len(self._made)
                self._hand.clear()
                self._made.clear()
            await self._work(start_soon)
        self._emit(self.assembler.rest)
        self.lost["shutdown_deadline"] += len(self._made)
        self._made.clear()
        with anyio.move_on_after(max(0.0, (self._stop_at or 0.0) - time.monotonic())):
            async with anyio.create_task_group() as tasks:
                for channel in self.channels:
                    tasks.start_soon(channel.emptied)
            for order in list(self._orders):
                self._done(order)

    async def _close_exporters(self) -> None:
        with anyio.move_on_after(LONGEST_CLOSE):
            async with anyio.create_task_group() as tasks:
                for channel in self.channels:
                    tasks.start_soon(self._close, channel)

    async def _close(self, channel: Channel) -> None:
        close = getattr(channel.exporter, "aclose", None)
        if close is not None:
            try:
                await close()
            except (Exception, SystemExit, KeyboardInterrupt) as error:
                if meant_for_us(error):
                    raise
                self.guard.caught(error, f"closing {channel.name}")


def _taken(several: deque[_T]) -> Iterator[_T]:
    """*several*, from the first to the last, each taken out of there."""
    while several:
        yield several.popleft()
