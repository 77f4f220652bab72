"""SIGTERM: what is in memory leaves before the process does.

Python dies of SIGTERM without running an exit handler. Servers handle it, stop, and end as they like: some put back the handler
that was there before them and raise the signal anew (uvicorn does), so that what came after the first signal is as lost as if nobody
had handled it. So we join the chain. Where another handler is below ours it goes first, and its owner ends the process: we bring out
what there is, and from then on each record as it comes. Where nobody is below, we bring out everything and die of the signal, as the
process would have: that has a deadline, so that we need not let a second signal cut it short.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class Link:
    """Our handler, with the one below it. ``leave`` is told whether the process ends when it returns."""

    def __init__(self, below: Any, leave: Callable[[bool], object]) -> None:
        self.below, self._leave = below, leave
        self._leaving = False

    def __call__(self, number: int, stack: FrameType | None) -> None:
        on_top: object = signal.getsignal(number)
        if callable(self.below):
            self.below(number, stack)
            self._leave(False)
        elif on_top is not self:  # somebody on top passes it down to us, and has plans of his own
            self._leave(False)
        elif not self._leaving:  # servers say it twice, a millisecond apart: a second one does not cut off what the first began
            self._leaving = True
            self._leave(True)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


def install(leave: Callable[[bool], object]) -> bool:
    """Have SIGTERM call *leave*. Whether that can be: in the main thread only, and where it is neither ignored nor handled outside of Python."""
    if threading.current_thread() is not threading.main_thread():
        return False
    below = signal.getsignal(signal.SIGTERM)
    if isinstance(below, Link):
        return True
    if below is None or below is signal.SIG_IGN:
        return False
    try:
        signal.signal(signal.SIGTERM, Link(below, leave))
    except ValueError:  # a sub-interpreter's main thread is not the one
        return False
    return True


def uninstall() -> None:
    """Put back what was there before, if nobody has come on top of us and it is ours to do."""
    if threading.current_thread() is threading.main_thread():
        here = signal.getsignal(signal.SIGTERM)
        if isinstance(here, Link):
            signal.signal(signal.SIGTERM, here.below)
