"""Never hurt the host, in one place.

The doors where the host's thread is in our code catch what we raise, hand it to the guard and go on. Inside, code raises as usual.
"""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger("llm_observe")
logger.addHandler(logging.NullHandler())

QUIET = 60.0  # seconds between two log lines of one kind


class Guard:
    """Counts our own failures and says so at most once a minute per kind. Strict, it raises them: for tests."""

    def __init__(self, *, strict: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.strict = strict
        self.errors = 0
        self._clock = clock
        self._spoke: dict[str, float] = {}

    def caught(self, error: Exception, where: str) -> None:
        """Take note of *error*, raised by us at *where*.

        :raises Exception: the error itself when the guard is strict.
        """
        self.errors += 1
        self.say(
            f"{where}: {type(error).__name__}", f"llm-observe failed in {where} ({type(error).__name__}: {error}); the application goes on"
        )
        if self.strict:
            raise error

    def say(self, kind: str, text: str) -> None:
        """Log *text* unless something of its *kind* was logged within the last minute."""
        now = self._clock()
        if now - self._spoke.get(kind, -QUIET) >= QUIET:
            self._spoke[kind] = now
            logger.warning(text)
