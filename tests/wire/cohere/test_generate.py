"""Cohere's generate: what the request and the answer say."""

import pytest

from llm_observe.records import CallRequest, Choice, Error, Message, Text, Usage
from llm_observe.wire import decode

LINES = {"content-type": "application/stream+json"}


def texts(decoded) -> list[str]:
    """What was said, generation by generation."""
    return ["".join(part.content for part in message.parts) for message in decoded.output.messages]


def test_the_request(generate):
    """The prompt is the one message; it may be continued several times."""
    request = {
        "model": "command-x",
        "prompt": "hi",
        "num_generations": 2,
        "max_tokens": 9,
        "temperature": 0.5,
        "k": 3,
        "p": 0.9,
        "end_sequences": ["\n", 7],
        "stop_sequences": ["x"],
        "stream": True,
    }
    decoded = decode(generate({}, request))

    assert (
        CallRequest(
            model="command-x",
            stream=True,
            max_tokens=9,
            temperature=0.5,
            top_k=3,
            top_p=0.9,
            stop_sequences=("x", "\n"),
            choice=Choice(count=2),
        )
        == decoded.request
    )
    assert ((Message(role="user", parts=(Text(content="hi"),)),), 1) == (decoded.input.messages, decoded.input.count)
    assert ("text_completion", "cohere.generate") == (decoded.operation.name, decoded.wire.format)


def test_one_continuation_is_no_choice(generate):
    """It is what everybody gets."""
    assert None is decode(generate({}, {"prompt": "hi", "num_generations": 1})).request.choice


def test_a_plain_answer(generate):
    """A message for each continuation."""
    generations = [{"id": "a", "text": "x", "finish_reason": "COMPLETE"}, {"id": "b", "text": "y", "finish_reason": "MAX_TOKENS"}, None]
    meta = {"billed_units": {"input_tokens": 3, "output_tokens": 9}}
    decoded = decode(generate({"id": "gen-1", "generations": generations, "prompt": "hi", "meta": meta}))

    assert (["x", "y"], ("stop", "length"), "gen-1") == (texts(decoded), decoded.response.finish_reasons, decoded.response.id)
    assert (Usage(input_tokens=3, output_tokens=9), "ok") == (decoded.usage, decoded.status)


def test_a_stream_is_folded(generate, generate_lines):
    """Its last line has the whole answer."""
    decoded = decode(generate(generate_lines, response_headers=LINES))

    assert (["Grüße, 世界 🌍\u2028", "Na"], ("stop", "length"), 3, "ok") == (
        texts(decoded),
        decoded.response.finish_reasons,
        decoded.usage.input_tokens,
        decoded.status,
    )


@pytest.mark.parametrize("headers", [LINES, {}])
@pytest.mark.parametrize(("count", "expected"), [(1, ["Grüße, "]), (2, ["Grüße, ", "Na"]), (3, ["Grüße, 世界 🌍\u2028", "Na"])])
def test_a_stream_without_its_last_line_is_truncated(generate, generate_lines, headers, count, expected):
    """One line alone is the beginning of a stream too."""
    decoded = decode(generate(b"".join(generate_lines.splitlines(keepends=True)[:count]), response_headers=headers))

    assert (expected, "truncated", ("error",) * len(expected)) == (texts(decoded), decoded.status, decoded.response.finish_reasons)


def test_a_last_line_that_repeats_nothing_leaves_what_came(generate, lines):
    """Its reason is theirs."""
    decoded = decode(
        generate(
            lines(
                {"event_type": "text-generation", "text": "a"},
                {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": {"id": "g"}},
            ),
            response_headers=LINES,
        )
    )

    assert (["a"], ("stop",), "ok", "g") == (texts(decoded), decoded.response.finish_reasons, decoded.status, decoded.response.id)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ({"event_type": "stream-error", "is_finished": True, "finish_reason": "ERROR_TOXIC", "err": "m"}, "ERROR_TOXIC"),
        ({"message": "m"}, "_OTHER"),
    ],
)
def test_an_error_in_a_stream_keeps_what_was_said(generate, lines, failure, expected):
    """With the reason that it gives."""
    decoded = decode(generate(lines({"event_type": "text-generation", "text": "par"}, failure), response_headers=LINES))

    assert (Error(type=expected, message="m"), "error", ["par"]) == (decoded.error, decoded.status, texts(decoded))


def test_an_error_goes_by_its_status(generate):
    """It has words, and no type."""
    assert Error(type="429", message="slow down") == decode(generate({"message": "slow down"}, status_code=429)).error


def test_the_first_content_has_its_time(generate, lines):
    """An empty piece is none; lines that cannot be read are counted."""
    several = [lines({"event_type": "text-generation", "text": piece}) for piece in ("", "a")]
    decoded = decode(generate(b"", chunks=[*several, b"{broken\n7\n"], chunk_times=[10, 20, 30], response_headers=LINES))

    assert (20, "1 event is no JSON") == (decoded.first_content_at, decoded.wire.reason)
