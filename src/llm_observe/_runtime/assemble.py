"""Attempts to calls, ended scopes to request records. Runs in the sink; time comes in with the exchanges.

A call is emitted when it is settled: at once, unless it failed in a way that clients retry. Such an attempt waits until the retry
supersedes it, its context moves on to something else, its scope ends, or the retry window passes.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator

import msgspec

from llm_observe._runtime.around import whereabouts
from llm_observe._runtime.clock import Clock, Ids, call_id, instant
from llm_observe._runtime.ended import request_of, scope_info, step_of
from llm_observe._runtime.items import ALL, Captured, Settle, StepEnded, Told
from llm_observe._runtime.levels import narrowed
from llm_observe._runtime.retries import repeats, retryable
from llm_observe._runtime.sampling import Keeps, everything
from llm_observe._runtime.scope import Scope
from llm_observe._runtime.tally import Tally
from llm_observe._runtime.told import told_call
from llm_observe.records import AnyRecord, Attempt, Call, Decoded, Exchange, call_of
from llm_observe.wire import NO_ENDPOINTS, Endpoints, Unknown, decode

MOST_PENDING, MOST_PENDING_BYTES = 10_000, 16 * 2**20


class Pending(msgspec.Struct):
    """A failed attempt whose client may still retry, with the attempts before it."""

    first: Captured
    last: Captured
    decoded: Decoded
    attempts: tuple[Attempt, ...]
    size: int = 0  # bytes it keeps alive while it waits


class Assembler:
    """Turns what was handed over into records. ``ignored`` counts traffic that was no model call, ``folded`` retries that joined a call."""

    def __init__(
        self,
        ids: Ids,
        clock: Clock,
        *,
        service: str | None = None,
        window: float = 60.0,
        endpoints: Endpoints = NO_ENDPOINTS,
        price: Callable[[Call], Call] = lambda call: call,
        keeps: Keeps = everything,
    ) -> None:
        self.ids, self.clock, self.service = ids, clock, service
        self.ignored = self.folded = 0
        self._endpoints, self._price, self._keeps = endpoints, price, keeps
        self._window = int(window * 1e9)
        self._pending: dict[int, Pending] = {}  # by serial of the last attempt, oldest first
        self._serials: dict[Scope, dict[int, None]] = {}  # of those attempts, by the scope that they are in, oldest first
        self._pending_bytes = 0
        self._read: dict[int, Decoded | Unknown] = {}  # what was read ahead, by serial
        self._handlers: dict[type, Callable[..., Iterable[AnyRecord]]] = {
            Scope: self._request,
            StepEnded: self._step,
            Told: self._told,
            Settle: self._settle,
        }

    @property
    def kept(self) -> int:
        """Items that gave no record, or none yet. An item gives one record or adds one here, else something is lost."""
        return self.pending + self.folded + self.ignored

    @property
    def pending(self) -> int:
        """Attempts that wait for their retry."""
        return len(self._pending)

    def read(self, items: Iterable[object]) -> None:
        """Read the bytes of *items*, ahead of :meth:`records`: up to one that fails, which fails there again and is told there."""
        self._read.clear()
        with contextlib.suppress(Exception):
            for item in items:
                if isinstance(item, Captured):
                    self._read[item.serial] = decode(item.exchange, self._endpoints)

    def records(self, item: object) -> Iterable[AnyRecord]:
        """What *item* settles."""
        return self._handlers.get(type(item), self._exchange)(item)

    def overdue(self) -> Iterator[AnyRecord]:
        """Calls whose retry window has passed, and the oldest of more than may wait."""
        limit = self.clock.now() - self._window
        while self._pending:
            serial, oldest = next(iter(self._pending.items()))
            few = len(self._pending) <= MOST_PENDING and self._pending_bytes <= MOST_PENDING_BYTES
            if few and oldest.last.exchange.ended > limit:
                return
            yield self._call(self._take(serial))

    def rest(self) -> Iterator[AnyRecord]:
        """Everything that still waits, settled as it is: for the end."""
        while self._pending:
            yield self._call(self._take(next(iter(self._pending))))

    def _take(self, serial: int) -> Pending:
        taken = self._pending.pop(serial)
        if (scope := taken.last.scope) is not None:
            here = self._serials[scope]
            del here[serial]
            if not here:
                del self._serials[scope]
        self._pending_bytes -= taken.size
        return taken

    # --- one kind of item each -----------------------------------------------------------------------------------

    def _exchange(self, captured: Captured) -> Iterable[AnyRecord]:
        try:
            exchange = captured.exchange
            decoded = self._read.pop(captured.serial, None) or decode(exchange, self._endpoints)
        except BaseException:
            captured.settled("")
            raise
        if isinstance(decoded, Unknown):
            self.ignored += 1
            captured.settled("")
            return ()
        found = Pending(captured, captured, decoded, (attempt(exchange, decoded),))
        return self._folded(found) if captured.previous in self._pending else self._settled(found)

    def _folded(self, found: Pending) -> Iterator[AnyRecord]:
        """An attempt that another waits for: one call with it, or the end of its waiting."""
        captured = found.last
        before = self._take(captured.previous)
        if repeats(before.last.exchange, captured.exchange):
            self.folded += 1
            found.first, found.attempts = before.first, before.attempts + found.attempts
            captured.call_id = call_id(found.first.exchange.started_ns, found.first.serial)
            if before.last is not before.first:
                before.last.settled(captured.call_id)
        else:
            yield self._call(before)
        yield from self._settled(found)

    def _settled(self, found: Pending) -> tuple[AnyRecord, ...]:
        """The call that *found* ends; nothing where its client may still retry."""
        captured, decoded = found.last, found.decoded
        if decoded.status != "error" or not retryable(captured.exchange, decoded.error.type if decoded.error else None):
            return (self._call(found),)
        found.size = captured.size
        self._pending[captured.serial] = found
        if captured.scope is not None:
            self._serials.setdefault(captured.scope, {})[captured.serial] = None
        self._pending_bytes += found.size
        return ()

    def _settle(self, item: Settle) -> Iterator[AnyRecord]:
        if item.serial == ALL:
            yield from self.rest()
        yield from self._moved_on(item.serial)

    def _moved_on(self, serial: int) -> Iterator[AnyRecord]:
        """The context in which attempt *serial* was made does something else now: if it waits for a retry, none will come."""
        if serial in self._pending:
            yield self._call(self._take(serial))

    def _request(self, scope: Scope) -> Iterator[AnyRecord]:
        for serial in list(self._serials.get(scope, ())):
            yield self._call(self._take(serial))
        yield request_of(scope, service=self.service, keeps=self._keeps)

    def _step(self, step: StepEnded) -> Iterator[AnyRecord]:
        yield step_of(step, self.ids, service=self.service, keeps=self._keeps)

    def _told(self, told: Told) -> Iterator[AnyRecord]:
        yield from self._moved_on(told.previous)
        scope = told.scope
        call = self._price(
            told_call(told, self.ids, instant(told.started_ns), service=self.service, scope=scope_info(scope), keeps=self._keeps)
        )
        if scope is not None:
            self._add(scope, call, told.began, told.ended)
        yield call

    # --- putting a call together ---------------------------------------------------------------------------------

    def _call(self, settled: Pending) -> Call:
        first, last, decoded = settled.first.exchange, settled.last.exchange, settled.decoded
        captured, scope, response = settled.first, settled.first.scope, decoded.response
        if decoded.first_chunk_at is not None:
            response = msgspec.structs.replace(
                response,
                time_to_first_chunk=(decoded.first_chunk_at - first.began) / 1e9,
                time_to_first_content=None if decoded.first_content_at is None else (decoded.first_content_at - first.began) / 1e9,
            )
        where = whereabouts(
            self.ids,
            scope,
            around=captured.around,
            parent_id=captured.parent_id,
            span_id=settled.last.span_id,
            name=decoded.operation.name,
            keeps=self._keeps,
            content=narrowed(captured.content, settled.last.content),
        )
        call = call_of(
            decoded,
            response,
            id=call_id(first.started_ns, captured.serial),
            trace_id=where.trace_id,
            span_id=where.span_id,
            parent_id=where.parent_id,
            sampled=where.sampled,
            trace_state=where.trace_state,
            instrumentation=where.instrumentation,
            content=where.content,
            request_id=scope.request_id if scope else None,
            service=self.service,
            started_at=settled.attempts[0].started_at,
            duration=(last.ended - first.began) / 1e9,
            scope=scope_info(scope),
            attempts=settled.attempts,
        )
        settled.last.settled(call.id)
        if captured is not settled.last:
            captured.settled(call.id)
        call = self._price(call)
        if scope is not None:
            self._add(scope, call, first.began, last.ended)
        return call

    @staticmethod
    def _add(scope: Scope, call: Call, began: int, ended: int) -> None:
        if scope.tally is None:
            scope.tally = Tally()
        scope.tally.add(call, began, ended)


def attempt(exchange: Exchange, decoded: Decoded) -> Attempt:
    """One attempt's facts, as they go on the call's record."""
    return Attempt(
        started_at=instant(exchange.started_ns),
        duration=(exchange.ended - exchange.began) / 1e9,
        status_code=exchange.status_code,
        error_type=decoded.error.type if decoded.error else None,
        provider_request_id=decoded.provider_request_id,
        retry_after=decoded.retry_after,
        processing_time=decoded.processing_time,
        rate_limits=decoded.rate_limits,
    )
