"""The owner of it all: one sink with its processors and exporters. Made, flushed and closed by the application."""

import atexit
import itertools
import threading
import time
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from llm_observe._runtime import ending, plugs
from llm_observe._runtime.around import Around
from llm_observe._runtime.clock import Clock, Ids
from llm_observe._runtime.guard import Guard
from llm_observe._runtime.handover import Handover, Item
from llm_observe._runtime.items import ALL, Flush, Settle, last_attempt
from llm_observe._runtime.stats import Stats, settled
from llm_observe.processors.sampler import Sampler
from llm_observe.settings import Settings, checked, resolve

if TYPE_CHECKING:
    from llm_observe._runtime.spool import Spool


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
        self.request_id_key = "HTTP_" + self.settings.request_id_header.upper().replace("-", "_")  # as WSGI does
        self.around = Around() if self.settings.otel and self.settings.enabled else None
        self.propagate = self.settings.propagate
        self.closed = False
        self.lifespans = 0  # that are open: they will say when it is time to drain
        self._started = False
        self._patience = 0.0  # seconds left for waiting, once the process has been told to end
        self._make()
        ending.living.add(self)

    @property
    def enabled(self) -> bool:
        """Whether anything is recorded at all."""
        return self.settings.enabled

    def _make(self) -> None:
        """Everything that a forked child must have anew."""
        # Here and not above: anyio, asyncio, the decoders and the processors are not for those who only import us.
        from llm_observe._runtime.assemble import Assembler
        from llm_observe._runtime.channel import Channel, Limits
        from llm_observe._runtime.meters import Meters
        from llm_observe._runtime.outlet import Outlet
        from llm_observe._runtime.redaction import Redaction
        from llm_observe._runtime.sampling import Sampling
        from llm_observe._runtime.sink import Sink
        from llm_observe.processors.control import Control
        from llm_observe.processors.cost import Pricing
        from llm_observe.processors.truncation import truncation
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
            self.channels[name] = Channel(name, exporter, limits, guard=self.guard, ids=self.ids, clock=self.clock, spool=self._spool(name))
        self.handover = Handover(settings.queue_records, settings.queue_bytes, self._wake)
        self.handover.closed = self.closed or not settings.enabled
        self.handover.watched = bool(self.meters)
        endpoints = Endpoints(settings.endpoints, FORMATS)
        look_for(endpoints.paths)
        self.sampling = Sampling(self.exporters, self.guard)
        self.pricing = Pricing(settings.prices, wanted=settings.cost)
        self.assembler = Assembler(
            self.ids,
            self.clock,
            service=settings.service,
            window=settings.retry_window,
            endpoints=endpoints,
            price=self.pricing,
            keeps=self.sampling,
        )
        control = Control(
            settings.content,
            settings.content_for,
            settings.content_callback,
            whole=truncation(settings.text_bytes),
            caught=lambda error: self.guard.caught(error, "content", quoted=False),
        )
        self.redaction = Redaction(settings, self.guard, now=self.clock.now)
        channels, meters = list(self.channels.values()), Meters(self.meters, self.guard)
        processors = [control.decided, *settings.processors, control.applied]
        self.outlet = Outlet(self.handover, channels, processors, self.guard, meters, sampler=self._sampler(), redact=self.redaction)
        self.sink = Sink(self.handover, self.assembler, channels, self.outlet, self.guard, meters, self.stats)
        self._lock = threading.RLock()  # a signal's handler may come back to it

    def _sampler(self) -> Sampler | None:
        """What says which records are kept, if not all are."""
        settings = self.settings
        if settings.sample_rate == 1 and not settings.sample_rules and settings.sampler is None:
            return None
        return Sampler(
            settings.sample_rate,
            settings.sample_rules,
            settings.sampler,
            slower_than=settings.keep_slower_than,
            costlier_than=settings.keep_costlier_than,
            caught=lambda error: self.guard.caught(error, "the sampler", quoted=False),
        )

    def _spool(self, name: str) -> "Spool | None":
        """The spool of the exporter *name*, if there is to be one."""
        if self.settings.spool is False or not self.enabled:
            return None
        from llm_observe._runtime.spool import Spool, place

        root, within = place(self.settings)
        return Spool(root, name, self.settings.spool_bytes, guard=self.guard, within=within, wall=self.clock.wall)

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

    def prepare(self, *, serving: bool = False) -> None:
        """Install the hooks and the exit handlers; the thread starts with the first record. Safe to call twice.

        *serving*: for a web application, whose process as a rule ends by SIGTERM.
        """
        if self.closed or not self.enabled:
            return
        if serving:
            ending.heed_signals(self, serving=True)
        if not self._first():
            return
        if not serving:
            ending.heed_signals(self, serving=False)
        plugs.hook()
        me = weakref.ref(self)
        # Before the thread pools close, while threads can still be started: see threading._shutdown.
        register = getattr(threading, "_register_atexit", None)
        if register is not None:
            try:
                register(ending.at_thread_exit, me)
            except RuntimeError:  # the end has begun, and what is registered now is not called any more: each item brings itself out
                self.hand_over = self._hand_over_at_once  # type: ignore[method-assign]
                return  # no thread pool can even be imported now
        if self.settings.follow_threads:
            from llm_observe._runtime import threads

            threads.install()
        atexit.register(ending.at_exit, me)
        if any(channel.has_orphans() for channel in self.channels.values()):
            self.sink.wake()  # to see to it before there is traffic

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
            self.sink.bring_out(ending.time_left(self))
        except Exception as error:
            self.guard.caught(error, "the hand-over")

    def leave(self) -> None:
        """Bring out what there is, and from now on each record when it comes: for a process that may end without another word.

        It waits for the exporters, for as long as the ``drain_timeout`` setting says in all. With a lifespan open there is no need.
        """
        if self.closed or not self.enabled or self.lifespans:
            return
        self._patience = self.settings.drain_timeout
        self.hand_over = self._hand_over_and_wait  # type: ignore[method-assign]  # so that until then nobody asks
        self._wait()

    def _hand_over_and_wait(self, item: Item) -> None:
        """:meth:`hand_over` in a process that has been told to end. What belongs to a request waits with it."""
        try:
            self.handover.put(item)
            if getattr(item, "scope", None) is None:
                self._wait()
        except Exception as error:
            self.guard.caught(error, "the hand-over")

    def _wait(self) -> None:
        if self._patience > 0 and not self.sink.working_here:
            began = time.monotonic()
            self.flush(self._patience, final=True)
            self._patience -= time.monotonic() - began

    def flush(self, timeout: float = 5.0, *, final: bool = False) -> bool:
        """Wait until all that happened so far has been exported, or dropped and counted; at most *timeout* seconds.

        Returns whether it got that far. A failed call made elsewhere whose client may still retry it is waited for by a *final*
        flush only, as it stands. Blocks: in async code use :meth:`aflush`.
        """
        return self._flush(timeout, ALL if final else last_attempt.get().serial)

    async def aflush(self, timeout: float = 5.0, *, final: bool = False) -> bool:  # noqa: ASYNC109 - the wait is in another thread
        """:meth:`flush` without blocking the event loop."""
        from anyio.to_thread import run_sync

        return await run_sync(self._flush, timeout, ALL if final else last_attempt.get().serial)

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
        timeout = self.settings.drain_timeout if timeout is None else timeout
        with self._lock:
            first, self.closed = not self.closed, True
        if not first:
            self.sink.join(timeout)
        elif self.enabled and (self._started or len(self.handover) or any(hasattr(one, "aclose") for one in self.exporters)):
            self.sink.stop(timeout)
        self.handover.closed = True
        ending.closed()
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
        lost = {**handover.dropped, **self.sink.lost, **self.outlet.lost}
        upstream = {reason: count for reason, count in lost.items() if count}
        gone = assembler.folded + assembler.ignored + self.outlet.filtered
        captured = handover.accepted + sum(handover.dropped.values()) - gone
        exporters = {
            name: channel.stats(captured=captured, upstream_dropped=upstream, upstream_waiting=waiting + assembler.pending)
            for name, channel in self.channels.items()
        }
        return Stats(
            accepted=handover.accepted,
            waiting=waiting,
            waiting_bytes=handover.bytes,
            calls_in_flight=handover.in_flight,
            bytes_in_flight=max(0, handover.lent),
            pending=assembler.pending,
            folded=assembler.folded,
            ignored=assembler.ignored,
            unpriced=self.pricing.unpriced,
            redacted=self.redaction.redacted,
            withheld=self.redaction.withheld,
            filtered=self.outlet.filtered,
            shed=handover.shed + self.outlet.shed,
            saved_bytes=self.outlet.once.saved,
            errors=self.guard.errors,
            restarts=self.sink.restarts,
            running=self.sink.running,
            exporters={name: settled(one) for name, one in exporters.items()} if self.sink.abandoned else exporters,
        )

    def _forked(self) -> None:
        """In a forked child: start empty, with a new sink. What the parent had queued is the parent's."""
        inherited = self.handover.accepted - self.handover.taken + self.assembler.pending
        for channel in self.channels.values():
            channel.forked()
        self._make()
        self.handover.dropped["forked_child"] = inherited
