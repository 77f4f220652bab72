"""Which records a setting means: by the route or job they belong to, with ``*`` for anything."""

import re
from collections.abc import Callable
from fnmatch import translate

from llm_observe.records import AnyRecord, Request

Matches = Callable[[str], bool]

_WITH_METHOD = re.compile(r"([A-Z]+) +([/*].*)")


def pattern(text: str) -> Matches:
    """Whether a text is *text*, in which ``*`` stands for anything and all else for itself."""
    match = re.compile(translate(text.replace("[", "[[]").replace("?", "[?]"))).match
    return lambda found: match(found) is not None


def place(record: AnyRecord) -> tuple[str | None, str | None]:
    """The method and the route template of *record*; of what belongs to a job, none and its name."""
    scope = record.scope
    if isinstance(record, Request) and record.http is None:
        return None, _text(record.name)
    if scope is None:
        return None, None
    return scope.method, _text(scope.route if scope.method is not None else scope.name)


def _text(name: object) -> str | None:
    """*name*, where it is one: an application may call a job what it likes."""
    return name if isinstance(name, str) else None


def parts(text: str) -> tuple[str | None, str]:
    """The method that *text* names, if it does, and the route or job."""
    found = _WITH_METHOD.fullmatch(text.strip())
    return (found[1], found[2]) if found else (None, text.strip())


def at(text: str) -> Callable[[AnyRecord], bool]:
    """Whether a record belongs to the route or job *text*: ``/chat/{id}``, ``/admin/*``, ``POST /chat``, ``nightly-*``."""
    wanted, route = parts(text)
    matches = pattern(route)

    def belongs(record: AnyRecord) -> bool:
        method, name = place(record)
        return name is not None and (wanted is None or wanted == method) and matches(name)

    return belongs
