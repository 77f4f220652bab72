"""Prompts, streams and floods too big for any memory: what is kept of them is bounded in bytes, and every call is accounted for."""

import json
import os

import pytest

pytestmark = pytest.mark.timeout(600)

MIB = 2**20
COUNT = 1000 if "SOAK" in os.environ else 100

BEGIN = """
import gc, json, os, resource, sys, threading, time
import httpx2, llm_observe
from llm_observe._runtime.items import StepEnded
ANSWER = json.dumps({"model": "gpt-x-1", "choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}).encode()
client = httpx2.Client(base_url="https://api.openai.com", transport=httpx2.MockTransport(lambda request: httpx2.Response(200, content=ANSWER)))
def ask(n, size):
    prompt = b"%%06d " %% n + b"all work and no play " * (size // 21)
    body = b'{"messages": [{"role": "user", "content": "' + prompt + b'"}], "model": "gpt-x", "temperature": 0.2}'
    client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
def rss():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()
class Peak(threading.Thread):
    'The most that was resident while it ran.'
    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.over = 0, threading.Event()
    def run(self):
        while not self.over.wait(0.002):
            self.most = max(self.most, rss())
def peak(work):
    gc.collect()
    watch = Peak()
    watch.start()
    work()
    watch.over.set()
    watch.join()
    return watch.most
def report(**facts):
    numbers, = observer.shutdown(0.5).exporters.values()
    print(json.dumps({**facts, "captured": numbers.captured, "exported": numbers.exported, "queued": numbers.queued + numbers.in_flight,
                      "dropped": numbers.dropped, "balanced": numbers.balanced, "shed": observer.stats().shed}), flush=True)
"""


@pytest.fixture
def reports(run):
    """Run the rest of a program that begins as above, and read its last line."""

    def program(code):
        done = run(BEGIN.replace("%%", "%") + code, timeout=550 if "SOAK" in os.environ else 110)
        assert (0, "") == (done.code, done.err), done.err
        return json.loads(done.lines[-1])

    return program


@pytest.mark.parametrize(
    ("exporter", "what"),
    [("kept.extend", "delivered"), ("lambda batch: 1 / 0", "exporter fails"), ("lambda batch: time.sleep(600)", "exporter hangs")],
)
def test_prompts_of_ten_megabytes(reports, row, exporter, what):
    """Each call is on record, with its model and its parameters, and memory is as before."""
    found = reports(f"""
kept = []
alone = peak(lambda: [ask(n, 10_000_000) for n in range(30)])
observer = llm_observe.configure(exporters=[{exporter}])
grown = peak(lambda: [ask(n, 10_000_000) for n in range({COUNT})]) - alone
if kept or {what == "delivered"}:
    assert observer.flush(60)
    assert all((call.request.model, call.request.temperature) == ("gpt-x", 0.2) for call in kept)
    assert all(call.truncated["input.messages"].bytes > 9_900_000 for call in kept)
report(grown=grown)
os._exit(0)
""")
    row(13, f"10 MB x {COUNT:,}, {what}")(
        captured=found["captured"], exported=found["exported"], dropped=found["dropped"], deadline=f"RSS + {found['grown'] / MIB:.0f} MiB"
    )

    lost = {} if what == "delivered" else {"shutdown_deadline": COUNT}
    assert (COUNT, True, lost) == (found["captured"], found["balanced"], found["dropped"])
    assert found["grown"] < 100 * MIB


def test_prompts_of_a_megabyte_to_a_dead_exporter(reports, row):
    """They are kept whole while there is room; then content goes, and no record."""
    found = reports("""
alone = peak(lambda: [ask(n, 1_000_000) for n in range(30)])
observer = llm_observe.configure(exporters=[lambda batch: 1 / 0])
grown = peak(lambda: [ask(n, 1_000_000) for n in range(300)]) - alone
report(grown=grown)
os._exit(0)
""")
    row(13, "1 MB x 300, exporter fails")(
        captured=found["captured"], exported=found["exported"], dropped=found["dropped"], deadline=f"RSS + {found['grown'] / MIB:.0f} MiB"
    )

    assert (300, True, {"shutdown_deadline": 300}) == (found["captured"], found["balanced"], found["dropped"])
    assert found["grown"] < 100 * MIB


