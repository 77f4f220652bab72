"""The conservation law, whatever happens in whatever order.

`captured == exported + spooled + queued + in flight + sum(dropped)`, per exporter, at every quiet moment; and over all of it, over
restarts and kills too, what was captured has arrived, or was counted.
"""

import contextlib
import errno
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llm_observe._runtime.clock import Clock
from llm_observe._runtime.items import StepEnded
from llm_observe._runtime.observer import Observer
from llm_observe.errors import Rejected, RetryLater
from llm_observe.testing import accounted

HOUR = 3600 * 10**9


class Door:
    """An exporter in the test's hand: open, shut, failing or rejecting. It polls nothing: a shut door is an event to wait for."""

    def __init__(self, arrived):
        self.mood, self.arrived = "open", arrived
        self.opened = threading.Event()
        self.opened.set()

    def export(self, batch):
        self.opened.wait()
        if self.mood == "fail":
            raise OSError("down")
        if self.mood == "later":
            raise RetryLater("busy")
        if self.mood == "reject":
            raise Rejected("no", reason="rejected_4xx")
        self.arrived += [record.name for record in batch]
        if self.mood == "lost ack":
            raise OSError("it arrived, but who knows")


def step(name="x", size=0):
    """An item that keeps *size* bytes alive."""
    return StepEnded(
        name=name,
        span_id="1" * 16,
        parent_id=None,
        scope=None,
        started_ns=1_800_000_000 * 10**9,
        began=0,
        ended=1,
        attributes={"text": "x" * size},
        size=1024 + size,
    )


