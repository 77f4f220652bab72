"""Prices of a catalogue that are kept: the same to the last digit as if it had been asked."""

import random
import sys
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from llm_observe.processors import cost as costs
from llm_observe.processors import rates
from llm_observe.processors.cost import Pricing
from llm_observe.records import Call, CallRequest, CallResponse, InputTokens, Modality, Operation, Provider, Usage

genai_prices = pytest.importorskip("genai_prices")

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
OURS = {theirs: ours for ours, theirs in costs._PROVIDERS.items()}


def call(model: str = "gpt-4o", provider: str = "openai", *, at: datetime = AT, tier: str | None = None, **usage) -> Call:
    """A call with these tokens."""
    usage = {"input_tokens": 1000, "output_tokens": 100} | usage
    return Call(
        id="c", trace_id="t", span_id="s", started_at=at, duration=1.0, name="chat", status="ok", operation=Operation(name="chat"),
        provider=Provider(name=provider), request=CallRequest(model=model), response=CallResponse(service_tier=tier), usage=Usage(**usage),
    )  # fmt: skip


@pytest.fixture
def pricing():
    """Prices of the catalogue."""
    return Pricing({}, wanted=True)


@pytest.fixture
def asking(monkeypatch):
    """Pricing that keeps nothing."""
    made = Pricing({}, wanted=True)
    monkeypatch.setattr(made, "_catalogue", lambda: None)
    return made


@pytest.fixture
def asked(monkeypatch):
    """What the catalogue was asked."""
    found = []
    calc = genai_prices.calc_price
    monkeypatch.setattr(genai_prices, "calc_price", lambda *args, **kwargs: found.append(kwargs) or calc(*args, **kwargs))
    return found


