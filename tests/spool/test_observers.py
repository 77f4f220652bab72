"""Observers with a spool: nothing is lost that was written, nothing is counted twice, and the law holds in each."""

import json
import os
import threading
import time

import pytest

from llm_observe._runtime import channel as channels
from llm_observe._runtime import spool as spools
from llm_observe.errors import Rejected
from llm_observe.testing import accounted


def until(true, seconds=60):
    """Wait until something is *true*; give up after *seconds*."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


def give(observer, make, numbers, size=0):
    """Hand over steps called *numbers*, and wait until the sink has taken them."""
    for n in numbers:
        observer.hand_over(make.ended(n, size))
    until(lambda: accounted(observer, timeout=60).waiting == 0)


def left(observer, make, numbers, size=0):
    """Leave *numbers* in the spool of an observer that delivers nothing, and end it; its numbers."""
    give(observer, make, numbers, size)
    return told(observer.shutdown(0))


def told(stats):
    """The one exporter's numbers, balanced."""
    (one,) = stats.exporters.values()
    assert one.balanced, one
    return one


@pytest.fixture
def down(make):
    """An exporter that is down."""
    one = make.told()
    one.up = False
    return one


def test_what_arrived_is_not_in_the_spool(observe, make, files):
    """With everything well, nothing is left on disk, and nothing counts as spooled."""
    one = make.told()
    observer = observe(one)
    give(observer, make, range(50))
    assert observer.flush(60)
    numbers = told(observer.shutdown())

    assert (list(range(50)), 50, 0, []) == (one.names, numbers.exported, numbers.spooled, files())


def test_what_finds_no_room_in_memory_waits_on_disk(observe, make, down):
    """An outage that is longer than the queue is no loss; afterwards all arrive in their order."""
    observer = observe(down, queue_records=10, batch_records=5)
    for n in range(100):
        give(observer, make, [n])
    during = told(observer.stats())
    down.up = True
    assert observer.flush(60)
    after = told(observer.shutdown())

    assert ({}, True, 100) == (during.dropped, during.spooled > 80, during.spooled + during.queued + during.in_flight)
    assert (100, 0, {}) == (after.exported, after.spooled, after.dropped)
    assert list(range(100)) == down.names


def test_what_is_left_at_the_end_is_spooled_and_the_next_one_sends_it(observe, make, down, files):
    """Not `shutdown_deadline`: it is on disk. The next observer counts it as adopted, apart from its own."""
    before = left(observe(down), make, range(30))
    up = make.told()
    observer = observe(up)
    observer.start()
    until(lambda: len(up.names) == 30)
    give(observer, make, [100])
    assert observer.flush(60)
    after = told(observer.shutdown())

    assert (30, 30, {}, 0) == (before.captured, before.spooled, before.dropped, before.adopted)
    assert (1, 1, 0, 30, 30, {}) == (
        after.captured,
        after.exported,
        after.spooled,
        after.adopted,
        after.adopted_exported,
        after.adopted_dropped,
    )
    assert ([*range(30), 100], []) == (up.names, files())


def test_what_another_process_left_comes_without_any_traffic(observe, make, down):
    """A web app that was started again and is not asked anything delivers it all the same."""
    left(observe(down), make, range(3))
    up = make.told()
    observe(up).prepare()

    until(lambda: up.names == [0, 1, 2])


def test_a_process_that_lives_on_finds_what_another_leaves_later(observe, make, down, monkeypatch):
    """It looks now and then, idle as it is."""
    monkeypatch.setattr(channels, "LOOK", 0.05)
    monkeypatch.setattr(spools, "LOOK", 0.05)
    up = make.told()
    observe(up).start()
    left(observe(down), make, range(3))

    until(lambda: up.names == [0, 1, 2])


def test_a_batch_holds_its_own_or_adopted_records(observe, make, down):
    """So that what is refused of it is known to be the one or the other."""
    left(observe(down), make, range(4))

    def picky(batch):
        if refused := {"0", "100"} & {record.name for record in batch}:
            raise Rejected("no", count=len(refused))

    picky.__name__ = "told"
    other = observe(picky)
    give(other, make, [100, 101])
    assert other.flush(60)
    until(lambda: told(other.stats()).adopted_exported == 3)
    numbers = told(other.shutdown())

    assert (2, 1, {"rejected_4xx": 1}) == (numbers.captured, numbers.exported, numbers.dropped)
    assert (4, 3, {"rejected_4xx": 1}) == (numbers.adopted, numbers.adopted_exported, numbers.adopted_dropped)


