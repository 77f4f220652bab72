"""How much of prompts and answers stays on record."""

from datetime import UTC, datetime

import msgspec
import pytest

from llm_observe.processors.content import bare, outline, stripped
from llm_observe.records import (
    Call,
    CallTotals,
    Error,
    Input,
    Message,
    Operation,
    Output,
    Provider,
    Request,
    ScopeInfo,
    Step,
    Text,
    Tool,
    ToolDefinition,
    Usage,
)

BASE = {
    "id": "1",
    "trace_id": "2",
    "span_id": "3",
    "started_at": datetime(2027, 1, 1, tzinfo=UTC),
    "duration": 1.0,
    "status": "error",
    "error": Error(type="rate_limit_exceeded", message="canary"),
    "scope": ScopeInfo(route="/chat", tags={"said": "canary"}),
}
CALL = Call(
    **BASE,
    name="chat",
    operation=Operation(name="chat"),
    provider=Provider(name="p"),
    usage=Usage(input_tokens=5),
    system_instructions=(Text(content="canary"),),
    input=Input(messages=(Message(role="user", name="canary", parts=(Text(content="canary"), Text(content="canary"))),), count=1),
    output=Output(messages=(Message(role="assistant", finish_reason="stop", parts=(Text(content="canary"),)),), type="text"),
    tool=Tool(definitions=(ToolDefinition(type="function", name="search", description="canary", parameters={"canary": 1}),)),
)
STEP = Step(**BASE, name="retrieve", attributes={"query": "canary"})
TOTALS = CallTotals(count=1, errors=0, retries=0, running=0, input_tokens=5, output_tokens=0, wall=1.0, sum=1.0)
REQUEST = Request(**BASE, name="POST /chat", calls=TOTALS)


def without_tags(record):
    """*record* outside of any scope."""
    return msgspec.structs.replace(record, scope=None)


@pytest.mark.parametrize("level", [bare, outline])
def test_no_word_of_content_is_left_in_a_call(level):
    """Instructions, prompts, answers, names, tool descriptions, and what the error said."""
    assert b"canary" not in msgspec.json.encode(without_tags(level(CALL)))


@pytest.mark.parametrize("level", [bare, outline])
def test_the_numbers_and_names_of_a_call_stay(level):
    """Who was asked, how much it took, what kind of error, which tools."""
    left = level(CALL)

    assert (1, "text", 5, "rate_limit_exceeded", [("function", "search")]) == (
        left.input.count,
        left.output.type,
        left.usage.input_tokens,
        left.error.type,
        [(tool.type, tool.name) for tool in left.tool.definitions],
    )


def test_none_keeps_no_messages():
    """Only their count."""
    assert ((), ()) == (bare(CALL).input.messages, bare(CALL).output.messages)


def test_metadata_keeps_who_spoke():
    """Roles and finish reasons, in order."""
    left = outline(CALL)

    assert ([Message(role="user")], [Message(role="assistant", finish_reason="stop")]) == (
        list(left.input.messages),
        list(left.output.messages),
    )


@pytest.mark.parametrize("level", [bare, outline])
def test_steps_and_requests_lose_the_words_of_their_errors_only(level):
    """Attributes and tags are the application's own, and no prompts."""
    assert (None, {"query": "canary"}, None, {"said": "canary"}) == (
        level(STEP).error.message,
        level(STEP).attributes,
        level(REQUEST).error.message,
        level(REQUEST).scope.tags,
    )


@pytest.mark.parametrize("record", [CALL, STEP, REQUEST])
def test_stripped_there_is_nothing_an_application_wrote(record):
    """Where a processor failed that was to take something away."""
    left = stripped(record)

    assert b"canary" not in msgspec.json.encode(left)
    assert ("/chat", record.name) == (left.scope.route, left.name)


def test_a_record_without_error_and_scope_is_left_as_it_is():
    """There is nothing to take away."""
    plain = msgspec.structs.replace(REQUEST, error=None, scope=None)

    assert (plain, plain, plain) == (bare(plain), outline(plain), stripped(plain))


def test_the_record_itself_is_not_changed():
    """It is frozen: others may hold it."""
    before = msgspec.json.encode(CALL)
    stripped(CALL)

    assert before == msgspec.json.encode(CALL)
