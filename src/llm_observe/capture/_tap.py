"""Watches one exchange. Knows bytes and instants; knows nothing of sync or async, nor of any client library.

Everything here runs on the application's thread: stamp, keep the reference, go on. Nothing is parsed, copied or waited for.
"""

from collections import deque
from collections.abc import Iterable

from llm_observe._runtime.default import existing
from llm_observe._runtime.items import Captured, last_attempt, next_serial
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.scope import SUPPRESSED, frame
from llm_observe.records import End, Exchange


class AllowedHeaders(dict[bytes, str]):
    """Raw header names to the names we keep them under, "" for what is not kept; each spelling is looked at once.

    An allow-list: what is not on it is never queued, let alone recorded (wire.md, 7 and 9). A walk over twenty headers costs 1 us this
    way, 2 us with `name.lower()`.
    """

    MOST = 4096  # spellings remembered; names a peer makes up must not fill the memory

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._allowed = frozenset(names)

    def __missing__(self, raw: bytes) -> str:
        name = raw.decode("latin-1").lower()
        kept = name if name in self._allowed else ""
        if len(self) < self.MOST:
            self[raw] = kept
        return kept

    def pick(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
        """The allowed ones of *headers*."""
        return {name: value.decode("latin-1") for raw, value in headers if (name := self[raw])}


REQUEST_HEADERS = AllowedHeaders("content-type", "content-encoding", "x-stainless-retry-count", "anthropic-version")
RESPONSE_HEADERS = AllowedHeaders(
    "content-type",
    "content-encoding",
    "date",
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-ds-trace-id",
    "mistral-correlation-id",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "openai-processing-ms",
)
TAIL = 256 * 1024  # bytes kept from the end of a response that is too long to keep whole: the usage is there
FOREVER = 1 << 62  # bytes that nobody will read


def _nowhere(_: object) -> None:
    """Where what comes after the end is kept."""


class Tap(Captured):
    """One exchange being watched. ``end`` may come from anywhere, the garbage collector too; the first one counts."""

    __slots__ = ("_keep", "_now", "_over", "_room", "_stamp", "_tail_size", "observer")

    def __init__(self, observer: Observer, exchange: Exchange, *, room: int) -> None:
        here = frame.get()
        self.serial = serial = next_serial()
        self.previous = last_attempt.get()
        last_attempt.set(serial)
        self.exchange, self.observer = exchange, observer
        self._now, self._room, self._over = observer.clock.now, room, False
        exchange.started_ns, exchange.began = observer.clock.wall(), self._now()
        if here is None:
            self.scope = self.parent_id = None
        else:
            self.scope, self.parent_id = here.scope, here.span_id
            if here.scope is not None:
                here.scope.open[serial] = exchange.began

    def headers(self, status_code: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """The answer has begun."""
        exchange = self.exchange
        exchange.status_code = status_code
        exchange.response_headers = RESPONSE_HEADERS.pick(headers)

    def stream(self) -> None:
        """The answer comes piece by piece, and the application takes it so."""
        exchange = self.exchange
        exchange.streamed = True
        self._keep, self._stamp = exchange.chunks.append, exchange.chunk_times.append

    def chunk(self, data: bytes) -> None:
        """A piece of the answer has been read."""
        self._stamp(self._now())
        self._keep(data)
        self._room -= len(data)
        if self._room < 0:
            self._overflow(len(data))

    def whole(self, data: bytes) -> None:
        """The answer is there in one piece, free of its content-encoding."""
        exchange = self.exchange
        exchange.content_decoded = True
        exchange.response_size = len(data)
        if len(data) <= self._room:
            exchange.chunks.append(data)
        else:
            exchange.shed = (*exchange.shed, "response")

    def fail(self, error: BaseException) -> None:
        """The exchange ended with *error*, which goes on to the application."""
        exchange = self.exchange
        exchange.error_type = type(error).__name__
        if isinstance(error, Exception):
            try:
                exchange.error_message = str(error)[:4096]
            except Exception:  # somebody else's __str__
                exchange.error_message = None
            self.end("error")
        else:  # a cancellation, Ctrl-C: nobody's fault
            self.end("cancelled")

    def end(self, how: End) -> None:
        """Nothing more will come: hand over. Only the first end counts."""
        exchange = self.exchange
        if exchange.end != "open":
            return
        exchange.end = how
        try:
            exchange.ended = self._now()
            if exchange.streamed:  # who reads on after closing, from another thread as a rule, must not change what the sink reads
                self._keep = self._stamp = _nowhere
                self._room = FOREVER
            if not exchange.response_size:
                exchange.response_size = sum(map(len, exchange.chunks))
            if self._over:
                exchange.tail, exchange.tail_times = list(exchange.tail), list(exchange.tail_times)
            if self.scope is not None:
                self.scope.open.pop(self.serial, None)
        except Exception as error:
            self.failed(error)
        self.observer.hand_over(self)

    def failed(self, error: Exception) -> None:
        """It is us who failed: the application is not to know."""
        self.observer.guard.caught(error, f"the {self.exchange.client} hook")

    def _overflow(self, size: int) -> None:
        """Keep the end of what is too long, and let go of its middle."""
        exchange = self.exchange
        if not self._over:
            self._over = True
            exchange.response_size = sum(map(len, exchange.chunks))
            tail: deque[bytes] = deque()
            times: deque[int] = deque()
            self._keep, self._stamp, self._tail_size = tail.append, times.append, 0
            exchange.tail, exchange.tail_times = tail, times  # type: ignore[assignment]
            return
        exchange.response_size += size
        self._tail_size += size
        while self._tail_size > TAIL and len(exchange.tail) > 1:
            self._tail_size -= len(exchange.tail.popleft())  # type: ignore[attr-defined]
            exchange.tail_times.popleft()  # type: ignore[attr-defined]


def observer_here() -> Observer | None:
    """Who is to be told of a call made now: nobody, when it is our own exporters', or nobody observes."""
    here = frame.get()
    if here is SUPPRESSED:
        return None
    scope = here.scope if here is not None else None
    observer = scope.observer if scope is not None else existing()
    return None if observer is None or observer.closed or not observer.enabled else observer
