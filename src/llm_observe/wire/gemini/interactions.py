"""Gemini's Interactions: one call answered in steps, at once, as a stream, or in the background and fetched later.

A stream is folded step by step: its steps become what a plain answer would have held, and then both go one way.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from llm_observe.records import CallRequest, Error, Exchange, PreviousResponse, ReasoningRequest, ToolCall, Usage
from llm_observe.wire.answer import Answer, Asked, error_of, retry_delay, unread_reason
from llm_observe.wire.gemini.fields import member, several
from llm_observe.wire.gemini.stepfold import Step
from llm_observe.wire.gemini.steps import content_parts, messages_of, parts_of, tool_definitions
from llm_observe.wire.gemini.usage import interaction_usage
from llm_observe.wire.jsonio import MALFORMED, Document, integer, items, load, mapping, number, text
from llm_observe.wire.provider import provider_of

_DONE = b"[DONE]"
_GOING_ON = frozenset({"in_progress", "queued", "idle"})
_MAPPED = {  # a status, as the convention's word for why it stopped
    "completed": "stop",
    "requires_action": "tool_call",
    "incomplete": "length",
    "budget_exceeded": "length",
    "requires_continuation": "length",
    "failed": "error",
    "cancelled": "error",
}
_FORMATS = frozenset({"text", "audio", "image", "video"})
_ENDS = frozenset({"interaction.completed", "interaction.complete", "interaction.cancelled", "interaction.failed"})


def agrees(body: Any, exchange: Exchange) -> bool:
    """Applications have ``/interactions`` of their own: where the host is not Google's, the body has to name a model or an agent, and an input."""
    if _is_google(exchange):
        return True
    body = mapping(body)
    return bool(text(body.get("model")) or text(body.get("agent"))) and type(body.get("input")) in {str, list, dict}


def is_fetched(body: Any, exchange: Exchange) -> bool:
    """Whether a GET fetches one: it has no body to look at, so only Google's hosts count."""
    identifier = exchange.path.partition("?")[0].rpartition("/interactions/")[2]
    return "/" not in identifier and _is_google(exchange)


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request."""
    body = mapping(body)
    config = mapping(member(body, "generationConfig"))
    given, agent = body.get("input"), text(body.get("agent"))
    level, previous = text(member(config, "thinkingLevel")), text(member(body, "previousInteractionId"))
    schema, output_type = _output(body)
    return Asked(
        request=CallRequest(
            model=text(body.get("model")) or agent,
            stream=True if body.get("stream") is True else None,
            max_tokens=integer(member(config, "maxOutputTokens")),
            temperature=number(config.get("temperature")),
            top_p=number(member(config, "topP")),
            stop_sequences=tuple(stop for stop in items(member(config, "stopSequences")) if type(stop) is str),
            seed=integer(config.get("seed")),
            reasoning=ReasoningRequest(level=level) if level else None,
            service_tier=text(member(body, "serviceTier")),
            previous_response=PreviousResponse(id=previous) if previous else None,
        ),
        system=content_parts(member(body, "systemInstruction")),
        messages=messages_of(given),
        count=len(given) if type(given) is list else 1 if type(given) in {str, dict} else None,
        tools=tool_definitions(body.get("tools")),
        output_type=output_type,
        schema=schema,
        operation="invoke_agent" if agent and not body.get("model") else None,
    )


def asked_again(body: Any, exchange: Exchange) -> Asked:
    """The request of a GET: it says nothing."""
    return Asked()


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer."""
    return _answer(mapping(document))


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream: ``interaction.completed`` ends it, and another ``[DONE]`` behind it."""
    said: Document = {}
    steps: dict[int, Step] = {}
    error: Error | None = None
    delay: float | None = None
    complete, unread = False, 0
    first_content: int | None = None
    for place, data in enumerate(events):
        if data == _DONE:
            complete = True
            continue
        event = load(data)
        if type(event) is not dict:
            unread += event is MALFORMED
            continue
        kind = text(event.get("event_type")) or ""
        if kind in {"step.delta", "content.delta"}:
            index = integer(event.get("index")) or 0
            if steps.setdefault(index, Step({})).add(mapping(event.get("delta"))) and first_content is None:
                first_content = place
        elif kind in {"step.start", "content.start"}:
            start = mapping(event.get("step")) or mapping(event.get("content"))
            steps[integer(event.get("index")) or 0] = Step(start)
            if first_content is None and parts_of(start):
                first_content = place
        elif kind == "error" or "error" in event:
            error = error or error_of(event)
            delay = retry_delay(event) if delay is None else delay
        else:
            said.update(_told(event))
            complete = complete or kind in _ENDS
    if not items(said.get("steps")):
        said["steps"] = [steps[index].whole() for index in sorted(steps)]
    answer = _answer(said, complete=complete, error=error)
    return msgspec.structs.replace(answer, reason=unread_reason(unread), first_content=first_content, retry_after=delay)


def fetched(document: Any, exchange: Exchange) -> Answer:
    """An answer that is fetched: its tokens are those of the call that it was asked by."""
    return msgspec.structs.replace(answered(document, exchange), usage=Usage())


def fetched_stream(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream taken up again."""
    return msgspec.structs.replace(streamed(events, exchange), usage=Usage())


