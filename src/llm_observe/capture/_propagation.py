"""The trace in the headers of a model call, where the setting ``propagate`` asks for it (W3C Trace Context)."""

from collections.abc import MutableMapping

from llm_observe._runtime.around import Place, place
from llm_observe.capture._tap import Tap


def inject(tap: Tap, headers: MutableMapping[str, str]) -> None:
    """Put the trace of the call that *tap* watches into *headers*, unless an SDK has put its own there."""
    try:
        if "traceparent" not in headers:
            _inject(tap, headers)
    except Exception as error:
        tap.failed(error)


def _inject(tap: Tap, headers: MutableMapping[str, str]) -> None:
    ids, around, scope = tap.observer.ids, tap.around, tap.scope
    if around is None and scope is None:
        around = tap.around = Place(ids.trace())
    where = place(around) if around is not None else None
    if where is not None and where.is_call:
        span_id = where.span_id
    else:
        span_id = tap.span_id = ids.span()
    trace_id = where.trace_id if where is not None else scope.trace_id if scope is not None else ids.trace()
    sampled = where.sampled if where is not None else scope is None or scope.sampled
    headers["traceparent"] = f"00-{trace_id}-{span_id}-{'01' if sampled else '00'}"
    state = "" if around is None or isinstance(around, Place) else around.get_span_context().trace_state.to_header()
    if state and "tracestate" not in headers:
        headers["tracestate"] = state
