"""Processes that other libraries make, and end in their own ways: each delivers its own records, once."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

APPS = Path(__file__).parent / "apps"
BEGIN = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
import llm_observe
def out(batch):
    os.write(1, "".join(record.id + "\\n" for record in batch).encode())
def steps(count):
    llm_observe.configure(exporters=[out], batch_age=60) if multiprocessing.parent_process() and not inherited else None
    for _ in range(count):
        with llm_observe.step("x"):
            pass
inherited = False
if __name__ == "__main__":
    inherited = sys.argv[1] == "fork"
    llm_observe.configure(exporters=[out], batch_age=60)
    steps(100)
"""
ENDS = {
    "multiprocessing": """
    child = multiprocessing.get_context(sys.argv[1]).Process(target=steps, args=(100,))
    child.start()
    child.join()
""",
    "ProcessPoolExecutor": """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(sys.argv[1])) as pool:
        pool.submit(steps, 100).result()
""",
}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("who", ENDS)
def test_children_deliver_their_own(row, tmp_path, who, method):
    """A hundred in the parent, a hundred in the child: all are there at the end of both."""
    file = tmp_path / "program.py"
    file.write_text(BEGIN + ENDS[who])
    command = [sys.executable, "-W", "ignore", str(file), method]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    row(21, f"{who}, {method}")(captured=200).arrived(done.stdout.splitlines())
    assert (0, 200, "") == (done.returncode, len(set(done.stdout.splitlines())), done.stderr)


@pytest.mark.skipif(find_spec("celery") is None, reason="celery is not installed")
def test_celerys_children_deliver_their_own(row, tmp_path):
    """A worker of two processes that is told to end: every task that was done is on record."""
    broker, records = tmp_path / "broker", tmp_path / "records"
    (broker / "messages").mkdir(parents=True)
    env = os.environ | {"BROKER": str(broker), "LLM_OBSERVE_EXPORTERS": f"file:{records}", "LLM_OBSERVE_BATCH_AGE": "60"}
    asked = "import celery_app\nfor n in range(100): celery_app.work.delay(n)"
    subprocess.run([sys.executable, "-c", asked], cwd=APPS, env=env, check=True, timeout=100)
    command = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "-c", "2", "-P", "prefork", "-l", "error"]
    worker = subprocess.Popen(command, cwd=APPS, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 100
        while len(list((broker / "done").glob("*"))) < 100:
            assert worker.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(60)
    finally:
        worker.kill()
        worker.wait()
    told = [json.loads(line) for path in records.glob("*.jsonl") for line in path.read_text().splitlines()]

    row(21, "Celery prefork, 2 processes, SIGTERM")(captured=100).arrived(record["id"] for record in told)
    assert (0, {f"task-{n}" for n in range(100)}, 100) == (code, {record["name"] for record in told}, len(told))


@pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed")
@pytest.mark.filterwarnings("ignore")
def test_under_gevent_nothing_is_lost(run, row):
    """The background thread is a greenlet there: it waits for one that computes, and delivers after it."""
    done = run(
        """
from gevent import monkey; monkey.patch_all()
import os, time, gevent
import llm_observe
def out(batch):
    os.write(1, "".join(record.id + "\\n" for record in batch).encode())
llm_observe.configure(exporters=[out])
def work():
    for _ in range(500):
        with llm_observe.step("x"):
            pass
def compute():
    until = time.monotonic() + 2
    while time.monotonic() < until:
        pass
gevent.joinall([gevent.spawn(work), gevent.spawn(compute)])
""",
        timeout=100,
    )

    row(34, "gevent, a greenlet computes for 2 s")(captured=500, deadline="delivered after it").arrived(done.lines)
    assert (0, 500, "") == (done.code, len(done.lines), done.err)
