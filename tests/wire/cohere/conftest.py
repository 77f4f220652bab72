"""Exchanges with Cohere, made by hand, and the streams that have everything in them."""

import json

import pytest

HOST = "https://api.cohere.com"


@pytest.fixture(scope="session")
def cohere(openai):
    """An exchange about a chat of the second version: the answer, and what is to be different."""

    def make(answer=None, request=None, *, url=HOST + "/v2/chat", **changes):
        return openai(answer, request or {"model": "command-x", "messages": [{"role": "user", "content": "hi"}]}, url=url, **changes)

    return make


@pytest.fixture(scope="session")
def first(openai):
    """An exchange about a chat of the first version."""

    def make(answer=None, request=None, *, url=HOST + "/v1/chat", **changes):
        return openai(answer, request or {"model": "command-x", "message": "hi"}, url=url, **changes)

    return make


@pytest.fixture(scope="session")
def generate(openai):
    """An exchange about a prompt."""

    def make(answer=None, request=None, *, url=HOST + "/v1/generate", **changes):
        return openai(answer, request or {"model": "command-x", "prompt": "hi"}, url=url, **changes)

    return make


@pytest.fixture(scope="session")
def embed(openai):
    """An exchange about embeddings."""

    def make(answer=None, request=None, *, url=HOST + "/v2/embed", **changes):
        return openai(answer, request or {"model": "embed-x", "texts": ["hi"], "input_type": "search_query"}, url=url, **changes)

    return make


@pytest.fixture(scope="session")
def rerank(openai):
    """An exchange about an order."""

    def make(answer=None, request=None, *, url=HOST + "/v2/rerank", **changes):
        return openai(answer, request or {"model": "rerank-x", "query": "q", "documents": ["a", "b"]}, url=url, **changes)

    return make


@pytest.fixture(scope="session")
def lines():
    """Documents as JSON lines."""
    return lambda *documents: b"".join(json.dumps(document, ensure_ascii=False).encode() + b"\n" for document in documents)


def content(index: int, kind: str, **members) -> dict:
    """An event of a block of content."""
    return {"type": kind, "index": index, "delta": {"message": {"content": members}}}


def call(index: int, kind: str, **members) -> dict:
    """An event of a tool call."""
    return {"type": kind, "index": index, "delta": {"message": {"tool_calls": members}}}


@pytest.fixture(scope="session")
def chat_events(events) -> bytes:
    """A stream of the second version: thoughts, text with a source, a plan, two tool calls, counts of both kinds."""
    citation = {
        "start": 0,
        "end": 5,
        "text": "Grüße",
        "sources": [{"type": "document", "id": "d"}],
        "content_index": 1,
        "type": "TEXT_CONTENT",
    }
    return events(
        {
            "type": "message-start",
            "id": "c-1",
            "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}},
        },
        content(0, "content-start", type="thinking", thinking=""),
        content(0, "content-delta", thinking="hm …"),
        {"type": "content-end", "index": 0},
        content(1, "content-start", type="text", text=""),
        content(1, "content-delta", text="Grüße, "),
        {"type": "citation-start", "index": 0, "delta": {"message": {"citations": citation}}},
        {"type": "citation-end", "index": 0},
        content(1, "content-delta", text="世界 🌍\u2028"),
        {"type": "content-end", "index": 1},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will "}}},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "look."}}},
        call(0, "tool-call-start", id="look_1", type="function", function={"name": "look", "arguments": ""}),
        call(0, "tool-call-delta", function={"arguments": '{"at":'}),
        call(0, "tool-call-delta", function={"arguments": ' "it"}'}),
        {"type": "tool-call-end", "index": 0},
        call(1, "tool-call-start", id="go_1", type="function", function={"name": "go", "arguments": "{}"}),
        {"type": "tool-call-end", "index": 1},
        {
            "type": "message-end",
            "delta": {
                "finish_reason": "TOOL_CALL",
                "usage": {
                    "billed_units": {"input_tokens": 3, "output_tokens": 9},
                    "tokens": {"input_tokens": 500, "output_tokens": 20},
                    "cached_tokens": 480,
                },
            },
        },
        "[DONE]",
        names=True,
    )


@pytest.fixture(scope="session")
def chat_lines(lines) -> bytes:
    """A stream of the first version, with a search and a source in it."""
    citations = [{"start": 0, "end": 5, "text": "Grüße", "document_ids": ["web_0"]}]
    said = "Grüße, 世界 🌍\u2028"
    return lines(
        {"is_finished": False, "event_type": "stream-start", "generation_id": "g-1"},
        {"is_finished": False, "event_type": "search-queries-generation", "search_queries": [{"text": "greetings", "generation_id": "s"}]},
        {
            "is_finished": False,
            "event_type": "search-results",
            "search_results": [{"document_ids": ["web_0"]}],
            "documents": [{"id": "web_0"}],
        },
        {"is_finished": False, "event_type": "text-generation", "text": "Grüße, "},
        {"is_finished": False, "event_type": "text-generation", "text": "世界 🌍\u2028"},
        {"is_finished": False, "event_type": "citation-generation", "citations": citations},
        {
            "is_finished": True,
            "event_type": "stream-end",
            "finish_reason": "COMPLETE",
            "response": {
                "response_id": "r-1",
                "generation_id": "g-1",
                "text": said,
                "chat_history": [{"role": "USER", "message": "hi"}, {"role": "CHATBOT", "message": said}],
                "finish_reason": "COMPLETE",
                "citations": citations,
                "search_queries": [{"text": "greetings", "generation_id": "s"}],
                "search_results": [{"document_ids": ["web_0"]}],
                "documents": [{"id": "web_0"}],
                "meta": {"billed_units": {"input_tokens": 3, "output_tokens": 9}, "tokens": {"input_tokens": 30, "output_tokens": 9}},
            },
        },
    )


@pytest.fixture(scope="session")
def generate_lines(lines) -> bytes:
    """A stream of two continuations."""
    return lines(
        {"event_type": "text-generation", "text": "Grüße, ", "index": 0, "is_finished": False},
        {"event_type": "text-generation", "text": "Na", "index": 1, "is_finished": False},
        {"event_type": "text-generation", "text": "世界 🌍\u2028", "index": 0, "is_finished": False},
        {
            "event_type": "stream-end",
            "is_finished": True,
            "finish_reason": "COMPLETE",
            "response": {
                "id": "gen-1",
                "prompt": "hi",
                "generations": [
                    {"id": "a", "text": "Grüße, 世界 🌍\u2028", "index": 0, "finish_reason": "COMPLETE"},
                    {"id": "b", "text": "Na", "index": 1, "finish_reason": "MAX_TOKENS"},
                ],
                "meta": {"billed_units": {"input_tokens": 3, "output_tokens": 9}},
            },
        },
    )
