"""A reply made definite: every default filled in, before any format writes it down."""

import itertools
import json
import re
import time
import uuid
from dataclasses import dataclass
from typing import NamedTuple

from llm_observe.testing._replies import Received, Reply, ToolCall, words

_ECHO = 200  # characters of the prompt that are said back: an answer to 100 KB is not another 100 KB
_FILLER = ("and", "so", "it", "goes", "on,")

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Event(NamedTuple):
    """One server-sent event as it is written. Paced ones carry content: before these the provider waits, after these it breaks off."""

    data: bytes
    paced: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What is said, in which pieces, with which tokens; nothing of how a format spells it."""

    token: str  # 24 characters that make the ids of this answer unique
    created: int
    model: str
    text: str
    pieces: tuple[str, ...]
    thinking: str
    refusal: bool
    tool_calls: tuple[ToolCall, ...]
    finish: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int

    def call_id(self, number: int, prefix: str) -> str:
        """The id of the tool call at *number*."""
        return self.tool_calls[number].id or f"{prefix}{self.token[:-2]}{number:02}"


def said(received: Received, reply: Reply) -> Said:
    """What *reply* says to *received*."""
    text, pieces = _spoken(received, reply)
    thinking = reply.thinking or ""
    reasoning = words(thinking) if reply.reasoning_tokens is None else reply.reasoning_tokens
    cached = reply.cached_tokens + reply.cache_write_tokens
    calls = tuple(reply.tool_calls)
    output = words(text) + reasoning + sum(words(call.name) + words(arguments(call)) for call in calls)
    return Said(
        token=uuid.uuid4().hex[:24],
        created=int(time.time()),
        model=reply.model or received.model,
        text=text,
        pieces=pieces,
        thinking=thinking,
        refusal=reply.refusal is not None,
        tool_calls=calls,
        finish=reply.finish,
        input_tokens=received.words + cached if reply.input_tokens is None else reply.input_tokens,
        output_tokens=output if reply.output_tokens is None else reply.output_tokens,
        cached_tokens=reply.cached_tokens,
        cache_write_tokens=reply.cache_write_tokens,
        reasoning_tokens=reasoning,
    )


def arguments(call: ToolCall) -> str:
    """The arguments of a tool call as the text that goes over the wire."""
    return call.arguments if isinstance(call.arguments, str) else encode(dict(call.arguments))


def by_word(text: str) -> tuple[str, ...]:
    """Pieces that begin with their space, as models stream them."""
    return tuple(re.findall(r"\s*\S+|\s+", text))


def _spoken(received: Received, reply: Reply) -> tuple[str, tuple[str, ...]]:
    spoken = reply.text if reply.refusal is None else reply.refusal
    if spoken is None and reply.tool_calls:
        spoken = ""
    if spoken is None:
        text = f"You said: {received.prompt[:_ECHO]}"
        pieces = by_word(text)
        if reply.chunks is not None and len(pieces) < reply.chunks:  # more deltas were asked for than there is to say
            pieces += tuple(f" {_FILLER[n % len(_FILLER)]}" for n in range(reply.chunks - len(pieces)))
            text = "".join(pieces)
    else:
        text, pieces = spoken, by_word(spoken)
    if reply.chunks is not None and len(pieces) != reply.chunks:
        edges = [n * len(text) // reply.chunks for n in range(reply.chunks + 1)] if reply.chunks else []
        pieces = tuple(text[a:b] for a, b in itertools.pairwise(edges))
    return text, pieces
