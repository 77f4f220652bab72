"""With a spool: a process is killed, a disk is full, files are damaged, an outage lasts an hour; and nothing is lost that was written."""

import os
import random
import subprocess
import sys
import time

import pytest

from llm_observe._runtime.items import StepEnded
from llm_observe._runtime.observer import Observer
from llm_observe.testing import accounted

KILLS = 100 if "SOAK" in os.environ else 20
BATCH = 20

BEGIN = """
import os, random, resource, sys, time
from llm_observe import Observer
from llm_observe._runtime.items import StepEnded
from llm_observe.testing import accounted
root, begin, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
arrived = os.open(root + "/arrived", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
answers = os.open(root + "/lost_answers", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def receiver(batch):
    if chance.random() < 0.3:
        raise OSError("down")
    os.write(arrived, "".join(record.name + " " + record.id + "\\n" for record in batch).encode())
    if chance.random() < 0.05:
        os.write(answers, b"x")
        raise OSError("it arrived, and the answer was lost")
def capture(number, size=0):
    observer.hand_over(StepEnded(name=str(number), span_id="1" * 16, parent_id=None, scope=None, started_ns=10**18, began=0, ended=1,
                                 attributes={"text": "x" * size}, size=1024 + size))
def settled():
    while accounted(observer, timeout=60).waiting:
        time.sleep(0.001)
"""

WORK = (
    BEGIN
    + """
observer = Observer(exporters=[receiver], spool=root + "/spool", batch_records=int(sys.argv[4]), batch_age=0.001, queue_records=50)
observer.start()
number = begin
while True:
    first = number
    for _ in range(chance.randrange(1, 30)):
        capture(number, chance.choice([0, 100, 20_000]))
        number += 1
    settled()
    print(*range(first, number), flush=True)
"""
)

DRAIN = (
    BEGIN
    + """
chance.random = lambda: 0.5
observer = Observer(exporters=[receiver], spool=root + "/spool")
observer.start()
deadline = time.monotonic() + 100
left = lambda: any(name.endswith(".spool") for name in os.listdir(root + "/spool/receiver"))
while left() and time.monotonic() < deadline:
    time.sleep(0.01)
(numbers,) = observer.shutdown().exporters.values()
assert numbers.balanced, numbers
assert not left(), numbers
print(numbers.adopted_dropped)
"""
)


def step(number):
    """A step on record."""
    return StepEnded(
        name=str(number),
        span_id="1" * 16,
        parent_id=None,
        scope=None,
        started_ns=10**18,
        began=0,
        ended=1,
        attributes={"text": "x" * 100},
        size=1024,
    )


def until(true):
    """Wait until something is *true*, a minute at most."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


def killed_while_it_worked(root, begin, seed):
    """A process that captures from number *begin* on and is killed at a moment of chance; the numbers that it said were handed over."""
    lines = random.Random(seed).randrange(1, 12)
    command = [sys.executable, "-X", "faulthandler", "-c", WORK, str(root), str(begin), str(seed), str(BATCH)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        said = [number for _ in range(lines) for number in process.stdout.readline().split()]
        process.kill()
        rest, errors = process.communicate(timeout=60)
    assert "" == errors, errors
    *whole, _ = rest.split("\n")
    return [int(number) for number in [*said, *" ".join(whole).split()]]


@pytest.mark.timeout(120 if KILLS == 20 else 900)
def test_a_kill_at_any_moment_loses_nothing_that_was_written(tmp_path, run, row):
    """What the sink had written before each SIGKILL arrives; a repeat is of the one batch that was under way, under the same id."""
    handed_over = []
    for kill in range(KILLS):
        handed_over += killed_while_it_worked(tmp_path, 1_000_000 * kill, kill)
    done = run(DRAIN, tmp_path, 0, 0, timeout=120)
    came = [line.split() for line in (tmp_path / "arrived").read_text().splitlines()]
    arrived = [int(number) for number, _ in came]
    lost = set(handed_over) - set(arrived)
    unsure = KILLS + len((tmp_path / "lost_answers").read_text())
    row(18, f"SIGKILL at {KILLS} moments of chance, with a spool")(captured=len(handed_over)).arrived(map(str, arrived), exported=None)(
        exported=len(set(handed_over) & set(arrived))
    )

    assert (0, "") == (done.code, done.err)
    assert len(handed_over) > KILLS
    assert set() == lost
    assert len(arrived) - len(set(arrived)) <= BATCH * unsure
    assert len(set(arrived)) == len({record_id for _, record_id in came})
    assert "{}" == done.out.strip() or "spool_corrupt" in done.out  # a record that was being written when the end came


FULL = (
    BEGIN
    + """
resource.setrlimit(resource.RLIMIT_FSIZE, (8000, resource.RLIM_INFINITY))
up = False
def receiver(batch):
    if not up:
        raise OSError("down")
    os.write(1, "".join(record.name + "\\n" for record in batch).encode())
