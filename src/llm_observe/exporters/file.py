"""Records as JSON lines in a directory: one file a process, rotated by size, bounded in total.

A batch is in one file, whole, or it is not there and comes back. Writing is done in the sink's loop: a write to the page cache takes
microseconds, a thread hop takes more. A file system that stalls (a dead NFS server) stalls the sink, not the application.
"""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from llm_observe.errors import Rejected, RetryLater, SettingsError
from llm_observe.exporters._appended import Appended, delete_unless_held
from llm_observe.exporters._files import file_name, record_files
from llm_observe.protocols import Batch

_HINTS = {
    errno.EACCES: "Give this process's user write access to it, or name another directory: exporters=['file:/path'].",
    errno.EROFS: "The file system is read-only; name another directory: exporters=['file:/path'].",
    errno.ENOTDIR: "A part of that path is a file; move it away, or name another directory: exporters=['file:/path'].",
    errno.EEXIST: "A part of that path is a file; move it away, or name another directory: exporters=['file:/path'].",
    errno.ENOSPC: "The disk is full; records wait, and are written as soon as there is room.",
    errno.EDQUOT: "The disk quota is used up; records wait, and are written as soon as there is room.",
}


class FileExporter:
    """Writes JSON lines into *directory*, in files ``records-<UTC time>-<pid>-<number>.jsonl`` that sort by age.

    *max_bytes* is the size at which a file is closed and the next one begun (never more than half the total), *total_bytes* the size of
    all files in the directory together, whichever process wrote them: the oldest are deleted, never one that a living process writes.
    With several processes the total may be passed by an eighth of *max_bytes* a process. *clock* gives seconds since the epoch.

    The directory is made with the first record, for its owner only, and with a ``.gitignore`` of its own: records hold prompts.
    Files that are deleted, renamed or moved away are replaced by new ones; a forked child begins its own.

    :raises SettingsError: for sizes below 1, and for a directory that is a symbolic link, no directory, or another user's.
    """

    def __init__(
        self,
        directory: Path | str = ".llm-observe",
        *,
        max_bytes: int = 64 * 2**20,
        total_bytes: int = 2**30,
        clock: Callable[[], float] = time.time,
    ) -> None:
        for name, value in (("max_bytes", max_bytes), ("total_bytes", total_bytes)):
            if value < 1:
                raise SettingsError(f"FileExporter({name}={value}): expected a number of bytes, at least 1.")
        self.directory = Path(os.path.abspath(Path(directory).expanduser()))  # noqa: PTH100 - resolve() would follow a link
        if refusal := _refusal(self.directory):
            raise SettingsError(f"FileExporter({str(directory)!r}): {refusal}")
        self.max_bytes = max(1, min(max_bytes, total_bytes // 2))
        self.total_bytes = total_bytes
        self._step = max(1, self.max_bytes // 8)  # bytes written between two looks at the total
        self._unlooked = 0
        self._clock = clock
        self._file: Appended | None = None
        self._number = 0
        self._unmarked = False

    def __repr__(self) -> str:
        return f"FileExporter({str(self.directory)!r})"

    @property
    def path(self) -> Path | None:
        """The file this process writes now; None before the first record."""
        return self._file.path if self._file is not None else None

    async def export(self, batch: Batch, /) -> None:
        """Append *batch*, all of it or nothing.

        :raises RetryLater: when it cannot be written now: disk full, no permission, directory gone and not to be made again.
        :raises Rejected: when it is larger than this process may make any file (``ulimit -f``).
        """
        if not batch.lines:
            return
        size = sum(map(len, batch.lines)) + len(batch.lines)
        try:
            while True:
                file, start = self._ready(size)
                try:
                    file.append(batch.lines, start)
                except OSError as error:
                    if error.errno != errno.EFBIG:
                        raise
                    if start == 0:
                        raise Rejected(f"{size} bytes are more than a file may have here (ulimit -f).", reason="too_large") from None
                    self._leave()
                else:
                    break
        except OSError as error:
            hint = _HINTS.get(error.errno or 0, "Records wait meanwhile.")
            raise RetryLater(f"cannot write to {self.directory}: {error.strerror or error}. {hint}") from error
        self._unlooked += size

    async def aclose(self) -> None:
        """Close the file and give its lock back. Exporting again begins a new one."""
        self._leave()

    def _ready(self, size: int) -> tuple[Appended, int]:
        """A file of ours with room for *size* bytes, and where its end is."""
        start = self._file.size() if self._file is not None else None
        if start is None or (start and start + size > self.max_bytes):
            self._leave()
            self._file, start = self._begin(), 0
            self._unlooked = self._step
        if self._unlooked + size > self._step:
            self._make_room(max(size, self._step))
            self._unlooked = 0
        assert self._file is not None
        return self._file, start

    def _leave(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _begin(self) -> Appended:
        directory = self._open_directory()
        try:
            while True:
                self._number += 1
                with contextlib.suppress(FileExistsError, BlockingIOError):  # another machine's process of our pid, a hasty deleter
                    return Appended(self.directory / file_name(self._clock(), os.getpid(), self._number), directory)
        finally:
            os.close(directory)

    def _open_directory(self) -> int:
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            self.directory.mkdir(mode=0o700)
            self._unmarked = True
        if refusal := _refusal(self.directory):
            raise PermissionError(errno.EPERM, refusal)
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if self._unmarked:
                _ignore(directory)
                self._unmarked = False
        except BaseException:
            os.close(directory)
            raise
        return directory

    def _make_room(self, size: int) -> None:
        """Delete the oldest files until *size* more bytes fit into the total."""
        sizes = {}
        for path in record_files(self.directory):
            with contextlib.suppress(OSError):
                sizes[path] = path.stat().st_size
        total = sum(sizes.values()) + size
        for path, freed in sizes.items():
            if total <= self.total_bytes:
                break
            if path != self.path and delete_unless_held(path):
                total -= freed


def _refusal(directory: Path) -> str | None:
    """Why no records go there, and what to do; None when all is well, or when there is nothing yet."""
    try:
        found = directory.lstat()
    except OSError:
        return None
    if stat.S_ISLNK(found.st_mode):
        return f"it is a symbolic link, which somebody else may turn elsewhere. Name the directory itself: {directory.resolve()}"
    if not stat.S_ISDIR(found.st_mode):
        return "there is something of that name that is not a directory. Move it away, or name another directory."
    if found.st_uid not in {os.geteuid(), 0}:
        return (
            f"it belongs to another user (uid {found.st_uid}, we are {os.geteuid()}). Name a directory of this user, or change its owner."
        )
    return None


def _ignore(directory: int) -> None:
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
