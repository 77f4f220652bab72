"""Exchanges with Ollama, made by hand, and the streams that have everything in them."""

import json

import pytest

HOST = "https://localhost"
PORT = 11434


def _maker(openai, path: str, usual: dict):
    def make(answer=None, request=None, *, url=HOST + path, port=PORT, **changes):
        return openai(answer, request or usual, url=url, port=port, **changes)

    return make


@pytest.fixture(scope="session")
def chat(openai):
    """An exchange about a chat: the answer, and what is to be different."""
    return _maker(openai, "/api/chat", {"model": "m:1b", "messages": [{"role": "user", "content": "hi"}]})


@pytest.fixture(scope="session")
def generate(openai):
    """An exchange about a prompt."""
    return _maker(openai, "/api/generate", {"model": "m:1b", "prompt": "hi"})


@pytest.fixture(scope="session")
def embed(openai):
    """An exchange about embeddings."""
    return _maker(openai, "/api/embed", {"model": "m:1b", "input": "hi"})


@pytest.fixture(scope="session")
def lines():
    """Documents as JSON lines."""
    return lambda *documents: b"".join(json.dumps(document, ensure_ascii=False).encode() + b"\n" for document in documents)


@pytest.fixture(scope="session")
def last() -> dict:
    """What the last line says beside the message."""
    return {
        "done": True,
        "done_reason": "stop",
        "total_duration": 1_500_000_000,
        "load_duration": 1,
        "prompt_eval_count": 7,
        "prompt_eval_duration": 1,
        "eval_count": 9,
        "eval_duration": 1,
    }


@pytest.fixture(scope="session")
def chat_lines(lines, last) -> bytes:
    """A stream of a chat: thoughts, text, tool calls, counts."""

    def line(**message) -> dict:
        said = {"role": "assistant", "content": ""} | message
        return {"model": "m:1b", "created_at": "2026-01-01T00:00:00Z", "message": said, "done": False}

    calls = [{"id": "call_1", "function": {"index": n, "name": name, "arguments": {"at": "it"}}} for n, name in enumerate(["look", "go"])]
    return lines(
        line(thinking="hm "),
        line(thinking="…"),
        line(content="Grüße, "),
        line(content="世界 🌍\u2028"),
        line(tool_calls=calls[:1]),
        line(tool_calls=calls[1:]),
        line() | last,
    )


@pytest.fixture(scope="session")
def generate_lines(lines, last) -> bytes:
    """A stream of a prompt's continuation."""
    usual = {"model": "m:1b", "created_at": "2026-01-01T00:00:00Z", "response": "", "done": False}
    return lines(
        usual | {"thinking": "hm …"},
        usual | {"response": "Grüße, "},
        usual | {"response": "世界 🌍\u2028"},
        usual | last | {"context": [1, 2, 3]},
    )
