"""What stands in the blocks of Anthropic's messages beside what was said: sources, results of the provider's tools, secrets."""

import json

import msgspec
import pytest

from llm_observe.records import Compaction, Conversation, Generic, PreviousResponse, Refusal, ServerToolCallResponse, Text
from llm_observe.wire import decode

SECRET = "c2VjcmV0"
CITED = {"type": "web_search_result_location", "cited_text": "x", "url": "https://a.b/c", "title": "t"}


def answer(*blocks: dict, **members) -> dict:
    """A whole answer of these."""
    return {"id": "msg_1", "role": "assistant", "model": "claude-x-1", "content": blocks, "stop_reason": "end_turn"} | members


def body(**members) -> dict:
    """A request with these members."""
    return {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]} | members


@pytest.fixture
def said(anthropic):
    """The parts of an answer."""
    return lambda *blocks: decode(anthropic(answer(*blocks))).output.messages[0].parts


@pytest.fixture
def asked(anthropic):
    """What is decoded of a request with these members."""
    return lambda **members: decode(anthropic({}, body(**members)))


def test_a_text_has_the_citations_it_stands_on(said):
    """As the provider has them, but for what only the provider can read."""
    block = {
        "type": "text",
        "text": "a",
        "citations": [CITED | {"encrypted_index": SECRET}, {"type": "page_location", "document_index": 0}],
    }

    assert (Text(content="a", citations=(CITED, {"type": "page_location", "document_index": 0})),) == said(block)


def test_the_citations_of_a_stream_are_gathered(anthropic, events):
    """Each comes as a delta of the text's block."""
    decoded = decode(
        anthropic(
            events(
                {"type": "message_start", "message": {"id": "msg_1", "role": "assistant"}},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "", "citations": []}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "citations_delta", "citation": CITED | {"encrypted_index": SECRET}},
                },
                {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": {"type": "char_location"}}},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
                {"type": "message_stop"},
            )
        )
    )

    assert (Text(content="a", citations=(CITED, {"type": "char_location"})),) == decoded.output.messages[0].parts


def test_an_earlier_answer_keeps_its_citations_when_it_is_sent_again(asked):
    """A document's switch for them is none."""
    messages = [
        {"role": "assistant", "content": [{"type": "text", "text": "a", "citations": [CITED]}]},
        {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "d"}, "citations": {"enabled": True}}]},
    ]

    assert [(Text(content="a", citations=(CITED,)),), (Text(content="d"),)] == [
        message.parts for message in asked(messages=messages).input.messages
    ]


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        (
            "web_search_tool_result",
            [{"type": "web_search_result", "url": "u", "title": "t", "page_age": None, "encrypted_content": SECRET}],
            [{"type": "web_search_result", "url": "u", "title": "t", "page_age": None}],
        ),
        (
            "web_search_tool_result",
            {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
            {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
        ),
        (
            "web_fetch_tool_result",
            {
                "type": "web_fetch_result",
                "content": {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "p"}},
            },
            {
                "type": "web_fetch_result",
                "content": {"type": "document", "source": {"type": "text", "media_type": "text/plain", "text": "p"}},
            },
        ),
        (
            "web_fetch_tool_result",
            {"type": "web_fetch_result", "content": {"source": {"type": "base64", "media_type": "application/pdf", "data": SECRET}}},
            {"type": "web_fetch_result", "content": {"source": {"type": "base64", "media_type": "application/pdf"}}},
        ),
        (
            "code_execution_tool_result",
            {"type": "code_execution_result", "stdout": "1", "stderr": "", "return_code": 0, "content": [{"file_id": "file_1"}]},
            {"type": "code_execution_result", "stdout": "1", "stderr": "", "return_code": 0, "content": [{"file_id": "file_1"}]},
        ),
        (
            "code_execution_tool_result",
            {"type": "encrypted_code_execution_result", "encrypted_stdout": SECRET, "return_code": 0},
            {"type": "encrypted_code_execution_result", "return_code": 0},
        ),
        (
            "bash_code_execution_tool_result",
            {"type": "bash_code_execution_result", "stdout": "1"},
            {"type": "bash_code_execution_result", "stdout": "1"},
        ),
        (
            "text_editor_code_execution_tool_result",
            {"type": "text_editor_code_execution_view_result", "content": "c"},
            {"type": "text_editor_code_execution_view_result", "content": "c"},
        ),
        (
            "tool_search_tool_result",
            {"type": "tool_search_tool_search_result", "tool_references": [{"tool_name": "f"}]},
            {"type": "tool_search_tool_search_result", "tool_references": [{"tool_name": "f"}]},
        ),
        ("advisor_tool_result", {"type": "advisor_result", "text": "do"}, {"type": "advisor_result", "text": "do"}),
        ("advisor_tool_result", {"type": "advisor_redacted_result", "encrypted_content": SECRET}, {"type": "advisor_redacted_result"}),
        ("mcp_tool_result", [{"type": "text", "text": "42"}], [{"type": "text", "text": "42"}]),
        ("mcp_tool_result", "42", "42"),
    ],
)
def test_what_the_providers_own_tools_gave(said, kind, content, expected):
    """Whole, but for what only the provider can read; the text of a page is text."""
    part = ServerToolCallResponse(id="s", server_tool_call_response={"type": kind, "content": expected})

    assert (part,) == said({"type": kind, "tool_use_id": "s", "content": content})


