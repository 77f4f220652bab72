"""Take what belongs to somebody out of a directory of record files, also while others write there.

First, alone in the directory for a moment: the subjects go onto the list of the forgotten, which every writer reads before its next
batch, and files that are being written are renamed, so that their writers go on in new ones. After that nobody writes to the files we
have: each that has something to remove is written anew beside the old one and put in its place. Whenever that is broken off, every
file is there, old or new, and the same again finishes it.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from llm_observe.errors import ObserveError
from llm_observe.exporters._directory import WAITING, leave, opened
from llm_observe.exporters._files import file_name, leftover_files, part_name, record_files
from llm_observe.exporters._forgotten import KEY, LIST, Belonging, Joined, Subject, listed, read

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
KEY_BYTES = 32
PATIENCE, TURN = 10.0, 0.01  # seconds we wait for writers, each of which is done in no time; and between two tries


class Removed(msgspec.Struct):
    """What was removed from one file, by kind of record. ``unreadable`` are lines that are none, and in which a subject is named."""

    name: str
    kinds: Counter[str]
    size: int
    unreadable: int = 0

    def add(self, line: bytes) -> None:
        """*line* goes."""
        self.size += len(line)
        if (one := belonging(line)) is None:
            self.unreadable += 1
        else:
            self.kinds[one.kind if one.kind in {"call", "request", "step"} else "other"] += 1


class _Scope(msgspec.Struct):
    user_id: str | None = None
    session_id: str | None = None


class _Line(msgspec.Struct):
    """As much of a record as it takes to know to whom it belongs."""

    kind: str
    trace_id: str | None = None
    request_id: str | None = None
    scope: _Scope | None = None


_line_of = msgspec.json.Decoder(_Line)


def forget(directory: Path, subjects: Collection[Subject], *, dry_run: bool = False, choice: "Choice | None" = None) -> list[Removed]:
    """Remove the records of *subjects* from *directory*, and have none of them written there again.

    With a request go all its records; *choice* may know requests from elsewhere already. With *dry_run* nothing is changed. What was
    removed, by file, oldest first.

    :raises ObserveError: when another process does the same, writers do not give way, or the file system has no locks.
    :raises OSError: when something cannot be read or written.
    """
    with ExitStack() as stack:
        fd = opened(directory, for_anybody=True)
        if dry_run:
            stack.callback(os.close, fd)
            paths = record_files(directory)
        else:
            stack.callback(leave, fd)
            key = stack.enter_context(_alone(fd, directory))
            with _writers_waiting(fd, directory):
                _put_on_list(fd, listed(subjects, key))
                paths = [_out_of_use(path, fd) for path in record_files(directory)]
            for path in leftover_files(directory):
                path.unlink(missing_ok=True)
        choice = Choice(subjects) if choice is None else choice
        for path in paths:
            for line in _lines(path):
                choice.look(line)
        found = [(path, _count(path, choice)) for path in paths]
        hit = [(path, removed) for path, removed in found if removed.size]
        if not dry_run:
            for path, _ in hit:
                _rewrite(path, fd, choice)
            os.fsync(fd)
    return [removed for _, removed in hit]


def lift(directory: Path, subjects: Collection[Subject]) -> int:
    """Take *subjects* off the list, so that their records are written again; how many were on it.

    :raises ObserveError: as :func:`forget`.
    :raises OSError: when something cannot be read or written.
    """
    fd = opened(directory, for_anybody=True)
    try:
        with _alone(fd, directory) as key, _writers_waiting(fd, directory):
            before, off = _list(fd), listed(subjects, key)
            if before & off:
                _write_list(fd, before - off)
            return len(before & off)
    finally:
        leave(fd)


class Choice:
    """Which lines go: those of *subjects*, and what else belongs to the requests that were looked at and found to be theirs."""

    def __init__(self, subjects: Collection[Subject]) -> None:
        self._subjects = frozenset(subjects)
        self._joined = Joined()
        self._names = [re.escape(_quoted(subject.id)) for subject in self._subjects]
        self._torn: re.Pattern[bytes] | None = None

    def look(self, line: bytes) -> None:
        """Take note of the request of *line*, if that is a subject's."""
        one = belonging(line)
        if one is not None and self._named(one):
            self._joined.add(one)
            self._torn = None

    def __contains__(self, line: bytes) -> bool:
        one = belonging(line)
        if one is None:
            if self._torn is None:
                traces = [re.escape(trace.encode()) for trace in self._joined.traces]
                self._torn = re.compile(b"|".join([*self._names, *traces]))
            return self._torn.search(line) is not None
        return self._named(one) or one in self._joined

    def _named(self, one: Belonging) -> bool:
        return not self._subjects.isdisjoint(one.subjects())


def belonging(line: bytes) -> Belonging | None:
    """To whom the record in *line* belongs; None when there is none in it."""
    try:
        facts = _line_of.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _leniently(line)
    scope = facts.scope or _Scope()
    return Belonging(scope.user_id, scope.session_id, facts.request_id, facts.trace_id, facts.kind)


def _leniently(line: bytes) -> Belonging | None:
    """The same of what a stricter reader refuses: a lone surrogate, a field of another type."""
    try:
        facts: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(facts, dict):
        return None
    scope = facts.get("scope")
    scope = scope if isinstance(scope, dict) else {}
    found = (scope.get("user_id"), scope.get("session_id"), facts.get("request_id"), facts.get("trace_id"), facts.get("kind"))
    return Belonging(*(one if isinstance(one, str) else None for one in found))


