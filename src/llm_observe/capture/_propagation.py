"""The trace in the headers of a model call, where the setting ``propagate`` asks for it (W3C Trace Context)."""

from collections.abc import MutableMapping

from llm_observe._runtime.around import Place, decided, place
from llm_observe.capture._tap import Tap


def inject(tap: Tap, headers: MutableMapping[str, str]) -> None:
    """Put the trace of the call that *tap* watches into *headers*, unless an SDK has put its own there."""
    try:
        if "traceparent" not in headers:
            _inject(tap, headers)
    except Exception as error:
        tap.failed(error)


def _inject(tap: Tap, headers: MutableMapping[str, str]) -> None:
    observer, around, scope = tap.observer, tap.around, tap.scope
    if around is not None:
        where = place(around)
    elif scope is not None:
        where = Place(scope.trace_id, sampled=scope.sampled, trace_state=scope.trace_state)
    else:
        where = tap.around = Place(observer.ids.trace())
    if where.is_call:
        span_id = where.span_id
    else:
        span_id = tap.span_id = observer.ids.span()
    sampled = decided(where, observer.sampling, scope, "POST")
    headers["traceparent"] = f"00-{where.trace_id}-{span_id}-{'01' if sampled else '00'}"
    if where.trace_state is not None and "tracestate" not in headers:
        headers["tracestate"] = where.trace_state
