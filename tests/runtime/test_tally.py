"""The roll-up of a request's calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe._runtime import tally as tallies
from llm_observe._runtime.tally import MOST, Tally
from llm_observe.records import Call, Operation, Provider


def a_call(duration=0.0, operation="chat"):
    """A call that took so long."""
    from datetime import UTC, datetime

    at = datetime(2027, 1, 1, tzinfo=UTC)
    facts = {"trace_id": "1", "span_id": "2", "started_at": at, "name": "chat", "status": "ok"}
    return Call(id="1", duration=duration, operation=Operation(name=operation), provider=Provider(name="p"), **facts)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=20))
def test_the_wall_is_the_time_in_which_at_least_one_call_ran(calls):
    """Counted by the instant, whatever the order."""
    tally = Tally()
    for began, length in calls:
        tally.add(a_call(), began, began + length)

    assert len({at for began, length in calls for at in range(began, began + length)}) / 1e9 == tally.wall


@given(st.lists(st.integers(0, 20), min_size=1, max_size=40))
def test_what_is_forgotten_stays_in_the_sum(lengths):
    """Calls that come in the order they began add up right however few intervals are remembered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tallies, "MOST", 4)
        tally = Tally()
        for n, length in enumerate(lengths):
            tally.add(a_call(), 10 * n, 10 * n + length)

        covered = {at for n, length in enumerate(lengths) for at in range(10 * n, 10 * n + length)}
        assert len(covered) / 1e9 == tally.wall
        assert len(tally.intervals) <= 4


def test_a_job_of_many_calls_keeps_few_intervals():
    """And not one call's content."""
    tally = Tally()
    for n in range(3 * MOST):
        tally.add(a_call(1e-9 * n), 2 * n, 2 * n + 1)

    assert (True, 3 * MOST / 1e9, 1e-9 * (3 * MOST - 1)) == (len(tally.intervals) <= MOST, tally.wall, tally.slowest.duration)


def test_fetching_an_answer_is_no_call():
    """It was counted when it was asked for."""
    tally = Tally()
    tally.add(a_call(1.0, "fetch_response"), 0, 10)

    assert (0, 0.0, None) == (tally.count, tally.wall, tally.slowest)
