"""A reply as an HTTP answer in the format of the request: status, headers, and a body or the events of a stream."""

import email.utils
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from llm_observe.testing import _anthropic_messages, _openai_chat
from llm_observe.testing._replies import Received, Reply
from llm_observe.testing._said import Event, encode

_JSON = "application/json"
_EVENTS = "text/event-stream; charset=utf-8"


class Dialect(Protocol):
    """How one wire format spells what replies say. Modules are dialects."""

    NAME: str
    REQUEST_ID: str  # the header that carries it
    PROCESSING: str  # the header with the milliseconds the service took
    FAILING: int  # the status of an error that could not be told in a stream
    HEADERS: dict[str, str]

    def error(self, reply: Reply, status: int, request_id: str) -> dict[str, Any]:
        """The body of an error."""
        ...

    def document(self, received: Received, reply: Reply) -> dict[str, Any]:
        """The body of a plain answer."""
        ...

    def events(self, received: Received, reply: Reply, request_id: str) -> Iterator[Event]:
        """The events of a streamed answer."""
        ...


_DIALECTS: dict[str, Dialect] = {_openai_chat.NAME: _openai_chat, _anthropic_messages.NAME: _anthropic_messages}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes over the socket: *head* ends in its empty line; a body, or the events of a stream that wait to be chunked."""

    head: bytes
    body: bytes = b""
    events: tuple[Event, ...] | None = None
    cut: bool = False


def answer(received: Received, reply: Reply) -> Answer:
    """*reply* in the words of the format that *received* was asked in; OpenAI's where the path is neither's."""
    dialect = _DIALECTS.get(received.format or "", _openai_chat)
    request_id = f"req_{uuid.uuid4().hex}"
    status = reply.status
    if reply.error_in_stream and not received.stream and status < 400:
        status = dialect.FAILING
    headers = {
        "date": email.utils.formatdate(usegmt=True),
        "content-type": _EVENTS if received.stream and status < 400 else _JSON,
        dialect.REQUEST_ID: request_id,
        dialect.PROCESSING: str(max(0, int((time.time() - received.received_at) * 1000))),
        **dialect.HEADERS,
    }
    if reply.gzip:
        headers["content-encoding"] = "gzip"
    headers |= {name.lower(): value for name, value in reply.headers.items()}
    if reply.raw is None and status < 400 and received.stream:
        events = tuple(_until_cut(dialect.events(received, reply, request_id), reply.cut_after))
        events = tuple(_squeezed(events)) if reply.gzip else events
        return Answer(_head(status, headers | {"transfer-encoding": "chunked"}), events=events, cut=reply.cut_after is not None)
    if reply.raw and reply.chunks is not None:
        events = tuple(_until_cut(_pieces(reply.raw, reply.chunks), reply.cut_after))
        events = tuple(_squeezed(events)) if reply.gzip else events
        return Answer(_head(status, headers | {"transfer-encoding": "chunked"}), events=events, cut=reply.cut_after is not None)
    if reply.raw is not None:
        body = reply.raw
    else:
        said = dialect.error(reply, status, request_id) if status >= 400 else dialect.document(received, reply)
        body = encode(said).encode()
    if reply.gzip:
        squeeze = zlib.compressobj(wbits=31)
        body = squeeze.compress(body) + squeeze.flush()
    head = _head(status, headers | {"content-length": str(len(body))})
    return Answer(head, body[: reply.cut_after], cut=reply.cut_after is not None)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} \r\n{lines}\r\n".encode("latin-1")  # the phrase may be empty, its space may not (RFC 9112, 4)


def _pieces(raw: bytes, chunks: int) -> Iterator[Event]:
    """*raw* in so many pieces, or in as many as it has bytes."""
    size = max(1, -(-len(raw) // max(chunks, 1)))
    for start in range(0, len(raw), size):
        yield Event(raw[start : start + size], paced=True)


def _until_cut(events: Iterator[Event], cut_after: int | None) -> Iterator[Event]:
    """The events that are sent: all, or those up to the *cut_after*-th with content."""
    paced = 0
    for event in events:
        if event.paced and paced == cut_after:
            return
        paced += event.paced
        yield event
        if paced == cut_after and event.paced:
            return


def _squeezed(events: tuple[Event, ...]) -> Iterator[Event]:
    """The events, each so far compressed that it can be read when it arrives."""
    squeeze = zlib.compressobj(wbits=31)
    for event in events[:-1]:
        yield Event(squeeze.compress(event.data) + squeeze.flush(zlib.Z_SYNC_FLUSH), event.paced)
    yield Event(squeeze.compress(events[-1].data) + squeeze.flush(), events[-1].paced)
