"""Reranking: with Cohere, and those that took over its format."""

import pytest

from llm_observe.records import Billed, CallRequest, Error, Generic, Message, Usage
from llm_observe.wire import decode

ORDER = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]


def test_the_request(rerank):
    """A query and documents are no messages."""
    decoded = decode(rerank({}))

    assert (CallRequest(model="rerank-x"), (), None) == (decoded.request, decoded.input.messages, decoded.input.count)
    assert ("rerank", "cohere.rerank") == (decoded.operation.name, decoded.wire.format)


@pytest.mark.parametrize(
    ("url", "answer", "model", "usage"),
    [
        pytest.param(
            "https://api.cohere.com/v2/rerank",
            {"id": "r-1", "results": ORDER, "meta": {"billed_units": {"search_units": 1}}},
            None,
            Usage(billed=Billed(search_units=1)),
            id="Cohere",
        ),
        pytest.param(
            "https://api.jina.ai/v1/rerank",
            {"model": "jina-x", "object": "list", "usage": {"total_tokens": 15}, "results": ORDER},
            "jina-x",
            Usage(input_tokens=15),
            id="Jina",
        ),
        pytest.param(
            "https://api.voyageai.com/v1/rerank",
            {"object": "list", "data": ORDER, "model": "rerank-2", "usage": {"total_tokens": 26}},
            "rerank-2",
            Usage(input_tokens=26),
            id="Voyage AI",
        ),
        pytest.param(
            "https://api.together.xyz/v1/rerank",
            {"object": "rerank", "id": "r-1", "results": ORDER, "usage": {"prompt_tokens": 26, "completion_tokens": 0, "total_tokens": 26}},
            None,
            Usage(input_tokens=26),
            id="Together",
        ),
        pytest.param(
            "https://vllm.example/rerank",
            {"id": "rerank-1", "model": "bge", "usage": {"total_tokens": 56}, "results": ORDER},
            "bge",
            Usage(input_tokens=56),
            id="vLLM",
        ),
    ],
)
def test_the_order_is_kept(rerank, url, answer, model, usage):
    """With its scores; all tokens are input."""
    decoded = decode(rerank(answer, url=url))

    assert (Message(role="assistant", parts=(Generic(generic_type="rerank_results", content=ORDER),)),) == decoded.output.messages
    assert (model, usage, "ok", ()) == (decoded.response.model, decoded.usage, decoded.status, decoded.response.finish_reasons)


def test_an_order_of_nothing_is_no_message(rerank):
    """Where no document was good enough."""
    assert () == decode(rerank({"id": "r-1", "results": []})).output.messages


def test_an_error_goes_by_its_status(rerank):
    """It has words, and no type."""
    assert Error(type="400", message="m") == decode(rerank({"message": "m"}, status_code=400)).error


def test_an_answer_in_a_streams_clothes_is_read(rerank, events):
    """As some proxies send it; one that has no event has nothing."""
    assert 1 == len(decode(rerank(events({"results": ORDER}))).output.messages)
    assert () == decode(rerank(b": ping\n\n")).output.messages
