"""How a method comes to be watched, and how it stops: one way for all client libraries.

Others patch the same methods, before us and after. Below ours they are called as ever; above ours they keep calling us, so what cannot
be taken out is told to do nothing.
"""

from collections.abc import Callable, Iterable
from typing import Any

from llm_observe._runtime.default import existing
from llm_observe._runtime.observer import Observer

MARK = "__llm_observe__"
"""The attribute of a watched method that holds its :class:`Hook`. It shows through patches that are made as patches should be."""


class Hook:
    """One method that is watched. It stays where somebody has patched over it, so it can be told to do nothing."""

    __slots__ = ("active", "client")

    def __init__(self, client: str) -> None:
        self.active, self.client = True, client

    def caught(self, error: Exception, observer: Observer | None) -> None:
        """It is us who failed, on the application's thread: the application goes on, and whoever observes counts it."""
        observer = observer or existing()
        if observer is not None:
            observer.guard.caught(error, f"the {self.client} hook")


Place = tuple[type, str, Callable[[Callable[..., Any], Any], Callable[..., Any]]]
"""A class, the name of a method, and what makes the watched method of the original and its hook."""


def watch(places: Iterable[Place], new: Callable[[], Hook]) -> Callable[[], None]:
    """Have the methods at *places* watched, each with a hook of its own. Returns the undo.

    A place that is watched already is left as it is.
    """
    undo: list[tuple[Hook, type, str, Any, Any]] = []
    for owner, name, make in places:
        original = getattr(owner, name)
        hook = getattr(original, MARK, None)
        if hook is None:
            hook = new()
            watched = make(original, hook)
            setattr(watched, MARK, hook)
            setattr(owner, name, watched)
            undo.append((hook, owner, name, original, watched))
        elif not hook.active:  # under somebody's patch since it was taken out
            hook.active = True
            undo.append((hook, owner, name, None, None))

    def unwatch() -> None:
        for hook, owner, name, original, watched in undo:
            hook.active = False
            if watched is not None and getattr(owner, name) is watched:  # else somebody has patched over it, and calls us still
                setattr(owner, name, original)

    return unwatch
