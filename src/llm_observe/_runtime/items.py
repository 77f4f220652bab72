"""What the request side leaves for the sink, besides a finished :class:`~llm_observe._runtime.scope.Scope`."""

import itertools
import threading
from contextvars import ContextVar
from typing import Any

import msgspec

from llm_observe._runtime.clock import call_id
from llm_observe._runtime.retries import probably_repeats
from llm_observe._runtime.scope import Scope
from llm_observe.records import Exchange

SETTLED = Exchange(client="", method="", host="", path="", status_code=200, end="eof")
"""In place of what was seen of an attempt, once it is on record: contexts that live on keep no prompts alive."""


class Mark:
    """An attempt as its context remembers it. ``before`` is the failed one that it may repeat, ``call_id`` its record's id once it is known."""

    __slots__ = ("before", "call_id", "exchange", "scope", "serial")

    def __init__(self, serial: int, scope: Scope | None, call_id: str | None, exchange: Exchange = SETTLED) -> None:
        self.serial, self.scope, self.call_id, self.exchange = serial, scope, call_id, exchange
        self.before: Mark | None = None

    def record_id(self) -> str:
        """The id of the record that this is or will be on: by what the sink said, or what it will say of a retry. Empty for none."""
        guess = self._guess() if self.call_id is None else ""
        return guess if self.call_id is None else self.call_id  # the sink may have been here meanwhile

    def _guess(self) -> str:
        own, before = call_id(self.exchange.started_ns, self.serial), self.before
        if before is None or before.call_id is None:
            return own
        try:
            return before.call_id if probably_repeats(before.exchange, self.exchange) else own
        except Exception:  # what is held is the client's own, and the application's log lines are not to suffer from it
            return own

    def anchored(self) -> "Mark":
        """It has failed, and may be repeated now: decide whether it is one call with those before it, and let go of them."""
        self.call_id, self.before = self.record_id(), None
        return self

    def settled(self, call_id: str) -> None:
        """It is on the record *call_id*, and nobody will look into it again. The sink's word, said in this order."""
        self.call_id = call_id
        self.exchange, self.before = SETTLED, None


NONE = Mark(0, None, "")

last_attempt: ContextVar[Mark] = ContextVar("llm_observe.last_attempt", default=NONE)
"""The last attempt made in this context. A client's retry runs in the context of the attempt it repeats, so this links the two
without looking at either; and an attempt that is followed by something else in its context will not be retried."""

END = 4096  # bytes kept of either end of a prompt that had to go
OVERHEAD = 1024  # bytes an item keeps alive beside its bodies, near enough


class Captured(Mark):
    """An exchange with where it happened. ``previous`` is the serial of the attempt before it in the same context.

    ``around`` is the span that knows the trace, where that is not the scope's.
    """

    __slots__ = ("around", "content", "parent_id", "previous", "span_id")

    def __init__(
        self, exchange: Exchange, scope: Scope | None, parent_id: str | None, serial: int, previous: int, around: Any = None
    ) -> None:
        super().__init__(serial, scope, None, exchange)
        self.parent_id, self.around, self.previous = parent_id, around, previous
        self.content: str | None = None  # how much stays of what was said, where the application has said so
        self.span_id: str | None = None  # as the provider was told it, if it was

    def settled(self, call_id: str) -> None:
        super().settled(call_id)
        self.around = None

    @property
    def size(self) -> int:
        """Bytes of both bodies, where they are kept."""
        exchange = self.exchange
        if not exchange.shed:
            return OVERHEAD + exchange.request_size + exchange.response_size
        request = exchange.request_size if exchange.request_body is not None else 0
        if exchange.request_ends is not None:
            request = sum(map(len, exchange.request_ends))
        if "middle" in exchange.shed:  # nor is all of the answer
            return OVERHEAD + request + sum(map(len, exchange.chunks)) + sum(map(len, exchange.tail))
        return OVERHEAD + request + (0 if "response" in exchange.shed else exchange.response_size)

    @property
    def matters(self) -> bool:
        """Whether it is one of those that are kept when others have to go: a failure, or a retry after one."""
        exchange = self.exchange
        failed = exchange.status_code is None or exchange.status_code >= 400 or exchange.end == "error"
        return failed or exchange.request_headers.get("x-stainless-retry-count", "0") != "0"

    def shed(self, room: int, most: int) -> None:
        """Let go of content until it fits in *room* bytes: of the prompt but for its ends, and of the answer; of the ends for *most*."""
        exchange = self.exchange
        body = exchange.request_body
        if body is not None:
            exchange.request_ends, exchange.request_body = (body[:END], body[-END:]), None
            exchange.shed = (*exchange.shed, "request")
        elif exchange.request_ends is not None:
            exchange.request_ends = exchange.request_ends[0][:END], exchange.request_ends[1][-END:]
        if self.size > room and "response" not in exchange.shed:
            exchange.chunks, exchange.tail = [], []
            exchange.chunk_times, exchange.tail_times = [], []
            exchange.shed = (*exchange.shed, "response")
        if self.size > most:
            exchange.request_ends = None


