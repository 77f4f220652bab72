"""Where every tool exports to: `python -m peers.swallow` prints its port.

It says 200 to whatever is posted, by OTLP or to the ingestion of Langfuse, Logfire and Sentry. `GET /count` tells which calls were
found in what came since the last time; only then is anything decompressed or read.
"""

import asyncio
import json

from peers.http1 import header, response, serve
from peers.markers import Found, unpacked

INFO = json.dumps({"project_name": "bench", "project_url": "http://127.0.0.1/bench"}).encode()  # Logfire asks whose token it is
EMPTY = response(b"", b"application/x-protobuf")
DONE = response(b'{"id": "00000000000000000000000000000000"}')

came: list[tuple[bytes, bytes]] = []


def answer(line: bytes, head: bytes, body: bytes, transport: asyncio.Transport) -> None:
    if line.startswith(b"POST "):
        came.append((body, header(head, b"content-encoding")))
        transport.write(EMPTY if b"protobuf" in header(head, b"content-type") else DONE)
    elif line.startswith(b"GET /count "):
        found = Found().read(unpacked(*each) for each in came)
        counts = found.counts() | {"posts": len(came), "bytes": sum(len(body) for body, _ in came)}
        came.clear()
        transport.write(response(json.dumps(counts).encode()))
    else:
        transport.write(response(INFO))


if __name__ == "__main__":
    serve(answer)
