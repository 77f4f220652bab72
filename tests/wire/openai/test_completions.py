"""Legacy completions: a prompt in, text out."""

import pytest

from llm_observe.records import CallRequest, Choice, Error, Message, Text, Usage
from llm_observe.wire import Unknown, decode


def answer(*texts: str, **members) -> dict:
    """A whole answer of these."""
    choices = [{"index": n, "text": text, "finish_reason": "stop", "logprobs": None} for n, text in enumerate(texts)]
    return {"id": "cmpl-1", "object": "text_completion", "model": "gpt-x-1", "choices": choices} | members


def said(content: str, reason: str | None = "stop") -> Message:
    """The assistant's message."""
    return Message(role="assistant", parts=(Text(content=content),), finish_reason=reason)


def asks(content: str) -> Message:
    """The user's message."""
    return Message(role="user", parts=(Text(content=content),))


@pytest.mark.parametrize(
    ("prompt", "messages", "count"),
    [
        pytest.param("Once", (asks("Once"),), 1, id="a string"),
        pytest.param("", (), 1, id="an empty one"),
        pytest.param(["Once", "Twice"], (asks("Once"), asks("Twice")), 2, id="strings"),
        pytest.param([101, 102, 103], (), 1, id="token ids"),
        pytest.param([[101, 102], [103]], (), 2, id="lists of token ids"),
        pytest.param([], (), 0, id="none"),
    ],
)
def test_prompts_are_the_users_messages(completion, prompt, messages, count):
    """Token ids count, and say nothing."""
    decoded = decode(completion(answer("a"), {"model": "gpt-x", "prompt": prompt}))

    assert (messages, count) == (decoded.input.messages, decoded.input.count)


def test_parameters_keep_the_values_that_were_sent(completion):
    """Those that only this format has are no part of the convention."""
    request = {
        "model": "gpt-x",
        "prompt": "p",
        "max_tokens": 5,
        "n": 2,
        "best_of": 3,
        "echo": True,
        "suffix": "s",
        "stop": "END",
        "seed": 1,
    }

    assert (
        CallRequest(model="gpt-x", max_tokens=5, choice=Choice(count=2), stop_sequences=("END",), seed=1)
        == decode(completion(answer("a"), request)).request
    )


def test_a_plain_answer(completion):
    """A message for each text."""
    decoded = decode(completion(answer("one", "two", usage={"prompt_tokens": 1, "completion_tokens": 2}, system_fingerprint="fp")))

    assert (said("one"), said("two")) == decoded.output.messages
    assert ("openai.completions", "text_completion", "cmpl-1", "gpt-x-1", "fp") == (
        decoded.wire.format,
        decoded.operation.name,
        decoded.response.id,
        decoded.response.model,
        decoded.response.system_fingerprint,
    )
    assert (Usage(input_tokens=1, output_tokens=2), ("stop", "stop"), "ok") == (
        decoded.usage,
        decoded.response.finish_reasons,
        decoded.status,
    )


def test_a_stream_is_folded(completion, completion_stream):
    """As a plain answer has it."""
    decoded = decode(completion(completion_stream))

    assert (said("Grüße, 世界 🌍\u2028"),) == decoded.output.messages
    assert (Usage(input_tokens=2, output_tokens=3), "ok", "cmpl-1") == (decoded.usage, decoded.status, decoded.response.id)


def test_a_stream_that_broke_off_is_truncated(completion, events):
    """Its text is kept."""
    decoded = decode(completion(events({"id": "c", "choices": [{"index": 0, "text": "par", "finish_reason": None}]})))

    assert ((said("par", "error"),), "truncated") == (decoded.output.messages, decoded.status)


def test_writers_pieces_are_one_text_that_may_not_be_whole(completion, pieces_stream):
    """It has no marker of its end, so that nothing is said of it."""
    decoded = decode(completion(pieces_stream, url="https://api.writer.com/v1/completions"))

    assert (said("Grüße, 世界 🌍\u2028!", None),) == decoded.output.messages
    assert ("writer.completions", "writer", "ok", None, ()) == (
        decoded.wire.format,
        decoded.provider.name,
        decoded.status,
        decoded.wire.complete,
        decoded.response.finish_reasons,
    )


