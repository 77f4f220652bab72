"""The response's body, from chunks as they came to one document or a list of events.

The body decides what it is: ``stream: true`` may be answered with a JSON error, and headers lie. Chunks are joined before they are
split into events, because only the first event's time is of interest.
"""

from typing import Any

import msgspec

from llm_observe.records import Exchange
from llm_observe.wire import sse
from llm_observe.wire.encoding import Chain
from llm_observe.wire.jsonio import MALFORMED, load

GAP = "response too long: middle left out"

_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What was received: events of a stream, or one document, or neither."""

    events: list[bytes] | None = None
    document: Any = MALFORMED
    first_chunk_at: int | None = None
    reason: str | None = None  # why something of it is missing
    lacking: bool = False  # whether we lack its end, which may have come: left out, or not readable for us
    text: bytes = b""  # the beginning, where it is neither


def body_of(exchange: Exchange) -> Body:
    """Read the chunks of *exchange*."""
    pieces, gap = exchange.chunks, bool(exchange.tail)
    reason, lacking = GAP if gap else None, False
    encoding = "" if exchange.content_decoded else exchange.response_headers.get("content-encoding", "")
    chain = Chain(encoding) if encoding else None
    if chain:
        pieces = chain.pieces(pieces)
        reason = reason or chain.problem
        lacking = gap or not chain.to_the_end  # nothing can be unpacked behind a gap
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)

    if _is_events(data, exchange.response_headers.get("content-type", "")):
        events = _across_gap(data, [] if chain else exchange.tail) if gap else sse.events(data)
        return Body(events=events, first_chunk_at=_first_chunk_at(pieces, exchange.chunk_times), reason=reason, lacking=lacking)
    document = load(data) if data and not gap else MALFORMED
    if document is not MALFORMED:
        return Body(document=document, reason=reason)
    reason = reason or ("response is no JSON" if data else "response has no body")
    return Body(reason=reason, lacking=lacking or gap, text=data[:2000])


def _is_events(data: bytes, content_type: str) -> bool:
    head = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith((b"{", b"[", b"<")):
        return False
    return content_type.lower().startswith("text/event-stream") or head.startswith(_FIELDS)


def _across_gap(head: bytes, tail: list[bytes]) -> list[bytes]:
    """The events before the gap and after it. The one it begins in is dropped, and so is the one it ends in."""
    rest = sse.lines_of(b"".join(tail))
    return sse.Sse().feed(head) + sse.events(rest.partition(b"\n\n")[2])


def _first_chunk_at(pieces: list[bytes], times: list[int]) -> int | None:
    """When the read came that completed the first event with data."""
    if not times:
        return None
    stream = sse.Sse()
    for at, piece in zip(times, pieces, strict=False):
        if stream.feed(piece):
            return at
    return times[-1] if stream.close() else None
