"""Clients of both libraries, answers that come piece by piece, and a look at what the hook handed over."""

import asyncio
import contextlib
import importlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from llm_observe import capture
from llm_observe.records import Exchange
from llm_observe.testing import Recorded

URL = "http://provider.test/v1/chat/completions"
ASKED = {"model": "gpt-x", "stream": True, "messages": [{"role": "user", "content": "hi"}]}


def event(delta: dict[str, str], finish: str | None = None) -> bytes:
    """One chunk of a Chat Completions stream, as one read."""
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "gpt-x-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


PIECES = [
    event({"role": "assistant", "content": ""}),
    event({"content": "Hel"}),
    event({"content": "lo"}),
    event({}, "stop"),
    b"data: [DONE]\n\n",
]
WHOLE = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-x-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
).encode()


class Wire:
    """One client library with a transport that answers what it is told, and notes what it was asked."""

    def __init__(self, library: ModuleType) -> None:
        self.library, self.name = library, library.__name__
        self.asked: list[Any] = []
        self.closed = 0
        wire = self

        class Pieces(library.SyncByteStream, library.AsyncByteStream):
            """A stream of both colours. An exception among its pieces is raised at its place."""

            def __init__(self, pieces: list[bytes | BaseException]) -> None:
                self.pieces = pieces

            def __iter__(self) -> Iterator[bytes]:
                for piece in self.pieces:
                    if isinstance(piece, BaseException):
                        raise piece
                    yield piece

            async def __aiter__(self) -> AsyncIterator[bytes]:
                for piece in self:
                    yield piece

            def close(self) -> None:
                wire.closed += 1

            async def aclose(self) -> None:
                wire.closed += 1

        self.pieces = Pieces

    def transport(self, *pieces: bytes | BaseException, status: int = 200, headers: dict[str, str] | None = None) -> Any:
        """Answers everything with *pieces*; an exception in place of the first is raised by the transport itself."""

        def answer(request: Any) -> Any:
            self.asked.append(request)
            if len(pieces) == 1 and isinstance(pieces[0], BaseException):
                raise pieces[0]
            return self.library.Response(status, headers=headers or {"content-type": "text/event-stream"}, stream=self.pieces(list(pieces)))

        return self.library.MockTransport(answer)

    def client(self, *pieces: bytes | BaseException, **options: Any) -> Any:
        """A client that is answered with *pieces*."""
        return self.library.Client(transport=self.transport(*(pieces or PIECES), **options))

    def aclient(self, *pieces: bytes | BaseException, **options: Any) -> Any:
        """:meth:`client`, asynchronous."""
        return self.library.AsyncClient(transport=self.transport(*(pieces or PIECES), **options))

    def request(self, client: Any, url: str = URL, **body: Any) -> Any:
        """A request to a model, ready to be sent by *client*."""
        return client.build_request("POST", url, **(body or {"json": ASKED}))


@pytest.fixture(params=["httpx", "httpx2"])
def wire(request: pytest.FixtureRequest) -> Wire:
    """Each client library in turn."""
    return Wire(pytest.importorskip(request.param))


@pytest.fixture
def unhooked() -> Iterator[None]:
    """Clients as they are without us."""
    capture.uninstall()
    yield
    capture.install()


@pytest.fixture
def exchanges(llm_records: Recorded, monkeypatch: pytest.MonkeyPatch) -> list[Exchange]:
    """The exchanges that were handed over, as they lie in the queue."""
    seen: list[Exchange] = []
    real = llm_records.observer.hand_over

    def noted(item: Any) -> None:
        if hasattr(item, "exchange"):
            seen.append(item.exchange)
        real(item)

    monkeypatch.setattr(llm_records.observer, "hand_over", noted)
    return seen


@pytest.fixture(scope="session")
def answers() -> SimpleNamespace:
    """What a provider says: a stream in pieces, and a whole document."""
    return SimpleNamespace(url=URL, asked=ASKED, event=event, pieces=PIECES, whole=WHOLE)


def outcome(recorded: Recorded) -> list[tuple[str, str | None, str]]:
    """Each call's status, how its body ended, and the text that was heard."""
    return [
        (call.status, call.wire.end, "".join(part.content for message in call.output.messages for part in message.parts))
        for call in recorded.calls
    ]


@pytest.fixture(scope="session")
def outcomes() -> Any:
    """:func:`outcome`."""
    return outcome


# --- one request by each client, whichever it is ---------------------------------------------------------------------


class Unreachable(Exception):
    """In place of the network."""


def by_httpx(library: str, url: str, headers: dict[str, str], *, offline: bool) -> None:
    """Blocking."""
    httpx = importlib.import_module(library)

    def refuse(request: Any) -> Any:
        raise Unreachable

    with httpx.Client(transport=httpx.MockTransport(refuse) if offline else None) as client:
        client.post(url, json=ASKED, headers=headers)


def by_httpx_async(library: str, url: str, headers: dict[str, str], *, offline: bool) -> None:
    """In a loop."""
    httpx = importlib.import_module(library)

    def refuse(request: Any) -> Any:
        raise Unreachable

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(refuse) if offline else None) as client:
            await client.post(url, json=ASKED, headers=headers)

    asyncio.run(main())


def by_aiohttp(library: str, url: str, headers: dict[str, str], *, offline: bool) -> None:
    """In a loop."""
    aiohttp = importlib.import_module(library)

    async def main() -> None:
        class Refusing(aiohttp.TCPConnector):
            async def connect(self, *args: Any, **options: Any) -> Any:
                raise Unreachable

        async with aiohttp.ClientSession(connector=Refusing() if offline else None) as session:
            await (await session.post(url, json=ASKED, headers=headers)).read()

    asyncio.run(main())


def by_requests(library: str, url: str, headers: dict[str, str], *, offline: bool) -> None:
    """Blocking."""
    requests = importlib.import_module(library)

    class Refusing(requests.adapters.BaseAdapter):
        def send(self, request: Any, **options: Any) -> Any:
            raise Unreachable

        def close(self) -> None:
            pass

    with requests.Session() as session:
        if offline:
            session.mount("https://", Refusing())
            session.mount("http://", Refusing())
        session.post(url, json=ASKED, headers=headers)


def by_botocore(library: str, url: str, headers: dict[str, str], *, offline: bool) -> None:
    """Blocking, as a client of AWS does it."""
    httpsession, awsrequest = importlib.import_module("botocore.httpsession"), importlib.import_module("botocore.awsrequest")
    http = httpsession.URLLib3Session()

    def refuse(*_: Any) -> Any:
        raise Unreachable

    if offline:
        http._get_connection_manager = refuse
    body = json.dumps(ASKED)
    request = awsrequest.AWSRequest(method="POST", url=url, data=body, headers={"content-type": "application/json", **headers})
    try:
        http.send(request.prepare())
    finally:
        http.close()


BY = {
    "httpx": by_httpx,
    "httpx2": by_httpx,
    "httpx async": by_httpx_async,
    "httpx2 async": by_httpx_async,
    "aiohttp": by_aiohttp,
    "requests": by_requests,
    "botocore": by_botocore,
}


@pytest.fixture(params=BY)
def post(request: pytest.FixtureRequest) -> Callable[..., str]:
    """Post a call to a URL, by each client in turn; its name on record. *offline* ends where the network begins."""
    library = request.param.partition(" ")[0]
    pytest.importorskip(library)

    def by(url: str, headers: dict[str, str] | None = None, *, offline: bool = False) -> str:
        with contextlib.suppress(*([Exception] if offline else [])):
            BY[request.param](library, url, headers or {}, offline=offline)
        return library

    return by
