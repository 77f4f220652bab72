"""Patterns of the user's own: linear ones, or none.

google-re2 is linear whatever it is given. Without it a pattern must be seen to be: Python's ``re`` cannot be interrupted.
"""

import importlib
import importlib.util
import math
import re
from collections.abc import Iterable
from typing import Any

from llm_observe.errors import SettingsError
from llm_observe.processors.redaction.scan import Finder

MOST = 10_000  # ways in which the repeats of one pattern may share a text out among them
LONGEST = 1000  # of one repeat: re2's own bound
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


def re2() -> Any:
    """The module of google-re2, or None where it is not installed."""
    return importlib.import_module("re2") if importlib.util.find_spec("re2") else None


def custom(name: str, expression: str, *, unsafe: bool, linear: Any) -> Finder:
    """The finder of a user's pattern. *linear* is re2, or None.

    :raises SettingsError: for a pattern that cannot be read, or may take for ever.
    """
    where = f"redact_patterns: {name}={expression!r}"
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{where}: Expected a name of small letters, digits and `_`: it stands in the text, as in `[{name}:3fa9c1d2]`.")
    try:
        plain = re.compile(expression)
    except (re.error, RecursionError, OverflowError) as error:
        raise SettingsError(f"{where}: {error}. Expected a regular expression.") from None
    if plain.search("") is not None:
        raise SettingsError(
            f"{where}: It finds the empty text, so it would find something everywhere. Have it ask for one character at least."
        )
    if unsafe:
        return Finder(name, _texts(plain))
    if linear is not None:
        return Finder(name, _bytes(_linear(linear, expression, where)))
    fault = unbounded(expression)
    if fault:
        raise SettingsError(
            f"{where}: {fault}, so that a text can be made for which it takes for ever. Give each repeat an end (`{{1,64}}`),"
            f" `pip install 'llm-observe[redact]'` to have any pattern run in linear time, or say redact_unsafe=True."
        )
    return Finder(name, _texts(plain))


def _linear(linear: Any, expression: str, where: str) -> Any:
    options = linear.Options()
    options.log_errors = False
    try:
        return linear.compile(expression, options=options)
    except linear.error as error:
        said = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise SettingsError(
            f"{where}: google-re2 refuses it ({said}): it has no look-around and no back-references, and repeats end at {LONGEST}."
            f" Say it without them, or say redact_unsafe=True."
        ) from None


def _bytes(expression: Any) -> Any:
    def spans(data: bytes) -> Iterable[tuple[int, int]]:
        return [match.span() for match in expression.finditer(data)]

    return spans


def _texts(expression: re.Pattern[str]) -> Any:
    def spans(data: bytes) -> Iterable[tuple[int, int]]:
        text = data.decode("utf-8", "surrogatepass")
        done = at = 0
        for match in expression.finditer(text):
            start = at + len(text[done : match.start()].encode("utf-8", "surrogatepass"))
            at = start + len(match[0].encode("utf-8", "surrogatepass"))
            done = match.end()
            yield start, at

    return spans


def unbounded(expression: str) -> str | None:
    """Why the work that *expression* makes has no bound worth the name; None where it has one."""
    parser: Any = importlib.import_module("re._parser")
    try:
        return None if _ways(parser.parse(expression)) <= MOST else "Its repeats can share a text out in too many ways"
    except _Unbounded as fault:
        return str(fault)


class _Unbounded(Exception):
    """Said of a pattern."""


def _ways(parsed: Any) -> float:
    """In how many ways the pattern can match at one place, at most."""
    ways = 1.0
    for operation, argument in parsed:
        match str(operation):
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, most, inner = argument
                if most > LONGEST:
                    raise _Unbounded("A repeat in it has no end")
                each = _ways(inner)
                ways *= (most - least + 1) * (each**most if each > 1 and most > 1 else each) if each < MOST else math.inf
            case "SUBPATTERN":
                ways *= _ways(argument[-1])
            case "ATOMIC_GROUP":
                ways *= _ways(argument)
            case "BRANCH":
                ways *= sum(_ways(branch) for branch in argument[1])
            case "GROUPREF" | "GROUPREF_EXISTS":
                raise _Unbounded("It refers back to what it found")
            case "ASSERT" | "ASSERT_NOT":
                ways *= _ways(argument[1])
            case _:
                pass
        if ways > MOST:
            return math.inf
    return ways
