"""A real Phoenix server, an app that sends it spans and writes files, and what each of them has of the same requests."""

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI, OpenAI

import llm_observe
from llm_observe import Observer
from llm_observe.cli._demo_app import make_app
from llm_observe.cli.demo import TRAFFIC, served
from llm_observe.fastapi import LLMObserveMiddleware
from llm_observe.testing.provider import FakeProvider

SERVER = os.environ.get("PHOENIX_SERVER", "")  # its command: where it is installed, there is no room for what we stand on
PATIENCE = 100  # seconds
SYSTEM = "Be brief."
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}}
MODELS = ["fake-echo", "fake-tools", "fake-thinking", "fake-cached", "fake-cache-write", "fake-flaky-500"]
PATHS = [f"/{way}/{sdk}/{model}" for way in ("plain", "streamed", "blocking") for sdk in ("openai", "anthropic") for model in MODELS]


@pytest.fixture(scope="session")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a Phoenix server listens that keeps everything in memory and knows nobody else."""
    if not SERVER:
        pytest.skip("no Phoenix: `nox -s phoenix` installs one; PHOENIX_SERVER may name the command of another")
    place = tmp_path_factory.mktemp("phoenix")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PHOENIX_", "OTEL_"))} | {
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": "0",
        "PHOENIX_GRPC_PORT": "0",
        "PHOENIX_WORKING_DIR": str(place),
        "PHOENIX_SQL_DATABASE_URL": "sqlite:///:memory:",
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
        "PYTHONUNBUFFERED": "1",
    }
    log = place / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([SERVER, "serve"], env=environ, stdout=out, stderr=subprocess.STDOUT, cwd=place)
    try:
        yield listening(process, log)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listening(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server says that it listens, once it does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"Uvicorn running on (http://127\.0\.0\.1:\d+)", log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"Phoenix does not listen:\n{log.read_text(errors='replace')[-5000:]}")


def application(observer: Observer, provider: FakeProvider) -> FastAPI:
    """An app that asks each SDK in each way, in a step that is in a step."""
    here, there = {"api_key": "none", "base_url": provider.openai_base_url}, {"api_key": "none", "base_url": provider.anthropic_base_url}
    openai, anthropic, blocking_openai, blocking_anthropic = (
        AsyncOpenAI(**here),
        AsyncAnthropic(**there),
        OpenAI(**here),
        Anthropic(**there),
    )
    app = FastAPI()
    app.add_middleware(LLMObserveMiddleware, observer=observer)

    def asked(sdk: str, model: str) -> dict[str, Any]:
        question = [{"role": "user", "content": "What is the weather in Bern?"}]
        if sdk == "openai":
            tool = {"type": "function", "function": {"name": "get_weather", "description": "Looks outside.", "parameters": TOOL}}
            messages = [{"role": "system", "content": SYSTEM}, *question]
            return {"model": model, "messages": messages, "tools": [tool], "max_completion_tokens": 100}
        tool = {"name": "get_weather", "description": "Looks outside.", "input_schema": TOOL}
        return {"model": model, "system": SYSTEM, "messages": question, "tools": [tool], "max_tokens": 100}

    def find() -> None:
        with llm_observe.step("find", **{"openinference.span.kind": "RETRIEVER"}):
            pass

    @app.get("/plain/{sdk}/{model}")
    async def plain(sdk: str, model: str) -> None:
        llm_observe.tag(user="u-1", session="s-1", tier="free")
        with llm_observe.step("answer", attempt=1):
            find()
            if sdk == "openai":
                await openai.chat.completions.create(**asked(sdk, model))
            else:
                await anthropic.messages.create(**asked(sdk, model))

    @app.get("/blocking/{sdk}/{model}")
    def blocking(sdk: str, model: str) -> None:
        with llm_observe.step("answer"):
            find()
            if sdk == "openai":
                blocking_openai.chat.completions.create(**asked(sdk, model))
            else:
                blocking_anthropic.messages.create(**asked(sdk, model))

    @app.get("/streamed/{sdk}/{model}")
    async def streamed(sdk: str, model: str) -> StreamingResponse:
        async def body():
            with llm_observe.step("answer"):
                find()
                if sdk == "openai":
                    options = {"stream": True, "stream_options": {"include_usage": True}}
                    async for chunk in await openai.chat.completions.create(**asked(sdk, model), **options):
                        yield chunk.id
                else:
                    async with anthropic.messages.stream(**asked(sdk, model)) as stream:
                        async for event in stream:
                            yield event.type

        return StreamingResponse(body())

    return app


class Told:
    """What the files have, records by span id; and what Phoenix has, spans by theirs."""

    paths, models = PATHS, MODELS

    def __init__(self, records: list[dict], spans: list[dict]) -> None:
        self.records = {record["span_id"]: record for record in records}
        self.spans = {span["context"]["span_id"]: span for span in spans}
        assert (len(records), len(spans)) == (len(self.records), len(self.spans))

    @property
    def calls(self) -> list[dict]:
        """The records of calls."""
        return [record for record in self.records.values() if record["kind"] == "call"]

    def of(self, record: dict) -> dict[str, Any]:
        """What Phoenix has of *record*, its attributes at hand."""
        return self.spans[record["span_id"]]["attributes"]

    def on(self, path: str) -> dict:
        """The record of the request for *path*."""
        (found,) = [record for record in self.records.values() if record.get("url", {}).get("path") == path]
        return found


@pytest.fixture(scope="session")
def told(phoenix: str, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What is known of every path of ours and of the demo's traffic, in both places."""
    from phoenix.client import Client

    directory = tmp_path_factory.mktemp("records")
    exporters = [f"file:{directory}", f"otlp+{phoenix}?dialect=openinference"]
    with FakeProvider() as provider, Observer(exporters=exporters, content="full", prices={"*": "3/15"}, strict=True) as observer:
        with served(application(observer, provider)) as url:
            assert {200} == set(asyncio.run(ask(url, [(path, {}) for path in PATHS])))
        with served(make_app(observer, provider)) as url:
            asyncio.run(ask(url, [(path, parameters) for path, parameters, _ in TRAFFIC]))
        stats = observer.shutdown().exporters
    assert [{}, {}] == [exporter.dropped for exporter in stats.values()], stats
    records = [json.loads(line) for file in sorted(directory.glob("*.jsonl")) for line in file.read_text().splitlines()]
    attempts = sum(len(record["attempts"]) for record in records if len(record.get("attempts", ())) > 1)
    client = Client(base_url=phoenix)
    deadline = time.monotonic() + PATIENCE
    spans: list[Any] = []
    while len(spans) < len(records) + attempts and time.monotonic() < deadline:  # it stores them after it has said yes
        time.sleep(0.2)
        try:
            spans = client.spans.get_spans(project_identifier="default", limit=10_000)
        except Exception as error:  # there is no project before the first span
            if getattr(getattr(error, "response", None), "status_code", None) != 404:
                raise
    return Told(records, spans)


async def ask(url: str, ways: list[tuple[str, dict[str, str]]]) -> list[int | None]:
    """Be the app's user, some at a time; with what it answered each of them, None where the answer broke off."""
    some = asyncio.Semaphore(4)
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as client:

        async def one(path: str, parameters: dict[str, str]) -> int | None:
            async with some:
                try:
                    return (await client.get(path, params=parameters)).status_code
                except httpx2.RemoteProtocolError:  # with the stream that it passes on
                    return None

        return await asyncio.gather(*(one(path, parameters) for path, parameters in ways))
