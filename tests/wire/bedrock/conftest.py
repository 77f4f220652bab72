"""Exchanges with Bedrock, made by hand, and the streams that have everything in them."""

import base64
import json

import pytest

HOST = "https://bedrock-runtime.us-east-1.amazonaws.com"
STREAM = {"content-type": "application/vnd.amazon.eventstream"}


@pytest.fixture(scope="session")
def bedrock(openai):
    """An exchange with Bedrock: the answer, the request, the verb, and what is to be different. Answers in bytes are event streams."""

    def make(answer=None, request=None, *, verb="converse", model="anthropic.claude-x-v1%3A0", host=HOST, **changes):
        if isinstance(answer, bytes):
            changes.setdefault("response_headers", STREAM)
        return openai(
            answer, request or {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, url=f"{host}/model/{model}/{verb}", **changes
        )

    return make


@pytest.fixture(scope="session")
def chunk(frame):
    """An event of InvokeModel's streams: what the model says, packed."""
    return lambda inner: frame("chunk", {"bytes": base64.b64encode(json.dumps(inner).encode()).decode(), "p": "abc"})


@pytest.fixture(scope="session")
def converse_stream(frame) -> bytes:
    """A stream of Converse's with everything in it: thoughts, text, a tool call, usage."""

    def delta(index: int, **told) -> bytes:
        return frame("contentBlockDelta", {"contentBlockIndex": index, "delta": told, "p": "abcdef"})

    return b"".join(
        [
            frame("messageStart", {"role": "assistant", "p": "ab"}),
            delta(0, reasoningContent={"text": "hm "}),
            delta(0, reasoningContent={"text": "…"}),
            delta(0, reasoningContent={"signature": "c2VjcmV0"}),
            frame("contentBlockStop", {"contentBlockIndex": 0}),
            delta(1, text="Grüße, "),
            delta(1, text="世界 🌍\u2028"),
            frame("contentBlockStop", {"contentBlockIndex": 1}),
            frame("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t", "name": "look"}}}),
            delta(2, toolUse={"input": '{"at":'}),
            delta(2, toolUse={"input": ' "it"}'}),
            frame("contentBlockStop", {"contentBlockIndex": 2}),
            frame("messageStop", {"stopReason": "tool_use"}),
            frame(
                "metadata",
                {
                    "usage": {
                        "inputTokens": 5,
                        "outputTokens": 20,
                        "totalTokens": 30,
                        "cacheReadInputTokens": 3,
                        "cacheReadInputTokenCount": 3,
                        "cacheWriteInputTokens": 2,
                    },
                    "metrics": {"latencyMs": 850},
                },
            ),
        ]
    )


@pytest.fixture(scope="session")
def claude_stream(chunk) -> bytes:
    """A stream of InvokeModel's with Anthropic's events in it."""
    return b"".join(
        chunk(event)
        for event in [
            {
                "type": "message_start",
                "message": {"id": "msg_1", "model": "claude-x", "role": "assistant", "content": [], "usage": {"input_tokens": 5}},
            },
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße, "}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "世界 🌍\u2028"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
            {
                "type": "message_stop",
                "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 9, "invocationLatency": 850},
            },
        ]
    )
