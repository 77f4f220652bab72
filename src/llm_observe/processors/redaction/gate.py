"""Where there can be anything to take out at all: asked of every record, so it has to cost next to nothing.

Nearly all that is secret has sixteen characters or more without a space between them; nearly nothing that people write has. Such runs are
found by C over the bytes (one translation, one search), and only they are looked at: at what they begin with, and at what stands before
them. What has no long run (passwords, addresses with one) is found by a literal. Whatever is searched here is searched alike in a text and
in the JSON of a record, where a line's end is a backslash and an `n` that sticks to the run behind it.
"""

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from llm_observe import records
from llm_observe.processors.redaction.kinds import ANYWHERE, AT_A_START, SECRETS, Kind
from llm_observe.processors.redaction.seen import LEAST, OVERLAP, Seen

RUN = 16  # characters that a secret has at least
PEM = 40  # and a line of a private key
BEFORE = 96  # bytes before it in which it may be announced
STEP = 16 * 1024  # bytes searched at once: from 30,000 on Python's own search is another, which takes four times as long for this
PIECE = 64 * 1024  # bytes looked at between two breaths
LONGEST = 1024 * 1024  # bytes of one secret

_TABLE = bytes(code < 128 and (chr(code).isalnum() or chr(code) in "_-./+~%") for code in range(256))
_RUN = b"\1" * RUN
_MORE = re.compile(rb"[A-Za-z0-9_\-./+~%=]*")
_PLAIN = sorted(begin for begin in ANYWHERE if b"-" not in begin and b"_" not in begin)
_LITERALS = (*_PLAIN, b".eyJ", b"JQQJ9", b"hooks")


def _from_their_signs(begins: Iterable[bytes]) -> re.Pattern[bytes]:
    """An expression for *begins* that looks for the dash or underscore in each, and from there back and ahead: few texts have many."""
    ahead: dict[bytes, list[bytes]] = {}
    for begin in sorted(begins):
        match = re.match(rb"[^_\-]*[_\-]", begin)
        if match:
            ahead.setdefault(match[0], []).append(re.escape(begin[match.end() :]))
    either = b"|".join(rb"(?<=%s)(?:%s)" % (re.escape(back), b"|".join(rest)) for back, rest in ahead.items())
    # The two bytes before it tell most: what is of another make costs no look at each beginning.
    before, last = (bytes(sorted({back[place] for back in ahead})) for place in (-3, -2))
    return re.compile(rb"[_\-](?<=[%s][%s][_\-])(?:%s)" % (before, last, either))


_WITHIN = _from_their_signs(ANYWHERE)
_BEGINS = re.compile(
    rb"[ \-./+~%%](?=[%s][%s])(?:%s)[A-Za-z0-9_\-.+/]{16}"
    % (
        *(re.escape(bytes(sorted({begin[place] for begin in AT_A_START}))) for place in (0, 1)),
        b"|".join(map(re.escape, sorted(AT_A_START))),
    )
)
_BETWEEN = b"\"'`\\ \t\r\n\f\v:=>nrtfu0bNRT"  # what a name and its value have between them, in JSON too
# The names that announce a secret, as they end when what is between is cut off: with it goes an `n`, an `r` or a `t` of their own.
_ANNOUNCED = re.compile(
    rb"(?:[?&;](?:[a-z_\-]{0,20}(?:key|toke|secre|signature|credential|password)|sig)"
    rb"|(?:api|access|secret|auth|client|private|signing|encryption|session|refresh|webhook|account|subscription|service|master)"
    rb"[_\-. ]?(?:access[_\-. ]?)?(?:key|token?|secret?)(?:[_\-. ]?id)?|token?|secret?|token[_\-. ]?id|secret[_\-. ]?id|beare|basic)$"
)
_LAST = frozenset(
    {b"key", b"oke", b"cre", b"are", b"sic", b"sig", b"ure", b"ial", b"ord", b"yid", b"nid", b"tid", b"_id", b"-id", b".id", b" id"}
)
_QUOTE, _BACKSLASH = b'"\\'
_PASSWORD = re.compile(rb"(?:assw(?:or)?d|PASSW(?:OR)?D)(?:[\"'`\\\s]|\\[nrtf]|[nrtf]|u000b){0,32}[:=]")
_ADDRESS = re.compile(rb"://[^\s/@\"'<>]{1,2000}@")
_PRIVATE = re.compile(rb"[A-Za-z0-9+/=\s\\\-]*")


def _skeleton() -> Iterator[bytes]:
    """The runs that stand in records as such: names of fields, of kinds, of parts."""
    for one in vars(records).values():
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            yield str(one.__struct_config__.tag).encode()
            yield from (field.encode_name.encode() for field in msgspec.structs.fields(one))


_IDS_END = b',"started_at"'
_KNOWN = frozenset(name for name in _skeleton() if len(name) >= RUN)