def _quoted(text: str) -> bytes:
    """*text* as it stands in a line, without its quotes."""
    return msgspec.json.encode(text.encode("utf-8", "replace").decode())[1:-1]


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of *path*, with their line ends; none when it has gone meanwhile."""
    with contextlib.suppress(FileNotFoundError), _open(path, os.O_RDONLY) as file:
        yield from file


def _open(path: Path, way: int = os.O_RDWR) -> BinaryIO:
    return os.fdopen(os.open(path, way | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def _count(path: Path, choice: Choice) -> Removed:
    removed = Removed(path.name, Counter(), 0)
    for line in _lines(path):
        if line in choice:
            removed.add(line)
    return removed


# --- files -----------------------------------------------------------------------------------------------------------


@contextmanager
def _alone(directory: int, path: Path) -> Iterator[bytes]:
    """Be the only one who forgets there; the key of the list."""
    fd = os.open(KEY, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    with os.fdopen(fd, "rb+") as file:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ObserveError(f"another process is forgetting somebody in {path}; try again when it has finished.") from None
        except OSError as error:
            raise _no_locks(path) from error
        key = file.read()
        if len(key) < KEY_BYTES:  # there was none, or it was broken off
            key = secrets.token_bytes(KEY_BYTES)
            _give(fd, os.fstat(directory))
            os.pwrite(fd, key, 0)
            os.fsync(fd)
        yield key


@contextmanager
def _writers_waiting(directory: int, path: Path, now: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Be where nobody writes a batch. Who is about to begin one sees that we wait, and waits for us."""
    until = now() + PATIENCE
    waiting = os.open(WAITING, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        _give(waiting, os.fstat(directory))
        os.utime(waiting)  # it may be there from one who was killed
        yield from _locked(directory, path, until, now)
    finally:
        os.close(waiting)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(WAITING, dir_fd=directory)


def _locked(directory: int, path: Path, until: float, now: Callable[[], float]) -> Iterator[None]:
    """Hold the directory's lock alone, once it is to be had."""
    while True:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if now() > until:
                raise ObserveError(f"a process has been writing to {path} for {PATIENCE:.0f} s without a pause; try again.") from None
            time.sleep(TURN)
        except OSError as error:
            raise _no_locks(path) from error
    try:
        yield
    finally:
        fcntl.flock(directory, fcntl.LOCK_UN)


def _no_locks(path: Path) -> ObserveError:
    return ObserveError(f"the file system of {path} has no locks: stop the app, move the directory to a local disk, and forget there.")


def _put_on_list(directory: int, digests: set[str]) -> None:
    before = _list(directory)
    if not digests <= before:
        _write_list(directory, before | digests)


def _list(directory: int) -> set[str]:
    with contextlib.suppress(FileNotFoundError):
        return set(read(directory, LIST).decode("ascii", "replace").split())
    return set()


def _write_list(directory: int, digests: set[str]) -> None:
    part = part_name(LIST)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part, dir_fd=directory)
    _put(directory, part, "".join(f"{one}\n" for one in sorted(digests)).encode())
    os.rename(part, LIST, src_dir_fd=directory, dst_dir_fd=directory)
    os.fsync(directory)


def _put(directory: int, name: str, data: bytes) -> None:
    """Make the file *name*, whole and on the disk, for whom the directory belongs to."""
    owner = os.fstat(directory)
    with os.fdopen(os.open(name, NEW, 0o600, dir_fd=directory), "wb") as file:
        _give(file.fileno(), owner)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _give(fd: int, to: os.stat_result) -> None:
    """Have *fd* belong to whom *to* belongs: root may forget for somebody."""
    if os.geteuid() != to.st_uid:
        os.fchown(fd, to.st_uid, to.st_gid)


def _out_of_use(path: Path, directory: int) -> Path:
    """*path*; under another name where a living process has it open for writing: that one begins a new file."""
    with contextlib.suppress(FileNotFoundError), _open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            began, number = path.name.split("-")[1], 1
            while (free := path.with_name(re.sub(r"\d{8}T\d{6}", began, file_name(0, os.getpid(), number)))).exists():
                number += 1
            os.rename(path.name, free.name, src_dir_fd=directory, dst_dir_fd=directory)
            return free
    return path


def _rewrite(path: Path, directory: int, choice: Choice) -> None:
    """Write *path* anew without what goes, and put that in its place; where nothing is left, remove it."""
    part = part_name(path.name)
    try:
        old = _open(path)
    except FileNotFoundError:  # somebody made room
        return
    with old:
        with contextlib.suppress(BlockingIOError):  # whoever still has it open has lost its name
            fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
        before = os.fstat(old.fileno())
        with os.fdopen(os.open(part, NEW, 0o600, dir_fd=directory), "wb") as new:
            _give(new.fileno(), before)
            for line in old:
                if line not in choice:
                    new.write(line)
            new.flush()
            left = new.tell()
            os.fsync(new.fileno())
            os.utime(new.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))  # it is as old as what is in it
        if left:
            os.rename(part, path.name, src_dir_fd=directory, dst_dir_fd=directory)
        else:
            os.unlink(path.name, dir_fd=directory)
            os.unlink(part, dir_fd=directory)
        if os.fstat(old.fileno()).st_nlink == 0:
            os.ftruncate(old.fileno(), 0)  # whoever has it open still could read it
