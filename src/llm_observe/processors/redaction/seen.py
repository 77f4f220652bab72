"""What was looked through already: a conversation is sent whole with each turn, and only its end is new."""

from typing import NamedTuple

LEAST = 8 * 1024  # bytes of a line for which it is worth the while
MOST, ROOM = 16, 4 * 1024 * 1024  # lines that are remembered, and their bytes
OVERLAP = 2048  # bytes that are looked at again, before what is new
_HEAD = 4096  # bytes within which what was asked begins, if it is to be found
_ASKED = (b',"system_instructions":[', b',"input":{')
_SAME = 128  # bytes with which lines begin alike that may go on alike


class _Line(NamedTuple):
    first: bytes  # how that begins which was asked
    line: bytes
    begin: int  # where it does


class Seen:
    """The last lines that had nothing in them. They are compared byte by byte: what is alike costs a twentieth of a look."""

    def __init__(self) -> None:
        self._lines: list[_Line] = []
        self._bytes = 0
        self._repeated: list[_Line] = []  # of the line looked at now: those that it has nearly whole in it

    def new(self, line: bytes, start: int) -> list[tuple[int, int]]:
        """The parts of *line* from *start* on that are not known to have nothing in them."""
        begin = _asked(line, start)
        most, self._repeated = 0, []
        if begin >= 0:
            first = line[begin : begin + _SAME]
            for known in self._lines:
                if known.first == first:
                    alike = _alike(line, begin, known.line, known.begin)
                    most = max(most, alike)
                    if alike > 0.8 * (len(known.line) - known.begin):
                        self._repeated.append(known)
        if most <= 2 * OVERLAP:
            return [(start, len(line))]
        return [(start, begin + OVERLAP), (begin + most - OVERLAP, len(line))]

    def add(self, line: bytes, start: int) -> None:
        """Remember *line*, the last one asked about: it has nothing in it. Those that it repeats, as a conversation does its turns, go."""
        begin = _asked(line, start)
        if begin < 0 or len(line) > ROOM // 4:
            return
        for known in self._repeated:
            self._lines.remove(known)
            self._bytes -= len(known.line)
        self._lines.append(_Line(line[begin : begin + _SAME], line, begin))
        self._bytes += len(line)
        while len(self._lines) > MOST or self._bytes > ROOM:
            self._bytes -= len(self._lines.pop(0).line)


def _asked(line: bytes, start: int) -> int:
    for name in _ASKED:
        begin = line.find(name, start, start + _HEAD)
        if begin >= 0:
            return begin
    return -1


def _alike(one: bytes, at: int, other: bytes, there: int) -> int:
    """How many bytes are the same from these places on, nearly: never more than there are."""
    same, most = 0, min(len(one) - at, len(other) - there)
    step = most
    while step > _SAME:
        if one[at + same : at + same + step] == other[there + same : there + same + step]:
            same += step
        step = min(step // 2, most - same)
    return same
