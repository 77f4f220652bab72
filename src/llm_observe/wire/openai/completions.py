"""OpenAI's legacy completions: a prompt in, text out. Their answers are read as those of Chat Completions are.

Mistral's ``/fim/completions`` has a message in each choice; Writer streams bare pieces of text, and no end.
"""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import Exchange, Text
from llm_observe.wire.answer import Answer, Asked, error_of, unread_reason
from llm_observe.wire.jsonio import MALFORMED, load, mapping, text
from llm_observe.wire.openai import chat
from llm_observe.wire.openai.inputs import count_of, messages_of
from llm_observe.wire.openai.parameters import call_request
from llm_observe.wire.openai.stream import DONE
from llm_observe.wire.provider import known_host


def agrees(body: Any, exchange: Exchange) -> bool:
    """Others complete too, chats and stored prompts: look for a prompt and a model; one of them will do at a provider's host."""
    if exchange.path.endswith(("/chat/completions", "/agents/completions")):
        return False
    if type(body) is not dict:
        return known_host(exchange)
    has_prompt, has_model = body.get("prompt") is not None, type(body.get("model")) is str
    return (has_prompt or has_model) if known_host(exchange) else (has_prompt and has_model)


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request. A prompt of token ids counts, and says nothing."""
    body = mapping(body)
    prompt = body.get("prompt")
    return Asked(request=call_request(body, exchange), messages=messages_of(prompt), count=count_of(prompt))


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream: of choices, or of Writer's pieces."""
    for event in events:
        if type(first := load(event)) is dict:
            return _pieces(events) if "value" in first and "choices" not in first else chat.streamed(events, exchange)
    return chat.streamed(events, exchange)


def _pieces(events: Sequence[bytes]) -> Answer:
    """``{"value": "..."}``, one after the other, until there are no more: whether that is the end, nothing tells."""
    pieces: list[str] = []
    error, unread = None, 0
    first_content: int | None = None
    for place, event in enumerate(events):
        chunk = load(event)
        unread += chunk is MALFORMED and event != DONE
        if (piece := text(mapping(chunk).get("value"))) is not None:
            pieces.append(piece)
            first_content = place if first_content is None else first_content
        error = error or error_of(chunk)
    said = "".join(pieces)
    return Answer(
        choices=(("assistant", (Text(content=said),)),) if said else (),
        error=error,
        complete=None,
        reason=unread_reason(unread),
        first_content=first_content,
    )
