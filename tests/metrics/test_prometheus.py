"""Sums in prometheus-client, and the page that shows them."""

import asyncio
import json

import pytest

import llm_observe

prometheus_client = pytest.importorskip("prometheus_client")

from prometheus_client import CollectorRegistry  # noqa: E402
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics  # noqa: E402
from prometheus_client.openmetrics.parser import text_string_to_metric_families  # noqa: E402

from llm_observe.errors import SettingsError  # noqa: E402
from llm_observe.metrics.prometheus import PrometheusMeter, metrics_app, metrics_wsgi_app  # noqa: E402
from llm_observe.records import CallResponse  # noqa: E402
from llm_observe.testing import recording  # noqa: E402

LABELS = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai", "gen_ai_request_model": "m"}
FULL = LABELS | {"gen_ai_response_model": "m-1", "server_address": "api.openai.com", "server_port": "443"}


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of the test's own."""
    return CollectorRegistry()


def test_names_and_units_are_as_prometheus_has_them(registry, call):
    """Dots become underscores, the unit stands at the end, counters end in total."""
    PrometheusMeter(registry=registry).record(call())

    assert 1.5 == registry.get_sample_value("gen_ai_client_inference_duration_seconds_sum", FULL | {"error_type": ""})
    assert 70 == registry.get_sample_value("gen_ai_client_inference_usage_input_tokens_total", FULL | {"gen_ai_token_modality": "text"})
    assert 0.5 == registry.get_sample_value("llm_observe_cost_usd_total", LABELS | {"llm_observe_cost_kind": "input"})
    assert 7 == registry.get_sample_value("llm_observe_rate_limit_remaining", LABELS | {"llm_observe_limit": "tokens"})


def test_buckets_are_the_conventions(registry, call):
    """1.5 seconds are more than 1.28 and no more than 2.56."""
    PrometheusMeter(registry=registry).record(call())
    name, labels = "gen_ai_client_inference_duration_seconds_bucket", FULL | {"error_type": ""}

    assert [0, 1, 1] == [registry.get_sample_value(name, labels | {"le": le}) for le in ("1.28", "2.56", "+Inf")]


def test_a_bucket_names_a_trace(registry, call):
    """Where the scraper asks for OpenMetrics."""
    PrometheusMeter(registry=registry).record(call())

    (line,) = [
        line
        for line in openmetrics(registry).decode().splitlines()
        if line.startswith("gen_ai_client_inference_duration_seconds_bucket") and 'le="2.56"' in line
    ]
    assert (
        f'# {{span_id="{"b" * 16}",trace_id="{"a" * 32}"}} 1.5' in line or f'# {{trace_id="{"a" * 32}",span_id="{"b" * 16}"}} 1.5' in line
    )


