"""Stands in for a response's body: what goes through it is kept, and all else it has and does is the body's own."""

from typing import Any

from llm_observe.capture._tap import Tap
from llm_observe.records import End


class Watched:
    """A body, watched. It says to be of the body's class, and attributes that are set on it are set on the body.

    What a subclass does itself stays with it, also when somebody replaces it: ``raw.read = partial(raw.read, decode_content=True)``.
    """

    _inner: Any
    _tap: Tap
    _end: End  # how it ends, if nothing more comes

    OWN: frozenset[str] = frozenset()  # names of what a subclass does itself, besides what is defined in its class

    def __init__(self, inner: Any, tap: Tap) -> None:
        own = self.__dict__
        own["_inner"], own["_tap"], own["_end"] = inner, tap, "closed"

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The body's: many ask ``isinstance``."""
        return self._inner.__class__

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self.__dict__["_inner"], attribute)

    def __setattr__(self, attribute: str, value: Any) -> None:
        if attribute in self.OWN or hasattr(type(self), attribute):
            self.__dict__[attribute] = value
        else:
            setattr(self._inner, attribute, value)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._inner.__reduce_ex__(protocol)  # a copy is a copy of the body: it is not watched, and its end is not ours

    def __repr__(self) -> str:
        return repr(self._inner)

    def __del__(self) -> None:
        self._tap.end("abandoned" if self._end == "closed" else self._end)
