"""Prometheus, by prometheus-client: one process, or gunicorn's many with ``PROMETHEUS_MULTIPROC_DIR``.

::

    app.mount("/metrics", metrics_app())          # Starlette, FastAPI
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": metrics_wsgi_app()})   # Flask
"""

import os
import re
import weakref
from collections.abc import Callable
from typing import Any

from llm_observe.errors import missing

try:
    import prometheus_client
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
except ModuleNotFoundError as error:
    raise missing(error, extra="prometheus") from None

from llm_observe.metrics._health import Deltas, exported, health
from llm_observe.processors.instruments import Instrument, Names, instruments
from llm_observe.processors.measures import Bounds, Measurement, measured
from llm_observe.records import AnyRecord

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
_UNITS = {"s": "seconds", "By": "bytes", "USD": "usd"}  # what is in braces is no unit to Prometheus
_made: "weakref.WeakKeyDictionary[CollectorRegistry, dict[str, Any]]" = weakref.WeakKeyDictionary()


class PrometheusMeter:
    """Keeps the sums in a *registry* of prometheus-client, the default one unless told otherwise. Several may share one.

    Times have the trace and span id of their call or request as exemplars, where the scraper asks for OpenMetrics.
    """

    def __init__(self, *, registry: CollectorRegistry = REGISTRY, names: Names = "current") -> None:
        self._names: Names = names
        made = _made.setdefault(registry, {})
        for one in instruments(names):
            if one.name not in made:
                made[one.name] = _metric(one, registry)
        self._metrics = made
        self._bounds, self._deltas = Bounds(), Deltas()

    def record(self, record: AnyRecord) -> None:
        """Add what *record* measures."""
        exemplar = None if record.sampled is False else {"trace_id": record.trace_id, "span_id": record.span_id}
        before, series = None, None
        for measurement in measured(record, self._bounds, self._names):
            again = before is not None and measurement.continues(before)  # the chunks of a stream: looked up once, one exemplar
            series = series if again else self._series(measurement)
            _put(series, measurement, measurement.value, None if again else exemplar)
            before = measurement

    def health(self, stats: Any) -> None:
        """Set what an observer's numbers say."""
        for measurement in health(stats):
            kind = measurement.instrument.kind
            _put(self._series(measurement), measurement, self._deltas.of(measurement) if kind == "counter" else measurement.value, None)

    def exported(self, exporter: str, seconds: float) -> None:
        """Add an attempt of *exporter* to deliver a batch."""
        measurement = exported(exporter, seconds)
        _put(self._series(measurement), measurement, seconds, None)

    def _series(self, measurement: Measurement) -> Any:
        instrument, attributes = measurement.instrument, measurement.attributes
        metric = self._metrics[instrument.name]
        return metric.labels(*[attributes.get(name, "") for name in instrument.attributes]) if instrument.attributes else metric


def _put(series: Any, measurement: Measurement, value: float, exemplar: dict[str, str] | None) -> None:
    instrument = measurement.instrument
    if instrument.kind == "histogram":
        series.observe(value, exemplar if instrument.unit == "s" else None)
    elif instrument.kind == "counter":
        series.inc(value)
    else:
        series.set(value)


def metrics_app(registry: CollectorRegistry | None = None) -> Callable[..., Any]:
    """An ASGI app that shows the metrics: of this process, or of all workers where ``PROMETHEUS_MULTIPROC_DIR`` is set."""
    app: Callable[..., Any] = prometheus_client.make_asgi_app(_shown(registry))
    return app


def metrics_wsgi_app(registry: CollectorRegistry | None = None) -> Callable[..., Any]:
    """:func:`metrics_app` for WSGI."""
    app: Callable[..., Any] = prometheus_client.make_wsgi_app(_shown(registry))
    return app


def _shown(registry: CollectorRegistry | None) -> CollectorRegistry:
    if registry is not None:
        return registry
    if MULTIPROCESS not in os.environ:
        return REGISTRY
    from prometheus_client.multiprocess import MultiProcessCollector

    every = CollectorRegistry()
    MultiProcessCollector(every)  # type: ignore[no-untyped-call]
    return every


def _metric(instrument: Instrument, registry: CollectorRegistry) -> Any:
    name = re.sub(r"[^a-zA-Z0-9_]", "_", instrument.name)
    unit = _UNITS.get(instrument.unit)
    name = f"{name}_{unit}" if unit and not name.endswith(f"_{unit}") else name
    labels = [re.sub(r"[^a-zA-Z0-9_]", "_", attribute) for attribute in instrument.attributes]
    if instrument.kind == "histogram":
        return Histogram(name, instrument.description, labels, buckets=instrument.buckets, registry=registry)
    if instrument.kind == "counter":
        return Counter(name, instrument.description, labels, registry=registry)
    # Queues add up over the workers that live; what a provider says is left is the same for all, and the last word counts.
    mode: Any = "livesum" if instrument.kind == "updown" else "livemostrecent"
    return Gauge(name, instrument.description, labels, registry=registry, multiprocess_mode=mode)
