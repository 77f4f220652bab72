"""Cohere's chat, second version: what the request and the answer say."""

import base64
import hashlib

import pytest

from llm_observe.records import (
    Billed,
    Blob,
    CallRequest,
    Error,
    Generic,
    InputTokens,
    Message,
    Modality,
    Reasoning,
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
CITATION = {"start": 0, "end": 1, "text": "a", "sources": [{"type": "document", "id": "d", "document": {"id": "d", "data": "kept"}}]}


def body(**members) -> dict:
    """A request with these members."""
    return {"model": "command-x", "messages": [{"role": "user", "content": "hi"}]} | members


def answer(message: dict | None = None, **members) -> dict:
    """A whole answer with this message."""
    return {
        "id": "c-1",
        "finish_reason": "COMPLETE",
        "message": message or {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
    } | members


@pytest.fixture
def asked(cohere):
    """What is decoded of a request with these members."""
    return lambda **members: decode(cohere({}, body(**members)))


@pytest.fixture
def said(cohere):
    """The parts of an answer with this message."""
    return lambda **message: decode(cohere(answer({"role": "assistant"} | message))).output.messages[0].parts


@pytest.fixture
def streamed(cohere, events):
    """What is decoded of events."""
    return lambda *several: decode(cohere(events(*several, names=True)))


# The request


def test_the_parameters(asked):
    """Two of them are short for what others spell out."""
    decoded = asked(
        stream=True,
        max_tokens=9,
        temperature=1,
        p=0.9,
        k=40,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        stop_sequences=["x", 7],
        seed=3,
        thinking={"type": "enabled", "token_budget": 100},
        safety_mode="OFF",
    )

    assert (
        CallRequest(
            model="command-x",
            stream=True,
            max_tokens=9,
            temperature=1.0,
            top_p=0.9,
            top_k=40,
            frequency_penalty=0.1,
            presence_penalty=0.2,
            stop_sequences=("x",),
            seed=3,
        )
        == decoded.request
    )
    assert ("chat", "cohere.chat", "cohere") == (decoded.operation.name, decoded.wire.format, decoded.provider.name)


def test_messages_keep_their_roles_and_order(asked):
    """Plans for the tools are thoughts."""
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, "no block"]},
        {
            "role": "assistant",
            "tool_plan": "I will look.",
            "tool_calls": [{"id": "t", "type": "function", "function": {"name": "look", "arguments": '{"at": "it"}'}}],
        },
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "b"}]},
    ]
    decoded = asked(messages=[*messages, None])

    assert 5 == decoded.input.count
    assert (
        Message(role="system", parts=(Text(content="be kind"),)),
        Message(role="user", parts=(Text(content="a"),)),
        Message(role="assistant", parts=(Reasoning(content="I will look."), ToolCall(id="t", name="look", arguments={"at": "it"}))),
        Message(role="assistant", parts=(Reasoning(content="hm"), Text(content="b"))),
    ) == decoded.input.messages


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ({"url": "https://x.y/z.png?sig=s", "detail": "low"}, Uri(modality="image", uri="https://x.y/z.png")),
        ("https://x.y/z.png", Uri(modality="image", uri="https://x.y/z.png")),
        (
            {"url": f"data:image/png;base64,{B64}"},
            Blob(modality="image", mime_type="image/png", size=4, sha256=hashlib.sha256(DATA).hexdigest()),
        ),
        ({}, Generic(generic_type="image_url", content={"image_url": {}})),
    ],
)
def test_pictures(asked, link, expected):
    """At an address, or measured without their bytes."""
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": link}]}]

    assert (expected,) == asked(messages=messages).input.messages[0].parts


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("42", "42", id="a string"),
        pytest.param(None, "", id="nothing"),
        pytest.param([{"type": "text", "text": "42"}], "42", id="one text"),
        pytest.param([{"type": "document", "document": {"id": "d", "data": {"output": "5"}}}], {"output": "5"}, id="one document"),
        pytest.param([{"type": "document", "document": {"data": '{"output": 5}'}}], '{"output": 5}', id="one document as text"),
        pytest.param([{"type": "document", "document": "5"}], "5", id="a document that is a text"),
        pytest.param([{"type": "text", "text": "a"}, {"type": "document", "document": {"data": {"b": 1}}}], ["a", {"b": 1}], id="several"),
        pytest.param([], [], id="an empty list"),
    ],
)
def test_what_a_tool_answered(asked, content, expected):
    """What it holds, out of its wrapping."""
    messages = [{"role": "tool", "tool_call_id": "t", "content": content}]

    assert (Message(role="tool", parts=(ToolCallResponse(id="t", response=expected),)),) == asked(messages=messages).input.messages


def test_documents_are_with_the_last_thing_the_user_said(asked):
    """They count as no message."""
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    documents = [{"id": "d", "data": {"text": "t"}}, "plain"]
    decoded = asked(messages=[*messages, {"role": "assistant", "content": "d"}], documents=documents)
    told = tuple(Generic(generic_type="document", content=document) for document in documents)

    assert [(Text(content="a"),), (Text(content="b"),), (Text(content="c"), *told), (Text(content="d"),)] == [
        message.parts for message in decoded.input.messages
    ]
    assert 4 == decoded.input.count


