"""The examples, each run as its user would: in a process of its own, in a folder of its own, against a provider on this machine."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import NamedTuple

import httpx
import pytest

from llm_observe.exporters import read_records
from llm_observe.records import Call, Request, Step
from llm_observe.settings import PREFIX
from llm_observe.testing.provider import FakeProvider

EXAMPLES = Path(__file__).parents[2] / "examples"


class Run(NamedTuple):
    """What a run of an example left: what its client was answered, what it said on stderr, and the records in its folder."""

    answers: list[str]
    said: str
    calls: list[Call]
    requests: list[Request]
    steps: list[Step]

    def request(self, route: str) -> Request:
        """The one request to *route*."""
        (found,) = [request for request in self.requests if request.http is not None and request.http.route == route]
        return found

    def calls_of(self, request: Request) -> list[Call]:
        """The calls made in *request*."""
        return [call for call in self.calls if call.request_id == request.request_id]


def left(folder: Path, *, answers: Sequence[str] = (), said: str = "") -> Run:
    """What is in *folder* after a run."""
    records = list(read_records(folder / ".llm-observe"))
    kinds = ([record for record in records if isinstance(record, kind)] for kind in (Call, Request, Step))
    return Run(list(answers), said, *kinds)


def until(true: Callable[[], bool]) -> None:
    """Look again until it is so; a minute at the most."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


@pytest.fixture(scope="module", autouse=True)
def interruptible():
    """Have Ctrl-C mean what it means in a terminal: whatever started these tests may have it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """The environment of an example, its SDKs' addresses those of a provider on this machine."""
    with FakeProvider() as provider:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        yield clean | {
            "OPENAI_BASE_URL": provider.openai_base_url,
            "OPENAI_API_KEY": "none",
            "ANTHROPIC_BASE_URL": provider.anthropic_base_url,
            "ANTHROPIC_API_KEY": "none",
            "NO_PROXY": "127.0.0.1",
            "PYTHONUNBUFFERED": "1",
        }


