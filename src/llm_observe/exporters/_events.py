"""Records to OpenTelemetry's events, which are log records with a name: what a call was about, and what went wrong.

They are in the context of the span that the record is. What was said is structured here, where spans have JSON.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from opentelemetry._logs import LoggerProvider, LogRecord, NoOpLoggerProvider, SeverityNumber, get_logger_provider
from opentelemetry._logs._internal import ProxyLoggerProvider
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter, LogRecordExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from llm_observe.exporters._attributes import DETAILS, EXCEPTION, INT64, PREFIX, Value, attributes, json, parts
from llm_observe.exporters._otlp import Otlp, Signal
from llm_observe.exporters._spans import by_service, context_of, exception, has_failed, here, nanoseconds, told
from llm_observe.processors.measures import INFERENCE
from llm_observe.records import AnyRecord, Call, Input, Request, Tool

LOGS = Signal("/v1/logs", OTLPLogExporter, ExportLogsServiceResponse, "rejected_log_records", "log records", needed=False)
DEEPEST = 24  # levels that stay structured: a level is three of protobuf's, and its readers stop at 100
Out = Callable[[list[Any]], None]
_THEIRS = "opentelemetry."  # what begins the names of instrumentations that send these events themselves


class Events:
    """Makes log records. What an instrumentation of OpenTelemetry's made a span of has its event from there, unless *instrumented*."""

    def __init__(self, resource: Resource, *, instrumented: bool) -> None:
        self._scope, self._resource, self._instrumented = here(), by_service(resource), instrumented

    def of(self, record: AnyRecord) -> Iterator[ReadableLogRecord]:
        """The events of *record*: the details of an inference, and the exception that was its end."""
        if not self._instrumented and (record.instrumentation or "").startswith(_THEIRS):
            return
        failed = has_failed(record)
        if isinstance(record, Call) and record.operation.name in INFERENCE:
            yield self._event(record, DETAILS, SeverityNumber.INFO, told(_details(record), failed=failed))
        if failed and not _is_status(record):
            name, severity = (EXCEPTION, SeverityNumber.WARN) if isinstance(record, Call) else ("exception", SeverityNumber.ERROR)
            yield self._event(record, name, severity, exception(record))

    def _event(self, record: AnyRecord, name: str, severity: SeverityNumber, said: Mapping[str, Value]) -> ReadableLogRecord:
        end = nanoseconds(record.started_at) + round(record.duration * 1e9)
        span = NonRecordingSpan(context_of(record, record.span_id))
        event = LogRecord(
            timestamp=end,
            observed_timestamp=end,
            context=set_span_in_context(span, Context()),
            severity_number=severity,
            severity_text=severity.name,
            attributes=said,
            event_name=name,
        )
        return ReadableLogRecord(event, self._resource(record.service), self._scope)


def way(
    exporter: LogRecordExporter | None,
    provider: LoggerProvider | None,
    beside: SpanExporter | None,
    otlp: tuple[str | None, Mapping[str, str] | None] | None,
    to: Callable[[Any], Out],
) -> Out | None:
    """The way of events: *to* the *exporter*, through the *provider*, by *otlp*, or through the provider that the application has, if any.

    Where spans go to the console they go there, too.
    """
    if isinstance(beside, ConsoleSpanExporter):
        exporter = exporter or ConsoleLogRecordExporter(beside.out)
    if exporter is None and provider is None and otlp is not None:
        return to(Otlp(LOGS, *otlp))
    if exporter is not None:
        return to(exporter)
    found = provider or get_logger_provider()
    return None if isinstance(found, ProxyLoggerProvider | NoOpLoggerProvider) else through(found)


def through(provider: LoggerProvider) -> Out:
    """Hands events to a logger of *provider*: its processors get them, with its resource."""
    scope = here()
    logger = provider.get_logger(scope.name, scope.version)

    def emit(events: list[ReadableLogRecord]) -> None:
        for event in events:
            logger.emit(event.log_record)

    return emit


def _is_status(record: AnyRecord) -> bool:
    """Whether what failed is a web request without an exception: its status says it all."""
    return isinstance(record, Request) and record.error is not None and record.error.type.isdecimal()


def _details(call: Call) -> dict[str, Any]:
    """The attributes of *call*, what was said in it structured."""
    silent = msgspec.structs.replace(
        call,
        system_instructions=(),
        input=Input(count=call.input.count),
        output=msgspec.structs.replace(call.output, messages=()) if call.output.messages else call.output,
        tool=Tool(),
    )
    said = {
        "system_instructions": call.system_instructions,
        "input.messages": tuple(map(parts, call.input.messages)),
        "output.messages": tuple(map(parts, call.output.messages)),
        "tool.definitions": call.tool.definitions,
    }
    content = {PREFIX + path: _structured(msgspec.json.decode(json(value)), DEEPEST) for path, value in said.items() if value}
    return attributes(silent) | content


def _structured(value: Any, depth: int) -> Any:
    """*value*, out of JSON, as an attribute of a log record can hold it."""
    if isinstance(value, dict | list) and not depth:
        return json(value)
    if isinstance(value, dict):
        return {name: _structured(one, depth - 1) for name, one in value.items()}
    if isinstance(value, list):
        return [_structured(one, depth - 1) for one in value]
    return str(value) if type(value) is int and value not in INT64 else value
