"""Redaction where there are clocks and threads: in the sink, right before a record is handed to exporters and their spools."""

import secrets
import time
from collections.abc import Callable

from llm_observe._runtime.encode import encode
from llm_observe._runtime.guard import Guard
from llm_observe.processors.redaction import Redactor
from llm_observe.records import AnyRecord
from llm_observe.settings import Settings

_KEY = secrets.token_bytes(32)  # of this process and those it forks: all observers give a value the same pseudonym
SLICE, BREATH = 500_000, 0.0001  # nanoseconds of work between two breaths, and the seconds of one: as in the sink


class Redaction:
    """A record as it may go out, and its bytes."""

    def __init__(self, settings: Settings, guard: Guard, *, now: Callable[[], int]) -> None:
        self._now, self._guard, self._since = now, guard, 0
        self._redactor = Redactor(settings, default_key=_KEY, now=now, spent=time.thread_time_ns, rest=self._rest, failed=self._failed)
        self._redacted = self._redactor.__call__  # a bound method is called in half the time

    @property
    def redacted(self) -> int:
        """What was taken out."""
        return sum(self._redactor.redacted.values())

    @property
    def withheld(self) -> int:
        """Texts and records that could not be gone through."""
        return sum(self._redactor.withheld.values())

    def __call__(self, record: AnyRecord) -> tuple[AnyRecord, bytes]:
        """*record* without what is to be taken out of it, encoded.

        :raises Exception: what the encoder raises.
        """
        self._since = self._now()
        return self._redacted(record, encode)

    def _rest(self) -> None:
        """Let go of the interpreter, once in a while."""
        if self._now() - self._since > SLICE:
            time.sleep(BREATH)
            self._since = self._now()

    def _failed(self, error: Exception) -> None:
        self._guard.caught(error, "redaction", quoted=False)
