"""Ollama's embeddings, of both ways: how many vectors, how long they are, never the vectors."""

import msgspec
import pytest

from llm_observe.records import Dimension, Embeddings, Error, Message, Text, Usage
from llm_observe.wire import decode

OLDER = "https://localhost/api/embeddings"


@pytest.mark.parametrize(
    ("request_", "count", "texts"),
    [
        ({"input": "a"}, 1, ["a"]),
        ({"input": ["a", "b"]}, 2, ["a", "b"]),
        ({"input": []}, 0, []),
        ({"prompt": "a"}, 1, ["a"]),
        ({}, None, []),
    ],
)
def test_the_request(embed, request_, count, texts):
    """One input, several, or the older way's prompt."""
    decoded = decode(embed({}, {"model": "m:1b"} | request_))

    assert (count, None) == (decoded.input.count, decoded.request.stream)
    assert tuple(Message(role="user", parts=(Text(content=text),)) for text in texts) == decoded.input.messages
    assert ("embeddings", "ollama.embeddings", "m:1b") == (decoded.operation.name, decoded.wire.format, decoded.request.model)


def test_the_dimensions_asked_for(embed):
    """Where the vectors are to be shorter."""
    assert Embeddings(dimension=Dimension(count=64)) == decode(embed({}, {"model": "m", "input": "a", "dimensions": 64})).embeddings


def test_the_answer(embed):
    """With the tokens and the time it took."""
    answer = {"model": "m:1b", "embeddings": [[0.123456789, 1.0], [0.5, 1.0]], "total_duration": 2_000_000_000, "prompt_eval_count": 7}
    decoded = decode(embed(answer))

    assert (2, Embeddings(dimension=Dimension(count=2)), "m:1b", Usage(input_tokens=7), 2.0) == (
        decoded.response.embedding_count,
        decoded.embeddings,
        decoded.response.model,
        decoded.usage,
        decoded.processing_time,
    )
    assert b"0.123" not in msgspec.json.encode(decoded)


@pytest.mark.parametrize(("answer", "count"), [({"embedding": [0.1, 0.2]}, 1), ({"embedding": []}, 0), ({}, None)])
def test_the_older_answer(embed, answer, count):
    """One vector; an empty one for an empty prompt."""
    decoded = decode(embed(answer, {"model": "m:1b", "prompt": "a"}, url=OLDER))

    assert (count, "ok") == (decoded.response.embedding_count, decoded.status)


def test_an_error_goes_by_its_status(embed):
    """It is a text."""
    assert Error(type="400", message="m") == decode(embed({"error": "m"}, status_code=400)).error


def test_an_answer_as_a_line_is_read(embed, lines):
    """Whatever the headers call it; one that has no line has nothing."""
    headers = {"content-type": "application/x-ndjson"}

    assert 1 == decode(embed(lines({"embeddings": [[1.0]]}), response_headers=headers)).response.embedding_count
    assert None is decode(embed(b"\n", response_headers=headers)).response.embedding_count
