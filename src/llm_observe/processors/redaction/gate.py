"""Where there can be anything to take out at all: asked of every record, so it has to cost next to nothing.

Nearly all that is secret has sixteen characters or more without a space between them; nearly nothing that people write has. Such runs are
found by C over the bytes (one translation, one search), and only they are looked at: at what they begin with, and at what stands before
them. What has no long run (passwords, addresses with one) is found by a literal. Whatever is searched here is searched alike in a text and
in the JSON of a record, where a line's end is a backslash and an `n` that sticks to the run behind it.

What costs what, in nanoseconds a byte: a bytearray's translation 0.4 (that of bytes 0.6, for it notes whether anything changed), a search
for one byte 0.02, for four from the end on 0.3 and from the begin on 0.6, an expression with a literal first 0.6, one with a class first 5.
And a call: ``61 in line`` 40 ns, ``line.find(b"=")`` 100, ``b"=" in line`` 250, for it tries whether that is a number, and fails, first.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from llm_observe import records
from llm_observe.processors.redaction.kinds import ANYWHERE, AT_A_START, SECRETS, Kind
from llm_observe.processors.redaction.seen import LEAST, OVERLAP, Seen

RUN = 16  # characters that a secret has at least
PEM = 40  # and a line of a private key
BEFORE = 96  # bytes before it in which it may be announced
PIECE = 64 * 1024  # bytes looked at between two breaths
LONGEST = 1024 * 1024  # bytes of one secret
MOST, LONG = 2048, 64  # runs that are remembered to begin like no key, and the bytes of one

HEX = b"0123456789abcdef-"  # ids have nothing else, so that they cost no look at how they begin; every beginning of a key has
_TABLE = bytes(code < 128 and (chr(code).isalnum() or chr(code) in "_-./+~%") for code in range(256))
_RUN = b"\0" + b"\1" * RUN
_MORE = re.compile(rb"[A-Za-z0-9_\-./+~%=]*")


def _by_their_signs(anywhere: Iterable[bytes], at_a_start: Iterable[bytes]) -> Iterator[tuple[bytes, re.Pattern[bytes]]]:
    """Expressions for how keys begin, each with a literal that it begins with itself: few texts have many of these, and C finds them at once.

    That is the first sign in a beginning (a dash, an underscore, a dot), from which it is looked for back and ahead. Without one it is a
    capital that is rare, or all of it.
    """
    found: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for begins, bound, more in ((anywhere, b"", b""), (at_a_start, rb"[ \-./+~%]", rb"[A-Za-z0-9_\-.+/]{16}")):
        for begin in sorted(begins):
            match = re.search(rb"(?<=..)[_\-.]|J|^A", begin) or re.match(rb".+", begin)
            if match:
                whole = rb"(?<=%s)%s%s" % (bound + re.escape(begin[: match.end()]), re.escape(begin[match.end() :]), more)
                found.setdefault(match[0], []).append((begin[: match.start()][-2:], whole))
    for sign, each in found.items():
        # The two bytes before it tell most: what is of another make costs no look at each beginning.
        near = b""
        if all(len(before) == 2 for before, _ in each):
            first, last = (bytes(sorted({before[place] for before, _ in each})) for place in (0, 1))
            near = rb"(?<=[%s][%s]%s)" % (first, last, re.escape(sign))
        yield sign, re.compile(rb"%s%s(?:%s)" % (re.escape(sign), near, b"|".join(whole for _, whole in each)))


_WITHIN = {*ANYWHERE, b".eyJ", b"JQQJ9", b"hooks.slack", b"discord.com/api/webhooks/", b"discordapp.com/api/webhooks/"}
_SIGNED = [(sign[0], expression) for sign, expression in _by_their_signs(_WITHIN, AT_A_START) if len(sign) == 1]
_UNSIGNED = [(literal, expression) for literal, expression in _by_their_signs(_WITHIN, AT_A_START) if len(literal) > 1]
_BETWEEN = b"\"'`\\ \t\r\n\f\v:=>nrtfu0bNRT"  # what a name and its value have between them, in JSON too


def _backwards(*words: bytes) -> bytes:
    """An expression for one of *words*, as it reads from its end on."""
    return b"(?:%s)" % b"|".join(re.escape(word[::-1]) for word in words)


# The names that announce a secret, as they end when what is between is cut off: with it goes an `n`, an `r` or a `t` of their own.
# They are read from their end on: forwards, the expression would be tried at each byte before it.
_APART = rb"[_\-. ]?"
_WHOSE = _backwards(
    *b"api access secret auth client private signing encryption session refresh webhook account subscription service master".split()
)
_ANNOUNCED = re.compile(
    b"|".join(
        (
            b"(?:di" + _APART + b")?" + _backwards(b"toke", b"token", b"secre", b"secret"),
            b"(?:di" + _APART + b")?yek(?:" + _APART + b"ssecca)?" + _APART + _WHOSE,
            _backwards(b"key", b"signature", b"credential", b"password") + rb"[a-z_\-]{0,20}[?&;]",
            _backwards(b"beare", b"basic", b"?sig", b"&sig", b";sig"),
        )
    )
)
_LAST = frozenset(
    bytes(letters)
    for end in b"key,oke,cre,are,sic,sig,ure,ial,ord,yid,nid,tid,_id,-id,.id, id".split(b",")
    for letters in itertools.product(*zip(end, end.upper(), strict=True))
)
_QUOTE, _BACKSLASH, _EQUALS, _AT, _W = b'"\\=@w'
_PASSWORD = re.compile(rb"(?:assw(?:or)?d|PASSW(?:OR)?D)(?:[\"'`\\\s]|\\[nrtf]|[nrtf]|u000b){0,32}[:=]")
_ADDRESS = re.compile(rb"://[^\s/@\"'<>]{1,2000}@")
_SHORT = ((_W, b"assw", _PASSWORD), (_EQUALS, b"PASSW", _PASSWORD), (_AT, b"://", _ADDRESS))
_PRIVATE = re.compile(rb"[A-Za-z0-9+/=\s\\\-]*")


def _skeleton() -> Iterator[bytes]:
    """The runs that stand in records as such: names of fields, of kinds, of parts."""
    for one in vars(records).values():
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            yield str(one.__struct_config__.tag).encode()
            yield from (field.encode_name.encode() for field in msgspec.structs.fields(one))


_IDS_END = b',"started_at"'
_NAMES = frozenset(name for name in _skeleton() if len(name) >= RUN)


def places(data: bytes, pause: Callable[[], object] = lambda: None) -> Iterator[tuple[int, int]]:
    """Where in *data* a secret may be, with all that tells so. What is nowhere here is no secret."""
    seen = body = 0  # up to here all is part of a place already: nothing is gone through once for each of its parts
    for first, piece in _pieces(data, 0, len(data)):
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


def _in(piece: bytes, first: int, known: set[bytes]) -> bool:
    """Whether there are :func:`places` in *piece*, which is JSON, from *first* on.

    *known* are runs that begin like no key: names of models, tools and fields, which come again in each record. Those found now are added.
    """
    where = bytearray(piece).translate(_TABLE)
    new = []
    stop = len(where)
    # From the end on: that leaps a run's length from each byte that is in none; forwards it takes up to three times as long.
    while (at := where.rfind(_RUN, first, stop)) >= 0:
        end = where.find(0, at + RUN, stop)
        run = piece[at + 1 : end if end >= 0 else stop]
        stop, before = at, piece[at]
        # Behind a quote that is none of a text's own a text begins, and nothing in it announces it.
        if before != _QUOTE or piece[at - 1] == _BACKSLASH:
            if before in _BETWEEN and _announced(piece, at + 1):
                return True
            if len(run) >= PEM and _header(piece, at + 1) >= 0:
                return True
            if before == _BACKSLASH:
                run = _unstuck(run)
        if run not in known and run.lstrip(HEX):
            new.append(run)
    if where.startswith(_RUN[1:], first):
        end = where.find(0, first, stop)
        new.append(piece[first : end if end >= 0 else stop])
    if new:
        if _begins(new):
            return True
        known.update([run for run in new if len(run) <= LONG])
        if len(known) > MOST:
            known.clear()
            known.update(_NAMES)
    # In most records one search says that there is nothing else.
    return (_EQUALS in piece or _AT in piece or piece.rfind(b"assw") >= 0) and next(_others(piece), None) is not None


def _pieces(data: bytes, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """The bytes from *start* to *stop*, piece by piece, and where each begins."""
    for at in range(start, stop, PIECE):
        first = max(start, at - OVERLAP)
        yield first, data[first : min(stop, at + PIECE)]


def _runs(piece: bytes) -> list[tuple[int, int]]:
    """Where in *piece* the runs are, found as in :func:`_in`."""
    where = bytearray(piece).translate(_TABLE)
    found = []
    stop = len(where)
    while (at := where.rfind(_RUN, 0, stop)) >= 0:
        end = where.find(0, at + RUN, stop)
        found.append((at + 1, end if end >= 0 else stop))
        stop = at
    if where.startswith(_RUN[1:]):
        end = where.find(0, 0, stop)
        found.append((0, end if end >= 0 else stop))
    found.reverse()
    return found


def _unstuck(run: bytes) -> bytes:
    """*run*, which follows a backslash, also without what an escape may have stuck to it."""
    return b" ".join((run, run[1:], run[5:]))


def _begins(runs: list[bytes]) -> bool:
    """Whether one of *runs* begins like a key, or has a beginning in it that is one anywhere."""
    joined = b" " + b" ".join(runs)
    for sign, expression in _SIGNED:
        if sign in joined and expression.search(joined):
            return True
    for literal, expression in _UNSIGNED:  # noqa: SIM110 - any() costs as much as all of them
        if joined.rfind(literal) >= 0 and expression.search(joined):
            return True
    return False


def _announced(piece: bytes, start: int) -> bool:
    """Whether a name that announces a secret stands right before the place *start*."""
    before = piece[start - BEFORE if start > BEFORE else 0 : start].rstrip(_BETWEEN)
    return before[-3:] in _LAST and _ANNOUNCED.match(before[:-49:-1].lower()) is not None


def _header(piece: bytes, start: int) -> int:
    """Where the header of a private key is before the place *start*, if it is."""
    return piece.rfind(b"-----BEGIN", max(0, start - OVERLAP // 2), start)


def _others(piece: bytes) -> Iterator[tuple[int, int]]:
    """Where what has no long run may be, from the end on: a password behind its name, or in an address."""
    for sign, literal, expression in _SHORT:
        if sign in piece:
            at = piece.rfind(literal)
            while at >= 0:
                match = expression.match(piece, at)
                if match:
                    yield match.span()
                at = piece.rfind(literal, 0, at)


def _end(expression: re.Pattern[bytes], data: bytes, start: int) -> int:
    match = expression.match(data, start, start + LONGEST)
    return match.end() if match else start


class Gate:
    """Says of the bytes of a record whether any of *kinds* may be in them. It may be wrong in saying yes, and never in saying no."""

    def __init__(self, kinds: Iterable[Kind], pause: Callable[[], object] = lambda: None) -> None:
        self._pause, self._seen, self._known = pause, Seen(), set(_NAMES)
        self._start = 0
        names = {kind.name for kind in kinds}
        self._secrets = SECRETS[0].name in names
        self._email = "email" in names
        self._always = bool(names - {kind.name for kind in SECRETS} - {"email"})

    def __call__(self, line: bytes) -> bool:
        """Whether the record of *line* has to be gone through."""
        if self._always or (self._email and _AT in line):
            return True
        if not self._secrets:
            return False
        start = self._start  # the ids before it are ours, and nearly always of the same length
        if not line.startswith(_IDS_END, start):
            start = self._start = max(0, line.find(_IDS_END, 0, 256))
        if len(line) < LEAST:
            return _in(line, start, self._known)
        for begin, end in self._seen.new(line, start):
            for _, piece in _pieces(line, begin, end):
                if _in(piece, 0, self._known):
                    return True
                self._pause()
        self._seen.add(line, start)
        return False
