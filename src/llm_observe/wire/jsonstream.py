"""Streams of JSON documents out of bytes: one a line, or the elements of one array.

Like :class:`~llm_observe.wire.sse.Sse`: ``feed`` returns what is complete and holds back the rest, ``close`` gives up the rest.
Time is linear in the bytes, however they are cut.
"""

import re

# All that stands before the next mark, whole strings too. Possessive: nothing is looked at twice.
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_BETWEEN = re.compile(rb'(?:[^"\[\]{},]++|%b)*+' % _STRING, re.DOTALL)
_INSIDE = re.compile(rb'(?:[^"\[\]{}]++|%b)*+' % _STRING, re.DOTALL)
_IN_STRING = re.compile(rb'["\\]')
_SPACE = b" \t\r\n"
_OPENERS = b"[{"
_QUOTE, _COMMA = b'",'  # as numbers, as what stands in bytes is


class Lines:
    """Newline-delimited JSON, as Ollama and Cohere's first version send it."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that *data* completes."""
        head, newline, rest = data.rpartition(b"\n")
        if not newline:
            self._held.append(data)
            return []
        whole = b"".join([*self._held, head])
        self._held = [rest] if rest else []
        return [line for line in map(bytes.strip, whole.split(b"\n")) if line]

    def close(self) -> list[bytes]:
        """The last line, where it has no end."""
        rest = b"".join(self._held).strip()
        self._held = []
        return [rest] if rest else []


class Elements:
    """The elements of a JSON array, as Gemini streams them to those who do not ask for events. What is not complete is not given up."""

    __slots__ = ("_depth", "_escaped", "_held", "_over", "_string")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._depth = 0  # 1 is inside of the array
        self._string = self._escaped = self._over = False

    def feed(self, data: bytes) -> list[bytes]:
        """The elements that *data* completes."""
        found: list[bytes] = []
        start = at = 0  # start: where the element under way begins in this piece
        if self._escaped and data:
            at, self._escaped = 1, False
        while not self._over:
            if self._string:
                token = _IN_STRING.search(data, at)
                if token is None:
                    break
                at = token.end()
                if data[at - 1] == _QUOTE:
                    self._string = False
                elif at < len(data):
                    at += 1  # whatever is behind a backslash, it ends no string
                else:
                    self._escaped = True
                continue
            before = (_INSIDE if self._depth > 1 else _BETWEEN).match(data, at)
            at = before.end() if before else at
            if at == len(data):
                break
            mark, at = data[at], at + 1
            if mark == _QUOTE:
                self._string = True  # its end is in a later piece
            elif mark in _OPENERS:
                self._depth += 1
                if self._depth == 1:
                    start = at
            elif mark == _COMMA:
                if self._depth == 1:
                    found += self._taken(data[start : at - 1])
                    start = at
            elif self._depth > 1:
                self._depth -= 1
                if self._depth == 1:
                    found += self._taken(data[start:at])
                    start = at
            elif self._depth == 1:
                found += self._taken(data[start : at - 1])
                self._over = True
        if self._depth and not self._over and start < len(data):
            self._held.append(data[start:])
        return found

    def close(self) -> list[bytes]:
        """Nothing: an element without its end is none."""
        self._held = []
        return []

    def _taken(self, rest: bytes) -> list[bytes]:
        whole = b"".join([*self._held, rest]).strip(_SPACE)
        self._held = []
        return [whole] if whole else []