def test_documents_without_a_user_are_not_lost(asked):
    """They are a turn of their own then."""
    assert (Message(role="user", parts=(Generic(generic_type="document", content="d"),)),) == asked(
        messages=[], documents=["d"]
    ).input.messages


def test_tools_are_named_in_the_order_they_were_offered(asked):
    """With their schema."""
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}, None]

    assert (ToolDefinition(type="function", name="f", description="d", parameters={"type": "object"}),) == asked(
        tools=tools
    ).tool.definitions


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"type": "json_object", "json_schema": {"type": "object"}}, ("json", {"type": "object"})),
        ({"type": "json_object", "schema": {"type": "object"}}, ("json", {"type": "object"})),
        ({"type": "json_object"}, ("json", None)),
        ({"type": "text"}, ("text", None)),
        (None, (None, None)),
    ],
)
def test_the_kind_of_answer_asked_for(asked, form, expected):
    """And its schema."""
    output = asked(response_format=form).output

    assert expected == (output.type, output.schema)


# The plain answer


def test_a_plain_answer(cohere):
    """Who answered, what, why it stopped. The model is not told."""
    decoded = decode(cohere(answer()))

    assert (Message(role="assistant", parts=(Text(content="a"),), finish_reason="stop"),) == decoded.output.messages
    assert ("c-1", None, ("stop",), ("COMPLETE",), "ok", True) == (
        decoded.response.id,
        decoded.response.model,
        decoded.response.finish_reasons,
        decoded.wire.finish_reasons,
        decoded.status,
        decoded.wire.complete,
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("ERROR_LIMIT", "length"),
        ("TOOL_CALL", "tool_call"),
        ("ERROR_TOXIC", "content_filter"),
        ("ERROR", "error"),
        ("TIMEOUT", "error"),
        ("USER_CANCEL", "error"),
    ],
)
def test_finish_reasons_are_mapped(cohere, raw, expected):
    """To the convention's six words; the wire's own is kept."""
    decoded = decode(cohere(answer(finish_reason=raw)))

    assert ((expected,), (raw,)) == (decoded.response.finish_reasons, decoded.wire.finish_reasons)


def test_tool_calls_have_a_plan_which_is_a_thought(said):
    """It is no text of the answer."""
    calls = [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}, {"id": "u", "function": {"name": "g"}}]

    assert (Reasoning(content="I will."), ToolCall(id="t", name="f", arguments={}), ToolCall(id="u", name="g")) == said(
        tool_plan="I will.", tool_calls=calls
    )


@pytest.mark.parametrize(
    ("citations", "expected"),
    [
        pytest.param([CITATION], [(CITATION,), ()], id="without a place: the first text"),
        pytest.param([CITATION | {"content_index": 2}], [(), (CITATION | {"content_index": 2},)], id="in the second text"),
        pytest.param([CITATION | {"type": "PLAN"}, CITATION | {"type": "THINKING_CONTENT", "content_index": 0}], [(), ()], id="of no text"),
        pytest.param([CITATION | {"content_index": 9}, None, 7], [(), ()], id="of nothing"),
        pytest.param(None, [(), ()], id="none"),
    ],
)
def test_a_text_has_the_citations_it_stands_on(said, citations, expected):
    """Each with its sources, as they were sent."""
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    parts = said(content=content, citations=citations)

    assert (Reasoning(content="hm"), *expected) == (parts[0], parts[1].citations, parts[2].citations)


def test_a_block_of_a_new_kind_is_kept(said):
    """By its type."""
    assert (Generic(generic_type="novel", content={"said": 1}),) == said(
        content=[{"type": "novel", "said": 1}, {"type": "text", "text": ""}]
    )


def test_an_answer_without_a_message_has_none(cohere):
    """Nothing is made up."""
    decoded = decode(cohere({"id": "c-1"}))

    assert ((), ()) == (decoded.output.messages, decoded.response.finish_reasons)


# Counts


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(
            {
                "billed_units": {"input_tokens": 8, "output_tokens": 35},
                "tokens": {"input_tokens": 503, "output_tokens": 36},
                "cached_tokens": 480,
            },
            Usage(
                input_tokens=503,
                output_tokens=36,
                cache_read=InputTokens(input_tokens=480),
                billed=Billed(input_tokens=8, output_tokens=35),
            ),
            id="both: what was read and written, what is charged for beside",
        ),
        pytest.param(
            {"billed_units": {"input_tokens": 8.0, "output_tokens": 35.0}, "tokens": {"input_tokens": 8.0, "output_tokens": 35.0}},
            Usage(input_tokens=8, output_tokens=35),
            id="both the same",
        ),
        pytest.param({"billed_units": {"input_tokens": 8, "output_tokens": 35}}, Usage(input_tokens=8, output_tokens=35), id="billed only"),
        pytest.param({"tokens": {"input_tokens": 8}}, Usage(input_tokens=8), id="read only"),
        pytest.param(
            {"billed_units": {"input_tokens": 265}, "tokens": {"input_tokens": 502, "image_tokens": 259}},
            Usage(input_tokens=761, image=Modality(input_tokens=259), billed=Billed(input_tokens=265)),
            id="pictures stand beside",
        ),
        pytest.param(
            {"billed_units": {"input_tokens": 1, "output_tokens": 2, "search_units": 3, "classifications": 0}},
            Usage(input_tokens=1, output_tokens=2, billed=Billed(search_units=3)),
            id="searches",
        ),
        pytest.param({}, Usage(), id="empty"),
        pytest.param(None, Usage(), id="none"),
    ],
)
def test_tokens(cohere, usage, expected):
    """The totals are what the model read and wrote, for the cached tokens are in those."""
    assert expected == decode(cohere(answer(usage=usage))).usage


