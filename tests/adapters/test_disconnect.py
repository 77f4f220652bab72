"""Clients that leave, over real sockets: uvicorn, and a client that goes away in the middle."""

import asyncio
import contextlib
import inspect
import json
import socket
import struct
import threading
from datetime import timedelta

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from uvicorn.protocols.http import h11_impl

from llm_observe.fastapi import LLMObserveMiddleware
from llm_observe.testing.provider import Reply

HI = [{"role": "user", "content": "hi"}]
RESET = struct.pack("ii", 1, 0)


def connect(port, path):
    """A client's socket, its request sent."""
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nx-request-id: left\r\n\r\n".encode())
    return client


def leave(client, how):
    """Go away, politely or not."""
    if how == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


def read_until(client, what):
    """Read until *what* has come."""
    data = b""
    while what not in data:
        piece = client.recv(4096)
        assert piece, data
        data += piece


class App:
    """A chat that streams, on a provider that takes its time."""

    def __init__(self, provider):
        self.done = threading.Event()
        app = self.app = FastAPI()
        app.add_middleware(LLMObserveMiddleware)

        @contextlib.asynccontextmanager
        async def telling():
            try:
                async with AsyncOpenAI(api_key="none", base_url=provider.openai_base_url) as openai:
                    yield openai
            finally:
                self.done.set()

        @app.get("/stream")
        async def stream():
            async def words():
                async with telling() as openai, await openai.chat.completions.create(model="m", messages=HI, stream=True) as stream:
                    async for chunk in stream:
                        yield chunk.choices[0].delta.content or ""

            return StreamingResponse(words())

        @app.get("/listens")
        async def listens(request: Request):
            async with telling() as openai:
                asking = asyncio.ensure_future(openai.chat.completions.create(model="m", messages=HI))
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                asking.cancel()
                await asyncio.wait([asking])

        @app.get("/leaves-it-running")
        async def leaves_it_running(request: Request):
            async with telling() as openai:
                asking = asyncio.ensure_future(openai.chat.completions.create(model="m", messages=HI))
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                await asking


@pytest.fixture
def app(llm_provider):
    """The chat."""
    return App(llm_provider)


# Some versions promised to raise for a client that has left (ASGI 2.4) and did not: nobody inside can notice it then.
TELLS = '"spec_version": "2.4"' not in inspect.getsource(h11_impl)


@pytest.mark.skipif(not TELLS, reason="this uvicorn tells nobody that the client of a stream has left")
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_leaves_in_the_middle_of_a_stream(app, serve, llm_provider, llm_records, how):
    """Request and call are cancelled, each is one record, with what was said by then."""
    llm_provider.enqueue(Reply("one two three four five six", chunks=6, chunk_delay=0.2))
    with serve(app.app) as port:
        client = connect(port, "/stream")
        read_until(client, b"one")
        leave(client, how)
        assert app.done.wait(10)

    (record,), (call,) = llm_records.requests, llm_records.calls
    assert (True, "cancelled", "left") == (record.disconnected, record.status, record.request_id)
    assert ("cancelled", "left", 1) == (call.status, call.request_id, record.calls.count)
    assert call.output.messages[0].parts[0].content.startswith("one")


def test_a_client_that_leaves_before_the_first_byte(app, serve, llm_provider, llm_records):
    """The application notices, and cancels its call: it was running when the client left."""
    llm_provider.enqueue(Reply(delay=30))
    with serve(app.app) as port:
        client = connect(port, "/listens")
        while not llm_provider.requests:
            threading.Event().wait(0.01)
        leave(client, "close")
        assert app.done.wait(10)

    (record,), (call,) = llm_records.requests, llm_records.calls
    assert (True, "cancelled", 1) == (record.disconnected, record.status, record.calls.running)
    assert ("cancelled", "left") == (call.status, call.request_id)


def test_a_call_that_goes_on_when_the_client_has_left(app, serve, llm_provider, llm_records):
    """It was running then, and its record is whole."""
    llm_provider.enqueue(Reply("late", delay=1))
    with serve(app.app) as port:
        client = connect(port, "/leaves-it-running")
        while not llm_provider.requests:
            threading.Event().wait(0.01)
        leave(client, "close")
        assert app.done.wait(10)

    (record,), (call,) = llm_records.requests, llm_records.calls
    assert (True, 1, 1) == (record.disconnected, record.calls.running, record.calls.count)
    ends = [each.started_at + timedelta(seconds=each.duration) for each in (record, call)]
    assert ("ok", ends) == (call.status, sorted(ends))


def test_a_websocket_over_a_real_server(serve, llm_records, llm_provider):
    """A chat by WebSocket: one request, its calls inside, until the client closes."""
    client = pytest.importorskip("websockets.sync.client")
    if "websockets-sansio" not in uvicorn.config.WS_PROTOCOLS:
        pytest.skip("this uvicorn speaks to websockets in a way that websockets has deprecated")
    from fastapi import WebSocket, WebSocketDisconnect

    app = FastAPI()
    app.add_middleware(LLMObserveMiddleware)

    @app.websocket("/ws/{room}")
    async def chat(ws: WebSocket, room: str):
        await ws.accept()
        async with AsyncOpenAI(api_key="none", base_url=llm_provider.openai_base_url) as openai:
            with contextlib.suppress(WebSocketDisconnect):
                while True:
                    asked = [{"role": "user", "content": await ws.receive_text()}]
                    answer = await openai.chat.completions.create(model="fake-echo", messages=asked)
                    await ws.send_text(json.dumps(answer.choices[0].message.content))

    with serve(app) as port, client.connect(f"ws://127.0.0.1:{port}/ws/7", additional_headers={"x-request-id": "ws-1"}) as ws:
        said = []
        for text in ("one", "two"):
            ws.send(text)
            said.append(json.loads(ws.recv()))
        assert "ws-1" == ws.response.headers["x-request-id"]

    (record,) = llm_records.requests
    assert ["You said: one", "You said: two"] == said
    assert ("/ws/{room}", 2, 6, 101) == (
        record.http.route,
        record.calls.count,
        record.http.request.body.size,
        record.http.response.status_code,
    )
    assert {"ws-1"} == {call.request_id for call in llm_records.calls}


def test_a_client_of_a_wsgi_server_that_leaves(llm_records, llm_provider):
    """The server closes the body when it cannot write: request and call end there."""
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    from openai import OpenAI

    from llm_observe.wsgi import LLMObserveWSGI

    llm_provider.enqueue(Reply("x" * 100_000, chunks=50, chunk_delay=0.05))

    def app(environ, start_response):
        start_response("200 OK", [("content-type", "text/plain")])
        with OpenAI(api_key="none", base_url=llm_provider.openai_base_url) as openai:
            with openai.chat.completions.create(model="m", messages=HI, stream=True) as stream:
                for chunk in stream:
                    yield (chunk.choices[0].delta.content or "").encode()

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_):
            pass

        def get_stderr(self):
            import io

            return io.StringIO()

    with make_server("127.0.0.1", 0, LLMObserveWSGI(app), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        client = connect(server.server_port, "/")
        read_until(client, b"xx")
        leave(client, "reset")
        thread.join(10)

    (record,), (call,) = llm_records.requests, llm_records.calls
    assert (True, "cancelled") == (record.disconnected, record.status)
    assert ("truncated", "closed", 1) == (call.status, call.wire.end, record.calls.count)
