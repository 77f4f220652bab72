"""Exchanges made by hand: a request and an answer at an address, cut into reads as the test likes."""

import json
import zlib
from collections.abc import Callable

import pytest

from llm_observe.records import Exchange

Make = Callable[..., Exchange]


def jsoned(document: object) -> bytes:
    """JSON, unless it is bytes already."""
    return document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()


def sse(*events: object, names: bool = False) -> bytes:
    """Events on the wire, each with its type as its name where the format does so."""
    lines = []
    for event in events:
        name = b"event: %s\n" % event["type"].encode() if names and isinstance(event, dict) else b""
        lines.append(name + b"data: " + (event.encode() if isinstance(event, str) else jsoned(event)) + b"\n\n")
    return b"".join(lines)


def framed(kind: str, payload: object = b"", *, message_type: str = "event", **headers: str) -> bytes:
    """One frame of an AWS event stream: an event of this kind, or an exception."""
    named = {":exception-type" if message_type == "exception" else ":event-type": kind, ":content-type": "application/json"} if kind else {}
    block = b"".join(
        len(name).to_bytes(1) + name.encode() + b"\x07" + len(value.encode()).to_bytes(2) + value.encode()
        for name, value in (named | {":message-type": message_type} | headers).items()
    )
    return sealed(block, payload if isinstance(payload, bytes) else jsoned(payload))


def sealed(block: bytes, payload: bytes) -> bytes:
    """A frame of these headers and this payload, with its checksums."""
    prelude = (16 + len(block) + len(payload)).to_bytes(4) + len(block).to_bytes(4)
    whole = prelude + zlib.crc32(prelude).to_bytes(4) + block + payload
    return whole + zlib.crc32(whole).to_bytes(4)


def made(url: str, request: object, answer: object, **changes: object) -> Exchange:
    """An exchange with these bytes, all at once unless told otherwise."""
    body = jsoned(answer) if answer is not None else b""
    changes.setdefault("chunks", [body] if answer is not None else [])
    changes.setdefault("status_code", 200)
    changes.setdefault("end", "eof")
    host, _, path = url.removeprefix("https://").partition("/")
    exchange = Exchange(client="httpx", method="POST", host=host, port=443, path="/" + path, request_body=jsoned(request))
    for name, value in changes.items():
        setattr(exchange, name, value)
    return exchange


@pytest.fixture(scope="session")
def openai() -> Make:
    """An exchange with OpenAI: the answer, and what is to be different."""

    def make(
        answer: object = None, request: object = None, *, url: str = "https://api.openai.com/v1/chat/completions", **changes
    ) -> Exchange:
        return made(url, request or {"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}]}, answer, **changes)

    return make


@pytest.fixture(scope="session")
def anthropic() -> Make:
    """An exchange with Anthropic: the answer, and what is to be different."""

    def make(answer: object = None, request: object = None, *, url: str = "https://api.anthropic.com/v1/messages", **changes) -> Exchange:
        return made(
            url, request or {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}, answer, **changes
        )

    return make


@pytest.fixture(scope="session")
def events() -> Callable[..., bytes]:
    """Server-sent events as bytes."""
    return sse


@pytest.fixture(scope="session")
def frame() -> Callable[..., bytes]:
    """A frame of an AWS event stream as bytes."""
    return framed


@pytest.fixture(scope="session")
def seal() -> Callable[[bytes, bytes], bytes]:
    """A frame of headers and a payload that are bytes already."""
    return sealed


@pytest.fixture(scope="session")
def chat_stream() -> bytes:
    """A Chat Completions stream with everything in it: thoughts, text, two tool calls, usage."""

    def chunk(delta: dict, **more) -> dict:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "model": "gpt-x-1",
            "choices": [{"index": 0, "delta": delta, "finish_reason": None} | more],
        }

    return b": a comment\n\n" + sse(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm "}),
        chunk({"reasoning_content": "…"}),
        chunk({"content": "Grüße, "}),
        chunk({"content": "世界 🌍\u2028"}),
        chunk({"tool_calls": [{"index": 0, "id": "call_a", "type": "function", "function": {"name": "look", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"at":'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ' "it"}'}}]}),
        chunk({"tool_calls": [{"index": 1, "id": "call_b", "type": "function", "function": {"name": "go", "arguments": "{}"}}]}),
        chunk({}, finish_reason="tool_calls"),
        {"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}},
        "[DONE]",
    )


@pytest.fixture(scope="session")
def message_stream() -> bytes:
    """An Anthropic stream with everything in it: thoughts, text, a tool call, usage."""
    return sse(
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "model": "claude-x-1",
                "role": "assistant",
                "content": [],
                "stop_reason": None,
                "usage": {"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2, "output_tokens": 1},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm …"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2VjcmV0"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "ping"},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Grüße, "}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "世界 🌍\u2028"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"at":'}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ' "it"}'}},
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 20}},
        {"type": "message_stop"},
        names=True,
    )
