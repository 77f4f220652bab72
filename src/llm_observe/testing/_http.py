"""The little HTTP/1.1 that the provider needs, on a blocking socket: read one request, write one answer.

``http.server`` parses headers with the e-mail package, which costs more than all the rest of an answer; a provider that benchmarks
stand on cannot.
"""

import socket
import struct
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from llm_observe.testing._answers import Answer

_LINE = 65_536  # the longest request or header line, as in http.server
_RESET = struct.pack("ii", 1, 0)


class BadRequest(Exception):
    """What came is no HTTP that we read."""


class Incoming(NamedTuple):
    """One request as it came, and whether its connection may be kept."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    keep: bool


def read_request(stream: BinaryIO, sock: socket.socket) -> Incoming | None:
    """The next request of the connection; None when there is none.

    :raises BadRequest: for what is no HTTP request.
    :raises ConnectionError: when the client goes away in the middle of one.
    """
    line = stream.readline(_LINE)
    if not line:
        return None
    try:
        method, target, version = line.decode("latin-1").split()
        headers = _headers(stream)
        if headers.get("expect", "").lower() == "100-continue":
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        body = _chunked(stream) if chunked else _exactly(stream, int(headers.get("content-length", "0")))
    except ValueError as error:
        raise BadRequest(str(error)) from None
    # Bodies of answers to HEAD are not read by anybody: only a POST keeps its connection.
    keep = method == "POST" and version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return Incoming(method, target, headers, body, keep)


def write_answer(sock: socket.socket, answer: Answer, pause: Callable[[], None]) -> None:
    """Write *answer*, one write an event; *pause* is called before each event with content."""
    if answer.events is None:
        sock.sendall(answer.head + answer.body)
        return
    held = answer.head  # leaves with the first event
    last = len(answer.events) - 1
    for n, (data, paced) in enumerate(answer.events):
        if paced:
            pause()
        end = b"\r\n0\r\n\r\n" if n == last and not answer.cut else b"\r\n"
        sock.sendall(b"%b%x\r\n%b%b" % (held, len(data), data, end))
        held = b""


def reset(sock: socket.socket) -> None:
    """Let the coming close be a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := _line(stream).decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _chunked(stream: BinaryIO) -> bytes:
    body = b""
    while size := int(_line(stream).partition(b";")[0], 16):
        body += _exactly(stream, size)
        _line(stream)
    _headers(stream)  # trailers, and the empty line
    return body


def _line(stream: BinaryIO) -> bytes:
    if line := stream.readline(_LINE):
        return line
    raise ConnectionError("The client went away in the middle of a request.")


def _exactly(stream: BinaryIO, size: int) -> bytes:
    if len(data := stream.read(size)) == size:
        return data
    raise ConnectionError("The client went away in the middle of a body.")
