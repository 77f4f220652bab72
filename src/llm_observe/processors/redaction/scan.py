"""One text without what is to be taken out of it."""

import functools
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from llm_observe.processors.redaction.gate import LONGEST, places
from llm_observe.processors.redaction.kinds import SECRETS, Kind

PIECE, OVERLAP, BEFORE = 32 * 1024, 8 * 1024, 80  # bytes gone through between two breaths, and what is seen of its surroundings


_SECRET = frozenset(SECRETS)


class OutOfTime(Exception):
    """The time for this record is over."""


Span = tuple[int, int, str]
"""Where something is, in bytes, and what."""


class Finder(NamedTuple):
    """A kind to be looked for: where the gate says that a secret may be if it is ``placed``, else everywhere.

    ``prepare`` does what has to be done once, and may take a millisecond.
    """

    name: str
    spans: Callable[[bytes], Iterable[tuple[int, int]]]
    near: tuple[bytes, ...] = ()
    placed: bool = False
    prepare: Callable[[], object] = lambda: None


def built_in(kind: Kind, compiler: Any = re) -> Finder:
    """A finder of one of our own kinds. *compiler* is Python's ``re`` or google's ``re2``."""
    check, left = kind.check, kind.left

    @functools.cache
    def compiled() -> Any:  # when a secret may be there for the first time: most processes never come to that
        return compiler.compile(kind.expression)

    def spans(data: bytes) -> Iterable[tuple[int, int]]:
        expression = compiled()
        for match in expression.finditer(data):
            group = 1 if expression.groups and match.start(1) >= 0 else 0
            start, end = match.span(group)
            if left:
                before = data[max(0, start - 80) : start]
                start -= len(before) - len(before.rstrip(left))
            meant = check(data[start:end])
            if meant and not _goes_on(kind.name, data, start, start + meant):
                yield start, start + meant

    return Finder(kind.name, spans, kind.near, kind in _SECRET, compiled)


def _goes_on(name: str, data: bytes, start: int, end: int) -> bool:
    """Whether an address of the net is part of something longer: a version, a path in a program."""
    if name != "ip":
        return False
    before, after = data[max(0, start - 1) : start], data[end : end + 2]
    return (
        before.isalnum() or before in {b".", b":", b"-", b"_"} or after[:1].isalnum() or (after[:1] in {b".", b":"} and after[1:].isalnum())
    )


def pseudonym(key: bytes, name: str, value: bytes) -> bytes:
    """What stands for *value*: the same for the same value and key, and no way back."""
    return b"[%s:%s]" % (name.encode(), hmac.digest(key, value, hashlib.sha256).hex()[:8].encode())


class Scanner:
    """Takes out of a text what *finders* find. *tick* is called between pieces: it may rest, and ends the work by raising."""

    def __init__(self, finders: Sequence[Finder], key: bytes, tick: Callable[[], object] = lambda: None) -> None:
        self._key, self._tick = key, tick
        self._placed = [finder for finder in finders if finder.placed]
        self._others = [finder for finder in finders if not finder.placed]
        self.taken: dict[str, int] = {}

    def __call__(self, text: str) -> str:
        """*text* with pseudonyms instead of what was found; *text* itself where nothing was."""
        data = text.encode("utf-8", "surrogatepass")
        spans: list[Span] = []
        if self._placed:
            for start, end in _joined(places(data, self._tick)):
                spans += self._at(data, start, end)
        for finder in self._others:
            if not finder.near or _has(data, finder.near):
                spans += self._found(finder, data)
        if not spans:
            return text
        out, done = [], 0
        for start, end, name in _merged(spans):
            out += [data[done:start], pseudonym(self._key, name, data[start:end])]
            self.taken[name] = self.taken.get(name, 0) + 1
            done = end
        out.append(data[done:])
        return b"".join(out).decode("utf-8", "surrogatepass")

    def _at(self, data: bytes, first: int, last: int) -> Iterator[Span]:
        piece = data[first:last]
        for finder in self._placed:
            if _has(piece, finder.near):
                for start, end in finder.spans(piece):
                    yield first + start, first + end, finder.name
        self._tick()

    def _found(self, finder: Finder, data: bytes) -> list[Span]:
        if len(data) <= PIECE + OVERLAP:
            found = [(start, end, finder.name) for start, end in finder.spans(data)]
            self._tick()
            return found
        spans: list[Span] = []
        for at in range(0, len(data), PIECE):
            if spans and spans[-1][1] >= at + PIECE:
                continue  # all of it is part of what was found
            first, last = _whole(data, max(0, at - BEFORE)), _whole(data, at + PIECE + OVERLAP)
            for start, end in finder.spans(data[first:last]):
                start, end = start + first, end + first  # noqa: PLW2901
                if end == last < len(data):  # it may go on behind what was seen
                    end = self._widened(finder, data, first, start, end)  # noqa: PLW2901
                if start < at + PIECE and end > at:
                    spans.append((start, end, finder.name))
            self._tick()
        return spans

    def _widened(self, finder: Finder, data: bytes, first: int, start: int, end: int) -> int:
        seen = data[first : _whole(data, first + LONGEST)]
        return max((first + to for begin, to in finder.spans(seen) if first + begin == start), default=end)


def _has(data: bytes, literals: tuple[bytes, ...]) -> bool:
    """Whether one of *literals* is in *data*. It is searched from the end on, which takes half the time; ``in`` takes longest."""
    for literal in literals:  # noqa: SIM110 - any() costs as much as all of them
        if data.rfind(literal) >= 0:
            return True
    return False


def _whole(data: bytes, at: int) -> int:
    """The place *at*, or the begin of the character in whose midst it is."""
    while 0 < at < len(data) and data[at] & 0xC0 == 0x80:
        at -= 1
    return min(at, len(data))


def _joined(found: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The places in their order, those that overlap as one."""
    begin = end = 0
    for start, stop in sorted(found):
        if start > end:
            if end:
                yield begin, end
            begin = start
        end = max(end, stop)
    if end:
        yield begin, end


def _merged(spans: list[Span]) -> list[Span]:
    """The spans in their order; those that overlap as one, by the name of the first that was looked for."""
    merged: list[Span] = []
    for start, end, name in sorted(spans, key=lambda span: span[:2]):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]), merged[-1][2])
        else:
            merged.append((start, end, name))
    return merged
