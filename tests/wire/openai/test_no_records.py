"""What OpenAI serves beside models that answer: never a record."""

import pytest

from llm_observe.records import Exchange
from llm_observe.wire import Unknown, decode, may_be_call

OTHERS = [
    ("POST", "/v1/responses/input_tokens"),
    ("POST", "/v1/responses/compact"),
    ("POST", "/v1/responses/resp_1/cancel"),
    ("DELETE", "/v1/responses/resp_1"),
    ("GET", "/v1/responses/resp_1/input_items"),
    ("POST", "/v1/conversations"),
    ("GET", "/v1/conversations/conv_1"),
    ("POST", "/v1/conversations/conv_1/items"),
    ("GET", "/v1/chat/completions"),
    ("GET", "/v1/chat/completions/chatcmpl_1"),
    ("GET", "/v1/chat/completions/chatcmpl_1/messages"),
    ("POST", "/v1/chat/completions/chatcmpl_1"),
    ("POST", "/v1/files"),
    ("GET", "/v1/files/file_1/content"),
    ("POST", "/v1/uploads"),
    ("POST", "/v1/batches"),
    ("GET", "/v1/batches/batch_1"),
    ("POST", "/v1/batches/batch_1/cancel"),
    ("POST", "/v1/images/generations"),
    ("POST", "/v1/images/edits"),
    ("POST", "/v1/audio/speech"),
    ("POST", "/v1/audio/transcriptions"),
    ("POST", "/v1/audio/translations"),
    ("POST", "/v1/videos"),
    ("POST", "/v1/moderations"),
    ("POST", "/v1/vector_stores"),
    ("POST", "/v1/vector_stores/vs_1/search"),
    ("POST", "/v1/vector_stores/vs_1/files"),
    ("POST", "/v1/assistants"),
    ("POST", "/v1/threads"),
    ("POST", "/v1/threads/thread_1/messages"),
    ("POST", "/v1/threads/thread_1/runs"),
    ("GET", "/v1/threads/thread_1/runs/run_1"),
    ("POST", "/v1/threads/thread_1/runs/run_1/submit_tool_outputs"),
    ("POST", "/v1/fine_tuning/jobs"),
    ("POST", "/v1/realtime/client_secrets"),
    ("POST", "/v1/containers"),
    ("POST", "/v1/evals"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/gpt-x"),
]


@pytest.mark.parametrize(("method", "path"), OTHERS)
@pytest.mark.parametrize("host", ["api.openai.com", "res.openai.azure.com"])
def test_what_is_no_inference_is_no_record(host, method, path):
    """Though the body looks like a call's, and the answer like one too."""
    body = b'{"model": "gpt-x", "input": "hi", "prompt": "hi", "role": "user", "content": "hi"}'
    answer = b'{"id": "x_1", "object": "list", "model": "gpt-x", "usage": {"input_tokens": 1}}'
    exchange = Exchange(client="httpx", method=method, host=host, path=path, request_body=body, status_code=200, chunks=[answer], end="eof")

    assert isinstance(decode(exchange), Unknown)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/responses", True),
        ("POST", "/v1/completions", True),
        ("POST", "/v1/embeddings", True),
        ("POST", "/v1/chat", True),
        ("GET", "/v1/responses/resp_1", True),
        ("GET", "/v1/responses/resp_1?stream=true&starting_after=3", True),
        ("GET", "/v1/responses/resp_1/input_items", False),
        ("GET", "/v1/responses", False),
        ("GET", "/v1/embeddings", False),
    ],
)
def test_what_may_be_a_call_is_looked_at(method, path, expected):
    """On the request's path already."""
    assert expected == may_be_call(method, path) == may_be_call(method, path.encode())