observer = Observer(exporters=[receiver], spool=root + "/spool", batch_age=0.001, queue_records=10, batch_records=5)
observer.start()
for number in range(40):
    capture(number, 200)
    settled()
capture(40, 20_000)  # more than a file may have
settled()
before = observer.stats().exporters["receiver"]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for number in range(41, 60):
    capture(number, 20_000)
    settled()
up = True
assert observer.flush(60)
after = observer.shutdown().exporters["receiver"]
assert before.balanced and after.balanced, (before, after)
assert before.dropped == after.dropped == {"spool_io": 1}, (before, after)
print("stats", after.captured, after.exported, flush=True)
"""
)


def test_a_disk_that_is_full_costs_what_memory_has_no_room_for(tmp_path, run, row):
    """Files of more than 8,000 bytes cannot be written for a while: new segments are begun, what fits nowhere is counted, then all is well."""
    done = run(FULL, tmp_path, 0, 0, timeout=120)
    *names, said = done.lines or [""]
    row(23, "no file over 8,000 bytes (EFBIG), then free again; with a spool, its memory full")(
        captured=60, dropped={"spool_io": 1}
    ).arrived(names)

    assert (0, "", "stats 60 59") == (done.code, done.err, said)
    assert [str(n) for n in range(60) if n != 40] == names


def test_an_outage_of_an_hour_fits_the_spool(tmp_path, row):
    """40,000 records while nobody answers, four times what memory has room for: all of them arrive, in order, once somebody does."""
    names, up = [], []

    def receiver(batch):
        if not up:
            raise OSError("down")
        names.extend(record.name for record in batch)

    observer = Observer(exporters=[receiver], spool=str(tmp_path / "spool"))
    for number in range(40_000):
        observer.hand_over(step(number))
        if number % 5000 == 4999:
            until(lambda: accounted(observer, timeout=60).waiting == 0)
    during = observer.stats().exporters["receiver"]
    up.append(True)
    settled = observer.flush(100)
    after = observer.shutdown().exporters["receiver"]
    row(3, "refuses for an hour: 40,000 records, with a spool").numbers(after, arrived=names)

    assert (40_000, {}, True) == (during.queued + during.in_flight + during.spooled, during.dropped, during.spooled > 20_000)
    assert (True, 40_000, {}) == (settled, after.exported, after.dropped)
    assert [str(n) for n in range(40_000)] == names


def test_without_a_spool_what_memory_has_no_room_for_is_counted(row):
    """The same hour in memory: ten thousand wait, the others are counted."""
    names, up = [], []

    def receiver(batch):
        if not up:
            raise OSError("down")
        names.extend(record.name for record in batch)

    observer = Observer(exporters=[receiver])
    for number in range(40_000):
        observer.hand_over(step(number))
        if number % 5000 == 4999:
            until(lambda: accounted(observer, timeout=60).waiting == 0)
    up.append(True)
    settled = observer.flush(60)
    after = observer.shutdown().exporters["receiver"]
    row(3, "refuses for an hour: 40,000 records, in memory").numbers(after, arrived=names)

    assert {"queue_full_count", "queue_full_bytes"} >= set(after.dropped)
    assert (True, True, 40_000) == (settled, after.exported >= 10_000, after.exported + sum(after.dropped.values()))


@pytest.mark.parametrize("damage", ["a bit", "a page of zeros", "a torn end"])
def test_damage_costs_what_it_hits(tmp_path, row, damage):
    """The next process sends what is whole, before the damage and behind it, and counts the rest."""

    def receiver(batch):
        raise OSError("down")

    first = Observer(exporters=[receiver], spool=str(tmp_path / "spool"))
    for number in range(1000):
        first.hand_over(step(number))
    until(lambda: accounted(first, timeout=60).waiting == 0)
    first.shutdown(0)
    (path, *_) = sorted((tmp_path / "spool").rglob("*.spool"))
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    match damage:
        case "a bit":
            data[half] ^= 1
        case "a page of zeros":
            data[half : half + 4096] = bytes(4096)
        case "a torn end":
            del data[-10:]
    path.write_bytes(data)
    names = []

    def healed(batch):
        names.extend(record.name for record in batch)

    healed.__name__ = "receiver"
    second = Observer(exporters=[healed], spool=str(tmp_path / "spool"))
    second.start()
    until(lambda: not list((tmp_path / "spool").rglob("*.spool")))
    numbers = second.shutdown().exporters["receiver"]
    row(27, f"damage to the spool: {damage}")(captured=1000, exported=numbers.adopted_exported, dropped=numbers.adopted_dropped).arrived(
        names, exported=None
    )

    assert numbers.balanced
    assert 1000 == numbers.adopted == len(names) + numbers.adopted_dropped["spool_corrupt"]
    assert numbers.adopted_dropped["spool_corrupt"] < 20
    assert names == sorted(set(names), key=int)
