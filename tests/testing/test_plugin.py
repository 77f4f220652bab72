"""The fixtures, in a user's project: pytest in a process of its own, with the plugin that comes with the package."""

import os
import re
import subprocess
import sys

import pytest

from llm_observe.settings import PREFIX

APP = """
from fastapi import FastAPI
from flask import Flask
from openai import OpenAI

from llm_observe.fastapi import LLMObserveMiddleware
from llm_observe.flask import LLMObserve


def ask(question):
    with OpenAI() as client:
        answer = client.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": question}])
        return answer.choices[0].message.content


fast = FastAPI()
fast.add_middleware(LLMObserveMiddleware)


@fast.get("/chat")
def chat(q: str):
    return {"answer": ask(q)}


flask = Flask(__name__)
LLMObserve(flask)


@flask.get("/story")
def story():
    def words():
        yield ask("Tell me a story.")

    return words()
"""

TESTS = """
import pytest
from anthropic import Anthropic
from fastapi.testclient import TestClient

import llm_observe
from llm_observe._runtime.default import existing
from llm_observe.testing import recording
from app import fast, flask

BEFORE = existing()


@pytest.fixture(autouse=True)
def keys(llm_provider, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", llm_provider.openai_base_url)
    llm_provider.enqueue("Paris.")


def test_fastapi(llm_records):
    with TestClient(fast) as client:
        assert {"answer": "Paris."} == client.get("/chat", params={"q": "hello"}).json()

    (call,) = llm_records.calls
    assert ("gpt-x", "GET /chat") == (call.request.model, llm_records.requests[0].name)


def test_fastapi_once_more(llm_records):
    assert [] == llm_records.records
    with TestClient(fast) as client:
        client.get("/chat", params={"q": "hello"})
    assert 1 == len(llm_records.calls)


def test_flask(llm_records):
    assert "Paris." == flask.test_client().get("/story").text
    assert [("GET /story", 1)] == [(request.name, request.calls.count) for request in llm_records.requests]


def test_anthropic(llm_records, llm_provider):
    with Anthropic(api_key="none", base_url=llm_provider.anthropic_base_url) as client:
        client.messages.create(model="claude-x", max_tokens=9, messages=[{"role": "user", "content": "hello"}])
    assert ["claude-x"] == [call.request.model for call in llm_records.calls]
    assert ["claude-x"] == [received.model for received in llm_provider.requests]


def test_the_fixtures_agree_with_the_context_manager(llm_records):
    with recording() as inner, llm_observe.scope("job"):
        pass
    assert (["job"], []) == ([request.name for request in inner.requests], llm_records.records)


def test_the_observer_of_before_is_back():
    assert existing() is BEFORE
"""

FAILING = """
import llm_observe


def wrong(record):
    raise RuntimeError("boom")


def test_something(llm_records):
    llm_records.observer.outlet.processors.append(wrong)
    with llm_observe.scope("job"):
        pass
"""


def run(place, *options):
    """The user's tests, and nothing of ours around them."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "PYTEST_", "OPENAI_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=place,
        env=clean | {"NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A user's project with an app and tests of it: the folder, and how its tests went."""
    place = tmp_path_factory.mktemp("project")
    (place / "app.py").write_text(APP)
    (place / "test_app.py").write_text(TESTS)
    return place, run(place, "-rA")


@pytest.mark.parametrize("name", re.findall(r"def (test_\w+)", TESTS))
def test_a_users_test_passes(project, name):
    """With the fixtures and nothing set up, a user's test sees what its app recorded."""
    _, done = project

    assert f"PASSED test_app.py::{name}\n" in done.stdout, done.stdout + done.stderr


def test_a_users_project_stays_clean(project):
    """The fixtures write nothing to disk."""
    place, _ = project

    assert {"app.py", "test_app.py"} == {path.name for path in place.iterdir()}


def test_a_failure_of_ours_fails_the_users_test(tmp_path):
    """What fails in the background is an error of the test that caused it, with its own words."""
    (tmp_path / "test_app.py").write_text(FAILING)
    done = run(tmp_path)

    assert 1 == done.returncode
    assert "ERROR test_app.py::test_something - RuntimeError: boom" in done.stdout


def test_the_fixtures_say_what_they_are(tmp_path):
    """`pytest --fixtures` lists both with a sentence."""
    done = run(tmp_path, "--fixtures")

    assert re.search(r"^llm_records -- .*\n +What the app under test records", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^llm_provider -- .*\n +A provider on 127\.0\.0\.1", done.stdout, re.MULTILINE), done.stdout


def test_a_project_that_does_not_ask_loads_nothing(tmp_path):
    """Where no test asks for a fixture, neither the provider nor the hooks are loaded."""
    (tmp_path / "test_app.py").write_text("import sys\ndef test_it(): print('loaded:', *(m for m in sys.modules if 'llm_observe' in m))\n")
    loaded = run(tmp_path, "-s").stdout.partition("loaded:")[2].split()

    assert "llm_observe.testing.pytest_plugin" in loaded
    assert {"llm_observe.testing.provider", "llm_observe.capture.httpx", "llm_observe._runtime.sink"}.isdisjoint(loaded)
