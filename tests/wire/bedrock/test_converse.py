"""Bedrock's Converse: what the request and the answer say, plain and streamed."""

import base64
import hashlib

import pytest

from llm_observe.records import (
    Blob,
    CallRequest,
    Error,
    Generic,
    InputTokens,
    Message,
    Prompt,
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
PLACE = {"s3Location": {"uri": "s3://bucket/key", "bucketOwner": "111122223333"}}
CITATION = {
    "title": "t",
    "sourceContent": [{"text": "the source"}],
    "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 2}},
}


def body(**members) -> dict:
    """A request with these members."""
    return {"messages": [{"role": "user", "content": [{"text": "hi"}]}]} | members


def answer(*blocks: dict, **members) -> dict:
    """A whole answer of these."""
    return {
        "output": {"message": {"role": "assistant", "content": list(blocks)}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12},
        "metrics": {"latencyMs": 850},
    } | members


@pytest.fixture
def asked(bedrock):
    """What is decoded of a request."""
    return lambda request, **changes: decode(bedrock({}, request, **changes))


@pytest.fixture
def sent(asked):
    """The parts of a request's only message."""
    return lambda *blocks: asked(body(messages=[{"role": "user", "content": list(blocks)}])).input.messages[0].parts


@pytest.fixture
def said(bedrock):
    """The parts of an answer."""
    return lambda *blocks: decode(bedrock(answer(*blocks))).output.messages[0].parts


@pytest.fixture
def streamed(bedrock, frame):
    """What is decoded of events, each a type and what it says."""
    return lambda *several, **changes: decode(
        bedrock(b"".join(frame(kind, told) for kind, told in several), verb="converse-stream", **changes)
    )


def delta(index: int, **told) -> tuple[str, dict]:
    """A delta of a block."""
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": told}


START = ("messageStart", {"role": "assistant"})
STOP = ("messageStop", {"stopReason": "end_turn"})
METADATA = ("metadata", {"usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}, "metrics": {"latencyMs": 850}})


# The request


def test_parameters_keep_the_values_that_were_sent(asked):
    """Under the convention's names."""
    request = body(
        inferenceConfig={"maxTokens": 9, "temperature": 1, "topP": 0.9, "stopSequences": ["a", 7]},
        serviceTier={"type": "flex"},
        guardrailConfig={"guardrailIdentifier": "g1", "guardrailVersion": "1"},
        additionalModelRequestFields={"top_k": 40, "seed": 3, "frequency_penalty": 0.5, "presence_penalty": 0.25},
        outputConfig={"effort": "high"},
    )

    assert (
        CallRequest(
            model="anthropic.claude-x-v1:0",
            max_tokens=9,
            temperature=1.0,
            top_p=0.9,
            top_k=40,
            frequency_penalty=0.5,
            presence_penalty=0.25,
            stop_sequences=("a",),
            seed=3,
            reasoning=ReasoningRequest(level="high"),
            service_tier="flex",
            guardrail="g1",
        )
        == asked(request).request
    )


@pytest.mark.parametrize(
    "more",
    [
        {"output_config": {"effort": "high"}},
        {"reasoning_effort": "high"},
        {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
        {"reasoning_config": "high"},
    ],
    ids=["Anthropic's", "OpenAI's", "Nova's", "DeepSeek's"],
)
def test_how_hard_to_think_is_in_each_makers_words(asked, more):
    """They pass through fields that Bedrock does not look at."""
    assert ReasoningRequest(level="high") == asked(body(additionalModelRequestFields=more)).request.reasoning


def test_a_budget_for_thoughts_is_no_level(asked):
    """The convention has the words only."""
    more = {"thinking": {"type": "enabled", "budget_tokens": 1024}}

    assert None is asked(body(additionalModelRequestFields=more)).request.reasoning


@pytest.mark.parametrize("more", [{"topK": 20}, {"inferenceConfig": {"topK": 20}}, {"k": 20}])
def test_top_k_is_in_each_makers_words(asked, more):
    """Converse has no place of its own for it."""
    assert 20 == asked(body(additionalModelRequestFields=more)).request.top_k


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("anthropic.claude-x-v1%3A0", "anthropic.claude-x-v1:0"),
        ("us.amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0"),
        (
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A012345678901%3Ainference-profile%2Fus.anthropic.claude-x",
            "arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.anthropic.claude-x",
        ),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.t", "arn:aws:bedrock:us-east-1::foundation-model/amazon.t"),
    ],
)
def test_the_model_is_in_the_path(asked, model, expected):
    """Whole, its signs decoded."""
    assert expected == asked(body(), model=model).request.model


def test_a_template_may_stand_for_the_model(asked):
    """Bedrock keeps it; its variables come with the request."""
    arn = "arn:aws:bedrock:us-west-2:111122223333:prompt/ABCDE12345"
    variables = {"promptVariables": {"topic": {"text": "cats"}}}

    assert Prompt(name="ABCDE12345", version="3") == asked(variables, model=f"{arn}:3").prompt
    assert Prompt(name="ABCDE12345") == asked(variables, model=arn).prompt
    assert None is asked(body()).prompt


def test_a_stream_is_asked_for_by_the_path(asked):
    """The body does not say so."""
    assert None is asked(body()).request.stream
    assert asked(body(), verb="converse-stream").request.stream


def test_the_system_field_is_not_a_message(asked):
    """It is counted apart; where the cache is to begin is nothing said."""
    system = [
        {"text": "a"},
        {"cachePoint": {"type": "default"}},
        {"guardContent": {"text": {"text": "b", "qualifiers": ["guard_content"]}}},
    ]
    decoded = asked(body(system=system))

    assert ((Text(content="a"), Text(content="b")), 1) == (decoded.system_instructions, decoded.input.count)
    assert (Text(content="a"),) == asked(body(system="a")).system_instructions


def test_messages_keep_their_roles_and_order(asked):
    """What is none is counted, and says nothing."""
    messages = [
        {"role": "user", "content": [{"text": "a"}, {"text": ""}, "not a block"]},
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {"x": 1}}}]},
    ]
    decoded = asked(body(messages=[*messages, 7]))

    assert 3 == decoded.input.count
    assert (
        Message(role="user", parts=(Text(content="a"),)),
        Message(role="assistant", parts=(ToolCall(id="t", name="f", arguments={"x": 1}),)),
    ) == decoded.input.messages


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"image": {"format": "png", "source": {"bytes": B64}}}, Blob(modality="image", mime_type="image/png", **BLOB)),
        ({"image": {"format": "png", "source": PLACE}}, Uri(modality="image", uri="s3://bucket/key", mime_type="image/png")),
        (
            {"document": {"format": "pdf", "name": "d", "source": {"bytes": B64}}},
            Blob(modality="document", mime_type="application/pdf", **BLOB),
        ),
        (
            {"document": {"format": "md", "name": "d", "source": PLACE}},
            Uri(modality="document", uri="s3://bucket/key", mime_type="text/markdown"),
        ),
        ({"document": {"format": "txt", "name": "d", "source": {"text": "a"}}}, Text(content="a")),
        ({"document": {"name": "d", "source": {"content": [{"text": "a"}]}}}, Text(content="a")),
        ({"document": {"format": "odd", "source": {"bytes": B64}}}, Blob(modality="document", mime_type="application/odd", **BLOB)),
        ({"video": {"format": "three_gp", "source": {"bytes": B64}}}, Blob(modality="video", mime_type="video/3gpp", **BLOB)),
        ({"video": {"format": "mp4", "source": PLACE}}, Uri(modality="video", uri="s3://bucket/key", mime_type="video/mp4")),
        ({"audio": {"format": "mp3", "source": {"bytes": B64}}}, Blob(modality="audio", mime_type="audio/mpeg", **BLOB)),
        ({"audio": {"source": {"bytes": B64}}}, Blob(modality="audio", **BLOB)),
        ({"image": {"error": {"message": "m"}}}, Generic(generic_type="image", content={"error": {"message": "m"}})),
        ({"guardContent": {"text": {"text": "a"}}}, Text(content="a")),
        ({"guardContent": {"image": {"format": "png", "source": {"bytes": B64}}}}, Blob(modality="image", mime_type="image/png", **BLOB)),
        ({"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2VjcmV0"}}}, Reasoning(content="hm")),
        ({"reasoningContent": {"redactedContent": "c2VjcmV0"}}, Generic(generic_type="redactedContent")),
        (
            {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": [CITATION]}},
            Text(content="ab", citations=(CITATION,)),
        ),
        (
            {"searchResult": {"source": "s", "title": "t", "content": [{"text": "a"}]}},
            Generic(generic_type="searchResult", content={"source": "s", "title": "t", "content": [{"text": "a"}]}),
        ),
        ({"toolAddition": {"tool": {"name": "f"}}}, Generic(generic_type="toolAddition", content={"tool": {"name": "f"}})),
        ({"novel": {"said": 1, "signature": "c2VjcmV0"}}, Generic(generic_type="novel", content={"said": 1})),
    ],
)
def test_blocks(sent, block, expected):
    """A block's only member says what it is; media are told of, not kept; what only the provider can read is left out."""
    assert (expected,) == sent(block)


