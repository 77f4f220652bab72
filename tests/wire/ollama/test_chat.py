"""Ollama's chat: what the request and the answer say."""

import base64
import hashlib

import pytest

from llm_observe.records import (
    Blob,
    CallRequest,
    Error,
    Message,
    Reasoning,
    ReasoningRequest,
    Text,
    ToolCall,
    ToolCallResponse,
    ToolDefinition,
    Usage,
)
from llm_observe.wire import decode

DATA = b"\x89PNG"
B64 = base64.b64encode(DATA).decode()
MEASURED = {"size": 4, "sha256": hashlib.sha256(DATA).hexdigest()}


@pytest.fixture
def asked(chat):
    """What is decoded of a request with these members."""
    return lambda **members: decode(chat({}, {"model": "m:1b", "messages": [{"role": "user", "content": "hi"}]} | members))


@pytest.fixture
def streamed(chat, lines):
    """What is decoded of lines."""
    return lambda *several: decode(chat(lines(*several), response_headers={"content-type": "application/x-ndjson"}))


def said(content: str = "", **members) -> dict:
    """One line."""
    return {"model": "m:1b", "message": {"role": "assistant", "content": content}, "done": False} | members


# The request


def test_the_parameters_are_options(asked):
    """Without a bound where it is negative."""
    options = {
        "num_predict": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 3,
        "stop": ["x", 7],
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "num_ctx": 4096,
    }
    decoded = asked(options=options, think="high", stream=False)

    assert (
        CallRequest(
            model="m:1b",
            max_tokens=9,
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            seed=3,
            stop_sequences=("x",),
            presence_penalty=0.1,
            frequency_penalty=0.2,
            reasoning=ReasoningRequest(level="high"),
        )
        == decoded.request
    )
    assert (
        CallRequest(model="m:1b", stop_sequences=("x",))
        == asked(options={"num_predict": -1, "stop": "x"}, think=True, stream=False).request
    )
    assert ("chat", "ollama.chat", "ollama") == (decoded.operation.name, decoded.wire.format, decoded.provider.name)


@pytest.mark.parametrize(
    ("members", "expected"), [({}, True), ({"stream": True}, True), ({"stream": None}, True), ({"stream": False}, None)]
)
def test_it_streams_unless_told_not_to(asked, members, expected):
    """That is the server's default."""
    assert expected is asked(**members).request.stream


def test_a_request_that_nobody_can_read_says_nothing(chat):
    """Not even that it streams."""
    assert CallRequest() == decode(chat({}, b"no JSON")).request


def test_messages_keep_their_roles_and_order(asked):
    """What a tool gave is named by the tool."""
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [{"function": {"name": "look", "arguments": {"at": "it"}}}]},
        {"role": "tool", "content": "42", "tool_name": "look"},
        {"role": "tool", "content": "43", "tool_call_id": "call_1", "name": "look"},
    ]
    decoded = asked(messages=[*messages, None])

    assert 6 == decoded.input.count
    assert (
        Message(role="system", parts=(Text(content="be kind"),)),
        Message(role="user", parts=(Text(content="a"),)),
        Message(role="assistant", parts=(Reasoning(content="hm"), ToolCall(name="look", arguments={"at": "it"}))),
        Message(role="tool", parts=(ToolCallResponse(response="42"),), name="look"),
        Message(role="tool", parts=(ToolCallResponse(id="call_1", response="43"),), name="look"),
    ) == decoded.input.messages


def test_pictures_are_measured(asked):
    """Nobody tells their kind; their bytes are left out."""
    messages = [{"role": "user", "content": "what is it?", "images": [B64, f"data:image/png;base64,{B64}", 7]}]

    assert (
        Text(content="what is it?"),
        Blob(modality="image", **MEASURED),
        Blob(modality="image", mime_type="image/png", **MEASURED),
    ) == asked(messages=messages).input.messages[0].parts


def test_tools_are_named_in_the_order_they_were_offered(asked):
    """With their schema."""
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}, None]

    assert (ToolDefinition(type="function", name="f", description="d", parameters={"type": "object"}),) == asked(
        tools=tools
    ).tool.definitions


@pytest.mark.parametrize(
    ("form", "expected"),
    [("json", ("json", None)), ({"type": "object"}, ("json", {"type": "object"})), ("", (None, None)), (None, (None, None))],
)
def test_the_kind_of_answer_asked_for(asked, form, expected):
    """By a word, or by its schema."""
    output = asked(format=form).output

    assert expected == (output.type, output.schema)


# The plain answer


def test_a_plain_answer(chat, last):
    """Who answered, what, why it stopped, what it took."""
    message = {"role": "assistant", "content": "a", "thinking": "hm"}
    decoded = decode(chat({"model": "m:1b", "created_at": "2026", "message": message} | last))

    assert (Message(role="assistant", parts=(Reasoning(content="hm"), Text(content="a")), finish_reason="stop"),) == decoded.output.messages
    assert (None, "m:1b", ("stop",), Usage(input_tokens=7, output_tokens=9), "ok", True) == (
        decoded.response.id,
        decoded.response.model,
        decoded.wire.finish_reasons,
        decoded.usage,
        decoded.status,
        decoded.wire.complete,
    )
    assert 1.5 == decoded.processing_time


