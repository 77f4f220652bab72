"""Anthropic's text completions: what the request and the answer say."""

import pytest

from llm_observe.records import CallRequest, Error, Message, Text, Usage
from llm_observe.wire import decode


def event(piece: str, reason: str | None = None, **members) -> dict:
    """One event of the later version."""
    return {"type": "completion", "id": "compl_1", "completion": piece, "stop_reason": reason, "model": "claude-2.1"} | members


def repeated(so_far: str, reason: str | None = None) -> dict:
    """One event of the first version: all that was said, and no type."""
    return {"completion": so_far, "stop_reason": reason, "truncated": False, "log_id": "l", "model": "claude-v1", "exception": None}


def text_of(decoded) -> str:
    """What was said."""
    return "".join(part.content for message in decoded.output.messages for part in message.parts)


def test_the_parameters(completion):
    """The bound has a name of its own here."""
    request = {
        "model": "claude-2.1",
        "prompt": "p",
        "max_tokens_to_sample": 9,
        "stop_sequences": ["\n\nHuman:", 7],
        "temperature": 1,
        "top_k": 5,
        "top_p": 0.5,
        "stream": True,
        "metadata": {"user_id": "u"},
    }

    assert (
        CallRequest(model="claude-2.1", stream=True, max_tokens=9, temperature=1.0, top_p=0.5, top_k=5, stop_sequences=("\n\nHuman:",))
        == decode(completion({}, request)).request
    )


def test_the_prompt_is_the_one_message(completion):
    """With its turns written out as they were sent."""
    decoded = decode(completion({}))

    assert ((Message(role="user", parts=(Text(content="\n\nHuman: hi\n\nAssistant:"),)),), 1) == (
        decoded.input.messages,
        decoded.input.count,
    )
    assert ("text_completion", "anthropic.complete") == (decoded.operation.name, decoded.wire.format)


def test_a_plain_answer(completion):
    """Its text, why it stopped; no tokens are counted."""
    document = {"id": "compl_1", "completion": " hi", "stop_reason": "stop_sequence", "model": "claude-2.1", "stop": "\n\nHuman:"}
    decoded = decode(completion(document))

    assert (Message(role="assistant", parts=(Text(content=" hi"),), finish_reason="stop"),) == decoded.output.messages
    assert ("compl_1", "claude-2.1", ("stop_sequence",), Usage(), "ok") == (
        decoded.response.id,
        decoded.response.model,
        decoded.wire.finish_reasons,
        decoded.usage,
        decoded.status,
    )


def test_a_stream_is_joined(completion, completion_stream):
    """Its pings are none of it."""
    decoded = decode(completion(completion_stream))

    assert (" Grüße, 世界 🌍\u2028", "compl_1", ("stop",), "ok", True) == (
        text_of(decoded),
        decoded.response.id,
        decoded.response.finish_reasons,
        decoded.status,
        decoded.wire.complete,
    )


@pytest.mark.parametrize(
    ("headers", "several", "expected"),
    [
        pytest.param(
            {"anthropic-version": "2023-01-01"},
            [repeated(" a"), repeated(" a b"), repeated(" a b", "max_tokens"), "[DONE]"],
            " a b",
            id="first",
        ),
        pytest.param({}, [repeated(" a"), repeated(" a b"), repeated(" a b", "max_tokens"), "[DONE]"], " a b", id="first, header not kept"),
        pytest.param({"anthropic-version": "2023-06-01"}, [event("ha"), event("haha"), event("", "max_tokens")], "hahaha", id="later"),
        pytest.param({}, [event("ha"), event("haha"), event("", "max_tokens")], "hahaha", id="later, header not kept"),
        pytest.param(
            {"anthropic-version": "2023-06-01"},
            [repeated("ha"), repeated("haha"), repeated("", "max_tokens")],
            "hahaha",
            id="later, no types",
        ),
    ],
)
def test_the_first_version_repeats_all_that_was_said(completion, events, headers, several, expected):
    """The header tells which it is; without it, that version's events have no type."""
    decoded = decode(completion(events(*several), request_headers=headers))

    assert (expected, "ok", ("length",)) == (text_of(decoded), decoded.status, decoded.response.finish_reasons)


def test_the_end_of_the_events_ends_it_too(completion, events):
    """In the first version; there is no reason then, and none is made up."""
    decoded = decode(completion(events(repeated(" a"), "[DONE]")))

    assert (" a", True, "ok", ()) == (text_of(decoded), decoded.wire.complete, decoded.status, decoded.response.finish_reasons)


def test_an_error_in_a_stream_keeps_what_was_said(completion, events):
    """The provider's type, and the text so far."""
    failure = {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}
    decoded = decode(completion(events(event(" a"), failure, names=True)))

    assert (Error(type="overloaded_error", message="m"), "error", " a") == (decoded.error, decoded.status, text_of(decoded))


@pytest.mark.parametrize("status", [200, 400])
def test_an_error_is_told(completion, status):
    """Under an error's status, or from a gateway under 200: there is no message then."""
    document = {"type": "error", "error": {"type": "invalid_request_error", "message": "m"}, "request_id": "req_1"}
    decoded = decode(completion(document, status_code=status))

    assert (Error(type="invalid_request_error", message="m"), (), "req_1") == (
        decoded.error,
        decoded.output.messages,
        decoded.provider_request_id,
    )


def test_the_first_text_has_its_time(completion, events):
    """A ping before it, and an empty piece, are none."""
    pieces = [events(each) for each in ({"type": "ping"}, event(""), event(" a"), event("", "stop_sequence"))]
    decoded = decode(completion(b"", chunks=pieces, chunk_times=[10, 20, 30, 40]))

    assert (20, 30) == (decoded.first_chunk_at, decoded.first_content_at)


def test_events_that_cannot_be_read_are_counted(completion, events):
    """The rest is read all the same."""
    decoded = decode(completion(events(event(" a"), "{broken", "7", event("", "stop_sequence"))))

    assert (" a", "1 event is no JSON", "ok") == (text_of(decoded), decoded.wire.reason, decoded.status)
