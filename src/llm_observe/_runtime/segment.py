"""One file of a spool: written at its end, read from where its cursor stands.

Nothing is buffered: what ``append`` wrote is the kernel's, and outlives a SIGKILL. The file is locked for as long as somebody has it
open, so a segment that can be locked is an orphan. A forked child knows by its pid that a segment is not its own.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from llm_observe._runtime import frames
from llm_observe._runtime.frames import START

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
CHUNK = 64 * 1024  # bytes read at once


class Foreign(OSError):
    """A file that is none of ours, or that another version wrote."""


class Segment:
    """The file at *path*, open and locked as *fd*, and what we know of it.

    ``end`` is its size, ``loaded`` where the first record is that is on disk only, ``number`` that record's, ``next`` the number of the
    record to be written next (None when others wrote it), ``out`` how many of its records are in memory and have not arrived.
    """

    def __init__(self, path: Path, fd: int, *, size: int, loaded: int, number: int, following: int | None) -> None:
        self.path, self.fd = path, fd
        self.end, self.loaded, self.number, self.next = size, loaded, number, following
        self.out = 0
        self.broken = False
        self._pid = os.getpid()
        found = os.fstat(fd)
        self._identity = found.st_dev, found.st_ino

    @property
    def adopted(self) -> bool:
        """Whether another process wrote it, or an earlier observer of this one."""
        return self.next is None

    @property
    def finished(self) -> bool:
        """Whether all that was in it has arrived, or was dropped."""
        return self.loaded >= self.end and not self.out

    @classmethod
    def begun(cls, path: Path, directory: int) -> "Segment":
        """A new one at *path*, whose directory is open as *directory*.

        :raises FileExistsError: when there is something at *path*, or was until just now.
        :raises OSError: when it cannot be made.
        """
        fd = os.open(path.name, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
        try:
            with contextlib.suppress(OSError):  # no locks here: then nobody takes it for an orphan either
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            head = frames.header()
            if os.pwrite(fd, head, 0) < len(head):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if not os.fstat(fd).st_nlink:  # somebody found it empty, and swept it away
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            return cls(path, fd, size=START, loaded=START, number=0, following=0)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(path.name, dir_fd=directory)
            os.close(fd)
            raise

    @classmethod
    def orphaned(cls, path: Path, directory: int) -> "Segment | None":
        """The one at *path* if nobody has it; None when somebody has, or it is gone.

        :raises Foreign: for a file that is not to be touched.
        :raises OSError: when it cannot be read.
        """
        try:
            fd = os.open(path.name, _FLAGS, dir_fd=directory)
        except FileNotFoundError:
            return None
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                raise Foreign(errno.EPERM, "not a file of this user")
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found, head = os.fstat(fd), os.pread(fd, START, 0)
            if not found.st_nlink:
                os.close(fd)
                return None
            if frames.version(head) not in {frames.VERSION, None}:
                raise Foreign(errno.EINVAL, "another version's")
            loaded, number = frames.resume(head)
            return cls(path, fd, size=found.st_size, loaded=min(loaded, found.st_size), number=number, following=None)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise

    @property
    def damaged(self) -> bool:
        """Whether its header cannot be read. Its records may be whole all the same."""
        return 0 < self.end and frames.version(os.pread(self.fd, START, 0)) is None

    def writable(self) -> bool:
        """Whether what is written there can be found again: it may have been deleted."""
        return not self.broken and os.fstat(self.fd).st_nlink > 0

    def append(self, lines: Sequence[bytes]) -> list[int]:
        """Write *lines*, all or none; return where each ends. The first has the number that ``next`` had.

        :raises OSError: what kept us from it.
        """
        assert self.next is not None
        ends, pieces, at = [], [], self.end
        for number, line in enumerate(lines, self.next):
            pieces.append(frames.frame(line, number))
            at += len(pieces[-1])
            ends.append(at)
        data = b"".join(pieces)
        try:
            if os.pwrite(self.fd, data, self.end) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except BaseException:
            try:
                os.ftruncate(self.fd, self.end)
            except OSError:  # a torn frame stays at its end
                self.broken = True
            raise
        self.end, self.next = at, self.next + len(lines)
        return ends

    def load(self) -> tuple[list[frames.Frame], int]:
        """The next frames that are on disk only, their ends as places in the file; and how many records damage has cost.

        :raises OSError: when it cannot be read; the next attempt tries again.
        """
        first, size = self.number, CHUNK
        while True:
            data = os.pread(self.fd, min(size, self.end - self.loaded), self.loaded)
            left = self.end - self.loaded if len(data) == min(size, self.end - self.loaded) else len(data)  # it may have been cut short
            found = frames.read(data, self.number, left)
            if found.frames or found.used or left <= len(data):
                break
            size = max(found.more, 2 * size)
        start = self.loaded
        self.loaded = self.end if left <= len(data) else start + found.used
        self.number = found.number if self.loaded < self.end or self.next is None else self.next
        lost = found.lost if self.next is None else self.number - first - len(found.frames)
        self.out += len(found.frames)
        return [one._replace(end=start + one.end) for one in found.frames], lost

    def skip(self) -> int:
        """Give up what is on disk only; return how many records that costs, one at the least."""
        lost = 1 if self.next is None else self.next - self.number
        self.loaded, self.number = self.end, self.number + lost
        return lost

    def settle(self, count: int, end: int, number: int) -> None:
        """*count* of the records in memory are done with, the last of them ends at *end* and has *number*.

        A cursor that cannot be written has the records sent again, and is no reason to stop.
        """
        self.out -= count
        with contextlib.suppress(OSError):
            os.pwrite(self.fd, frames.cursor(end, number + 1), frames.CURSOR_AT)

    def close(self) -> None:
        """Let go of it: delete it when it is finished, leave it to whoever comes otherwise. In a forked child the parent's stays as it is."""
        with contextlib.suppress(OSError):
            found = os.fstat(self.fd)
            if self._identity != (found.st_dev, found.st_ino):
                return  # a daemon closed all its files, and this number is somebody else's now
            if os.getpid() == self._pid:
                if self.finished:
                    with contextlib.suppress(OSError):
                        there = self.path.lstat()
                        if self._identity == (there.st_dev, there.st_ino):
                            self.path.unlink()
                fcntl.flock(self.fd, fcntl.LOCK_UN)  # a child may still have it open
        with contextlib.suppress(OSError):
            os.close(self.fd)
