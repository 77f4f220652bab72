"""What Google's servers say went wrong: the status, the finer reason in the details, and errors that stand between the events of a stream."""

from typing import Any

import msgspec

from llm_observe.records import Error, Exchange
from llm_observe.wire.answer import error_of
from llm_observe.wire.encoding import Chain
from llm_observe.wire.jsonio import items, load, mapping, text
from llm_observe.wire.sse import lines_of

_STRAY = 64 * 1024  # bytes at a stream's end in which such an error is looked for; it has one or two thousand


def failed(document: Any, exchange: Exchange) -> Error | None:
    """The error in a document. Its ``code`` is the reason that the details give; a quota of the day makes it a permanent one."""
    error = error_of(document)
    if error is None:
        return None
    document = document[0] if type(document) is list else document
    reason, permanent = None, False
    for detail in map(mapping, items(mapping(document.get("error")).get("details"))):
        reason = reason or text(detail.get("reason"))
        quotas = [text(mapping(violation).get("quotaId")) or "" for violation in items(detail.get("violations"))]
        permanent = permanent or any("PerDay" in quota for quota in quotas)
    number = error.code if error.code != reason else None
    return msgspec.structs.replace(error, code=reason or number, permanent=permanent or None)


def stray(exchange: Exchange) -> tuple[Any, Error | None]:
    """The document, and the error in it, that stands bare after the last event: so a stream ends whose server gave up."""
    pieces, encoding = exchange.tail or exchange.chunks, exchange.response_headers.get("content-encoding")
    if encoding and not exchange.content_decoded:
        pieces = [] if exchange.tail else Chain(encoding).pieces(pieces)  # nothing can be unpacked behind a gap
    end = b"\n" + lines_of(b"".join(pieces)[-_STRAY:])
    document = load(end[start:]) if (start := end.rfind(b"\n{")) >= 0 else None
    error = failed(document, exchange) if type(document) is dict else None
    return document, error
