"""What genai-prices takes for a token of a model, found out once a day and model: its own way to a price takes 100 us and more.

Prices may depend on more than the model: on the day, the hour, the tier of service, the tokens of the prompt. A price is only kept where
it does not, or no further than it does not; all others are asked for call by call. What is kept gives the same cost to the last digit.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from llm_observe.records import Cost

_PROBE = 1000  # tokens of a kind that are asked for
_MANY = 10**7
_MOST = 10**12  # tokens up to which decimals are exact by far


class Rates(msgspec.Struct, frozen=True, gc=False):
    """US dollars for a token of each kind. ``cached`` is what of a cache is paid for by those who name no tier of service."""

    day: date
    most: int = -1  # tokens of a prompt, and of an answer, up to which these rates hold: none
    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    cache_read: Decimal = Decimal(0)
    cache_write: Decimal = Decimal(0)
    cached: Decimal = Decimal(0)

    def cost(self, asked: int, answered: int, read: int, written: int) -> Cost | None:
        """Of so many tokens; None where these rates do not tell."""
        fresh = asked - read - written
        if fresh < 0 or asked > self.most or answered > self.most:
            return None
        prompt, answer = self.input * fresh, self.output * answered
        if read:
            prompt += self.cache_read * read
        if written:
            prompt += self.cache_write * written
        return Cost(
            input=float(prompt),
            output=float(answer),
            total=float(prompt + answer),
            cached=float(self.cached * read) if read else None,
            currency="USD",
        )


UNKNOWN = Rates(date.min)


def catalogue_now() -> Callable[[], object]:
    """Who says which prices genai-prices goes by at a moment: they may be replaced while we run. None where that cannot be told."""
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        return lambda: None
    return get_snapshot


def rates_of(ask: Callable[..., Any], tier: str | None, at: datetime) -> Rates:
    """The rates at the instant *at*. *ask* is asked for the price of counts of tokens, and in what context.

    :raises LookupError: where the model is not known.
    """
    none = Rates(at.date())
    context = {"service_tier": tier} if tier else None
    both, read = {"input_tokens": _PROBE, "output_tokens": _PROBE}, {"input_tokens": _PROBE, "cache_read_tokens": _PROBE}
    try:
        price, cached = ask(both, context), ask(read, None)
        most = min(_reach(price), _reach(cached))
        if most < 0:
            return none
        rates = msgspec.structs.replace(
            none,
            most=most,
            input=price.input_price / _PROBE,
            output=price.output_price / _PROBE,
            cache_read=ask(read, context).input_price / _PROBE,
            cache_write=ask({"input_tokens": _PROBE, "cache_write_tokens": _PROBE}, context).input_price / _PROBE,
            cached=cached.input_price / _PROBE,
        )
        return rates if _holds(rates, ask, context) else none
    except LookupError:
        raise
    except Exception:  # of another make than we know: it is asked call by call, and says what it has to say
        return none


def _holds(rates: Rates, ask: Callable[..., Any], context: dict[str, str] | None) -> bool:
    """Whether *rates* say of many tokens of all kinds what the catalogue says."""
    many = min(rates.most, _MANY)
    cost = rates.cost(many, many, many // 2, many // 3)
    price = ask({"input_tokens": many, "output_tokens": many, "cache_read_tokens": many // 2, "cache_write_tokens": many // 3}, context)
    return cost is not None and (cost.input, cost.output, cost.total) == (
        float(price.input_price),
        float(price.output_price),
        float(price.total_price),
    )


def _reach(found: Any) -> int:
    """Up to how many tokens the price in *found* is by the token and nothing else, all of its day; -1 for none."""
    from genai_prices.types import StartDateConstraint, TieredPrices

    prices = found.model.prices
    conditions = [*(prices if isinstance(prices, list) else ()), *(found.model.price_variants or ())]
    if not all(one.constraint is None or isinstance(one.constraint, StartDateConstraint) for one in conditions):
        return -1  # by the hour
    most = _MOST
    for price in vars(found.model_price).values():
        if isinstance(price, TieredPrices):
            most = min(most, *(tier.start for tier in price.tiers))
        elif price is not None and not isinstance(price, Decimal):
            return -1
    return most if most >= _PROBE else -1