class Law(RuleBasedStateMachine):
    """One observer after the other with a door and a waste-paper basket, driven at random."""

    @initialize(
        records=st.sampled_from([5, 50, 10_000]),
        batch=st.sampled_from([1, 7, 512]),
        age=st.sampled_from([0.0, 0.005, 60.0]),
        picky=st.booleans(),
        spooled=st.sampled_from([0, 65536, 2**24]),
        rate=st.sampled_from([1.0, 1.0, 0.5, 0.0]),
    )
    def begin(self, records, batch, age, picky, spooled, rate):
        self.directory = Path(tempfile.mkdtemp())
        self.spool, self.spooled, self.picky = self.directory / "1", spooled, picky
        self.facts = {"queue_records": records, "queue_bytes": 200_000, "batch_records": batch, "batch_age": age, "sample_rate": rate}
        self.arrived, self.names, self.now = [], 0, 1_800_000_000 * 10**9
        self.counted = 0  # records that earlier observers said they lost, or had let go of
        self.unwritten = 0  # records that a kill took from memory, because the disk was full
        self.again = False  # something may have arrived that nobody knows of
        self.full = False
        self._pwrite, os.pwrite = os.pwrite, self.pwrite
        self.live()

    def pwrite(self, fd, data, at):
        if self.full and len(data) > 16:  # a cursor's bytes are there already
            self._pwrite(fd, data[:7], at)
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._pwrite(fd, data, at)

    def live(self):
        """A new observer, in the place of one that is gone."""
        self.door, self.basket, self.given = Door(self.arrived), [], 0
        letting_go = (lambda record: None if int(record.name) % 4 == 0 else record) if self.picky else (lambda record: record)
        spool = {"spool": str(self.spool), "spool_bytes": self.spooled} if self.spooled else {}
        self.observer = Observer(
            exporters=[self.door, self.basket.extend], processors=[letting_go], clock=Clock(wall=lambda: self.now), **self.facts, **spool
        )

    def hand_over(self, size=0):
        self.given += 1
        self.names += 1
        self.observer.hand_over(step(str(self.names), size))

    @rule(n=st.integers(1, 40), size=st.sampled_from([0, 100, 5000, 60_000]))
    def capture(self, n, size):
        for _ in range(n):
            self.hand_over(size)

    @rule(n=st.integers(1, 400))
    def burst(self, n):
        names = [[str(self.names + 1 + n * t + i) for i in range(n)] for t in range(4)]
        threads = [threading.Thread(target=lambda some=some: [self.observer.hand_over(step(name)) for name in some]) for some in names]
        self.given += 4 * n
        self.names += 4 * n
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @rule(mood=st.sampled_from(["open", "fail", "later", "reject", "lost ack"]))
    def mood(self, mood):
        self.again |= mood == "lost ack"
        self.door.mood = mood

    @rule()
    def shut(self):
        self.door.opened.clear()

    @rule()
    def unlock(self):
        self.door.opened.set()

    @rule(full=st.booleans())
    def disk(self, full):
        self.full = full

    @rule(hours=st.sampled_from([-24, -1, 1, 24]))
    def clock(self, hours):
        self.now += hours * HOUR

    @rule(final=st.booleans())
    def flush(self, final):
        flows = self.door.opened.is_set() and self.door.mood in {"open", "reject"}
        assert self.observer.flush(60 if flows else 0.02, final=final) or not flows

    @rule()
    def look(self):
        time.sleep(0.002)

    @precondition(lambda self: self.given)
    @rule(timeout=st.sampled_from([0.0, 0.05, 2.0]))
    def shutdown(self, timeout):
        self.end(timeout)

    def end(self, timeout):
        if not self.door.opened.is_set() or self.door.mood in {"fail", "later", "lost ack"}:
            timeout = min(timeout, 0.05)
        numbers = next(iter(self.observer.shutdown(timeout).exporters.values()))
        # what the door holds then is handed on, or counted as lost, and may have arrived all the same
        self.again |= not self.door.opened.is_set() or numbers.spooled > 0 or "shutdown_deadline" in numbers.dropped

    @rule()
    def restart(self):
        """Stop, and begin anew: what was left in the spool is the next one's."""
        self.end(2.0)
        self.count(self.observer.stats())
        self.door.opened.set()
        self.live()
        self.observer.start()

    @precondition(lambda self: self.spooled)
    @rule()
    def kill(self):
        """A SIGKILL, as the disk sees it: the next one finds what was written by now, and nothing of what was in memory."""
        self.door.mood = "fail"
        self.door.opened.set()
        deadline = time.monotonic() + 60
        while (numbers := accounted(self.observer)).waiting and time.monotonic() < deadline:
            time.sleep(0.002)
        assert 0 == numbers.waiting
        (channel, _) = self.observer.channels.values()
        self.unwritten += sum(not (parcel.kept or parcel.adopted) for parcel in [*channel._waiting, *channel._flying])
        before, self.spool = self.spool, self.directory / f"{int(self.spool.name) + 1}"
        for path in before.rglob("*.spool"):
            (self.spool / path.parent.name).mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # the basket's: it goes on taking
                shutil.copy(path, self.spool / path.parent.name)
        self.count(numbers)
        self.observer.shutdown(0)
        self.again = True
        self.live()
        self.observer.start()

    def count(self, numbers):
        door = next(iter(numbers.exporters.values()))
        self.counted += numbers.filtered + sum(door.dropped.values()) + sum(door.adopted_dropped.values())

    @invariant()
    def nothing_is_lost_silently(self):
        if not hasattr(self, "observer"):
            return
        numbers = accounted(self.observer)
        for one in numbers.exporters.values():
            assert self.given == one.captured + numbers.filtered, (self.given, numbers)

    def teardown(self):
        if not hasattr(self, "observer"):
            return
        try:
            self.full = False
            self.door.opened.set()
            self.door.mood = "open"
            if self.spooled and self.observer.closed:
                self.restart()
            last = self.observer
            assert last.flush(60)
            deadline = time.monotonic() + 60
            while any(self.spool.rglob("door/*.spool")) and self.left() and time.monotonic() < deadline:
                time.sleep(0.005)
            self.count(last.shutdown(60))
            self.nothing_is_lost_silently()
            for one in last.stats().exporters.values():
                assert (0, 0) == (one.in_flight, one.queued), one
            missing = self.names - len(set(self.arrived))
            assert missing <= self.counted + self.unwritten, (missing, self.counted, self.unwritten)
            if not self.again:
                assert (missing, len(self.arrived)) == (self.counted, len(set(self.arrived)))
        finally:
            os.pwrite = self._pwrite
            with contextlib.suppress(OSError):
                shutil.rmtree(self.directory)

    def left(self):
        """Whether something on the way has neither arrived nor been counted."""
        door = next(iter(self.observer.stats().exporters.values()))
        counted = self.counted + sum(door.dropped.values()) + sum(door.adopted_dropped.values()) + self.observer.stats().filtered
        return self.names - len(set(self.arrived)) > counted + self.unwritten


TestLaw = Law.TestCase
TestLaw.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
