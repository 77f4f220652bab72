"""Which records go on where not all are to: the head by rate and rule, the tail by what became of the call.

The head decides by the trace id alone, as OpenTelemetry's ``TraceIdRatioBased`` does: all records of a trace go or stay together, and
so they do in every process. The tail keeps what failed, was retried, was slow or expensive, and the request and steps around it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from llm_observe.errors import SettingsError
from llm_observe.processors.patterns import at, pattern
from llm_observe.records import AnyRecord, Call, Request, Sampling

MOST = 10_000  # spans remembered, in which something was kept
_ALL = 2**64
_FIELDS: dict[str, Callable[[AnyRecord], tuple[str | None, ...]]] = {
    "kind": lambda record: (str(record.__struct_config__.tag),),
    "name": lambda record: (record.name,),
    "provider": lambda record: (record.provider.name,) if isinstance(record, Call) else (),
    "model": lambda record: (record.request.model, record.response.model) if isinstance(record, Call) else (),
    "operation": lambda record: (record.operation.name,) if isinstance(record, Call) else (),
    "user": lambda record: (record.scope.user_id,) if record.scope else (),
    "session": lambda record: (record.scope.session_id,) if record.scope else (),
}
RULED = ("route", *_FIELDS)
"""What a rule may go by."""


class Sampler:
    """Says of each record whether it goes on, and how likely that was.

    *rate* is the share of traces that is kept. *rules*, by ``field:pattern``, have rates of their own; the first that matches counts.
    *function* is asked before either. What cannot be decided goes to *caught*, and the record stays.

    :raises SettingsError: for a rule that cannot be read.
    """

    def __init__(
        self,
        rate: float,
        rules: Mapping[str, float],
        function: Callable[[AnyRecord], Any] | None,
        *,
        slower_than: float,
        costlier_than: float,
        caught: Callable[[Exception], object],
    ) -> None:
        self._rate, self._function, self._caught = rate, function, caught
        self._rules = [(_rule(text), share) for text, share in rules.items()]
        self._slow, self._costly = slower_than, costlier_than
        self._around: dict[str, float] = {}  # spans in which something was kept: the likelihood that it was

    def __call__(self, record: AnyRecord) -> AnyRecord | None:
        """*record* with how it came to be kept; None where it was not."""
        rate, why = 1.0, self._tail(record)
        if not why:
            rate, why = self._head(record)
            inside = self._around.get(record.span_id, 0.0) if not isinstance(record, Call) else 0.0
            if inside > rate:
                rate, why = inside, "child"
            if int(record.trace_id[-16:], 16) >= round(rate * _ALL):
                return None
        if record.parent_id is not None:
            self._remember(record.parent_id, rate)
        return (
            record
            if rate == 1 and why in {"rate", "rule", "sampler"}
            else msgspec.structs.replace(record, sampling=Sampling(rate=rate, reason=why))
        )

    def _tail(self, record: AnyRecord) -> str:
        """Why *record* stays whatever the head says; empty for no reason."""
        if record.status == "error":
            return "error"
        if isinstance(record, Call):
            facts = False, len(record.attempts) > 1, record.duration, record.cost
        elif isinstance(record, Request):
            calls = record.calls  # its own calls have been here before, and the same was said of them
            facts = calls.errors > 0, calls.retries > 0, calls.slowest.duration if calls.slowest else 0.0, calls.cost
        else:
            return ""
        failed, retried, longest, cost = facts
        if failed or retried:
            return "error" if failed else "retried"
        if longest > self._slow:
            return "slow"
        return "expensive" if cost is not None and cost.total > self._costly else ""

    def _head(self, record: AnyRecord) -> tuple[float, str]:
        """The share of records like *record* that is kept, and who says so."""
        try:
            given = None if self._function is None else self._function(record)
            if given is not None:
                return _share(given), "sampler"
            return next(((share, "rule") for matches, share in self._rules if matches(record)), (self._rate, "rate"))
        except Exception as error:  # the function, or what the application named a user
            self._caught(error)
            return 1.0, "sampler"

    def _remember(self, span_id: str, rate: float) -> None:
        before = self._around.pop(span_id, 0.0)
        self._around[span_id] = max(before, rate)
        if len(self._around) > MOST:
            del self._around[next(iter(self._around))]


def _share(given: Any) -> float:
    """*given* as a share.

    :raises ValueError: where it is none.
    """
    share = float(given)
    if not 0 <= share <= 1:
        raise ValueError("a share is between 0 and 1")
    return share


def _rule(text: str) -> Callable[[AnyRecord], bool]:
    field, colon, wanted = (part.strip() for part in text.partition(":"))
    if not colon or not wanted or field not in RULED:
        raise SettingsError(
            f"sample_rules: {text!r}: Expected `field:pattern`, as in `route:/health` or `model:gpt-x*`. Fields are: {', '.join(RULED)}."
        )
    if field == "route":
        return at(wanted)
    values, matches = _FIELDS[field], pattern(wanted)
    return lambda record: any(value is not None and matches(str(value)) for value in values(record))
