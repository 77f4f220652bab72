"""Which records go on where not all are to."""

import random
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_observe.errors import SettingsError
from llm_observe.processors.sampler import MOST, RULED, Sampler
from llm_observe.records import Attempt, CallRequest, CallResponse, Cost, Error, Sampling, ScopeInfo, Slowest

LOW, MIDDLE, HIGH = (f"{'f' * 16}{int(share * 2**64):016x}" for share in (0.05, 0.5, 0.95))
"""Trace ids that are kept from a rate of 5, 50 and 95 per cent on."""


def sampler(rate=0.0, rules=None, function=None, *, slower_than=30.0, costlier_than=1.0, caught=None):
    """One with these settings; what it catches fails the test, unless it is expected."""

    def unexpected(error):
        raise error

    return Sampler(rate, rules or {}, function, slower_than=slower_than, costlier_than=costlier_than, caught=caught or unexpected)


def cost(total):
    """That much."""
    return Cost(input=total, output=0.0, total=total, currency="USD")


def attempts(make, n):
    """So many of them."""
    return tuple(Attempt(started_at=make.call().started_at, duration=1.0) for _ in range(n))


# --- the head --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "kept"), [(0.0, []), (0.06, [LOW]), (0.5, [LOW]), (0.6, [LOW, MIDDLE]), (0.96, [LOW, MIDDLE, HIGH])])
def test_the_trace_id_decides(make, rate, kept):
    """What is kept at a rate is kept at every higher one."""
    assert kept == [trace for trace in (LOW, MIDDLE, HIGH) if sampler(rate)(make.call(trace_id=trace))]


@pytest.mark.parametrize("kind", ["call", "step", "request"])
def test_all_of_a_trace_go_or_stay_together(make, kind):
    """Whatever kind of record it is, and in whichever process."""
    assert [True, False] == [sampler(0.2)(getattr(make, kind)(trace_id=trace)) is not None for trace in (LOW, HIGH)]


@settings(deadline=None)
@given(trace_id=st.integers(0, 2**128 - 1), rate=st.floats(0, 1))
def test_it_is_the_decision_of_opentelemetrys_sampler(make, trace_id, rate):
    """TraceIdRatioBased keeps the same traces, so that both may be set to one rate."""
    sampling = pytest.importorskip("opentelemetry.sdk.trace.sampling")
    theirs = sampling.TraceIdRatioBased(rate).should_sample(None, trace_id, "x").decision.is_sampled()

    assert theirs is (sampler(rate)(make.call(trace_id=f"{trace_id:032x}")) is not None)


def test_a_kept_record_says_how_likely_that_was(make):
    """The number it stands for is one by that."""
    assert Sampling(rate=0.25, reason="rate") == sampler(0.25)(make.call(trace_id=LOW)).sampling


def test_where_all_are_kept_nothing_is_said(make):
    """The record is the very one that came."""
    record = make.call(trace_id=HIGH)

    assert record is sampler(1.0)(record)


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ("route:/chat/*", True),
        ("route:POST /chat/{id}", True),
        ("route:GET /chat/{id}", False),
        ("model:gpt-x", True),
        ("model:gpt-x-2026", True),
        ("model: other*", False),
        ("provider:openai", True),
        ("operation:chat", True),
        ("kind:call", True),
        ("kind:step", False),
        ("name:ch*", True),
        ("user:u-1", True),
        ("user:u", False),
        ("session:s-*", True),
    ],
)
def test_a_rule_goes_by_a_field(make, rule, matches):
    """The route, who asked, what was asked for, and of whom."""
    record = make.call(
        trace_id=HIGH,
        request=CallRequest(model="gpt-x"),
        response=CallResponse(model="gpt-x-2026"),
        scope=ScopeInfo(method="POST", route="/chat/{id}", user_id="u-1", session_id="s-1"),
    )

    assert matches is (sampler(0.0, {rule: 1.0})(record) is not None)


@pytest.mark.parametrize("field", sorted({*RULED} - {"kind", "name", "provider", "operation"}))
def test_a_rule_about_what_is_not_known_does_not_match(make, field):
    """A call outside of any scope, with no model named."""
    assert None is sampler(0.0, {f"{field}:*": 1.0})(make.call(trace_id=HIGH))


