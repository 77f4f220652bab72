"""A call's record, and the wire's half of it."""

from datetime import datetime

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

_REQUEST, _RESPONSE, _USAGE, _INPUT, _OUTPUT, _TOOL = CallRequest(), CallResponse(), Usage(), Input(), Output(), Tool()
"""What says nothing, and is not written. It goes by identity: what is merely equal is."""


class Decoded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the bytes of one exchange say: the wire's half of a :class:`Call`. Nothing here needs a clock or an id."""

    operation: Operation
    provider: Provider
    wire: Wire
    status: Status
    server: Server | None = None
    request: CallRequest = _REQUEST
    response: CallResponse = _RESPONSE
    usage: Usage = _USAGE
    system_instructions: tuple[AnyPart, ...] = ()
    input: Input = _INPUT
    output: Output = _OUTPUT
    tool: Tool = _TOOL
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
    request: CallRequest = _REQUEST
    response: CallResponse = _RESPONSE
    usage: Usage = _USAGE
    system_instructions: tuple[AnyPart, ...] = ()
    input: Input = _INPUT
    output: Output = _OUTPUT
    tool: Tool = _TOOL
    conversation: Conversation | None = None
    prompt: Prompt | None = None
    embeddings: Embeddings | None = None
    attempts: tuple[Attempt, ...] = ()
    cost: Cost | None = None
    truncated: dict[str, Cut] = msgspec.field(default_factory=dict)


def call_of(
    decoded: Decoded,
    response: CallResponse | None = None,
    *,
    id: str,
    trace_id: str,
    span_id: str,
    started_at: datetime,
    duration: float,
    attempts: tuple[Attempt, ...],
    parent_id: str | None = None,
    request_id: str | None = None,
    service: str | None = None,
    scope: ScopeInfo | None = None,
    sampled: bool | None = None,
    trace_state: str | None = None,
    instrumentation: str | None = None,
    content: str | None = None,
) -> Call:
    """The call that *decoded* tells of, with ids, times and attempts of its own; with *response* where that knows more.

    What the wire said nothing of is left at the record's defaults, so that it is not written at all.
    """
    operation, request, usage = decoded.operation, decoded.request, decoded.usage
    asked, answered, tool = decoded.input, decoded.output, decoded.tool
    response = response or decoded.response
    model = request.model
    # In steps of at most fifteen keywords: of more than that Python makes a dict first, which takes three times as long.
    call = Call(
        id=id,
        trace_id=trace_id,
        span_id=span_id,
        started_at=started_at,
        duration=duration,
        name=f"{operation.name} {model}" if model else operation.name,
        operation=operation,
        provider=decoded.provider,
        wire=decoded.wire,
        status=decoded.status,
        server=decoded.server,
        request=_REQUEST if request == _REQUEST else request,
        response=_RESPONSE if response == _RESPONSE else response,
        usage=_USAGE if usage == _USAGE else usage,
        attempts=attempts,
    )
    call = msgspec.structs.replace(
        call,
        parent_id=parent_id,
        request_id=request_id,
        service=service,
        scope=scope,
        sampled=sampled,
        trace_state=trace_state,
        instrumentation=instrumentation,
        content=content,
        system_instructions=decoded.system_instructions,
        input=_INPUT if asked == _INPUT else asked,
        output=_OUTPUT if answered == _OUTPUT else answered,
        tool=_TOOL if tool == _TOOL else tool,
        error=decoded.error,
        truncated=decoded.truncated,
    )
    conversation, prompt, embeddings = decoded.conversation, decoded.prompt, decoded.embeddings
    if conversation is None and prompt is None and embeddings is None:
        return call
    return msgspec.structs.replace(call, conversation=conversation, prompt=prompt, embeddings=embeddings)
