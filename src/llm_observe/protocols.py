"""The roles a user can fill, one verb each."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, overload

from llm_observe.records import AnyRecord


class Batch(Sequence[AnyRecord]):
    """Records on their way out, with each one's JSON beside it.

    A sequence of records like any other. ``lines`` has the same records encoded, one compact JSON object each without a newline:
    encoded once for all exporters. ``id`` is the same over all retries of this batch, so that a receiver can tell a repeat.
    """

    __slots__ = ("id", "lines", "records")

    def __init__(self, id: str, records: Sequence[AnyRecord], lines: Sequence[bytes]) -> None:
        self.id, self.records, self.lines = id, records, lines

    @overload
    def __getitem__(self, index: int) -> AnyRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[AnyRecord]: ...
    def __getitem__(self, index: int | slice) -> AnyRecord | Sequence[AnyRecord]:
        return self.records[index]

    def __iter__(self) -> Iterator[AnyRecord]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)


class Exporter(Protocol):
    """Takes finished records somewhere else.

    Returning means the batch arrived. Raising :class:`~llm_observe.errors.RetryLater` or any other exception has the same batch
    come back later; raising :class:`~llm_observe.errors.Rejected` drops it, counted. It runs in the sink's thread and event loop,
    never in the application's. An exporter may also have ``async def aclose()``, called once after its last batch, and
    ``def keeps(trace_id, name, facts)``, asked once of each trace that begins here: where it says no, records have ``sampled: false``.
    """

    async def export(self, batch: Batch, /) -> None:
        """Deliver *batch*, or raise."""
        ...


class Meter(Protocol):
    """Keeps sums of what happened. Told in the sink of each record, before any processor, and once a second of the observer's numbers.

    It may also have ``def exported(exporter, seconds)``, told of each attempt of an exporter to deliver a batch and of the time it took,
    and ``def close()``, called once at the end.
    """

    def record(self, record: AnyRecord, /) -> None:
        """Add what *record* measures."""
        ...

    def health(self, stats: Any, /) -> None:
        """Take in *stats*, an observer's numbers (:class:`~llm_observe._runtime.stats.Stats`)."""
        ...


ExportFunction = Callable[[Batch], object]
"""A plain or ``async`` function can stand in for an :class:`Exporter`; a plain one runs in a worker thread."""

Processor = Callable[[AnyRecord], AnyRecord | None]
"""Sees a record in the sink; returns it, a changed copy, or None to let it go."""
