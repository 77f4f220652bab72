"""However a process ends: what is in memory is brought out once, within a deadline, whoever says that it is time.

That is a lifespan, :meth:`Observer.shutdown`, the end of the threads, the end of the interpreter, or SIGTERM. Each comes to the same
drain, which does its work for the first of them and has the others wait for it.
"""

import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING

from llm_observe._runtime import clock as clocks
from llm_observe._runtime import signals

if TYPE_CHECKING:
    from llm_observe._runtime.observer import Observer

EXIT = 2.0  # seconds the end of a process may wait for us, at the most (reliability.md, 2)
TERM = 5.0  # seconds SIGTERM may, where nobody else handles it

living: "weakref.WeakSet[Observer]" = weakref.WeakSet()
_exit_began: list[float] = []


def exiting() -> bool:
    """Whether the process is on its way out, and observers have been or are being closed."""
    return bool(_exit_began)


def time_left(observer: "Observer") -> float:
    """What remains of the time an exit may take: the two handlers share it."""
    if not _exit_began:
        _exit_began.append(time.monotonic())
    return max(0.05, min(EXIT, observer.settings.drain_timeout) - (time.monotonic() - _exit_began[0]))


def at_thread_exit(me: "weakref.ref[Observer]") -> None:
    """Before the interpreter waits for its threads, and the last that a child of multiprocessing does."""
    observer = me()
    if observer is not None and not observer.closed:
        observer.flush(time_left(observer))


def at_exit(me: "weakref.ref[Observer]") -> None:
    """At the end of the interpreter."""
    observer = me()
    if observer is not None:
        observer.shutdown(time_left(observer))


def heed_signals(observer: "Observer", *, serving: bool) -> None:
    """Install our handler of SIGTERM where *observer* is to have one: by its setting, or because it is *serving*."""
    wanted = observer.settings.install_signal_handlers
    if not (serving if wanted is None else wanted) or signals.install(leave) or not wanted:
        return
    where = "" if threading.current_thread() is threading.main_thread() else ": this is not the main thread"
    observer.guard.say("signals", f"llm-observe could not handle SIGTERM{where}; what is in memory then is lost")


def leave(ends: bool) -> None:
    """SIGTERM has come. The process *ends* when we return; or its owner goes on for a while, and may say no more."""
    until = time.monotonic() + TERM
    for observer in list(living):
        try:
            if ends:
                observer.shutdown(max(0.05, min(observer.settings.drain_timeout, until - time.monotonic())))
            else:
                observer.leave()
        except Exception as error:
            observer.guard.caught(error, "SIGTERM")


def closed() -> None:
    """An observer has been closed. The last one takes our handler away with it."""
    if all(observer.closed for observer in living):
        signals.uninstall()


def _in_child() -> None:
    clocks.reseed()
    for observer in list(living):
        observer._forked()  # noqa: SLF001 - nobody else may
    celery = sys.modules.get("celery.signals")
    if celery is not None:  # its children end by `os._exit`, past all exit handlers: this is the last that it says
        celery.worker_process_shutdown.connect(_at_celery_exit, weak=False, dispatch_uid="llm_observe")


def _at_celery_exit(**_: object) -> None:
    for observer in list(living):
        if not observer.closed:
            observer.flush(time_left(observer), final=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
