"""The kit for users' tests: what an app recorded, a provider that answers, and fixtures for pytest.

::

    def test_the_chat_page_asks_once(client, llm_records):
        client.get("/chat?q=hello")
        assert ["gpt-x"] == [call.request.model for call in llm_records.calls]

The fixtures ``llm_records`` and ``llm_provider`` come with the package, by pytest's own plugin mechanism. Without pytest,
:func:`recording` and :class:`~llm_observe.testing.provider.FakeProvider` do the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llm_observe._runtime.default import swapped
from llm_observe._runtime.observer import Observer
from llm_observe.exporters.memory import MemoryExporter
from llm_observe.records import AnyRecord, Call, Request, Step

__all__ = ["MemoryExporter", "Recorded", "recording"]


class Recorded:
    """What an observer recorded. Every look waits until all that happened so far has arrived."""

    def __init__(self, observer: Observer, memory: MemoryExporter) -> None:
        self.observer, self.memory = observer, memory

    def _arrived(self) -> MemoryExporter:
        if not self.observer.flush(10, final=True):
            raise TimeoutError(f"records did not arrive within 10 seconds: {self.observer.stats()}")
        return self.memory

    @property
    def records(self) -> list[AnyRecord]:
        """Everything, in the order it was settled."""
        return list(self._arrived().records)

    @property
    def calls(self) -> list[Call]:
        """The model calls."""
        return list(self._arrived().calls)

    @property
    def requests(self) -> list[Request]:
        """The web requests and jobs."""
        return list(self._arrived().requests)

    @property
    def steps(self) -> list[Step]:
        """The steps."""
        return list(self._arrived().steps)

    def clear(self) -> None:
        """Forget what came so far."""
        self._arrived().clear()


@contextmanager
def recording(**settings: Any) -> Iterator[Recorded]:
    """Have the default observer record into memory, strictly: an error of our own is raised, not swallowed.

    *settings* are those of :class:`~llm_observe.Settings`. The default observer of before is back afterwards.
    """
    memory = MemoryExporter()
    exporters = (memory, *settings.pop("exporters", ()))
    with Observer(**{"strict": True, **settings, "exporters": exporters}) as observer, swapped(observer):
        yield Recorded(observer, memory)
