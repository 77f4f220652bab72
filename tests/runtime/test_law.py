"""The conservation law, whatever happens in whatever order.

`captured == exported + spooled + queued + in flight + sum(dropped)`, per exporter, at every quiet moment.
"""

import threading
import time

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llm_observe._runtime.items import StepEnded
from llm_observe._runtime.observer import Observer
from llm_observe.errors import Rejected, RetryLater


class Door:
    """An exporter in the test's hand: open, shut, failing or rejecting. It polls nothing: a shut door is an event to wait for."""

    def __init__(self):
        self.mood, self.arrived = "open", []
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
        self.arrived += [record.id for record in batch]


def step(size=0):
    """An item that keeps *size* bytes alive."""
    return StepEnded(
        name="x",
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
    """One observer with a door and a waste-paper basket, driven at random."""

    @initialize(
        records=st.sampled_from([5, 50, 10_000]),
        batch=st.sampled_from([1, 7, 512]),
        age=st.sampled_from([0.0, 0.005, 60.0]),
        picky=st.booleans(),
    )
    def begin(self, records, batch, age, picky):
        self.door, self.basket = Door(), []
        self.given = 0
        self.observer = Observer(
            exporters=[self.door, self.basket.extend],
            queue_records=records,
            queue_bytes=200_000,
            batch_records=batch,
            batch_age=age,
            processors=[lambda record: None if picky and int(record.id[-1], 16) < 4 else record],
        )

    @rule(n=st.integers(1, 40), size=st.sampled_from([0, 100, 5000, 60_000]))
    def capture(self, n, size):
        self.given += n
        for _ in range(n):
            self.observer.hand_over(step(size))

    @rule(n=st.integers(1, 400))
    def burst(self, n):
        threads = [threading.Thread(target=lambda: [self.observer.hand_over(step()) for _ in range(n)]) for _ in range(4)]
        self.given += 4 * n
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @rule(mood=st.sampled_from(["open", "fail", "later", "reject"]))
    def mood(self, mood):
        self.door.mood = mood

    @rule()
    def shut(self):
        self.door.opened.clear()

    @rule()
    def unlock(self):
        self.door.opened.set()

    @rule(final=st.booleans())
    def flush(self, final):
        flows = self.door.opened.is_set() and self.door.mood in {"open", "reject"}
        assert self.observer.flush(5 if flows else 0.02, final=final) or not flows

    @rule()
    def look(self):
        time.sleep(0.002)

    @precondition(lambda self: self.given)
    @rule(timeout=st.sampled_from([0.0, 0.05, 2.0]))
    def shutdown(self, timeout):
        if not self.door.opened.is_set() or self.door.mood in {"fail", "later"}:
            timeout = min(timeout, 0.05)
        self.observer.shutdown(timeout)

    @invariant()
    def nothing_is_lost_silently(self):
        if not hasattr(self, "observer"):
            return
        numbers = quiet(self.observer)
        for one in numbers.exporters.values():
            assert one.balanced, one
            assert self.given == one.captured + numbers.filtered, (self.given, numbers)

    def teardown(self):
        if not hasattr(self, "observer"):
            return
        self.door.opened.set()
        self.door.mood = "open"
        numbers = self.observer.shutdown(2)
        self.nothing_is_lost_silently()
        for one in numbers.exporters.values():
            assert (0, 0) == (one.in_flight, one.queued), one
        door = next(iter(numbers.exporters.values()))
        assert door.exported <= len(self.door.arrived)
        assert len(self.door.arrived) == len(set(self.door.arrived))


def quiet(observer):
    """The numbers of a moment in which nothing moved: two looks that agree, and that add up, or the last of many."""
    numbers = observer.stats()
    for _ in range(200):
        before, numbers = numbers, observer.stats()
        if before == numbers and all(one.balanced for one in numbers.exporters.values()):
            return numbers
        time.sleep(0.002)
    return numbers


TestLaw = Law.TestCase
TestLaw.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
