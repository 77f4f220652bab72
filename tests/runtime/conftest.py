"""Time and ids in the test's hand, exchanges as a client would have made them, exporters that do as they are told."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from llm_observe._runtime.clock import Clock, Ids, serials
from llm_observe._runtime.items import Captured
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.scope import Scope
from llm_observe.exporters.memory import MemoryExporter
from llm_observe.protocols import Batch
from llm_observe.records import Exchange

SECOND = 10**9
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-x-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46},
    }
).encode()
REFUSAL = json.dumps({"error": {"message": "slow down", "type": "rate_limit_exceeded"}}).encode()


class Hands:
    """A clock whose hands the test moves, in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.clock = Clock(wall=lambda: 1_800_000_000 * SECOND + int(self.seconds * SECOND), now=lambda: int(self.seconds * SECOND))

    def move(self, seconds: float) -> None:
        self.seconds += seconds


class Told:
    """An exporter that does as it is told: ``how`` is None to take a batch, an exception to raise, or an event to wait for."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.ids: list[str] = []
        self.how: Any = None
        self.came = threading.Event()
        self.closed = 0

    async def export(self, batch: Batch) -> None:
        import anyio

        self.ids.append(batch.id)
        self.came.set()
        how = self.how
        if isinstance(how, threading.Event):
            while not how.is_set():  # noqa: ASYNC110 - the test is in another thread
                await anyio.sleep(0.005)
        elif isinstance(how, BaseException):
            raise how
        elif callable(how):
            how(batch)
        self.batches.append(list(batch))

    async def aclose(self) -> None:
        self.closed += 1

    @property
    def records(self) -> list[Any]:
        return [record for batch in self.batches for record in batch]


def exchange(
    status: int | None = 200,
    *,
    at: float = 0.0,
    lasting: float = 1.0,
    prompt: str = "hi",
    count: int | None = None,
    headers: dict[str, str] | None = None,
    path: str = "/v1/chat/completions",
    **changes: Any,
) -> Exchange:
    """One attempt at a chat completion; no status is a connection that failed."""
    body = json.dumps({"model": "gpt-x", "messages": [{"role": "user", "content": prompt}]}).encode()
    answer = b"" if status is None else ANSWER if status < 400 else REFUSAL
    facts: dict[str, Any] = {
        "client": "httpx2",
        "method": "POST",
        "host": "api.openai.com",
        "port": 443,
        "path": path,
        "request_headers": {"content-type": "application/json", **({} if count is None else {"x-stainless-retry-count": str(count)})},
        "request_body": body,
        "request_size": len(body),
        "started_ns": 1_800_000_000 * SECOND + int(at * SECOND),
        "began": int(at * SECOND),
        "ended": int((at + lasting) * SECOND),
        "status_code": status,
        "response_headers": {"content-type": "application/json", **(headers or {})},
        "chunks": [answer] if answer else [],
        "chunk_times": [int((at + lasting) * SECOND)] if answer else [],
        "response_size": len(answer),
        "content_decoded": True,
        "end": "eof" if status is not None else "error",
        "error_type": None if status is not None else "ConnectError",
    }
    return Exchange(**{**facts, **changes})


def captured(made: Exchange, *, after: Captured | None = None, scope: Scope | None = None) -> Captured:
    """*made* as the hook hands it over; *after* is the attempt before it in the same context."""
    return Captured(made, scope, scope.span_id if scope else None, serials.next(), after.serial if after else 0)


@pytest.fixture
def hands() -> Hands:
    """A clock that the test moves."""
    return Hands()


@pytest.fixture
def ids() -> Ids:
    """Ids that count up."""
    counter = itertools.count(1)
    return Ids(bits=lambda bits: next(counter))


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Makers of what the request side hands over."""
    return SimpleNamespace(exchange=exchange, captured=captured, told=Told, hands=Hands)


@pytest.fixture
def told() -> Told:
    """An exporter that does as it is told."""
    return Told()


@pytest.fixture
def observe() -> Iterator[Callable[..., Observer]]:
    """A maker of observers that are closed with the test."""
    made: list[Observer] = []

    def one(*exporters: Any, **settings: Any) -> Observer:
        settings.setdefault("batch_age", 0.01)
        observer = Observer(exporters=exporters, **settings)
        made.append(observer)
        return observer

    yield one
    for observer in made:
        observer.shutdown(2)


@pytest.fixture
def memory() -> MemoryExporter:
    """Records in memory."""
    return MemoryExporter()
