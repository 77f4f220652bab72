"""Records kept in memory: for tests, and for whoever wants to look at the last few.

No lock: a list's ``extend``, ``del`` of a slice and copy are each one step, and a forked child inherits no lock that somebody held.
"""

from llm_observe.errors import SettingsError
from llm_observe.protocols import Batch
from llm_observe.records import AnyRecord, Call, Request, Step


class MemoryExporter:
    """Keeps the records it is given, the last *limit* of them where a limit is named. May be read from any thread.

    :raises SettingsError: for a limit below 1.
    """

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise SettingsError(f"MemoryExporter(limit={limit}): expected at least 1, or None to keep everything.")
        self._limit = limit
        self._kept: list[AnyRecord] = []

    def __repr__(self) -> str:
        return f"MemoryExporter(limit={self._limit})"

    @property
    def records(self) -> list[AnyRecord]:
        """Everything kept so far, in the order it was exported; a copy."""
        return self._kept[-self._limit :] if self._limit else self._kept[:]

    @property
    def calls(self) -> list[Call]:
        """The model calls among :attr:`records`."""
        return [record for record in self.records if isinstance(record, Call)]

    @property
    def requests(self) -> list[Request]:
        """The web requests and jobs among :attr:`records`."""
        return [record for record in self.records if isinstance(record, Request)]

    @property
    def steps(self) -> list[Step]:
        """The steps among :attr:`records`."""
        return [record for record in self.records if isinstance(record, Step)]

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()

    async def export(self, batch: Batch, /) -> None:
        """Keep the records of *batch*."""
        self._kept.extend(batch)
        if self._limit:
            del self._kept[: -self._limit]
