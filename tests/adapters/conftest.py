"""Servers in small: an ASGI server of one request, a WSGI server of one request, uvicorn in a thread; a model; a clock with hands."""

import asyncio
import importlib.util
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from llm_observe import Observer
from llm_observe._runtime.clock import Clock
from llm_observe.exporters.memory import MemoryExporter


def http_scope(path: str = "/chat", *, method: str = "GET", headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """The scope of an HTTP request as servers make it."""
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": raw,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        **more,
    }


async def converse(app: Any, scope: dict[str, Any], *received: dict[str, Any]) -> list[dict[str, Any]]:
    """What *app* sends for *scope*, being sent *received* and then nothing more."""
    sent: list[dict[str, Any]] = []
    waiting = list(received or ({"type": "http.request", "body": b"", "more_body": False},))

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


@pytest.fixture(scope="session")
def asgi() -> SimpleNamespace:
    """An ASGI server of one request: `talk` runs an app in a loop of its own."""
    return SimpleNamespace(
        scope=http_scope, converse=converse, talk=lambda app, scope, *received: asyncio.run(converse(app, scope, *received))
    )


class Wsgi:
    """A WSGI server of one request, as PEP 3333 has it."""

    def environ(self, path: str = "/chat", **more: Any) -> dict[str, Any]:
        """What a server puts around a request."""
        from wsgiref.util import setup_testing_defaults

        environ: dict[str, Any] = {"PATH_INFO": path, "SCRIPT_NAME": "", **more}
        setup_testing_defaults(environ)
        return environ

    def call(self, app: Any, environ: dict[str, Any]) -> SimpleNamespace:
        """The body that *app* returns, not yet read, with status and headers once they are there."""
        answer = SimpleNamespace(status=None, headers={}, written=[])

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], Any]:
            answer.status, answer.headers, answer.all_headers = status, dict(headers), headers
            return answer.written.append

        answer.body = app(environ, start_response)
        return answer

    def talk(self, app: Any, environ: dict[str, Any]) -> SimpleNamespace:
        """A whole exchange: the body is read to its end and closed."""
        answer = self.call(app, environ)
        try:
            answer.data = b"".join([*answer.body])
        finally:
            getattr(answer.body, "close", lambda: None)()
        return answer


@pytest.fixture(scope="session")
def wsgi() -> Wsgi:
    """A WSGI server of one request."""
    return Wsgi()


class Model:
    """A model to ask, without a network."""

    def __init__(self) -> None:
        import httpx2

        answer = httpx2.Response
        body = {"model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}]}
        self._library = httpx2
        self._transport = httpx2.MockTransport(lambda request: answer(200, json=body))
        self._url = "http://provider.test/v1/chat/completions"
        self._asked = {"model": "m", "messages": [{"role": "user", "content": "?"}]}

    def ask(self) -> str:
        """One call."""
        with self._library.Client(transport=self._transport) as client:
            return str(client.post(self._url, json=self._asked).json()["choices"][0]["message"]["content"])

    async def aask(self) -> str:
        """One call, asynchronous."""
        async with self._library.AsyncClient(transport=self._transport) as client:
            return str((await client.post(self._url, json=self._asked)).json()["choices"][0]["message"]["content"])

    async def hang(self, begun: asyncio.Event) -> None:
        """A call whose answer never comes."""

        async def answer(request: Any) -> Any:
            begun.set()
            await asyncio.Event().wait()

        async with self._library.AsyncClient(transport=self._library.MockTransport(answer)) as client:
            await client.post(self._url, json=self._asked)


@pytest.fixture
def model() -> Model:
    """A model to ask."""
    return Model()


class Timed:
    """An observer whose clock moves when it is told to."""

    def __init__(self, **settings: Any) -> None:
        self.memory, self.nanoseconds = MemoryExporter(), 0
        clock = Clock(wall=lambda: 1_700_000_000_000_000_000, now=lambda: self.nanoseconds)
        self.observer = Observer(exporters=[self.memory], strict=True, batch_age=0, clock=clock, **settings)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.nanoseconds += int(seconds * 1e9)

    @property
    def requests(self) -> list[Any]:
        """The requests that are on record."""
        assert self.observer.flush(10, final=True)
        return self.memory.requests

    @property
    def calls(self) -> list[Any]:
        """The calls that are on record."""
        assert self.observer.flush(10, final=True)
        return self.memory.calls


@pytest.fixture
def timed() -> Iterator[Timed]:
    """An observer whose clock moves when it is told to."""
    timed = Timed()
    with timed.observer:
        yield timed


@pytest.fixture
def another() -> Iterator[Timed]:
    """A second one."""
    timed = Timed()
    with timed.observer:
        yield timed


@contextmanager
def served(app: Any, **options: Any) -> Iterator[int]:
    """*app* under uvicorn, in a thread; the port it listens on."""
    import uvicorn

    sock = socket.create_server(("127.0.0.1", 0))
    modern = importlib.util.find_spec("websockets") and "websockets-sansio" in uvicorn.config.WS_PROTOCOLS
    ws = "websockets-sansio" if modern else "none"  # what uvicorn did before is deprecated by websockets itself
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=2, ws=ws, **options))
    started = threading.Event()

    async def main() -> None:
        started.set()
        await server.serve(sockets=[sock])

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    started.wait(10)
    try:
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        sock.close()
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def serve() -> Callable[..., Any]:
    """:func:`served`."""
    return served
