"""Settings that change what a call's record says, through the real hook."""

import pytest

import llm_observe
from llm_observe.records import Cost
from llm_observe.testing import recording

httpx2 = pytest.importorskip("httpx2")

ASKED = {"model": "gpt-x", "messages": [{"role": "user", "content": "hi " * 40}]}
ANSWER = {"id": "1", "object": "chat.completion", "model": "gpt-x", "choices": [{"index": 0, "message": {"content": "ho " * 40}}]}


def ask(url: str) -> None:
    """One plain call."""
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=ANSWER))) as client:
        client.post(url, json=ASKED)


def test_an_address_of_the_users_own_is_watched():
    """`endpoints`: a path that no format ends in, a provider that no rule knows, an address to be left alone."""
    with recording(endpoints={"gw.test/answer-me": "openai.chat mine", "own.test": "ignore"}) as recorded:
        ask("http://gw.test/answer-me")
        ask("http://own.test/v1/chat/completions")
        ask("http://gw.test/nothing-of-ours")

    (call,) = recorded.calls
    assert ("openai.chat", "mine", "gpt-x") == (call.wire.format, call.provider.name, call.request.model)


def test_long_texts_are_cut():
    """`text_bytes`: what was said keeps its beginning, the rest of the record is whole."""
    with recording(text_bytes=64) as recorded:
        ask("http://gw.test/v1/chat/completions")

    (call,) = recorded.calls
    assert ("hi " * 40)[:64] + " […]" == call.input.messages[0].parts[0].content
    assert {"input.messages.0.parts.0.content": 120, "output.messages.0.parts.0.content": 120} == {
        path: cut.bytes for path, cut in call.truncated.items()
    }
    assert "gpt-x" == call.response.model


def test_calls_have_their_cost_and_requests_the_sum():
    """`prices`: on each call, and added up on its request; what has none is counted."""
    ANSWER["usage"] = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
    with recording(prices={"gpt-*": "2/4"}, cost=True) as recorded:
        with llm_observe.scope("job"):
            ask("http://gw.test/v1/chat/completions")
            ask("http://gw.test/v1/chat/completions")
        costs, (request,) = [call.cost for call in recorded.calls], recorded.requests
        unpriced = recorded.observer.stats().unpriced

    each = Cost(input=0.002, output=0.00004, total=0.00204, currency="USD")
    assert ([each, each], 0.00408, 0) == (costs, request.calls.cost.total, unpriced)
