"""Records to OpenTelemetry: finished spans, through any span exporter or through the application's own TracerProvider; and events.

The spans have the ids and times of the records: they were not made by a tracer, so span processors see their end and never their start.
Exporters of the SDK block, so that they run in a thread; their own traffic is neither recorded nor traced.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from llm_observe._runtime.verb import verb
from llm_observe.errors import RetryLater, SettingsError, missing
from llm_observe.protocols import Batch

try:
    from opentelemetry.context import Context
    from opentelemetry.instrumentation.utils import suppress_instrumentation
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import SpanKind, get_tracer_provider

    from llm_observe.exporters._otlp import TRACES, Otlp
except ModuleNotFoundError as error:
    raise missing(error, extra="otel") from None

from llm_observe.exporters._attributes import attributes
from llm_observe.exporters._openinference import ATTEMPT, openinference
from llm_observe.exporters._spans import Spans
from llm_observe.exporters._ways import Parcel, Way, settle
from llm_observe.processors.content import bare
from llm_observe.records import AnyRecord

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import LogRecordExporter

Dialect = Literal["gen_ai", "openinference"]
_DIALECTS = {"gen_ai": attributes, "openinference": openinference}

CAPTURE, EMIT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
_ON_SPANS = {"", "true", "span_only", "span_and_event"}  # what of CAPTURE leaves content where
_ON_EVENTS = {"", "true", "event_only", "span_and_event"}
SLICE, BREATH = 0.0005, 0.0001  # seconds, as in the sink: the application wants the interpreter too


class OtelExporter:
    """Exports spans to an OTLP *endpoint* (``http://host:4318``), a *span_exporter*, or a *tracer_provider*'s span processors.

    With none of them the spans go by OTLP where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says. *headers* are for the endpoint. *dialect* names
    the attributes. *attempts*: whether each attempt of a retried call is a span. *instrumented*: whether what an SDK or an
    instrumentation has made a span of already is exported all the same, under the same ids: for a backend that gets no others.

    *events*: whether the details of calls, and exceptions, are exported as log records besides: to a *log_exporter* or a
    *logger_provider* where one is named, else to the endpoint, else through the application's own LoggerProvider. Left out, they are
    where one is named, and where the environment says so to OpenTelemetry's instrumentations:
    ``OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT``, or a capture of content in events.

    :raises SettingsError: for a dialect that does not exist, an address that cannot be one, two destinations at once, events to nowhere.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        span_exporter: SpanExporter | None = None,
        tracer_provider: TracerProvider | None = None,
        headers: Mapping[str, str] | None = None,
        dialect: Dialect = "gen_ai",
        attempts: bool = True,
        instrumented: bool = False,
        events: bool | None = None,
        log_exporter: "LogRecordExporter | None" = None,
        logger_provider: "LoggerProvider | None" = None,
    ) -> None:
        if dialect not in get_args(Dialect):
            raise SettingsError(f"OtelExporter(dialect={dialect!r}): expected one of {', '.join(get_args(Dialect))}.")
        if sum(one is not None for one in (endpoint, span_exporter, tracer_provider)) > 1:
            raise SettingsError("OtelExporter: expected one of an endpoint, a span_exporter and a tracer_provider.")
        if headers is not None and not (span_exporter is None and tracer_provider is None):
            raise SettingsError("OtelExporter: headers= are for an endpoint; a span_exporter and a tracer_provider have their own.")
        if log_exporter is not None and logger_provider is not None:
            raise SettingsError("OtelExporter: expected one of a log_exporter and a logger_provider.")
        self._shown = f"{endpoint or tracer_provider or span_exporter or 'OTLP'}"
        self._instrumented, self._in_a_thread = instrumented, verb(self._export)
        self._closing: list[Callable[[], object]] = []
        self._provider = tracer_provider
        self._sampler = TracerProvider(resource=Resource.get_empty(), shutdown_on_exit=False).sampler  # the environment's
        capture = os.environ.get(CAPTURE, "").strip().lower()
        if tracer_provider is not None:
            out, resource = _through(tracer_provider), tracer_provider.resource
        else:
            out, resource = self._to(span_exporter or Otlp(TRACES, endpoint, headers)), Resource.create()
        for_phoenix = dialect == "openinference"
        of_attempts = ATTEMPT if for_phoenix else {}
        spans = Spans(resource, _DIALECTS[dialect], attempts=attempts, events=for_phoenix, attempt=of_attempts)
        self._ways = [(Way(out), self._spans_of(spans.of), capture in _ON_SPANS)]
        named = log_exporter is not None or logger_provider is not None
        if _wanted(events, named, capture):
            try:
                from llm_observe.exporters._events import Events, way
            except ImportError:
                if not (events or named):
                    return  # it was meant for others, too
                raise SettingsError("OtelExporter: events need opentelemetry-sdk 1.39 or later.") from None
            otlp = (endpoint, headers) if span_exporter is None and tracer_provider is None else None
            logs = way(log_exporter, logger_provider, span_exporter, otlp, self._to)
            if logs is not None:
                self._ways.append((Way(logs), Events(resource, instrumented=instrumented).of, capture in _ON_EVENTS))
            elif events:
                raise SettingsError("OtelExporter(events=True): nowhere to send them: name a log_exporter or a logger_provider.")

    def __repr__(self) -> str:
        return f"OtelExporter({self._shown})"

    async def export(self, batch: Batch, /) -> None:
        """Make spans of *batch*, and events, and hand them over. Those are left out whose trace the caller did not want sampled.

        What a collector finds fault with is halved, until what is at fault is alone.

        :raises RetryLater: when an exporter failed: those of the SDK do not say why. What arrived is not sent again then.
        :raises Rejected: when a collector will not take them, or some of them.
        """
        await self._in_a_thread(batch)

    def keeps(self, trace_id: str, name: str, facts: Mapping[str, str]) -> bool:
        """Whether the sampler wants a trace that begins with us: the tracer_provider's, the application's, or that of ``OTEL_TRACES_SAMPLER``.

        Asked in the sink once a trace. *facts* are the attributes of the request that it begins with, if it does.
        """
        sampler = getattr(self._provider or get_tracer_provider(), "sampler", None) or self._sampler
        kind = SpanKind.SERVER if facts else SpanKind.INTERNAL
        return bool(sampler.should_sample(Context(), int(trace_id, 16), name, kind, facts).decision.is_sampled())

    async def aclose(self) -> None:
        """Shut the SDK's exporters down. A provider is its owner's to shut down."""
        await verb(lambda _: [close() for close in self._closing])(Batch("", [], []))

    def _export(self, batch: Batch) -> None:
        for way, things_of, content in self._ways:
            parcels: list[Parcel] = []
            since = time.monotonic()
            for place, record in enumerate(batch):
                if record.sampled is not False and (things := list(things_of(record if content else bare(record)))):
                    parcels.append((place, things))
                if time.monotonic() - since > SLICE:
                    time.sleep(BREATH)
                    since = time.monotonic()
            with suppress_instrumentation():
                way.bring(batch.id, parcels)
        settle([way for way, _, _ in self._ways], len(batch))

    def _spans_of(self, of: Callable[[AnyRecord], Iterable[Any]]) -> Callable[[AnyRecord], Iterable[Any]]:
        return lambda record: of(record) if self._instrumented or record.instrumentation is None else ()

    def _to(self, exporter: Any) -> Callable[[list[Any]], None]:
        """Hands things to *exporter*, which is shut down in the end."""
        self._closing.append(exporter.shutdown)

        def out(things: list[Any]) -> None:
            if getattr(exporter.export(things), "name", None) == "FAILURE":
                raise RetryLater(f"{type(exporter).__name__} failed, and does not say why")

        return out


