"""Records to finished OpenTelemetry spans, with the ids and times that the records have.

Server spans for web requests, internal ones for jobs and steps, client spans for calls. The attempts of a call that took more than one
are client spans below it, as HTTP instrumentations draw them.
"""

import functools
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from llm_observe.exporters._attributes import OWN, Value, plain
from llm_observe.records import AnyRecord, Attempt, Call, Request

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
# What an application does itself. To invoke an agent is that only where it is in this process: a call to one has a server.
INTERNAL = {"execute_tool", "invoke_workflow", "plan"}

Attributes = Callable[[AnyRecord], Mapping[str, Value]]


class Spans:
    """Makes spans. *attributes* is the dialect; *events* has exceptions on them as events, *attempts* a span each of retried calls.

    *attempt* is what the dialect wants on every span of an attempt.
    """

    def __init__(self, resource: Resource, attributes: Attributes, *, attempts: bool, events: bool, attempt: Mapping[str, Value]) -> None:
        self._attributes, self._attempts, self._events, self._of_attempts = attributes, attempts, events, attempt
        self._scope, self._resource = here(), by_service(resource)

    def of(self, record: AnyRecord) -> Iterator[ReadableSpan]:
        """The spans of *record*: its own, and those of its attempts where there were several."""
        start = nanoseconds(record.started_at)
        end = start + round(record.duration * 1e9)
        resource = self._resource(record.service)
        context = context_of(record, record.span_id)
        failed = has_failed(record)
        yield ReadableSpan(
            _name(record),
            context=context,
            parent=_parent(record),
            resource=resource,
            attributes=told(self._attributes(record), failed=failed),
            events=[Event("exception", exception(record), end)] if failed and self._events else [],
            kind=_kind(record),
            status=Status(StatusCode.ERROR, _words(record)) if failed else Status(StatusCode.UNSET),
            start_time=start,
            end_time=end,
            instrumentation_scope=self._scope,
        )
        if isinstance(record, Call) and self._attempts and len(record.attempts) > 1:
            for number, attempt in enumerate(record.attempts):
                yield self._attempt(record, attempt, number, context, resource)

    def _attempt(self, call: Call, attempt: Attempt, number: int, parent: SpanContext, resource: Resource) -> ReadableSpan:
        start = nanoseconds(attempt.started_at)
        return ReadableSpan(
            "POST",
            context=context_of(call, blake2b(f"{call.span_id}.{number}".encode(), digest_size=8).hexdigest()),
            parent=parent,
            resource=resource,
            attributes={**self._of_attempts, **_facts(call, attempt, number)},
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.ERROR if attempt.error_type else StatusCode.UNSET),
            start_time=start,
            end_time=start + round(attempt.duration * 1e9),
            instrumentation_scope=self._scope,
        )


def nanoseconds(instant: datetime) -> int:
    """*instant* since the epoch, exactly: a float would round it."""
    return (instant - EPOCH) // timedelta(microseconds=1) * 1000


def has_failed(record: AnyRecord) -> bool:
    """Whether *record* is of a failure: who did not want to wait any longer has seen none."""
    return record.error is not None and record.status != "cancelled"


def told(attributes: Mapping[str, Value], *, failed: bool) -> Mapping[str, Value]:
    """*attributes* as a span or an event has them: it is of an error where it *failed*, and nowhere else."""
    if failed or "error.type" not in attributes:
        return attributes
    return {name: value for name, value in attributes.items() if name != "error.type"}


def exception(record: AnyRecord) -> dict[str, Value]:
    """What went wrong in *record*, as OpenTelemetry describes an exception."""
    said: dict[str, Value] = {"exception.type": record.error.type if record.error else "_OTHER"}
    if words := _words(record):
        said["exception.message"] = words
    return said


def here() -> InstrumentationScope:
    """Who tells all this."""
    return InstrumentationScope("llm_observe", _version())


def by_service(resource: Resource) -> Callable[[str | None], Resource]:
    """*resource* as it is for records of one service and another."""
    return functools.lru_cache(maxsize=64)(lambda service: _named(resource, service))


def context_of(record: AnyRecord, span_id: str, *, remote: bool = False) -> SpanContext:
    """The place of the span *span_id* in the trace of *record*, as spans and log records have it."""
    state = None if record.trace_state is None else _state(record.trace_state)
    return SpanContext(int(record.trace_id, 16), int(span_id, 16), remote, SAMPLED, state)


@functools.lru_cache(maxsize=64)
def _state(text: str) -> TraceState:
    return TraceState.from_header([text])


def _parent(record: AnyRecord) -> SpanContext | None:
    if record.parent_id is None:
        return None
    remote = isinstance(record, Request) and record.http is not None
    return context_of(record, record.parent_id, remote=remote)


def _name(record: AnyRecord) -> str:
    """The record's name; a path that no template stands for is none: there would be too many."""
    if isinstance(record, Request) and record.http is not None and record.http.route is None:
        return record.name.partition(" ")[0]
    return str(plain(record.name))


def _kind(record: AnyRecord) -> SpanKind:
    if isinstance(record, Call):
        operation = record.operation.name
        here = operation in INTERNAL or (operation == "invoke_agent" and record.server is None)
        return SpanKind.INTERNAL if here else SpanKind.CLIENT
    return SpanKind.SERVER if isinstance(record, Request) and record.http is not None else SpanKind.INTERNAL


def _words(record: AnyRecord) -> str | None:
    if record.error is None:
        return None
    return None if record.error.message is None else str(plain(record.error.message))


def _facts(call: Call, attempt: Attempt, number: int) -> dict[str, Value]:
    found: dict[str, Value | None] = {
        "http.request.method": "POST",
        "http.request.resend_count": number or None,
        "http.response.status_code": attempt.status_code,
        "error.type": attempt.error_type,
        "server.address": call.server.address if call.server else None,
        "server.port": call.server.port if call.server else None,
        OWN + "attempt.provider_request_id": attempt.provider_request_id,
        OWN + "attempt.retry_after": attempt.retry_after,
        OWN + "attempt.processing_time": attempt.processing_time,
    }
    return {name: plain(value) for name, value in found.items() if value is not None}


def _named(resource: Resource, service: str | None) -> Resource:
    return resource if service is None else resource.merge(Resource({"service.name": service}))


def _version() -> str:
    try:
        return importlib.metadata.version("llm-observe")
    except importlib.metadata.PackageNotFoundError:  # a source tree on the path
        return "unknown"
