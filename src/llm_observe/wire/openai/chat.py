"""OpenAI Chat Completions, as OpenAI and the many that speak it send it.

Request and plain answer are one document each; a stream is folded choice by choice. Vendors differ in where reasoning, citations,
tokens and errors stand (reference: wire.md 3.1, 3.2): all places are looked at, whoever is speaking. The legacy completions, whose
choices have a text in place of a message, are read here too.
"""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import AnyPart, Error, Exchange
from llm_observe.wire.answer import Answer, Asked, error_of, unread_reason
from llm_observe.wire.jsonio import Document, items, mapping, text
from llm_observe.wire.openai.parameters import call_request, output_form
from llm_observe.wire.openai.parts import message_of, output_parts, sources_of
from llm_observe.wire.openai.stream import Stream
from llm_observe.wire.openai.tools import tool_definitions
from llm_observe.wire.openai.usage import counts_of, time_of, usage_of
from llm_observe.wire.provider import known_host, provider_of


def agrees(body: Any, exchange: Exchange) -> bool:
    """An application may have a ``/chat/completions`` of its own: where the host is nobody's, the body has to be a chat's."""
    return type(body) is not dict or type(body.get("messages")) is list or known_host(exchange)


def is_writers(body: Any, exchange: Exchange) -> bool:
    """``/v1/chat`` is Writer's where the host is; it is Cohere's and many an application's elsewhere."""
    return provider_of(exchange.host, exchange.port, exchange.path, home="").name == "writer"


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request."""
    body = mapping(body)
    messages = body.get("messages")
    output_type, schema = output_form(mapping(body["response_format"])) if "response_format" in body else (None, None)
    return Asked(
        request=call_request(body, exchange),
        messages=tuple([message_of(message) for message in items(messages) if type(message) is dict]),
        count=len(messages) if type(messages) is list else None,
        tools=tool_definitions(body) if "tools" in body or "functions" in body else (),
        output_type=_modality(items(body["modalities"])) or output_type if "modalities" in body else output_type,
        schema=schema,
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer."""
    if type(document) is not dict or "choices" not in document:
        document = _unwrapped(document)
    error = error_of(document) if "error" in document or document.get("object") == "error" else None
    sources = sources_of(document)
    choices, reasons = [], []
    for choice in map(mapping, items(document.get("choices"))):
        message = choice.get("message")
        if type(message) is not dict:  # of the legacy kind
            message = {"role": "assistant", "content": choice.get("text")}
        choices.append((text(message.get("role")) or "assistant", output_parts(message, sources)))
        reasons.append(text(choice.get("finish_reason")))
        if "error" in choice:
            error = error or error_of(choice)
    return _answer(document, choices=tuple(choices), reasons=tuple(reasons), error=error)


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream: ``data: [DONE]`` ends it, or a finish reason for every choice."""
    stream = Stream()
    stream.read(events)
    ordered = [stream.choices[index] for index in sorted(stream.choices)]
    sources = sources_of(stream.said)
    return _answer(
        {**stream.said, "id": stream.id, "model": stream.model},
        choices=tuple((choice.role, choice.parts(sources)) for choice in ordered),
        reasons=tuple(choice.reason for choice in ordered),
        error=stream.error,
        complete=stream.done or (bool(ordered) and all(choice.reason for choice in ordered)),
        reason=unread_reason(stream.unread),
        first_content=stream.first_content,
    )


def _answer(
    document: Document,
    *,
    choices: tuple[tuple[str, tuple[AnyPart, ...]], ...],
    reasons: tuple[str | None, ...],
    error: Error | None,
    complete: bool = True,
    reason: str | None = None,
    first_content: int | None = None,
) -> Answer:
    """An answer of what stands beside the choices."""
    counts = counts_of(document)
    return Answer(
        id=text(document.get("id")),
        model=text(document.get("model")),
        service_tier=text(document["service_tier"]) if "service_tier" in document else None,
        system_fingerprint=text(document["system_fingerprint"]) if "system_fingerprint" in document else None,
        choices=choices,
        reasons=reasons,
        usage=usage_of(document, counts),
        error=error,
        complete=complete,
        reason=reason,
        request_id=text(mapping(document["x_groq"]).get("id")) if "x_groq" in document else None,
        first_content=first_content,
        processing_time=time_of(document, counts),
    )


def _unwrapped(document: Any) -> Document:
    """Cloudflare's native route wraps the answer in ``result``; Gemini's error comes in a list."""
    if type(document) is list:
        return mapping(document[0]) if document else {}
    document = mapping(document)
    return mapping(document["result"]) if "choices" not in document and type(document.get("result")) is dict else document


def _modality(modalities: list[Any]) -> str | None:
    """What an answer is to be beside text."""
    return "speech" if "audio" in modalities else "image" if "image" in modalities else None
