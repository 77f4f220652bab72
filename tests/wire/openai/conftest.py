"""Exchanges with OpenAI beside its chats, made by hand, and the streams that have everything in them."""

import json

import pytest

OPENAI = "https://api.openai.com/v1/"


@pytest.fixture(scope="session")
def responses(openai):
    """An exchange about a response: the answer, and what is to be different."""

    def make(answer=None, request=None, *, url=OPENAI + "responses", **changes):
        return openai(answer, request or {"model": "gpt-x", "input": "hi"}, url=url, **changes)

    return make


@pytest.fixture(scope="session")
def fetch(openai):
    """The fetching of a response that was asked for earlier."""

    def make(answer=None, *, url=OPENAI + "responses/resp_1", **changes):
        return openai(answer, b"", url=url, method="GET", request_body=None, **changes)

    return make


@pytest.fixture(scope="session")
def completion(openai):
    """An exchange about a legacy completion."""

    def make(answer=None, request=None, *, url=OPENAI + "completions", **changes):
        return openai(answer, request or {"model": "gpt-x", "prompt": "Once"}, url=url, **changes)

    return make


@pytest.fixture(scope="session")
def embedding(openai):
    """An exchange about embeddings."""

    def make(answer=None, request=None, *, url=OPENAI + "embeddings", **changes):
        return openai(answer, request or {"model": "embedding-x", "input": "hi"}, url=url, **changes)

    return make


@pytest.fixture(scope="session")
def response_events() -> list[dict]:
    """The events of a response with a thought, a text with a source, a search, and two calls."""
    begun = {"id": "resp_1", "object": "response", "model": "gpt-x-1", "status": "in_progress", "service_tier": "auto", "output": []}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm …"}], "encrypted_content": "c2VjcmV0"}
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "it"}}
    source = {"type": "url_citation", "url": "https://x.y/z", "title": "Z", "start_index": 0, "end_index": 5}
    said = {"type": "output_text", "text": "Grüße, 世界 🌍\u2028", "annotations": [source]}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [said]}
    look = {"type": "function_call", "id": "fc_1", "call_id": "call_a", "name": "look", "arguments": '{"at": "it"}'}
    note = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_b", "name": "note", "input": "as it is"}
    items = [thought, search, message, look, note]
    usage = {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 16,
    }
    whole = begun | {"status": "completed", "service_tier": "default", "output": items, "usage": usage}

    def piece(kind: str, place: int, delta: str, **more: int) -> dict:
        return {"type": f"response.{kind}.delta", "item_id": items[place]["id"], "output_index": place, "delta": delta} | more

    def item(kind: str, place: int, **less: object) -> dict:
        return {"type": f"response.output_item.{kind}", "output_index": place, "item": items[place] | less}

    return [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        item("added", 0, summary=[]),
        piece("reasoning_summary_text", 0, "hm ", summary_index=0),
        piece("reasoning_summary_text", 0, "…", summary_index=0),
        item("done", 0),
        item("added", 1, status="in_progress"),
        {"type": "response.web_search_call.searching", "item_id": "ws_1", "output_index": 1},
        item("done", 1),
        item("added", 2, content=[]),
        {"type": "response.content_part.added", "output_index": 2, "content_index": 0, "part": {"type": "output_text", "text": ""}},
        piece("output_text", 2, "Grüße, ", content_index=0),
        piece("output_text", 2, "世界 🌍\u2028", content_index=0),
        {"type": "response.output_text.annotation.added", "output_index": 2, "content_index": 0, "annotation": source},
        {"type": "response.output_text.done", "output_index": 2, "content_index": 0, "text": said["text"]},
        item("done", 2),
        item("added", 3, arguments=""),
        piece("function_call_arguments", 3, '{"at":'),
        piece("function_call_arguments", 3, ' "it"}'),
        item("done", 3),
        item("added", 4, input=""),
        piece("custom_tool_call_input", 4, "as it "),
        piece("custom_tool_call_input", 4, "is"),
        item("done", 4),
        {"type": "response.completed", "response": whole},
    ]


@pytest.fixture(scope="session")
def response_stream(events, response_events) -> bytes:
    """The same on the wire."""
    return events(*response_events, names=True)


@pytest.fixture(scope="session")
def completion_stream(events) -> bytes:
    """A stream of a legacy completion."""

    def chunk(text: str, reason: str | None = None) -> dict:
        choice = {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}
        return {"id": "cmpl-1", "object": "text_completion", "model": "gpt-x-1", "choices": [choice]}

    usage = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    last = {"id": "cmpl-1", "object": "text_completion", "model": "gpt-x-1", "choices": [], "usage": usage}
    return events(chunk("Grüße, "), chunk("世界 🌍\u2028"), chunk("", "stop"), last, "[DONE]")


@pytest.fixture(scope="session")
def pieces_stream() -> bytes:
    """Writer's stream of a legacy completion."""
    return b"".join(b"data: %s\n\n" % json.dumps({"value": piece}).encode() for piece in ["Grüße, ", "世界 🌍\u2028", "!"])
