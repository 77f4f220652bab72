"""The bytes of a spool's segment: a header, a cursor, then one frame a record. Pure: no file is touched here.

Each frame has a mark to find it by, a number that goes up by one, and a checksum. So a reader that meets damage goes on at the next mark,
and the next number tells how many records the damage has cost. The mark is no UTF-8: no JSON holds it.
"""

import struct
from typing import NamedTuple
from zlib import crc32

MAGIC, VERSION = b"LLMSPOO", 1
_HEADER = struct.Struct("<7sBI")  # magic, version, checksum of both
_CURSOR = struct.Struct("<QII")  # where the first record begins that has not arrived yet, its number, checksum of both
_FRAME = struct.Struct("<4sIII")  # mark, number, length, checksum of number, length and what follows
_MARK = b"\xf5\xffLR"

CURSOR_AT = _HEADER.size
START = _HEADER.size + _CURSOR.size  # where the first frame is
OVERHEAD = _FRAME.size


class Frame(NamedTuple):
    """A record's JSON out of a segment, its number, and where in the bytes that were read the next one begins."""

    line: bytes
    number: int
    end: int


class Read(NamedTuple):
    """What was in some bytes: frames; how many bytes are done with; the number that comes next; how many records damage has cost.

    ``more`` is how many bytes, counted from where ``used`` ends, it takes to go on.
    """

    frames: list[Frame]
    used: int
    number: int
    lost: int
    more: int


def header() -> bytes:
    """The beginning of a new segment, the cursor before its first frame."""
    head = MAGIC + bytes([VERSION])
    return head + crc32(head).to_bytes(4, "little") + cursor(START, 0)


def cursor(offset: int, number: int) -> bytes:
    """The cursor as it is written: the record of *number*, at *offset*, is the first that has not arrived."""
    return _CURSOR.pack(offset, number, crc32(struct.pack("<QI", offset, number)))


def version(head: bytes) -> int | None:
    """Whose version a segment is that begins with *head*; None where its header is damaged."""
    if len(head) < _HEADER.size:
        return None
    magic, found, check = _HEADER.unpack_from(head)
    return found if magic == MAGIC and check == crc32(head[: _HEADER.size - 4]) else None


def resume(head: bytes) -> tuple[int, int]:
    """Where the first record of a segment that begins with *head* is that has not arrived, and its number; the beginning if none can tell."""
    if len(head) >= START:
        offset, number, check = _CURSOR.unpack_from(head, CURSOR_AT)
        if check == crc32(head[CURSOR_AT : START - 4]) and offset >= START:
            return offset, number
    return START, 0


def frame(line: bytes, number: int) -> bytes:
    """A record's JSON as it stands in a segment."""
    facts = struct.pack("<II", number, len(line))
    return _MARK + facts + crc32(line, crc32(facts)).to_bytes(4, "little") + line


def read(data: bytes, number: int, left: int) -> Read:
    """The frames in *data*, of which the next should have *number*. From its beginning to the end of the segment there are *left* bytes."""
    frames: list[Frame] = []
    at = lost = 0
    final, damaged = left <= len(data), False
    while at < len(data):
        if len(data) - at >= _FRAME.size:
            mark, found, length, check = _FRAME.unpack_from(data, at)
            end = at + _FRAME.size + length
            if mark == _MARK and len(data) < end <= left:
                return Read(frames, at, number, lost, end - at)
            line = data[at + _FRAME.size : end]
            if mark == _MARK and end <= len(data) and check == crc32(line, crc32(data[at + 4 : at + 12])):
                lost += max(0, found - number)
                number, at, damaged = found + 1, end, False
                frames.append(Frame(line, found, end))
                continue
        elif not final:
            break
        damaged = True
        following = data.find(_MARK, at + 1)
        if following < 0:
            at = len(data) if final else max(at + 1, len(data) - len(_MARK) + 1)
            break
        at = following
    return Read(frames, at, number, lost + (final and damaged), _FRAME.size)
