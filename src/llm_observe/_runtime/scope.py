"""The request we are in.

The context variable holds a :class:`Frame`: the scope of the current request and the span under which things happen now. It is
set and put back by value, never by token: a token must be used in the context that made it, and streamed bodies, generators and
WSGI servers that close from elsewhere do not promise that.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from llm_observe._runtime.guard import words

if TYPE_CHECKING:
    from llm_observe._runtime.observer import Observer
    from llm_observe._runtime.tally import Tally


class Scope:
    """One web request or job. Filled by its adapter on the request side, read by the sink; ``tally`` is the sink's own."""

    __slots__ = (
        "_resolve",
        "began",
        "disconnected",
        "ended",
        "error_message",
        "error_type",
        "id",
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
        self.sampled = True
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
        self.tally: Tally | None = None
        self._resolve: str | Callable[[], str | None] | None = None

    @property
    def size(self) -> int:
        """Bytes it holds while it waits; a scope's own facts are small."""
        return 1024

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
        self.observer.hand_over(self)

    def __repr__(self) -> str:
        return f"<Scope {self.name or self.method} {self.path or ''} request_id={self.request_id}>"


class Frame:
    """Where we are: in which scope, and under which span."""

    __slots__ = ("scope", "span_id")

    def __init__(self, scope: Scope | None, span_id: str | None) -> None:
        self.scope, self.span_id = scope, span_id


SUPPRESSED = Frame(None, None)
"""What is done under this frame is not observed: our own exporters' traffic."""

frame: ContextVar[Frame | None] = ContextVar("llm_observe.frame", default=None)


def current() -> Scope | None:
    """The scope of the request or job we are in; None outside of any."""
    here = frame.get()
    return here.scope if here is not None else None


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