@pytest.mark.parametrize(
    "block",
    [
        {"text": ""},
        {"cachePoint": {"type": "default"}},
        {"reasoningContent": {}},
        {"reasoningContent": {"reasoningText": {"text": ""}}},
        {"citationsContent": {"content": [], "citations": [CITATION]}},
        {"guardContent": {}},
        {},
    ],
)
def test_blocks_that_say_nothing(sent, block):
    """They are no parts."""
    assert () == sent(block)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        pytest.param({"content": [{"text": "42"}]}, "42", id="one text"),
        pytest.param({"content": [{"json": {"x": 1}}]}, {"x": 1}, id="one JSON"),
        pytest.param({"content": []}, [], id="nothing in a list"),
        pytest.param({}, "", id="nothing"),
        pytest.param({"content": "42"}, "42", id="a string"),
        pytest.param({"content": [{"text": "no"}], "status": "error"}, {"is_error": True, "content": "no"}, id="a failure"),
        pytest.param({"content": [{"text": "yes"}], "status": "success"}, "yes", id="a success"),
        pytest.param(
            {"content": [{"text": "a"}, {"json": [1]}, {"image": {"format": "png", "source": {"bytes": B64}}}]},
            ["a", [1], {"type": "blob", "modality": "image", "mime_type": "image/png", **BLOB}],
            id="several, media without their bytes",
        ),
        pytest.param(
            {"content": [{"image": {"format": "png", "source": {"bytes": B64}}}]},
            {"type": "blob", "modality": "image", "mime_type": "image/png", **BLOB},
            id="a picture",
        ),
    ],
)
def test_what_a_tool_answered(sent, result, expected):
    """As it was sent."""
    assert (ToolCallResponse(id="t", response=expected),) == sent({"toolResult": {"toolUseId": "t", **result}})


