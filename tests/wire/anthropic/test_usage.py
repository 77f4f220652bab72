"""Anthropic's counts where a model answers in several rounds or searches."""

import pytest

from llm_observe.records import Billed, InputTokens, Usage
from llm_observe.wire import decode
from llm_observe.wire.anthropic.usage import usage_of


def one(kind: str, fresh: int, written: int, *, read: int = 0, output: int = 0) -> dict:
    """One round."""
    return {
        "type": kind,
        "input_tokens": fresh,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": output,
    }


def test_what_every_round_took_is_told_beside_the_answers_own():
    """An adviser's round is charged for and is not in the counts at the top."""
    counts = {
        "input_tokens": 30,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 1,
        "output_tokens": 9,
        "iterations": [
            one("message", 10, 1, output=5),
            one("advisor_message", 50, 0, read=6, output=7),
            one("message", 20, 0, read=4, output=4),
        ],
    }

    assert Usage(
        input_tokens=35,
        output_tokens=9,
        cache_read=InputTokens(input_tokens=4),
        cache_write=InputTokens(input_tokens=1),
        billed=Billed(input_tokens=91, output_tokens=16, cache_read=InputTokens(input_tokens=10), cache_write=InputTokens(input_tokens=1)),
    ) == usage_of(counts)


@pytest.mark.parametrize(
    "iterations",
    [
        pytest.param(None, id="none"),
        pytest.param([], id="an empty list"),
        pytest.param([one("message", 30, 0, output=9)], id="one round"),
        pytest.param([one("message", 10, 0, output=5), one("message", 20, 0, output=4)], id="rounds that are in the counts already"),
        pytest.param([None, 7, {"type": "message"}], id="no counts"),
    ],
)
def test_rounds_that_come_to_no_more_are_not_repeated(iterations):
    """The counts at the top say it all."""
    assert Usage(input_tokens=30, output_tokens=9) == usage_of({"input_tokens": 30, "output_tokens": 9, "iterations": iterations})


def test_searches_are_counted_where_there_were_any():
    """They are charged for by their number; pages that were fetched are not."""
    counts = {"input_tokens": 3, "output_tokens": 1, "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1}}

    assert Billed(web_searches=2) == usage_of(counts).billed
    assert None is usage_of(counts | {"server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 1}}).billed


def test_what_is_told_later_in_a_stream_counts(anthropic, events):
    """Rounds and searches come with the last counts."""
    decoded = decode(
        anthropic(
            events(
                {"type": "message_start", "message": {"id": "m", "role": "assistant", "usage": {"input_tokens": 3, "output_tokens": 1}}},
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn"},
                    "usage": {
                        "output_tokens": 5,
                        "iterations": [one("compaction", 8, 0, output=2), one("message", 3, 0, output=5)],
                        "server_tool_use": {"web_search_requests": 1},
                    },
                },
                {"type": "message_stop"},
            )
        )
    )

    assert (3, 5) == (decoded.usage.input_tokens, decoded.usage.output_tokens)
    assert (11, 7, 1) == (decoded.usage.billed.input_tokens, decoded.usage.billed.output_tokens, decoded.usage.billed.web_searches)
