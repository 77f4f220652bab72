"""The roll-up of a request's calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe._runtime import tally as tallies
from llm_observe._runtime.tally import MOST, Tally
from llm_observe.records import Attempt, Call, CallTotals, Cost, Operation, Provider, Slowest, Usage


def a_call(duration=0.0, operation="chat", *, attempts=1, **changes):
    """A call that took so long, with so many attempts."""
    from datetime import UTC, datetime

    at = datetime(2027, 1, 1, tzinfo=UTC)
    facts = {"id": "1", "trace_id": "1", "span_id": "2", "started_at": at, "name": "chat", "status": "ok"}
    tried = (Attempt(started_at=at, duration=0.0),) * attempts
    return Call(duration=duration, operation=Operation(name=operation), provider=Provider(name="p"), attempts=tried, **facts | changes)


def test_a_request_sums_up_its_calls():
    """How many, how they ended, how often they were tried, their tokens, their times, which was the slowest, and what they cost."""
    tally = Tally()
    tally.add(
        a_call(
            2.0, id="a", name="first", usage=Usage(input_tokens=7, output_tokens=3), cost=Cost(input=1, output=2, total=3, currency="USD")
        ),
        0,
        2 * 10**9,
    )
    tally.add(a_call(5.0, id="b", name="second", status="error", attempts=3), 10**9, 6 * 10**9)
    tally.add(
        a_call(
            5.0,
            id="c",
            attempts=0,
            usage=Usage(input_tokens=10, output_tokens=20),
            cost=Cost(input=4, output=8, total=12, cached=0.5, currency="USD"),
        ),
        8 * 10**9,
        13 * 10**9,
    )
    tally.add(
        a_call(1.0, id="d", attempts=2, cost=Cost(input=16, output=32, total=48, cached=0.25, currency="USD")), 20 * 10**9, 21 * 10**9
    )

    assert CallTotals(
        count=4,
        errors=1,
        retries=3,
        running=9,
        input_tokens=17,
        output_tokens=23,
        wall=12.0,
        sum=13.0,
        slowest=Slowest(id="b", name="second", duration=5.0),
        cost=Cost(input=21, output=42, total=63, cached=0.75, currency="USD"),
    ) == tally.totals(9)


def test_calls_that_have_no_price_cost_nothing_known():
    """And what nobody says of the cache is not nought."""
    free, priced = Tally(), Tally()
    free.add(a_call(), 0, 1)
    for _ in range(2):
        priced.add(a_call(cost=Cost(input=1, output=2, total=3, currency="EUR")), 0, 1)

    assert (None, Cost(input=2, output=4, total=6, currency="EUR")) == (free.totals(0).cost, priced.totals(0).cost)


@pytest.mark.parametrize(("one", "other"), [(0.5, None), (None, 0.5)])
def test_one_call_from_the_cache_is_enough(one, other):
    """Whichever it was."""
    tally = Tally()
    for cached in (one, other):
        tally.add(a_call(cost=Cost(input=1, output=2, total=3, cached=cached, currency="USD")), 0, 1)

    assert 0.5 == tally.totals(0).cost.cached


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
