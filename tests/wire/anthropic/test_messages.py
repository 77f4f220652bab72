"""Anthropic Messages: what the request and the answer say."""

import base64
import hashlib

import pytest

from llm_observe.records import (
    Blob,
    CallRequest,
    Compaction,
    Error,
    File,
    Generic,
    InputTokens,
    Message,
    OutputTokens,
    Reasoning,
    ReasoningRequest,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    ToolCallResponse,
    ToolDefinition,
    Uri,
    Usage,
)
from llm_observe.wire import decode

DATA = b"\x89PNG"
B64 = base64.b64encode(DATA).decode()
BLOB = {"size": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()}


def body(**members) -> dict:
    """A request with these members."""
    return {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]} | members


def answer(*blocks: dict, **members) -> dict:
    """A whole answer of these."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x-1",
        "content": blocks,
        "stop_reason": "end_turn",
    } | members


@pytest.fixture
def asked(anthropic):
    """What is decoded of a request."""
    return lambda request, **changes: decode(anthropic({}, request, **changes))


@pytest.fixture
def said(anthropic):
    """The parts of an answer."""
    return lambda *blocks: decode(anthropic(answer(*blocks))).output.messages[0].parts


@pytest.fixture
def streamed(anthropic, events):
    """What is decoded of events."""
    return lambda *several: decode(anthropic(events(*several, names=True)))


def start(**usage) -> dict:
    """The first event, with a usage."""
    return {"type": "message_start", "message": {"id": "msg_1", "model": "claude-x-1", "role": "assistant", "content": [], "usage": usage}}


def block(index: int, **members) -> dict:
    """The start of a block."""
    return {"type": "content_block_start", "index": index, "content_block": members}


def delta(index: int, kind: str, **members) -> dict:
    """A delta of a block."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}}


END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
STOP = {"type": "message_stop"}


# The request


def test_parameters_keep_the_values_that_were_sent(asked):
    """Under the convention's names."""
    request = body(
        stream=True, temperature=1, top_p=0.9, top_k=40, stop_sequences=["a", 7], service_tier="auto", output_config={"effort": "high"}
    )

    assert (
        CallRequest(
            model="claude-x",
            stream=True,
            max_tokens=9,
            temperature=1.0,
            top_p=0.9,
            top_k=40,
            stop_sequences=("a",),
            reasoning=ReasoningRequest(level="high"),
            service_tier="auto",
        )
        == asked(request).request
    )


def test_the_output_type_is_json_where_a_schema_is_asked_for(asked):
    """In output_config, or in the beta's output_format."""
    assert "json" == asked(body(output_config={"format": {"type": "json_schema"}})).output.type
    assert "json" == asked(body(output_format={"type": "json_schema"})).output.type
    assert None is asked(body()).output.type


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("be kind", (Text(content="be kind"),)),
        ([{"type": "text", "text": "a", "cache_control": {}}, {"type": "text", "text": "b"}], (Text(content="a"), Text(content="b"))),
        (None, ()),
        ("", ()),
    ],
)
def test_the_system_field_is_not_a_message(asked, system, expected):
    """It is counted apart."""
    decoded = asked(body(system=system))

    assert (expected, 1) == (decoded.system_instructions, decoded.input.count)


