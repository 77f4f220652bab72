"""The steps that a backtracking engine takes through an expression: counted, since a clock on a busy machine says little."""

import importlib
import re

_parser = importlib.import_module("re._parser")
WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
CATEGORIES = {"CATEGORY_DIGIT": frozenset(b"0123456789"), "CATEGORY_SPACE": frozenset(b" \t\n\r\f\v"), "CATEGORY_WORD": WORD}
ALL = frozenset(range(256))


class Steps:
    """An expression over bytes, walked as Python's ``re`` does but without its short cuts: what it counts is never too little."""

    def __init__(self, expression: bytes) -> None:
        self._parsed = list(_parser.parse(expression))
        self._data, self.count = b"", 0

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """What is found in *data*, one after the other; the steps of it are added to ``count``."""
        self._data, at, found = data, 0, []
        while at <= len(data):
            end = self._match(self._parsed, 0, at, 0, lambda place: place)
            if end is None or end == at:
                at += 1
            else:
                found.append((at, end))
                at = end
        return found

    def _match(self, nodes, n, at, flags, then):
        self.count += 1
        if n == len(nodes):
            return then(at)
        operation, argument = str(nodes[n][0]), nodes[n][1]

        def on(place):
            return self._match(nodes, n + 1, place, flags, then)

        if operation == "AT":
            assert str(argument) == "AT_BOUNDARY", argument
            before, after = (place in range(len(self._data)) and self._data[place] in WORD for place in (at - 1, at))
            return on(at) if before != after else None
        if operation == "SUBPATTERN":
            return self._match(list(argument[-1]), 0, at, flags | argument[1], on)
        if operation == "BRANCH":
            return next((end for way in argument[1] if (end := self._match(list(way), 0, at, flags, on)) is not None), None)
        if operation == "MAX_REPEAT":
            least, most, inner = argument
            if len(inner) == 1 and (signs := _signs(inner[0], flags)) is not None:
                return self._run(signs, least, most, at, on)
            return self._again(list(inner), least, most, at, flags, on)
        signs = _signs(nodes[n], flags)
        assert signs is not None, operation
        return on(at + 1) if at < len(self._data) and self._data[at] in signs else None

    def _run(self, signs, least, most, at, on):
        end = at
        while end < len(self._data) and end - at < most and self._data[end] in signs:
            end += 1
        self.count += end - at
        return next((found for place in range(end, at + least - 1, -1) if (found := on(place)) is not None), None)

    def _again(self, inner, least, most, at, flags, on):
        def another(place):
            return None if place == at else self._again(inner, max(0, least - 1), most - 1, place, flags, on)

        found = self._match(inner, 0, at, flags, another) if most else None
        return on(at) if found is None and least <= 0 else found


def _signs(node, flags):
    """The bytes that a node of one byte takes; None for a node that is more."""
    operation, argument = str(node[0]), node[1]
    if operation == "LITERAL":
        signs = frozenset([argument])
    elif operation == "NOT_LITERAL":
        signs = ALL - {argument}
    elif operation == "ANY":
        signs = ALL - {10}
    elif operation == "IN":
        members = [str(one) == "NEGATE" for one, _ in argument]
        signs = frozenset().union(*(_member(str(one), what) for one, what in argument if str(one) != "NEGATE"))
        signs = ALL - signs if any(members) else signs
    else:
        return None
    if flags & re.IGNORECASE:
        signs |= frozenset(bytes(signs).lower() + bytes(signs).upper())
    return signs


def _member(operation, argument):
    if operation == "LITERAL":
        return frozenset([argument])
    if operation == "RANGE":
        return frozenset(range(argument[0], argument[1] + 1))
    return CATEGORIES[str(argument)]
