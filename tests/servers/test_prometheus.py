"""A real Prometheus scrapes four workers of gunicorn: what it counts is what the record files say."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

APPS = Path(__file__).parent / "apps"
REQUESTS, MODELS, USERS = 1200, 200, 10_000
IN_FLIGHT = "llm_observe_calls_in_flight"

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None and "CI" not in os.environ, reason="Prometheus is not installed"),
    pytest.mark.timeout(300),
]


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def model_of(n: int) -> str:
    """Every second request asks one of many models, the others one of three."""
    return f"model-{n // 2 % MODELS}" if n % 2 == 0 else ("fake-echo", "fake-flaky-429", "fake-invalid-key")[n % 7 % 3]


class Scraped:
    """What Prometheus answers, and the records beside it."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url = self.app = url
        self.at: float | None = None  # when what is asked for is looked at: now, unless an instant has been kept
        self.records = defaultdict(list)
        for path in directory.glob("*.jsonl"):
            for line in path.read_text().splitlines():
                record = json.loads(line)
                self.records[record["kind"]].append(record)

    def ask(self, query: str) -> list[dict]:
        """The series that a query gives."""
        import httpx2

        answer = httpx2.get(f"{self.url}/api/v1/query", params={"query": query} | ({"time": self.at} if self.at else {})).json()
        assert "success" == answer["status"], answer
        return answer["data"]["result"]

    def settled(self, expected: float) -> bool:
        """Whether so many records have arrived, by the last scrape. It is kept: a later one may fail on a machine that is busy."""
        self.at = time.time()
        return expected == sum(self.by("sum(llm_observe_records_exported_total)").values())

    def by(self, query: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The values that a query gives, by these labels, without zeros."""
        return {
            tuple(one["metric"].get(name, "") for name in labels): float(one["value"][1])
            for one in self.ask(query)
            if float(one["value"][1])
        }


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """Twelve hundred requests of as many users to two hundred models; then a rest until all that they wrote has been scraped."""
    import httpx2

    from llm_observe.testing.provider import FakeProvider

    home = tmp_path_factory.mktemp("prometheus")
    shared, directory = home / "shared", home / "records"
    shared.mkdir()
    port = free_port()
    (home / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 5s, scrape_timeout: 5s}}\nscrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
    )
    own = free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LLM_OBSERVE_")}
    with FakeProvider(remember=1) as provider, (home / "log").open("wb") as log:
        app = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "metered_app:app", "-b", f"127.0.0.1:{port}", "-w", "4", "-c", "gunicorn_metered.py"],
            cwd=APPS,
            stdout=log,
            stderr=log,
            env={
                **environ,
                "PROVIDER_URL": provider.url,
                "PROMETHEUS_MULTIPROC_DIR": str(shared),
                "LLM_OBSERVE_EXPORTERS": f"file:{directory}",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )
        prometheus = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={home / 'prometheus.yml'}",
                f"--storage.tsdb.path={home / 'data'}",
                f"--web.listen-address=127.0.0.1:{own}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            with httpx2.Client(base_url=url, timeout=120, limits=httpx2.Limits(max_keepalive_connections=0)) as client:
                until(lambda: client.get("/metrics").status_code == 200)
                with ThreadPoolExecutor(8) as pool:
                    list(pool.map(lambda n: client.get(f"/ask/user-{n * 17 % USERS}/{model_of(n)}"), range(REQUESTS)))
                seen = Scraped(f"http://127.0.0.1:{own}", directory)
                until(lambda: seen.settled(2 * REQUESTS))
            scraped = Scraped(f"http://127.0.0.1:{own}", directory)
            scraped.at, scraped.app = seen.at, url
            yield scraped
        finally:
            for process in (app, prometheus):
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=30)


def until(true, seconds: float = 150.0) -> None:
    """Wait for it."""
    import httpx2

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if true():
                return
        except (httpx2.HTTPError, KeyError):
            pass
        time.sleep(0.1)
    raise TimeoutError


def test_calls_are_counted_as_they_were_recorded(scraped):
    """By status, over all workers, exactly."""
    recorded = Counter((call["status"],) for call in scraped.records["call"])

    assert REQUESTS == recorded.total()
    assert recorded == scraped.by("sum by (llm_observe_status) (llm_observe_calls_total)", "llm_observe_status")


def test_attempts_and_retries_are_counted_as_they_were_recorded(scraped):
    """By HTTP status."""
    attempts = [attempt for call in scraped.records["call"] for attempt in call["attempts"]]
    name = "http_response_status_code"

    assert Counter((str(one["status_code"]),) for one in attempts) == scraped.by(f"sum by ({name}) (llm_observe_attempts_total)", name)
    assert len(attempts) - REQUESTS == sum(scraped.by("sum(llm_observe_retries_total)").values())


def test_tokens_and_cost_are_counted_as_they_were_recorded(scraped):
    """To the last token, and to a fraction of a cent."""
    calls = scraped.records["call"]
    tokens = sum(call.get("usage", {}).get("output_tokens", 0) for call in calls)

    assert tokens == sum(scraped.by("sum(gen_ai_client_inference_usage_output_tokens_total)").values())
    cost = sum(call["cost"]["total"] for call in calls if "cost" in call)
    assert pytest.approx(cost) == sum(scraped.by("sum(llm_observe_cost_usd_total)").values())


def test_times_are_those_that_were_recorded(scraped):
    """In the convention's buckets."""
    duration = "gen_ai_client_inference_duration_seconds"
    bounds = {float(le) for (le,) in scraped.by(f"sum by (le) ({duration}_bucket) + 1", "le")}
    streams = [call for call in scraped.records["call"] if "time_to_first_chunk" in call.get("response", {})]

    assert {0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, float("inf")} == bounds
    assert pytest.approx(sum(call["duration"] for call in scraped.records["call"])) == sum(scraped.by(f"sum({duration}_sum)").values())
    assert len(streams) == sum(scraped.by("sum(gen_ai_client_inference_time_to_first_chunk_seconds_count)").values())


def test_series_are_bounded(scraped):
    """Two hundred models and as many users as requests: a hundred models have a name, and no user has."""
    models = {model for (model,) in scraped.by("sum by (gen_ai_request_model) (llm_observe_calls_total)", "gen_ai_request_model")}
    routes = scraped.by("sum by (http_route) (llm_observe_request_duration_seconds_count)", "http_route")

    assert "other" in models  # each worker names the first hundred that it met
    assert {("/ask/<user>/<model>",): REQUESTS} == routes
    assert not [one for one in scraped.ask('{__name__=~"(llm_observe|gen_ai).+"}') if "user-" in json.dumps(one["metric"])]


def test_our_own_numbers_are_there(scraped):
    """Nothing waits, nothing was lost, all arrived."""
    written = sum(len(records) for records in scraped.records.values())

    assert written == sum(scraped.by("sum(llm_observe_records_exported_total)").values())
    assert {} == scraped.by("sum(llm_observe_records_dropped_total)")
    assert {} == scraped.by("sum(llm_observe_queue_records)")
    exports = "sum by (llm_observe_exporter) (llm_observe_export_{})"
    assert scraped.by(exports.format("batches_total"), "llm_observe_exporter") == scraped.by(
        exports.format("duration_seconds_count"), "llm_observe_exporter"
    )
    assert {} == scraped.by("sum(llm_observe_calls_in_flight)")


def test_calls_under_way_add_up_over_the_workers(scraped):
    """Two users wait for slow answers, each at a worker of its own; a third worker shows it, and later that nobody waits."""
    import httpx2

    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            httpx2.get(f"{scraped.app}/ask/user-7/fake-slow", timeout=30)

    def shown() -> str:
        return next(line for line in httpx2.get(f"{scraped.app}/metrics", timeout=30).text.splitlines() if line.startswith(IN_FLIGHT))

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(ask) for _ in range(2)]
        try:
            until(lambda: shown() == f"{IN_FLIGHT} 2.0")
        finally:
            done.set()
    for one in waiting:
        one.result()
    until(lambda: shown() == f"{IN_FLIGHT} 0.0")
