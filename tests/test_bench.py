"""The benches that need no other tools do their work from end to end, and lose nothing. How long it takes is nobody's business here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


def run(name, path):
    """What the bench *name* writes to *path*, in a process of its own, with as little work as it can do."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "COV_", "LLM_OBSERVE_"))}
    command = [sys.executable, str(BENCH / f"{name}.py"), "--scale", "0.01", "--rounds", "1", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=110, check=False)
    assert "" == done.stderr
    return json.loads(path.read_text())


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="it is pinned to a core")
def test_the_sinks_throughput_is_measured_for_each_exporter(tmp_path):
    """Every record of every load arrives by every exporter: the bench ends with an error where one does not."""
    pytest.importorskip("opentelemetry.sdk")
    rows = run("sink", tmp_path / "sink.json")["rows"]

    assert {"nothing", "file", "stdout, a pipe", "http", "OTLP"} == {row["exporter"] for row in rows}
    assert 3 * 5 == len(rows)
    assert all(row["records_per_s"]["median"] > 0 for row in rows)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="it is pinned to a core")
def test_each_curve_has_its_points(tmp_path):
    """All four, with what they are drawn over; a call costs its caller something."""
    curves = run("curves", tmp_path / "curves.json")["curves"]

    assert ["chunks", "bytes", "waiting", "in_flight"] == [next(iter(rows[0])) for rows in curves.values()]
    assert [7, 7, 3, 4] == [len(rows) for rows in curves.values()]
    assert all(row["records_per_s"]["median"] > 0 for row in curves["how fast the sink is, over what waits for it"])
