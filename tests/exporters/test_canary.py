"""A key, wherever it is put, is in no byte that leaves: a real SDK against a real server, and each way out read byte by byte."""

import gzip
import logging
import os
import socket
import time

import openai
import pytest
from opentelemetry.sdk import _logs as logs

import llm_observe
from llm_observe import Observer
from llm_observe.exporters import FileExporter, StdoutExporter, read_records
from llm_observe.exporters.http import HttpExporter
from llm_observe.exporters.otel import OtelExporter
from llm_observe.testing.provider import FakeProvider, Reply, ToolCall

KEY, SHORT = "sk-proj-CanaryA1b2C3d4E5f6G7h8", "canary-hunter2"
CANARIES = [KEY.encode(), KEY[-14:].encode(), SHORT.encode()]
TOOL = {"type": "function", "function": {"name": "look", "description": f"Looks with {KEY}", "parameters": {"type": "object"}}}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """The key in the environment, and no proxies or collectors of the machine's own."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("LLM_OBSERVE_REDACT_KEY", KEY)
    monkeypatch.setenv("LLM_OBSERVE_HTTP_HEADERS", f"authorization=Bearer {KEY}")


def asked(provider, observer):
    """Put the key into headers, address, query, prompt, tools and their arguments, what they gave, tags, names, and errors of both sides."""
    address = provider.openai_base_url.replace("http://", f"http://joe:{SHORT}@")
    client = openai.OpenAI(base_url=address, default_headers={"x-our-own": KEY}, max_retries=0)
    history = [
        {"role": "system", "content": f"The key is {KEY}."},
        {"role": "user", "content": f"postgres://joe:{SHORT}@db/x and {KEY}"},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "look", "arguments": f'{{"k":"{KEY}","password":"{SHORT}"}}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": f'{{"found":"{KEY}"}}'},
    ]
    with (
        pytest.raises(ValueError, match=KEY),
        llm_observe.scope(f"job {KEY}", observer=observer, tag=KEY, password=SHORT),
        llm_observe.step(f"step {KEY}", query=KEY, api_key=SHORT),
    ):
        for answer in (f"It was {KEY}", Reply("", tool_calls=[ToolCall("look", {"k": KEY, "password": SHORT})])):
            provider.enqueue(answer)
            client.chat.completions.create(model="gpt-x", messages=history, tools=[TOOL], user=KEY, extra_query={"key": KEY})
        provider.enqueue(Reply(f"Here you are: {KEY}!", chunks=len(KEY)), Reply(f"Incorrect API key provided: {KEY}", status=401))
        pieces = [
            chunk.choices[0].delta.content or ""
            for chunk in client.chat.completions.create(model="gpt-x", messages=history, stream=True)
            if chunk.choices
        ]
        assert KEY in "".join(pieces)
        assert not any(KEY in piece for piece in pieces)
        with pytest.raises(openai.AuthenticationError, match=KEY):
            client.chat.completions.create(model="gpt-x", messages=history)
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nowhere = f"http://joe:{SHORT}@127.0.0.1:{closed.getsockname()[1]}/v1"
        with pytest.raises(openai.APIConnectionError):
            openai.OpenAI(base_url=nowhere, max_retries=0).chat.completions.create(model=KEY, messages=history, extra_query={"key": KEY})
        raise ValueError(f"no route to https://joe:{SHORT}@host/?key={KEY}")


def bodies(server):
    """All that was posted to *server*."""
    return b"".join(gzip.decompress(b) if h.get("content-encoding") == "gzip" else b for _, h, b in server.requests)


def seen_in(**ways):
    """Where a canary is found, and which."""
    return [(way, canary) for way, said in ways.items() for canary in CANARIES if canary in said]


@pytest.mark.skipif(not hasattr(logs, "ReadableLogRecord"), reason="events need opentelemetry-sdk 1.39")
def test_no_byte_of_a_key_leaves_by_any_way(tmp_path, serve, capfd, caplog):
    """Files, lines on the terminal, posts, spans and events of OpenTelemetry, our logs and numbers; the records are all there, without it."""
    caplog.set_level(logging.DEBUG, logger="llm_observe")
    posts, collector = serve(200), serve(200)
    with FakeProvider() as provider:
        observer = Observer(
            exporters=[
                FileExporter(tmp_path),
                StdoutExporter(format="json"),
                HttpExporter(posts.url),
                OtelExporter(collector.base, events=True),
            ],
            redact_budget=60,  # seconds: a busy machine withholds nothing
        )
        with observer:
            asked(provider, observer)
            assert observer.flush(120, final=True)
            numbers, settings = repr(observer.stats()).encode(), repr(observer.settings).encode()
    terminal = capfd.readouterr()
    ways = {
        "files": b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()),
        "terminal": terminal.out.encode(),
        "posts": bodies(posts),
        "spans": b"".join(body for line, _, body in collector.requests if "/v1/traces" in line),
        "events": b"".join(body for line, _, body in collector.requests if "/v1/logs" in line),
    }

    assert [] == seen_in(**ways, errors=terminal.err.encode(), logs=caplog.text.encode(), numbers=numbers, settings=settings)
    assert [] == [way for way, said in ways.items() if b"[openai_key:" not in said]
    assert ["call"] * 5 + ["request", "step"] == sorted(record.__struct_config__.tag for record in read_records(tmp_path))


def test_no_byte_of_a_key_waits_on_disk(tmp_path, serve, caplog):
    """What a spool keeps for an exporter that is down has been gone through before."""
    down = serve(503)
    with FakeProvider() as provider:
        observer = Observer(exporters=[HttpExporter(down.url)], spool=tmp_path, redact_budget=60)
        with observer:
            asked(provider, observer)
            observer.flush(1, final=True)
            while next(iter(observer.stats().exporters.values())).captured < 7:  # pytest's timeout ends it
                time.sleep(0.01)
            observer.shutdown(1)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    assert [] == seen_in(spool=kept, posts=bodies(down), logs=caplog.text.encode())
    assert b"[openai_key:" in kept
    assert 7 == next(iter(observer.stats().exporters.values())).spooled