def test_what_was_adopted_and_not_delivered_is_handed_on(observe, make, down):
    """It was not lost, and it is not ours any more: whoever delivers it counts it."""
    left(observe(down), make, range(5))
    again = observe(down)
    again.start()
    until(lambda: told(again.stats()).adopted == 5)
    middle = told(again.shutdown(0))
    up = make.told()
    observe(up).start()

    assert (0, 0, 0, {}) == (middle.adopted, middle.captured, middle.spooled, middle.adopted_dropped)
    until(lambda: sorted(up.names) == list(range(5)))


def test_a_flush_does_not_wait_for_what_others_left(observe, make, down):
    """It is about what happened so far, here."""
    left(observe(down), make, range(5))
    gate = threading.Event()
    observer = observe(lambda batch: gate.wait(60))
    told_flush = observer.start().flush(30)
    gate.set()

    assert told_flush


def test_damage_in_what_others_left_is_counted_as_theirs(observe, make, down, files):
    """The good ones arrive."""
    left(observe(down), make, range(10))
    path = files()[0]
    data = bytearray(path.read_bytes())
    data[data.index(b'"name":"4"')] ^= 1
    path.write_bytes(data)
    up = make.told()
    observer = observe(up)
    observer.start()
    until(lambda: len(up.names) == 9)
    numbers = told(observer.shutdown())

    assert [n for n in range(10) if n != 4] == up.names
    assert ({}, 10, 9, {"spool_corrupt": 1}) == (numbers.dropped, numbers.adopted, numbers.adopted_exported, numbers.adopted_dropped)


def test_damage_in_what_is_our_own_is_dropped_from_our_own(observe, make, down, files):
    """And a flush does not wait for it."""
    observer = observe(down, queue_records=10, batch_records=5)
    for n in range(60):
        give(observer, make, [n])
    path = files()[0]
    data = bytearray(path.read_bytes())
    data[data.index(b'"name":"40"')] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    down.up = True
    assert observer.flush(60)
    numbers = told(observer.shutdown())

    assert (59, {"spool_corrupt": 1}, 0) == (numbers.exported, numbers.dropped, numbers.spooled)
    assert [n for n in range(60) if n != 40] == down.names


def test_where_nothing_can_be_written_records_wait_in_memory(observe, make, down, tmp_path):
    """As without a spool; what finds no room there either is counted as `spool_io`."""
    (tmp_path / "spool").write_text("a file where the directory should be")
    observer = None
    with pytest.raises(Exception, match="not a directory"):
        observe(down)
    (tmp_path / "spool").unlink()
    observer = observe(down, queue_records=10, batch_records=5)
    (tmp_path / "spool").write_text("a file that came later")
    for n in range(30):
        give(observer, make, [n])
    during = told(observer.stats())
    down.up = True
    assert observer.flush(60)
    after = told(observer.shutdown())

    assert (0, 30) == (during.spooled, during.queued + during.in_flight + during.dropped["spool_io"])
    assert (30 - during.dropped["spool_io"], during.dropped) == (after.exported, after.dropped)


def test_a_full_spool_is_no_loss_while_there_is_memory(observe, make, down):
    """What finds room in neither is counted as `spool_full`."""
    observer = observe(down, queue_records=40, batch_records=5, spool_bytes=65536)
    for n in range(150):
        give(observer, make, [n], size=1000)
    numbers = told(observer.stats())

    assert {"spool_full"} == set(numbers.dropped)
    assert 40 <= numbers.queued + numbers.in_flight <= 45
    assert numbers.spooled > 0


def test_without_an_exporter_nothing_is_spooled(observe, make, tmp_path):
    """There is nobody to keep it for."""
    observer = observe()
    give(observer, make, range(3))
    observer.shutdown()

    assert not (tmp_path / "spool").exists()


