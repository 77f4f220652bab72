"""Records to OpenTelemetry: finished spans, through any span exporter or through the application's own TracerProvider.

The spans have the ids and times of the records: they were not made by a tracer, so span processors see their end and never their start.
Exporters of the SDK block, so that they run in a thread; their own traffic is neither recorded nor traced.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args

from llm_observe._runtime.verb import verb
from llm_observe.errors import RetryLater, SettingsError, missing
from llm_observe.protocols import Batch

try:
    from opentelemetry.instrumentation.utils import suppress_instrumentation
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    from llm_observe.exporters._otlp import Otlp
except ModuleNotFoundError as error:
    raise missing(error, extra="otel") from None

from llm_observe.exporters._attributes import attributes
from llm_observe.exporters._openinference import openinference
from llm_observe.exporters._spans import Spans
from llm_observe.processors.content import bare
from llm_observe.records import AnyRecord

Dialect = Literal["gen_ai", "openinference"]
_DIALECTS = {"gen_ai": attributes, "openinference": openinference}

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_WITH_CONTENT = {"", "true", "span_only", "span_and_event"}
SLICE, BREATH = 0.0005, 0.0001  # seconds, as in the sink: the application wants the interpreter too


class OtelExporter:
    """Exports spans to an OTLP *endpoint* (``http://host:4318``), a *span_exporter*, or a *tracer_provider*'s span processors.

    With none of them the spans go by OTLP where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says. *headers* are for the endpoint. *dialect* names
    the attributes. *attempts*: whether each attempt of a retried call is a span. *instrumented*: whether what an SDK or an
    instrumentation has made a span of already is exported all the same, under the same ids: for a backend that gets no others.

    :raises SettingsError: for a dialect that does not exist, an address that cannot be one, two destinations at once.
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
    ) -> None:
        if dialect not in get_args(Dialect):
            raise SettingsError(f"OtelExporter(dialect={dialect!r}): expected one of {', '.join(get_args(Dialect))}.")
        if sum(one is not None for one in (endpoint, span_exporter, tracer_provider)) > 1:
            raise SettingsError("OtelExporter: expected one of an endpoint, a span_exporter and a tracer_provider.")
        if headers is not None and not (span_exporter is None and tracer_provider is None):
            raise SettingsError("OtelExporter: headers= are for an endpoint; a span_exporter and a tracer_provider have their own.")
        self._out: Callable[[list[ReadableSpan]], object]
        self._close: Callable[[], object] = lambda: None
        if tracer_provider is not None:
            self._out, resource = _through(tracer_provider), tracer_provider.resource
        else:
            exporter = span_exporter or Otlp(endpoint, headers)
            resource, self._out, self._close = Resource.create(), exporter.export, exporter.shutdown
        self._shown = f"{endpoint or tracer_provider or span_exporter or 'OTLP'}"
        self._spans = Spans(resource, _DIALECTS[dialect], attempts=attempts, events=dialect == "openinference")
        self._instrumented = instrumented
        self._in_a_thread = verb(self._export)
        self._content = os.environ.get(CAPTURE, "").strip().lower() in _WITH_CONTENT

    def __repr__(self) -> str:
        return f"OtelExporter({self._shown})"

    async def export(self, batch: Batch, /) -> None:
        """Make spans of *batch* and hand them over. Those are left out whose trace the caller did not want sampled.

        :raises RetryLater: when the span exporter failed: it does not say why.
        :raises Rejected: when a collector will not take them.
        """
        await self._in_a_thread(batch)

    async def aclose(self) -> None:
        """Shut the span exporter down. A TracerProvider is its owner's to shut down."""
        await verb(lambda _: self._close())(Batch("", [], []))

    def _export(self, batch: Batch) -> None:
        spans: list[ReadableSpan] = []
        since = time.monotonic()
        for record in batch:
            if self._wanted(record):
                spans += self._spans.of(record if self._content else bare(record))
            if time.monotonic() - since > SLICE:
                time.sleep(BREATH)
                since = time.monotonic()
        if spans:
            with suppress_instrumentation():
                result = self._out(spans)
            if result is SpanExportResult.FAILURE:
                raise RetryLater(f"{self._shown}: the span exporter failed")

    def _wanted(self, record: AnyRecord) -> bool:
        return record.sampled is not False and (self._instrumented or record.instrumentation is None)


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
            case (("attempts" | "instrumented"), ("true" | "false")):
                found[name] = value == "true"
            case (("attempts" | "instrumented"), _):
                raise SettingsError(f"exporters: {text!r}: {name}={value!r}: expected true or false.")
            case _:
                raise SettingsError(f"exporters: {text!r}: there is no option {name!r}. Options are: dialect, attempts, instrumented.")
    return found