def test_tools_are_named_in_the_order_they_were_offered(asked):
    """The application's, Bedrock's own, and those of the model's maker."""
    tools = [
        {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}}}},
        {"cachePoint": {"type": "default"}},
        {"toolSpec": {"name": "g"}},
        {"systemTool": {"name": "nova_grounding"}},
        None,
    ]
    more = {"tools": [{"type": "computer_20241022", "name": "computer"}, 7]}

    assert (
        ToolDefinition(type="function", name="f", description="d", parameters={"type": "object"}),
        ToolDefinition(type="function", name="g"),
        ToolDefinition(type="system", name="nova_grounding"),
        ToolDefinition(type="computer_20241022", name="computer"),
    ) == asked(body(toolConfig={"tools": tools}, additionalModelRequestFields=more)).tool.definitions


def test_the_schema_asked_for_is_text_on_the_wire(asked):
    """And JSON in the record."""
    schema = {"name": "n", "schema": '{"type": "object"}'}
    decoded = asked(body(outputConfig={"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}))

    assert ("json", {"type": "object"}) == (decoded.output.type, decoded.output.schema)
    assert None is asked(body()).output.type


# The plain answer


def test_a_plain_answer(bedrock):
    """What was said and why it ended; cached tokens are in the input although the wire has them beside it, by two names."""
    counts = {
        "inputTokens": 5,
        "outputTokens": 20,
        "totalTokens": 30,
        "cacheReadInputTokens": 3,
        "cacheReadInputTokenCount": 3,
        "cacheWriteInputTokens": 2,
        "cacheWriteInputTokenCount": 2,
    }
    decoded = decode(bedrock(answer({"text": "a"}, usage=counts, serviceTier={"type": "flex"}), response_headers={"x-amzn-requestid": "r"}))

    assert (Message(role="assistant", parts=(Text(content="a"),), finish_reason="stop"),) == decoded.output.messages
    assert (
        Usage(input_tokens=10, output_tokens=20, cache_read=InputTokens(input_tokens=3), cache_write=InputTokens(input_tokens=2))
        == decoded.usage
    )
    assert ("r", 0.85, "flex") == (decoded.provider_request_id, decoded.processing_time, decoded.response.service_tier)
    assert ("ok", True, ("end_turn",)) == (decoded.status, decoded.wire.complete, decoded.wire.finish_reasons)
    assert (None, None) == (decoded.response.id, decoded.response.model)


def test_cached_tokens_may_be_unknown(bedrock):
    """Then the input is what is said; by the other name they count too."""
    assert Usage(input_tokens=5, output_tokens=7) == decode(bedrock(answer())).usage
    usage = decode(bedrock(answer(usage={"inputTokens": 5, "cacheReadInputTokenCount": 3}))).usage

    assert Usage(input_tokens=8, cache_read=InputTokens(input_tokens=3)) == usage


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_call"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_model_output", "error"),
        ("malformed_tool_use", "error"),
    ],
)
def test_stop_reasons_are_mapped(bedrock, raw, expected):
    """To the convention's words; the wire's own is kept."""
    decoded = decode(bedrock(answer(stopReason=raw)))

    assert ((expected,), (raw,)) == (decoded.response.finish_reasons, decoded.wire.finish_reasons)


