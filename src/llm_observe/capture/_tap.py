"""Watches one exchange. Knows bytes and instants; knows nothing of sync or async, nor of any client library.

Everything here runs on the application's thread: stamp, keep the reference, go on. Nothing is parsed, copied or waited for.
"""

import os
from collections import deque
from collections.abc import Callable, Mapping

from llm_observe._runtime.around import enrich
from llm_observe._runtime.clock import serials
from llm_observe._runtime.default import existing
from llm_observe._runtime.items import Captured, last_attempt
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.scope import SUPPRESSED, Frame, frame, under
from llm_observe.capture._words import harmless
from llm_observe.records import End, Exchange

TAIL = 256 * 1024  # bytes kept from the end of a response that is too long to keep whole: the usage is there
FIRST = 2048  # bytes of an answer that are kept without asking, and of its end where no more may be kept
END = 32 * 1024  # bytes kept from either end of a request or answer that is too long to keep: the model is there, the parameters, the usage
FOREVER = 1 << 62  # bytes that nobody will read


Ways = tuple[Callable[[], int], Callable[[int], object], Callable[[bytes], object], int]
"""What tells the time, what keeps it and what keeps a piece, and how many bytes there is room for."""


def keep(exchange: Exchange, body: bytes, room: int) -> None:
    """Keep the request's *body*; its ends, which are copied, where it is longer than *room*."""
    if len(body) <= room:
        exchange.request_body = body
    else:
        end = min(END, room // 2)
        exchange.request_ends = body[:end], body[-end:]
        exchange.shed = (*exchange.shed, "request")


def _nowhere(_: object) -> None:
    """Where what comes after the end is kept."""


class Tap(Captured):
    """One exchange being watched. ``end`` may come from anywhere, the garbage collector too; the first one counts."""

    __slots__ = ("_handover", "_keep", "_lent", "_most", "_now", "_over", "_room", "_stamp", "_tail_room", "_tail_size", "observer")

    def __init__(self, observer: Observer, exchange: Exchange, *, room: int) -> None:
        here = frame.get()
        self.serial = serial = serials.next()
        self.exchange, self.observer, self.span_id, self.call_id = exchange, observer, None, None
        before = last_attempt.get()
        self.previous = before.serial
        self.before = None if before.exchange.status_code == 200 else before.anchored()
        last_attempt.set(self)
        self._now, self._most, self._lent, self._over = observer.clock.now, room, 0, False
        self._room = room if room < FIRST else FIRST  # noqa: FURB136 - a call would cost the path 50 ns
        exchange.started_ns, exchange.began = observer.clock.wall(), self._now()
        if here is None:
            self.scope = self.parent_id = self.around = self.content = None
        else:
            self.scope, self.parent_id, self.content = here.scope, here.span_id, here.content
            self.around = None if here.scope is not None else here.around
            if here.scope is not None:
                here.scope.open[serial] = exchange.began
        if observer.around is not None:
            self._look(here)
        self._handover = handover = observer.handover  # a fork has another: what began here ends here
        handover.begun += 1
        if handover.asleep:
            handover.look()

    def _look(self, here: Frame | None) -> None:
        """Find the OpenTelemetry span that this is in, and put on it what we know if it is this very call's."""
        self.parent_id, self.around = under(self.observer, here)
        if self.around is not None and self.scope is not None:
            enrich(self.around, self.scope)

    def headers(self, status_code: int, headers: Mapping[str, str]) -> None:
        """The answer has begun, with these *headers* among others."""
        exchange = self.exchange
        exchange.status_code = status_code
        exchange.response_headers = headers

    def stream(self) -> None:
        """The answer comes piece by piece, and the application takes it so."""
        exchange = self.exchange
        exchange.streamed = True
        self._keep, self._stamp = exchange.chunks.append, exchange.chunk_times.append

    def chunk(self, data: bytes) -> None:
        """A piece of the answer has been read."""
        stamp, now, keep = self._stamp, self._now, self._keep  # called off the object, each would be looked for among its methods first
        stamp(now())
        keep(data)
        self._room -= len(data)
        if self._room < 0:
            self._more(len(data))

    def ways(self) -> Ways:
        """What :meth:`chunk` does, for a loop that does it by itself and saves the call: as long as the room lasts, then :meth:`wider`."""
        return self._now, self._stamp, self._keep, self._room

    def wider(self, left: int, size: int) -> Ways:
        """The *ways* from here on: a piece of *size* bytes has left less room than none."""
        if self.exchange.end == "open":
            self._room = left
            self._more(size)
        return self.ways()

    def whole(self, data: bytes, *, decoded: bool = True) -> None:
        """The answer is there in one piece, free of its content-encoding as a rule."""
        exchange = self.exchange
        exchange.content_decoded = decoded
        exchange.response_size = len(data)
        if len(data) <= self._most:
            exchange.chunks.append(data)
        else:
            end = min(END, self._most // 2)
            exchange.chunks, exchange.tail = [data[:end]], [data[-end:]]
            exchange.shed = (*exchange.shed, "middle")

    def asked(self, body: bytes | None, headers: Mapping[str, str]) -> None:
        """What the request says, where that is known later than its address."""
        exchange = self.exchange
        exchange.request_headers = headers
        if body is not None:
            exchange.request_size = len(body)
            keep(exchange, body, self._most)

    def fail(self, error: BaseException) -> None:
        """The exchange ended with *error*, which goes on to the application."""
        self.end(self.note(error))

    def note(self, error: BaseException) -> End:
        """Keep what *error* says. How the exchange ends, if it ends with that."""
        exchange = self.exchange
        if exchange.end == "open":
            exchange.error_type = type(error).__name__
            exchange.error_message = None
        if not isinstance(error, Exception):  # a cancellation, Ctrl-C: nobody's fault
            return "cancelled"
        if exchange.end == "open":
            exchange.error_message = harmless(error)
        return "error"

    def forget(self) -> None:
        """It went on after the error that was noted."""
        if self.exchange.end == "open":
            self.exchange.error_type = self.exchange.error_message = None

    def end(self, how: End) -> None:
        """Nothing more will come: hand over. Only the first end counts."""
        exchange = self.exchange
        if exchange.end != "open":
            return
        exchange.end = how
        handover = self._handover
        handover.ended += 1
        if self._lent:
            handover.lent -= self._lent
        try:
            if handover is not self.observer.handover:  # a fork has been: the parent's record has the serial's id
                self.serial, self.call_id = serials.next(), None
            exchange.ended = self._now()
            if exchange.streamed:  # who reads on after closing, from another thread as a rule, must not change what the sink reads
                self._keep = self._stamp = _nowhere
                self._room = FOREVER
                exchange.chunks, exchange.chunk_times = exchange.chunks[:], exchange.chunk_times[:]
            if not exchange.response_size:
                exchange.response_size = sum(map(len, exchange.chunks))
            if self._over:
                exchange.tail, exchange.tail_times = list(exchange.tail), list(exchange.tail_times)
                exchange.shed = (*exchange.shed, "middle")
            if self.scope is not None:
                self.scope.open.pop(self.serial, None)
        except Exception as error:
            self.failed(error)
        self.observer.hand_over(self)

    def failed(self, error: Exception) -> None:
        """It is us who failed: the application is not to know."""
        self.observer.guard.caught(error, f"the {self.exchange.client} hook")

    def _more(self, size: int) -> None:
        """The room is used up: borrow three times as much again, or keep the end alone from here on."""
        if not self._over:
            lack, lend = -self._room, self._handover.lend
            more = min(max(3 * (FIRST + self._lent), lack), self._most - FIRST - self._lent)
            if more >= lack and lend(more):
                self._room += more
                self._lent += more
                return
            self._tail_room = FIRST
            if lend(TAIL):
                self._tail_room = TAIL
                self._lent += TAIL
        self._overflow(size)

    def _overflow(self, size: int) -> None:
        """Keep the end of what is too long, and let go of its middle."""
        exchange = self.exchange
        if not self._over:
            self._over = True
            exchange.response_size = sum(map(len, exchange.chunks))
            tail: deque[bytes] = deque()
            times: deque[int] = deque()
            self._keep, self._stamp, self._tail_size = tail.append, times.append, 0
            exchange.tail, exchange.tail_times = tail, times
            return
        exchange.response_size += size
        self._tail_size += size
        while self._tail_size > self._tail_room and len(exchange.tail) > 1:
            self._tail_size -= len(exchange.tail.popleft())  # type: ignore[attr-defined]
            exchange.tail_times.popleft()  # type: ignore[attr-defined]


sending: dict[int, Tap] = {}
"""The exchanges whose answer has not begun, by serial, of those clients that another client of ours may carry or that look here."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=sending.clear)  # nobody there waits for what other threads were sending

carriers: list[str] = []
"""The hooked libraries that other clients are built on. Where there is none, nobody need be in :data:`sending`."""


def carried(host: str | None, port: int | None) -> bool:
    """Whether a request to *host* is one that another client's hook has seen on its way down: httpx over aiohttp."""
    above = sending.get(last_attempt.get().serial) if sending else None
    return above is not None and above.exchange.host == host and above.exchange.port == port


def observer_here() -> Observer | None:
    """Who is to be told of a call made now: nobody, when it is our own exporters', or nobody observes."""
    here = frame.get()
    if here is SUPPRESSED:
        return None
    scope = here.scope if here is not None else None
    observer = scope.observer if scope is not None else existing()
    return None if observer is None or observer.closed or not observer.settings.enabled else observer
