"""A client library's traffic to exchanges, one shell a library around the same tap."""

import importlib
import threading
from collections.abc import Callable
from types import ModuleType

from llm_observe.capture._lazy import forget, when_imported

LIBRARIES = {"httpx": "llm_observe.capture.httpx", "httpx2": "llm_observe.capture.httpx"}
"""The client libraries that can be hooked, and the module that knows how."""

_lock = threading.Lock()
_undo: dict[str, Callable[[], None]] = {}
_installed = False


def install() -> None:
    """Hook every client library: those that are imported now, the others when they are. Safe to call twice."""
    global _installed  # noqa: PLW0603 - hooks are the process's, whoever observes
    with _lock:
        if _installed:
            return
        _installed = True
    for name in LIBRARIES:
        when_imported(name, _hook)


def _hook(library: ModuleType) -> None:
    name = library.__name__
    if name not in _undo:  # httpx2.alias_httpx() gives one library two names
        _undo[name] = importlib.import_module(LIBRARIES[name]).install(library)


def uninstall() -> None:
    """Take all hooks out again, where they are still ours to take."""
    global _installed  # noqa: PLW0603 - see install
    with _lock:
        forget()
        while _undo:
            _undo.popitem()[1]()
        _installed = False


def hooked() -> tuple[str, ...]:
    """The libraries that are watched at this moment."""
    return tuple(sorted(_undo))