def test_in_the_records_own_directory_git_sees_nothing(observe, make, down, tmp_path):
    """`spool=True` makes the directory of the records if need be, ignored and private as ever."""
    left(observe(down, spool=True, directory=str(tmp_path / "here")), make, [1])
    (path,) = (tmp_path / "here").rglob("*.spool")

    assert tmp_path / "here" / "spool" / "told" == path.parent
    assert "*\n" == (tmp_path / "here" / ".gitignore").read_text()


def test_records_come_back_byte_for_byte(observe, make, down):
    """Also what the record's own words make of it: the next process sends the same line."""
    lines = []

    def first(batch):
        lines.extend(batch.lines)
        raise OSError("taken, and not told")

    first.__name__ = "told"
    observer = observe(first)
    give(observer, make, [1])
    until(lambda: lines)
    observer.shutdown(0)
    again = []

    def second(batch):
        again.extend(batch.lines)

    second.__name__ = "told"
    observe(second).start()
    until(lambda: again)

    assert lines[0] == again[0]
    assert "1" == json.loads(again[0])["name"]


FORK = """
import os, signal, sys, time, warnings
signal.alarm(100)
warnings.simplefilter("ignore")
from llm_observe import Observer
from llm_observe._runtime.items import StepEnded
from llm_observe.testing import accounted
up = False
def told(batch):
    if not up:
        raise OSError("down")
    os.write(1, "".join(record.name + "\\n" for record in batch).encode())
def steps(*names):
    for name in names:
        observer.hand_over(StepEnded(name=name, span_id="1" * 16, parent_id=None, scope=None, started_ns=10**18,
                                     began=0, ended=1, attributes={}, size=1024))
    while accounted(observer, timeout=60).waiting:
        time.sleep(0.005)
def files():
    return sorted(name for name in os.listdir(sys.argv[1] + "/told") if name.endswith(".spool"))
observer = Observer(exporters=[told], spool=sys.argv[1], batch_age=0.01, drain_timeout=60)
observer.start()
steps(*"abcde")
before = files()
"""


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_forked_child_never_touches_its_parents_spool(run, tmp_path, end):
    """However it leaves; what the parent had there is delivered by the parent, once."""
    done = run(
        FORK
        + f"""
child = os.fork()
if not child:
    signal.alarm(60)
    {end}
os.waitpid(child, 0)
assert before == files()
up = True
assert observer.flush(60)
(numbers,) = observer.shutdown().exporters.values()
assert numbers.balanced and numbers.exported == 5 and not numbers.dropped, numbers
assert [] == files()
""",
        tmp_path / "spool",
        timeout=120,
    )

    assert (0, "", list("abcde")) == (done.code, done.err, done.lines)


def test_what_a_child_left_is_its_parents_to_deliver(run, tmp_path):
    """The child keeps in a segment of its own; when it is gone, the parent that lives on finds it."""
    done = run(
        FORK
        + """
from llm_observe._runtime import channel, spool
channel.LOOK = spool.LOOK = 0.05
child = os.fork()
if not child:
    signal.alarm(60)
    steps("child")
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
assert len(files()) == 2
up = True
observer.channels["told"]._spool._look_again = 0
while observer.stats().exporters["told"].adopted_exported < 1:
    time.sleep(0.01)
assert observer.flush(60)
(numbers,) = observer.shutdown().exporters.values()
assert numbers.balanced and (numbers.exported, numbers.adopted) == (5, 1), numbers
assert [] == files()
""",
        tmp_path / "spool",
        timeout=120,
    )

    assert (0, "", sorted([*"abcde", "child"])) == (done.code, done.err, sorted(done.lines))


def test_a_parent_that_dies_leaves_its_segments_to_others_though_its_child_lives(run, tmp_path, observe, make):
    """A child holds nothing of its parent's locked."""
    done = run(
        FORK
        + """
reading, writing = os.pipe()
child = os.fork()
if not child:
    os.write(writing, b"x")
    time.sleep(60)
    os._exit(0)
os.read(reading, 1)
print(child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
""".replace("if not child:", "if not child:\n    os.close(1); os.close(2)"),
        tmp_path / "spool",
        timeout=120,
    )
    names = []

    def told(batch):
        names.extend(record.name for record in batch)

    observe(told).start()
    until(lambda: sorted(names) == list("abcde"))
    os.kill(int(done.lines[0]), 9)