def _told(event: Document) -> Document:
    """What an event says of the interaction as a whole: a status update has it beside the event's own members."""
    told = dict(mapping(event.get("interaction")))
    if "interaction_id" in event:
        told["id"] = event["interaction_id"]
    told |= {name: event[name] for name in ("status", "usage") if name in event and name not in told}
    return {name: value for name, value in told.items() if value is not None}


def _answer(said: Document, *, complete: bool = True, error: Error | None = None) -> Answer:
    steps = [step for step in several(said.get("steps")) or items(said.get("outputs")) if type(step) is dict]
    answers = [step for step in steps if text(step.get("type")) not in {"user_input", "function_result"}]
    parts = tuple(part for step in answers for part in parts_of(step))
    status = text(said.get("status"))
    calls = any(isinstance(part, ToolCall) for part in parts)
    ended = status is not None and status not in _GOING_ON
    return Answer(
        id=text(said.get("id")),
        model=text(said.get("model")),
        service_tier=text(said.get("service_tier")),
        choices=(("model", parts),) if parts or ended else (),
        reasons=(status,),
        mapped=_mapped(status, calls=calls, complete=complete),
        usage=interaction_usage(said.get("usage")),
        error=error or error_of(said) or _failure(said, answers, status),
        complete=complete,
        status=status,
    )


def _mapped(status: str | None, *, calls: bool, complete: bool) -> tuple[str, ...]:
    if status is None or status in _GOING_ON:
        return () if complete else ("error",)
    mapped = _MAPPED.get(status, status)
    return ("tool_call",) if calls and mapped == "stop" else (mapped,)


def _failure(said: Document, steps: list[Document], status: str | None) -> Error | None:
    """The first of its errors, or that of one of its steps; else that it failed."""
    errors = items(said.get("errors")) + [step["error"] for step in steps if "error" in step]
    found = next((error for told in errors if (error := error_of({"error": told}))), None)
    return found or (Error(type="failed") if status == "failed" else None)


def _output(body: Document) -> tuple[Any, str | None]:
    """The schema that the answer is to have, and of what type it is to be. At first the format was the schema itself."""
    forms = [form for form in several(member(body, "responseFormat")) if type(form) is dict]
    typed = [text(form.get("type")) for form in forms]
    kinds = typed + items(member(body, "responseModalities"))
    mime_types = [text(member(form, "mimeType")) for form in forms] + [text(member(body, "responseMimeType"))]
    schemas = [form.get("schema") if kind in _FORMATS else form for kind, form in zip(typed, forms, strict=True)]
    schema = next((schema for schema in schemas if schema), None)
    if "audio" in kinds:
        return schema, "speech"
    if "image" in kinds:
        return schema, "image"
    if schema or "application/json" in mime_types:
        return schema, "json"
    return schema, "text" if "text" in kinds or "text/plain" in mime_types else None


def _is_google(exchange: Exchange) -> bool:
    provider = provider_of(exchange.host, exchange.port, exchange.path, home="")
    return provider.name.startswith("gcp.")
