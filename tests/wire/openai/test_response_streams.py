"""Streams of responses, whole and broken off, and the fetching of what was asked for earlier."""

import pytest

from llm_observe.records import Error, Message, Reasoning, Refusal, ServerToolCall, Text, ToolCall, Usage
from llm_observe.wire import Unknown, decode

SOURCE = {"type": "url_citation", "url": "https://x.y/z", "title": "Z", "start_index": 0, "end_index": 5}
PARTS = (
    Reasoning(content="hm …"),
    ServerToolCall(
        id="ws_1",
        name="web_search",
        server_tool_call={"type": "web_search", "status": "completed", "action": {"type": "search", "query": "it"}},
    ),
    Text(content="Grüße, 世界 🌍\u2028", citations=(SOURCE,)),
    ToolCall(id="call_a", name="look", arguments={"at": "it"}),
    ToolCall(id="call_b", name="note", arguments="as it is"),
)


@pytest.fixture
def streamed(responses, events):
    """What is decoded of these events."""
    return lambda *said, **changes: decode(responses(events(*said), **changes))


def parts_of(decoded) -> tuple:
    """What the one message says."""
    (message,) = decoded.output.messages
    return message.parts


def test_the_last_event_has_all(responses, response_stream):
    """As a plain answer has it."""
    decoded = decode(responses(response_stream))

    assert (Message(role="assistant", parts=PARTS, finish_reason="tool_call"),) == decoded.output.messages
    assert ("resp_1", "gpt-x-1", "completed", "default") == (
        decoded.response.id,
        decoded.response.model,
        decoded.response.status,
        decoded.response.service_tier,
    )
    assert (7, 9, ("completed",)) == (decoded.usage.input_tokens, decoded.usage.output_tokens, decoded.wire.finish_reasons)
    assert ("ok", True, None) == (decoded.status, decoded.wire.complete, decoded.wire.reason)


def test_what_the_last_event_has_counts_alone(streamed, response_events):
    """The others are not looked into: a broken one hurts nothing."""
    assert PARTS == parts_of(streamed(*response_events[:3], "{broken", response_events[-1]))


@pytest.mark.parametrize("behind", [["[DONE]"], [{"type": "keepalive", "sequence_number": n} for n in range(20)]])
def test_something_may_follow_the_last_event(streamed, response_events, behind):
    """OpenRouter sends a marker, others heartbeats."""
    decoded = streamed(*response_events, *behind)

    assert (PARTS, True) == (parts_of(decoded), decoded.wire.complete)


def test_items_that_the_last_event_lacks_are_gathered(streamed, response_events):
    """Some servers leave them out of it."""
    last = response_events[-1] | {"response": response_events[-1]["response"] | {"output": []}}
    decoded = streamed(*response_events[:-1], last)

    assert (PARTS, ("tool_call",), 7) == (parts_of(decoded), decoded.response.finish_reasons, decoded.usage.input_tokens)


@pytest.mark.parametrize(
    ("last", "raw", "reason", "status"),
    [
        ({"type": "response.incomplete"}, "max_output_tokens", "length", "ok"),
        ({"type": "response.failed"}, "failed", "error", "error"),
        ({"type": "response.cancelled"}, "cancelled", "error", "ok"),
    ],
)
def test_other_ends(streamed, last, raw, reason, status):
    """They are ends all the same."""
    details = {"incomplete_details": {"reason": raw}} if raw == "max_output_tokens" else {}
    response = {"id": "resp_1", "object": "response", "status": last["type"].partition(".")[2], "output": []} | details
    decoded = streamed({"type": "response.output_text.delta", "output_index": 0, "delta": "par"}, last | {"response": response})

    assert ((Text(content="par"),), (raw,), (reason,)) == (parts_of(decoded), decoded.wire.finish_reasons, decoded.response.finish_reasons)
    assert (status, True) == (decoded.status, decoded.wire.complete)


def test_a_stream_that_broke_off_keeps_what_came(streamed, response_events):
    """Thoughts, texts with their sources, calls; who answered; but no tier, which is only asked for yet, and no counts."""
    decoded = streamed(*response_events[:-1])

    assert (Message(role="assistant", parts=PARTS, finish_reason="error"),) == decoded.output.messages
    assert ("resp_1", "gpt-x-1", "in_progress", None) == (
        decoded.response.id,
        decoded.response.model,
        decoded.response.status,
        decoded.response.service_tier,
    )
    assert (("error",), (), Usage()) == (decoded.response.finish_reasons, decoded.wire.finish_reasons, decoded.usage)
    assert ("truncated", False) == (decoded.status, decoded.wire.complete)


