"""One exporter's queue on disk: an append-only log in segments, of this process alone, and the orphans of processes that are gone.

A record is written before it is exported and leaves when it has arrived: the segment's cursor moves, and a segment that is done with is
deleted. All of it is done in the sink's thread: an append to the page cache takes microseconds, a thread hop takes more.
"""

import contextlib
import errno
import itertools
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from llm_observe._runtime import private
from llm_observe._runtime.frames import OVERHEAD, START
from llm_observe._runtime.guard import Guard, described
from llm_observe._runtime.parcel import Kept, Parcel
from llm_observe._runtime.segment import Foreign, Segment
from llm_observe.errors import SettingsError
from llm_observe.records import AnyRecord
from llm_observe.settings import Settings

LOOK = 10.0  # seconds between two looks for orphans
AGAIN = 1.0  # seconds between two looks at a spool that is full
SLICE = 256 * 1024  # bytes written at once
LARGEST = 16 * 2**20  # bytes of a segment
_NEVER = {errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EINVAL}  # not to be touched, now or later
_NAME = re.compile(r"\d{20}-\d+-\d+\.spool")
_decoder: msgspec.json.Decoder[AnyRecord] = msgspec.json.Decoder(AnyRecord)
_number = itertools.count(1)


class Loaded(NamedTuple):
    """What came back from the disk: parcels, and how many records were lost for what *reason*."""

    parcels: list[Kept]
    lost: int
    reason: str
    adopted: bool


class Spool:
    """The log of one exporter, *directories* [-1], each inside the one before. All that is below *root* shares *limit* bytes.

    ``behind`` is how many of our own records are on disk only, ``trouble`` why the last one that was not kept was not.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        limit: int,
        *,
        guard: Guard,
        within: Sequence[Path] = (),
        wall: Callable[[], int] = time.time_ns,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = root / (re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip(".") or "exporter")
        self.root, self.limit = root, limit
        self.behind = 0
        self.trouble = "spool_io"
        self._directories = [*within, root, self.directory]
        self._largest = max(1, min(LARGEST, limit // 16))
        self._guard, self._wall, self._now = guard, wall, now
        self._own: deque[Segment] = deque()  # oldest first; the last is the one that is written
        self._others: list[Segment] = []
        self._refused: set[str] = set()
        self._budget = 0  # bytes that may be written before the next look at the total
        self._look_again = self._full_until = float("-inf")

    @property
    def size(self) -> int:
        """Bytes on disk of what is ours, records that arrived and whose segment is still there included. Any thread may ask."""
        return sum(segment.end for segment in (*tuple(self._own), *tuple(self._others)))

    # --- in --------------------------------------------------------------------------------------------------------

    def keep(self, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Write *parcels*; those that could not be are returned as they came."""
        kept: list[Parcel] = []
        for some in _slices(parcels, min(SLICE, self._largest - START)):
            try:
                kept += self._append(some)
            except _Full as error:
                kept += self._unkept(some, error, reason="spool_full")
            except OSError as error:
                kept += self._unkept(some, error, reason="spool_io")
        return kept

    def _unkept(self, parcels: Sequence[Parcel], error: OSError, *, reason: str) -> Sequence[Parcel]:
        self.trouble = reason
        self._guard.say(f"spool: {reason}", f"spool {self.directory}: {error.strerror or error}; records wait in memory meanwhile")
        return parcels

    @staticmethod
    def took(parcel: Kept) -> None:
        """*parcel*, which was just kept, stays in memory too. Of the others of its segment none is on disk only."""
        parcel.segment.loaded, parcel.segment.number = parcel.end, parcel.number + 1
        parcel.segment.out += 1

    def _append(self, parcels: Sequence[Parcel]) -> list[Kept]:
        lines = [parcel.line for parcel in parcels]
        size = sum(map(len, lines)) + OVERHEAD * len(lines)
        segment = self._ready(size)
        number = segment.next or 0
        try:
            ends = segment.append(lines)
        except OSError:
            if segment.end == START:
                raise
            segment = self._begin()  # it may have been as large as a file may be here (`ulimit -f`)
            number, ends = 0, segment.append(lines)
        self._budget -= size
        return [Kept(parcel, segment, number + n, end) for n, (parcel, end) in enumerate(zip(parcels, ends, strict=True))]

    def _ready(self, size: int) -> Segment:
        """The segment to write *size* bytes to."""
        if self._budget < size:
            self._budget = self._room(size)
        last = self._own[-1] if self._own else None
        if last is None or not last.writable() or (last.end > START and last.end + size > self._largest):
            return self._begin()
        return last

    def _room(self, size: int) -> int:
        if self._now() < self._full_until:
            raise _Full(f"{self.limit} bytes are in use")
        room = self.limit - sum(_sizes(self.root))
        if room < size:
            self._full_until = self._now() + AGAIN
            raise _Full(f"{self.limit} bytes are in use")
        return min(room, max(size, self._largest))

    def _begin(self) -> Segment:
        directory = private.made(self._directories)
        try:
            while True:
                with contextlib.suppress(FileExistsError):  # another machine's process of our pid, a hasty sweeper
                    name = f"{self._wall():020d}-{os.getpid()}-{next(_number)}.spool"
                    segment = Segment.begun(self.directory / name, directory)
                    break
        finally:
            os.close(directory)
        self._own.append(segment)
        self._budget -= START
        self._sweep()
        return segment

    # --- back ------------------------------------------------------------------------------------------------------

    def load(self, *, orphans: bool) -> Loaded | None:
        """Some of what is on disk only: our own first, then that of processes that are gone, if *orphans* are wanted. None: there is none."""
        for segment in self._own:
            if segment.loaded < segment.end:
                return self._load(segment)
        if not orphans:
            return None
        for segment in self._others:
            if segment.loaded < segment.end:
                return self._load(segment)
        return self._adopt()

    def _load(self, segment: Segment) -> Loaded:
        reason = "spool_corrupt"
        try:
            found, lost = segment.load()
        except OSError as error:
            self._guard.say("spool: reading", f"spool {segment.path}: {described(error)}")
            found, lost, reason = [], segment.skip(), "spool_io"
        parcels = []
        for one in found:
            try:
                record = _decoder.decode(one.line)
            except (msgspec.DecodeError, ValueError, RecursionError):
                segment.out -= 1
                lost += 1
                if one.line.isspace():  # `llm-observe forget` was there
                    reason = "forgotten"
            else:
                parcels.append(Kept(Parcel(record, one.line, 0.0), segment, one.number, one.end))
        if not segment.adopted:
            self.behind -= len(parcels) + lost
        self._sweep()
        return Loaded(parcels, lost, reason, segment.adopted)

    def _adopt(self) -> Loaded | None:
        """Take over the next orphan, if there is one, and begin to read it."""
        now = self._now()
        if now < self._look_again:
            return None
        try:
            orphan = self._orphan()
        except Foreign as error:
            self._guard.say("spool: foreign", f"spool {self.directory}: {described(error)}; it is left alone")
            return Loaded([], 1, "spool_corrupt", adopted=True)
        if orphan is None:
            self._look_again = now + LOOK
            return None
        self._others.append(orphan)
        if orphan.damaged:
            return Loaded([], 1, "spool_corrupt", adopted=True)
        if orphan.loaded < orphan.end:
            return self._load(orphan)
        self._sweep()
        return Loaded([], 0, "", adopted=True)

    def _orphan(self) -> Segment | None:
        ours = {segment.path.name for segment in [*self._own, *self._others]}
        names = sorted(name for name in _names(self.directory) if name not in ours and name not in self._refused)
        if not names:
            return None
        try:
            directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # it has gone since, or is a link that somebody put there
            return None
        try:
            for name in names:
                try:
                    segment = Segment.orphaned(self.directory / name, directory)
                except OSError as error:
                    if error.errno not in _NEVER:
                        continue  # too many open files, no locks here: the next look may fare better
                    self._refused.add(name)
                    raise Foreign(error.errno, f"{name}: {error.strerror}") from error
                if segment is not None:
                    return segment
        finally:
            os.close(directory)
        return None

    def orphans(self) -> bool:
        """Whether there is anything that somebody may have left."""
        return any(True for _ in _names(self.directory))

    # --- out -------------------------------------------------------------------------------------------------------

    def settle(self, parcels: Sequence[Parcel]) -> None:
        """*parcels*, in the order they came in, have arrived or were dropped."""
        kept = [parcel for parcel in parcels if isinstance(parcel, Kept)]
        for segment, some in itertools.groupby(kept, key=lambda parcel: parcel.segment):
            *_, last = several = list(some)
            segment.settle(len(several), last.end, last.number)
        self._sweep()

    def _sweep(self) -> None:
        """Delete what is done with, but for the segment that is written."""
        while len(self._own) > 1 and self._own[0].finished:
            self._own.popleft().close()
        for segment in [one for one in self._others if one.finished]:
            self._others.remove(segment)
            segment.close()

    def release(self) -> None:
        """Let go of everything: what has not arrived is whoever's that comes. In a forked child it stays the parent's."""
        for segment in [*self._own, *self._others]:
            segment.close()
        self._own.clear()
        self._others.clear()
        self.behind = self._budget = 0


