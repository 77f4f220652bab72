"""The directory that record files are in: who may write there, and in whose turn.

Writers hold a shared lock on it for as long as one batch takes. Whoever is to change files under them (``llm-observe forget``) holds
it alone for a moment. The lock is on the directory itself: it leaves nothing behind, and nobody can delete it.
"""

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path


def refusal(directory: Path, *, for_anybody: bool = False) -> str | None:
    """Why no records go there, and what to do; None when all is well, or when there is nothing yet.

    With *for_anybody* it may be another user's: root looks after somebody's files, and gives him what is new.
    """
    try:
        found = directory.lstat()
    except OSError:
        return None
    if stat.S_ISLNK(found.st_mode):
        return f"it is a symbolic link, which somebody else may turn elsewhere. Name the directory itself: {directory.resolve()}"
    if not stat.S_ISDIR(found.st_mode):
        return "there is something of that name that is not a directory. Move it away, or name another directory."
    return None if for_anybody else _foreign(found)


def _foreign(found: os.stat_result) -> str | None:
    if found.st_uid in {os.geteuid(), 0}:
        return None
    return f"it belongs to another user (uid {found.st_uid}, we are {os.geteuid()}). Name a directory of this user, or change its owner."


def opened(directory: Path, *, for_anybody: bool = False) -> int:
    """A descriptor of *directory* itself, looked at again now that nobody can swap it. *for_anybody* as for :func:`refusal`.

    :raises OSError: when it cannot be opened, or when it is one that is refused.
    """
    said = refusal(directory, for_anybody=for_anybody)
    if said is None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        said = None if for_anybody else _foreign(os.fstat(fd))
        if said is None:
            return fd
        os.close(fd)
    raise PermissionError(errno.EPERM, said)


def may_write(fd: int) -> bool:
    """Take the shared lock on the directory *fd*; whether it was to be had. A file system without locks has nobody to wait for."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def leave(fd: int) -> None:
    """Give the lock on the directory *fd* back, and close it. A child that was forked meanwhile has its descriptor, but no lock."""
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


def ignore(directory: int) -> None:
    """Keep git from the records: they hold prompts."""
    with contextlib.suppress(FileExistsError):
        fd = os.open(".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
        try:
            os.write(fd, b"*\n")
        except OSError:  # an empty one would ignore nothing
            os.unlink(".gitignore", dir_fd=directory)
            raise
        finally:
            os.close(fd)
