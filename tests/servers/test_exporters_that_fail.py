"""Whatever becomes of an exporter: the app answers the same, and every record is accounted for."""

import contextlib
import socket
import threading
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from openai import AsyncOpenAI, OpenAIError

from llm_observe import Observer
from llm_observe.fastapi import LLMObserveMiddleware
from llm_observe.testing.provider import FakeProvider

HI = [{"role": "user", "content": "hi"}]
ASKED = [
    *[
        f"/{kind}/{model}"
        for model in ("fake-echo", "fake-flaky-429", "fake-flaky-500", "fake-invalid-key")
        for kind in ("plain", "stream")
    ],
    "/plain/fake-overloaded",
    "/boom",
] * 3


def make_app(provider, **observed):
    """A chat; observed, if it is told by whom."""
    app = FastAPI()
    if observed:
        app.add_middleware(LLMObserveMiddleware, **observed)

    @app.get("/plain/{model}")
    async def plain(model: str):
        async with AsyncOpenAI(api_key="none", base_url=provider.openai_base_url) as openai:
            try:
                return (await openai.chat.completions.create(model=model, messages=HI)).choices[0].message.content
            except OpenAIError as error:
                return f"sorry: {type(error).__name__}"

    @app.get("/stream/{model}")
    async def stream(model: str):
        async def words():
            async with AsyncOpenAI(api_key="none", base_url=provider.openai_base_url) as openai:
                try:
                    async with await openai.chat.completions.create(model=model, messages=HI, stream=True) as chunks:
                        async for chunk in chunks:
                            yield chunk.choices[0].delta.content or ""
                except OpenAIError as error:
                    yield f"sorry: {type(error).__name__}"

        return StreamingResponse(words())

    @app.get("/boom")
    def boom():
        raise RuntimeError("bad")

    return app


def answers(client):
    """What the app says to everything that it is asked; ids are everybody's own."""
    said = []
    for path in ASKED:
        answer = client.get(path)
        headers = sorted((name, value) for name, value in answer.headers.items() if name != "x-request-id")
        said.append((path, answer.status_code, answer.content, headers))
    return said


class Collector:
    """A server that records are posted to, and that behaves as it is told."""

    def __init__(self, behave: Callable[["Collector", socket.socket], None]) -> None:
        self.behave, self.posted, self.open = behave, 0, []
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}/records"
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        """Accept until it is killed."""
        while True:
            try:
                client, _ = self.sock.accept()
            except OSError:
                return
            if self.ending.is_set():
                client.close()
                return
            self.posted += 1
            self.open.append(client)
            try:
                self.behave(self, client)
            except OSError:
                return

    def kill(self):
        """Be gone: what is open is cut, what comes is refused."""
        self.sock.close()
        while self.open:
            self.open.pop().close()

    def end(self):
        """After the test."""
        self.ending.set()
        with contextlib.suppress(OSError):  # killed already
            socket.create_connection(self.sock.getsockname(), timeout=1).close()
        self.thread.join(10)
        self.kill()


def reply(client, status):
    """Read a little, answer *status*."""
    client.settimeout(5)
    client.recv(65536)
    client.sendall(f"HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
    client.close()


def is_killed(collector, client):
    """Takes the first batch, and dies with the second."""
    if collector.posted == 1:
        reply(client, 200)
    else:
        collector.kill()


def answers_500(collector, client):
    """Always."""
    reply(client, 500)


def hangs(collector, client):
    """Takes the connection, and says nothing."""


def refuses(collector, client):
    """Was never there: the first connection is its last."""
    collector.kill()


def raises(batch):
    """An exporter of the user's."""
    raise RuntimeError("no")


@pytest.fixture(scope="module")
def provider():
    """A provider for the whole module."""
    with FakeProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def bare(provider):
    """What the app says when nobody observes it."""
    with TestClient(make_app(provider), raise_server_exceptions=False) as client:
        return answers(client)


@pytest.mark.parametrize("behave", [is_killed, answers_500, hangs, refuses])
def test_the_app_answers_the_same_and_every_record_is_accounted_for(provider, bare, tmp_path, behave):
    """With a file, a collector that fails and a function that raises: the file has everything, and nothing is unaccounted for."""
    collector = Collector(behave)
    observer = Observer(exporters=[f"file:{tmp_path}", collector.url, raises], batch_age=0.05, drain_timeout=1)
    try:
        with TestClient(make_app(provider, observer=observer), raise_server_exceptions=False) as client:
            observed = answers(client)
        stats = observer.shutdown()
    finally:
        observer.shutdown()
        collector.end()

    lines = sum(len(path.read_text().splitlines()) for path in tmp_path.glob("*.jsonl"))
    expected = len(ASKED) + len([path for path in ASKED if path != "/boom"])
    assert bare == observed
    assert expected == lines
    assert dict.fromkeys(stats.exporters, (expected, True)) == {
        name: (one.captured, one.balanced and not (one.queued or one.in_flight)) for name, one in stats.exporters.items()
    }
    assert [expected, expected] == [one.exported + sum(one.dropped.values()) for one in stats.exporters.values()][:2]
    assert [0] == [one.exported for name, one in stats.exporters.items() if name.startswith("raises")]
    assert 0 == stats.errors
