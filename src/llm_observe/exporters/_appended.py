"""A file that only this process appends to, a batch of lines at a time: all of it or nothing.

There is no buffer of ours: what ``append`` wrote is the kernel's, and outlives a SIGKILL. The file is locked for as long as it is open,
so that nobody who makes room deletes it; a forked child knows by its pid that the file is not its own.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

SLICE = 256 * 1024  # bytes written at once, so that a big batch is not copied whole
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Appended:
    """A new file at *path*, whose directory is open as *directory*.

    :raises FileExistsError: when there is something at *path*.
    :raises BlockingIOError: when somebody locked the file before we could.
    """

    def __init__(self, path: Path, directory: int) -> None:
        self.path = path
        self._pid = os.getpid()
        self._broken = False
        self._fd = os.open(path.name, FLAGS, 0o600, dir_fd=directory)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise
        except OSError:  # a file system without locks: deleters cannot lock there either, and leave the file alone
            pass
        self._identity = _identity(os.fstat(self._fd))

    def size(self) -> int | None:
        """How many bytes it holds; None when it is ours no more: deleted, renamed, replaced, closed, or our parent's."""
        if self._broken or os.getpid() != self._pid:
            return None
        try:
            held, there = os.fstat(self._fd), self.path.lstat()
        except OSError:
            return None
        return held.st_size if self._identity == _identity(held) == _identity(there) else None

    def append(self, lines: Sequence[bytes], start: int) -> None:
        """Write *lines* at the end, which is at byte *start*; when that fails, leave the file as it was.

        :raises OSError: what kept us from writing.
        """
        try:
            for data in _slices(lines):
                view = memoryview(data)
                while view:
                    view = view[os.write(self._fd, view) :]
        except BaseException:
            try:
                os.ftruncate(self._fd, start)
            except OSError:  # a torn line stays at its end: nothing may follow it
                self._broken = True
            raise

    def close(self) -> None:
        """Let go of it. In a forked child the parent's lock stays."""
        with contextlib.suppress(OSError):
            if self._identity != _identity(os.fstat(self._fd)):
                return  # a daemon closed all its files, and this number is somebody else's now
            if os.getpid() == self._pid:
                fcntl.flock(self._fd, fcntl.LOCK_UN)  # a child may still have it open
        with contextlib.suppress(OSError):
            os.close(self._fd)


def delete_unless_held(path: Path) -> bool:
    """Delete the file at *path* unless a living process holds it; whether it is gone."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(fd)
        return True
    return not os.path.lexists(path)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _slices(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Whole lines with their line ends, about :data:`SLICE` bytes at a time."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line) + 1
        if size >= SLICE:
            yield b"\n".join([*held, b""])
            held, size = [], 0
    if held:
        yield b"\n".join([*held, b""])
