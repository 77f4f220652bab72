"""Where Anthropic's formats are met, and what of Anthropic's is never a call."""

import pytest

from llm_observe.records import Decoded
from llm_observe.wire import Unknown, decode


@pytest.mark.parametrize(
    ("url", "provider", "model"),
    [
        ("https://api.anthropic.com/v1/messages?beta=true", "anthropic", "claude-x"),
        ("https://claude.googleapis.com/v1/messages", "anthropic", "claude-x"),
        ("https://aws-external-anthropic.us-east-1.api.aws/v1/messages", "anthropic", "claude-x"),
        ("https://bedrock-mantle.us-west-2.api.aws/anthropic/v1/messages", "aws.bedrock", "claude-x"),
        ("https://res.services.ai.azure.com/anthropic/v1/messages", "azure.ai.inference", "claude-x"),
        ("https://api.deepseek.com/anthropic/v1/messages", "deepseek", "claude-x"),
    ],
)
def test_messages_are_met_at_anthropic_and_at_the_clouds(anthropic, url, provider, model):
    """By their path; the provider is whoever serves it."""
    decoded = decode(anthropic({"id": "msg_1", "content": []}, url=url))

    assert ("anthropic.messages", provider, None, model) == (
        decoded.wire.format,
        decoded.provider.name,
        decoded.provider.guessed or None,
        decoded.request.model,
    )


@pytest.mark.parametrize("verb", ["rawPredict", "streamRawPredict"])
@pytest.mark.parametrize(
    "host", ["aiplatform.googleapis.com", "europe-west1-aiplatform.googleapis.com", "aiplatform.eu.rep.googleapis.com"]
)
def test_messages_are_met_on_vertex(anthropic, host, verb):
    """The model is in the path."""
    url = f"https://{host}/v1/projects/p/locations/l/publishers/anthropic/models/claude-x@20260101:{verb}"
    decoded = decode(anthropic({"id": "msg_1", "content": []}, {"anthropic_version": "vertex-2023-10-16", "messages": []}, url=url))

    assert ("anthropic.messages", "gcp.vertex_ai", "claude-x@20260101") == (
        decoded.wire.format,
        decoded.provider.name,
        decoded.request.model,
    )


def test_a_gateways_messages_are_met_too(anthropic):
    """The body says what it is; who is behind the host is a guess."""
    decoded = decode(anthropic({"id": "msg_1", "content": []}, url="https://gateway.example/llm/v1/messages"))

    assert ("anthropic.messages", "anthropic", True) == (decoded.wire.format, decoded.provider.name, decoded.provider.guessed)


NEVER = [
    ("POST", "/v1/messages/count_tokens"),
    ("POST", "/v1/messages/batches"),
    ("GET", "/v1/messages/batches"),
    ("GET", "/v1/messages/batches/msgbatch_1"),
    ("GET", "/v1/messages/batches/msgbatch_1/results"),
    ("POST", "/v1/messages/batches/msgbatch_1/cancel"),
    ("DELETE", "/v1/messages/batches/msgbatch_1"),
    ("GET", "/v1/messages"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/claude-x"),
    ("POST", "/v1/files"),
    ("GET", "/v1/files/file_1/content"),
    ("POST", "/v1/skills"),
    ("GET", "/v1/complete"),
]


@pytest.mark.parametrize(("method", "path"), NEVER)
def test_what_is_no_inference_is_no_record(anthropic, method, path):
    """Counting, batches, files, lists: whatever they are asked, and whoever serves them."""
    for prefix in ("https://api.anthropic.com", "https://res.services.ai.azure.com/anthropic"):
        decoded = decode(anthropic({"input_tokens": 3}, url=prefix + path + "?beta=true", method=method))
        assert isinstance(decoded, Unknown), decoded


@pytest.mark.parametrize("model", ["count-tokens:rawPredict", "count-tokens:streamRawPredict"])
def test_counting_on_vertex_is_no_record(anthropic, model):
    """There it is a model's name."""
    url = f"https://aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/anthropic/models/{model}"

    assert isinstance(decode(anthropic({"input_tokens": 3}, url=url)), Unknown)


@pytest.mark.parametrize(
    ("url", "request_", "headers", "expected"),
    [
        pytest.param("https://api.anthropic.com/v1/complete", {"prompt": "p", "max_tokens_to_sample": 9}, {}, True, id="at Anthropic"),
        pytest.param("https://gateway.example/v1/complete", {"prompt": "p", "max_tokens_to_sample": 9}, {}, True, id="at a gateway"),
        pytest.param("https://shop.example/v1/complete", {"prompt": "p", "max_tokens": 9}, {}, False, id="an application's own"),
        pytest.param("https://shop.example/v1/complete", {"query": "p"}, {}, False, id="a search box"),
        pytest.param("https://shop.example/v1/complete", b"no JSON", {}, False, id="a body that nobody can read"),
        pytest.param("https://api.anthropic.com/v1/complete", b"no JSON", {}, True, id="one that nobody can read, at Anthropic"),
        pytest.param(
            "https://x.example/v1/complete", b"no JSON", {"anthropic-version": "2023-06-01"}, True, id="one with Anthropic's header"
        ),
        pytest.param("https://api.aleph-alpha.com/complete", {"prompt": "p", "maximum_tokens": 9}, {}, False, id="Aleph Alpha's"),
    ],
)
def test_text_completions_are_met_by_their_own_words(anthropic, url, request_, headers, expected):
    """A path like that is an application's too."""
    decoded = decode(anthropic({"completion": "a"}, request_, url=url, request_headers=headers))

    assert expected is (isinstance(decoded, Decoded) and decoded.wire.format == "anthropic.complete")