def _wanted(said: bool | None, named: bool, capture: str) -> bool:
    """Whether there are to be events: as we were told, where a way for them is named, or as the environment says."""
    if said is not None or named:
        return said is not False
    return {"true": True, "false": False}.get(os.environ.get(EMIT, "").strip().lower(), capture in _ON_EVENTS - {"", "true"})


def _through(provider: TracerProvider) -> Callable[[list[ReadableSpan]], None]:
    """Hands finished spans to the processors of *provider*.

    There is no public way to them: a provider has ``add_span_processor`` and nothing to read. The attribute has had this name since 1.0.
    """
    try:
        processor = provider._active_span_processor  # noqa: SLF001 - see above
    except AttributeError:
        raise SettingsError(f"OtelExporter(tracer_provider={provider!r}): expected a TracerProvider of opentelemetry-sdk.") from None

    def ended(spans: list[ReadableSpan]) -> None:
        for span in spans:
            processor.on_end(span)

    return ended


def options(text: str, given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The keywords of :class:`OtelExporter` that the query of the URL *text* has *given*.

    :raises SettingsError: for one that does not exist, or a value that is none of its own.
    """
    found: dict[str, Any] = {}
    for name, value in given:
        match name, value:
            case "dialect", _:
                found[name] = value
            case (("attempts" | "instrumented" | "events"), ("true" | "false")):
                found[name] = value == "true"
            case (("attempts" | "instrumented" | "events"), _):
                raise SettingsError(f"exporters: {text!r}: {name}={value!r}: expected true or false.")
            case _:
                raise SettingsError(
                    f"exporters: {text!r}: there is no option {name!r}. Options are: dialect, attempts, instrumented, events."
                )
    return found