@pytest.mark.parametrize("field", ["model", "provider", "operation"])
def test_a_rule_about_calls_leaves_their_request_and_steps_to_others(make, field):
    """They have no model."""
    ask = sampler(1.0, {f"{field}:*": 0.0})

    assert (True, True) == (ask(make.step(trace_id=HIGH)) is not None, ask(make.request(trace_id=HIGH)) is not None)


def test_the_first_rule_that_matches_counts(make):
    """In the order of the setting, and before the rate."""
    ask = sampler(0.0, {"kind:step": 1.0, "name:retr*": 0.0, "kind:call": 0.5})

    assert (None, Sampling(rate=0.5, reason="rule")) == (ask(make.step(trace_id=HIGH)).sampling, ask(make.call(trace_id=LOW)).sampling)


@pytest.mark.parametrize(("said", "kept"), [(True, True), (1, True), (0.99, True), (False, False), (0, False), (0.5, False), (None, False)])
def test_a_function_is_asked_first(make, said, kept):
    """It gives a share, a yes or a no, or no opinion: then rules and rate have the word."""
    assert kept is (sampler(0.1, {"kind:step": 1.0}, lambda record: said)(make.call(trace_id=HIGH)) is not None)


def test_a_functions_share_is_on_the_record(make):
    """With its reason."""
    assert Sampling(rate=0.5, reason="sampler") == sampler(0.0, function=lambda record: 0.5)(make.call(trace_id=LOW)).sampling


def _raises(record):
    raise ValueError("canary")


@pytest.mark.parametrize("function", [_raises, lambda record: 1.5, lambda record: -1, lambda record: float("nan"), lambda record: "often"])
def test_a_function_that_fails_keeps_the_record(make, function):
    """What cannot be decided is not thrown away; it is told."""
    caught = []

    kept = sampler(0.0, function=function, caught=caught.append)(make.call(trace_id=HIGH))

    assert (True, None, 1) == (kept is not None, kept.sampling, len(caught))


class Nameless:
    """What no text can be made of."""

    def __str__(self):
        raise ValueError("canary")


@pytest.mark.parametrize(("user", "kept", "told"), [("17", True, 0), (17, True, 0), (18, False, 0), (Nameless(), True, 1)])
def test_a_user_may_be_anything(make, user, kept, told):
    """Applications tag what they have at hand. What cannot be compared is kept, and told."""
    caught = []

    assert kept is (
        sampler(0.0, {"user:17": 1.0}, caught=caught.append)(make.call(trace_id=HIGH, scope=ScopeInfo(user_id=user))) is not None
    )
    assert told == len(caught)


@pytest.mark.parametrize("rule", ["", "gpt-x", "model", "model:", ":gpt-x", "color:red", "models:gpt-x"])
def test_a_rule_that_cannot_be_read_is_refused(rule):
    """Naming the setting, the rule, and what it may be."""
    with pytest.raises(SettingsError, match=r"^sample_rules: .*Expected `field:pattern`.*Fields are: route, kind") as caught:
        sampler(1.0, {rule: 0.5})

    assert repr(rule) in str(caught.value)


# --- the tail --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["call", "step", "request"])
def test_what_failed_is_always_kept(make, kind):
    """At any rate, and it stands for itself alone."""
    failed = getattr(make, kind)(trace_id=HIGH, status="error", error=Error(type="x"))

    assert Sampling(rate=1.0, reason="error") == sampler(0.0, {f"kind:{kind}": 0.0}, lambda record: False)(failed).sampling


@pytest.mark.parametrize("status", ["ok", "cancelled", "truncated"])
def test_what_did_not_fail_is_left_to_the_head(make, status):
    """To stop reading is no error."""
    assert None is sampler()(make.call(trace_id=HIGH, status=status))


def test_a_retried_call_is_always_kept(make):
    """One attempt is no retry."""
    ask = sampler()

    assert (None, None) == tuple(ask(make.call(trace_id=HIGH, attempts=attempts(make, n))) for n in (0, 1))
    assert Sampling(rate=1.0, reason="retried") == ask(make.call(trace_id=HIGH, attempts=attempts(make, 2))).sampling


def test_a_slow_call_is_always_kept(make):
    """One that took longer than the setting says."""
    ask = sampler(slower_than=5.0)

    assert None is ask(make.call(trace_id=HIGH, duration=5.0))
    assert Sampling(rate=1.0, reason="slow") == ask(make.call(trace_id=HIGH, duration=5.1)).sampling


