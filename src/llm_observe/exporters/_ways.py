"""A batch on its way out, part by part: what arrived is not sent again, and what is refused is found by halving."""

from collections.abc import Callable, Sequence
from typing import Any

from llm_observe.errors import Rejected
from llm_observe.exporters._otlp import Divisible

Parcel = tuple[int, list[Any]]
"""What one record became, and the place of that record in its batch."""


class Way:
    """One way out, *out*. It remembers what became of the batch that it had last: that one may come again."""

    def __init__(self, out: Callable[[list[Any]], object]) -> None:
        self._out = out
        self._batch = ""
        self._settled: set[tuple[int, int]] = set()  # parts of it that arrived or were refused
        self._halved: set[tuple[int, int]] = set()  # parts of it that only their halves can tell of
        self.refused: set[int] = set()  # the places of records that were refused
        self.more = 0  # records that were refused and not named
        self.last: Rejected | None = None  # the last refusal

    def bring(self, batch_id: str, parcels: Sequence[Parcel]) -> None:
        """Bring out *parcels*. What is refused of them is counted.

        :raises RetryLater: when it is worth to come back. What arrived before is not sent again then.
        """
        if self._batch != batch_id:
            self._batch, self._settled, self._halved = batch_id, set(), set()
            self.refused, self.more, self.last = set(), 0, None
        if parcels:
            self._bring(parcels, 0, len(parcels))

    def _bring(self, parcels: Sequence[Parcel], start: int, stop: int) -> None:
        part, middle = (start, stop), (start + stop) // 2
        if part in self._settled:
            return
        if part not in self._halved:
            try:
                self._out([thing for _, things in parcels[start:stop] for thing in things])
            except Rejected as refusal:
                if isinstance(refusal, Divisible) and stop - start > 1:
                    self._halved.add(part)
                else:
                    self._refuse([place for place, _ in parcels[start:stop]], refusal)
        if part in self._halved:
            self._bring(parcels, start, middle)
            self._bring(parcels, middle, stop)
        self._settled.add(part)

    def _refuse(self, places: Sequence[int], refusal: Rejected) -> None:
        self.last = refusal
        if refusal.count is not None and refusal.count < len(places):
            self.more += refusal.count
        else:
            self.refused.update(places)


def settle(ways: Sequence[Way], total: int) -> None:
    """Say what was refused of a batch of *total* records.

    A record that is refused in several ways is one. Which ones a partial success is about is not told: the same in all ways, we take it.

    :raises Rejected: where something was.
    """
    refusals = [way.last for way in ways if way.last is not None]
    if refusals:
        lost = min(len(set().union(*(way.refused for way in ways))) + max(way.more for way in ways), total)
        said = f"{refusals[-1]}" if lost == total else f"{lost} of {total} records: {refusals[-1]}"
        raise Rejected(said, refusals[-1].reason, count=lost)