@pytest.mark.parametrize(
    ("events_", "expected"),
    [
        pytest.param(
            [
                {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "m", "content": []}},
                {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"},
                {"type": "response.output_text.delta", "output_index": 0, "content_index": 1, "delta": "B"},
                {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "b"},
                {"type": "response.refusal.delta", "output_index": 0, "content_index": 2, "delta": "no"},
            ],
            (Text(content="ab"), Text(content="B"), Refusal(content="no")),
            id="parts of one message",
        ),
        pytest.param(
            [
                {"type": "response.output_text.delta", "item_id": "m_1", "delta": "a"},
                {"type": "response.output_text.delta", "item_id": "m_2", "delta": "B"},
                {"type": "response.output_text.delta", "item_id": "m_1", "delta": "b"},
            ],
            (Text(content="ab"), Text(content="B")),
            id="items that are known by their ids alone",
        ),
        pytest.param(
            [{"type": "response.reasoning_text.delta", "output_index": 0, "delta": "hm"}],
            (Reasoning(content="hm"),),
            id="a thought whose item's beginning is not there",
        ),
        pytest.param(
            [
                {"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "call_id": "c", "name": "f"}},
                {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"a'},
            ],
            (ToolCall(id="c", name="f", arguments='{"a'),),
            id="arguments that broke off stay text",
        ),
        pytest.param(
            [
                {"type": "response.mcp_call_arguments.delta", "item_id": "mcp_1", "output_index": 0, "delta": "{}"},
                {"type": "response.code_interpreter_call_code.delta", "item_id": "ci_1", "output_index": 1, "delta": "1 + 1"},
            ],
            (
                ServerToolCall(id="mcp_1", name="mcp", server_tool_call={"type": "mcp", "arguments": {}}),
                ServerToolCall(id="ci_1", name="code_interpreter", server_tool_call={"type": "code_interpreter", "code": "1 + 1"}),
            ),
            id="hosted tools",
        ),
    ],
)
def test_pieces_find_their_place(streamed, events_, expected):
    """By the item's index or id, and the part's index."""
    assert expected == parts_of(streamed(*events_))


def test_a_stream_that_only_began_says_so(streamed, response_events):
    """No message is made up for it."""
    decoded = streamed(response_events[0])

    assert ((), ("error",), "truncated", "resp_1") == (
        decoded.output.messages,
        decoded.response.finish_reasons,
        decoded.status,
        decoded.response.id,
    )


def test_a_stream_of_nothing_has_no_reason(streamed):
    """Nothing was begun."""
    decoded = streamed({"type": "keepalive"})

    assert ((), "truncated") == (decoded.response.finish_reasons, decoded.status)


def test_a_marker_may_be_the_end(streamed, response_events):
    """A server that has no last event of its own: nothing is missing, but it does not say why it stopped."""
    decoded = streamed(*response_events[:-1], "[DONE]")

    assert (PARTS, (), "ok", True) == (parts_of(decoded), decoded.response.finish_reasons, decoded.status, decoded.wire.complete)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": None}, Error(type="rate_limit_exceeded", message="m")),
        ({"type": "error", "error": {"type": "t", "code": "c", "message": "m"}}, Error(type="t", code="c", message="m")),
        ({"error": {"type": "t", "message": "m"}}, Error(type="t", message="m")),
        ({"type": "error"}, Error(type="_OTHER")),
    ],
)
def test_an_error_inside_a_stream_keeps_what_was_said(streamed, failure, expected):
    """The partial text is there, and its missing reason is an error."""
    decoded = streamed({"type": "response.output_text.delta", "output_index": 0, "delta": "par"}, failure)

    assert (expected, "error", True) == (decoded.error, decoded.status, decoded.wire.complete)
    assert (Message(role="assistant", parts=(Text(content="par"),), finish_reason="error"),) == decoded.output.messages


def test_events_that_cannot_be_read_are_counted(streamed):
    """Where they are needed."""
    decoded = streamed({"type": "response.output_text.delta", "output_index": 0, "delta": "a"}, "{broken", "7")

    assert ((Text(content="a"),), "1 event is no JSON") == (parts_of(decoded), decoded.wire.reason)


