"""Whether a trace that begins with us is kept: whoever exports traces may have been told how many.

Asked in the sink, once a trace; on the request side only where somebody else is to know, in a header or by OpenTelemetry's current span.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_observe._runtime.guard import Guard
    from llm_observe._runtime.scope import Scope

MOST = 10_000  # traces whose answer is known; of an older one it is asked again

Keeps = Callable[[str, "Scope | None", str], bool]
"""Whether the trace of this id is kept, which began in a scope, or with something of this name outside of any."""


def everything(trace_id: str, scope: "Scope | None", name: str) -> bool:
    """Keep all traces."""
    return True


class Sampling:
    """Asks those of *exporters* that have ``keeps``; a trace is kept when one of them, or none of them all, wants it."""

    def __init__(self, exporters: Sequence[object], guard: "Guard") -> None:
        self._asked = [ask for one in exporters if callable(ask := getattr(one, "keeps", None))]
        self._guard = guard
        self._known: dict[str, bool] = {}

    def __call__(self, trace_id: str, scope: "Scope | None", name: str) -> bool:
        if not self._asked:
            return True
        known = self._known.get(trace_id)
        if known is None:
            known = self._known.setdefault(trace_id, self._ask(trace_id, scope, name))
            if len(self._known) > MOST:
                with contextlib.suppress(KeyError, RuntimeError):  # another thread is at it: one more or less
                    del self._known[next(iter(self._known))]
        return known

    def _ask(self, trace_id: str, scope: "Scope | None", name: str) -> bool:
        facts: dict[str, str] = {}
        if scope is not None:
            name = scope.name or f"{scope.method}"
            facts = {"http.request.method": scope.method, "url.path": scope.path or ""} if scope.method else {}
        try:
            return any(ask(trace_id, name, facts) for ask in self._asked)
        except Exception as error:  # a sampler of the user's
            self._guard.caught(error, "sampling", quoted=False)
            return True