def test_messages_keep_their_roles_and_order(asked):
    """A system message in the middle is a message."""
    messages = [
        {"role": "user", "content": "a"},
        {"role": "system", "content": [{"type": "text", "text": "b"}, "not a block"]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}]},
    ]
    decoded = asked(body(messages=[*messages, 7]))

    assert 4 == decoded.input.count
    assert (
        Message(role="user", parts=(Text(content="a"),)),
        Message(role="system", parts=(Text(content="b"),)),
        Message(role="assistant", parts=(ToolCall(id="t", name="f", arguments={"x": 1}),)),
    ) == decoded.input.messages


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param({"content": "42"}, "42", id="a string"),
        pytest.param({"content": [{"type": "text", "text": "42"}]}, "42", id="one text"),
        pytest.param({}, "", id="nothing"),
        pytest.param({"content": "no", "is_error": True}, {"is_error": True, "content": "no"}, id="a failure"),
        pytest.param(
            {
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": B64}},
                ]
            },
            [{"type": "text", "content": "a"}, {"type": "blob", "modality": "image", "mime_type": "image/png", **BLOB}],
            id="parts as plain data",
        ),
    ],
)
def test_what_a_tool_answered(asked, content, expected):
    """As it was sent, media without its bytes."""
    messages = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", **content}]}]

    assert (ToolCallResponse(id="t", response=expected),) == asked(body(messages=messages)).input.messages[0].parts


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"type": "base64", "media_type": "image/png", "data": B64}, Blob(modality="image", mime_type="image/png", **BLOB)),
        ({"type": "url", "url": "https://x.y/z?sig=s"}, Uri(modality="image", uri="https://x.y/z")),
        ({"type": "file", "file_id": "file_1"}, File(modality="image", file_id="file_1")),
        ({"type": "text", "media_type": "text/plain", "data": "a"}, Text(content="a")),
        ({"type": "content", "content": [{"type": "text", "text": "a"}]}, Text(content="a")),
        ({}, Blob(modality="image")),
    ],
)
def test_media(asked, source, expected):
    """Inline, at an address, on file, or text after all."""
    messages = [{"role": "user", "content": [{"type": "image", "source": source}]}]

    assert (expected,) == asked(body(messages=messages)).input.messages[0].parts


def test_tools_are_named_in_the_order_they_were_offered(asked):
    """The application's are functions; the provider's go by their dated type."""
    tools = [
        {"name": "f", "description": "d", "input_schema": {"type": "object"}},
        {"type": "custom", "name": "g"},
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "mcp_toolset", "mcp_server_name": "s"},
        None,
    ]

    assert (
        ToolDefinition(type="function", name="f", description="d", parameters={"type": "object"}),
        ToolDefinition(type="function", name="g"),
        ToolDefinition(type="web_search_20250305", name="web_search"),
        ToolDefinition(type="mcp_toolset"),
    ) == asked(body(tools=tools)).tool.definitions


def test_on_vertex_the_model_is_in_the_path(asked):
    """And the provider is Vertex AI."""
    url = "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/anthropic/models/claude-x%40001:streamRawPredict"
    decoded = asked({"anthropic_version": "vertex-2023-10-16", "messages": [], "stream": True}, url=url)

    assert ("claude-x@001", "gcp.vertex_ai", "anthropic.messages") == (decoded.request.model, decoded.provider.name, decoded.wire.format)


# The plain answer


def test_a_plain_answer(anthropic):
    """Who answered, what, why it stopped; cached tokens are in the input although the wire has them beside it."""
    usage = {
        "input_tokens": 5,
        "cache_creation_input_tokens": 2,
        "cache_read_input_tokens": 3,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 4},
        "service_tier": "standard",
    }
    decoded = decode(anthropic(answer({"type": "text", "text": "a"}, usage=usage)))

    assert (Message(role="assistant", parts=(Text(content="a"),), finish_reason="stop"),) == decoded.output.messages
    assert ("msg_1", "claude-x-1", ("stop",), "standard") == (
        decoded.response.id,
        decoded.response.model,
        decoded.response.finish_reasons,
        decoded.response.service_tier,
    )
    assert (
        Usage(
            input_tokens=10,
            output_tokens=20,
            cache_read=InputTokens(input_tokens=3),
            cache_write=InputTokens(input_tokens=2),
            reasoning=OutputTokens(output_tokens=4),
        )
        == decoded.usage
    )
    assert ("ok", True, ("end_turn",)) == (decoded.status, decoded.wire.complete, decoded.wire.finish_reasons)


