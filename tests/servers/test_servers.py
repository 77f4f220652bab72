"""Real servers, real SDKs, a real provider: two hundred requests, and what the record files say of them after SIGTERM."""

import json
import signal
import socket
import subprocess
import sys
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

APPS = Path(__file__).parent / "apps"
REQUESTS = 200
ONCE, AFTER_429, AFTER_500 = [200], [429, 200], [500, 200]

# A path, and the attempts of the calls that it makes.
KINDS = [
    ("/plain/openai/fake-echo", [ONCE]),
    ("/plain/anthropic/fake-echo", [ONCE]),
    ("/stream/openai/fake-echo", [ONCE]),
    ("/stream/anthropic/fake-echo", [ONCE]),
    ("/plain/openai/fake-flaky-429", [AFTER_429]),
    ("/plain/anthropic/fake-flaky-500", [AFTER_500]),
    ("/stream/openai/fake-flaky-500", [AFTER_500]),
    ("/stream/anthropic/fake-flaky-429", [AFTER_429]),
    ("/blocking/openai/fake-gzip", [ONCE]),
    ("/blocking/anthropic/fake-flaky-429", [AFTER_429]),
    ("/blocking-stream/openai/fake-long", [ONCE]),
    ("/together", [ONCE, AFTER_429, AFTER_500]),
    ("/background", [ONCE]),
]

SERVERS = {
    "uvicorn": ["uvicorn", "fastapi_app:app", "--fd", "{fd}", "--lifespan", "on", "--no-access-log"],
    "gunicorn-threads": ["gunicorn", "flask_app:app", "-b", "fd://{fd}", "-w", "1", "--threads", "4", "--log-level", "warning"],
    "gunicorn-preload": ["gunicorn", "flask_app:app", "-b", "fd://{fd}", "-w", "2", "--preload", "--log-level", "warning"],
}


