"""Cohere's chat, first version: what the request and the answer say."""

import pytest

from llm_observe.records import (
    Billed,
    CallRequest,
    Conversation,
    Error,
    Generic,
    Message,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    ToolCallResponse,
    ToolDefinition,
    Usage,
)
from llm_observe.wire import decode

LINES = {"content-type": "application/stream+json"}


def answer(**members) -> dict:
    """A whole answer."""
    return {"response_id": "r-1", "generation_id": "g-1", "text": "a", "finish_reason": "COMPLETE"} | members


@pytest.fixture
def asked(first):
    """What is decoded of a request with these members."""
    return lambda **members: decode(first({}, {"model": "command-x", "message": "hi"} | members))


@pytest.fixture
def streamed(first, lines):
    """What is decoded of lines."""
    return lambda *several: decode(first(lines(*several), response_headers=LINES))


def test_the_message_comes_after_those_before(asked):
    """Roles are the convention's, however they are spelt; the message is counted with them."""
    history = [
        {"role": "SYSTEM", "message": "be kind"},
        {"role": "User", "message": "a"},
        {"role": "CHATBOT", "message": "b", "tool_calls": [{"name": "f", "parameters": {"x": 1}}]},
        {"role": "TOOL", "tool_results": [{"call": {"name": "f", "parameters": {"x": 1}}, "outputs": [{"y": 2}]}]},
        None,
    ]
    decoded = asked(chat_history=history)

    assert 6 == decoded.input.count
    assert (
        Message(role="system", parts=(Text(content="be kind"),)),
        Message(role="user", parts=(Text(content="a"),)),
        Message(role="assistant", parts=(Text(content="b"), ToolCall(name="f", arguments={"x": 1}))),
        Message(role="tool", parts=(ToolCallResponse(response={"call": {"name": "f", "parameters": {"x": 1}}, "outputs": [{"y": 2}]}),)),
        Message(role="user", parts=(Text(content="hi"),)),
    ) == decoded.input.messages


def test_the_preamble_is_the_system_prompt(asked):
    """It is no message."""
    decoded = asked(preamble="be kind")

    assert ((Text(content="be kind"),), 1) == (decoded.system_instructions, decoded.input.count)
    assert () == asked(preamble="").system_instructions


def test_what_tools_gave_is_of_the_same_turn(asked):
    """The message may be empty then."""
    result = {"call": {"name": "f", "parameters": {}}, "outputs": [{"data": "kept"}]}
    decoded = asked(message="", tool_results=[result])

    assert ((Message(role="user", parts=(ToolCallResponse(response=result),)),), 1) == (decoded.input.messages, decoded.input.count)


def test_tools_documents_conversation_and_schema(asked):
    """Parameters stand one by one; documents are with the message."""
    tool = {"name": "f", "description": "d", "parameter_definitions": {"x": {"type": "int", "required": True}}}
    decoded = asked(
        tools=[tool],
        documents=[{"title": "t", "snippet": "s"}],
        conversation_id="c",
        response_format={"type": "json_object", "schema": {"type": "object"}},
        connectors=[{"id": "web-search", "user_access_token": "secret"}],
    )

    assert (
        ToolDefinition(type="function", name="f", description="d", parameters=tool["parameter_definitions"]),
    ) == decoded.tool.definitions
    assert (Text(content="hi"), Generic(generic_type="document", content={"title": "t", "snippet": "s"})) == decoded.input.messages[0].parts
    assert (Conversation(id="c"), "json", {"type": "object"}) == (decoded.conversation, decoded.output.type, decoded.output.schema)
    assert "secret" not in repr(decoded)


def test_the_parameters(asked):
    """As in the second version."""
    decoded = asked(stream=True, k=3, p=0.5, stop_sequences=["x"], max_tokens=9, temperature=0)

    assert (
        CallRequest(model="command-x", stream=True, top_k=3, top_p=0.5, stop_sequences=("x",), max_tokens=9, temperature=0.0)
        == decoded.request
    )