def test_a_flood_of_a_hundred_thousand(reports, row):
    """Four threads at once: what is too much is counted to the last record, and the application does not wait."""
    found = reports("""
observer = llm_observe.configure(exporters=[lambda batch: None])
def one(n):
    began = time.perf_counter_ns()
    with llm_observe.step("x"):
        pass
    return time.perf_counter_ns() - began
times = []
def flood(): times.append([one(n) for n in range(25_000)])
threads = [threading.Thread(target=flood) for _ in range(4)]
began = time.monotonic()
for thread in threads: thread.start()
for thread in threads: thread.join()
seconds = time.monotonic() - began
observer.flush(60)
every = sorted(sum(times, []))
report(seconds=seconds, p50=every[50_000] / 1000, p99=every[99_000] / 1000)
os._exit(0)
""")
    row(12, "flood of 100,000 steps from 4 threads")(
        captured=found["captured"],
        exported=found["exported"],
        dropped=found["dropped"],
        deadline=f"in {found['seconds']:.1f} s; capture p50 {found['p50']:.0f} us, p99 {found['p99']:.0f} us",
    )

    assert (100_000, True, 0) == (found["captured"], found["balanced"], found["queued"])
    assert {"queue_full_count"} >= found["dropped"].keys()


def test_failures_outlast_a_flood(reports, row):
    """With the exporter dead and the queue full, steps that failed are still taken in."""
    found = reports("""
stopped = threading.Event()
observer = llm_observe.configure(exporters=[lambda batch: 1 / 0], processors=[lambda record: stopped.wait(600)])
def step(error):
    observer.hand_over(StepEnded(name="x", span_id="1", parent_id=None, scope=None, started_ns=0, began=0, ended=0, attributes={}, error_type=error))
for n in range(12_000): step(None)
before = observer.stats().accepted
for n in range(500): step("ValueError")
report(failures=observer.stats().accepted - before)
os._exit(0)
""")
    row(12, "500 failures after 12,000 steps, sink hangs")(captured=found["captured"], exported=found["exported"], dropped=found["dropped"])

    assert (500, True) == (found["failures"], found["balanced"])


def test_ten_thousand_open_streams(reports, row):
    """What is kept of each while it lasts is bounded; each is on record when it ends."""
    count = 10_000 if "SOAK" in os.environ else 2_000
    found = reports(f"""
import contextlib
CHUNK = b'data: {{"choices": [{{"delta": {{"content": "' + b"x" * 4000 + b'"}}}}]}}\\n\\n'
class Chunks(httpx2.SyncByteStream):
    def __iter__(self):
        for _ in range(50): yield CHUNK
        yield b'data: [DONE]\\n\\n'
client = httpx2.Client(base_url="https://api.openai.com", transport=httpx2.MockTransport(
    lambda request: httpx2.Response(200, stream=Chunks(), headers={{"content-type": "text/event-stream"}})))
def streams(count):
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(client.stream("POST", "/v1/chat/completions", json={{"model": "gpt-x", "messages": []}})) for _ in range(count)]
        readers = [response.iter_raw() for response in opened]
        for _ in range(45):
            for reader in readers: next(reader)
alone = peak(lambda: streams({count}))
observer = llm_observe.configure(exporters=[lambda batch: None])
grown = peak(lambda: streams({count})) - alone
observer.flush(60)
report(grown=grown)
os._exit(0)
""")
    row(37, f"{count:,} open streams of 200 KB")(
        captured=found["captured"],
        exported=found["exported"],
        dropped=found["dropped"],
        deadline=f"RSS + {found['grown'] / MIB:.0f} MiB, {found['grown'] / count / 1024:.0f} KiB a stream",
    )

    assert (count, True) == (found["captured"], found["balanced"])
    assert {"queue_full_count"} >= found["dropped"].keys()  # ten thousand that end in one moment are more than may wait
    assert found["grown"] < 100 * MIB
