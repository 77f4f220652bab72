"""The benches do their work from end to end, and lose nothing; who fails beside them fails alone. How long it takes is nobody's business here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"
PINNED = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="it is pinned to a core")


def run(name, path):
    """What the bench *name* writes to *path*, in a process of its own, with as little work as it can do."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "COV_", "LLM_OBSERVE_"))}
    command = [sys.executable, str(BENCH / f"{name}.py"), "--scale", "0.01", "--rounds", "1", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=110, check=False)
    assert "" == done.stderr
    return json.loads(path.read_text())


@PINNED
def test_the_sinks_throughput_is_measured_for_each_exporter(tmp_path):
    """Every record of every load arrives by every exporter: the bench ends with an error where one does not."""
    pytest.importorskip("opentelemetry.sdk")
    rows = run("sink", tmp_path / "sink.json")["rows"]

    assert {"nothing", "file", "stdout, a pipe", "http", "OTLP"} == {row["exporter"] for row in rows}
    assert 3 * 5 == len(rows)
    assert all(row["records_per_s"]["median"] > 0 for row in rows)


@PINNED
def test_each_curve_has_its_points(tmp_path):
    """All four, with what they are drawn over; a call costs its caller something."""
    curves = run("curves", tmp_path / "curves.json")["curves"]

    assert ["chunks", "bytes", "waiting", "in_flight"] == [next(iter(rows[0])) for rows in curves.values()]
    assert [7, 7, 3, 3] == [len(rows) for rows in curves.values()]
    assert all(row["records_per_s"]["median"] > 0 for row in curves["how fast the background thread is, over what waits for it"])


def test_each_stage_of_the_background_work_has_its_time(tmp_path):
    """For plain calls, streams and large prompts, beside what reading alone takes: every call came out as one record, or the bench ends with an error."""
    found = run("stages", tmp_path / "stages.json")

    assert ["plain", "stream", "large"] == list(found)
    assert all(best["make a record of two bodies"] > 0 < best["both bodies read by msgspec alone"] for best in found.values())


@pytest.fixture
def make_run(monkeypatch, tmp_path):
    """Makes a run of some tools in a scenario that is begun; they are all in this environment."""
    monkeypatch.syspath_prepend(str(BENCH))
    from peers.driver import Run
    from peers.scenarios import SCENARIOS
    from peers.tools import TOOLS

    def made(scenario, *tools):
        pythons = dict.fromkeys(tools, Path(sys.executable))
        chosen = [TOOLS[name] for name in tools]
        run = Run(chosen, [SCENARIOS[scenario]], 0, tmp_path, pythons, tick=lambda said: None, save=lambda run: None, most=2)
        run.blocks[scenario], run.exported[scenario], run.failed[scenario] = {}, {}, {}
        return run, SCENARIOS[scenario]

    return made


@PINNED
def test_a_tool_that_fails_ends_its_own_part_alone(make_run):
    """It has no further turn in the scenario, and the reason is kept; the others have all their rounds."""
    run, scenario = make_run("plain-sync", "bare", "llm-observe", "langfuse", "sentry")

    def do(tool, counts):
        if tool.name == "sentry":
            raise RuntimeError("out of order")
        if counts:
            run.keep(scenario, tool, [0.001], 1, cpu_us=1)

    run.until = float("inf")
    run.serve()
    try:
        run.turns(scenario, do)
    finally:
        run.dismiss()

    assert {"sentry": "RuntimeError: out of order"} == run.failed[scenario.name]
    assert {"bare": 2, "llm-observe": 2, "langfuse": 2} == {name: len(blocks) for name, blocks in run.blocks[scenario.name].items()}


@PINNED
def test_we_are_compared_with_the_best_peer_that_did_its_work(make_run):
    """Not with one that failed, nor with one that was faster because it lost something; both are told of below the tables."""
    from peers.figures import rows
    from peers.report import page

    run, scenario = make_run("plain-sync", "bare", "llm-observe", "langfuse", "sentry")
    run.failed[scenario.name]["sentry"] = "RuntimeError: out of order"
    for tool, milliseconds, found in zip(run.tools[:3], (1.0, 1.1, 2.0), (0, 10, 9), strict=True):
        run.keep(scenario, tool, [milliseconds], 1e-3, caller_us=milliseconds, cpu_us=milliseconds)
        run.exports(scenario, tool, {"prompts": found, "whole_prompts": found, "answers": found}, 10)
    machine = {"processor": "a processor", "cores": 2, "python": "3", "load_before": 0.0}
    result = {"at": "2026-01-01", "machine": machine, "minutes": 1.0, "versions": {}, "own": {}, "absent": {}, "own_failed": {}}
    text = page(result | {"rows": (found := rows(run))}, {})

    assert all("best_peer" not in row for row in found)
    assert "| langfuse (void) | 2.00 | 1,000 |" in text
    assert "- langfuse, plain call, 1 KB prompt, sync: void, exported 9 prompts of 10, 9 whole prompts of 10, 9 answers of 10" in text
    assert "- sentry, plain call, 1 KB prompt, sync: void, failed: RuntimeError: out of order" in text

    run.exported[scenario.name]["langfuse"] = {"prompts": 10, "whole_prompts": 10, "answers": 10, "asked": 10}
    (ours,) = (row for row in rows(run) if row["tool"] == "llm-observe")

    assert "langfuse" == ours["best_peer"]["added_p50"]["tool"]
    assert 0.1 == pytest.approx(ours["best_peer"]["added_p50"]["part"])


@PINNED
@pytest.mark.skipif("OLDEST" in os.environ or (3, 11) != sys.version_info[:2], reason="one Python's instructions are as good as another's")
@pytest.mark.skipif(shutil.which("valgrind") is None and "CI" not in os.environ, reason="valgrind is not installed")
@pytest.mark.timeout(300)
def test_instructions_are_counted_by_thread(make_run):
    """What the caller executes, and what all do until everything is exported: who does nothing in the background has no more of these."""
    run, scenario = make_run("instructions-plain-sync", "bare", "llm-observe")
    run.quick = True
    run.serve()
    try:
        run.counted(scenario)
    finally:
        run.dismiss()
    (bare,), (ours,) = (run.blocks[scenario.name][tool.name] for tool in run.tools)

    assert {} == run.failed[scenario.name]
    assert {"prompts": 20, "whole_prompts": 20, "answers": 20, "asked": 20} == run.exported[scenario.name]["llm-observe"]
    assert 1_000 < bare["caller_k"] < ours["caller_k"] < 1.1 * bare["caller_k"]
    assert ours["all_k"] - ours["caller_k"] > 100 > bare["all_k"] - bare["caller_k"]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="one Python that can be looked into is enough")
@pytest.mark.skipif(shutil.which("valgrind") is None and "CI" not in os.environ, reason="valgrind is not installed")
@pytest.mark.timeout(300)
def test_instructions_are_counted_by_function(tmp_path):
    """Each function with those that it calls: of two calls, each is decoded once, and its answer is a part of that."""
    done = subprocess.run(
        [sys.executable, str(BENCH / "functions.py"), "plain", "--count", "2", "--json", str(tmp_path / "found.json")],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr)
    found = {(one["name"], Path(one["place"]).name): one for one in json.loads((tmp_path / "found.json").read_text())}
    decode, answered = found["decode", "decoding.py"], found["answered", "chat.py"]

    assert (1, 1) == (decode["calls"], answered["calls"])
    assert decode["instructions"] > answered["instructions"] > 0
