"""The response's body, from chunks as they came to one document or a list of events.

The body decides what it is: ``stream: true`` may be answered with a JSON error, and headers lie. Each event is given the instant of
the read that completed it.
"""

import itertools
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from llm_observe.records import Exchange
from llm_observe.wire import ends, eventstream, sse
from llm_observe.wire.encoding import Chain
from llm_observe.wire.eventstream import EventStream
from llm_observe.wire.jsonio import MALFORMED, load
from llm_observe.wire.jsonstream import Elements, Lines

GAP = "response too long: middle left out"

_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_FRAMES = "application/vnd.amazon.eventstream"
_LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/stream+json")


class Framing(Protocol):
    """Events out of bytes, fed piece by piece."""

    def feed(self, data: bytes, /) -> list[bytes]:
        """The events that *data* completes."""

    def close(self) -> list[bytes]:
        """The event that was still open, if it says something."""


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What was received: events of a stream, or one document, or neither."""

    events: list[bytes] | None = None
    times: list[int] = []  # of each event, the instant of the read that completed it; empty where the reads have none
    document: Any = MALFORMED
    reason: str | None = None  # why something of it is missing
    lacking: bool = False  # whether we lack its end, which may have come: left out, or not readable for us
    text: bytes = b""  # the beginning, where it is neither


def body_of(exchange: Exchange, *, arrays: bool = False) -> Body:
    """Read the chunks of *exchange*. *arrays*: a JSON array is a stream of its elements."""
    pieces, gap = exchange.chunks, bool(exchange.tail)
    reason, lacking = GAP if gap else None, False
    encoding = "" if exchange.content_decoded else exchange.response_headers.get("content-encoding", "")
    chain = Chain(encoding) if encoding else None
    if chain:
        pieces = chain.pieces(pieces)
        reason = reason or chain.problem
        lacking = gap or not chain.to_the_end  # nothing can be unpacked behind a gap
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)

    content_type = exchange.response_headers.get("content-type", "").lower()
    opening = data[:64].removeprefix(_BOM).lstrip()
    if not opening.startswith((b"{", b"[", b"<")):  # frames begin with their length: none has so many bytes
        if content_type.startswith(_FRAMES) or eventstream.begins(data):
            framing = EventStream()
            events, times = _fed(framing, pieces, exchange.chunk_times)
            if gap:
                events, times = events + EventStream(behind_gap=True).feed(b"" if chain else b"".join(exchange.tail)), times[:1]
            return Body(events=events, times=times, reason=reason or framing.problem, lacking=lacking)
        if content_type.startswith("text/event-stream") or opening.startswith(_FIELDS):
            events, times = _events(data, pieces, exchange.chunk_times)
            if gap:
                events, times = _across_gap(data, [] if chain else exchange.tail), times[:1]
            return Body(events=events, times=times, reason=reason, lacking=lacking)
    if arrays and data[:64].lstrip().startswith(b"["):
        return _framed(Elements(), pieces, exchange.chunk_times, reason=reason, lacking=lacking or gap)
    if content_type.startswith(_LINES):
        return _framed(Lines(), pieces, exchange.chunk_times, reason=reason, lacking=lacking or gap)
    document = MALFORMED
    if data and not gap:
        document = load(data)
    elif not chain:
        document = _of_ends(data, b"".join(exchange.tail))
    if document is not MALFORMED:
        return Body(document=document, reason=reason)
    if _is_lines(data):
        return _framed(Lines(), pieces, exchange.chunk_times, reason=reason, lacking=lacking or gap)
    reason = reason or ("response is no JSON" if data else "response has no body")
    return Body(reason=reason, lacking=lacking or gap, text=data[:2000])


def _of_ends(front: bytes, back: bytes) -> Any:
    """What both ends of an object say, where its own end is there: else it may have been broken off."""
    return (ends.document(front, back) or MALFORMED) if back.rstrip().endswith(b"}") else MALFORMED


def _is_lines(data: bytes) -> bool:
    """JSON lines that say to be something else: the first line is a document by itself, and there are more."""
    first, newline, rest = data.lstrip().partition(b"\n")
    return bool(newline) and rest.lstrip().startswith(b"{") and first.startswith(b"{") and load(first) is not MALFORMED


def _events(data: bytes, pieces: list[bytes], reads: list[int]) -> tuple[list[bytes], list[int]]:
    """Server-sent events, each with its instant."""
    if not reads:
        return sse.events(data), []
    if sse.CR in data:
        return _fed(sse.Sse(), pieces, reads)
    if len(reads) == len(pieces) and (each := sse.each(pieces, data)):
        return each, reads  # as most servers send them
    events, sizes = sse.located(data)
    lengths = list(map(len, pieces))
    if len(reads) == len(sizes) and sizes == lengths:
        return events, reads
    arrived, last = list(itertools.accumulate(lengths)), len(reads) - 1
    return events, [reads[min(bisect_left(arrived, end), last)] for end in itertools.accumulate(sizes)]


def _fed(framing: Framing, pieces: list[bytes], reads: list[int]) -> tuple[list[bytes], list[int]]:
    """What *framing* makes of the pieces, each event with its instant, where the reads have one."""
    events: list[bytes] = []
    times: list[int] = []
    for read, piece in enumerate(pieces):
        found = framing.feed(piece)
        events += found
        if reads and found:
            times += [reads[min(read, len(reads) - 1)]] * len(found)
    rest = framing.close()
    return events + rest, times + reads[-1:] * len(rest)


def _framed(framing: Framing, pieces: list[bytes], reads: list[int], *, reason: str | None, lacking: bool) -> Body:
    events, times = _fed(framing, pieces, reads)
    return Body(events=events, times=times, reason=reason, lacking=lacking)


def _across_gap(head: bytes, tail: Iterable[bytes]) -> list[bytes]:
    """The events before the gap and after it. The one it begins in is dropped, and so is the one it ends in."""
    rest = sse.lines_of(b"".join(tail))
    return sse.Sse().feed(head) + sse.events(rest.partition(b"\n\n")[2])
