"""Bedrock's InvokeModel: the envelope around the bodies of the families, plain and streamed."""

import base64

import pytest

from llm_observe.records import CallRequest, Error, InputTokens, Message, OutputTokens, Text, ToolCall, Usage
from llm_observe.wire import decode

COUNTS = {
    "x-amzn-bedrock-input-token-count": "5",
    "x-amzn-bedrock-output-token-count": "7",
    "x-amzn-bedrock-cache-read-input-token-count": "3",
    "x-amzn-bedrock-cache-write-input-token-count": "2",
    "x-amzn-bedrock-invocation-latency": "850",
}
CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
PROMPT = {"prompt": "hi", "max_gen_len": 9}
METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 7, "invocationLatency": 850}}


@pytest.fixture
def invoked(bedrock):
    """What is decoded of a plain answer."""
    return lambda answer, request=CLAUDE, **changes: decode(bedrock(answer, request, verb="invoke", **changes))


@pytest.fixture
def streamed(bedrock, chunk):
    """What is decoded of what the model said piece by piece."""

    def decoded(*several, request=CLAUDE, before=b"", behind=b"", **changes):
        data = before + b"".join(map(chunk, several)) + behind
        return decode(bedrock(data, request, verb="invoke-with-response-stream", **changes))

    return decoded


# The envelope


def test_what_stands_in_address_and_headers_is_told(bedrock):
    """The model, the guardrail, the tier; the request's id."""
    headers = {"x-amzn-bedrock-guardrailidentifier": "g1", "x-amzn-bedrock-service-tier": "flex"}
    decoded = decode(
        bedrock(
            {"generation": "a"},
            PROMPT,
            verb="invoke",
            model="meta.llama-x%3A0",
            request_headers=headers,
            response_headers={"x-amzn-requestid": "r", "x-amzn-bedrock-service-tier": "default"},
        )
    )

    assert CallRequest(model="meta.llama-x:0", max_tokens=9, guardrail="g1", service_tier="flex") == decoded.request
    assert ("r", "default", "bedrock.invoke") == (decoded.provider_request_id, decoded.response.service_tier, decoded.wire.format)


def test_a_stream_is_asked_for_by_the_path(bedrock):
    """Whatever the body says."""
    request = PROMPT | {"stream": True}

    assert None is decode(bedrock({}, request, verb="invoke")).request.stream
    assert decode(bedrock({}, request, verb="invoke-with-response-stream")).request.stream


def test_tokens_are_taken_from_headers_where_the_body_has_none(invoked):
    """With the cached ones in the input; and so is the time it took."""
    decoded = invoked({"outputs": [{"text": "a", "stop_reason": "stop"}]}, {"prompt": "hi"}, response_headers=COUNTS)

    assert (
        Usage(input_tokens=10, output_tokens=7, cache_read=InputTokens(input_tokens=3), cache_write=InputTokens(input_tokens=2))
        == decoded.usage
    )
    assert 0.85 == decoded.processing_time


def test_the_bodys_tokens_come_first(invoked):
    """The headers fill what is missing."""
    answer = {"output": {"message": {"role": "assistant", "content": []}}, "usage": {"inputTokens": 1}}

    assert Usage(input_tokens=1, output_tokens=7) == invoked(answer, response_headers=COUNTS).usage


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "９", "9" * 99])
def test_headers_that_are_no_counts_are_none(invoked, value):
    """They come from whoever answered."""
    assert Usage() == invoked({"completion": "a"}, response_headers={"x-amzn-bedrock-input-token-count": value}).usage


def test_a_streams_tokens_are_in_its_last_event(streamed):
    """With the time it took; they end it, too."""
    cached = {**METRICS["amazon-bedrock-invocationMetrics"], "cacheReadInputTokenCount": 3, "cacheWriteInputTokenCount": 2}
    decoded = streamed({"novelty": "a"}, {"amazon-bedrock-invocationMetrics": cached}, request={"prompt": "hi"})

    assert (
        Usage(input_tokens=10, output_tokens=7, cache_read=InputTokens(input_tokens=3), cache_write=InputTokens(input_tokens=2))
        == decoded.usage
    )
    assert (0.85, "ok", True) == (decoded.processing_time, decoded.status, decoded.wire.complete)


