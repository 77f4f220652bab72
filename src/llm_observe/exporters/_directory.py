"""The directory that record files are in: who may write there, and in whose turn.

Writers hold a shared lock on it for as long as one batch takes. Whoever is to change files under them (``llm-observe forget``) holds
it alone for a moment, and leaves a word there while it waits for that. The lock is on the directory itself: nobody can delete it.
"""

import contextlib
import fcntl
import os
import time

from llm_observe._runtime.private import ignore, opened, refusal

__all__ = ["WAITING", "ignore", "leave", "may_write", "opened", "refusal"]

WAITING = ".forgetting"  # there while somebody waits for writers to pause: two that never pause at once would keep him out for ever
LONGEST_WAIT = 30.0  # seconds after which he is taken for dead


def may_write(fd: int) -> bool:
    """Take the shared lock on the directory *fd*; whether it was to be had. A file system without locks has nobody to wait for."""
    if _is_awaited(fd):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _is_awaited(fd: int) -> bool:
    try:
        since = os.stat(WAITING, dir_fd=fd, follow_symlinks=False).st_mtime
    except OSError:
        return False
    return abs(time.time() - since) < LONGEST_WAIT


def leave(fd: int) -> None:
    """Give the lock on the directory *fd* back, and close it. A child that was forked meanwhile has its descriptor, but no lock."""
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)
