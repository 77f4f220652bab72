"""Never hurt the host, in one place.

The doors where the host's thread is in our code catch what we raise, hand it to the guard and go on. Inside, code raises as usual.
"""

import contextlib
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

    def caught(self, error: BaseException, where: str, *, quoted: bool = True) -> None:
        """Take note of *error*, raised at *where*. Its words are not *quoted* where they may hold what is on no log's list.

        :raises Exception: the error itself when the guard is strict.
        """
        self.errors += 1
        text = described(error) if quoted else type(error).__name__
        self.say(f"{where}: {type(error).__name__}", f"llm-observe failed in {where} ({text}); the application goes on")
        if self.strict:
            raise error

    def say(self, kind: str, text: str) -> None:
        """Log *text* unless something of its *kind* was logged within the last minute."""
        now = self._clock()
        if now - self._spoke.get(kind, -QUIET) >= QUIET:
            self._spoke[kind] = now
            with contextlib.suppress(Exception):  # a filter of the application's that fails
                logger.warning("%s", text)


def words(error: BaseException) -> str | None:
    """What *error* says; None where asking it fails."""
    try:
        return str(error)[:4096]
    except Exception:  # somebody else's __str__
        return None


def described(error: BaseException) -> str:
    """The name of *error*, and what it says."""
    said = words(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
