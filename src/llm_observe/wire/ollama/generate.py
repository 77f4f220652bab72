"""Ollama's generate: a prompt, and its continuation."""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import Exchange, Message
from llm_observe.wire.answer import Answer, Asked, text_parts
from llm_observe.wire.jsonio import load, mapping
from llm_observe.wire.ollama.fields import output_type, pictures, request_of, schema_of
from llm_observe.wire.ollama.lines import folded


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request: the prompt is the one message. Without one the model is only to be loaded. Tokens of earlier turns are left out."""
    body = mapping(body)
    parts = text_parts(body.get("prompt")) + pictures(body)
    return Asked(
        request=request_of(body),
        system=text_parts(body.get("system")),
        messages=(Message(role="user", parts=parts),) if parts else (),
        count=len(parts[:1]) if body else None,
        output_type=output_type(body),
        schema=schema_of(body),
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer: a stream of one line."""
    return folded([mapping(document)])


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream of lines."""
    return folded([load(event) for event in events])
