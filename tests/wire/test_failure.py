"""An error's words are on record, the keys that they quote are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe.records import Error
from llm_observe.wire import decode
from llm_observe.wire.failure import without_keys


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, None),
        ("no such model: gpt-x", "no such model: gpt-x"),
        ("Incorrect API key provided: sk-proj-abcdefgh. You can find", "Incorrect API key provided: [key] You can find"),
        ("Incorrect API key provided: sk-ab****************wxyz", "Incorrect API key provided: [key]"),
        ("key gsk_abcdefgh1234 is revoked", "key [key] is revoked"),
        ("API key AIzaSyAbcdefghijklmnop not valid", "API key [key] not valid"),
        ("The security token AKIAIOSFODNN7EXAMPLE is expired", "The security token [key] is expired"),
        ("bad header 'Authorization: Bearer abcdef0123456789'", "bad header 'Authorization: Bearer [key]'"),
        (
            "Max retries exceeded with url: /v1beta/models/g:generateContent?alt=sse&key=hunter2 (Caused by",
            "Max retries exceeded with url: /v1beta/models/g:generateContent?alt=sse&key=[key] (Caused by",
        ),
        ("cannot reach https://user:hunter2@proxy.example/x", "cannot reach https://[key]@proxy.example/x"),
        ("https://s3.example/a?X-Amz-Signature=abc&x=1", "https://s3.example/a?X-Amz-Signature=[key]&x=1"),
        ("ask-me-anything-at-all", "ask-me-anything-at-all"),
    ],
)
def test_keys_are_taken_out(said, expected):
    """By the beginnings their makers give them, and by where they stand."""
    assert expected == without_keys(said)


@pytest.mark.parametrize("status", [401, 200])
def test_whoever_says_it(openai, status):
    """In an answer of 401, in a stream, in an exception."""
    body = {"error": {"type": "invalid_request_error", "message": "wrong key: sk-canarycanary"}}

    assert "wrong key: [key]" == decode(openai(body, status_code=status)).error.message
    assert (
        "wrong key: [key]"
        == decode(openai(None, status_code=None, end="error", error_type="E", error_message="wrong key: sk-canarycanary")).error.message
    )


def test_a_type_in_a_header_counts_without_a_body_that_is_read(openai):
    """A front that answers in plain text, with AWS's word for it."""
    exchange = openai(
        b"slow down",
        {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
        url="https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse",
        status_code=429,
        response_headers={"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/"},
    )

    assert Error(type="ThrottlingException", message="slow down") == decode(exchange).error


@given(st.text(alphabet="sk-Bearer ?&key=:/@.abc", max_size=300))
def test_no_word_is_too_much(said):
    """Anything at all, and taking keys out once is enough."""
    assert without_keys(without_keys(said)) == without_keys(said)


def test_words_without_end_are_bounded():
    """A page for an error message is cut."""
    assert 16_384 == len(without_keys("x" * 1_000_000))
