"""Directories for their owner only: what is in them are prompts."""

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path


def refusal(directory: Path, *, for_anybody: bool = False) -> str | None:
    """Why nothing is written there, and what to do; None when all is well, or when there is nothing yet.

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


def ignore(directory: int) -> None:
    """Keep git from what is in the open *directory*."""
    with contextlib.suppress(FileExistsError):
        fd = os.open(".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
        try:
            os.write(fd, b"*\n")
        except OSError:  # an empty one would ignore nothing
            os.unlink(".gitignore", dir_fd=directory)
            raise
        finally:
            os.close(fd)


def made(directories: Sequence[Path]) -> int:
    """The last of *directories*, each inside the one before, open. What is missing is made, and kept from other users and from git.

    :raises OSError: when one cannot be made, or is not to be trusted.
    """
    directories[0].parent.mkdir(parents=True, exist_ok=True)
    for directory in directories[:-1]:
        os.close(_made(directory))
    return _made(directories[-1])


def _made(directory: Path) -> int:
    new = False
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
        new = True
    found = opened(directory)
    try:
        if new:
            ignore(found)
    except BaseException:
        os.close(found)
        raise
    return found