class _Full(OSError):
    """The spool has all the bytes it may have."""


def place(settings: Settings) -> tuple[Path, list[Path]]:
    """The root of the spools that *settings* ask for, and the directories around it that are ours too.

    :raises SettingsError: where records must not be kept.
    """
    ours = settings.spool is True
    around = Path(settings.directory)
    root = Path(os.path.abspath((around / "spool" if ours else Path(str(settings.spool))).expanduser()))  # noqa: PTH100 - resolve() would follow a link
    if why := private.refusal(root):
        raise SettingsError(f"spool={settings.spool!r}: {root}: {why}")
    return root, [root.parent] if ours else []


def segments(root: Path) -> list[Path]:
    """The files of all spools below *root*."""
    return [directory / name for directory in sorted(_directories(root)) for name in sorted(_names(directory))]


def _directories(root: Path) -> list[Path]:
    try:
        with os.scandir(root) as entries:
            return [root / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _names(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if _NAME.fullmatch(entry.name)]
    except OSError:
        return []


def _sizes(root: Path) -> Iterator[int]:
    for directory in _directories(root):
        for name in _names(directory):
            with contextlib.suppress(OSError):
                yield (directory / name).lstat().st_size


def _slices(parcels: Sequence[Parcel], most: int) -> Iterator[Sequence[Parcel]]:
    """*parcels* in order, at most *most* bytes of frames at a time, or one that is larger."""
    start = size = 0
    for stop, parcel in enumerate(parcels):
        weight = len(parcel.line) + OVERHEAD
        if size + weight > most and stop > start:
            yield parcels[start:stop]
            start, size = stop, 0
        size += weight
    if start < len(parcels):
        yield parcels[start:]
