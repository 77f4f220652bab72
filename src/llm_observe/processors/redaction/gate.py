"""Whether there can be anything to take out at all: asked of every record, so it has to cost next to nothing.

Nearly all that is secret has sixteen characters or more without a space between them; nearly nothing that people write has. Such runs
are found with two passes of C over the bytes (0.04 us and 0.1 us a KB), and only they are looked at: this is as fast as a set of
expressions in google-re2, and asks for nothing to be installed.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from llm_observe import records
from llm_observe.processors.redaction.kinds import Kind

RUN = 16  # characters that a secret has at least, together with what announces it
_BEFORE = 48  # bytes before a run in which it may be announced
PIECE, OVERLAP = 16 * 1024, 1024  # bytes looked at between two breaths
_TABLE = bytes(code < 128 and (chr(code).isalnum() or chr(code) in "_-./+=~%") for code in range(256))
_AT_LEAST = b"\1" * RUN
_ANNOUNCED = re.compile(
    rb"earer|EARER|asic|ASIC|[?&;]|(?:[Kk]ey|[Tt]oken|[Ss]ecret|KEY|TOKEN|SECRET)(?:[_\-. ]?[Ii][Dd])?[\"'`\\ ]{0,8}(?:=>|:=|[:=])"
)
_BY_ANNOUNCEMENT = frozenset({"bearer_token", "basic_auth", "url_key", "secret"})
_ANYWHERE = {b"assw": (b"assw",), b"PRIVATE KEY": (b"PRIVATE KEY",), b"@": (b"@", b"://")}  # what has no long run in it, by its literal


def _skeleton() -> Iterator[bytes]:
    """The runs that stand in records as such: names of fields, of kinds, of parts."""
    for one in vars(records).values():
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            yield str(one.__struct_config__.tag).encode()
            yield from (field.encode_name.encode() for field in msgspec.structs.fields(one))


_KNOWN = frozenset(name for name in _skeleton() if len(name) >= RUN)


class Gate:
    """Says of the bytes of a record whether any of *kinds* may be in them. It may be wrong in saying yes, and never in saying no."""

    def __init__(self, kinds: Iterable[Kind], pause: Callable[[], object] = lambda: None) -> None:
        self._pause = pause
        self._always = False
        literals: list[bytes] = []
        self._anywhere: list[tuple[bytes, ...]] = []
        self._announced = False
        for kind in kinds:
            if kind.name == "email":
                self._anywhere.append((b"@",))
            elif not kind.near or kind.near[0] in {b"+", b":", b"-"}:
                self._always = True
            elif kind.near[0] in _ANYWHERE:
                self._anywhere.append(_ANYWHERE[kind.near[0]])
            elif kind.name in _BY_ANNOUNCEMENT:
                self._announced = True
            else:
                literals += kind.near
        self._literals = tuple(dict.fromkeys(literals))

    def __call__(self, data: bytes, known: Iterable[bytes] = ()) -> bool:
        """Whether *data* has to be gone through. *known* are runs that are no secrets."""
        if self._always:
            return True
        if any(all(literal in data for literal in literals) for literals in self._anywhere):
            return True
        if not self._literals and not self._announced:
            return False
        if len(data) <= PIECE:
            return self._suspects(data, known)
        for start in range(0, len(data), PIECE):
            if self._suspects(data[max(0, start - OVERLAP) : start + PIECE], known):
                return True
            self._pause()
        return False

    def _suspects(self, data: bytes, known: Iterable[bytes]) -> bool:
        where = data.translate(_TABLE)
        at = where.find(_AT_LEAST)
        if at < 0:
            return False
        runs, before = [], []
        while at >= 0:
            end = where.find(b"\0", at + RUN)
            run = data[at : end if end >= 0 else None]
            if run not in _KNOWN and run not in known:
                runs.append(run)
                if self._announced:
                    before.append(data[max(0, at - _BEFORE) : at + RUN + 16])
            if end < 0:
                break
            at = where.find(_AT_LEAST, end)
        joined = b" ".join(runs)
        if any(literal in joined for literal in self._literals):
            return True
        return self._announced and _ANNOUNCED.search(b"\n".join(before)) is not None


def known(record: Any) -> frozenset[bytes]:
    """The ids that we gave *record* ourselves."""
    return frozenset(text.encode() for text in (record.id, record.trace_id, record.span_id, record.parent_id) if text)