def test_cached_tokens_may_be_unknown(anthropic):
    """Then the input is what is said."""
    assert Usage(input_tokens=5) == decode(anthropic(answer(usage={"input_tokens": 5, "cache_read_input_tokens": None}))).usage


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "text", "text": "a", "citations": None}, (Text(content="a"),)),
        ({"type": "text", "text": ""}, ()),
        ({"type": "thinking", "thinking": "hm", "signature": "c2VjcmV0"}, (Reasoning(content="hm"),)),
        ({"type": "thinking", "thinking": "", "signature": "c2VjcmV0"}, ()),
        ({"type": "redacted_thinking", "data": "c2VjcmV0"}, (Generic(generic_type="redacted_thinking"),)),
        ({"type": "tool_use", "id": "t", "name": "f", "input": {}}, (ToolCall(id="t", name="f", arguments={}),)),
        (
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
            (ServerToolCall(id="s", name="web_search", server_tool_call={"type": "web_search", "input": {"query": "q"}}),),
        ),
        (
            {"type": "mcp_tool_use", "id": "s", "name": "f", "server_name": "m", "input": {}},
            (ServerToolCall(id="s", name="f", server_tool_call={"type": "mcp", "input": {}, "server_name": "m"}),),
        ),
        (
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s",
                "content": [{"type": "web_search_result", "title": "t", "encrypted_content": "c2VjcmV0"}],
            },
            (
                ServerToolCallResponse(
                    id="s",
                    server_tool_call_response={"type": "web_search_tool_result", "content": [{"type": "web_search_result", "title": "t"}]},
                ),
            ),
        ),
        ({"type": "container_upload", "file_id": "file_1"}, (File(modality="document", file_id="file_1"),)),
        ({"type": "compaction", "content": "so far"}, (Compaction(content="so far"),)),
        ({"type": "novel", "said": 1, "signature": "c2VjcmV0"}, (Generic(generic_type="novel", content={"said": 1}),)),
        ({}, (Generic(generic_type=""),)),
    ],
)
def test_blocks(said, given, expected):
    """What only the provider can read is left out."""
    assert expected == said(given)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_call"),
        ("refusal", "content_filter"),
        ("compaction", "compaction"),
    ],
)
def test_stop_reasons_are_mapped(anthropic, raw, expected):
    """To the convention's six words; the wire's own is kept."""
    decoded = decode(anthropic(answer(stop_reason=raw)))

    assert ((expected,), (raw,)) == (decoded.response.finish_reasons, decoded.wire.finish_reasons)


@pytest.mark.parametrize("status", [200, 529])
def test_an_error_has_the_providers_type(anthropic, status):
    """Under an error's status, or from a gateway under 200; the request's id is in the body too."""
    document = {"type": "error", "error": {"type": "overloaded_error", "message": "m"}, "request_id": "req_1"}
    decoded = decode(anthropic(document, status_code=status))

    assert (Error(type="overloaded_error", message="m"), "error", "req_1") == (decoded.error, decoded.status, decoded.provider_request_id)
    assert () == decoded.output.messages


# Streams


def test_a_stream_is_folded(anthropic, message_stream):
    """Into what a plain answer would have been."""
    decoded = decode(anthropic(message_stream))

    assert (
        Message(
            role="assistant",
            parts=(
                Reasoning(content="hm …"),
                Text(content="Grüße, 世界 🌍\u2028"),
                ToolCall(id="toolu_1", name="look", arguments={"at": "it"}),
            ),
            finish_reason="tool_call",
        ),
    ) == decoded.output.messages
    assert (
        Usage(input_tokens=10, output_tokens=20, cache_read=InputTokens(input_tokens=3), cache_write=InputTokens(input_tokens=2))
        == decoded.usage
    )
    assert ("msg_1", "claude-x-1", "ok", True) == (decoded.response.id, decoded.response.model, decoded.status, decoded.wire.complete)


