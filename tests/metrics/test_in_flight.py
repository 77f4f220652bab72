"""Calls under way, and the time of exports, as metrics."""

import time
from collections.abc import Callable

import pytest

import llm_observe
from llm_observe._runtime.sink import IDLE
from llm_observe.testing import recording

prometheus_client = pytest.importorskip("prometheus_client")

from prometheus_client import CollectorRegistry  # noqa: E402

from llm_observe.metrics.prometheus import PrometheusMeter  # noqa: E402

GAUGE = "llm_observe_calls_in_flight"


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_call_that_lasts_is_seen_while_it_lasts():
    """Also one that begins when all is quiet: nothing else happens that would show it."""
    registry = CollectorRegistry()
    with recording(metrics=[PrometheusMeter(registry=registry)]) as recorded:
        handover = recorded.observer.handover
        with llm_observe.record_call("m", provider="p"):
            until(lambda: registry.get_sample_value(GAUGE) == 1)
            until(lambda: handover.asleep, 60 + IDLE)
            with llm_observe.record_call("m", provider="p"):
                until(lambda: registry.get_sample_value(GAUGE) == 2)
        until(lambda: registry.get_sample_value(GAUGE) == 0)


def test_who_measures_nothing_is_not_woken():
    """A call that begins costs a wake-up only where somebody wants to know."""
    with recording() as recorded:
        handover = recorded.observer.handover
        until(lambda: handover.asleep, 60 + IDLE)
        with llm_observe.record_call("m", provider="p"):
            assert handover.asleep


class Failing:
    """An exporter that fails at first."""

    def __init__(self) -> None:
        self.tries = 0

    def export(self, batch):
        """Fail once."""
        self.tries += 1
        if self.tries == 1:
            raise OSError("not yet")


def test_exports_are_timed():
    """Each attempt by its exporter, those that fail too; in the buckets of all times."""
    registry = CollectorRegistry()
    failing = Failing()
    with recording(metrics=[PrometheusMeter(registry=registry)], exporters=[failing]) as recorded:
        with llm_observe.scope("job"):
            pass
        assert 1 == len(recorded.requests)
        stats = recorded.observer.stats().exporters
        name = next(name for name in stats if name != "memory")

        def value(what: str, exporter: str, **labels: str) -> float | None:
            return registry.get_sample_value(f"llm_observe_export_duration_seconds_{what}", {"llm_observe_exporter": exporter, **labels})

        assert (1, 2) == (value("count", "memory"), value("count", name))
        assert pytest.approx(stats[name].seconds) == value("sum", name)
        assert 2 == value("bucket", name, le="+Inf")


class Deaf:
    """A meter of the user's, without what a meter may leave out."""

    def __init__(self) -> None:
        self.records = 0

    def record(self, record):
        """Count."""
        self.records += 1

    def health(self, stats):
        """Pay no attention."""


def test_a_meter_need_not_care_for_exports():
    """Two methods are enough."""
    deaf = Deaf()
    with recording(metrics=[deaf]) as recorded:
        with llm_observe.scope("job"):
            pass
        assert 1 == len(recorded.requests)

    assert 1 == deaf.records


def test_a_meter_that_fails_at_exports_costs_no_record():
    """It is counted."""

    class Broken(Deaf):
        def exported(self, exporter, seconds):
            raise RuntimeError("sk-canary")

    with recording(metrics=[Broken()], strict=False) as recorded:
        with llm_observe.scope("job"):
            pass
        assert 1 == len(recorded.requests)
        assert recorded.observer.stats().errors > 0
