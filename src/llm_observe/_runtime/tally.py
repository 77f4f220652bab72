"""The roll-up of a request's calls, kept by the sink on the scope itself: it goes when the scope goes."""

from llm_observe.records import Call, CallTotals, Cost, Slowest

MOST = 4096  # intervals remembered: a job of a million calls must not keep a million of them


class Tally:
    """Adds up calls as they are settled."""

    __slots__ = (
        "_reached",
        "_summed",
        "cost",
        "count",
        "errors",
        "input_tokens",
        "intervals",
        "output_tokens",
        "retries",
        "slowest",
        "sum",
    )

    def __init__(self) -> None:
        self.count = self.errors = self.retries = self.input_tokens = self.output_tokens = 0
        self.sum = 0.0
        self.cost: Cost | None = None
        self.slowest: Slowest | None = None
        self.intervals: list[tuple[int, int]] = []
        self._summed = self._reached = 0  # the union of those forgotten, and where it ends

    def add(self, call: Call, began: int, ended: int) -> None:
        """Count *call*, which ran from *began* to *ended* (perf_counter_ns). To fetch an answer that was asked for earlier is no call."""
        if call.operation.name == "fetch_response":
            return
        self.count += 1
        self.errors += call.status == "error"
        self.retries += max(0, len(call.attempts) - 1)
        self.input_tokens += call.usage.input_tokens or 0
        self.output_tokens += call.usage.output_tokens or 0
        self.sum += call.duration
        if call.cost is not None:
            self.cost = call.cost if self.cost is None else _added(self.cost, call.cost)
        if self.slowest is None or call.duration > self.slowest.duration:
            self.slowest = Slowest(id=call.id, name=call.name, duration=call.duration)
        self.intervals.append((began, ended))
        if len(self.intervals) > MOST:
            self.intervals.sort()
            old, self.intervals = self.intervals[: MOST // 2], self.intervals[MOST // 2 :]
            self._summed, self._reached = _union(old, self._summed, self._reached)

    @property
    def wall(self) -> float:
        """Seconds in which at least one call ran: the length of the intervals' union."""
        return _union(sorted(self.intervals), self._summed, self._reached)[0] / 1e9

    def totals(self, running: int) -> CallTotals:
        """As it goes on the request's record."""
        return CallTotals(
            count=self.count,
            errors=self.errors,
            retries=self.retries,
            running=running,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            wall=self.wall,
            sum=self.sum,
            slowest=self.slowest,
            cost=self.cost,
        )


def _added(one: Cost, other: Cost) -> Cost:
    cached = None if one.cached is None and other.cached is None else (one.cached or 0.0) + (other.cached or 0.0)
    return Cost(
        input=one.input + other.input, output=one.output + other.output, total=one.total + other.total, cached=cached, currency=one.currency
    )


def _union(intervals: list[tuple[int, int]], total: int, reached: int) -> tuple[int, int]:
    """*total* and the length of what sorted *intervals* cover beyond *reached*; and how far they reach."""
    for began, ended in intervals:
        total += max(0, ended - max(began, reached))
        reached = max(reached, ended)
    return total, reached