def test_later_usage_overwrites_field_by_field(streamed):
    """It is cumulative, and null takes nothing away."""
    decoded = streamed(
        start(input_tokens=5, cache_read_input_tokens=1, output_tokens=1),
        {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 7, "cache_read_input_tokens": None, "output_tokens": 9}},
        END,
        STOP,
    )

    assert Usage(input_tokens=8, output_tokens=5, cache_read=InputTokens(input_tokens=1)) == decoded.usage


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        pytest.param([block(0, type="tool_use", id="t", name="f", input={})], ToolCall(id="t", name="f", arguments={}), id="no pieces"),
        pytest.param(
            [block(0, type="tool_use", id="t", name="f", input={}), delta(0, "input_json_delta", partial_json="")],
            ToolCall(id="t", name="f", arguments={}),
            id="an empty piece",
        ),
        pytest.param(
            [block(0, type="tool_use", id="t", name="f", input={}), delta(0, "input_json_delta", partial_json='{"a": ')],
            ToolCall(id="t", name="f", arguments='{"a": '),
            id="cut",
        ),
        pytest.param(
            [block(0, type="compaction"), delta(0, "compaction_delta", content="so far")], Compaction(content="so far"), id="a compaction"
        ),
        pytest.param([block(0, type="text", text="a"), delta(0, "text_delta", text="b")], Text(content="ab"), id="a start with text"),
        pytest.param([delta(0, "text_delta", text="b")], Text(content="b"), id="no start"),
        pytest.param(
            [
                block(0, type="text", text=""),
                delta(0, "signature_delta", signature="c2VjcmV0"),
                delta(0, "text_delta", text="a"),
                delta(0, "new"),
            ],
            Text(content="a"),
            id="deltas of no interest",
        ),
    ],
)
def test_blocks_grow_by_their_deltas(streamed, several, expected):
    """Tool input is joined before it is parsed."""
    assert (expected,) == streamed(start(), *several, END, STOP).output.messages[0].parts


def test_a_stream_cut_before_its_end_knows_no_output_tokens(streamed):
    """The first count is a placeholder; the input is known."""
    decoded = streamed(start(input_tokens=5, output_tokens=1), block(0, type="text", text=""), delta(0, "text_delta", text="par"))

    assert Usage(input_tokens=5) == decoded.usage
    assert (Message(role="assistant", parts=(Text(content="par"),), finish_reason="error"),) == decoded.output.messages
    assert ("truncated", False, ("error",), ()) == (
        decoded.status,
        decoded.wire.complete,
        decoded.response.finish_reasons,
        decoded.wire.finish_reasons,
    )


def test_a_stream_without_its_marker_is_truncated_although_it_has_its_reason(streamed):
    """Only message_stop ends it."""
    decoded = streamed(start(input_tokens=5, output_tokens=1), END)

    assert ("truncated", ("stop",), 5) == (decoded.status, decoded.response.finish_reasons, decoded.usage.output_tokens)


def test_a_stream_that_says_nothing_has_no_message(streamed):
    """A ping and the end of the connection."""
    decoded = streamed({"type": "ping"})

    assert ((), (), "truncated") == (decoded.output.messages, decoded.response.finish_reasons, decoded.status)


def test_an_error_inside_a_stream_keeps_what_was_said(streamed):
    """Partial text, the provider's type, the request's id."""
    failure = {"type": "error", "error": {"type": "overloaded_error", "message": "m"}, "request_id": "req_1"}
    decoded = streamed(start(), block(0, type="text", text=""), delta(0, "text_delta", text="par"), failure)

    assert (Error(type="overloaded_error", message="m"), "error", "req_1") == (decoded.error, decoded.status, decoded.provider_request_id)
    assert (Text(content="par"),) == decoded.output.messages[0].parts


def test_events_that_cannot_be_read_are_counted(anthropic, events):
    """The rest is read all the same."""
    decoded = decode(anthropic(events(start(), "{broken", "7", block(0, type="text", text="a"), END, STOP)))

    assert ("a", "1 event is no JSON", "ok") == (decoded.output.messages[0].parts[0].content, decoded.wire.reason, decoded.status)