def test_a_prompt_that_was_in_the_cache_has_no_count(chat):
    """Unknown is not none."""
    assert Usage(output_tokens=9) == decode(chat(said("a", done=True, eval_count=9))).usage


def test_an_older_server_gives_no_reason(chat):
    """And none is made up."""
    decoded = decode(chat(said("a", done=True)))

    assert ((), "ok", None) == (decoded.response.finish_reasons, decoded.status, decoded.output.messages[0].finish_reason)


@pytest.mark.parametrize(("reason", "expected"), [("stop", "stop"), ("length", "length"), ("load", "load"), ("unload", "unload")])
def test_reasons_are_mapped(chat, reason, expected):
    """Those that have a word; a model that was only loaded has not answered."""
    decoded = decode(chat(said("a", done=True, done_reason=reason)))

    assert ((expected,), (reason,)) == (decoded.response.finish_reasons, decoded.wire.finish_reasons)


@pytest.mark.parametrize(("reason", "expected"), [("stop", "tool_call"), ("length", "length")])
def test_an_answer_with_calls_ends_in_them(chat, reason, expected):
    """Although the wire says that it stopped."""
    message = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": '{"x": 1}'}}, None],
    }
    decoded = decode(chat({"message": message, "done": True, "done_reason": reason}))

    assert ((ToolCall(id="call_1", name="f", arguments={"x": 1}),), (expected,), (reason,)) == (
        decoded.output.messages[0].parts,
        decoded.response.finish_reasons,
        decoded.wire.finish_reasons,
    )


def test_a_picture_that_the_model_made_is_measured(chat):
    """Its bytes are left out."""
    decoded = decode(chat({"message": {"role": "assistant", "content": "", "images": [B64]}, "done": True}))

    assert (Blob(modality="image", **MEASURED),) == decoded.output.messages[0].parts


# Errors


def test_an_error_goes_by_its_status(chat):
    """It is a text."""
    decoded = decode(chat({"error": "model 'x' not found"}, status_code=404))

    assert (Error(type="404", message="model 'x' not found"), "error", ()) == (decoded.error, decoded.status, decoded.output.messages)


def test_an_error_in_a_stream_keeps_what_was_said(streamed):
    """It is a line of its own, after a 200."""
    decoded = streamed(said("par"), {"error": "an unexpected end"})

    assert (Error(type="_OTHER", message="an unexpected end"), "error", (Text(content="par"),)) == (
        decoded.error,
        decoded.status,
        decoded.output.messages[0].parts,
    )


# Streams


def test_a_stream_is_folded(chat, chat_lines):
    """Into what a plain answer would have been."""
    decoded = decode(chat(chat_lines, response_headers={"content-type": "application/x-ndjson"}))

    assert (
        Reasoning(content="hm …"),
        Text(content="Grüße, 世界 🌍\u2028"),
        ToolCall(id="call_1", name="look", arguments={"at": "it"}),
        ToolCall(id="call_1", name="go", arguments={"at": "it"}),
    ) == decoded.output.messages[0].parts
    assert ("m:1b", ("tool_call",), Usage(input_tokens=7, output_tokens=9), 1.5, "ok", True) == (
        decoded.response.model,
        decoded.response.finish_reasons,
        decoded.usage,
        decoded.processing_time,
        decoded.status,
        decoded.wire.complete,
    )


@pytest.mark.parametrize("headers", [{"content-type": "application/x-ndjson"}, {}, {"content-type": "application/json"}])
@pytest.mark.parametrize("count", range(1, 7))
def test_a_stream_without_its_last_line_is_truncated(chat, chat_lines, headers, count):
    """At whichever line, one alone too, whatever the headers call it: what came is told."""
    decoded = decode(chat(b"".join(chat_lines.splitlines(keepends=True)[:count]), response_headers=headers))
    text = "".join(part.content for part in decoded.output.messages[0].parts if isinstance(part, Text))

    assert ("truncated", False, ("error",), Usage()) == (
        decoded.status,
        decoded.wire.complete,
        decoded.response.finish_reasons,
        decoded.usage,
    )
    assert ["", "", "Grüße, ", "Grüße, 世界 🌍\u2028", "Grüße, 世界 🌍\u2028", "Grüße, 世界 🌍\u2028"][count - 1] == text


def test_a_stream_that_says_nothing_has_no_message(streamed):
    """A line without a message is none of it."""
    decoded = streamed({"model": "m:1b"}, {"model": "m:1b"})

    assert ((), (), "truncated") == (decoded.output.messages, decoded.response.finish_reasons, decoded.status)


def test_the_first_content_has_its_time(chat, lines):
    """An empty line is none; a thought is."""
    thought = {"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False}
    chunks = [lines(each) for each in (said(""), thought, said("a"), said("", done=True))]
    decoded = decode(chat(b"", chunks=chunks, chunk_times=[10, 20, 30, 40], response_headers={"content-type": "application/x-ndjson"}))

    assert (10, 20) == (decoded.first_chunk_at, decoded.first_content_at)


def test_lines_that_cannot_be_read_are_counted(chat, lines):
    """The rest is read all the same."""
    data = lines(said("a")) + b"{broken\n7\n" + lines(said("", done=True, done_reason="stop"))
    decoded = decode(chat(data, response_headers={"content-type": "application/x-ndjson"}))

    assert ("a", "1 event is no JSON", "ok") == (decoded.output.messages[0].parts[0].content, decoded.wire.reason, decoded.status)
