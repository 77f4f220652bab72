"""Parcels for an exporter that is behind: what a prompt repeats of the one before it in its session is kept once.

A conversation sends all that was said with every turn, so that a queue of its turns grows with their square. Here the messages that
a call shares with the call before it are that call's own objects, and the JSON is made when the record's turn comes. Told by
comparing, not by hashing: equal texts cost a `memcmp`, and nothing is looked at while nobody is behind.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import takewhile

import msgspec

from llm_observe._runtime.channel import Channel
from llm_observe._runtime.encode import encode
from llm_observe._runtime.parcel import Parcel
from llm_observe.records import Call

BEHIND = 0.125  # of a channel's bytes: what comes from here on is kept once
LEAST = 512  # bytes that are worth it: the JSON is made twice for them
REMEMBERED = 16  # of a queue's bytes, one part in so many is for the prompts that the next ones are compared with


def behind(channel: Channel) -> bool:
    """Whether what comes now will wait for long. A spool has room of another kind."""
    spooling = channel._spool is not None  # noqa: SLF001 - its own affair, but for this
    return not spooling and channel.waiting_bytes > BEHIND * channel.limits.queue_bytes


class Slim(Parcel):
    """A parcel that shares texts with an earlier one, and makes its JSON when it is asked for it."""

    __slots__ = ()

    def __init__(self, record: Call, whole: Parcel, size: int) -> None:
        self.record, self.at, self.bulk, self.size = record, whole.at, whole.bulk, size

    @property
    def line(self) -> bytes:  # type: ignore[override]  # held there, and made here
        """The record's JSON."""
        return encode(self.record)


Pieces = tuple[msgspec.Struct, ...]


class _Said(msgspec.Struct):
    """What the last call of a session sent: its instructions, tools and messages, and how many bytes of JSON each piece is."""

    pieces: tuple[Pieces, ...] = ((), (), ())
    sizes: tuple[list[int], ...] = ([], [], [])

    @property
    def size(self) -> int:
        return sum(map(sum, self.sizes))


class Once:
    """The last prompts of the sessions of late, in at most *room* bytes.

    A parcel's size leaves out what it shares. That stays so when the parcel it shares with has gone, so ``bytes`` counts besides: since
    parcels leave in the order in which they came, those texts are among the ones that were remembered when the front of the queue came.
    """

    def __init__(self, room: int) -> None:
        self._room, self._remembered = room, 0
        self._sessions: OrderedDict[str, _Said] = OrderedDict()
        self.saved = 0  # bytes of JSON that were not kept a second time

    @property
    def bytes(self) -> int:
        """Bytes to count beside the parcels."""
        return self._room if self._sessions else 0

    def forget(self) -> None:
        """Nobody is behind any more."""
        self._sessions.clear()
        self._remembered = 0

    def slim(self, parcels: Sequence[Parcel]) -> list[Parcel]:
        """*parcels* with what they repeat kept once; those that repeat nothing as they are."""
        return [self._tried(parcel, parcel.record) if isinstance(parcel.record, Call) else parcel for parcel in parcels]

    def _tried(self, parcel: Parcel, call: Call) -> Parcel:
        try:
            return self._slim(parcel, call)
        except Exception:  # what a processor put there may not like to be compared: it waits whole
            return parcel

    def _slim(self, parcel: Parcel, call: Call) -> Parcel:
        session = (call.scope and call.scope.session_id) or call.trace_id
        before = self._sessions.pop(session, _Said())
        self._remembered -= before.size
        now: tuple[Pieces, ...] = (call.system_instructions, call.tool.definitions, call.input.messages)
        common = [_common(old, new) for old, new in zip(before.pieces, now, strict=True)]
        now = tuple(old[:count] + new[count:] for old, new, count in zip(before.pieces, now, common, strict=True))
        known = [sizes[:count] for sizes, count in zip(before.sizes, common, strict=True)]
        shared = sum(map(sum, known))
        self._remember(
            session,
            _Said(now, tuple(sizes + [len(encode(one)) for one in new[len(sizes) :]] for sizes, new in zip(known, now, strict=True))),
        )
        if shared < LEAST:
            return parcel
        self.saved += shared
        return Slim(msgspec.structs.replace(call, **_with(call, *now)), parcel, parcel.size - shared * parcel.per_byte)

    def _remember(self, session: str, said: _Said) -> None:
        self._sessions[session] = said
        self._remembered += said.size
        while self._remembered > self._room:
            self._remembered -= self._sessions.popitem(last=False)[1].size


def _common(old: Pieces, new: Pieces) -> int:
    """How many at the beginning are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def _with(call: Call, system: Pieces, tools: Pieces, messages: Pieces) -> dict[str, object]:
    """The fields of *call* that say so. What is empty stays the default that it is, so that it is not written."""
    fields: dict[str, object] = {}
    if system:
        fields["system_instructions"] = system
    if tools:
        fields["tool"] = msgspec.structs.replace(call.tool, definitions=tools)
    if messages:
        fields["input"] = msgspec.structs.replace(call.input, messages=messages)
    return fields
