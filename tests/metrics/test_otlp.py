"""Sums in the OpenTelemetry SDK."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from llm_observe.errors import SettingsError
from llm_observe.metrics.otlp import OtlpMeter
from llm_observe.testing import recording


def points(reader: InMemoryMetricReader) -> dict[str, list]:
    """The data points, by metric."""
    return {
        metric.name: list(metric.data.data_points)
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_sums_go_through_the_applications_own_provider(call):
    """Names, buckets and attributes are the convention's."""
    reader = InMemoryMetricReader()
    OtlpMeter(provider=MeterProvider([reader])).record(call())
    found = points(reader)

    (duration,) = found["gen_ai.client.inference.duration"]
    assert (1.5, 1, (0.01, 0.02, 0.04, 0.08)) == (duration.sum, duration.count, tuple(duration.explicit_bounds)[:4])
    assert {"gen_ai.operation.name": "chat", "server.port": 443}.items() <= dict(duration.attributes).items()
    assert {"text": 70, "image": 20, "unknown": 10} == {
        point.attributes["gen_ai.token.modality"]: point.value for point in found["gen_ai.client.inference.usage.input_tokens"]
    }
    assert [7] == [point.value for point in found["llm_observe.rate_limit.remaining"]]


@pytest.fixture
def collector():
    """A receiver of OTLP over HTTP: what it got, read with the official classes."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            message = ExportMetricsServiceRequest()
            message.ParseFromString(body)
            received.append((self.path, message))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


def test_sums_arrive_at_a_collector(collector):
    """Named in a setting, sent at the end at the latest, with the service's name."""
    import llm_observe

    address, received = collector
    with recording(metrics=[f"otlp+http://{address}"], service="shop") as recorded:
        with llm_observe.scope("job"):
            pass
        assert 1 == len(recorded.requests)

    path, message = received[-1]
    (resource,) = message.resource_metrics
    names = {metric.name for scope in resource.scope_metrics for metric in scope.metrics}
    assert "/v1/metrics" == path
    assert {"llm_observe.request.duration", "llm_observe.records.exported"} <= names
    assert "shop" in [pair.value.string_value for pair in resource.resource.attributes if pair.key == "service.name"]


def test_exemplars_arrive_at_a_collector(collector):
    """A call's duration leads to its trace, by the ids that are on the record."""
    import llm_observe

    address, received = collector
    with recording(metrics=[f"otlp+http://{address}"]) as recorded:
        with llm_observe.scope("job"), llm_observe.record_call("m", provider="p"):
            pass
        (call,) = recorded.calls
    exemplars = {
        metric.name: [
            (one.trace_id.hex(), one.span_id.hex(), one.as_double) for point in metric.histogram.data_points for one in point.exemplars
        ]
        for resource in received[-1][1].resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }

    assert [(call.trace_id, call.span_id, call.duration)] == exemplars["gen_ai.client.inference.duration"]


def test_a_trace_that_nobody_keeps_is_no_exemplar(call):
    """It would lead nowhere."""
    reader = InMemoryMetricReader()
    OtlpMeter(provider=MeterProvider([reader])).record(call(sampled=False))
    (point,) = points(reader)["gen_ai.client.inference.duration"]

    assert [] == list(point.exemplars)


def test_an_address_or_a_provider_is_needed():
    """One of them."""
    with pytest.raises(SettingsError, match="expected an endpoint"):
        OtlpMeter()


def test_what_rises_and_falls_is_a_sum_that_may_fall(call):
    """Calls in flight of several processes are added by whoever stores them; a limit that is left is not."""
    import llm_observe

    reader = InMemoryMetricReader()
    with recording(metrics=[OtlpMeter(provider=MeterProvider([reader]))]) as recorded:
        (meter,) = recorded.observer.meters
        with llm_observe.record_call("m", provider="p"):
            meter.health(recorded.observer.stats())
            (inside,) = points(reader)["llm_observe.calls.in_flight"]
        meter.health(recorded.observer.stats())
        (after,) = points(reader)["llm_observe.calls.in_flight"]

    assert (1, 0) == (inside.value, after.value)


def test_exports_are_timed():
    """As a histogram, by exporter."""
    reader = InMemoryMetricReader()
    OtlpMeter(provider=MeterProvider([reader])).exported("file", 0.03)
    (point,) = points(reader)["llm_observe.export.duration"]

    assert (0.03, 1, {"llm_observe.exporter": "file"}) == (point.sum, point.count, dict(point.attributes))
