"""The dashboard and the rules that come with the examples ask for metrics that there are."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

prometheus_client = pytest.importorskip("prometheus_client")

from prometheus_client import CollectorRegistry  # noqa: E402

from llm_observe.metrics.prometheus import PrometheusMeter  # noqa: E402

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RULES = EXAMPLES / "prometheus-rules.yml"
promtool = pytest.mark.skipif(shutil.which("promtool") is None and "CI" not in os.environ, reason="Prometheus is not installed")


def metrics() -> dict[str, set[str]]:
    """What a scrape shows: the names of series, with their labels."""
    registry = CollectorRegistry()
    PrometheusMeter(registry=registry)
    found: dict[str, set[str]] = {}
    for collector in registry._collector_to_names:
        endings = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}[collector._type]
        for ending in endings:
            found[collector._name + ending] = {*collector._labelnames, *({"le"} if ending == "_bucket" else ())}
    return found


def asked(expression: str) -> set[str]:
    """The metrics that an expression asks for. Those with a colon are recorded by rules of ours."""
    return set(re.findall(r"\b(?:gen_ai_client|llm_observe)_\w+(?=\{|\[|\)| )", re.sub(r"by \([^)]*\)", "", expression)))


def expressions() -> list[str]:
    """All that dashboard and rules ask."""
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]] + RULES.read_text().split("expr:")[1:]


@pytest.mark.parametrize("expression", expressions())
def test_what_is_asked_for_is_there(expression):
    """No panel stays empty because a name was changed."""
    names = {
        name
        for name in asked(expression)
        if not name.startswith(("llm_observe_status", "llm_observe_limit", "llm_observe_ex", "llm_observe_reason"))
    }

    assert set() == names - set(metrics())


def test_what_is_grouped_by_is_a_label():
    """Of at least one of the metrics asked for in the same expression."""
    for expression in expressions():
        labels = set().union(*(metrics().get(name, set()) for name in asked(expression)))
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
        assert grouped <= labels, expression


@promtool
def test_promtool_takes_the_rules():
    """Each expression parses."""
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


@promtool
def test_an_alert_goes_off(tmp_path):
    """Half of the calls fail for ten minutes: somebody is told, with the model's name."""
    (tmp_path / "test.yml").write_text(
        f"""
rule_files: [{RULES}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: 'llm_observe_calls_total{{gen_ai_request_model="m", llm_observe_status="ok"}}'
        values: '0+60x30'
      - series: 'llm_observe_calls_total{{gen_ai_request_model="m", llm_observe_status="error"}}'
        values: '0+60x30'
    alert_rule_test:
      - eval_time: 20m
        alertname: ModelCallsFail
        exp_alerts:
          - exp_labels: {{severity: page, gen_ai_request_model: m}}
            exp_annotations: {{summary: "50% of the calls to m fail"}}
"""
    )
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr


def test_the_dashboard_is_one():
    """Panels have places that do not overlap, and ids of their own."""
    panels = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())["panels"]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))
    assert len(panels) == len({panel["id"] for panel in panels})