def some_call(rng: random.Random, model: str, provider: str) -> Call:
    """A call at any time, of any size, with any of the counts that there are."""
    tokens = rng.choice([0, 5, 128_000, 200_000, 200_001, 272_001, rng.randint(0, 2000), rng.randint(0, 400_000), 10**9])
    usage = {"input_tokens": tokens, "output_tokens": rng.choice([None, 0, rng.randint(0, 100_000)])}
    if rng.random() < 0.5:
        usage["cache_read"] = InputTokens(input_tokens=rng.choice([0, tokens // 2, tokens, tokens + 1]))
    if rng.random() < 0.4:
        usage["cache_write"] = InputTokens(input_tokens=rng.choice([0, tokens // 3]))
    if rng.random() < 0.1:
        usage["audio"] = Modality(input_tokens=tokens // 4)
    at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=rng.randint(0, 3 * 365 * 24 * 60))
    return call(model, provider, at=at, tier=rng.choice([None, None, "default", "priority", "flex"]), **usage)


def test_what_is_kept_is_what_would_be_said(pricing, asking):
    """For models of all providers, at any time, in any tier, with any counts: contradictions too."""
    from genai_prices.data_snapshot import get_snapshot

    rng = random.Random(7)
    models = [(model.id, OURS[one.id]) for one in get_snapshot().providers if one.id in OURS for model in one.models]
    picked = [*rng.sample(models, 150), ("deepseek-chat", "deepseek"), ("gemini-2.5-pro", "gcp.gemini"), ("claude-sonnet-4-5", "anthropic")]
    calls = [some_call(rng, *one) for one in picked for _ in range(3)]

    assert [asking(one).cost for one in calls] == [pricing(one).cost for one in calls]
    assert sum(one.most > 0 for one in pricing._kept.values()) > len(pricing._kept) / 2


def test_a_model_is_asked_for_once_a_day(pricing, asked):
    """Whatever the tokens."""
    pricing(call())
    first = len(asked)
    costs_of = {pricing(call(input_tokens=tokens, cache_read=InputTokens(input_tokens=7))).cost.total for tokens in (10, 200, 3000)}

    assert (3, first) == (len(costs_of), len(asked))
    pricing(call(at=AT + timedelta(hours=11)))
    assert first == len(asked)
    pricing(call(at=AT + timedelta(hours=12)))
    assert first < len(asked)


def test_other_prices_count_from_the_next_call(pricing):
    """The catalogue may be replaced while we run."""
    from genai_prices.data_snapshot import DataSnapshot, get_snapshot, set_custom_snapshot

    known = pricing(call()).cost
    set_custom_snapshot(DataSnapshot(providers=[one for one in get_snapshot().providers if one.id != "openai"], from_auto_update=False))
    try:
        assert None is pricing(call()).cost
    finally:
        set_custom_snapshot(None)
    assert known == Pricing({}, wanted=True)(call()).cost


def test_a_long_prompt_may_have_a_price_of_its_own(pricing, asked):
    """From where on that is so, the catalogue is asked."""
    pricing(call("gemini-2.5-pro", "gcp.gemini", input_tokens=200_000))
    first = len(asked)

    short = pricing(call("gemini-2.5-pro", "gcp.gemini", input_tokens=200_000)).cost
    assert first == len(asked)
    long = pricing(call("gemini-2.5-pro", "gcp.gemini", input_tokens=200_001)).cost
    assert (first + 1, True) == (len(asked), long.input > 1.9 * short.input)


@pytest.fixture
def catalogue():
    """Have a model "house" with these prices be all that OpenAI sells."""
    from genai_prices import data_snapshot, types

    def sells(prices) -> None:
        model = types.ModelInfo(id="house", match=types.ClauseEquals("house"), prices=prices)
        provider = types.Provider(id="openai", name="O", api_pattern="o", models=[model])
        data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot(providers=[provider], from_auto_update=False))

    yield sells
    data_snapshot.set_custom_snapshot(None)


def priced(rate: int | str) -> object:
    """Dollars for a million tokens of what goes in."""
    from genai_prices.types import ModelPrice

    return ModelPrice(input_mtok=Decimal(rate), output_mtok=Decimal(0))


def test_a_price_by_the_hour_is_asked_for_each_time(catalogue, pricing):
    """Nothing is kept of it."""
    from genai_prices.types import ConditionalPrice, TimeOfDateConstraint

    night = TimeOfDateConstraint(time(1, tzinfo=UTC), time(5, tzinfo=UTC))
    catalogue([ConditionalPrice(prices=priced(2)), ConditionalPrice(constraint=night, prices=priced(1))])

    assert [0.002, 0.001, 0.002] == [pricing(call("house", at=AT.replace(hour=hour))).cost.input for hour in (12, 2, 13)]


def test_a_price_by_the_day_is_kept_for_the_day(catalogue, pricing, asked):
    """The new one counts from midnight."""
    from genai_prices.types import ConditionalPrice, StartDateConstraint

    catalogue([ConditionalPrice(prices=priced(2)), ConditionalPrice(constraint=StartDateConstraint(AT.date()), prices=priced(1))])
    before = AT.replace(hour=0) - timedelta(microseconds=1)

    assert [0.002, 0.001, 0.001] == [pricing(call("house", at=at)).cost.input for at in (before, AT, AT)]
    first = len(asked)
    assert (0.001, first) == (pricing(call("house")).cost.input, len(asked))


def test_a_step_in_the_price_at_a_few_tokens_is_asked_for_each_time(catalogue, pricing):
    """We would have to ask beyond it."""
    from genai_prices.types import ModelPrice, Tier, TieredPrices

    catalogue(ModelPrice(input_mtok=TieredPrices(base=Decimal(1), tiers=[Tier(start=500, price=Decimal(3))]), output_mtok=Decimal(0)))

    assert [0.0005, 0.003] == [pricing(call("house", input_tokens=tokens)).cost.input for tokens in (500, 1000)]


def test_a_price_of_another_kind_is_not_ours_to_reckon_with():
    """What it is by is not known."""
    found = SimpleNamespace(model=SimpleNamespace(prices=None, price_variants=None), model_price=SimpleNamespace(input_mtok="free"))

    assert -1 == rates._reach(found)


def test_no_more_rates_are_kept_than_may_be(pricing, monkeypatch):
    """A tier of service is whatever the answer says."""
    monkeypatch.setattr(costs, "MOST_RATES", 3)
    for tier in "abcdefghijkl":
        pricing(call(tier=tier))
        assert len(pricing._kept) <= 4


def test_a_catalogue_of_another_make_is_asked_call_by_call(asking, monkeypatch, asked):
    """One that does not say what it goes by, or not as we know it, or whose prices are not by the token."""
    expected = asking(call()).cost
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    assert expected == Pricing({}, wanted=True)(call()).cost
    monkeypatch.undo()
    monkeypatch.setattr(rates, "_reach", lambda _: vars(None))
    assert expected == Pricing({}, wanted=True)(call()).cost
    monkeypatch.undo()
    pricing = Pricing({}, wanted=True)
    monkeypatch.setattr(rates, "_holds", lambda *_: False)

    assert [expected] * 2 == [pricing(call()).cost for _ in range(2)]
    assert {-1} == {one.most for one in pricing._kept.values()}