def test_an_expensive_call_is_always_kept(make):
    """One that cost more than the setting says; one without a price is none."""
    ask = sampler(costlier_than=0.5)

    assert None is ask(make.call(trace_id=HIGH, cost=cost(0.5)))
    assert Sampling(rate=1.0, reason="expensive") == ask(make.call(trace_id=HIGH, cost=cost(0.6))).sampling


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        ({"errors": 1, "retries": 1}, "error"),
        ({"retries": 1}, "retried"),
        ({"slowest": Slowest(id="1", name="chat", duration=31.0)}, "slow"),
        ({"cost": cost(1.1)}, "expensive"),
    ],
)
def test_a_request_is_kept_for_its_calls(make, calls, reason):
    """By its roll-up: whatever became of them since, it stays beside them."""
    assert Sampling(rate=1.0, reason=reason) == sampler()(make.request(trace_id=HIGH, calls=calls)).sampling


def test_a_request_and_a_step_that_take_their_time_are_not_kept_for_it(make):
    """A page that streams, a step that waits: it is about calls."""
    assert (None, None) == (sampler()(make.request(trace_id=HIGH, duration=100.0)), sampler()(make.step(trace_id=HIGH, duration=100.0)))


def test_what_is_around_a_kept_call_is_kept(make):
    """The step it was made in and the request around that, which end after it; another step of the request is not."""
    ask = sampler()
    ask(make.call(trace_id=HIGH, span_id="c" * 16, parent_id="b" * 16, status="error"))

    step = ask(make.step(trace_id=HIGH, span_id="b" * 16, parent_id="a" * 16))
    other = ask(make.step(trace_id=HIGH, span_id="d" * 16, parent_id="a" * 16))
    request = ask(make.request(trace_id=HIGH, span_id="a" * 16, parent_id="9" * 16))

    assert (Sampling(rate=1.0, reason="child"), None, Sampling(rate=1.0, reason="child")) == (step.sampling, other, request.sampling)


def test_one_error_does_not_keep_the_other_calls_of_a_job(make):
    """A million calls in one trace, of which one failed, are not kept for it."""
    ask = sampler()
    ask(make.call(trace_id=HIGH, parent_id="a" * 16, status="error"))

    assert None is ask(make.call(trace_id=HIGH, parent_id="a" * 16))


def test_what_is_around_is_as_likely_as_the_likeliest_inside(make):
    """So that both can be counted with."""
    ask = sampler(0.01, {"model:a": 0.5, "model:b": 0.2})
    for model in ("a", "b"):
        assert ask(make.call(trace_id=LOW, parent_id="a" * 16, request=CallRequest(model=model)))

    assert Sampling(rate=0.5, reason="child") == ask(make.request(trace_id=LOW, span_id="a" * 16)).sampling


def test_what_is_remembered_is_bounded(make):
    """The oldest are forgotten."""
    ask = sampler()
    for n in range(MOST + 1):
        ask(make.call(trace_id=HIGH, parent_id=f"{n:016x}", status="error"))

    assert (False, True) == tuple(ask(make.request(trace_id=HIGH, span_id=f"{n:016x}")) is not None for n in (0, MOST))


def test_what_is_left_stands_for_all_there_was(make):
    """The numbers that records stand for add up to how many there were, whatever was kept for its own sake."""
    chance = random.Random(1)
    ask = sampler(0.1, {"model:often": 0.5})
    records = [
        make.call(
            trace_id=f"{chance.getrandbits(128):032x}",
            status="error" if chance.random() < 0.05 else "ok",
            request=CallRequest(model=chance.choice(["often", "seldom"])),
        )
        for _ in range(20_000)
    ]

    kept = [one for one in map(ask, records) if one is not None]
    weight = sum(1 / Fraction(one.sampling.rate if one.sampling else 1) for one in kept)

    assert 5_000 < len(kept) < 9_000
    assert 0.97 < weight / len(records) < 1.03


def test_nothing_else_of_a_record_changes(make):
    """It only says how it was sampled."""
    record = make.call(trace_id=LOW)

    assert record == msgspec.structs.replace(sampler(0.5)(record), sampling=None)
