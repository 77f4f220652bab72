"""The observer that is used where none is named. A default and nothing more: whoever makes an Observer may hand it around instead."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llm_observe._runtime.ending import exiting
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.stats import Stats
from llm_observe.settings import resolve

_lock = threading.Lock()
_default: Observer | None = None
_lent: Observer | None = None  # what stands in for the default one in a test


def _in_child() -> None:
    """In a forked child: a lock that another thread held is held by nobody who could let go of it."""
    global _lock  # noqa: PLW0603 - the lock of the one default there is
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def configure(**settings: Any) -> Observer:
    """Make the default observer out of keyword *settings*, the environment and the defaults, start it, and return it.

    A default observer that was there before is drained and closed first. One that stands in for it in a test stays: *settings* are
    looked at, and it is returned as it is.

    :raises SettingsError: for a setting that does not exist or does not fit; the earlier observer then stays.
    """
    global _default
    if _lent is not None and _lent is _default:
        resolve(settings)
        return _lent.start()
    observer = Observer(**settings)
    with _lock:
        before, _default = _default, observer
    if before is not None:
        before.shutdown()
    return observer.start()


def default() -> Observer:
    """The default observer; made from the environment and the defaults when there is none yet, or the last one was shut down."""
    global _default  # noqa: PLW0603 - the one default there is
    found = _default
    if found is None or found.closed:
        with _lock:
            if _default is None or (_default.closed and not exiting()):
                _default = Observer()
            found = _default
    found.prepare()
    return found


def existing() -> Observer | None:
    """The default observer if there is one that records, without making one: for the hooks."""
    found = _default
    return None if found is None or found.closed else found


@contextmanager
def swapped(observer: Observer) -> Iterator[Observer]:
    """Have *observer* be the default one for a while, whatever is configured meanwhile: for tests. Neither is closed."""
    global _default, _lent  # noqa: PLW0603 - the one default there is
    with _lock:
        before, _default = (_default, _lent), observer
        _lent = observer
    try:
        yield observer.start()
    finally:
        with _lock:
            _default, _lent = before


def flush(timeout: float = 5.0) -> bool:
    """:meth:`Observer.flush` of the default observer; True at once when there is none."""
    found = existing()
    return True if found is None else found.flush(timeout)


def shutdown(timeout: float | None = None) -> Stats | None:
    """:meth:`Observer.shutdown` of the default observer; None when there is none."""
    found = existing()
    return None if found is None else found.shutdown(timeout)