def test_an_exception_inside_a_stream_keeps_what_was_said(streamed, frame):
    """Partial text, the provider's type."""
    raised = frame("modelTimeoutException", {"message": "late"}, message_type="exception")
    decoded = streamed({"generation": "par"}, request=PROMPT, behind=raised)

    assert (Error(type="ModelTimeoutException", message="late"), "error") == (decoded.error, decoded.status)
    assert (Text(content="par"),) == decoded.output.messages[0].parts


def test_an_exception_may_come_first(streamed, frame):
    """The family shows in the next event all the same."""
    raised = frame("throttlingException", {"message": "slow"}, message_type="exception")
    decoded = streamed({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "a"}}}, before=raised)

    assert ("ThrottlingException", (Text(content="a"),)) == (decoded.error.type, decoded.output.messages[0].parts)


@pytest.mark.parametrize("payload", [{"bytes": "!é"}, {"bytes": base64.b64encode(b"{broken").decode()}])
def test_chunks_that_cannot_be_unpacked_are_counted(streamed, frame, payload):
    """The rest is read all the same."""
    decoded = streamed({"generation": "a", "stop_reason": "stop"}, request=PROMPT, before=frame("chunk", payload))

    assert ("1 event is no JSON", (Text(content="a"),)) == (decoded.wire.reason, decoded.output.messages[0].parts)


def test_a_gateway_may_have_unpacked_the_stream(bedrock, events):
    """Then its events are the model's own."""
    data = events({"generation": "a"}, {"generation": "b", "stop_reason": "stop"} | METRICS)
    decoded = decode(
        bedrock(
            data,
            PROMPT,
            verb="invoke-with-response-stream",
            response_headers={"content-type": "text/event-stream"},
            host="https://gw.example",
        )
    )

    assert ((Text(content="ab"),), 5) == (decoded.output.messages[0].parts, decoded.usage.input_tokens)


def test_the_first_content_is_the_event_it_came_in(bedrock, chunk, frame):
    """Whatever its place among the model's own."""
    pieces = [frame("novelty"), chunk({"messageStart": {}}), chunk({"contentBlockDelta": {"delta": {"text": "a"}}})]
    decoded = decode(bedrock(b"", CLAUDE, verb="invoke-with-response-stream", chunks=pieces, chunk_times=[1, 2, 3]))

    assert (1, 3) == (decoded.first_chunk_at, decoded.first_content_at)


# Claude


def test_claude_is_read_as_at_home(invoked):
    """But its model is in the address."""
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": "a"}, {"type": "tool_use", "id": "t", "name": "f", "input": {}}],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
    }
    decoded = invoked(answer, CLAUDE | {"system": "be kind"}, response_headers=COUNTS)

    assert (
        Message(role="assistant", parts=(Text(content="a"), ToolCall(id="t", name="f", arguments={})), finish_reason="tool_call"),
    ) == decoded.output.messages
    assert (
        Usage(input_tokens=8, output_tokens=9, cache_read=InputTokens(input_tokens=3), reasoning=OutputTokens(output_tokens=4))
        == decoded.usage
    )
    assert ("msg_1", "claude-x", "chat") == (decoded.response.id, decoded.response.model, decoded.operation.name)
    assert ((Text(content="be kind"),), 1, "anthropic.claude-x-v1:0") == (
        decoded.system_instructions,
        decoded.input.count,
        decoded.request.model,
    )


def test_claudes_stream_is_folded(bedrock, claude_stream):
    """As at home; ended by its own end."""
    decoded = decode(bedrock(claude_stream, CLAUDE, verb="invoke-with-response-stream"))

    assert (Message(role="assistant", parts=(Text(content="Grüße, 世界 🌍\u2028"),), finish_reason="stop"),) == decoded.output.messages
    assert (Usage(input_tokens=5, output_tokens=9), "ok", True, "bedrock.invoke_stream") == (
        decoded.usage,
        decoded.status,
        decoded.wire.complete,
        decoded.wire.format,
    )


def test_claudes_own_error_in_a_stream_is_one(streamed):
    """Under 200, as at home."""
    decoded = streamed({"type": "error", "error": {"type": "overloaded_error", "message": "m"}})

    assert (Error(type="overloaded_error", message="m"), "error") == (decoded.error, decoded.status)


def test_claude_without_a_version_is_known_by_its_id(bedrock):
    """Bedrock refuses it, but that is what was asked."""
    request = {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "system": "be kind", "max_tokens": 9}
    decoded = decode(bedrock({"message": "m"}, request, verb="invoke", status_code=400))

    assert (Text(content="be kind"),) == decoded.system_instructions