@pytest.mark.parametrize(
    ("said", "content"),
    [
        pytest.param({"type": "response.output_text.delta", "output_index": 0, "delta": "a"}, True, id="text"),
        pytest.param({"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "a"}, True, id="a thought"),
        pytest.param({"type": "response.output_text.delta", "output_index": 0, "delta": ""}, False, id="an empty text"),
        pytest.param(
            {"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "name": "f"}}, True, id="a call"
        ),
        pytest.param(
            {"type": "response.output_item.added", "output_index": 0, "item": {"type": "web_search_call"}}, False, id="a search begins"
        ),
        pytest.param(
            {"type": "response.output_item.done", "output_index": 0, "item": {"type": "web_search_call"}}, True, id="a search is done"
        ),
        pytest.param(
            {"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "summary": []}},
            False,
            id="a hidden thought",
        ),
    ],
)
def test_the_first_content_is_the_first_of_the_answer(responses, events, said, content):
    """Not the first event."""
    pieces = [events({"type": "response.created", "response": {"id": "resp_1"}}), events(said)]
    decoded = decode(responses(b"", chunks=pieces, chunk_times=[10, 20]))

    assert (10, 20 if content else None) == (decoded.first_chunk_at, decoded.first_content_at)


def test_an_answer_that_comes_at_once_has_its_content_then(responses, events):
    """There is nothing before the last event."""
    response = {"id": "resp_1", "status": "completed", "output": [{"type": "message", "content": [{"type": "output_text", "text": "a"}]}]}
    pieces = [
        events({"type": "response.created", "response": {"id": "resp_1"}}),
        events({"type": "response.completed", "response": response}),
    ]

    assert 20 == decode(responses(b"", chunks=pieces, chunk_times=[10, 20])).first_content_at


# Fetching


@pytest.fixture
def finished(response_events) -> dict:
    """The response, as fetching it gives it."""
    return response_events[-1]["response"]


def test_a_fetched_response_is_read_like_the_first_answer_but_counts_nothing(fetch, finished):
    """Its tokens were counted when it was made; nothing was asked."""
    decoded = decode(fetch(finished))

    assert ("openai.responses", "fetch_response", "ok") == (decoded.wire.format, decoded.operation.name, decoded.status)
    assert (PARTS, "resp_1", "gpt-x-1", ("tool_call",)) == (
        parts_of(decoded),
        decoded.response.id,
        decoded.response.model,
        decoded.response.finish_reasons,
    )
    assert (Usage(), None, None, ()) == (decoded.usage, decoded.request.model, decoded.input.count, decoded.input.messages)
    assert None is decoded.wire.reason


def test_a_fetched_stream_counts_nothing_either(fetch, response_stream):
    """``?stream=true``."""
    decoded = decode(fetch(response_stream))

    assert (PARTS, Usage(), "ok") == (parts_of(decoded), decoded.usage, decoded.status)


def test_a_response_that_is_not_there_is_an_error(fetch):
    """Of the fetching."""
    decoded = decode(fetch({"error": {"type": "invalid_request_error", "message": "m", "code": None}}, status_code=404))

    assert (Error(type="invalid_request_error", message="m"), "fetch_response") == (decoded.error, decoded.operation.name)


FINISHED = {"id": "resp_1", "object": "response", "status": "completed", "output": []}


@pytest.mark.parametrize(
    ("url", "answer", "changes", "known"),
    [
        pytest.param("https://api.openai.com/v1/responses/resp_1", FINISHED, {}, True, id="OpenAI"),
        pytest.param("https://api.openai.com/v1/responses/resp_1", None, {"status_code": None}, True, id="no answer yet"),
        pytest.param("https://api.openai.com/v1/responses/resp_1", b"<html>", {"status_code": 502}, True, id="a gateway's page"),
        pytest.param("https://api.openai.com/v1/responses/resp_1", b"<html>", {}, True, id="an answer that cannot be read"),
        pytest.param("https://api.openai.com/v1/responses/resp_1/input_items", {"object": "list"}, {}, False, id="its items"),
        pytest.param("https://gw.azure-api.net/forms/7/responses/9", {"answers": []}, {}, False, id="a form behind Azure's gateway"),
        pytest.param("https://gateway.example/v1/responses/resp_1", FINISHED, {}, True, id="a gateway, by its answer"),
        pytest.param(
            "https://gateway.example/v1/responses/resp_1",
            b'data: {"type": "response.created", "response": {}}\n\n',
            {},
            True,
            id="a gateway, by its events",
        ),
        pytest.param(
            "https://gateway.example/v1/responses/resp_1",
            {"error": "no"},
            {"status_code": 404, "request_headers": {"x-stainless-retry-count": "0"}},
            True,
            id="a gateway, by the client",
        ),
        pytest.param("https://gateway.example/v1/responses/resp_1", {"error": "no"}, {"status_code": 404}, False, id="nothing tells"),
        pytest.param("https://forms.example/surveys/7/responses/9", {"answers": []}, {}, False, id="a survey"),
        pytest.param("https://forms.example/surveys/7/responses/9", b"data: {}\n\n", {}, False, id="a survey's events"),
        pytest.param("https://forms.example/surveys/7/responses/9", [], {}, False, id="a survey's list"),
    ],
)
def test_an_applications_own_responses_are_not_fetched(fetch, url, answer, changes, known):
    """The answer tells; where it is an error or none, who was asked and by whom."""
    assert known != isinstance(decode(fetch(answer, url=url, **changes)), Unknown)