class StepEnded(msgspec.Struct, kw_only=True):
    """A step of the user's, done. Instants as in :class:`~llm_observe.records.Exchange`."""

    name: str
    span_id: str
    parent_id: str | None
    scope: Scope | None
    started_ns: int
    began: int
    ended: int
    attributes: dict[str, object]
    around: Any = None
    content: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    cancelled: bool = False
    size: int = OVERHEAD

    @property
    def matters(self) -> bool:
        """Whether it is kept when others have to go."""
        return self.error_type is not None


class Told(msgspec.Struct, kw_only=True):
    """A call told by hand. The content is as the user gave it; the sink makes messages of it."""

    model: str
    provider: str
    operation: str
    span_id: str
    parent_id: str | None
    scope: Scope | None
    id: str
    previous: int
    started_ns: int
    began: int
    around: Any = None
    content: str | None = None
    ended: int = 0
    first_chunk_at: int | None = None
    input: Any = None
    system: str | None = None
    output: Any = None
    parameters: dict[str, Any] = {}
    response_id: str | None = None
    response_model: str | None = None
    finish_reasons: Any = ()
    usage: dict[str, Any] = {}
    error_type: str | None = None
    error_message: str | None = None
    cancelled: bool = False
    cut: dict[str, int] = {}  # content left out for want of room, and its size
    count: int = 0  # messages in an input that was left out

    @property
    def matters(self) -> bool:
        """Whether it is kept when others have to go."""
        return self.error_type is not None

    @property
    def size(self) -> int:
        """Bytes of the content, near enough: its texts."""
        return OVERHEAD + weight(self.input) + weight(self.output)

    def shed(self, room: int, most: int) -> None:
        """Let go of content until it fits in *room* bytes: the prompt first, then the answer."""
        self.count = len(self.input) if isinstance(self.input, list | tuple) else int(self.input is not None)
        self.cut, self.input = {"input.messages": weight(self.input)}, None
        if self.size > room and self.output is not None:
            self.cut["output.messages"], self.output = weight(self.output), None


def kept(content: Any) -> Any:
    """*content* as it is now: the application goes on with its list of messages while ours waits for the sink."""
    return tuple(content) if isinstance(content, list) else content


MOST = (4, 4, 8, 16, 64)  # of a list's items and a dict's values, how many are weighed: fewer the deeper they are


def weight(content: Any, depth: int = 5) -> int:
    """Bytes that *content* keeps alive, near enough: texts, messages, their parts, and lists of either. No deeper than *depth*.

    Without it, content told by hand would be outside of the bound. Of long lists some items are weighed, evenly spread, and stand for
    the others: it costs 1 to 2 us a message, and no more however many there are.
    """
    if content is None or depth == 0:
        return 0
    if isinstance(content, dict):
        return 256 + _weights(list(itertools.islice(content.values(), 64)), len(content), depth)
    if isinstance(content, list | tuple):
        return _weights(content, len(content), depth)
    return len(content) if isinstance(content, str | bytes) else 256


def _weights(several: list[Any] | tuple[Any, ...], count: int, depth: int) -> int:
    """What *several* weigh, which stand for *count*."""
    every = -(-len(several) // MOST[depth - 1]) or 1
    some = several[::every]
    weighed = sum(weight(one, depth - 1) for one in some)
    return weighed if len(some) == count else weighed * count // len(some)


ALL = -1


class Settle(msgspec.Struct):
    """No retry of this attempt will come any more; of none at all, where ``serial`` is ``ALL``."""

    serial: int
    size: int = 0


class Flush(msgspec.Struct):
    """Set ``done`` when all that was handed over before has been exported, or dropped and counted."""

    done: threading.Event
    size: int = 0
