"""Where Cohere's formats are met, whose they only look like, and what of Cohere's is never a call."""

import pytest

from llm_observe.records import Decoded
from llm_observe.wire import Unknown, decode

CHAT2 = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
CHAT1 = {"message": "hi"}
PROMPT = {"prompt": "hi"}
MARKED = {"response_headers": {"num_tokens": "7"}}
CLIENT = {"request_headers": {"x-fern-sdk-name": "cohere"}}
AGENT = {"request_headers": {"user-agent": "cohere/7.3.1"}}


@pytest.mark.parametrize(
    ("url", "request_", "changes", "expected"),
    [
        pytest.param("https://api.cohere.com/v2/chat", CHAT2, {}, "cohere.chat", id="chat"),
        pytest.param("https://api.cohere.ai/v1/chat", CHAT1, {}, "cohere.chat", id="chat of the first version, older host"),
        pytest.param("https://api.cohere.com/v2/chat", {}, {}, "cohere.chat", id="whatever is sent to Cohere"),
        pytest.param("https://api.cohere.com/v2/chat", b"no JSON", {}, "cohere.chat", id="whatever nobody can read"),
        pytest.param("https://m.eastus2.models.ai.azure.com/v1/chat", CHAT1, {}, "cohere.chat", id="on Azure"),
        pytest.param("https://gateway.example/cohere/v2/chat", CHAT2, MARKED, "cohere.chat", id="at a gateway, by Cohere's header"),
        pytest.param("https://gateway.example/cohere/v1/chat", CHAT1, CLIENT, "cohere.chat", id="at a gateway, by its client's header"),
        pytest.param("https://gateway.example/cohere/v2/chat", CHAT2, AGENT, "cohere.chat", id="at a gateway, by its client's name"),
        pytest.param("https://shop.example/v1/chat", CHAT1, {}, None, id="an application's own chat"),
        pytest.param("https://shop.example/v2/chat", CHAT2, {}, None, id="one that names a model"),
        pytest.param("https://shop.example/v2/chat", {"text": "hi"}, MARKED, None, id="a header alone"),
        pytest.param("https://shop.example/v2/chat", b"no JSON", {}, None, id="what nobody can read, at nobody's"),
        pytest.param("https://m.eastus2.models.ai.azure.com/v1/chat", {"text": "hi"}, {}, None, id="another's on Azure"),
        pytest.param("https://api.cohere.com/v1/generate", PROMPT, {}, "cohere.generate", id="generate"),
        pytest.param("https://api.cohere.com/v1/generate", b"no JSON", {}, "cohere.generate", id="generate, unreadable"),
        pytest.param("https://gateway.example/v1/generate", PROMPT, CLIENT, "cohere.generate", id="generate at a gateway"),
        pytest.param("https://shop.example/v1/generate", PROMPT, {}, None, id="an application's own generate"),
        pytest.param("https://shop.example/v1/generate", b"no JSON", {}, None, id="an application's own, unreadable"),
        pytest.param("https://api.cohere.com/v1/embed", {"texts": ["a"]}, {}, "cohere.embed", id="embed without a model"),
        pytest.param("https://api.cohere.com/v2/embed", b"no JSON", {}, "cohere.embed", id="embed, unreadable"),
        pytest.param("https://vllm.example/v2/embed", {"model": "m", "texts": ["a"]}, {}, "cohere.embed", id="embed at vLLM"),
        pytest.param("https://shop.example/v1/embed", {"url": "https://video"}, {}, None, id="an application's own embed"),
        pytest.param("https://shop.example/v1/embed", {"texts": ["a"]}, {}, None, id="one that names no model"),
        pytest.param("https://shop.example/v1/embed", b"no JSON", {}, None, id="an application's own embed, unreadable"),
        pytest.param("https://api.cohere.com/v1/rerank", {"query": "q"}, {}, "cohere.rerank", id="rerank"),
        pytest.param("https://api.cohere.com/v1/rerank", b"no JSON", {}, "cohere.rerank", id="rerank, unreadable"),
        pytest.param(
            "https://x.example/rerank", {"model": "m", "query": "q", "documents": ["a"]}, {}, "cohere.rerank", id="rerank elsewhere"
        ),
        pytest.param("https://x.example/rerank", {"query": "q", "texts": ["a"]}, {}, None, id="rerank of another kind"),
        pytest.param("https://x.example/rerank", {"query": "q", "documents": ["a"]}, {}, None, id="rerank without a model"),
        pytest.param("https://x.example/rerank", b"no JSON", {}, None, id="rerank elsewhere, unreadable"),
        pytest.param("https://api.cohere.com/compatibility/v1/chat/completions", CHAT2, {}, "openai.chat", id="OpenAI's, at Cohere"),
    ],
)
def test_a_path_is_coheres_where_host_body_or_headers_say_so(cohere, url, request_, changes, expected):
    """The most common paths need the most to go by."""
    decoded = decode(cohere({}, request_ if request_ != {} else b"{}", url=url, **changes))

    assert expected == (decoded.wire.format if isinstance(decoded, Decoded) else None)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/tokenize"),
        ("POST", "/v1/detokenize"),
        ("POST", "/v1/classify"),
        ("POST", "/v1/summarize"),
        ("POST", "/v1/check-api-key"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/command-x"),
        ("POST", "/v1/datasets"),
        ("GET", "/v1/datasets/usage"),
        ("POST", "/v1/connectors"),
        ("POST", "/v1/embed-jobs"),
        ("GET", "/v1/embed-jobs/j"),
        ("POST", "/v1/embed-jobs/j/cancel"),
        ("POST", "/v1/finetuning/finetuned-models"),
        ("POST", "/v2/batches"),
        ("POST", "/v2/parse"),
        ("GET", "/v2/chat"),
        ("GET", "/v1/embed"),
    ],
)
def test_what_is_no_inference_is_no_record(cohere, method, path):
    """Whatever it is asked."""
    decoded = decode(cohere({"tokens": [1]}, CHAT2 | PROMPT, url="https://api.cohere.com" + path, method=method))

    assert isinstance(decoded, Unknown), decoded
