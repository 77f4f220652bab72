"""The event stream of AWS out of bytes: frames with two checksums, one for their lengths and one for all.

Each event is given on as a JSON object of one member, its type, whose value is the payload as it came (``{}`` where there is none):
``{"messageStop":{"stopReason":"end_turn"}}``. Exceptions look the same, and are known by their type: ``{"throttlingException":{...}}``. What
the protocol calls an error, which has headers only, is ``{"error":{"code":...,"message":...}}``.

A damaged frame is left out. Where the lengths themselves are damaged, the next place where they are right is looked for, as it is behind
a gap. Time is linear in the bytes, however they are cut.
"""

import re
import struct
import zlib
from functools import lru_cache

import msgspec

MAX_FRAME = 24 * 1024 * 1024
MAX_HEADERS = 128 * 1024
_PRELUDE = struct.Struct(">III")  # length of the frame, length of its headers, checksum of the two
_CHECKSUM = 4
_LEAST = _PRELUDE.size + _CHECKSUM

# What may be a prelude by the lengths that are possible. The checksum of one takes 0.4 us, of all places in a large body too long.
_MAYBE = re.compile(rb"[\x00\x01](?=.{3}\x00[\x00-\x02].{6})", re.DOTALL)
_MOST_LOOKS = 100_000

_SHORT = 512  # bytes of headers that are remembered: those of a stream are the same again and again
_STRING = 7
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  # of the values of headers by their type: flags, numbers, instants, UUIDs
_SIZED = frozenset({6, _STRING})  # those that tell their size


class EventStream:
    """Frames, fed piece by piece. *behind_gap*: the first bytes may be the rest of one whose beginning was left out."""

    __slots__ = ("_damaged", "_held", "_looks", "_lost", "_need", "_size", "_skipped", "_skipping")

    def __init__(self, *, behind_gap: bool = False) -> None:
        self._held: list[bytes] = []  # joined only when there is enough, so no byte is copied more than a few times
        self._size, self._need = 0, _PRELUDE.size
        self._lost = behind_gap  # we do not know where the next frame begins
        self._skipping = not behind_gap  # whether what is passed over is a loss
        self._looks = _MOST_LOOKS
        self._damaged = self._skipped = 0

    @property
    def problem(self) -> str | None:
        """What was left out."""
        said = [f"{count} {name}{'s' * (count != 1)}" for count, name in ((self._damaged, "event"), (self._skipped, "byte")) if count]
        return f"event stream damaged: {' and '.join(said)} left out" if said else None

    def feed(self, data: bytes) -> list[bytes]:
        """The events that *data* completes."""
        self._held.append(data)
        self._size += len(data)
        if self._size < self._need:
            return []
        data = b"".join(self._held)
        found, at = self._frames(data)
        self._held, self._size = [data[at:]], len(data) - at
        return found

    def close(self) -> list[bytes]:
        """Nothing: a frame without its end is none."""
        if self._lost:
            self._skip(self._size)
        self._held, self._size = [], 0
        return []

    def _frames(self, data: bytes) -> tuple[list[bytes], int]:
        """The events of the frames that are whole, and where the first one begins that is not."""
        found: list[bytes] = []
        at, end = 0, len(data)
        while True:
            if self._lost:
                at = self._searched(data, at)
            self._need = _PRELUDE.size
            if self._lost or end - at < _PRELUDE.size:
                return found, at
            lengths = _lengths(data, at)
            if lengths is None:
                self._lost = True
                continue
            length, headers = lengths
            if end - at < length:
                self._need = length
                return found, at
            event = _event(data[at : at + length], headers)
            if event is None:
                self._damaged += 1
            else:
                found.append(event)
            at += length

    def _searched(self, data: bytes, at: int) -> int:
        """The next place where a prelude is right; else where there is too little to tell."""
        start, end = at, max(at, len(data) - _PRELUDE.size + 1)
        while self._lost and at < end:
            maybe = _MAYBE.search(data, at) if self._looks else None
            if maybe is None:
                at = end
            elif _lengths(data, maybe.start()) is None:
                self._looks -= 1
                at = maybe.start() + 1
            else:
                self._lost, at = False, maybe.start()
        self._skip(at - start)
        if not self._lost:
            self._skipping = True
        return at

    def _skip(self, size: int) -> None:
        if self._skipping:
            self._skipped += size


def begins(data: bytes) -> bool:
    """Whether *data* begins with a frame."""
    return len(data) >= _PRELUDE.size and _lengths(data, 0) is not None


def _lengths(data: bytes, at: int) -> tuple[int, int] | None:
    """Of the frame and of its headers; nothing where no frame begins there."""
    length, headers, checksum = _PRELUDE.unpack_from(data, at)
    if not _LEAST <= length <= MAX_FRAME or headers > min(MAX_HEADERS, length - _LEAST):
        return None
    return (length, headers) if zlib.crc32(data[at : at + 8]) == checksum else None


def _event(frame: bytes, size: int) -> bytes | None:
    """What a whole frame says; nothing where it is damaged."""
    payload_at = _PRELUDE.size + size
    if zlib.crc32(frame[:-_CHECKSUM]) != int.from_bytes(frame[-_CHECKSUM:]):
        return None
    block = frame[_PRELUDE.size : payload_at]
    told = _opened(block) if size <= _SHORT else _opening(block)
    if told is None:
        return None
    opening, payload = told
    return b"%b%b}" % (opening, payload or frame[payload_at:-_CHECKSUM] or b"{}")


def _opening(block: bytes) -> tuple[bytes, bytes | None] | None:
    """How the event begins that these headers tell of, and its payload where they have that too; nothing where they are no headers."""
    headers = _headers(block)
    if headers is None:
        return None
    if headers.get(":message-type") == "error":
        return b'{"error":', msgspec.json.encode({"code": headers.get(":error-code"), "message": headers.get(":error-message")})
    name = headers.get(":exception-type") or headers.get(":event-type") or ""
    return b"{%b:" % msgspec.json.encode(name), None


_opened = lru_cache(maxsize=256)(_opening)


def _headers(block: bytes) -> dict[str, str] | None:
    """Those that are text; nothing where the block is no headers."""
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            named = at + 1 + block[at]
            name, kind, at = block[at + 1 : named], block[named], named + 1
            if kind in _SIZED:
                size, at = int.from_bytes(block[at : at + 2]), at + 2
            else:
                size = _SIZES[kind]
            if kind == _STRING:
                found[name.decode("utf-8", "replace")] = block[at : at + size].decode("utf-8", "replace")
            at += size
    except (IndexError, KeyError):
        return None
    return found if at == len(block) else None
