"""The least HTTP/1.1 server with keep-alive that asyncio allows: what it costs is not what is measured."""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable

Answer = Callable[[bytes, bytes, bytes, asyncio.Transport], None]
"""Answers one request: its request line, its head in lower case, its body, and where to write."""


class Http1(asyncio.Protocol):
    """Reads requests with a content-length, one after another, and hands each to *answer*."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.buffer = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            line, _, rest = bytes(self.buffer[:end]).partition(b"\r\n")
            head = rest.lower() + b"\r\n"
            length = int(header(head, b"content-length") or 0)
            if len(self.buffer) < end + 4 + length:
                return
            body = bytes(self.buffer[end + 4 : end + 4 + length])
            del self.buffer[: end + 4 + length]
            self.answer(line, head, body, self.transport)


def header(head: bytes, name: bytes) -> bytes:
    """The value of the header *name* in a lower-case *head*."""
    at = (b"\r\n" + head).find(b"\r\n" + name + b":")
    return b"" if at < 0 else head[at + len(name) + 1 : head.find(b"\r\n", at)].strip()


def response(body: bytes, content_type: bytes = b"application/json", more: bytes = b"") -> bytes:
    """A whole response."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%bcontent-length: %d\r\n\r\n%b" % (content_type, more, len(body), body)


def serve(answer: Answer) -> None:
    """Serves on a free port of 127.0.0.1, which is printed as JSON, until standard input ends."""

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Http1(answer), "127.0.0.1", 0, backlog=2048)
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
        await server.serve_forever()

    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    asyncio.run(forever())
