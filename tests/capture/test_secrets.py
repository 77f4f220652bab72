"""What authenticates, and what is behind a question mark, is in no byte that leaves: not by accident of a new field, nor in an error."""

import logging

import anyio
import httpx
import pytest

from llm_observe import Observer
from llm_observe.asgi import LLMObserveMiddleware
from llm_observe.exporters import FileExporter, read_records
from llm_observe.testing.provider import FakeProvider

CANARY = "c4n4ry-0123456789abcdef"
SECRET_HEADERS = [
    "authorization",
    "x-api-key",
    "api-key",
    "cookie",
    "x-goog-api-key",
    "proxy-authorization",
    "x-our-own",
    "openai-organization",
]


async def asked(app, path, headers):
    """Ask *app* for *path*, as a server would."""
    left, right = path.split("?")
    scope = {"type": "http", "method": "GET", "path": left, "raw_path": path.encode(), "query_string": right.encode(), "headers": headers}
    scope |= {"http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "asgi": {"version": "3.0"}}

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        pass

    await app(scope, receive, send)


@pytest.mark.parametrize("model", ["fake-echo", "fake-invalid-key"])
def test_neither_keys_nor_queries_leave(tmp_path, caplog, model):
    """In headers, address and query of the app's own request and of the model call, one that goes well and one that is refused."""
    headers = dict.fromkeys(SECRET_HEADERS, CANARY) | {"authorization": f"Bearer {CANARY}"}
    caplog.set_level(logging.DEBUG, logger="llm_observe")
    with FakeProvider() as provider, Observer(exporters=[FileExporter(tmp_path)]) as observer:
        address = f"{provider.openai_base_url}/chat/completions".replace("http://", f"http://{CANARY}:{CANARY}@")

        async def app(scope, receive, send):
            async with httpx.AsyncClient(headers=headers, cookies={"session": CANARY}) as client:
                await client.post(f"{address}?key={CANARY}&{CANARY}=1#{CANARY}", json={"model": model, "messages": []})
            await send({"type": "http.response.start", "status": 200, "headers": [(b"set-cookie", CANARY.encode())]})
            await send({"type": "http.response.body", "body": CANARY.encode()})

        raw = [(name.encode(), CANARY.encode()) for name in SECRET_HEADERS]
        anyio.run(asked, LLMObserveMiddleware(app, observer=observer), f"/ask?key={CANARY}", raw)
        assert observer.flush(60)
        stats = observer.stats()
    every_byte = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert {"call", "request"} == {record.__struct_config__.tag for record in read_records(tmp_path)}
    assert CANARY.encode() not in every_byte
    assert CANARY not in repr(stats)
    assert CANARY not in caplog.text
