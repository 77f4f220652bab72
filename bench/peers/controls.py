"""The controls: what people write by hand, and the floor below which no tool can be."""

import json
import sqlite3
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

# --- the floor: references and instants, no more ---------------------------------------------------------------------


def floor() -> None:
    """Wraps httpx2's `send`; requests, responses, chunks and instants go into a bounded deque."""
    import httpx2

    kept: deque[Any] = deque(maxlen=10_000)

    class Tap(httpx2.SyncByteStream, httpx2.AsyncByteStream):
        def __init__(self, stream: Any) -> None:
            self.stream, self.chunks = stream, []

        def __iter__(self) -> Iterator[bytes]:
            for chunk in self.stream:
                self.chunks.append((time.perf_counter_ns(), chunk))
                yield chunk

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in self.stream:
                self.chunks.append((time.perf_counter_ns(), chunk))
                yield chunk

        def close(self) -> None:
            self.stream.close()

        async def aclose(self) -> None:
            await self.stream.aclose()

    plain, awaited = httpx2.Client.send, httpx2.AsyncClient.send

    def send(self: Any, request: Any, *, stream: bool = False, **more: Any) -> Any:
        began = time.perf_counter_ns()
        response = plain(self, request, stream=stream, **more)
        if stream:
            response.stream = Tap(response.stream)
        kept.append((began, time.perf_counter_ns(), request, response))
        return response

    async def asend(self: Any, request: Any, *, stream: bool = False, **more: Any) -> Any:
        began = time.perf_counter_ns()
        response = await awaited(self, request, stream=stream, **more)
        if stream:
            response.stream = Tap(response.stream)
        kept.append((began, time.perf_counter_ns(), request, response))
        return response

    httpx2.Client.send, httpx2.AsyncClient.send = send, asend


# --- by hand: a table, and a commit in the request -------------------------------------------------------------------


class Table:
    """Prompts and answers in SQLite, one connection a thread, a commit for each."""

    def __init__(self, path: Path) -> None:
        self.path, self.local = path, threading.local()

    def connection(self) -> sqlite3.Connection:
        if not hasattr(self.local, "connection"):
            self.local.connection = sqlite3.connect(self.path, timeout=30)
            self.local.connection.execute("create table if not exists calls (at real, model text, prompt text, answer text, seconds real)")
        return self.local.connection

    def write(self, asked: dict[str, Any], said: str, began: float) -> None:
        row = (began, asked["model"], json.dumps(asked["messages"]), said, time.time() - began)
        connection = self.connection()
        connection.execute("insert into calls values (?, ?, ?, ?, ?)", row)
        connection.commit()

    def stored(self) -> Iterator[bytes]:
        """What was written since the last time, which is then deleted."""
        connection = self.connection()
        for prompt, answer in connection.execute("select prompt, answer from calls"):
            yield f"{prompt} {answer}".encode()
        connection.execute("delete from calls")
        connection.commit()


def by_hand(path: Path) -> Callable[[], Iterator[bytes]]:
    """Wraps `create`; returns what was stored."""
    from openai.resources.chat.completions import AsyncCompletions, Completions

    table = Table(path)
    plain, awaited = Completions.create, AsyncCompletions.create

    def create(self: Any, **asked: Any) -> Any:
        began = time.time()
        answer = plain(self, **asked)
        if asked.get("stream"):
            return followed(answer, asked, began)
        table.write(asked, answer.choices[0].message.content, began)
        return answer

    def followed(stream: Any, asked: dict[str, Any], began: float) -> Iterator[Any]:
        said = []
        for chunk in stream:
            said.append(chunk.choices[0].delta.content or "")
            yield chunk
        table.write(asked, "".join(said), began)

    async def acreate(self: Any, **asked: Any) -> Any:
        began = time.time()
        answer = await awaited(self, **asked)
        if asked.get("stream"):
            return afollowed(answer, asked, began)
        table.write(asked, answer.choices[0].message.content, began)
        return answer

    async def afollowed(stream: Any, asked: dict[str, Any], began: float) -> AsyncIterator[Any]:
        said = []
        async for chunk in stream:
            said.append(chunk.choices[0].delta.content or "")
            yield chunk
        table.write(asked, "".join(said), began)

    Completions.create, AsyncCompletions.create = create, acreate
    return table.stored