# Errors


def test_an_error_goes_by_its_status(cohere):
    """Cohere has words for it, and no type."""
    decoded = decode(cohere({"id": "e-1", "message": "model 'x' not found"}, status_code=404))

    assert (Error(type="404", message="model 'x' not found"), "error", True) == (decoded.error, decoded.status, decoded.wire.complete)


def test_a_gateways_error_under_200_is_one(cohere):
    """In the form that all the others have."""
    assert Error(type="overloaded", message="m") == decode(cohere({"error": {"type": "overloaded", "message": "m"}})).error


# Streams


def test_a_stream_is_folded(cohere, chat_events):
    """Into what a plain answer would have been."""
    decoded = decode(cohere(chat_events))
    text = decoded.output.messages[0].parts[1]

    assert (
        Reasoning(content="hm …"),
        Text(content="Grüße, 世界 🌍\u2028", citations=text.citations),
        Reasoning(content="I will look."),
        ToolCall(id="look_1", name="look", arguments={"at": "it"}),
        ToolCall(id="go_1", name="go", arguments={}),
    ) == decoded.output.messages[0].parts
    assert ["Grüße"] == [citation["text"] for citation in text.citations]
    assert (
        Usage(input_tokens=500, output_tokens=20, cache_read=InputTokens(input_tokens=480), billed=Billed(input_tokens=3, output_tokens=9))
        == decoded.usage
    )
    assert ("c-1", ("tool_call",), "ok", True) == (
        decoded.response.id,
        decoded.response.finish_reasons,
        decoded.status,
        decoded.wire.complete,
    )


def test_a_stream_that_fails_says_why(streamed):
    """The message ends with an error: its type is the finest word there is."""
    end = {"finish_reason": "ERROR", "usage": {}, "error": "invalid tool generation"}
    start = {"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant"}}}

    for members, expected in (({"error_type": "INVALID_TOOL_GENERATION"}, "INVALID_TOOL_GENERATION"), ({}, "ERROR")):
        decoded = streamed(start, {"type": "message-end", "delta": end | members}, "[DONE]")
        assert (Error(type=expected, message="invalid tool generation"), "error") == (decoded.error, decoded.status)
        assert (("error",), ("ERROR",)) == (decoded.response.finish_reasons, decoded.wire.finish_reasons)


@pytest.mark.parametrize("failure", [{"message": "m"}, {"error": {"message": "m"}}, {"type": "novel", "error": "m"}])
def test_an_error_between_events_keeps_what_was_said(streamed, failure):
    """Whatever form it has."""
    delta = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "par"}}}}
    decoded = streamed(delta, failure if "type" in failure else failure | {"type": ""})

    assert ("m", "error", (Text(content="par"),)) == (decoded.error.message, decoded.status, decoded.output.messages[0].parts)


def test_a_stream_without_its_end_is_truncated(streamed):
    """The text so far, no reason, no counts."""
    start = {"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant"}}}
    decoded = streamed(start, {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "par"}}}})

    assert ("truncated", False, ("error",), ()) == (
        decoded.status,
        decoded.wire.complete,
        decoded.response.finish_reasons,
        decoded.wire.finish_reasons,
    )
    assert (Message(role="assistant", parts=(Text(content="par"),), finish_reason="error"),) == decoded.output.messages
    assert Usage() == decoded.usage


def test_a_stream_that_says_nothing_has_no_message(streamed):
    """An event without a delta is none of it."""
    decoded = streamed({"type": "debug", "prompt": "<BOS>"})

    assert ((), "truncated") == (decoded.output.messages, decoded.status)


def test_the_first_content_has_its_time(cohere, events):
    """Neither the start nor an empty piece is content; a plan is."""
    several = [
        {"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I"}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
    ]
    decoded = decode(cohere(b"", chunks=[events(each) for each in several], chunk_times=[10, 20, 30, 40]))

    assert (10, 30) == (decoded.first_chunk_at, decoded.first_content_at)


def test_events_that_cannot_be_read_are_counted(streamed):
    """The rest is read all the same."""
    delta = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "a"}}}}
    decoded = streamed(delta, "{broken", "7", {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}})

    assert ("a", "1 event is no JSON", "ok") == (decoded.output.messages[0].parts[0].content, decoded.wire.reason, decoded.status)
