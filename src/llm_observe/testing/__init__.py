"""The kit for users' tests: what an app recorded, a provider that answers, and fixtures for pytest.

::

    def test_the_chat_page_asks_once(client, llm_records):
        client.get("/chat?q=hello")
        assert ["gpt-x"] == [call.request.model for call in llm_records.calls]

The fixtures ``llm_records`` and ``llm_provider`` come with the package, by pytest's own plugin mechanism. Without pytest,
:func:`recording` and :class:`~llm_observe.testing.provider.FakeProvider` do the same.

They stand in for the default observer, also where the function that makes the app calls ``configure()``. An app that makes one of
its own (``LLMObserve(app, service=...)``) is given this one in its tests: ``LLMObserve(app, observer=llm_records.observer)``.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llm_observe import wsgi
from llm_observe._runtime.default import swapped
from llm_observe._runtime.guard import Guard
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.stats import Stats
from llm_observe.exporters.memory import MemoryExporter
from llm_observe.records import AnyRecord, Call, Request, Step

__all__ = ["MemoryExporter", "Recorded", "accounted", "recording"]


def accounted(observer: Observer, *, timeout: float = 10.0) -> Stats:
    """The numbers of *observer* at a moment in which nothing moves: every record it captured is in them, for each exporter.

    :raises AssertionError: with the numbers, when they do not add up for *timeout* seconds.
    """
    deadline = time.monotonic() + timeout
    numbers = observer.stats()
    while True:
        before, numbers = numbers, observer.stats()
        unbalanced = {name: one for name, one in numbers.exporters.items() if not one.balanced}
        if before == numbers and not unbalanced:
            return numbers
        if time.monotonic() > deadline:
            raise AssertionError(f"records are not accounted for: {unbalanced or numbers}")
        time.sleep(0.002)


class Recorded:
    """What an observer recorded. Every look waits until all that happened so far has arrived.

    :raises TimeoutError: by every look, when that takes longer than *timeout* seconds.
    """

    def __init__(self, observer: Observer, memory: MemoryExporter, *, timeout: float = 10.0) -> None:
        self.observer, self.memory, self._timeout = observer, memory, timeout

    def __repr__(self) -> str:
        names = [record.name for record in self.memory.records]
        return f"Recorded({', '.join(map(repr, names))})"

    def _arrived(self) -> MemoryExporter:
        for body in list((wsgi.followed or {}).values()):  # Flask's test client closes no answer
            if (open_still := body()) is not None:
                open_still.settle()
        arrived = self.observer.flush(self._timeout, final=True)
        if isinstance(self.observer, _Lasting):
            self.observer.complain()
        if not arrived:
            raise TimeoutError(f"records did not arrive within {self._timeout:g} seconds: {self.observer.stats()}")
        return self.memory

    @property
    def records(self) -> list[AnyRecord]:
        """Everything, in the order it was settled."""
        return self._arrived().records

    @property
    def calls(self) -> list[Call]:
        """The model calls."""
        return self._arrived().calls

    @property
    def requests(self) -> list[Request]:
        """The web requests and jobs."""
        return self._arrived().requests

    @property
    def steps(self) -> list[Step]:
        """The steps."""
        return self._arrived().steps

    def clear(self) -> None:
        """Forget what came so far."""
        self._arrived().clear()


@contextmanager
def recording(*, timeout: float = 10.0, **settings: Any) -> Iterator[Recorded]:
    """Have the default observer record into memory, strictly: an error of our own is raised, not swallowed.

    What fails in the background (a processor, the decoding) is raised by the next look, or at the end. *settings* are those of
    :class:`~llm_observe.Settings`; recording is on, whatever the environment says. The observer outlasts the shutdown of the app under
    test, so that an app can be started several times. The default observer of before is back afterwards.
    """
    before = wsgi.followed
    wsgi.followed = {} if before is None else before
    memory = MemoryExporter()
    exporters = (memory, *settings.pop("exporters", ()))
    observer = _Lasting(**{"enabled": True, "strict": True, **settings, "exporters": exporters})
    try:
        with swapped(observer):
            yield Recorded(observer, memory, timeout=timeout)
    finally:
        observer.close()
        wsgi.followed = before
    observer.complain()


class _Lasting(Observer):
    """An observer that an application's shutdown drains but does not close, and that tells what failed in its own thread."""

    def _make(self) -> None:
        self.guard = _Telling(strict=self.settings.strict)
        super()._make()

    def shutdown(self, timeout: float | None = None) -> Stats:
        self.flush(self.settings.drain_timeout if timeout is None else timeout, final=True)
        return self.stats()

    drain = shutdown

    def close(self) -> None:
        """End it."""
        super().shutdown()

    def complain(self) -> None:
        """Raise the first failure in the background that was not raised yet."""
        if isinstance(self.guard, _Telling) and self.guard.kept:
            first = self.guard.kept[0]
            self.guard.kept.clear()
            raise first


class _Telling(Guard):
    """A guard that raises where somebody can catch it: in the sink's thread that would only end the sink, so it is kept for later."""

    def __init__(self, *, strict: bool) -> None:
        super().__init__(strict=strict)
        self.kept: list[BaseException] = []

    def caught(self, error: BaseException, where: str, *, quoted: bool = True) -> None:
        if self.strict and threading.current_thread().name == "llm-observe":
            self.errors += 1
            error.add_note(f"in llm-observe, {where}")
            self.kept.append(error)
        else:
            super().caught(error, where, quoted=quoted)
