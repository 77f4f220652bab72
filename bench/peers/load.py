"""Load on a web app: `python -m peers.load PORT COUNT (c32 | r150) FIRST` prints what it saw as JSON.

`c32` keeps 32 requests under way. `r150` begins 150 a second whatever the answers take, and times each from when it should have
begun: an app that stands still is charged for everyone who waits.
"""

import asyncio
import json
import sys
import time


class Connection(asyncio.Protocol):
    """One kept connection; one request at a time."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at = head.find(b"content-length:") + 15
        if len(self.buffer) >= end + 4 + int(head[at : (head + b"\r\n").find(b"\r\n", at)]):
            status, self.buffer = int(head[9:12]), b""
            self.answered.set_result(status)

    def connection_lost(self, error: Exception | None) -> None:
        if hasattr(self, "answered") and not self.answered.done():
            self.answered.set_result(0)

    async def get(self, path: str) -> int:
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: */*\r\n\r\n".encode())
        return await self.answered


class Load:
    """Requests to *port*, numbered from *first*."""

    def __init__(self, port: int, count: int, first: int) -> None:
        self.port, self.count, self.numbers = port, count, iter(range(first, first + count))
        self.free: list[Connection] = []
        self.times: list[float] = []
        self.failed = 0

    async def one(self, number: int, due: float) -> None:
        connection = self.free.pop() if self.free else None
        if connection is None or connection.transport.is_closing():
            _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self.port)
        status = await connection.get(f"/chat/{number:012x}")
        self.times.append(time.perf_counter() - due)
        self.failed += status != 200
        self.free.append(connection)

    async def closed(self, concurrency: int) -> None:
        async def worker() -> None:
            for number in self.numbers:
                await self.one(number, time.perf_counter())

        await asyncio.gather(*(worker() for _ in range(concurrency)))

    async def open(self, rate: float) -> None:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for n, number in enumerate(self.numbers):
                due = began + n / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(self.one(number, due))


def main() -> None:
    port, count, way, first = sys.argv[1:]
    load = Load(int(port), int(count), int(first))
    began = time.perf_counter()
    asyncio.run(load.closed(int(way[1:])) if way[0] == "c" else load.open(float(way[1:])))
    print(json.dumps({"took": time.perf_counter() - began, "times": load.times, "failed": load.failed}))


if __name__ == "__main__":
    main()
