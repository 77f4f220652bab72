"""How the sink's thread shares the interpreter with the application: it works for a slice of time, then lets go of the GIL for a breath.

A thread that wants the GIL would otherwise wait for up to `sys.getswitchinterval()`, 5 ms.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

SLICE = 0.0007  # seconds of work between two breaths, at most as far as that can be foreseen
BREATH = 0.0001  # seconds of rest: long enough for a waiting thread to wake and take the GIL

_T = TypeVar("_T")


class Pace:
    """When the thread let go last, and how often it did. It gives up what it is at once it is *late*."""

    def __init__(self, late: Callable[[], bool]) -> None:
        self._late = late
        self._rested = 0.0
        self.breaths = 0

    def rested(self) -> None:
        """The thread has waited for something."""
        self._rested = time.monotonic()

    def over(self, several: Iterable[_T]) -> Iterator[_T]:
        """*several*, with a breath where the next one, taken to be like this one, would make the slice too long."""
        before = time.monotonic()
        for one in several:
            yield one
            now = time.monotonic()
            if now - self._rested + (now - before) > SLICE:
                if self._late():
                    return
                time.sleep(BREATH)
                self._rested = now = time.monotonic()
                self.breaths += 1
            before = now
