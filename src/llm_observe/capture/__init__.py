"""A client library's traffic to exchanges, one shell a library around the same tap."""

import importlib
import os
import threading
from collections.abc import Callable
from types import ModuleType

from llm_observe._runtime.guard import logger
from llm_observe.capture._lazy import forget, when_imported

LIBRARIES = {
    "httpx": "llm_observe.capture.httpx",
    "httpx2": "llm_observe.capture.httpx",
    "aiohttp": "llm_observe.capture.aiohttp",
    "requests": "llm_observe.capture.requests",
    "botocore.httpsession": "llm_observe.capture.botocore",
}
"""The client libraries that can be hooked, by the module that has what is hooked, and the module that knows how."""

_lock = threading.Lock()
_undo: dict[ModuleType, Callable[[], None]] = {}
_installed = False


def _in_child() -> None:
    """In a forked child: a lock that another thread held is held by nobody who could let go of it."""
    global _lock  # noqa: PLW0603 - hooks are the process's
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def install() -> None:
    """Hook every client library: those that are imported now, the others when they are. Safe to call twice."""
    global _installed  # noqa: PLW0603 - hooks are the process's, whoever observes
    with _lock:
        if _installed:
            return
        _installed = True
    for name in LIBRARIES:
        when_imported(name, _hook_into)


def _hook_into(library: ModuleType) -> None:
    """Hook *library*. One that is not what its name promises stays as it is: somebody is importing it at this moment."""
    if library in _undo:  # httpx2.alias_httpx() gives one library two names
        return
    try:
        _undo[library] = importlib.import_module(LIBRARIES[library.__name__]).install(library)
    except Exception as error:
        logger.warning("llm-observe cannot watch %r (%s: %s): its calls are not recorded", library, type(error).__name__, error)


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
    return tuple(sorted({library.__name__.partition(".")[0] for library in _undo}))