def scrape(registry, accept: str) -> str:
    """The page, as a scraper that takes *accept* gets it."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics", "QUERY_STRING": "", "HTTP_ACCEPT": accept}
    return b"".join(metrics_wsgi_app(registry)(environ, lambda *_: None)).decode()


def test_exemplars_arrive_where_openmetrics_is_asked_for(registry):
    """Of calls and of requests, with the ids that are on their records; the older format has no place for them."""
    with recording(metrics=[PrometheusMeter(registry=registry)]) as recorded:
        with llm_observe.scope("job"), llm_observe.record_call("m", provider="p"):
            pass
        (call,), (request,) = recorded.calls, recorded.requests
    page = scrape(registry, "application/openmetrics-text; version=1.0.0")
    named = {
        family.name: {json.dumps(sample.exemplar.labels, sort_keys=True) for sample in family.samples if sample.exemplar}
        for family in text_string_to_metric_families(page)
    }

    def label(record) -> set[str]:
        return {json.dumps({"span_id": record.span_id, "trace_id": record.trace_id})}

    assert label(call) == named["gen_ai_client_inference_duration_seconds"]
    assert label(request) == named["llm_observe_request_duration_seconds"]
    assert " # {" not in scrape(registry, "text/plain")


def test_a_trace_that_nobody_keeps_is_no_exemplar(registry, call):
    """It would lead nowhere."""
    PrometheusMeter(registry=registry).record(call(sampled=False))

    assert " # {" not in openmetrics(registry).decode()


def test_two_meters_may_share_a_registry(registry, call):
    """Two observers of one process: their sums are one."""
    PrometheusMeter(registry=registry).record(call())
    PrometheusMeter(registry=registry, names="both").record(call())

    assert 2 == registry.get_sample_value("gen_ai_client_inference_duration_seconds_count", FULL | {"error_type": ""})
    assert 1 == registry.get_sample_value("gen_ai_client_token_usage_count", FULL | {"gen_ai_token_type": "input"})


def test_an_observers_own_numbers_are_shown(registry, call):
    """Totals become what was added since, whoever asks how often."""
    with recording(metrics=[PrometheusMeter(registry=registry)]) as recorded:
        with llm_observe.scope("job"):
            pass
        assert 1 == len(recorded.requests)
        for _ in range(2):
            recorded.observer.meters[0].health(recorded.observer.stats())

        assert 1 == registry.get_sample_value("llm_observe_records_exported_total", {"llm_observe_exporter": "memory"})
        assert 0 == registry.get_sample_value("llm_observe_queue_bytes")


def test_sums_are_right_where_records_are_let_go():
    """What a processor drops, or sampling leaves out, was there all the same."""
    registry = CollectorRegistry()
    with recording(metrics=[PrometheusMeter(registry=registry)], processors=[lambda record: None]) as recorded:
        with llm_observe.scope("job"):
            pass
        assert [] == recorded.requests

    labels = {"http_request_method": "", "http_route": "job", "http_response_status_code": "", "error_type": ""}
    assert 1 == registry.get_sample_value("llm_observe_request_duration_seconds_count", labels)


class Broken:
    """A meter that fails."""

    def record(self, record):
        raise RuntimeError("sk-canary")

    def health(self, stats):
        raise RuntimeError("sk-canary")


def test_a_meter_that_fails_costs_no_record():
    """It is counted and told once a minute; the record goes its way."""
    with recording(metrics=[Broken()], strict=False) as recorded:
        with llm_observe.scope("job"):
            pass
        assert 1 == len(recorded.requests)
        assert recorded.observer.stats().errors > 0


def test_the_page_under_asgi(registry, call):
    """As a FastAPI or Starlette app mounts it."""
    PrometheusMeter(registry=registry).record(call())
    sent = []

    async def ask():
        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/metrics", "query_string": b"", "headers": []}
        await metrics_app(registry)(scope, receive, send)

    asyncio.run(ask())
    assert 200 == sent[0]["status"]
    assert b"gen_ai_client_inference_duration_seconds_count" in sent[1]["body"]


def test_the_page_under_wsgi(registry, call):
    """As a Flask app does."""
    PrometheusMeter(registry=registry).record(call())
    body = b"".join(metrics_wsgi_app(registry)({"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics", "QUERY_STRING": ""}, lambda *_: None))

    assert b"gen_ai_client_inference_duration_seconds_count" in body


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("promtheus", "Did you mean 'prometheus'?"),
        ("prometheus:9090", "unknown meter"),
        ("statsd:x", "Expected `prometheus`"),
        (5, "Expected a name"),
    ],
)
def test_a_meter_that_nobody_knows_fails_at_start_up(named, expected):
    """With what was expected."""
    with pytest.raises(SettingsError) as caught, recording(metrics=[named]):
        pass

    assert expected in str(caught.value)


def test_the_chunks_of_a_stream_name_its_trace_once(registry, call):
    """All of them are counted."""
    PrometheusMeter(registry=registry).record(call(response=CallResponse(time_to_first_chunk=0.1, chunk_gaps=(10_000, 10_000, 5_000_000))))
    name = "gen_ai_client_inference_time_per_output_chunk_seconds"
    lines = [line for line in openmetrics(registry).decode().splitlines() if line.startswith(name)]

    assert 1 == sum(" # {" in line for line in lines)
    assert any(line.startswith(f"{name}_count") and line.endswith(" 3.0") for line in lines)
