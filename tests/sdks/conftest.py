"""Recorded answers, played again to real SDKs by a real local server.

A module here lists what its SDKs can ask (``ASKS``); each ask is made once for each of a few recordings of its format, at once and after a
failure that the SDK retries, by the SDK's sync and by its async client. What is recorded is held against what others read in the recording.
"""

import asyncio
import gzip
import importlib.util
import json
import os
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from llm_observe.cli.decode import Recorded
from llm_observe.testing import recording
from llm_observe.testing.provider import FakeProvider, Reply

CORPUS = Path(os.environ.get("CORPUS_OF_EXCHANGES") or Path(__file__).resolve().parents[3] / "shared" / "corpus")
EACH = 2  # recordings of a format
OF_THE_ANSWER = (
    "api", "status", "model_served", "finish_reasons", "input_tokens", "output_tokens", "cached_input_tokens", "cache_write_input_tokens",
    "reasoning_tokens", "response_id", "text", "tool_calls", "embedding_count",
)  # fmt: skip


class Ask(NamedTuple):
    """One way to ask with one SDK: a function of the server's URL and of whether to stream."""

    sdk: str  # its module, without which the ask is skipped
    api: str
    provider: str  # whose recordings are played
    call: Callable[[str, bool], Any]
    streams: tuple[bool, ...] = (False, True)
    endpoint: str = ""  # what the setting `endpoints` has to say of the server, where its address tells nothing
    path: str = ""  # of the recordings that are played, a part of their address
    client: str | None = None  # the library that carries it, where that is of interest
    retries: bool = True
    streams_retry: bool = True


class Played(Recorded):
    """A recording, with whom it was made."""

    provider: str = ""


@lru_cache(maxsize=1)
def corpus() -> tuple[list[Played], dict[str, dict]]:
    """All exchanges, and what each should give by its id."""
    with gzip.open(CORPUS / "exchanges.jsonl.gz") as lines:
        rows = [msgspec.json.decode(line, type=Played) for line in lines]
    with (CORPUS / "expected.jsonl").open("rb") as lines:
        return rows, {row["id"]: row for row in map(json.loads, lines)}


def recordings(ask: Ask, *, streaming: bool) -> list[Played]:
    """A few answers of the ask's format that a whole SDK can read: of 200, with something in them, as the provider sent them."""
    rows, expected = corpus()
    found = []
    for row in rows:
        want = expected[row.id]["expected"]
        fits = want["api"] == ask.api and want["status"] == 200 and ask.provider == row.provider and row.response_is_stream == streaming
        if fits and ask.path in row.request.url and (want.get("text") or want.get("embedding_count") or want.get("tool_calls")):
            found.append(row)
    return found[:EACH]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every ask of the module, for each of its recordings: as ``recorded``, or the streams alone as ``stream``."""
    name = next((name for name in ("recorded", "stream") if name in metafunc.fixturenames), None)
    if name is None:
        return
    if not CORPUS.is_dir():
        missing = pytest.mark.skipif("CI" not in os.environ, reason=f"no corpus at {CORPUS}; CORPUS_OF_EXCHANGES may name another place")
        metafunc.parametrize(("ask", name), [pytest.param(None, None, marks=missing)])
        return
    rows = [
        pytest.param(ask, row, id=f"{ask.call.__name__}-{'stream' if streaming else 'plain'}-{row.id}")
        for ask in [Ask(*facts, **more) for *facts, more in metafunc.module.ASKS]
        for streaming in ask.streams
        if streaming or name == "recorded"
        for row in recordings(ask, streaming=streaming)
    ]
    metafunc.parametrize(("ask", name), rows)


@pytest.fixture(scope="session")
def scorer():
    """The fields of a record that are compared, and how: the corpus's own."""
    spec = importlib.util.spec_from_file_location("score_corpus", CORPUS.parent / "tools" / "score_corpus.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, no key, no look at the network for prices or tracing."""
    for name, value in {
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "LANGSMITH_TRACING": "false",
    }.items():
        monkeypatch.setenv(name, value)


def replies(row: Recorded, failures: int) -> list[Reply]:
    """So many failures, then the recording."""
    response = row.response
    kept = {name.lower(): value for name, value in response.headers if name.lower() in _PASSED}
    if response.content_encoding_removed:
        kept.pop("content-encoding", None)
    again = Reply(
        status=503,
        raw=b'{"error": {"message": "made to fail", "type": "server_error", "code": 503, "status": "UNAVAILABLE"}, "message": "made to fail"}',
        headers={"retry-after-ms": "1", "retry-after": "0", "x-amzn-errortype": "ServiceUnavailableException"},
    )
    raw = response.body_b64
    return [again] * failures + [Reply(raw=raw, headers=kept, chunks=17 if row.response_is_stream else None)]


_PASSED = {
    "content-type",
    "content-encoding",
    "x-amzn-bedrock-input-token-count",
    "x-amzn-bedrock-output-token-count",
    "x-amzn-bedrock-content-type",
}


class Seen(NamedTuple):
    """What came of it: the call on record, how often the server was asked, and what went wrong in the SDK."""

    call: Any
    asked: int
    error: Exception | None


@pytest.fixture
def play() -> Callable[..., Seen]:
    """Make one ask of a server that plays a recording."""

    def played(ask: Ask, row: Recorded, *, failures: int = 0) -> Seen:
        pytest.importorskip(ask.sdk)
        waiting = replies(row, failures)
        lock = threading.Lock()

        def answer(_: object) -> Reply:
            with lock:
                return waiting.pop(0) if len(waiting) > 1 else waiting[0]

        with FakeProvider() as provider:
            provider.route(lambda _: True, answer)
            address = provider.url.partition("://")[2]
            with recording(endpoints={address: ask.endpoint} if ask.endpoint else {}) as recorded:
                error = None
                try:
                    result = ask.call(provider.url, row.response_is_stream)
                    if asyncio.iscoroutine(result):
                        asyncio.run(result)
                except Exception as raised:  # the test says whether it may
                    error = raised
                if error is not None and not recorded.calls:
                    raise error
                (call,) = recorded.calls
            return Seen(call, len(provider.requests), error)

    return played


@pytest.fixture
def wrong(scorer) -> Callable[[Any, Recorded], dict[str, Any]]:
    """The fields of a call's answer that are not what others read in the recording: none, that is."""

    def compared(call: Any, row: Recorded) -> dict[str, Any]:
        wanted = corpus()[1][row.id]
        have, want, ambiguous = scorer.flatten(json.loads(msgspec.json.encode(call))), wanted["expected"], wanted.get("ambiguous") or {}
        return {
            field: (have[field], want.get(field))
            for field in OF_THE_ANSWER
            if field not in ambiguous and field in want and not scorer.same(field, have[field], want[field])
        }

    return compared
