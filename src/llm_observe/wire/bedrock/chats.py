"""Chats of OpenAI's kind on Bedrock: Mistral, Jamba, DeepSeek, Qwen, gpt-oss and others; completions of imported models too.

Some have the reason under a name of their own, and Mistral streams messages where others stream deltas: that is set right, and then they
are read as OpenAI's are.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from llm_observe.records import Exchange
from llm_observe.wire.answer import Answer
from llm_observe.wire.jsonio import Document, items, load, mapping
from llm_observe.wire.openai import chat

_OWN = b'"stop_reason"'


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer."""
    return chat.answered(_usual(mapping(document), piecewise=False), exchange)


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream."""
    return chat.streamed([_usual_chunk(event) if _OWN in event else event for event in events], exchange)


def _usual_chunk(event: bytes) -> bytes:
    chunk = load(event)
    return msgspec.json.encode(_usual(chunk, piecewise=True)) if type(chunk) is dict else event


def _usual(document: Document, *, piecewise: bool) -> Document:
    choices = [_choice(choice, piecewise=piecewise) if type(choice) is dict else choice for choice in items(document.get("choices"))]
    return document | {"choices": choices} if choices else document


def _choice(choice: Document, *, piecewise: bool) -> Document:
    usual = {"finish_reason": choice.get("stop_reason")} | {name: value for name, value in choice.items() if value is not None}
    if piecewise and "delta" not in usual and "message" in usual:
        usual["delta"] = usual.pop("message")
    return usual
