"""Take what belongs to somebody out of the segments of a spool, where they are: their writers know every record by its place.

A record is blanked: its frame stays, with its number and its length, and holds spaces. That can be done while its process lives, and
whoever comes to it counts it as forgotten. What a living process has in memory besides is on its way out, and not to be reached.
"""

import errno
import fcntl
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from llm_observe._runtime import frames
from llm_observe._runtime.spool import segments
from llm_observe.errors import ObserveError
from llm_observe.exporters._forget import Choice, Removed

Part = tuple[int, bytes, int | None]  # a place in a file, what is there, and a frame's number; None for what is no frame


def look(root: Path, choice: Choice) -> None:
    """Have *choice* take note of the requests in the spools below *root*.

    :raises OSError: when one cannot be read.
    """
    for path in segments(root):
        for _, line, _ in _parts(_read(path, os.O_RDONLY)[1]):
            choice.look(line)


def blank(root: Path, choice: Choice, *, dry_run: bool = False) -> list[Removed]:
    """Blank what is in *choice* in the spools below *root*. What was, by file.

    :raises ObserveError: when there is a file that another version wrote; all others are seen to then.
    :raises OSError: when one cannot be read or written.
    """
    found, strange = [], []
    for path in segments(root):
        fd, data = _read(path, os.O_RDONLY if dry_run else os.O_RDWR, keep=True)
        try:
            if frames.version(data) not in {frames.VERSION, None}:
                strange.append(path)
            elif (removed := _blank(fd, data, path, choice, dry_run=dry_run)).size:
                found.append(removed)
        finally:
            if fd >= 0:
                os.close(fd)
    if strange:
        raise ObserveError(f"{strange[0]} is another version's and was left alone: start the app of that version, or delete the file.")
    return found


def _blank(fd: int, data: bytes, path: Path, choice: Choice, *, dry_run: bool) -> Removed:
    removed = Removed(f"{path.parent.name}/{path.name}", Counter(), 0)
    for at, line, number in _parts(data, whole=_orphaned(fd, data)):
        if not line.strip(b" \0") or line not in choice:
            continue
        removed.add(line)
        if not dry_run:
            new = bytes(len(line)) if number is None else frames.frame(b" " * len(line), number)
            os.pwrite(fd, new, at if number is None else at - frames.OVERHEAD)
    if removed.size and not dry_run:
        os.fsync(fd)
    return removed


def _orphaned(fd: int, data: bytes) -> bool:
    """Whether no process has it, none that lives. It is ours until we close it; a file without a header is about to be somebody's."""
    if len(data) < frames.START:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _parts(data: bytes, *, whole: bool = False) -> Iterator[Part]:
    """The frames of a segment, and what lies between them; of a *whole* one also what comes after the last. Else that may become one yet."""
    at = frames.START
    for one in frames.read(data[at:], 0, len(data) - at).frames:
        end = frames.START + one.end
        begin = end - len(one.line)
        if at < begin - frames.OVERHEAD:
            yield at, data[at : begin - frames.OVERHEAD], None
        yield begin, one.line, one.number
        at = end
    if whole and at < len(data):
        yield at, data[at:], None


def _read(path: Path, way: int, *, keep: bool = False) -> tuple[int, bytes]:
    """The file at *path*, open if it is to be kept, and what is in it; nothing, where there is no file of that name (any more)."""
    try:
        fd = os.open(path, way | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.EISDIR, errno.ELOOP}:  # a link is nobody's spool
            return -1, b""
        raise
    try:
        found = os.fstat(fd)
        data = os.pread(fd, found.st_size, 0) if stat.S_ISREG(found.st_mode) else b""
    except BaseException:
        os.close(fd)
        raise
    if not keep:
        os.close(fd)
    return fd, data
