"""The event that nearly all of most streams are made of, read by shape instead of by inspection: a piece of one block and nothing else.

Where many in a row are the same but for the piece (and for the blanks that Anthropic puts in front of the last brace), only strings are
read, and one event says what they say.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import repeat
from operator import itemgetter
from typing import ClassVar, Literal

import msgspec

_RUN = 256  # events that are looked at together
_FEW = 8  # for fewer it does not pay
_RIM = 4  # events behind a run that are something else: the end of a block, of the message
_NAME, _HEAD, _END = b"content_block_delta", 40, b"} "
_PIECE = re.compile(rb'"(?:text|thinking|partial_json)": ?("(?:[^"\\]++|\\.)++")\Z')


class _Text(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag="text_delta"):
    text: str
    kind: ClassVar = "text_delta"


class _Thinking(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag="thinking_delta"):
    text: str = msgspec.field(name="thinking")
    kind: ClassVar = "thinking_delta"


class _Arguments(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag="input_json_delta"):
    text: str = msgspec.field(name="partial_json")
    kind: ClassVar = "input_json_delta"


class Delta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One of a stream's many. Names are the wire's."""

    type: Literal["content_block_delta"]
    index: int
    delta: _Text | _Thinking | _Arguments
    p: str | None = None  # padding


_decode = msgspec.json.Decoder(Delta).decode
_strings = msgspec.json.Decoder(str).decode_lines


def read(events: Sequence[bytes]) -> Iterator[tuple[int, Delta | bytes]]:
    """Each of *events* with its place: usual ones as a piece of a block, many that are alike as one piece, others as they are."""
    place, again, end = 0, 0, len(events)
    while place < end:
        event, delta, count = events[place], None, 1
        if _NAME in event[:_HEAD]:  # it is cheaper to ask than to fail
            if place >= again and end - place >= _FEW:
                if found := joined(events[place : place + _RUN]):
                    delta, count = found
                else:
                    again = place + _FEW
            delta = delta or usual(event)
        yield place, delta or event
        place += count


def joined(events: Sequence[bytes]) -> tuple[Delta, int] | None:
    """One piece that says what the first of *events* and those behind it that are like it say, and how many they are."""
    first, count = events[0].rstrip(_END), len(events)
    found = _PIECE.search(first)
    if found is None:
        return None
    front = first[: found.start(1)]
    delta = usual(front + b'"?"}}')  # in which the piece can stand nowhere but in the text of its delta
    if delta is None:
        return None
    while count >= _FEW:
        if events[count - 1].startswith(front) and (texts := _texts(events[:count], front)):
            delta.delta.text = "".join(texts)
            return delta, count
        count = count - 1 if len(events) - count < _RIM else count // 2
    return None


def _texts(events: Sequence[bytes], front: bytes) -> list[str]:
    """The strings that *events* have between *front* and the last two braces. Nothing where one has anything else."""
    bare = list(map(bytes.rstrip, events, repeat(_END)))
    pieces = list(map(itemgetter(slice(len(front), None)), bare))
    whole = b"\n".join(bare)
    if (b"\n" + front).join(pieces) != whole[len(front) :]:
        return []
    if b"".join(events).count(b"}") - whole.count(b"}") != 2 * len(events):
        return []
    try:
        strings = _strings(b"\n".join(pieces))
    except (msgspec.DecodeError, UnicodeError):
        return []
    return strings if len(strings) == len(events) else []


def usual(event: bytes) -> Delta | None:
    """The piece in *event*, if it is one of the many."""
    try:
        return _decode(event)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
