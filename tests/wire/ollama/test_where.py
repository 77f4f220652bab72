"""Where Ollama's formats are met, whose they only look like, and what of Ollama's is never a call."""

import gzip
import json

import pytest

from llm_observe.records import Decoded
from llm_observe.wire import Unknown, decode

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
PROMPT = {"model": "m", "prompt": "hi"}
DONE = {"model": "m", "message": {"role": "assistant", "content": "a"}, "done": True}
LINES = json.dumps(DONE | {"done": False}).encode() + b"\n" + json.dumps(DONE).encode() + b"\n"
VECTORS = {"embeddings": [[1.0]], "total_duration": 1}
PACKED = {"response_headers": {"content-encoding": "gzip"}}
CLIENT = {"request_headers": {"user-agent": "ollama-python/0.6.3 (x86_64 linux) Python/3.11.7"}}
HERE = {"port": 11434}


@pytest.mark.parametrize(
    ("url", "request_", "answer", "changes", "expected"),
    [
        pytest.param("https://10.0.0.7/api/chat", CHAT, DONE, HERE, "ollama.chat", id="at its port"),
        pytest.param("https://10.0.0.7/api/chat", b"no JSON", {"error": "m"}, HERE, "ollama.chat", id="at its port, unreadable"),
        pytest.param("https://ollama.com/api/chat", CHAT, {"error": "m"}, {}, "ollama.chat", id="at Ollama"),
        pytest.param("https://proxy.example/api/chat", CHAT, {"error": "m"}, CLIENT, "ollama.chat", id="by its client"),
        pytest.param("https://proxy.example/llm/api/chat", CHAT, DONE, {}, "ollama.chat", id="behind a proxy, by its answer"),
        pytest.param("https://proxy.example/api/chat", CHAT, LINES, {}, "ollama.chat", id="behind a proxy, by its first line"),
        pytest.param("https://proxy.example/api/chat", CHAT, gzip.compress(LINES), PACKED, "ollama.chat", id="behind a proxy, packed"),
        pytest.param("https://shop.example/api/chat", CHAT, {"reply": "a"}, {}, None, id="an application's own chat"),
        pytest.param("https://shop.example/api/chat", {"messages": []}, DONE, {}, None, id="one that names no model"),
        pytest.param("https://shop.example/api/chat", CHAT, None, {"status_code": None}, None, id="one that never answered"),
        pytest.param("https://shop.example/api/chat", b"no JSON", DONE, {}, None, id="one that nobody can read"),
        pytest.param("https://shop.example/api/chat", CHAT, [DONE], {}, None, id="one that answers something else"),
        pytest.param("https://10.0.0.7/api/generate", PROMPT, DONE, HERE, "ollama.generate", id="generate at its port"),
        pytest.param("https://proxy.example/api/generate", PROMPT, DONE, {}, "ollama.generate", id="generate behind a proxy"),
        pytest.param("https://shop.example/api/generate", PROMPT, {"url": "u"}, {}, None, id="an application's own generate"),
        pytest.param("https://10.0.0.7/api/embed", PROMPT, VECTORS, HERE, "ollama.embeddings", id="embed at its port"),
        pytest.param("https://proxy.example/api/embed", {"model": "m", "input": "a"}, VECTORS, {}, "ollama.embeddings", id="embed, proxy"),
        pytest.param(
            "https://proxy.example/api/embeddings", PROMPT, {"embedding": [1.0]}, {}, "ollama.embeddings", id="the older way, proxy"
        ),
        pytest.param(
            "https://shop.example/api/embed", {"model": "m", "input": "a"}, {"embeddings": []}, {}, None, id="an application's embed"
        ),
        pytest.param("https://shop.example/api/embed", {"url": "u"}, VECTORS, {}, None, id="an application's embed of something else"),
        pytest.param("https://shop.example/api/embeddings", PROMPT, {"vector": [1.0]}, {}, None, id="an application's older embed"),
        pytest.param("https://10.0.0.7/v1/chat/completions", CHAT, {"choices": []}, HERE, "openai.chat", id="OpenAI's, at Ollama"),
    ],
)
def test_a_path_is_ollamas_where_port_client_or_answer_say_so(chat, url, request_, answer, changes, expected):
    """Elsewhere it is an application's own."""
    decoded = decode(chat(answer, request_, url=url, **({"port": 443} | changes)))

    assert expected == (decoded.wire.format if isinstance(decoded, Decoded) else None)


def test_behind_a_proxy_the_provider_is_a_guess(chat):
    """The format's own."""
    decoded = decode(chat(DONE, url="https://proxy.example/api/chat", port=443))

    assert ("ollama", True) == (decoded.provider.name, decoded.provider.guessed)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/tags"),
        ("GET", "/api/ps"),
        ("GET", "/api/version"),
        ("POST", "/api/show"),
        ("POST", "/api/pull"),
        ("POST", "/api/push"),
        ("POST", "/api/create"),
        ("POST", "/api/copy"),
        ("DELETE", "/api/delete"),
        ("POST", "/api/blobs/sha256:0"),
        ("POST", "/api/web_search"),
        ("POST", "/api/web_fetch"),
        ("GET", "/api/chat"),
        ("GET", "/api/generate"),
    ],
)
def test_what_is_no_inference_is_no_record(chat, method, path):
    """Whatever it is asked, and although it says when it is done."""
    decoded = decode(chat(DONE, CHAT | PROMPT, url="https://localhost" + path, method=method))

    assert isinstance(decoded, Unknown), decoded