def test_a_router_tells_which_model_it_chose(bedrock):
    """The only place where Converse does."""
    decoded = decode(bedrock(answer(trace={"promptRouter": {"invokedModelId": "arn:m"}})))

    assert "arn:m" == decoded.response.model


def test_tools_that_bedrock_runs_are_no_calls_for_the_application(said):
    """Nor are their results."""
    result = {"toolUseId": "t", "type": "nova_code_interpreter_result", "status": "error", "content": [{"json": {"stdOut": "1"}}]}
    parts = said(
        {"toolUse": {"toolUseId": "t", "name": "nova_code_interpreter", "type": "server_tool_use", "input": {"snippet": "1"}}},
        {"toolResult": result},
        {"toolUse": {"toolUseId": "u", "name": "f", "type": "tool_use", "input": {}}},
    )

    assert (
        ServerToolCall(id="t", name="nova_code_interpreter", server_tool_call={"type": "nova_code_interpreter", "input": {"snippet": "1"}}),
        ServerToolCallResponse(
            id="t",
            server_tool_call_response={"type": "nova_code_interpreter_result", "content": [{"json": {"stdOut": "1"}}], "is_error": True},
        ),
        ToolCall(id="u", name="f", arguments={}),
    ) == parts


# Streams


def test_a_stream_is_folded(bedrock, converse_stream):
    """Into what a plain answer would have been."""
    decoded = decode(bedrock(converse_stream, verb="converse-stream"))

    assert (
        Message(
            role="assistant",
            parts=(Reasoning(content="hm …"), Text(content="Grüße, 世界 🌍\u2028"), ToolCall(id="t", name="look", arguments={"at": "it"})),
            finish_reason="tool_call",
        ),
    ) == decoded.output.messages
    assert (
        Usage(input_tokens=10, output_tokens=20, cache_read=InputTokens(input_tokens=3), cache_write=InputTokens(input_tokens=2))
        == decoded.usage
    )
    assert ("bedrock.converse_stream", "chat", "ok", True, 0.85) == (
        decoded.wire.format,
        decoded.operation.name,
        decoded.status,
        decoded.wire.complete,
        decoded.processing_time,
    )


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        pytest.param([delta(0, text="a"), delta(0, text="b")], (Text(content="ab"),), id="text"),
        pytest.param([delta(0, text="a"), delta(1, text="b"), delta(2, text="")], (Text(content="ab"),), id="a block for each piece"),
        pytest.param(
            [delta(0, text="a"), delta(1, text="b"), delta(1, citation=CITATION), delta(2, text="c")],
            (Text(content="a"), Text(content="b", citations=(CITATION,)), Text(content="c")),
            id="cited text stands apart",
        ),
        pytest.param(
            [
                ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}),
                delta(0, toolUse={"input": ""}),
                ("contentBlockStop", {"contentBlockIndex": 0}),
            ],
            (ToolCall(id="t", name="f", arguments={}),),
            id="a call without arguments",
        ),
        pytest.param(
            [("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}})],
            (ToolCall(id="t", name="f"),),
            id="a call whose arguments never came",
        ),
        pytest.param(
            [delta(0, toolUse={"input": '{"a": '})], (ToolCall(name="", arguments='{"a": '),), id="a call cut, its start behind a gap"
        ),
        pytest.param(
            [delta(0, reasoningContent={"redactedContent": "c2VjcmV0"})], (Generic(generic_type="redactedContent"),), id="a hidden thought"
        ),
        pytest.param(
            [
                (
                    "contentBlockStart",
                    {"contentBlockIndex": 0, "start": {"toolResult": {"toolUseId": "t", "type": "r", "status": "success"}}},
                ),
                delta(0, toolResult=[{"json": {"x": 1}}]),
                delta(0, toolResult=[{"text": "y"}]),
            ],
            (ServerToolCallResponse(id="t", server_tool_call_response={"type": "r", "content": [{"json": {"x": 1}}, {"text": "y"}]}),),
            id="what Bedrock's own tool gave",
        ),
        pytest.param(
            [
                ("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}),
                delta(0, image={"source": {"bytes": base64.b64encode(DATA[:2]).decode()}}),
                delta(0, image={"source": {"bytes": base64.b64encode(DATA[2:]).decode()}}),
            ],
            (Blob(modality="image", mime_type="image/png", **BLOB),),
            id="a picture in pieces",
        ),
        pytest.param(
            [delta(0, image={"source": {"bytes": B64}})], (Blob(modality="image", **BLOB),), id="a picture whose start is behind a gap"
        ),
        pytest.param(
            [delta(0, image={"source": {"bytes": "!"}}), delta(0, image={"source": {"bytes": "é"}})],
            (Blob(modality="image", size=1),),
            id="a picture that is none",
        ),
        pytest.param([delta(1, text="b"), delta(0, text="a")], (Text(content="ab"),), id="in the order of their numbers"),
        pytest.param(
            [delta(0, reasoningContent={"text": "hm"}), delta(0, text="a")],
            (Reasoning(content="hm"), Text(content="a")),
            id="one number for two blocks",
        ),
    ],
)
def test_blocks_grow_by_their_deltas(streamed, several, expected):
    """Tool input is joined before it is parsed."""
    assert expected == streamed(START, *several, STOP, METADATA).output.messages[0].parts


def test_a_stream_cut_before_its_metadata_is_truncated(streamed):
    """Although it has its reason; the tokens are unknown."""
    decoded = streamed(START, delta(0, text="par"), STOP)

    assert ("truncated", False, ("stop",), Usage()) == (
        decoded.status,
        decoded.wire.complete,
        decoded.response.finish_reasons,
        decoded.usage,
    )


def test_a_stream_cut_in_the_middle_keeps_what_was_said(streamed):
    """The reason never came."""
    decoded = streamed(START, delta(0, text="par"))

    assert (Message(role="assistant", parts=(Text(content="par"),), finish_reason="error"),) == decoded.output.messages
    assert ("truncated", ()) == (decoded.status, decoded.wire.finish_reasons)


def test_a_stream_that_says_nothing_has_no_message(streamed):
    """Only something new."""
    decoded = streamed(("novelty", {}))

    assert ((), "truncated") == (decoded.output.messages, decoded.status)


def test_the_first_content_is_no_start(bedrock, converse_stream):
    """It is a thought, a text, a call's arguments."""
    exchange = bedrock(converse_stream, verb="converse-stream")
    exchange.chunks = [converse_stream[i : i + 1] for i in range(len(converse_stream))]
    exchange.chunk_times = list(range(len(converse_stream)))
    decoded = decode(exchange)

    assert decoded.first_chunk_at + 1 == int.from_bytes(converse_stream[:4])
    assert decoded.first_content_at > decoded.first_chunk_at


def test_each_event_counts_as_a_chunk(streamed):
    """Short ones too: none is a heartbeat."""
    decoded = streamed(START, delta(0, text="a"), STOP, METADATA, chunk_times=[7])

    assert (0, 0, 0) == decoded.response.chunk_gaps


@pytest.mark.parametrize(
    ("kind", "told", "expected"),
    [
        ("throttlingException", {"message": "slow"}, Error(type="ThrottlingException", message="slow")),
        (
            "modelStreamErrorException",
            {"message": "m", "originalStatusCode": 424, "originalMessage": "o"},
            Error(type="ModelStreamErrorException", message="m", code="424"),
        ),
        ("validationException", {}, Error(type="ValidationException")),
        ("serviceUnavailableException", b"not JSON", None),
    ],
)
def test_an_exception_inside_a_stream_keeps_what_was_said(bedrock, frame, kind, told, expected):
    """Partial text; the type as it is outside of streams."""
    data = frame("messageStart", {"role": "assistant"}) + frame(*delta(0, text="par")) + frame(kind, told, message_type="exception")
    decoded = decode(bedrock(data, verb="converse-stream"))

    assert (expected, "error" if expected else "truncated") == (decoded.error, decoded.status)
    assert (Text(content="par"),) == decoded.output.messages[0].parts


def test_an_error_of_the_protocol_is_one(bedrock, frame):
    """It has no payload, but headers."""
    data = frame("", message_type="error", **{":error-code": "InternalError", ":error-message": "bad"})

    assert Error(type="InternalError", message="bad") == decode(bedrock(data, verb="converse-stream")).error


def test_a_stream_with_a_gap_keeps_both_ends(bedrock, frame, converse_stream):
    """The usage is at the end."""
    decoded = decode(bedrock(converse_stream[:400], verb="converse-stream", tail=[converse_stream[-700:]]))

    assert ("response too long: middle left out", 10, "ok") == (decoded.wire.reason, decoded.usage.input_tokens, decoded.status)


def test_a_damaged_event_is_told(bedrock, converse_stream):
    """The rest is read."""
    broken = bytearray(converse_stream)
    broken[broken.index("世界".encode())] ^= 1
    decoded = decode(bedrock(bytes(broken), verb="converse-stream"))

    assert ("event stream damaged: 1 event left out", "ok") == (decoded.wire.reason, decoded.status)
    assert Text(content="Grüße, ") == decoded.output.messages[0].parts[1]


def test_events_that_cannot_be_read_are_counted(bedrock, frame, converse_stream):
    """The rest is read all the same."""
    decoded = decode(bedrock(frame("contentBlockDelta", b"{broken") + converse_stream, verb="converse-stream"))

    assert ("1 event is no JSON", "ok") == (decoded.wire.reason, decoded.status)
