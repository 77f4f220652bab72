"""Server-sent events out of bytes, by the rules of the WHATWG.

:meth:`Sse.feed` returns the data of the events that are complete and holds back the rest; :meth:`Sse.close` gives up the
rest as a last event, as providers may end without the blank line. Only the data is kept: in every format decoded here the
event's name is repeated in it. Works on bytes, as a character may be cut in two, and because ``str.splitlines`` splits at
characters that models write. Time is linear in the bytes, however they are cut.
"""

import itertools
import operator

_BOM = b"\xef\xbb\xbf"
_FRAMED = (b"data: ", b"event:")
_is_name = operator.methodcaller("startswith", b"event:")
_with_frame = len(b"data: \n\n").__add__
_LF, _CR = b"\n\r"  # as numbers: `in` is ten times faster for a number than for bytes


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
        if _CR in data:
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


def located(data: bytes) -> tuple[list[bytes], list[int]]:
    """:func:`events`, and for each how many bytes of *data* it took to complete it. Not for data with carriage returns: lines would move."""
    if data.startswith(_FRAMED) and (framed := _framed(data)):
        return framed[0], list(itertools.accumulate(framed[1]))
    found: list[bytes] = []
    ends: list[int] = []
    data = data.removeprefix(_BOM) if (begun := data.startswith(_BOM)) else data
    end = len(_BOM) if begun else 0
    for block in data.split(b"\n\n"):
        end += len(block) + 2
        if event := _of_blocks([block]):
            found += event
            ends.append(end)
    return found, ends


def lines_of(data: bytes) -> bytes:
    """*data* with every line end a newline."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if _CR in data else data


def _split(lines: bytes) -> list[bytes]:
    if lines.startswith(_FRAMED) and (framed := _framed(lines)):
        return framed[0]
    return _of_blocks(lines.split(b"\n\n"))


def _framed(data: bytes) -> tuple[list[bytes], list[int]] | None:
    """The events and the bytes of each where all are alike, as nearly all servers send them: a line of data, behind a line of its name or not."""
    if data.startswith(b"data: "):
        found = data[6:-2].split(b"\n\ndata: ")
        alike = data.endswith(b"\n\n") and data.count(b"\n") == 2 * len(found)  # then there is no other line in any of them
        return (found, [*map(_with_frame, map(len, found))]) if alike else None
    lines = data.split(b"\n")
    if len(lines) % 3 != 1 or lines[-1] or any(lines[2::3]):
        return None
    found = [line[6:] for line in lines[1::3] if line.startswith(b"data: ")]
    names = lines[:-1:3]
    if len(found) != len(names) or not all(map(_is_name, names)):
        return None
    return found, [len(name) + len(event) + 9 for name, event in zip(names, found, strict=True)]


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
