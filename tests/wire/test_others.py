"""What a provider serves beside models that answer is named, and is no call."""

import pytest

from llm_observe.records import Exchange
from llm_observe.wire import Unknown, decode


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("POST", "api.anthropic.com/v1/messages/count_tokens", "counts tokens"),
        ("POST", "generativelanguage.googleapis.com/v1beta/models/gemini-x:countTokens", "counts tokens"),
        ("POST", "bedrock-runtime.us-east-1.amazonaws.com/model/m/count-tokens", "counts tokens"),
        (
            "POST",
            "aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
            "counts tokens",
        ),
        ("POST", "api.openai.com/v1/responses/input_tokens", "counts tokens"),
        ("POST", "api.cohere.com/v1/tokenize", "counts tokens"),
        ("POST", "api.anthropic.com/v1/messages/batches", "is a batch"),
        ("GET", "api.openai.com/v1/batches/batch_1", "is a batch"),
        ("POST", "generativelanguage.googleapis.com/v1beta/models/gemini-x:batchGenerateContent", "is a batch"),
        ("POST", "api.openai.com/v1/files", "keeps files"),
        ("POST", "generativelanguage.googleapis.com/upload/v1beta/files", "keeps files"),
        ("DELETE", "api.openai.com/v1/vector_stores/vs_1", "keeps files"),
        ("POST", "generativelanguage.googleapis.com/v1beta/cachedContents", "keeps a context"),
        ("POST", "api.openai.com/v1/responses/compact", "keeps a context"),
        ("DELETE", "api.openai.com/v1/responses/resp_1", "keeps answers"),
        ("POST", "api.openai.com/v1/responses/resp_1/cancel", "keeps answers"),
        ("POST", "api.openai.com/v1/threads/t/messages", "is an agent's"),
        ("GET", "api.openai.com/v1/models", "lists models"),
        ("POST", "api.openai.com/v1/moderations", "moderates"),
        ("POST", "api.openai.com/v1/images/generations", "is of a kind that is not decoded"),
    ],
)
def test_what_is_no_inference_is_named(method, url, expected):
    """By its path, where the host is a provider's."""
    host, _, path = url.partition("/")
    decoded = decode(Exchange(client="httpx", method=method, host=host, path="/" + path, request_body=b"{}", status_code=200))

    assert Unknown(reason=f"no inference: it {expected}: {method} /{path}") == decoded


def test_a_path_like_that_elsewhere_is_nobodys():
    """An application's own files are no provider's."""
    decoded = decode(Exchange(client="httpx", method="POST", host="shop.example", path="/v1/files", request_body=b"{}", status_code=200))

    assert Unknown(reason="no known format: POST /v1/files") == decoded
