"""The owner of it all: one sink with its processors and exporters. Made, flushed and closed by the application."""

import atexit
import itertools
import os
import threading
import time
import weakref
from types import TracebackType
from typing import Any, Self

from llm_observe._runtime import clock as clocks
from llm_observe._runtime import plugs
from llm_observe._runtime.around import Around
from llm_observe._runtime.clock import Clock, Ids
from llm_observe._runtime.guard import Guard
from llm_observe._runtime.handover import Handover, Item
from llm_observe._runtime.items import ALL, Flush, Settle, last_attempt
from llm_observe._runtime.stats import Stats
from llm_observe.processors.content import content
from llm_observe.processors.cost import Pricing
from llm_observe.processors.truncation import truncation
from llm_observe.settings import Settings, checked, resolve

_living: "weakref.WeakSet[Observer]" = weakref.WeakSet()


class Observer:
    """Records what happens and hands it to its exporters.

    ``Observer(exporters=[...], content="metadata")`` takes every setting by keyword; the environment and the defaults fill in the
    rest, or a *settings* object does. It starts by itself with the first record, or with :meth:`start`, and ends with
    :meth:`shutdown`; leaving it as a context manager does the same, and so does the end of the process. Several may live side by side.

    :raises SettingsError: for a setting that does not exist or does not fit.
    """

    def __init__(self, settings: Settings | None = None, *, clock: Clock | None = None, ids: Ids | None = None, **keywords: Any) -> None:
        if settings is None:
            self.settings, self.sources = resolve(keywords)
        else:
            self.settings, self.sources = checked(settings, keywords)
        self.clock, self.ids = clock or Clock(), ids or Ids()
        self.guard = Guard(strict=self.settings.strict)
        named = self.settings.exporters
        if named is None:
            self.exporters = plugs.defaults(self.settings)
        else:
            self.exporters = [plugs.exporter(one, self.settings) if isinstance(one, str) else one for one in named]
        self.meters = [plugs.meter(one, self.settings) if isinstance(one, str) else one for one in self.settings.metrics]
        self.request_id_name = self.settings.request_id_header.lower().encode()  # as ASGI has it
        self.around = Around() if self.settings.otel and self.settings.enabled else None
        self.propagate = self.settings.propagate
        self.closed = False
        self._started = False
        self._make()
        _living.add(self)

    @property
    def enabled(self) -> bool:
        """Whether anything is recorded at all."""
        return self.settings.enabled

    def _make(self) -> None:
        """Everything that a forked child must have anew."""
        # Here and not above: anyio, asyncio and the decoders are not for those who only import us.
        from llm_observe._runtime.assemble import Assembler
        from llm_observe._runtime.channel import Channel, Limits
        from llm_observe._runtime.sink import Sink
        from llm_observe.wire import FORMATS, Endpoints, look_for

        settings = self.settings
        limits = Limits(
            queue_records=settings.queue_records,
            queue_bytes=settings.queue_bytes // 2,
            batch_records=settings.batch_records,
            batch_bytes=settings.batch_bytes,
            batch_age=settings.batch_age,
        )
        self.channels: dict[str, Channel] = {}
        for exporter in self.exporters:
            name = base = plugs.name(exporter)
            more = itertools.count(2)
            while name in self.channels:
                name = f"{base}-{next(more)}"
            self.channels[name] = Channel(name, exporter, limits, guard=self.guard, ids=self.ids, clock=self.clock)
        level = content(settings.content)
        self.handover = Handover(settings.queue_records, settings.queue_bytes, self._wake)
        self.handover.closed = self.closed or not settings.enabled
        endpoints = Endpoints(settings.endpoints, FORMATS)
        look_for(endpoints.paths)
        self.pricing = Pricing(settings.prices, wanted=settings.cost)
        self.assembler = Assembler(
            self.ids, self.clock, service=settings.service, window=settings.retry_window, endpoints=endpoints, price=self.pricing
        )
        self.sink = Sink(
            self.handover,
            self.assembler,
            list(self.channels.values()),
            [*settings.processors, level or truncation(settings.text_bytes)],
            self.guard,
            self.meters,
            self.stats,
        )
        self._lock = threading.Lock()

    # --- life ----------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Install the hooks and start the sink's thread. Safe to call twice."""
        self.prepare()
        if self.enabled and not self.closed:
            try:
                self.sink.start()
            except RuntimeError as error:  # no thread to be had now: the first record tries again
                self.guard.caught(error, "starting the sink")
        return self

    def prepare(self) -> None:
        """Install the hooks and the exit handler; the thread starts with the first record. Safe to call twice."""
        if self.closed or not self.enabled or not self._first():
            return
        plugs.hook()
        me = weakref.ref(self)
        # Before the thread pools close, while threads can still be started: see threading._shutdown.
        register = getattr(threading, "_register_atexit", None)
        if register is not None:
            try:
                register(_at_thread_exit, me)
            except RuntimeError:  # the end has begun, and what is registered now is not called any more: each item brings itself out
                self.hand_over = self._hand_over_at_once  # type: ignore[method-assign]
                return  # no thread pool can even be imported now
        if self.settings.follow_threads:
            from llm_observe._runtime import threads

            threads.install()
        atexit.register(_at_exit, me)

    def _first(self) -> bool:
        """Whether this is the first start: true once."""
        if self._started:
            return False
        with self._lock:
            started, self._started = self._started, True
        return not started

    def _wake(self) -> None:
        try:
            self.prepare()
            self.sink.wake()
        except Exception as error:  # no thread to be had: the next item, or the drain, tries again
            self.handover.asleep = True
            self.guard.caught(error, "starting the sink")

    def hand_over(self, item: Item) -> None:
        """Leave *item* for the sink. Never raises, never waits."""
        try:
            self.handover.put(item)
        except Exception as error:
            self.guard.caught(error, "the hand-over")

    def _hand_over_at_once(self, item: Item) -> None:
        """:meth:`hand_over` in a process that is about to be gone: in the caller's thread and time, as there is no other."""
        try:
            self.handover.put(item)
            self.sink.bring_out(_time_left(self))
        except Exception as error:
            self.guard.caught(error, "the hand-over")

    def flush(self, timeout: float = 5.0, *, final: bool = False) -> bool:
        """Wait until all that happened so far has been exported, or dropped and counted; at most *timeout* seconds.

        Returns whether it got that far. A failed call made elsewhere whose client may still retry it is waited for by a *final*
        flush only, as it stands. Blocks: in async code use :meth:`aflush`.
        """
        return self._flush(timeout, ALL if final else last_attempt.get())

    async def aflush(self, timeout: float = 5.0, *, final: bool = False) -> bool:  # noqa: ASYNC109 - the wait is in another thread
        """:meth:`flush` without blocking the event loop."""
        from anyio.to_thread import run_sync

        return await run_sync(self._flush, timeout, ALL if final else last_attempt.get())

    def _flush(self, timeout: float, serial: int) -> bool:
        if not self.enabled or self.closed or (not self.sink.running and not len(self.handover)):
            return True
        order = Flush(threading.Event())
        self.handover.order(Settle(serial))  # who flushes is not in the middle of a call: no retry of its last attempt will come
        self.handover.order(order)
        return order.done.wait(timeout)

    def shutdown(self, timeout: float | None = None) -> Stats:
        """Bring out what is left, within *timeout* seconds (default: the ``drain_timeout`` setting), and close the exporters.

        What could not leave in time is counted as ``shutdown_deadline``. Safe to call twice and from any thread. Afterwards nothing
        is recorded any more.
        """
        with self._lock:
            first, self.closed = not self.closed, True
        if first:
            if self.sink.running or len(self.handover) or self.sink.assembler.pending:
                self.sink.stop(self.settings.drain_timeout if timeout is None else timeout)
            self.handover.closed = True
        return self.stats()

    drain = shutdown

    async def ashutdown(self, timeout: float | None = None) -> Stats:  # noqa: ASYNC109 - the wait is in another thread
        """:meth:`shutdown` without blocking the event loop."""
        from anyio.to_thread import run_sync

        return await run_sync(self.shutdown, timeout)

    adrain = ashutdown

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.shutdown()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.ashutdown()

    # --- numbers -------------------------------------------------------------------------------------------------

    def stats(self) -> Stats:
        """What became of everything, in numbers. See :class:`~llm_observe._runtime.stats.Stats`."""
        handover, assembler = self.handover, self.assembler
        waiting = handover.accepted - handover.taken
        lost = {**handover.dropped, **self.sink.lost}
        upstream = {reason: count for reason, count in lost.items() if count}
        gone = assembler.folded + assembler.ignored + self.sink.filtered
        captured = handover.accepted + sum(handover.dropped.values()) - gone
        return Stats(
            accepted=handover.accepted,
            waiting=waiting,
            waiting_bytes=handover.bytes,
            pending=assembler.pending,
            folded=assembler.folded,
            ignored=assembler.ignored,
            unpriced=self.pricing.unpriced,
            filtered=self.sink.filtered,
            shed=handover.shed,
            errors=self.guard.errors,
            restarts=self.sink.restarts,
            running=self.sink.running,
            exporters={
                name: channel.stats(captured=captured, upstream_dropped=upstream, upstream_waiting=waiting + assembler.pending)
                for name, channel in self.channels.items()
            },
        )

    def _forked(self) -> None:
        """In a forked child: start empty, with a new sink. What the parent had queued is the parent's."""
        inherited = self.handover.accepted - self.handover.taken + self.assembler.pending
        self._make()
        self.handover.dropped["forked_child"] = inherited


EXIT = 2.0  # seconds the end of a process may wait for us, at the most (reliability.md, 2)
_exit_began: list[float] = []


def exiting() -> bool:
    """Whether the process is on its way out, and observers have been or are being closed."""
    return bool(_exit_began)


def _time_left(observer: Observer) -> float:
    """What remains of the time an exit may take: the two handlers share it."""
    if not _exit_began:
        _exit_began.append(time.monotonic())
    return max(0.05, min(EXIT, observer.settings.drain_timeout) - (time.monotonic() - _exit_began[0]))


def _at_thread_exit(me: "weakref.ref[Observer]") -> None:
    observer = me()
    if observer is not None and not observer.closed:
        observer.flush(_time_left(observer))


def _at_exit(me: "weakref.ref[Observer]") -> None:
    observer = me()
    if observer is not None:
        observer.shutdown(_time_left(observer))


def _in_child() -> None:
    clocks.reseed()
    for observer in list(_living):
        observer._forked()  # noqa: SLF001 - one file


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
