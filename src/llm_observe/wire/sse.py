"""Server-sent events out of bytes, by the rules of the WHATWG.

:meth:`Sse.feed` returns the data of the events that are complete and holds back the rest; :meth:`Sse.close` gives up the
rest as a last event, as providers may end without the blank line. Only the data is kept: in every format decoded here the
event's name is repeated in it. Works on bytes, as a character may be cut in two, and because ``str.splitlines`` splits at
characters that models write. Time is linear in the bytes, however they are cut.
"""

import operator
from collections.abc import Callable

_BOM = b"\xef\xbb\xbf"
_FRAMED = (b"data: ", b"event:")
_MARK, _END = b"data: ", b"\n\n"
_DATA: Callable[[bytes], bytes] = operator.itemgetter(slice(len(_MARK), -len(_END)))  # what is between them
_LF, CR = b"\n\r"  # as numbers: `in` is ten times faster for a number than for bytes


class Sse:
    """Server-sent events, fed piece by piece."""

    __slots__ = ("_after_cr", "_at_line_start", "_begun", "_held")

    def __init__(self) -> None:
        self._held: list[bytes] = []  # joined only when an event is complete, so no byte is copied twice
        self._at_line_start = False  # what is held ends in a line end: one more makes an event
        self._after_cr = False
        self._begun = False

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that *data* completes."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")  # the CR was taken as the line end already
            self._after_cr = False
        if CR in data:
            self._after_cr = data.endswith(b"\r")
            data = lines_of(data)
        if not data:
            return []
        end = data.rfind(b"\n\n") + 2
        if end == 1:
            end = 1 if self._at_line_start and data.startswith(b"\n") else 0
        self._at_line_start = data.endswith(b"\n")
        if not end:
            self._held.append(data)
            return []
        self._held.append(data[:end])
        whole = b"".join(self._held)
        rest = data[end:]
        self._held = [rest] if rest else []
        return self._events(whole)

    def close(self) -> list[bytes]:
        """The event that was still open, if it has data."""
        rest = b"".join(self._held)
        self._held = []
        return self._events(rest)

    def _events(self, lines: bytes) -> list[bytes]:
        if not self._begun:
            self._begun = True
            lines = lines.removeprefix(_BOM)
        return _split(lines)


def events(data: bytes) -> list[bytes]:
    """The data of all events in *data*, the last one also where its blank line is missing."""
    return _split(lines_of(data.removeprefix(_BOM)))


def each(pieces: list[bytes], data: bytes) -> list[bytes] | None:
    """:func:`events` of *pieces*, which are *data*, where each is one event, one line of data and nothing else; else None. It takes half the time."""
    found = list(map(_DATA, pieces))
    # Joined as an event is to be, they are what came: so each has its marks where they belong.
    whole = data.startswith(_MARK) and data.endswith(_END) and (_END + _MARK).join(found) == _DATA(data)
    return found if whole and _LF not in b"".join(found) else None


def located(data: bytes) -> tuple[list[bytes], list[int]]:
    """:func:`events`, and for each how many bytes of *data* it took from the end of the one before. Not for data with carriage returns: lines would move."""
    if data.startswith(_FRAMED) and (alike := _alike(data)):
        found, names = alike
        if not names:
            return found, [len(event) + 8 for event in found]
        return found, [len(name) + len(event) + 9 for name, event in zip(names, found, strict=True)]
    found, sizes, size = [], [], 0
    if data.startswith(_BOM):
        data, size = data.removeprefix(_BOM), len(_BOM)
    for block in data.split(b"\n\n"):
        size += len(block) + 2
        if event := _of_blocks([block]):
            found += event
            sizes.append(size)
            size = 0
    return found, sizes


def lines_of(data: bytes) -> bytes:
    """*data* with every line end a newline."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if CR in data else data


def _split(lines: bytes) -> list[bytes]:
    if lines.startswith(_FRAMED) and (alike := _alike(lines)):
        return alike[0]
    return _of_blocks(lines.split(b"\n\n"))


def _alike(data: bytes) -> tuple[list[bytes], list[bytes]] | None:
    """The events where all are alike, as nearly all servers send them: a line of data, behind a line of its name or not; and those lines.

    To join and to split is one pass each of C, whatever the number of events; a look at each of them costs three times as much.
    """
    if data.startswith(_MARK):
        found = _DATA(data).split(_END + _MARK)
        return (found, []) if data.endswith(_END) and _LF not in b"".join(found) else None
    lines = data.split(b"\n")
    if len(lines) % 3 != 1 or any(lines[2::3]) or lines[-1]:
        return None
    names = lines[:-1:3]
    before, *found = b"\n".join([b"", *lines[1::3]]).split(b"\ndata: ")
    if before or len(found) != len(names) or b"\n".join([b"", *names]).count(b"\nevent:") != len(names):
        return None
    return found, names


def _of_blocks(blocks: list[bytes]) -> list[bytes]:
    found = []
    for block in blocks:
        if block.startswith(b"data: ") and _LF not in block:
            found.append(block[6:])
        elif block:
            data = [_value(line) for line in block.split(b"\n") if line.startswith(b"data:") or line == b"data"]
            if data:
                found.append(data[0] if len(data) == 1 else b"\n".join(data))
    return found


def _value(line: bytes) -> bytes:
    return line[5:].removeprefix(b" ")
