"""The machine under us: its clock jumps, it kills us, it has no files, no memory, no names and no network for us, or settings that cannot work."""

import json
import socket
import subprocess
import sys

import pytest
from tests.faults.test_delivery import RECORDS, Receiver, delivered

import llm_observe
from llm_observe import Observer
from llm_observe._runtime.clock import Clock
from llm_observe.errors import ObserveError

HOUR, DAY = 3600 * 10**9, 86400 * 10**9
NOW = 1_790_000_000 * 10**9

KILLED = """
import os, sys, llm_observe
observer = llm_observe.configure(exporters=["file:" + sys.argv[1]])
number = 0
while True:
    for _ in range(100):
        with llm_observe.step(str(number), text="x" * (number % 7) * 1000):
            pass
        number += 1
    if number % 300 == 0:
        observer.flush(60)
        os.write(1, b"%d\\n" % number)
"""


def test_a_kill_without_a_spool(row, tmp_path):
    """What had left before is in the files, and each of their lines is whole; what was in memory is gone."""
    written, flushed = [], 0
    for kill in range(5):
        place = tmp_path / str(kill)
        command = [sys.executable, "-X", "faulthandler", "-c", KILLED, str(place)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(3 + kill):
                said = int(process.stdout.readline())
            process.kill()
            rest = process.communicate(timeout=60)[0].splitlines()
        said = int(rest[-1]) if rest else said
        lines = [json.loads(line) for path in place.glob("*.jsonl") for line in path.read_text().splitlines()]
        names = [int(line["name"]) for line in lines]
        assert list(range(len(names))) == sorted(names)
        assert said <= len(names)
        flushed += said
        written += [f"{kill}-{name}" for name in names]

    row(17, "SIGKILL without a spool, 5 times")(captured=flushed, deadline="captured: what was flushed before").arrived(written)


CLOCKS = {
    "the clock jumps an hour ahead": [HOUR],
    "the clock is set back by an hour, again and again": [-HOUR],
    "the clock jumps a day ahead, again and again": [DAY],
    "the clock goes to and fro by a day": [DAY, -DAY],
    "the clock stands still": [0],
}


@pytest.mark.parametrize("fault", CLOCKS)
def test_a_clock_that_jumps(row, fault):
    """In the middle of records and of an outage: all arrive, with ids of their own, and none took less than no time."""
    at, fails, kept = [NOW], [OSError("down")] * 3, []

    def jump():
        at[0] += CLOCKS[fault][len(fails) % len(CLOCKS[fault])]

    def out(batch):
        jump()
        if fails:
            raise fails.pop()
        kept.extend(batch)

    observer = Observer(exporters=[out], clock=Clock(wall=lambda: at[0]), batch_age=0)
    for number in range(RECORDS):
        with llm_observe.scope(str(number), observer=observer):
            jump()
    settled = observer.flush(60)
    numbers = observer.shutdown().exporters["out"]

    row(28, fault).numbers(numbers, arrived=[record.id for record in kept])
    assert (True, RECORDS, {}) == (settled, len({record.id for record in kept}), numbers.dropped)
    assert all(record.duration >= 0 for record in kept)


def test_a_dead_exporter_burns_no_time(row, run):
    """Three seconds beside an exporter that always fails, under a clock that stands still: they cost next to nothing."""
    done = run(
        """
import time, llm_observe
from llm_observe._runtime.clock import Clock
observer = llm_observe.Observer(exporters=[lambda batch: 1 / 0], clock=Clock(wall=lambda: 10**18), batch_age=0)
for _ in range(100):
    with llm_observe.scope("x", observer=observer):
        pass
observer.flush(1)
before = time.process_time()
time.sleep(3)
print(time.process_time() - before)
observer.shutdown(0)
""",
        timeout=100,
    )

    row(28, "the clock stands still for 3 s, the exporter fails")(
        captured=100, dropped={"shutdown_deadline": 100}, deadline=f"{float(done.out) * 1000:.0f} ms of CPU"
    )
    assert (0, "") == (done.code, done.err)
    assert float(done.out) < 0.5


def test_no_memory_is_left(row, run):
    """The address space ends 32 MiB from here and nothing leaves: records are refused and counted, and the application hears nothing of it."""
    done = run(
        """
import json, os, resource, threading
import llm_observe
taken = threading.Event()
def out(batch):
    taken.set()
    threading.Event().wait(600)
observer = llm_observe.configure(exporters=[out], batch_age=0)
with llm_observe.step("first"):
    pass
taken.wait(60)
with open("/proc/self/statm") as statm:
    here = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (here + 32 * 2**20, resource.RLIM_INFINITY))
failed = 0
for number in range(400):
    try:
        text = "x" * 1_000_000
    except MemoryError:  # the application's own
        failed += 1
        continue
    with llm_observe.step("big", text=text):
        del text
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
numbers = observer.shutdown(0.2).exporters["out"]
print(json.dumps([failed, numbers.captured, numbers.exported, numbers.dropped, numbers.balanced]), flush=True)
os._exit(0)
""",
        timeout=100,
    )
    failed, captured, exported, dropped, balanced = json.loads(done.lines[-1])

    row(39, "32 MiB of memory left (RLIMIT_AS), the exporter hangs")(captured=captured, exported=exported, dropped=dropped)
    assert (0, "", True) == (done.code, done.err, balanced)
    assert 401 - failed == captured == sum(dropped.values())


def test_no_file_may_be_opened(row, tmp_path, run):
    """Neither for a connection nor for a file: both exporters have everything once there are descriptors again."""
    with Receiver(None, 0) as receiver:
        done = run(
            """
import json, os, resource, sys, time
from llm_observe import Observer
from llm_observe.exporters.http import HttpExporter
from llm_observe._runtime.items import StepEnded
observer = Observer(exporters=[HttpExporter(sys.argv[1]), "file:" + sys.argv[2]], batch_records=10, batch_age=0.01)
observer.start()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
while not observer.sink.running or observer.sink._loop is None:
    pass
resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), hard))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass  # the last one is taken
for number in range(100):
    observer.hand_over(StepEnded(name=str(number), span_id="1" * 16, parent_id=None, scope=None, started_ns=10**18, began=0, ended=1, attributes={}))
while not all(one.failures for one in observer.stats().exporters.values()):
    time.sleep(0.01)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
settled = observer.flush(60)
numbers = observer.shutdown().exporters
print(json.dumps([settled, {name: [one.captured, one.exported, one.dropped] for name, one in numbers.items()}]))
""",
            f"http://127.0.0.1:{receiver.server_address[1]}/records",
            tmp_path,
            timeout=100,
        )
        receiver.shutdown()
    names = [json.loads(line)["name"] for path in tmp_path.glob("*.jsonl") for line in path.read_text().splitlines()]

    row(40, "no descriptor left (RLIMIT_NOFILE) for a while: file")(captured=RECORDS).arrived(names)
    row(40, "no descriptor left (RLIMIT_NOFILE) for a while: http")(captured=RECORDS).arrived(receiver.ids)
    both = {name: [RECORDS, RECORDS, {}] for name in ("http", "file")}
    assert (0, [True, both]) == (done.code, json.loads(done.out)), done.err
    assert [str(number) for number in range(RECORDS)] == names == receiver.ids


def test_a_name_that_is_not_found(row, monkeypatch):
    """Three times; then it is."""
    fails = [socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")] * 3
    found = socket.getaddrinfo

    def lookup(host, *arguments, **options):
        if host in {"collector.test", b"collector.test"}:
            if fails:
                raise fails.pop()
            host = "127.0.0.1"
        return found(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with Receiver(None, 0) as receiver:
        numbers = delivered(f"http://collector.test:{receiver.server_address[1]}/records")
        receiver.shutdown()

    row(40, "its name is not found, three times").numbers(numbers, arrived=receiver.ids)
    assert (RECORDS, RECORDS, {}, 0) == (numbers.captured, numbers.exported, numbers.dropped, len(fails))
    assert RECORDS == len(set(receiver.ids))


@pytest.mark.parametrize(
    ("fault", "settings"),
    [
        ("a setting that does not exist", {"batch_aeg": 1}),
        ("a value that does not fit", {"queue_records": "many"}),
        ("an exporter that does not exist", {"exporters": ["flie:./x"]}),
        ("an address that cannot be", {"exporters": ["http://127.0.0.1:99999/records"]}),
        ("an exporter that is none", {"exporters": [object()]}),
    ],
)
def test_settings_that_cannot_work(row, fault, settings):
    """They fail at start-up, by an error of ours, and nothing is left running."""
    row(41, fault)(deadline="fails at start-up")
    with pytest.raises(ObserveError):
        Observer(**settings)
