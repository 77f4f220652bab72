"""Ollama's generate: what the request and the answer say."""

import base64
import hashlib

import pytest

from llm_observe.records import Blob, Message, Reasoning, Text, Usage
from llm_observe.wire import decode

DATA = b"\x89PNG"
BLOB = Blob(modality="image", size=4, sha256=hashlib.sha256(DATA).hexdigest())


def test_the_prompt_is_the_one_message(generate):
    """With its pictures; the system prompt stands apart, and the tokens of earlier turns are left out."""
    request = {
        "model": "m:1b",
        "prompt": "hi",
        "system": "be kind",
        "images": [base64.b64encode(DATA).decode()],
        "context": [1, 2, 3],
        "options": {"temperature": 0.5},
        "format": {"type": "object"},
        "stream": False,
    }
    decoded = decode(generate({}, request))

    assert ((Message(role="user", parts=(Text(content="hi"), BLOB)),), 1) == (decoded.input.messages, decoded.input.count)
    assert ((Text(content="be kind"),), 0.5, None) == (decoded.system_instructions, decoded.request.temperature, decoded.request.stream)
    assert ("json", {"type": "object"}) == (decoded.output.type, decoded.output.schema)
    assert ("text_completion", "ollama.generate") == (decoded.operation.name, decoded.wire.format)


@pytest.mark.parametrize(("request_", "expected"), [({"model": "m"}, 0), ({"model": "m", "prompt": ""}, 0), (b"no JSON", None)])
def test_without_a_prompt_there_is_no_message(generate, request_, expected):
    """The model is only to be loaded; of what nobody can read nothing is known."""
    decoded = decode(generate({}, request_))

    assert ((), expected) == (decoded.input.messages, decoded.input.count)


def test_a_plain_answer(generate, last):
    """Its text and its thoughts, why it stopped, what it took."""
    decoded = decode(generate({"model": "m:1b", "response": "a", "thinking": "hm"} | last))

    assert (Message(role="assistant", parts=(Reasoning(content="hm"), Text(content="a")), finish_reason="stop"),) == decoded.output.messages
    assert (Usage(input_tokens=7, output_tokens=9), 1.5, "m:1b", "ok") == (
        decoded.usage,
        decoded.processing_time,
        decoded.response.model,
        decoded.status,
    )


def test_a_picture_that_the_model_made_is_measured(generate):
    """Its bytes are left out."""
    decoded = decode(generate({"response": "", "image": base64.b64encode(DATA).decode(), "done": True}))

    assert (BLOB,) == decoded.output.messages[0].parts


def test_a_stream_is_folded(generate, generate_lines):
    """Into what a plain answer would have been."""
    decoded = decode(generate(generate_lines, response_headers={"content-type": "application/x-ndjson"}))

    assert (Reasoning(content="hm …"), Text(content="Grüße, 世界 🌍\u2028")) == decoded.output.messages[0].parts
    assert (("stop",), True, True) == (decoded.response.finish_reasons, decoded.wire.complete, decoded.request.stream)


@pytest.mark.parametrize("duration", [-1, "1", None])
def test_a_duration_that_is_none_is_not_told(generate, duration):
    """Nothing is made up."""
    assert None is decode(generate({"response": "a", "done": True, "total_duration": duration})).processing_time
