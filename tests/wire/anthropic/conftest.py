"""Exchanges with Anthropic as it was before there were messages."""

import pytest


@pytest.fixture(scope="session")
def completion(anthropic):
    """A text completion: the answer, and what is to be different."""

    def make(answer=None, request=None, *, url="https://api.anthropic.com/v1/complete", **changes):
        request = request or {"model": "claude-2.1", "max_tokens_to_sample": 9, "prompt": "\n\nHuman: hi\n\nAssistant:"}
        return anthropic(answer, request, url=url, **changes)

    return make


@pytest.fixture(scope="session")
def completion_stream(events) -> bytes:
    """A stream of a text completion, with all kinds of events that a whole one has."""

    def said(piece: str, reason: str | None = None) -> dict:
        return {
            "type": "completion",
            "id": "compl_1",
            "completion": piece,
            "stop_reason": reason,
            "model": "claude-2.1",
            "log_id": "compl_1",
        }

    return events(said(" Grüße,"), {"type": "ping"}, said(" 世界"), said(" 🌍\u2028"), said("", "stop_sequence"), names=True)
