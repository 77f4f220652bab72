"""Metrics to any OTLP backend, by the OpenTelemetry SDK: to an address, or through the application's own MeterProvider."""

from typing import Any

from llm_observe.errors import SettingsError, missing

try:
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.metrics import MeterProvider as AnyProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
except ModuleNotFoundError as error:
    raise missing(error, extra="otel") from None

from llm_observe.metrics._health import Deltas, exported, health
from llm_observe.processors.instruments import Names, instruments
from llm_observe.processors.measures import Bounds, Measurement, measured
from llm_observe.records import AnyRecord


class OtlpMeter:
    """Keeps the sums in the OpenTelemetry SDK, which sends them to *endpoint* every minute (``OTEL_METRIC_EXPORT_INTERVAL``).

    With a *provider*, the application's own, they go wherever that sends its own. ``OTEL_EXPORTER_OTLP_*``, ``OTEL_SERVICE_NAME`` and
    ``OTEL_RESOURCE_ATTRIBUTES`` are the SDK's, and hold. Histograms have the trace and span id of their call or request as exemplars.

    :raises SettingsError: for neither an endpoint nor a provider.
    """

    def __init__(
        self, endpoint: str | None = None, *, provider: AnyProvider | None = None, names: Names = "current", service: str | None = None
    ) -> None:
        if (endpoint is None) == (provider is None):
            raise SettingsError("OtlpMeter: expected an endpoint, or the application's own MeterProvider.")
        self._own: MeterProvider | None = None
        if provider is None:
            exporter = OTLPMetricExporter(endpoint=f"{str(endpoint).rstrip('/')}/v1/metrics")
            resource = Resource.create({SERVICE_NAME: service} if service else {})
            provider = self._own = MeterProvider([PeriodicExportingMetricReader(exporter)], resource=resource)
        meter = provider.get_meter("llm_observe")
        make: dict[str, Any] = {"counter": meter.create_counter, "updown": meter.create_up_down_counter, "gauge": meter.create_gauge}
        self._metrics: dict[str, Any] = {}
        for one in instruments(names):
            if one.kind == "histogram":
                bounds = list(one.buckets)
                self._metrics[one.name] = meter.create_histogram(
                    one.name, one.unit, one.description, explicit_bucket_boundaries_advisory=bounds
                )
            else:
                self._metrics[one.name] = make[one.kind](one.name, one.unit, one.description)
        self._names: Names = names
        self._bounds, self._deltas = Bounds(), Deltas()

    def record(self, record: AnyRecord) -> None:
        """Add what *record* measures."""
        context = None if record.sampled is False else _context(record)
        before = None
        for measurement in measured(record, self._bounds, self._names):
            again = before is not None and measurement.continues(before)  # the chunks of a stream: one exemplar
            self._add(measurement, measurement.value, None if again else context)
            before = measurement

    def health(self, stats: Any) -> None:
        """Set what an observer's numbers say."""
        for measurement in health(stats):
            self._add(measurement, self._deltas.of(measurement))

    def exported(self, exporter: str, seconds: float) -> None:
        """Add an attempt of *exporter* to deliver a batch."""
        self._add(exported(exporter, seconds), seconds)

    def close(self) -> None:
        """Send what there is. A provider of the application's own stays open."""
        if self._own is not None:
            self._own.shutdown(2000)

    def _add(self, measurement: Measurement, value: float, context: Context | None = None) -> None:
        instrument = measurement.instrument
        metric = self._metrics[instrument.name]
        if instrument.kind == "histogram":
            metric.record(value, measurement.attributes, context)
        elif instrument.kind in {"counter", "updown"}:
            metric.add(value, measurement.attributes)
        else:
            metric.set(value, measurement.attributes)


def _context(record: AnyRecord) -> Context:
    """The context of *record*'s span: that it was sampled makes it an exemplar (``OTEL_METRICS_EXEMPLAR_FILTER`` says otherwise)."""
    place = SpanContext(int(record.trace_id, 16), int(record.span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(place), Context())
