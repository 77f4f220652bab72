"""The OpenTelemetry span around what happens, where the setting ``otel`` is on.

The request side keeps a reference to the span that is current, unless it is the one that our own frame stands for; the sink reads it.
Nothing is imported here before the setting asks for it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from llm_observe._runtime.levels import narrowed
from llm_observe._runtime.sampling import Keeps
from llm_observe.errors import missing

if TYPE_CHECKING:
    from llm_observe._runtime.clock import Ids
    from llm_observe._runtime.scope import Scope

# Spans of this kind are calls to models, whoever makes them: theirs and ours are one.
CALLS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
_SDKS = ("com.anthropic.sdk.python", "mistralai_sdk_tracer")  # instrumentation scopes in which every span is a call


class Place(msgspec.Struct, frozen=True):
    """Where in a trace something is, in the words of records. ``instrumentation`` is the instrumentation scope that made the span.

    ``sampled`` is None where the trace began with us, and nobody has been asked yet.
    """

    trace_id: str
    span_id: str | None = None
    parent_id: str | None = None
    sampled: bool | None = None
    trace_state: str | None = None
    instrumentation: str | None = None
    kind: str | None = None
    is_call: bool = False


class Whereabouts(msgspec.Struct, frozen=True, gc=False):
    """A record's own place, span and all. ``sampled`` and ``content`` as they stand on a record: left out where they say nothing."""

    trace_id: str
    span_id: str
    parent_id: str | None
    sampled: bool | None
    trace_state: str | None
    instrumentation: str | None
    content: str | None


def place(span: Any) -> Place:
    """Where *span* is: one of any tracer's, or a place already."""
    if isinstance(span, Place):
        return span
    context = span.get_span_context()
    state = context.trace_state
    parent, scope, kind = getattr(span, "parent", None), getattr(span, "instrumentation_scope", None), getattr(span, "kind", None)
    name = getattr(scope, "name", None)
    attributes = getattr(span, "attributes", None) or {}
    return Place(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=None if parent is None else f"{parent.span_id:016x}",
        sampled=bool(context.trace_flags & 1),
        trace_state=state.to_header() if state else None,
        instrumentation=name,
        kind=getattr(kind, "name", None),
        is_call=attributes.get("gen_ai.operation.name") in CALLS
        or attributes.get("openinference.span.kind") in {"LLM", "EMBEDDING"}
        or (name or "").startswith(_SDKS),
    )


def whereabouts(
    ids: "Ids",
    scope: "Scope | None",
    *,
    around: object,
    parent_id: str | None,
    span_id: str | None = None,
    name: str,
    keeps: Keeps,
    content: str | None,
) -> Whereabouts:
    """The trace, the span and its parent of what happened in *scope* below *around*, a span; or below *parent_id*.

    What has no *span_id* of its own yet shares that of a span that is a call. *keeps* is asked where nobody has decided yet on the trace.
    """
    if around is not None:
        where = place(around)
    elif scope is not None:
        where = Place(scope.trace_id, sampled=scope.sampled, trace_state=scope.trace_state)
    else:
        where = Place(ids.trace())
    theirs = span_id is None and where.is_call
    return Whereabouts(
        where.trace_id,
        (where.span_id if theirs else span_id) or ids.span(),
        where.parent_id if theirs else parent_id or where.span_id,
        None if decided(where, keeps, scope, name) else False,
        where.trace_state,
        where.instrumentation if theirs else None,
        narrowed(None if scope is None else scope.content, content),
    )


def decided(where: Place, keeps: Keeps, scope: "Scope | None", name: str) -> bool:
    """Whether the trace of *where* is sampled: as was decided before us, else as we are told now."""
    return keeps(where.trace_id, scope, name) if where.sampled is None else where.sampled


class Around:
    """OpenTelemetry's context, as far as we look into it.

    :raises MissingExtra: when it is not installed.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry import context, trace
            from opentelemetry.instrumentation import asgi, wsgi
        except ModuleNotFoundError as error:
            raise missing(error, extra="otel") from None
        self._context, self._trace, self._asgi, self._wsgi = context, trace, asgi, wsgi
        self._current, self._none = trace.get_current_span, trace.INVALID_SPAN

    def span(self) -> Any:
        """The span that is current; None where there is none."""
        found: Any = self._current()
        if found is self._none or not found.get_span_context().is_valid:
            return None
        return found

    @property
    def configured(self) -> bool:
        """Whether the application has a TracerProvider: without one there is nobody to make a server span."""
        return not isinstance(self._trace.get_tracer_provider(), self._trace.ProxyTracerProvider)

    def standing_for(self, where: Place) -> Any:
        """A span that other spans can have as a parent: it stands for one of ours, which is made later."""
        trace = self._trace
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if where.sampled else trace.TraceFlags.DEFAULT)
        state = None if where.trace_state is None else trace.TraceState.from_header([where.trace_state])
        return trace.NonRecordingSpan(trace.SpanContext(int(where.trace_id, 16), int(where.span_id or "0", 16), False, flags, state))

    def enter(self, span: Any) -> Callable[[], None]:
        """Have *span* be the current one. Returns the way out, which may be taken in any context: it puts back by value, as frames are."""
        context = self._context
        before = context.get_current()
        context.attach(self._trace.set_span_in_context(span))

        def leave() -> None:
            if self._current() is span:
                context.attach(before)

        return leave

    def asgi(self, app: Any) -> Any:
        """*app* with server spans around its requests."""
        return self._asgi.OpenTelemetryMiddleware(app, exclude_spans=["receive", "send"])

    def wsgi(self, app: Any) -> Any:
        """*app* with server spans around its requests."""
        return self._wsgi.OpenTelemetryMiddleware(app)


def instrumented(app: Any) -> bool:
    """Whether an instrumentation of OpenTelemetry's makes server spans inside of *app*."""
    if getattr(app, "_is_instrumented_by_opentelemetry", False):
        return True
    added = getattr(app, "user_middleware", ())
    return any(str(getattr(one.cls, "__module__", "")).startswith("opentelemetry.instrumentation") for one in added)


def label(span: Any, method: str | None, route: str | None) -> None:
    """Name the server span *span* by the template of the route that matched: it began before that was known."""
    if method is not None and route is not None and span.is_recording():
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)


def enrich(span: Any, scope: "Scope") -> None:
    """Put on *span*, a call's that somebody else makes, what they cannot know and we need not read anything for."""
    if not span.is_recording() or not place(span).is_call:
        return
    facts = {"llm_observe.request_id": scope.request_id, "user.id": scope.user_id, "session.id": scope.session_id}
    span.set_attributes({name: value for name, value in facts.items() if value is not None})
