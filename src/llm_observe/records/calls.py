"""A call's record, and the wire's half of it."""

from datetime import datetime
from typing import Any

import msgspec

from llm_observe.records.facts import (
    Attempt,
    CallRequest,
    CallResponse,
    Conversation,
    Cost,
    Cut,
    Embeddings,
    Error,
    Input,
    Operation,
    Output,
    Prompt,
    Provider,
    RateLimit,
    Sampling,
    ScopeInfo,
    Server,
    Tool,
    Usage,
    Wire,
)
from llm_observe.records.messages import AnyPart
from llm_observe.records.shape import SCHEMA, Shape, Status


class Decoded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the bytes of one exchange say: the wire's half of a :class:`Call`. Nothing here needs a clock or an id."""

    operation: Operation
    provider: Provider
    wire: Wire
    status: Status
    server: Server | None = None
    request: CallRequest = CallRequest()
    response: CallResponse = CallResponse()
    usage: Usage = Usage()
    system_instructions: tuple[AnyPart, ...] = ()
    input: Input = Input()
    output: Output = Output()
    tool: Tool = Tool()
    conversation: Conversation | None = None
    prompt: Prompt | None = None
    embeddings: Embeddings | None = None
    error: Error | None = None
    provider_request_id: str | None = None
    retry_after: float | None = None  # seconds
    processing_time: float | None = None  # seconds
    rate_limits: tuple[RateLimit, ...] = ()
    first_chunk_at: int | None = None  # perf_counter_ns of the read that completed the first data event
    first_content_at: int | None = None  # of the one that completed the first event with something of the answer in it
    truncated: dict[str, Cut] = msgspec.field(default_factory=dict)


class Record(Shape, frozen=True, kw_only=True, tag_field="kind"):
    """What every exported record has. ``duration`` is seconds; ``started_at`` is UTC.

    ``sampled`` is only ever false: whoever began the trace, or a sampler, did not want it kept. ``trace_state`` is what others have said
    on the trace (W3C ``tracestate``). ``instrumentation`` is the OpenTelemetry instrumentation scope whose span ``span_id`` is, where it is not ours.
    ``sampling`` is set where not all records are kept. ``content`` is how much of what was said is on it, where that is less than all.
    """

    id: str
    trace_id: str
    span_id: str
    started_at: datetime
    duration: float
    name: str
    status: Status
    parent_id: str | None = None
    request_id: str | None = None
    service: str | None = None
    error: Error | None = None
    scope: ScopeInfo | None = None
    sampled: bool | None = None
    trace_state: str | None = None
    instrumentation: str | None = None
    sampling: Sampling | None = None
    content: str | None = None
    schema: str = msgspec.field(default_factory=lambda: SCHEMA)  # a factory, so that it is written although it is the default


class Call(Record, tag="call", frozen=True, kw_only=True):
    """One logical model call: all its attempts folded together."""

    operation: Operation
    provider: Provider
    wire: Wire | None = None
    server: Server | None = None
    request: CallRequest = CallRequest()
    response: CallResponse = CallResponse()
    usage: Usage = Usage()
    system_instructions: tuple[AnyPart, ...] = ()
    input: Input = Input()
    output: Output = Output()
    tool: Tool = Tool()
    conversation: Conversation | None = None
    prompt: Prompt | None = None
    embeddings: Embeddings | None = None
    attempts: tuple[Attempt, ...] = ()
    cost: Cost | None = None
    truncated: dict[str, Cut] = msgspec.field(default_factory=dict)


_SHARED = tuple(name for name in Decoded.__struct_fields__ if name in Call.__struct_fields__)
_EMPTY: dict[str, object] = {
    "request": CallRequest(),
    "response": CallResponse(),
    "usage": Usage(),
    "system_instructions": (),
    "input": Input(),
    "output": Output(),
    "tool": Tool(),
    "truncated": {},
}


def call_of(decoded: Decoded, **own: Any) -> Call:
    """The call that *decoded* tells of, with its *own* ids, times and attempts.

    What the wire said nothing of is left at the record's defaults, so that it is not written at all.
    """
    model = decoded.request.model
    found = {name: value for name in _SHARED if (value := getattr(decoded, name)) != _EMPTY.get(name)}
    return Call(name=f"{decoded.operation.name} {model}" if model else decoded.operation.name, **found | own)