def test_writers_first_piece_is_the_first_content(completion, events):
    """An empty one says nothing."""
    chunks = [events({"value": ""}), events({"value": "a"}), events("{broken"), events({"error": {"type": "t", "message": "m"}})]
    decoded = decode(completion(b"", url="https://api.writer.com/v1/completions", chunks=chunks, chunk_times=[10, 20, 30, 40]))

    assert (20, (said("a", None),)) == (decoded.first_content_at, decoded.output.messages)
    assert ("1 event is no JSON", Error(type="t", message="m")) == (decoded.wire.reason, decoded.error)


def test_writers_stream_of_nothing_says_nothing(completion, events):
    """No message is made up."""
    assert () == decode(completion(events({"value": ""}), url="https://api.writer.com/v1/completions")).output.messages


def test_filling_in_the_middle_has_messages(completion):
    """Mistral's answers are those of a chat."""
    request = {"model": "codestral-x", "prompt": "def f():", "suffix": "return a", "max_tokens": 9}
    document = {"id": "f", "model": "codestral-x", "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "a = 1"}}]}
    decoded = decode(completion(document, request, url="https://codestral.mistral.ai/v1/fim/completions"))

    assert ((said("a = 1"),), (asks("def f():"),)) == (decoded.output.messages, decoded.input.messages)
    assert ("openai.completions", "text_completion", "mistral_ai") == (decoded.wire.format, decoded.operation.name, decoded.provider.name)


def test_filling_in_the_middle_is_streamed_as_a_chat_is(completion, events):
    """In deltas."""
    chunks = [
        {"id": "f", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]},
        {"id": "f", "choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": "length"}]},
        "[DONE]",
    ]
    decoded = decode(completion(events(*chunks), url="https://api.mistral.ai/v1/fim/completions"))

    assert (said("ab", "length"),) == decoded.output.messages


@pytest.mark.parametrize("body", [b"", b": comment\n\n"])
def test_an_empty_stream_is_truncated(completion, body):
    """Nothing came."""
    assert "truncated" == decode(completion(body, response_headers={"content-type": "text/event-stream"})).status


@pytest.mark.parametrize(
    ("url", "request_", "expected"),
    [
        ("https://api.openai.com/v1/completions", {"model": "m", "prompt": "p"}, "openai.completions"),
        ("https://api.openai.com/v1/completions", {"model": "m"}, "openai.completions"),
        ("https://api.openai.com/v1/completions", b"{", "openai.completions"),
        ("https://res.openai.azure.com/openai/deployments/d/completions", {"prompt": "p"}, "openai.completions"),
        ("https://gateway.example/v1/completions", {"model": "m", "prompt": ["p"]}, "openai.completions"),
        ("https://gateway.example/v1/completions", {"prompt": "p"}, None),
        ("https://gateway.example/v1/completions", b"{", None),
        ("https://api.portkey.ai/v1/prompts/pp-1/completions", {"variables": {}}, None),
        ("https://shop.example/quizzes/7/completions", {"user": 7}, None),
        ("https://api.openai.com/v1/chat/completions", {"model": "m", "prompt": "p"}, "openai.chat"),
        ("https://gateway.example/v1/chat/completions", {"model": "m", "prompt": "p"}, None),
        ("https://api.mistral.ai/v1/agents/completions", {"agent_id": "a", "messages": []}, "mistral.chat"),
    ],
)
def test_others_complete_too(completion, url, request_, expected):
    """Chats, stored prompts, applications: the path tells the first, the body the others."""
    decoded = decode(completion(answer("a"), request_, url=url))

    assert expected == (None if isinstance(decoded, Unknown) else decoded.wire.format)


def test_azure_names_the_model_in_the_path_where_the_body_does_not(completion):
    """The deployment."""
    url = "https://res.openai.azure.com/openai/deployments/my-gpt/completions"

    assert "my-gpt" == decode(completion(answer("a"), {"prompt": "p"}, url=url)).request.model
