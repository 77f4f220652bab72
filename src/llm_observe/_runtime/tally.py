"""The roll-up of a request's calls, kept by the sink on the scope itself: it goes when the scope goes."""

from llm_observe.records import Call, CallTotals, Slowest


class Tally:
    """Adds up calls as they are settled."""

    __slots__ = ("count", "errors", "input_tokens", "intervals", "output_tokens", "retries", "slowest", "sum")

    def __init__(self) -> None:
        self.count = self.errors = self.retries = self.input_tokens = self.output_tokens = 0
        self.sum = 0.0
        self.slowest: Slowest | None = None
        self.intervals: list[tuple[int, int]] = []

    def add(self, call: Call, began: int, ended: int) -> None:
        """Count *call*, which ran from *began* to *ended* (perf_counter_ns)."""
        self.count += 1
        self.errors += call.status == "error"
        self.retries += max(0, len(call.attempts) - 1)
        self.input_tokens += call.usage.input_tokens or 0
        self.output_tokens += call.usage.output_tokens or 0
        self.sum += call.duration
        if self.slowest is None or call.duration > self.slowest.duration:
            self.slowest = Slowest(id=call.id, name=call.name, duration=call.duration)
        self.intervals.append((began, ended))

    @property
    def wall(self) -> float:
        """Seconds in which at least one call ran: the length of the intervals' union."""
        total, reached = 0, 0
        for began, ended in sorted(self.intervals):
            total += max(0, ended - max(began, reached))
            reached = max(reached, ended)
        return total / 1e9

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
        )
