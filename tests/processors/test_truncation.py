"""Long texts are cut where they stand, and the record stays a record."""

import hashlib
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe.processors.truncation import MARK, truncation
from llm_observe.records import (
    Blob,
    Call,
    CallTotals,
    Cut,
    Generic,
    Input,
    Message,
    Operation,
    Output,
    Provider,
    Reasoning,
    Request,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    Tool,
    ToolCall,
    ToolCallResponse,
    ToolDefinition,
    Wire,
)

LIMIT = 100
LONG = "x" * 101


def call(*parts, **fields) -> Call:
    """A call whose answer has these parts."""
    messages = (Message(role="assistant", parts=parts),) if parts else ()
    return Call(
        id="c", trace_id="t", span_id="s", started_at=datetime(2026, 1, 1, tzinfo=UTC), duration=1.0, name="chat", status="ok",
        operation=Operation(name="chat"), provider=Provider(name="p"), **({"output": Output(messages=messages)} | fields),
    )  # fmt: skip


def cut_of(raw: str) -> Cut:
    """What is noted of a text that was cut."""
    return Cut(bytes=len(raw.encode()), sha256=hashlib.sha256(raw.encode()).hexdigest())


def test_what_is_short_stays_as_it_is():
    """The very same record: nothing is copied."""
    record = call(Text(content="x" * LIMIT))

    assert truncation(LIMIT)(record) is record


def test_a_long_text_keeps_its_beginning_and_is_noted():
    """By its path, with its length and its hash."""
    record = truncation(LIMIT)(call(Text(content="short"), Text(content=LONG)))

    assert (Text(content="short"), Text(content="x" * 100 + MARK)) == record.output.messages[0].parts
    assert {"output.messages.0.parts.1.content": cut_of(LONG)} == record.truncated


def test_no_character_is_cut_in_two():
    """The limit counts bytes, and falls between characters."""
    record = truncation(LIMIT)(call(Text(content="x" * 99 + "世界")))

    assert "x" * 99 + MARK == record.output.messages[0].parts[0].content


@pytest.mark.parametrize(
    ("part", "field", "expected"),
    [
        (Reasoning(content=LONG), "content", Reasoning(content="x" * 100 + MARK)),
        (Generic(generic_type="g", content=LONG), "content", Generic(generic_type="g", content="x" * 100 + MARK)),
        (Blob(modality="audio", transcript=LONG), "transcript", Blob(modality="audio", transcript="x" * 100 + MARK)),
        (ToolCallResponse(response=LONG), "response", ToolCallResponse(response="x" * 100 + MARK)),
    ],
)
def test_every_kind_of_part_is_cut_by_its_own_field(part, field, expected):
    """Thoughts, unknown parts, transcripts, results."""
    record = truncation(LIMIT)(call(part))

    assert (expected,) == record.output.messages[0].parts
    assert {f"output.messages.0.parts.0.{field}": cut_of(LONG)} == record.truncated


def test_arguments_that_are_an_object_become_the_beginning_of_their_json():
    """Half an object is none, so it is a text then."""
    arguments = {"path": "y" * 200}
    record = truncation(LIMIT)(call(ToolCall(name="write", arguments=arguments)))
    whole = msgspec.json.encode(arguments).decode()

    assert whole[:100] + MARK == record.output.messages[0].parts[0].arguments
    assert {"output.messages.0.parts.0.arguments": cut_of(whole)} == record.truncated


def test_a_server_tool_keeps_its_type():
    """The convention asks for an object with a type there."""
    called = ServerToolCall(name="search", server_tool_call={"type": "web_search", "query": LONG})
    given_back = ServerToolCallResponse(server_tool_call_response={"type": "web_search", "content": LONG})
    parts = truncation(LIMIT)(call(called, given_back)).output.messages[0].parts

    assert ["web_search", "web_search"] == [parts[0].server_tool_call["type"], parts[1].server_tool_call_response["type"]]
    assert all(found["truncated"].endswith(MARK) for found in (parts[0].server_tool_call, parts[1].server_tool_call_response))


def test_citations_that_are_too_long_are_left_out():
    """The text they stand by stays."""
    record = truncation(LIMIT)(call(Text(content="so", citations=({"quote": LONG},))))

    assert (Text(content="so"),) == record.output.messages[0].parts
    assert ["output.messages.0.parts.0.citations"] == list(record.truncated)


def test_what_was_sent_is_cut_too():
    """System prompt, messages, tools, the schema asked for; what was cut before stays noted."""
    record = truncation(LIMIT)(
        call(
            system_instructions=(Text(content=LONG),),
            input=Input(messages=(Message(role="user", parts=(Text(content=LONG),)),), count=1),
            tool=Tool(definitions=(ToolDefinition(type="function", name="f", description=LONG, parameters={"a": LONG}),)),
            output=Output(schema={"a": LONG}),
            truncated={"elsewhere": Cut(bytes=1)},
        )
    )

    assert {
        "elsewhere",
        "system_instructions.0.content",
        "input.messages.0.parts.0.content",
        "tool.definitions.0.description",
        "tool.definitions.0.parameters",
        "output.schema",
    } == set(record.truncated)
    assert 1 == record.input.count


def test_a_short_request_is_not_looked_through():
    """Nothing in it can be longer than its body was."""
    sent = Input(messages=(Message(role="user", parts=(Text(content=LONG),)),))
    record = call(input=sent, wire=Wire(format="openai.chat", request_size=LIMIT))

    assert truncation(LIMIT)(record) is record


def test_other_records_pass():
    """A request has no content."""
    request = Request(
        id="r",
        trace_id="t",
        span_id="s",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration=1.0,
        name="GET /",
        status="ok",
        calls=CallTotals(count=0, errors=0, retries=0, running=0, input_tokens=0, output_tokens=0, wall=0.0, sum=0.0),
    )

    assert truncation(LIMIT)(request) is request


@given(content=st.text(max_size=400))
def test_what_is_kept_is_a_beginning_within_the_limit(content):
    """Any text at all."""
    (message,) = truncation(LIMIT)(call(Text(content=content))).output.messages
    kept = message.parts[0].content

    assert content.startswith(kept.removesuffix(MARK))
    assert len(kept.removesuffix(MARK).encode("utf-8", "surrogatepass")) <= LIMIT or kept == content
