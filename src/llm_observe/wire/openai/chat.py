"""OpenAI Chat Completions, as OpenAI and the many that speak it send it.

Request and plain answer are one document each; a stream is folded choice by choice. Vendors differ in where reasoning, cached tokens
and errors stand (reference: wire.md 3.1, 3.2): all places are looked at, whoever is speaking.
"""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import CallRequest, Choice, Error, Exchange, ReasoningRequest
from llm_observe.wire.answer import Answer, Asked, error_of, unread_reason
from llm_observe.wire.jsonio import MALFORMED, Document, integer, items, load, mapping, number, text
from llm_observe.wire.openai.fold import Folded
from llm_observe.wire.openai.parts import message_of, output_parts, tool_definitions
from llm_observe.wire.openai.usage import usage_of
from llm_observe.wire.provider import known_host

DONE = b"[DONE]"

_LAST = ("usage", "x_groq", "service_tier", "system_fingerprint")  # members of a chunk of which the last one counts


def agrees(body: Any, exchange: Exchange) -> bool:
    """An application may have a ``/chat/completions`` of its own: where the host is nobody's, the body has to be a chat's."""
    return type(body) is not dict or type(body.get("messages")) is list or known_host(exchange)


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request."""
    body = mapping(body)
    messages = body.get("messages")
    return Asked(
        request=CallRequest(
            model=text(body.get("model")) or text(body.get("agent_id")) or deployment(exchange.path),
            stream=True if body.get("stream") is True else None,
            max_tokens=_first(body, "max_completion_tokens", "max_tokens"),
            temperature=number(body.get("temperature")),
            top_p=number(body.get("top_p")),
            top_k=integer(body.get("top_k")),
            frequency_penalty=number(body.get("frequency_penalty")),
            presence_penalty=number(body.get("presence_penalty")),
            stop_sequences=_stop(body.get("stop")),
            seed=_first(body, "seed", "random_seed"),
            choice=None if (n := integer(body.get("n"))) is None or n == 1 else Choice(count=n),
            reasoning=_reasoning(body),
            service_tier=text(body.get("service_tier")),
        ),
        messages=tuple(message_of(message) for message in items(messages) if type(message) is dict),
        count=len(messages) if type(messages) is list else None,
        tools=tool_definitions(body),
        output_type=_output_type(body),
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer."""
    document = _unwrapped(document)
    error = error_of(document)
    choices, reasons = [], []
    for choice in items(document.get("choices")):
        message = mapping(mapping(choice).get("message"))
        choices.append((text(message.get("role")) or "assistant", output_parts(message)))
        reasons.append(text(mapping(choice).get("finish_reason")))
        error = error or error_of(choice)
    return Answer(
        id=text(document.get("id")),
        model=text(document.get("model")),
        service_tier=text(document.get("service_tier")),
        system_fingerprint=text(document.get("system_fingerprint")),
        choices=tuple(choices),
        reasons=tuple(reasons),
        usage=usage_of(document),
        error=error,
    )


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream: ``data: [DONE]`` ends it, or a finish reason for every choice."""
    choices: dict[int, Folded] = {}
    said_id: Any = None  # the first that is not empty: Azure opens with a chunk of empty ones
    model: Any = None
    said: Document = {}
    error: Error | None = None
    done, unread = False, 0
    first_content: int | None = None
    for place, event in enumerate(events):
        if event == DONE:
            done = True
            continue
        chunk = load(event)
        if type(chunk) is not dict:
            unread += chunk is MALFORMED
            error = error or error_of(chunk)
            continue
        said_id = said_id or chunk.get("id")
        model = model or chunk.get("model")
        for name in _LAST:
            if member := chunk.get(name):
                said[name] = member
        if "error" in chunk or chunk.get("object") == "error":
            error = error or error_of(chunk)
        for position, choice in enumerate(items(chunk.get("choices"))):
            if type(choice) is not dict:
                continue
            index = choice.get("index")
            if type(index) is not int:
                index = position
            folded = choices.get(index)
            if folded is None:
                folded = choices[index] = Folded()
            if folded.add(choice) and first_content is None:
                first_content = place
            if "error" in choice:
                error = error or error_of(choice)
    ordered = [choices[index] for index in sorted(choices)]
    return Answer(
        id=text(said_id),
        model=text(model),
        service_tier=text(said.get("service_tier")),
        system_fingerprint=text(said.get("system_fingerprint")),
        choices=tuple((choice.role, choice.parts()) for choice in ordered),
        reasons=tuple(choice.reason for choice in ordered),
        usage=usage_of(said),
        error=error,
        complete=done or (bool(ordered) and all(choice.reason for choice in ordered)),
        reason=unread_reason(unread),
        first_content=first_content,
    )


def _unwrapped(document: Any) -> Document:
    """Cloudflare's native route wraps the answer in ``result``; Gemini's error comes in a list."""
    if type(document) is list:
        return mapping(document[0]) if document else {}
    document = mapping(document)
    return mapping(document["result"]) if "choices" not in document and type(document.get("result")) is dict else document


def _first(body: Document, *names: str) -> int | None:
    return next((value for name in names if (value := integer(body.get(name))) is not None), None)


def deployment(path: str) -> str | None:
    """Azure's classic path names the model: ``/openai/deployments/{deployment}/chat/completions``."""
    rest = path.partition("/deployments/")[2]
    return rest.partition("/")[0] or None


def _stop(value: Any) -> tuple[str, ...]:
    return (value,) if type(value) is str else tuple(stop for stop in items(value) if type(stop) is str)


def _reasoning(body: Document) -> ReasoningRequest | None:
    level = text(body.get("reasoning_effort")) or text(mapping(body.get("reasoning")).get("effort"))
    return ReasoningRequest(level=level) if level else None


def _output_type(body: Document) -> str | None:
    if "audio" in items(body.get("modalities")):
        return "speech"
    kind = text(mapping(body.get("response_format")).get("type")) or ""
    return "json" if kind.startswith("json") else "text" if kind == "text" else None
