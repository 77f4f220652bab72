"""The background thread: take, assemble and decode, process, fan out.

It looks by itself while there is traffic (an append costs the request 40 ns, a wake-up 5 us) and sleeps when there is none, to be woken
by the first item: an idle process has no wake-ups at all. A burst wakes it too. Measured: two requests a second cost 0.85 % of a core
with a look every 20 ms, and 0.36 % with naps that grow. It shares the interpreter with the application, so it works in slices and
lets go of the GIL between them: a thread that wants it would otherwise wait for up to `sys.getswitchinterval()`, 5 ms.
"""

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import anyio
import anyio.lowlevel

from llm_observe._runtime.assemble import Assembler
from llm_observe._runtime.channel import Channel, Parcel
from llm_observe._runtime.encode import encode
from llm_observe._runtime.guard import Guard
from llm_observe._runtime.handover import Handover
from llm_observe._runtime.items import Flush
from llm_observe._runtime.scope import SUPPRESSED, frame
from llm_observe.processors.content import bare
from llm_observe.protocols import Processor
from llm_observe.records import AnyRecord

FIRST_NAP, LONGEST_NAP = 0.02, 0.1  # seconds between two looks while there is traffic: each nap twice the one before
IDLE = 1.0  # seconds without traffic after which the sink goes to sleep
SLICE = 0.0005  # seconds of work between two breaths
BREATH = 0.0001  # seconds of rest: long enough for a waiting thread to wake and take the GIL


class Sink:
    """One thread, one loop, all of an observer's slow work."""

    def __init__(
        self, handover: Handover, assembler: Assembler, channels: Sequence[Channel], processors: Sequence[Processor], guard: Guard
    ) -> None:
        self.handover, self.assembler, self.channels, self.processors, self.guard = handover, assembler, channels, processors, guard
        self.filtered = 0  # records a processor let go
        self.lost = {"serialize_error": 0, "decode_error": 0}
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakeup: asyncio.Event | None = None
        self._stop_at: float | None = None  # time.monotonic() by which to be gone
        self._gone = threading.Event()

    @property
    def running(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None and self._thread.is_alive()

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
        with self._starting:
            if self.running or self._gone.is_set():
                return
            self._thread = threading.Thread(target=self._run, name="llm-observe", daemon=True)
            self._thread.start()

    def stop(self, timeout: float) -> None:
        """Bring out what is left within *timeout* seconds, then end. Where no thread can be had, the caller's does the work."""
        self._stop_at = time.monotonic() + timeout
        if not self.running and not self._gone.is_set():
            try:
                self.start()
            except RuntimeError:  # the interpreter is ending and starts no threads any more
                with contextlib.suppress(RuntimeError):  # nor loops, inside a running one
                    self._run()
                return
        self.wake()
        self._gone.wait(timeout + 0.5)

    # --- inside the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        # An empty context: the thread may have been started inside a request, which is none of the sink's business.
        contextvars.Context().run(self._in_context)

    def _in_context(self) -> None:
        frame.set(SUPPRESSED)
        try:
            anyio.run(self._main, backend="asyncio")
        finally:
            self._loop = self._wakeup = None
            self.handover.asleep = True
            if self._stop_at is not None:
                self.handover.closed = True
                self._gone.set()

    async def _main(self) -> None:
        self._wakeup = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            for channel in self.channels:
                channel.open()
                tasks.start_soon(channel.run)
            await self._pump(tasks.start_soon)
            await self._bring_out()
            tasks.cancel_scope.cancel()
        for channel in self.channels:
            channel.give_up("shutdown_deadline")
        await self._close_exporters()

    async def _pump(self, start_soon: Callable[..., object]) -> None:
        nap, quiet = FIRST_NAP, 0.0
        while self._stop_at is None:
            items = self.handover.take(256)
            if items:
                nap, quiet = FIRST_NAP, 0.0
                await self._work(items, start_soon)
                continue
            if self.assembler.pending:
                self._send(self.assembler.overdue())
            await self._rest(None if quiet >= IDLE and not self.assembler.pending else nap)
            quiet += nap
            nap = min(2 * nap, LONGEST_NAP)

    async def _rest(self, seconds: float | None) -> None:
        """Wait for *seconds*, or for a call: None is a sleep that the next item ends."""
        wakeup = self._wakeup
        if wakeup is None:
            return
        wakeup.clear()
        self.handover.asleep = seconds is None
        if not len(self.handover) and self._stop_at is None:  # what came before `asleep` was set did not wake us
            # An alarm clock, not a cancellation: `move_on_after` around the wait costs twice as much.
            alarm = None if seconds is None else asyncio.get_running_loop().call_later(seconds, wakeup.set)
            await wakeup.wait()
            if alarm is not None:
                alarm.cancel()
        self.handover.asleep = False

    async def _work(self, items: Iterable[object], start_soon: Callable[..., object]) -> None:
        since = time.perf_counter()
        for item in items:
            if isinstance(item, Flush):
                start_soon(self._flush, item)
            else:
                self._send(self._records(item))
            if time.perf_counter() - since > SLICE:
                time.sleep(BREATH)  # noqa: ASYNC251 - the whole thread is to let go
                await anyio.lowlevel.checkpoint()
                since = time.perf_counter()

    def _records(self, item: object) -> list[AnyRecord]:
        records: list[AnyRecord] = []
        try:
            records.extend(self.assembler.records(item))
        except Exception as error:
            self.lost["decode_error"] += 1
            self.guard.caught(error, "decoding")
        return records

    def _send(self, records: Iterable[AnyRecord]) -> None:
        parcels = []
        for record in records:
            seen = self._process(record)
            if seen is None:
                self.filtered += 1
                continue
            try:
                parcels.append(Parcel(seen, encode(seen)))
            except Exception as error:
                self.lost["serialize_error"] += 1
                self.guard.caught(error, "encoding")
        if parcels and self.channels:
            for channel in self.channels:
                channel.offer(parcels)
            # What exporters hold back counts: the hand-over and the fullest channel share one bound. (Channels share their parcels.)
            self.handover.held = max(channel.waiting_bytes for channel in self.channels)

    def _process(self, record: AnyRecord) -> AnyRecord | None:
        for step in self.processors:
            try:
                seen = step(record)
            except Exception as error:  # a processor that fails must not let through what it was to take away
                self.guard.caught(error, "a processor")
                return bare(record)
            if seen is None:
                return None
            record = seen
        return record

    async def _flush(self, order: Flush) -> None:
        async with anyio.create_task_group() as tasks:
            for channel in self.channels:
                tasks.start_soon(channel.emptied)
        order.done.set()

    async def _bring_out(self) -> None:
        self.handover.closed = True
        while items := self.handover.take(1024):
            await self._work(items, lambda _, order: order.done.set())
        self._send(self.assembler.rest())
        left = max(0.0, (self._stop_at or 0.0) - time.monotonic())
        with anyio.move_on_after(left):
            async with anyio.create_task_group() as tasks:
                for channel in self.channels:
                    tasks.start_soon(channel.emptied)

    async def _close_exporters(self) -> None:
        for channel in self.channels:
            close = getattr(channel.exporter, "aclose", None)
            if close is not None:
                try:
                    with anyio.move_on_after(0.5, shield=True):
                        await close()
                except Exception as error:
                    self.guard.caught(error, f"closing {channel.name}")
