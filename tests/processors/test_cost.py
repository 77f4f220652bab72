"""What a call cost: by the user's prices, else by a catalogue's."""

import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from llm_observe.errors import MissingExtra, SettingsError
from llm_observe.processors import cost as costs
from llm_observe.processors.cost import Pricing
from llm_observe.records import Billed, Call, CallRequest, CallResponse, Cost, InputTokens, Modality, Operation, Provider, Usage

AT = datetime(2026, 11, 1, tzinfo=UTC)


def call(model: str | None = "gpt-4o", provider: str = "openai", *, served: str | None = None, guessed: bool = False, **usage) -> Call:
    """A call with these tokens."""
    usage = {"input_tokens": 1000, "output_tokens": 100} | usage
    return Call(
        id="c", trace_id="t", span_id="s", started_at=AT, duration=1.0, name="chat", status="ok", operation=Operation(name="chat"),
        provider=Provider(name=provider, guessed=guessed), request=CallRequest(model=model), response=CallResponse(model=served),
        usage=Usage(**usage),
    )  # fmt: skip


@pytest.fixture
def own() -> Pricing:
    """Prices of the user's, and no others."""
    return Pricing({"house-*": "1/3/0.1/1.25", "plain": "0.5/1.5", "*": "9/9"}, wanted=None)


def test_a_price_of_the_users_is_for_a_million_tokens(own):
    """Input and output."""
    assert Cost(input=0.0005, output=0.00015, total=0.00065, currency="USD") == own(call("plain")).cost


def test_tokens_of_a_cache_have_their_own_price(own):
    """They are in the total of the input already."""
    cost = own(call("house-9", cache_read=InputTokens(input_tokens=400), cache_write=InputTokens(input_tokens=200))).cost

    assert pytest.approx((400 * 1 + 400 * 0.1 + 200 * 1.25) / 1e6) == cost.input
    assert pytest.approx(400 * 0.1 / 1e6) == cost.cached


def test_what_is_billed_is_what_is_paid_for(own):
    """Where the provider tells it apart from what went in and came out."""
    billed = Billed(input_tokens=8, output_tokens=2)

    assert pytest.approx((8 * 0.5 + 2 * 1.5) / 1e6) == own(call("plain", billed=billed)).cost.total
    assert own(call("plain")).cost == own(call("plain", billed=Billed(search_units=1))).cost


def test_the_first_pattern_that_fits_counts(own):
    """By the model that answered, or the one that was asked for."""
    assert pytest.approx(0.0009) == own(call("nameless-alias", served="who-knows")).cost.output
    assert pytest.approx(0.00015) == own(call("alias", served="plain")).cost.output


def test_the_catalogue_is_asked_otherwise():
    """And says what it says itself, at the time of the call."""
    genai_prices = pytest.importorskip("genai_prices")
    known = genai_prices.calc_price(
        genai_prices.Usage(input_tokens=1000, output_tokens=100, cache_read_tokens=200),
        "gpt-4o",
        provider_id="openai",
        genai_request_timestamp=AT,
    )
    cost = Pricing({}, wanted=True)(call(cache_read=InputTokens(input_tokens=200))).cost

    assert [known.input_price, known.output_price, known.total_price] == [
        Decimal(repr(one)) for one in (cost.input, cost.output, cost.total)
    ]
    assert 0 < cost.cached < cost.input


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("claude-sonnet-4-5", "anthropic"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws.bedrock"),
        ("gemini-2.5-flash", "gcp.gemini"),
        ("gemini-2.5-flash", "gcp.vertex_ai"),
        ("gpt-4o", "azure.ai.openai"),
        ("mistral-large-latest", "mistral_ai"),
        ("llama-3.3-70b-versatile", "groq"),
        ("deepseek-chat", "deepseek"),
    ],
)
def test_providers_have_their_names_there(model, provider):
    """Ours are those of the conventions."""
    pytest.importorskip("genai_prices")

    assert Pricing({}, wanted=True)(call(model, provider)).cost.total > 0


def test_tokens_of_sound_have_their_own_price():
    """Where the provider tells them apart."""
    pytest.importorskip("genai_prices")
    pricing = Pricing({}, wanted=True)
    spoken = pricing(call("gemini-2.5-flash", "gcp.gemini", audio=Modality(input_tokens=900))).cost

    assert spoken.total > pricing(call("gemini-2.5-flash", "gcp.gemini")).cost.total


@pytest.mark.parametrize(
    "unknown",
    [call("no-such-model-at-all"), call("llama3", "ollama"), call(None), call(cache_read=InputTokens(input_tokens=5000))],
    ids=["model", "provider", "no model", "counts that contradict each other"],
)
def test_what_has_no_price_is_counted(unknown):
    """And goes on without one."""
    pytest.importorskip("genai_prices")
    pricing = Pricing({}, wanted=None)

    assert unknown == pricing(unknown)
    assert 1 == pricing.unpriced


def test_what_has_no_price_is_looked_for_once(monkeypatch):
    """The catalogue looks through all it has, each time; it is asked anew once a thousand others are remembered."""
    genai_prices = pytest.importorskip("genai_prices")
    asked = []

    def nothing(_, model, **__):
        asked.append(model)
        raise LookupError

    monkeypatch.setattr(genai_prices, "calc_price", nothing)
    monkeypatch.setattr(costs, "MOST_UNKNOWN", 2)
    pricing = Pricing({}, wanted=True)
    for model in ("a", "a", "b", "c", "a"):
        pricing(call(model))

    assert (["a", "b", "c", "a"], 5) == (asked, pricing.unpriced)


def test_a_provider_that_was_guessed_is_not_asked_for():
    """The model's name alone says whose it is."""
    pytest.importorskip("genai_prices")

    assert Pricing({}, wanted=None)(call("claude-sonnet-4-5", "openai", guessed=True)).cost.total > 0


def test_a_call_without_tokens_costs_what_nobody_knows():
    """An error, a stream that was cut: not free, and not counted as unknown."""
    pricing = Pricing({"*": "1/1"}, wanted=None)
    failed = call(input_tokens=None, output_tokens=None)

    assert (failed, 0) == (pricing(failed), pricing.unpriced)


def test_where_it_is_not_wanted_nothing_is_priced():
    """Whatever prices there are."""
    pricing = Pricing({"*": "1/1"}, wanted=False)

    assert (None, 0) == (pricing(call()).cost, pricing.unpriced)


def test_without_the_catalogue_calls_go_unpriced(monkeypatch):
    """Silently where nobody asked, with the extra's name where somebody did."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert None is Pricing({}, wanted=None)(call()).cost
    with pytest.raises(MissingExtra, match=r"llm-observe\[cost\]"):
        Pricing({}, wanted=True)
    assert None is not Pricing({"*": "1/1"}, wanted=True)(call()).cost


@pytest.mark.parametrize("price", ["", "1", "1/2/3", "a/b", "-1/2", "nan/1", "1/2/3/4/5"])
def test_a_price_that_cannot_be_read_fails_with_its_model(price):
    """At start-up, with what was expected."""
    with pytest.raises(SettingsError, match=r"prices: 'm': .*Expected US dollars for a million tokens"):
        Pricing({"m": price}, wanted=None)
