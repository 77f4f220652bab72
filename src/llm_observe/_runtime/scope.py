"""The request we are in.

The context variable holds a :class:`Frame`: the scope of the current request and the span under which things happen now. It is
set and put back by value, never by token: a token must be used in the context that made it, and streamed bodies, generators and
WSGI servers that close from elsewhere do not promise that.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec

from llm_observe._runtime.around import Place, decided, label, place
from llm_observe._runtime.guard import words

if TYPE_CHECKING:
    from llm_observe._runtime.observer import Observer
    from llm_observe._runtime.tally import Tally


class Scope:
    """One web request or job. Filled by its adapter on the request side, read by the sink; ``tally`` is the sink's own."""

    __slots__ = (
        "_resolve",
        "around",
        "began",
        "content",
        "disconnected",
        "ended",
        "error_message",
        "error_type",
        "id",
        "instrumentation",
        "labelled",
        "method",
        "name",
        "observer",
        "open",
        "parent_id",
        "path",
        "request_id",
        "request_size",
        "response_size",
        "running",
        "sampled",
        "session_id",
        "span_id",
        "started_ns",
        "status_code",
        "tags",
        "tally",
        "trace_id",
        "trace_state",
        "user_id",
    )

    def __init__(
        self,
        observer: "Observer",
        *,
        name: str | None = None,
        method: str | None = None,
        path: str | None = None,
        request_id: str | None = None,
        trace_id: str | None = None,
        parent_id: str | None = None,
    ) -> None:
        ids = observer.ids
        self.observer = observer
        self.name, self.method, self.path = name, method, path
        self.started_ns, self.began = observer.clock.wall(), observer.clock.now()
        self.id = ids.record(self.started_ns)
        self.request_id = request_id or self.id
        self.trace_id = trace_id or ids.trace()
        self.span_id = ids.span()
        self.parent_id = parent_id
        self.trace_state: str | None = None
        self.sampled: bool | None = None  # whoever began the trace has decided; None where that was us
        self.around: Any = None  # the OpenTelemetry span that this scope is, or began in
        self.instrumentation: str | None = None  # who made it, where this scope has its id
        self.labelled = False  # whether it is on us to name that span
        self.open: dict[int, int] = {}  # the calls under way: serial to perf_counter_ns of their begin
        self.running = 0  # how many of them there were when the response ended
        self.ended: int | None = None
        self.status_code: int | None = None
        self.request_size: int | None = None
        self.response_size = 0
        self.disconnected = False
        self.error_type: str | None = None
        self.error_message: str | None = None
        self.user_id: str | None = None
        self.session_id: str | None = None
        self.tags: dict[str, object] = {}
        self.content: str | None = None  # full, metadata or none: the application's word on what is said in here
        self.tally: Tally | None = None
        self._resolve: str | Callable[[], str | None] | None = None

    @property
    def size(self) -> int:
        """Bytes it holds while it waits; a scope's own facts are small."""
        return 1024

    @property
    def matters(self) -> bool:
        """Whether it is kept when others have to go: a request that failed."""
        return self.error_type is not None or (self.status_code or 0) >= 500

    @property
    def route(self) -> str | None:
        """The route template, once the framework has found it."""
        found = self._resolve
        if found is None or isinstance(found, str):
            return found
        try:
            return found()
        except Exception:  # how a framework finds it is not ours to answer for: the path stands in
            return None

    @route.setter
    def route(self, value: "str | Callable[[], str | None] | None") -> None:
        self._resolve = value

    def routed(self) -> None:
        """Find the route now: it is known if it ever will be, and a framework may soon forget its request."""
        self._resolve = self.route

    def look(self) -> None:
        """Take the OpenTelemetry span that is current for what it is to this scope, if we have been told to look."""
        look = self.observer.around
        span = look.span() if look is not None and self.instrumentation is None else None
        if span is None:
            return
        where, sending = place(span), getattr(span, "attributes", None) or {}
        if where.kind == "SERVER":
            self.adopt(span)
        elif "asgi.event.type" in sending:  # around each message that is sent: the server's is its parent
            self.adopt(span, msgspec.structs.replace(where, span_id=where.parent_id, parent_id=self.parent_id))

    def answering(self) -> None:
        """The answer begins: by now there is a server span if there will ever be one, and the route is known."""
        if self.observer.around is not None:
            self.look()
            if self.labelled:
                label(self.around, self.method, self.route)

    def adopt(self, span: Any, where: Place | None = None) -> None:
        """Have the ids of *span*, which is the server's for this request: what is in it becomes the span's own children."""
        where = place(span) if where is None else where
        before = self.span_id
        self.trace_id, self.span_id, self.sampled = where.trace_id, where.span_id or before, where.sampled
        self.trace_state, self.parent_id, self.around, self.instrumentation = (
            where.trace_state,
            where.parent_id,
            span,
            where.instrumentation or "unknown",
        )
        here = frame.get()
        if here is not None and here.scope is self and here.span_id == before:
            here.span_id, here.around = self.span_id, span

    def respond(self) -> None:
        """The last body byte has left, or the client has: what runs on from here is background. The first time counts."""
        if self.ended is None:
            self.ended = self.observer.clock.now()
            self.running = len(self.open)

    def fail(self, error: BaseException) -> None:
        """The application raised *error*; where no answer had begun, the server will make it a 500."""
        if self.method is not None and self.status_code is None:
            self.status_code = 500
        self.error_type = type(error).__qualname__
        self.error_message = words(error)

    def finish(self) -> None:
        """Nothing more will happen in this scope that it waits for: hand it over."""
        self.respond()
        self._resolve = self.route  # the framework's request is not kept alive by the queue
        self.around = None
        self.observer.hand_over(self)

    def __repr__(self) -> str:
        return f"<Scope {self.name or self.method} {self.path or ''} request_id={self.request_id}>"


