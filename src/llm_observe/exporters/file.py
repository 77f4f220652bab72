"""Records as JSON lines in a directory: one file a process, rotated by size, bounded in total.

A batch is in one file, whole, or it is not there and comes back. Writing is done in the sink's loop: a write to the page cache takes
microseconds, a thread hop takes more. A file system that stalls (a dead NFS server) stalls the sink, not the application.
"""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio

from llm_observe.errors import Rejected, RetryLater, SettingsError
from llm_observe.exporters._appended import Appended, delete_unless_held
from llm_observe.exporters._directory import ignore, leave, may_write, opened, refusal
from llm_observe.exporters._files import file_name, leftover_files, record_files
from llm_observe.exporters._forgotten import Sieve
from llm_observe.protocols import Batch

_DAY, _HOUR = 86400.0, 3600.0
_TURNS, _TURN = 100, 0.01  # how often, and every how many seconds, we look whether it is our turn to write

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
    With several processes the total may be passed by an eighth of *max_bytes* a process.

    Files that nothing was written to for *keep_days* days are deleted, with the first record, with each new file, and once an hour in
    which records come. A file is closed when it is a day old, so that no record stays for more than a day longer than it should.
    *clock* gives seconds since the epoch.

    The directory is made with the first record, for its owner only, and with a ``.gitignore`` of its own: records hold prompts.
    Files that are deleted, renamed or moved away are replaced by new ones; a forked child begins its own. Whom ``llm-observe forget``
    was told to forget is not written about again: those records are counted as ``forgotten``.

    :raises SettingsError: for sizes and days below 1, and for a directory that is a symbolic link, no directory, or another user's.
    """

    def __init__(
        self,
        directory: Path | str = ".llm-observe",
        *,
        max_bytes: int = 64 * 2**20,
        total_bytes: int = 2**30,
        keep_days: float = 30,
        clock: Callable[[], float] = time.time,
    ) -> None:
        for name, value in (("max_bytes", max_bytes), ("total_bytes", total_bytes)):
            if value < 1:
                raise SettingsError(f"FileExporter({name}={value}): expected a number of bytes, at least 1.")
        if not keep_days >= 1:
            raise SettingsError(f"FileExporter(keep_days={keep_days}): expected a number of days, at least 1.")
        self.directory = Path(os.path.abspath(Path(directory).expanduser()))  # noqa: PTH100 - resolve() would follow a link
        if said := refusal(self.directory):
            raise SettingsError(f"FileExporter({str(directory)!r}): {said}")
        self.max_bytes = max(1, min(max_bytes, total_bytes // 2))
        self.total_bytes = total_bytes
        self.keep_days = keep_days
        self._step = max(1, self.max_bytes // 8)  # bytes written between two looks at the total
        self._unlooked = 0
        self._looked = self._begun = 0.0  # when we looked for what is too old, and when our file was begun
        self._clock = clock
        self._file: Appended | None = None
        self._number = 0
        self._unmarked = False
        self._sieve = Sieve()

    def __repr__(self) -> str:
        return f"FileExporter({str(self.directory)!r})"

    @property
    def path(self) -> Path | None:
        """The file this process writes now; None before the first record."""
        return self._file.path if self._file is not None else None

    async def export(self, batch: Batch, /) -> None:
        """Append *batch*, all of it or nothing; but for what belongs to somebody who is forgotten here.

        :raises RetryLater: when it cannot be written now: disk full, no permission, directory gone and not to be made again.
        :raises Rejected: when it is larger than this process may make any file (``ulimit -f``), or when some of it was left out.
        """
        if not batch.lines:
            return
        try:
            directory = await self._enter()
            try:
                lines = self._sieve.kept(directory, batch)
                if lines:
                    self._write(lines, directory)
            finally:
                leave(directory)
        except OSError as error:
            hint = _HINTS.get(error.errno or 0, "Records wait meanwhile.")
            raise RetryLater(f"cannot write to {self.directory}: {error.strerror or error}. {hint}") from error
        if left_out := len(batch.lines) - len(lines):
            raise Rejected(
                f"{left_out} records of whom {self.directory} was told to forget were not written.", reason="forgotten", count=left_out
            )

    async def aclose(self) -> None:
        """Close the file and give its lock back. Exporting again begins a new one."""
        self._leave()

    async def _enter(self) -> int:
        """The directory, open, and with the right to write there until :func:`leave`."""
        directory = self._open_directory()
        try:
            for _ in range(_TURNS):
                if may_write(directory):
                    return directory
                await anyio.sleep(_TURN)
        except BaseException:
            os.close(directory)
            raise
        os.close(directory)
        raise RetryLater(f"another process changes files in {self.directory} (`llm-observe forget`). Records wait meanwhile.")

    def _write(self, lines: Sequence[bytes], directory: int) -> None:
        size = sum(map(len, lines)) + len(lines)
        while True:
            file, start = self._ready(size, directory)
            try:
                file.append(lines, start)
            except OSError as error:
                if error.errno != errno.EFBIG:
                    raise
                if start == 0:
                    raise Rejected(f"{size} bytes are more than a file may have here (ulimit -f).", reason="too_large") from None
                self._leave()
            else:
                break
        self._unlooked += size

    def _ready(self, size: int, directory: int) -> tuple[Appended, int]:
        """A file of ours with room for *size* bytes, and where its end is."""
        now = self._clock()
        start = self._file.size() if self._file is not None else None
        if start is None or (start and (start + size > self.max_bytes or abs(now - self._begun) >= _DAY)):
            self._leave()
            self._file, start = self._begin(now, directory), 0
            self._unlooked = self._step
            self._begun = now
        if self._unlooked + size > self._step or abs(now - self._looked) >= _HOUR:
            self._retire(now)
            self._make_room(max(size, self._step))
            self._unlooked = 0
            self._looked = now
        assert self._file is not None
        return self._file, start

    def _leave(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _begin(self, now: float, directory: int) -> Appended:
        while True:
            self._number += 1
            with contextlib.suppress(FileExistsError, BlockingIOError):  # another machine's process of our pid, a hasty deleter
                return Appended(self.directory / file_name(now, os.getpid(), self._number), directory)

    def _open_directory(self) -> int:
        """The directory; made when there is none."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            self.directory.mkdir(mode=0o700)
            self._unmarked = True
        directory = opened(self.directory)
        try:
            if self._unmarked:
                ignore(directory)
                self._unmarked = False
        except BaseException:
            os.close(directory)
            raise
        return directory

    def _retire(self, now: float) -> None:
        """Delete the files that nothing was written to for longer than they are to be kept."""
        for path in (*record_files(self.directory), *leftover_files(self.directory)):
            with contextlib.suppress(OSError):
                if path != self.path and now - path.stat().st_mtime > self.keep_days * _DAY:
                    delete_unless_held(path)

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
