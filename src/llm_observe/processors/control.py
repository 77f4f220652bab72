"""How much of what was said stays on which record: by the setting, by route, by a function, by the application's own word.

It comes in two steps, with the user's processors between them: what is to stay is decided first, of the record as it was, and noted on
it; what is to go goes last.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from llm_observe.processors.content import bare, outline
from llm_observe.processors.patterns import at, parts, place
from llm_observe.records import AnyRecord

LEVELS = ("none", "metadata", "full")


class Control:
    """The levels of content.

    *routes* have levels of their own; of several that match, the one that says most of the route counts. A web request whose route is
    not known has the lowest of all.

    *function* and the application's word can only take away. What cannot be understood takes away all, and is told to *caught*.
    *whole* is what is done to a record that keeps its content.
    """

    def __init__(
        self,
        level: str,
        routes: Mapping[str, str],
        function: Callable[[AnyRecord], Any] | None,
        *,
        whole: Callable[[AnyRecord], AnyRecord],
        caught: Callable[[Exception], object],
    ) -> None:
        self._level, self._function, self._whole, self._caught = level, function, whole, caught
        self._routes = [(at(text), routes[text]) for text in sorted(routes, key=_particular, reverse=True)]
        self._unrouted = min([level, *routes.values()], key=LEVELS.index)
        self._usual = level == LEVELS[-1] and not routes and function is None

    def decided(self, record: AnyRecord) -> AnyRecord:
        """*record* with the level of its content on it, where that is less than full."""
        if self._usual and record.content is None:
            return record
        level = self._of_route(record) if self._routes else self._level
        if record.content is not None:
            level = self._lower(level, record.content)
        if self._function is not None and level != LEVELS[0]:
            try:
                level = self._lower(level, self._function(record))
            except Exception as error:
                self._caught(error)
                level = LEVELS[0]
        kept = None if level == LEVELS[-1] else level
        return record if kept == record.content else msgspec.structs.replace(record, content=kept)

    def applied(self, record: AnyRecord) -> AnyRecord:
        """*record* without what its level takes away."""
        if record.content is None:
            return self._whole(record)
        return outline(record) if record.content == "metadata" else bare(record)

    def _of_route(self, record: AnyRecord) -> str:
        """The level of where *record* belongs; of a web request whose route is not known, the lowest there is: it may be any."""
        method, name = place(record)
        if method is not None and name is None:
            return self._unrouted
        return next((level for belongs, level in self._routes if belongs(record)), self._level)

    def _lower(self, level: str, other: object) -> str:
        """The lower of two levels. None has no say."""
        if other is None:
            return level
        if other not in LEVELS:
            self._caught(ValueError(f"Expected full, metadata or none, got `{type(other).__name__}`"))
            return LEVELS[0]
        return min(level, str(other), key=LEVELS.index)


def _particular(text: str) -> tuple[int, bool]:
    """How much *text* says of a route: the letters that are no ``*``, of its path and then of its method."""
    method, route = parts(text)
    return len(route.replace("*", "")), method is not None
