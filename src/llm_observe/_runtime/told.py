"""A call told by hand becomes the same Call as one read off the wire."""

import operator
from datetime import datetime
from typing import Any

import msgspec

from llm_observe._runtime.around import whereabouts
from llm_observe._runtime.clock import Ids
from llm_observe._runtime.given import plain, word
from llm_observe._runtime.items import Told
from llm_observe._runtime.sampling import Keeps
from llm_observe.records import (
    AnyPart,
    Call,
    CallRequest,
    CallResponse,
    Cut,
    Error,
    Generic,
    Input,
    InputTokens,
    Message,
    Operation,
    Output,
    OutputTokens,
    Provider,
    ScopeInfo,
    Text,
    Usage,
)


def told_call(told: Told, ids: Ids, started_at: datetime, *, service: str | None, scope: ScopeInfo | None, keeps: Keeps) -> Call:
    """The record of *told*."""
    within, output = told.scope, told.output
    model, provider, named = word(told.model), word(told.provider), word(told.operation)
    usage = {name: count for name, given in told.usage.items() if (count := _count(given)) is not None}
    inputs = messages(told.input, role="user")
    name = f"{named} {model}"
    where = whereabouts(
        ids, within, around=told.around, parent_id=told.parent_id, span_id=told.span_id, name=name, keeps=keeps, content=told.content
    )
    call = Call(
        id=told.id,
        trace_id=where.trace_id,
        span_id=where.span_id,
        parent_id=where.parent_id,
        started_at=started_at,
        duration=(told.ended - told.began) / 1e9,
        name=name,
        status="cancelled" if told.cancelled else "error" if told.error_type else "ok",
        operation=Operation(name=named),
        provider=Provider(name=provider),
        request=CallRequest(model=model, **told.parameters),
        response=CallResponse(
            id=None if told.response_id is None else word(told.response_id),
            model=None if told.response_model is None else word(told.response_model),
            finish_reasons=_reasons(told.finish_reasons),
            time_to_first_chunk=None if told.first_chunk_at is None else (told.first_chunk_at - told.began) / 1e9,
        ),
        usage=Usage(
            input_tokens=usage.get("input_tokens"),
            output_tokens=usage.get("output_tokens"),
            cache_read=InputTokens(input_tokens=usage["cache_read"]) if "cache_read" in usage else None,
            cache_write=InputTokens(input_tokens=usage["cache_write"]) if "cache_write" in usage else None,
            reasoning=OutputTokens(output_tokens=usage["reasoning"]) if "reasoning" in usage else None,
        ),
        input=Input(messages=inputs, count=len(inputs) or told.count or None),
        output=Output(messages=messages(output, role="assistant")),
    )
    return msgspec.structs.replace(
        call,
        sampled=where.sampled,
        trace_state=where.trace_state,
        instrumentation=where.instrumentation,
        content=where.content,
        request_id=within.request_id if within else None,
        service=service,
        error=Error(type=told.error_type, message=told.error_message) if told.error_type else None,
        scope=scope,
        system_instructions=() if told.system is None else (Text(content=word(told.system)),),
        truncated={name: Cut(bytes=size) for name, size in told.cut.items()},
    )


def messages(content: Any, role: str) -> tuple[Message, ...]:
    """Messages out of what people have at hand: a text, a chat message, or a list of either."""
    if content is None:
        return ()
    if isinstance(content, list | tuple):
        return tuple(_message(one, role) for one in content)
    return (_message(content, role),)


def _message(content: Any, role: str) -> Message:
    if isinstance(content, Message):
        return content
    if isinstance(content, dict) and "content" in content:
        return Message(role=word(content.get("role", role)), parts=_parts(content["content"]))
    return Message(role=role, parts=(_part(content),))


def _parts(content: Any) -> tuple[AnyPart, ...]:
    if content is None:
        return ()
    return tuple(_part(one) for one in content) if isinstance(content, list | tuple) else (_part(content),)


def _part(content: Any) -> AnyPart:
    if isinstance(content, dict) and content.get("type") == "text" and isinstance(content.get("text"), str):
        content = content["text"]
    return Text(content=content) if isinstance(content, str) else Generic(generic_type=type(content).__name__, content=plain(content))


def _count(given: Any) -> int | None:
    """*given* as a number of tokens; what is none is left out. (An array library's integers are no ``int``.)"""
    try:
        return operator.index(given)
    except Exception:  # whatever an object of the application's raises
        return None


def _reasons(given: Any) -> tuple[str, ...]:
    """Finish reasons out of a text, or of several."""
    if isinstance(given, list | tuple | set | frozenset):
        return tuple(map(word, given))
    return () if given is None else (word(given),)
