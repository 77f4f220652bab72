"""The models that behave: a table of names, each with what it does in every format.

Names of any other model answer ``You said: ...`` at once. ``provider.route("gpt-4o", MODELS["fake-slow"])`` gives one behaviour another
name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_observe.testing._replies import Answering, Received, Reply, ToolCall

# Retries are asked for soon: a demo or a test that waits for the SDK's own backoff waits for seconds.
_SOON = {"retry-after": "0.02", "retry-after-ms": "20"}
_FINAL = {"x-should-retry": "false"}
_NO_REQUESTS_LEFT = {"x-ratelimit-remaining-requests": "0", "anthropic-ratelimit-requests-remaining": "0"}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a model of this name does: one entry of *replies* an attempt, the last for all further ones."""

    name: str
    does: str
    replies: tuple[Answering, ...]

    def __call__(self, received: Received) -> Reply:
        """The reply to this attempt."""
        return replied(self.replies[min(received.attempt, len(self.replies) - 1)], received)


def replied(answering: Answering, received: Received) -> Reply:
    """The reply that *answering* stands for."""
    found = answering(received) if callable(answering) else answering
    return Reply(found) if isinstance(found, str) else found


def _overloaded(received: Received) -> Reply:
    return Reply(status=529 if received.format == "anthropic.messages" else 503, headers=_SOON)


def _broken(received: Received) -> Reply:
    return Reply(cut_after=3 if received.stream else 40)


def _no_quota(received: Received) -> Reply:
    if received.format == "anthropic.messages":
        return Reply(status=402, headers=_FINAL)
    said = "You exceeded your current quota, please check your plan and billing details."
    return Reply(said, status=429, error_type="insufficient_quota", headers=_FINAL)


def _calls_a_tool(received: Received) -> Reply:
    """The first tool there is, with an argument for each property; the result of a tool is answered in words."""
    if received.messages and _is_tool_result(received.messages[-1]):
        return Reply("The tool has answered, and so do I.")
    tools = received.body.get("tools")
    if not isinstance(tools, list) or not tools:
        return Reply(tool_calls=[ToolCall("get_weather", {"city": "Paris"})])
    tool = tools[0].get("function", tools[0])
    schema = tool.get("parameters") or tool.get("input_schema") or {}
    given = {name: _sample(kind) for name, kind in schema.get("properties", {}).items()}
    return Reply(tool_calls=[ToolCall(tool["name"], given)])


def _is_tool_result(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return message.get("role") == "tool" or any(isinstance(part, dict) and part.get("type") == "tool_result" for part in parts)


def _sample(schema: Mapping[str, Any]) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    samples: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    return samples.get(str(schema.get("type")), "example")


_FINE = Reply()

_TABLE = (
    Behaviour("fake-echo", "says back what it was told, at once", (_FINE,)),
    Behaviour("fake-slow", "thinks for 0.8 s, then speaks a word every 50 ms", (Reply(delay=0.8, chunk_delay=0.05),)),
    Behaviour("fake-long", "answers in 100 chunks, at once", (Reply(chunks=100),)),
    Behaviour(
        "fake-flaky-429",
        "a first attempt meets the rate limit, its retry is fine",
        (Reply(status=429, headers=_SOON | _NO_REQUESTS_LEFT), _FINE),
    ),
    Behaviour("fake-flaky-500", "a first attempt meets a server error, its retry is fine", (Reply(status=500, headers=_SOON), _FINE)),
    Behaviour("fake-overloaded", "always overloaded: 503 at OpenAI, 529 at Anthropic", (_overloaded,)),
    Behaviour("fake-rate-limited", "always 429", (Reply(status=429, headers=_SOON | _NO_REQUESTS_LEFT),)),
    Behaviour("fake-broken-stream", "breaks off after 3 chunks of a stream, or in the middle of a plain body", (_broken,)),
    Behaviour(
        "fake-failing-stream",
        "a stream ends with an error event; a plain call is that error",
        (Reply(error_in_stream=True, headers=_SOON),),
    ),
    Behaviour("fake-hangs-up", "closes the connection without an answer", (Reply(drop=True),)),
    Behaviour("fake-tools", "calls the first tool it was given; answers its result in words", (_calls_a_tool,)),
    Behaviour(
        "fake-thinking",
        "thinks first: a thinking block at Anthropic, 64 reasoning tokens at both",
        (Reply(thinking="The user said something. Let me say it back.", reasoning_tokens=64),),
    ),
    Behaviour("fake-cached", "1,024 input tokens come from the cache", (Reply(cached_tokens=1024),)),
    Behaviour("fake-cache-write", "1,024 input tokens are written to the cache", (Reply(cache_write_tokens=1024),)),
    Behaviour("fake-length", "is cut short by its token limit", (Reply(finish="length"),)),
    Behaviour("fake-refuses", "refuses to answer", (Reply(refusal="I can't help with that."),)),
    Behaviour("fake-invalid-key", "401: the API key is wrong", (Reply(status=401),)),
    Behaviour("fake-no-quota", "no credit left: 429 insufficient_quota at OpenAI, 402 at Anthropic; not to be retried", (_no_quota,)),
    Behaviour("fake-gzip", "compresses its answers", (Reply(gzip=True),)),
)

MODELS: dict[str, Behaviour] = {behaviour.name: behaviour for behaviour in _TABLE}
"""The behaviours by the model name that asks for them."""
