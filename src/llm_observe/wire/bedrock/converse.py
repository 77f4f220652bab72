"""Bedrock's Converse, plain and streamed: one format for the models of all makers. Nova's own bodies are read here too.

Neither the answer's id nor the model that answered is in the body, but where a router chose it.
"""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import CallRequest, Exchange, ReasoningRequest, ToolDefinition, Usage
from llm_observe.wire.answer import Answer, Asked, unread_reason, usage
from llm_observe.wire.anthropic.blocks import tool_definition
from llm_observe.wire.bedrock.blocks import content_parts, message_of, tool_definitions
from llm_observe.wire.bedrock.errors import exception_in
from llm_observe.wire.bedrock.fold import Folded
from llm_observe.wire.bedrock.home import addressed, prompt_of
from llm_observe.wire.jsonio import MALFORMED, Document, integer, items, load, load_argument, mapping, number, text


def asked(body: Any, exchange: Exchange, *, stream: bool = False) -> Asked:
    """The request."""
    body = mapping(body)
    messages = body.get("messages")
    form = mapping(mapping(body.get("outputConfig")).get("textFormat"))
    schema = mapping(mapping(form.get("structure")).get("jsonSchema")).get("schema")
    more = mapping(body.get("additionalModelRequestFields"))  # for the model alone, in its maker's words
    return Asked(
        request=addressed(_parameters(body, more), exchange, stream=stream),
        system=content_parts(body.get("system")),
        messages=tuple(message_of(message) for message in items(messages) if type(message) is dict),
        count=len(messages) if type(messages) is list else None,
        tools=tool_definitions(mapping(body.get("toolConfig"))) + _makers_tools(more),
        output_type="json" if (text(form.get("type")) or "").startswith("json") else None,
        schema=load_argument(schema) if type(schema) is str and schema else schema,
        prompt=prompt_of(exchange),
    )


def asked_streaming(body: Any, exchange: Exchange) -> Asked:
    """The request for a stream: its path says so."""
    return asked(body, exchange, stream=True)


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer."""
    document = mapping(document)
    message = mapping(document.get("output")).get("message")
    begun = type(message) is dict
    told = mapping(message)
    return _answer(
        document,
        choices=((text(told.get("role")) or "assistant", content_parts(told.get("content"))),) if begun else (),
        reasons=(text(document.get("stopReason")),) if begun else (),
        error=exception_in(document),
    )


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream: ``metadata``, behind ``messageStop``, ends it."""
    folded = Folded()
    unread = 0
    first_content: int | None = None
    for place, data in enumerate(events):
        event = load(data)
        if type(event) is not dict:
            unread += event is MALFORMED
        elif folded.add(event) and first_content is None:
            first_content = place
    return _answer(
        folded.metadata,
        choices=((folded.role or "assistant", folded.parts()),) if folded.begun else (),
        reasons=(folded.reason,) if folded.begun else (),
        error=folded.error,
        complete=folded.complete,
        reason=unread_reason(unread),
        first_content=first_content,
    )


def usage_of(counts: Document) -> Usage:
    """The counts, with the cached tokens in the input: here they are given beside it. They go by two names, often by both at once."""
    fresh = integer(counts.get("inputTokens"))
    read = _first(counts, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = _first(counts, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    return usage(
        input=None if fresh is None else fresh + (read or 0) + (written or 0),
        output=integer(counts.get("outputTokens")),
        cache_read=read,
        cache_write=written,
    )


def _answer(told: Document, **more: Any) -> Answer:
    """An answer of what stands beside the message."""
    latency = number(mapping(told.get("metrics")).get("latencyMs"))
    return Answer(
        model=text(mapping(mapping(told.get("trace")).get("promptRouter")).get("invokedModelId")),
        service_tier=text(mapping(told.get("serviceTier")).get("type")),
        usage=usage_of(mapping(told.get("usage"))),
        processing_time=None if latency is None else latency / 1000,
        **more,
    )


def _parameters(body: Document, more: Document) -> CallRequest:
    config = mapping(body.get("inferenceConfig"))
    inner = mapping(more.get("inferenceConfig"))
    stops = items(config.get("stopSequences"))
    level = _level(body, more)
    return CallRequest(
        max_tokens=_first(config, "maxTokens", "max_new_tokens"),
        temperature=number(config.get("temperature")),
        top_p=_number(config, "topP", "top_p"),
        top_k=_first({**more, **inner, **config}, "topK", "top_k", "k"),
        frequency_penalty=number(more.get("frequency_penalty")),
        presence_penalty=number(more.get("presence_penalty")),
        stop_sequences=tuple(stop for stop in stops if type(stop) is str),
        seed=integer(more.get("seed")),
        reasoning=ReasoningRequest(level=level) if level else None,
        service_tier=text(mapping(body.get("serviceTier")).get("type")),
        guardrail=text(mapping(body.get("guardrailConfig")).get("guardrailIdentifier")),
    )


def _level(body: Document, more: Document) -> str | None:
    """How hard the model is to think, in the word of its maker: Bedrock's own, Anthropic's, OpenAI's, Nova's, DeepSeek's."""
    inner = mapping(body.get("inferenceConfig"))
    places = (
        mapping(body.get("outputConfig")).get("effort"),
        mapping(more.get("output_config")).get("effort"),
        more.get("reasoning_effort"),
        *(mapping(holder.get("reasoningConfig")).get("maxReasoningEffort") for holder in (more, body, inner)),
        more.get("reasoning_config"),
    )
    return next(filter(None, map(text, places)), None)


def _makers_tools(more: Document) -> tuple[ToolDefinition, ...]:
    """Tools that Converse has no place for: Anthropic's own."""
    return tuple(tool_definition(tool) for tool in items(more.get("tools")) if type(tool) is dict)


def _first(counts: Document, *names: str) -> int | None:
    return next((count for name in names if (count := integer(counts.get(name))) is not None), None)


def _number(holder: Document, *names: str) -> float | None:
    return next((value for name in names if (value := number(holder.get(name))) is not None), None)