def test_the_failure_of_a_server_of_tools_is_told(said):
    """The result is there, and that it is an error."""
    block = {"type": "mcp_tool_result", "tool_use_id": "s", "content": "no", "is_error": True}

    assert {"type": "mcp_tool_result", "content": "no", "is_error": True} == said(block)[0].server_tool_call_response


@pytest.mark.parametrize("kind", ["mcp_tool_listing", "fallback", "search_result"])
def test_what_the_convention_has_no_part_for_is_kept_as_it_is(said, kind):
    """By its type, with its members."""
    block = {"type": kind, "mcp_server_name": "m", "tools": [{"name": "f"}], "signature": SECRET}

    assert (Generic(generic_type=kind, content={"mcp_server_name": "m", "tools": [{"name": "f"}]}),) == said(block)


def test_secrets_of_tools_and_their_servers_are_never_recorded(anthropic):
    """Wherever they stand in the request: not one of them is found in the record."""
    secret = "Bearer sk-mcp-1"
    request = body(
        mcp_servers=[{"type": "url", "url": "https://m.example/sse", "name": "m", "authorization_token": secret}],
        tools=[
            {"type": "mcp_toolset", "mcp_server_name": "m", "authorization_token": secret, "configs": {"f": {"headers": secret}}},
            {"name": "g", "input_schema": {"type": "object"}, "headers": {"authorization": secret}},
        ],
        container={"id": "container_1", "skills": [{"type": "custom", "skill_id": secret}]},
        metadata={"user_id": secret},
        fallback_credit_token=secret,
        messages=[{"role": "user", "content": [{"type": "novel", "authorization_token": secret, "headers": {"x": secret}}]}],
    )
    decoded = decode(anthropic(answer({"type": "text", "text": "a"}), request))

    assert ["mcp_toolset", "function"] == [tool.type for tool in decoded.tool.definitions]
    assert secret not in msgspec.json.encode(decoded).decode()
    assert secret in json.dumps(request)


def test_the_schema_that_the_answer_is_to_have(asked):
    """In output_config, or in the beta's output_format."""
    form = {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}

    assert form["schema"] == asked(output_config={"format": form}).output.schema
    assert form["schema"] == asked(output_format=form).output.schema
    assert None is asked(output_config={"effort": "high"}).output.schema


def test_a_thread_goes_on_from_an_earlier_answer(asked):
    """By its id; one that begins has none."""
    assert PreviousResponse(id="msg_0") == asked(thread={"type": "continue", "previous_message_id": "msg_0"}).request.previous_response
    assert None is asked(thread={"type": "create"}).request.previous_response


def test_why_the_model_refused_is_told(anthropic, events):
    """Beside what it said before; in a stream it comes at the end."""
    details = {"type": "refusal", "category": "bio", "explanation": "not this"}
    plain = decode(anthropic(answer({"type": "text", "text": "a"}, stop_reason="refusal", stop_details=details)))
    streamed = decode(
        anthropic(
            events(
                {"type": "message_start", "message": {"id": "msg_1", "role": "assistant"}},
                {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}},
                {"type": "message_stop"},
            )
        )
    )

    assert (Text(content="a"), Refusal(content="not this")) == plain.output.messages[0].parts
    assert ((Refusal(content="not this"),), ("content_filter",)) == (streamed.output.messages[0].parts, streamed.response.finish_reasons)


def test_a_conversation_that_was_compacted_is_said_to_be(anthropic):
    """The summary is a part of the answer; what of it is encrypted is left out."""
    block = {"type": "compaction", "content": "so far", "encrypted_content": SECRET}
    decoded = decode(anthropic(answer(block, stop_reason="compaction")))

    assert (Compaction(content="so far"),) == decoded.output.messages[0].parts
    assert (Conversation(compacted=True), ("compaction",)) == (decoded.conversation, decoded.response.finish_reasons)
    assert None is decode(anthropic(answer({"type": "text", "text": "a"}))).conversation