def test_a_plain_answer(first):
    """Its text, why it stopped, what it took."""
    meta = {"billed_units": {"input_tokens": 3, "output_tokens": 9}, "tokens": {"input_tokens": 30, "output_tokens": 9}}
    decoded = decode(first(answer(meta=meta)))

    assert (Message(role="assistant", parts=(Text(content="a"),), finish_reason="stop"),) == decoded.output.messages
    assert Usage(input_tokens=30, output_tokens=9, billed=Billed(input_tokens=3, output_tokens=9)) == decoded.usage
    assert ("r-1", ("COMPLETE",), "ok") == (decoded.response.id, decoded.wire.finish_reasons, decoded.status)


def test_an_answer_of_the_first_days_counts_elsewhere(first):
    """And gives no reason."""
    counts = {"prompt_tokens": 30, "response_tokens": 9, "total_tokens": 39, "billed_tokens": 12}
    decoded = decode(first({"response_id": "r-1", "text": "a", "generation_id": "g-1", "token_count": counts}))

    assert (Usage(input_tokens=30, output_tokens=9), (), "ok") == (decoded.usage, decoded.response.finish_reasons, decoded.status)


@pytest.mark.parametrize(("reason", "expected"), [("COMPLETE", "tool_call"), ("MAX_TOKENS", "length"), ("ERROR", "error")])
def test_an_answer_with_calls_ends_in_them(first, reason, expected):
    """Although the wire says that it is complete."""
    decoded = decode(first(answer(text="", tool_calls=[{"name": "f", "parameters": {"x": 1}}], finish_reason=reason)))

    assert ((ToolCall(name="f", arguments={"x": 1}),), (expected,)) == (decoded.output.messages[0].parts, decoded.response.finish_reasons)


def test_the_text_has_its_citations(first):
    """As the provider has them."""
    citation = {"start": 0, "end": 1, "text": "a", "document_ids": ["d"]}

    assert (Text(content="a", citations=(citation,)),) == decode(first(answer(citations=[citation]))).output.messages[0].parts


def test_a_search_of_its_own_is_a_server_tool(first):
    """What it looked for, and what it found; documents that were sent along are none."""
    query, result = {"text": "q", "generation_id": "g"}, {"search_query": {"text": "q"}, "document_ids": ["web_0"]}
    decoded = decode(first(answer(search_queries=[query], search_results=[result], documents=[{"id": "web_0", "url": "u"}])))

    assert (
        ServerToolCall(name="search", server_tool_call={"type": "search", "queries": ["q"]}),
        ServerToolCallResponse(
            server_tool_call_response={"type": "search", "results": [result], "documents": [{"id": "web_0", "url": "u"}]}
        ),
        Text(content="a"),
    ) == decoded.output.messages[0].parts
    assert (Text(content="a"),) == decode(first(answer(documents=[{"id": "d"}]))).output.messages[0].parts


def test_queries_alone_are_an_answer(first):
    """Where no more was asked for."""
    decoded = decode(first({"generation_id": "g", "text": "", "is_search_required": True, "search_queries": [{"text": "q"}]}))

    assert (ServerToolCall(name="search", server_tool_call={"type": "search", "queries": ["q"]}),) == decoded.output.messages[0].parts


def test_a_stream_is_folded(first, chat_lines):
    """Its last line has the whole answer."""
    decoded = decode(first(chat_lines, response_headers=LINES))
    kinds = [type(part).__name__ for part in decoded.output.messages[0].parts]
    text = decoded.output.messages[0].parts[-1]

    assert (["ServerToolCall", "ServerToolCallResponse", "Text"], "Grüße, 世界 🌍\u2028", 1) == (kinds, text.content, len(text.citations))
    assert ("r-1", ("stop",), 30, "ok", True) == (
        decoded.response.id,
        decoded.response.finish_reasons,
        decoded.usage.input_tokens,
        decoded.status,
        decoded.wire.complete,
    )