class Server:
    """An app of ours under a server of others, in a process of its own, writing records to a directory."""

    def __init__(self, command, directory, provider, environ):
        # It listens already, so no request can come too early.
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.directory = directory
        fd = self.sock.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *(part.format(fd=fd) for part in command)],
            cwd=APPS,
            pass_fds=[fd],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environ, "PROVIDER_URL": provider.url, "LLM_OBSERVE_EXPORTERS": f"file:{directory}", "PYTHONDONTWRITEBYTECODE": "1"},
        )

    @property
    def url(self):
        return f"http://127.0.0.1:{self.sock.getsockname()[1]}"

    def end(self):
        """SIGTERM it. What it said on stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=20)
        self.sock.close()
        return errors

    @property
    def records(self):
        """Every record in the files, by kind."""
        records = defaultdict(list)
        for path in self.directory.glob("*.jsonl"):
            for line in path.read_text().splitlines():
                record = json.loads(line)
                records[record["kind"]].append(record)
        return records


def trace(n):
    """The trace that the n-th request brings along."""
    return f"{n + 1:032x}", f"{n + 1:016x}"


@pytest.fixture(scope="module", params=SERVERS)
def served(request, tmp_path_factory):
    """A server that answered two hundred requests and was sent SIGTERM right after the last answer."""
    import os

    import httpx2

    from llm_observe.testing.provider import FakeProvider

    environ = {name: value for name, value in os.environ.items() if not name.startswith("LLM_OBSERVE_")}
    with FakeProvider(remember=10_000) as provider:
        server = Server(SERVERS[request.param], tmp_path_factory.mktemp("records"), provider, environ)
        try:
            # The parent observes nothing: this client is the user's browser.
            with httpx2.Client(base_url=server.url, timeout=120, limits=httpx2.Limits(max_keepalive_connections=0)) as client:

                def ask(n):
                    trace_id, span_id = trace(n)
                    headers = {"x-request-id": f"r-{n}", "traceparent": f"00-{trace_id}-{span_id}-01"}
                    return client.get(KINDS[n % len(KINDS)][0], headers=headers)

                with ThreadPoolExecutor(8) as pool:
                    server.answers = list(pool.map(ask, range(REQUESTS)))
            server.errors = server.end()
        finally:
            server.process.kill()
            server.process.communicate()
        server.asked = len(provider.requests)
        yield server


def test_every_request_was_answered(served):
    """With its own id."""
    assert {200} == {answer.status_code for answer in served.answers}, served.errors
    assert [f"r-{n}" for n in range(REQUESTS)] == [answer.headers["x-request-id"] for answer in served.answers]


def test_sigterm_loses_no_request(served):
    """Sent right after the last answer: the files hold exactly one record for each."""
    found = Counter(record["request_id"] for record in served.records["request"])

    assert {f"r-{n}": 1 for n in range(REQUESTS)} == found


def test_every_request_has_its_calls(served):
    """As many as it made, no more, each with its attempts; and the totals agree."""
    calls = defaultdict(list)
    for call in served.records["call"]:
        calls[call["request_id"]].append([attempt["status_code"] for attempt in call["attempts"]])
    expected = {f"r-{n}": KINDS[n % len(KINDS)][1] for n in range(REQUESTS)}

    assert {name: sorted(attempts) for name, attempts in expected.items()} == {name: sorted(attempts) for name, attempts in calls.items()}
    assert {name: (len(attempts), sum(len(one) - 1 for one in attempts), 0) for name, attempts in expected.items()} == {
        record["request_id"]: (record["calls"]["count"], record["calls"]["retries"], record["calls"]["errors"])
        for record in served.records["request"]
    }


def test_every_attempt_that_the_provider_saw_is_on_record(served):
    """Neither more nor less."""
    assert served.asked == sum(len(call["attempts"]) for call in served.records["call"])


def test_every_id_is_joined(served):
    """Request to the trace it came with, step to request, call to step or request."""
    records = served.records
    requests = {record["request_id"]: record for record in records["request"]}
    steps = {record["request_id"]: record for record in records["step"]}

    assert {f"r-{n}": trace(n) for n in range(REQUESTS)} == {name: (r["trace_id"], r["parent_id"]) for name, r in requests.items()}
    assert {name: (requests[name]["trace_id"], requests[name]["span_id"]) for name in steps} == {
        name: (step["trace_id"], step["parent_id"]) for name, step in steps.items()
    }
    for call in records["call"]:
        name = call["request_id"]
        assert (requests[name]["trace_id"], steps.get(name, requests[name])["span_id"]) == (call["trace_id"], call["parent_id"])
    spans = [record["span_id"] for kind in records.values() for record in kind]
    assert len(spans) == len(set(spans))


def test_every_call_went_well(served):
    """Complete, with the words that were said, whatever happened before."""
    assert {("ok", True)} == {(call["status"], call["wire"]["complete"]) for call in served.records["call"]}
    assert all(call["output"]["messages"][0]["parts"][0]["content"] for call in served.records["call"])


def test_every_request_has_its_route(served):
    """The template, not the path."""
    routes = Counter(record["http"]["route"].replace("<", "{").replace(">", "}") for record in served.records["request"])

    assert {
        "/plain/{sdk}/{model}",
        "/stream/{sdk}/{model}",
        "/blocking/{sdk}/{model}",
        "/blocking-stream/{sdk}/{model}",
        "/together",
        "/background",
    } == {*routes}


def test_the_server_has_nothing_to_complain_of(served):
    """No traceback, no warning of ours on stderr."""
    assert "Traceback" not in served.errors
    assert "llm-observe" not in served.errors


def test_each_worker_has_files_of_its_own(served, request):
    """With two workers both write."""
    workers = 2 if "preload" in request.node.name else 1
    files = [path for path in served.directory.glob("*.jsonl") if path.stat().st_size]

    assert workers == len(files)