def places(data: bytes, pause: Callable[[], object] = lambda: None) -> Iterator[tuple[int, int]]:
    """Where in *data* a secret may be, with all that tells so. What is nowhere here is no secret."""
    seen = body = 0  # up to here all is part of a place already: nothing is gone through once for each of its parts
    for first, piece in _pieces(data):
        for start, end in _runs(piece):
            if first + end > seen and (_announced(piece, start) or _begins([_unstuck(piece[start:end])])):
                seen = _end(_MORE, data, first + end)
                yield max(0, first + start - BEFORE), seen
            if end - start >= PEM and first + start >= body and (header := _header(piece, start)) >= 0:
                body = _end(_PRIVATE, data, first + start)
                yield first + header, body
        for start, end in _others(piece):
            yield max(0, first + start - 8), first + end + 256
        pause()


def _in(piece: bytes) -> bool:
    """Whether there are :func:`places` in *piece*, which is JSON."""
    runs = []
    for start, end in _runs(piece):
        run = piece[start:end]
        before = piece[start - 1] if start else 0
        if before == _BACKSLASH:
            run = _unstuck(run)
        elif run in _KNOWN:
            continue
        # Behind a quote that is none of a text's own a text begins, and nothing in it announces it.
        if (before != _QUOTE or piece[start - 2 : start - 1] == b"\\") and _announced(piece, start):
            return True
        if end - start >= PEM and _header(piece, start) >= 0:
            return True
        runs.append(run)
    if runs and _begins(runs):
        return True
    return next(_others(piece), None) is not None


def _pieces(data: bytes) -> Iterator[tuple[int, bytes]]:
    if len(data) <= PIECE:
        yield 0, data
        return
    for at in range(0, len(data), PIECE):
        first = max(0, at - OVERLAP)
        yield first, data[first : at + PIECE]


def _runs(piece: bytes) -> list[tuple[int, int]]:
    where = piece.translate(_TABLE)
    found = []
    at, size = 0, len(where)
    while at < size:
        stop = at + STEP
        start = where.find(_RUN, at, stop + RUN - 1)
        if start < 0:
            at = stop
            continue
        end = where.find(b"\0", start + RUN)
        if end < 0:
            end = size
        found.append((start, end))
        at = end
    return found


def _unstuck(run: bytes) -> bytes:
    """*run*, which follows a backslash, also without what an escape may have stuck to it."""
    return b" ".join((run, run[1:], run[5:]))


def _begins(runs: list[bytes]) -> bool:
    """Whether one of *runs* begins like a key, or has a beginning in it that is one anywhere."""
    joined = b" " + b" ".join(runs)
    if _WITHIN.search(joined) or _BEGINS.search(joined):
        return True
    for literal in _LITERALS:  # noqa: SIM110 - any() costs as much as all of them
        if literal in joined:
            return True
    return False


def _announced(piece: bytes, start: int) -> bool:
    """Whether a name that announces a secret stands right before the place *start*."""
    before = piece[start - BEFORE if start > BEFORE else 0 : start].rstrip(_BETWEEN)
    return before[-3:].lower() in _LAST and _ANNOUNCED.search(before[-48:].lower()) is not None


def _header(piece: bytes, start: int) -> int:
    """Where the header of a private key is before the place *start*, if it is."""
    return piece.rfind(b"-----BEGIN", max(0, start - OVERLAP // 2), start)


def _others(piece: bytes) -> Iterator[tuple[int, int]]:
    """Where what has no long run may be: a password behind its name, or in an address."""
    if b"assw" in piece:
        yield from _each(piece, b"assw", _PASSWORD)
    if b"=" in piece and b"PASSW" in piece:
        yield from _each(piece, b"PASSW", _PASSWORD)
    if b"@" in piece and b"://" in piece:
        yield from _each(piece, b"://", _ADDRESS)


def _each(piece: bytes, literal: bytes, expression: re.Pattern[bytes]) -> Iterator[tuple[int, int]]:
    """What *expression* finds where *literal* is: many times as fast as its search for it."""
    at = piece.find(literal)
    while at >= 0:
        match = expression.match(piece, at)
        if match:
            yield match.span()
        at = piece.find(literal, match.end() if match else at + 1)


def _end(expression: re.Pattern[bytes], data: bytes, start: int) -> int:
    match = expression.match(data, start, start + LONGEST)
    return match.end() if match else start


class Gate:
    """Says of the bytes of a record whether any of *kinds* may be in them. It may be wrong in saying yes, and never in saying no."""

    def __init__(self, kinds: Iterable[Kind], pause: Callable[[], object] = lambda: None) -> None:
        self._pause, self._seen = pause, Seen()
        names = {kind.name for kind in kinds}
        self._secrets = SECRETS[0].name in names
        self._email = "email" in names
        self._always = bool(names - {kind.name for kind in SECRETS} - {"email"})

    def __call__(self, line: bytes) -> bool:
        """Whether the record of *line* has to be gone through."""
        if self._always or (self._email and b"@" in line):
            return True
        if self._secrets:
            start = max(0, line.find(_IDS_END, 0, 256))  # the ids before it are ours
            if len(line) < LEAST:
                return _in(line[start:])
            for begin, end in self._seen.new(line, start):
                for _, piece in _pieces(line[begin:end]):
                    if _in(piece):
                        return True
                    self._pause()
            self._seen.add(line, start)
        return False