@pytest.mark.parametrize("headers", [LINES, {}, {"content-type": "application/json"}])
@pytest.mark.parametrize("count", range(1, 7))
def test_a_stream_without_its_last_line_is_truncated(first, chat_lines, headers, count):
    """At whichever line, one alone too, whatever the headers call it: what came is told."""
    decoded = decode(first(b"".join(chat_lines.splitlines(keepends=True)[:count]), response_headers=headers))
    text = "".join(part.content for part in decoded.output.messages[0].parts if isinstance(part, Text))

    assert ("truncated", False, ("error",)) == (decoded.status, decoded.wire.complete, decoded.response.finish_reasons)
    assert ["", "", "", "Grüße, ", "Grüße, 世界 🌍\u2028", "Grüße, 世界 🌍\u2028"][count - 1] == text


def test_calls_come_in_pieces(streamed):
    """With the plan for them, which is the text."""
    decoded = streamed(
        {"event_type": "stream-start", "generation_id": "g"},
        {"event_type": "tool-calls-chunk", "tool_call_delta": {"text": "I will "}, "text": "I will "},
        {"event_type": "tool-calls-chunk", "tool_call_delta": {"text": "look."}},
        {"event_type": "tool-calls-chunk", "tool_call_delta": {"index": 0, "name": "look"}},
        {"event_type": "tool-calls-chunk", "tool_call_delta": {"index": 0, "parameters": '{"at":'}},
        {"event_type": "tool-calls-chunk", "tool_call_delta": {"index": 0, "parameters": ' "it"}'}},
        {"event_type": "tool-calls-chunk", "tool_call_delta": {"index": 1, "name": "go"}},
    )

    assert (Text(content="I will look."), ToolCall(name="look", arguments={"at": "it"}), ToolCall(name="go")) == decoded.output.messages[
        0
    ].parts


def test_calls_that_came_whole_are_taken(streamed):
    """Where the last line does not repeat them."""
    decoded = streamed(
        {"event_type": "tool-calls-generation", "tool_calls": [{"name": "look", "parameters": {"at": "it"}}]},
        {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": {"response_id": "r-1", "text": "", "tool_calls": None}},
    )

    assert ((ToolCall(name="look", arguments={"at": "it"}),), ("tool_call",), "r-1") == (
        decoded.output.messages[0].parts,
        decoded.response.finish_reasons,
        decoded.response.id,
    )


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ({"event_type": "stream-end", "finish_reason": "ERROR", "error": "m"}, Error(type="ERROR", message="m")),
        ({"event_type": "stream-error", "finish_reason": "TIMEOUT", "err": "m"}, Error(type="TIMEOUT", message="m")),
        ({"message": "m"}, Error(type="_OTHER", message="m")),
        ({"error": {"type": "overloaded", "message": "m"}}, Error(type="overloaded", message="m")),
    ],
)
def test_an_error_in_a_stream_keeps_what_was_said(streamed, end, expected):
    """In the last line, or in one of its own."""
    decoded = streamed({"event_type": "text-generation", "text": "par"}, end)

    assert (expected, "error", (Text(content="par"),)) == (decoded.error, decoded.status, decoded.output.messages[0].parts)


def test_lines_that_cannot_be_read_are_counted(first, lines):
    """The rest is read all the same."""
    data = (
        lines({"event_type": "text-generation", "text": "a"}) + b"{broken\n7\n" + lines({"event_type": "stream-end", "response": answer()})
    )
    decoded = decode(first(data, response_headers=LINES))

    assert ("a", "1 event is no JSON", "ok") == (decoded.output.messages[0].parts[0].content, decoded.wire.reason, decoded.status)


def test_the_first_content_has_its_time(first, lines):
    """The start is none, nor is a search."""
    several = [
        {"event_type": "stream-start"},
        {"event_type": "search-queries-generation", "search_queries": []},
        {"event_type": "text-generation", "text": "a"},
        {"event_type": "stream-end", "response": answer()},
    ]
    decoded = decode(first(b"", chunks=[lines(each) for each in several], chunk_times=[10, 20, 30, 40], response_headers=LINES))

    assert (10, 30) == (decoded.first_chunk_at, decoded.first_content_at)