@contextmanager
def served(module: Sequence[str], folder: Path, environment: dict[str, str]) -> Iterator[tuple[str, Callable[[signal.Signals], str]]]:
    """`python -m` *module* in *folder*: the address it says that it serves, and how to end it. Ending it gives its stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", *module], cwd=folder, env=environment, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    lines: list[str] = []
    address: Queue[str | None] = Queue()

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                address.put(found[0])
        address.put(None)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()

    def end(how: signal.Signals) -> str:
        process.send_signal(how)
        process.wait(30)
        listener.join(30)
        return "".join(lines)

    try:
        url = address.get(timeout=60)
        assert url is not None, "".join(lines)
        yield url, end
    finally:
        process.kill()
        process.wait()
        listener.join(30)
        assert process.stderr is not None
        process.stderr.close()


# --- FastAPI, under uvicorn ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fastapi_app(environment, tmp_path_factory) -> Run:
    """Each route asked once."""
    folder = tmp_path_factory.mktemp("fastapi")
    command = ["uvicorn", "--app-dir", str(EXAMPLES), "--port", "0", "fastapi_app:app"]
    with served(command, folder, environment) as (url, end), httpx.Client(base_url=url, timeout=30) as client:
        answers = [client.get(path, params={"q": "hello"}).text for path in ("/chat/ada", "/translate/ada", "/story/grace")]
        return left(folder, said=end(signal.SIGTERM), answers=answers)


def test_the_fastapi_app_answers(fastapi_app):
    """The client gets what the models say, streamed or not."""
    chat, translate, story = fastapi_app.answers

    assert '{"answer":"You said: hello"}' == chat
    assert '{"French":"You said: Translate into French: hello","German":"You said: Translate into German: hello"}' == translate
    assert "You said: hello" == story


def test_the_fastapi_apps_requests_are_on_record(fastapi_app):
    """One record a request, with the template of its route and the user it was tagged with."""
    seen = [(r.http.route, r.http.response.status_code, r.scope.user_id, r.calls.count) for r in fastapi_app.requests]

    assert [("/chat/{user}", 200, "ada", 1), ("/story/{user}", 200, "grace", 1), ("/translate/{user}", 200, "ada", 2)] == sorted(seen)


def test_the_fastapi_apps_parallel_calls_are_the_steps_children(fastapi_app):
    """Both translations hang below the step, and the step below the request."""
    request = fastapi_app.request("/translate/{user}")
    (step,) = fastapi_app.steps

    assert [step.span_id] * 2 == [call.parent_id for call in fastapi_app.calls_of(request)]
    assert ("translate", request.span_id) == (step.name, step.parent_id)
    assert {"languages": ["French", "German"]} == step.attributes
    assert {"plan": "free"} == request.scope.tags


def test_the_fastapi_apps_stream_is_one_call(fastapi_app):
    """The streamed answer is whole on record, with its tokens and the time to its first chunk."""
    (call,) = fastapi_app.calls_of(fastapi_app.request("/story/{user}"))

    assert ("ok", "anthropic", "claude-haiku-4-5", True) == (call.status, call.provider.name, call.request.model, call.request.stream)
    assert "You said: hello" == call.output.messages[0].parts[0].content
    assert 0 < call.response.time_to_first_chunk <= call.duration
    assert call.usage.output_tokens


# --- Flask, under both servers people use ----------------------------------------------------------------------------

SERVERS = {
    "flask run": (["flask", "--app", str(EXAMPLES / "flask_app.py"), "run", "--port", "0"], signal.SIGINT),
    "gunicorn": (["gunicorn", "--threads", "4", "--bind", "127.0.0.1:0", "--pythonpath", str(EXAMPLES), "flask_app:app"], signal.SIGTERM),
}


@pytest.fixture(scope="module", params=SERVERS)
def flask_app(request, environment, tmp_path_factory) -> Run:
    """Each route asked once."""
    folder = tmp_path_factory.mktemp("flask")
    command, how = SERVERS[request.param]
    with served(command, folder, environment) as (url, end), httpx.Client(base_url=url, timeout=30) as client:
        answers = [client.get(path, params={"q": "hello"}).text for path in ("/chat/ada", "/story/grace")]
        if how is signal.SIGINT:  # flask's own server waits for none of its threads
            until(lambda: len(left(folder).requests) == len(answers))
        return left(folder, said=end(how), answers=answers)


def test_the_flask_app_answers(flask_app):
    """The client gets what the models say, streamed or not."""
    chat, story = flask_app.answers

    assert "The question is: hello" in chat
    assert "You said: hello" == story


def test_the_flask_apps_requests_are_on_record(flask_app):
    """One record a request, with the rule of its route and the user, also where the body is streamed."""
    seen = [(r.http.route, r.http.response.status_code, r.scope.user_id, r.calls.count) for r in flask_app.requests]

    assert [("/chat/<user>", 200, "ada", 1), ("/story/<user>", 200, "grace", 1)] == sorted(seen)


def test_the_flask_apps_step_is_below_its_request(flask_app):
    """A decorated function is a step of the request that called it."""
    (step,) = flask_app.steps

    assert ("look up", flask_app.request("/chat/<user>").span_id) == (step.name, step.parent_id)


def test_the_flask_apps_own_exporter_gets_the_calls(flask_app):
    """A function handed over as exporter is called with what the files hold."""
    said = [line for line in flask_app.said.splitlines() if line.startswith("chat ")]

    assert sorted(call.name for call in flask_app.calls) == sorted(line.partition(":")[0] for line in said)
    assert all(re.search(r": \d+ tokens in, \d+ out, \d\.\d\d s$", line) for line in said), said


# --- the others ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script(environment, tmp_path_factory) -> Run:
    """The job, given two texts."""
    folder = tmp_path_factory.mktemp("script")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "script.py"), "One text.", "Hurray!"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return left(folder, answers=done.stdout.splitlines(), said=done.stderr)


def test_the_script_does_its_job(script):
    """A line a text, and not a word on stderr."""
    assert (["calm: You said: One text.", "excited: You said: Hurray!"], "") == (script.answers, script.said)


def test_the_scripts_job_is_one_record(script):
    """The scope is a request record without HTTP, which sums up its calls."""
    (job,) = script.requests

    assert ("nightly-job", None, 4, {"texts": 2}) == (job.name, job.http, job.calls.count, job.scope.tags)


def test_the_scripts_calls_know_where_they_were_made(script):
    """Calls over HTTP hang below their step, those told by hand below the job."""
    parents = {step.span_id: step.name for step in script.steps} | {job.span_id: job.name for job in script.requests}

    assert [("local", "nightly-job")] * 2 + [("openai", "summarise")] * 2 == sorted(
        (call.provider.name, parents[call.parent_id]) for call in script.calls
    )


def test_the_scripts_streams_have_their_tokens(script):
    """A stream that was asked for its usage has it on record."""
    assert [(7, 4), (6, 3)] == [
        (call.usage.input_tokens, call.usage.output_tokens) for call in script.calls if call.provider.name == "openai"
    ]


def test_the_provider_example_says_how_to_reach_it(environment):
    """What it prints are lines for a shell, and the address in them answers."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "provider.py")], env=environment | {"PORT": "0"}, text=True, stdout=subprocess.PIPE
    )
    try:
        lines = [process.stdout.readline() for _ in range(3)]
        variables = dict(word.split("=", 1) for line in lines[1:] for word in line.split()[1:])
        answer = httpx.post(
            variables["ANTHROPIC_BASE_URL"] + "/v1/messages",
            json={"model": "any", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]},
        )
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(30)
    finally:
        process.kill()
        process.communicate()

    assert {"OPENAI_BASE_URL", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"} == set(variables)
    assert "You said: hello" == answer.json()["content"][0]["text"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_fits_on_a_screen(path):
    """An example of more than sixty lines is two."""
    assert 60 >= len(path.read_text().splitlines())


def test_every_example_is_in_the_readme():
    """The folder's README has a row for each program."""
    readme = (EXAMPLES / "README.md").read_text()

    assert [] == [path.name for path in EXAMPLES.glob("*.py") if f"({path.name})" not in readme]