class Frame:
    """Where we are: in which scope, and under which span.

    ``around`` is the OpenTelemetry span that was current when we came here, or stands for ours; outside of scopes it knows the trace.
    ``content`` is how much stays of what is said here, where that is less than all. ``enters`` has it be OpenTelemetry's current one and returns the way out.
    """

    __slots__ = ("around", "content", "enters", "scope", "span_id")

    def __init__(
        self,
        scope: Scope | None,
        span_id: str | None,
        around: Any = None,
        enters: Callable[[], Callable[[], None]] | None = None,
        content: str | None = None,
    ) -> None:
        self.scope, self.span_id, self.around, self.enters, self.content = scope, span_id, around, enters, content


SUPPRESSED = Frame(None, None)
"""What is done under this frame is not observed: our own exporters' traffic."""

frame: ContextVar[Frame | None] = ContextVar("llm_observe.frame", default=None)


def current() -> Scope | None:
    """The scope of the request or job we are in; None outside of any."""
    here = frame.get()
    return here.scope if here is not None else None


def under(observer: "Observer", here: Frame | None) -> tuple[str | None, Any]:
    """The parent of what begins *here*, and the span to find its trace by where that is not the scope's.

    The nearest counts: a step of ours, or an OpenTelemetry span that began since.
    """
    look = observer.around
    span = look.span() if look is not None else None
    if here is None:
        return None, span
    scope = here.scope
    if span is not None and span is not here.around:
        if scope is None or scope.instrumentation is not None:
            return None, span
        scope.look()
        if scope.around is not span:
            return None, span
    return here.span_id, here.around if scope is None else None


def inside(observer: "Observer", scope: Scope | None, span_id: str, *, around: Any, name: str) -> Frame:
    """The frame for what has the span *span_id* and the *name*, in *scope* or below *around*. OpenTelemetry's spans find it as their parent."""
    look, before = observer.around, frame.get()
    content = None if before is None else before.content
    if look is None and scope is not None:
        return Frame(scope, span_id, content=content)
    if around is not None:
        found = place(around)
        where = Place(found.trace_id, span_id, sampled=found.sampled, trace_state=found.trace_state)
    else:
        assert scope is not None  # who is in none has something around it
        where = Place(scope.trace_id, span_id, sampled=scope.sampled, trace_state=scope.trace_state)
    if look is None:
        return Frame(scope, span_id, where, content=content)
    span = look.standing_for(msgspec.structs.replace(where, sampled=decided(where, observer.sampling, scope, name)))
    return Frame(scope, span_id, span, lambda: look.enter(span), content)


@contextmanager
def entered(here: Frame) -> Iterator[Frame]:
    """Be in *here* for a while. Put back by value, see above."""
    before = frame.get()
    frame.set(here)
    try:
        yield here
    finally:
        if frame.get() is here:
            frame.set(before)
