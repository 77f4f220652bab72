"""What a call cost: by the user's own prices, else by those of genai-prices."""

import importlib.util
from collections.abc import Callable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from llm_observe.errors import SettingsError, missing
from llm_observe.processors.charged import charged
from llm_observe.processors.rates import UNKNOWN, Rates, catalogue_now, rates_of
from llm_observe.records import Call, Cost

_MILLION = 1_000_000
MOST_UNKNOWN = 1024  # models without a price that are remembered
MOST_RATES = 1024  # models, by provider and tier of service, whose price is
_PROVIDERS = {  # our names for providers: genai-prices' own; one that is not here has no prices there
    "openai": "openai",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "anthropic": "anthropic",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "cohere": "cohere",
    "mistral_ai": "mistral",
    "groq": "groq",
    "deepseek": "deepseek",
    "x_ai": "x-ai",
    "perplexity": "perplexity",
    "moonshot_ai": "moonshotai",
    "openrouter": "openrouter",
    "together_ai": "together",
    "fireworks": "fireworks",
    "cerebras": "cerebras",
    "zai": "zai",
    "minimax": "minimax",
    "voyageai": "voyageai",
    "novita": "novita",
    "baseten": "baseten",
    "cloudflare": "cloudflare",
    "databricks": "databricks",
    "github_copilot": "github-copilot",
}


class _Price(msgspec.Struct, frozen=True):
    """A price of the user's: US dollars for a million tokens of each kind."""

    input: float
    output: float
    cache_read: float
    cache_write: float

    def of(self, call: Call) -> Cost:
        usage = charged(call.usage)
        read = usage.cache_read.input_tokens if usage.cache_read else 0
        written = usage.cache_write.input_tokens if usage.cache_write else 0
        fresh = max((usage.input_tokens or 0) - read - written, 0)
        cached = read * self.cache_read / _MILLION
        asked = (fresh * self.input + written * self.cache_write) / _MILLION + cached
        answered = (usage.output_tokens or 0) * self.output / _MILLION
        return Cost(input=asked, output=answered, cached=cached if read else None, total=asked + answered, currency="USD")


class Pricing:
    """Puts its cost on each call whose price is known. ``unpriced`` counts those with tokens and no known price.

    *prices* are the user's own, by model: a name, or a pattern with ``*``, to ``input/output`` or ``input/output/cache read/cache write``.

    :raises SettingsError: for a price that cannot be read.
    :raises MissingExtra: when *wanted* and neither genai-prices nor a price of the user's is there.
    """

    def __init__(self, prices: Mapping[str, str], *, wanted: bool | None) -> None:
        self.unpriced = 0
        self._own = [(pattern, _read(pattern, price)) for pattern, price in prices.items()] if wanted is not False else []
        self._unknown: set[tuple[str | None, str]] = set()
        self._kept: dict[tuple[str | None, str, str | None], Rates] = {}
        self._kept_of: object = None
        self._catalogue: Callable[[], object] | None = None
        self._known = wanted is not False and importlib.util.find_spec("genai_prices") is not None
        if wanted and not self._known and not self._own:
            raise missing(ModuleNotFoundError("genai-prices", name="genai-prices"), extra="cost")

    def __call__(self, call: Call) -> Call:
        """*call* with its cost, where there are tokens and a price."""
        usage = call.usage
        if (usage.input_tokens is None and usage.output_tokens is None) or not (self._known or self._own):
            return call
        cost = self._by_own(call) if self._own else None
        if cost is None and self._known:
            cost = self._by_catalogue(call)
        if cost is None:
            self.unpriced += 1
            return call
        return msgspec.structs.replace(call, cost=cost)

    def _by_own(self, call: Call) -> Cost | None:
        models = [model for model in (call.response.model, call.request.model) if model]
        for pattern, price in self._own:
            if any(fnmatchcase(model, pattern) for model in models):
                return price.of(call)
        return None

    def _by_catalogue(self, call: Call) -> Cost | None:
        provider = _PROVIDERS.get(call.provider.name)
        if provider is None and not call.provider.guessed:
            return None
        for model in (call.response.model, call.request.model):
            if model and (provider, model) not in self._unknown:
                try:
                    return self._priced(call, model, None if call.provider.guessed else provider)
                except LookupError:  # the catalogue looks through all it has, each time
                    if len(self._unknown) >= MOST_UNKNOWN:
                        self._unknown.clear()  # and an update of the prices gets its chance
                    self._unknown.add((provider, model))
                except ValueError:
                    return None
        return None

    def _priced(self, call: Call, model: str, provider: str | None) -> Cost:
        """What genai-prices says.

        :raises LookupError: where it does not know the model.
        :raises ValueError: for counts that contradict each other: more cached than there were.
        """
        usage, tier = charged(call.usage), call.response.service_tier
        asked, answered = usage.input_tokens or 0, usage.output_tokens or 0
        read = usage.cache_read.input_tokens if usage.cache_read else 0
        written = usage.cache_write.input_tokens if usage.cache_write else 0
        if usage.audio is None and usage.image is None:
            cost = self._rates(model, provider, tier, call.started_at).cost(asked, answered, read, written)
            if cost is not None:
                return cost
        counts = {
            "input_tokens": asked,
            "output_tokens": answered,
            "cache_read_tokens": read or None,
            "cache_write_tokens": written or None,
            "input_audio_tokens": usage.audio.input_tokens if usage.audio else None,
            "output_audio_tokens": usage.audio.output_tokens if usage.audio else None,
            "input_image_tokens": usage.image.input_tokens if usage.image else None,
            "output_image_tokens": usage.image.output_tokens if usage.image else None,
        }
        known = {name: count for name, count in counts.items() if count is not None}
        try:
            price = _ask(known, {"service_tier": tier} if tier else None, model, provider, call.started_at)
            cached = (
                _ask({"input_tokens": read, "cache_read_tokens": read}, None, model, provider, call.started_at).input_price
                if read
                else None
            )
        except ArithmeticError as error:
            raise ValueError(str(error)) from None
        return Cost(
            input=float(price.input_price),
            output=float(price.output_price),
            cached=None if cached is None else float(cached),
            total=float(price.total_price),
            currency="USD",
        )

    def _rates(self, model: str, provider: str | None, tier: str | None, at: datetime) -> Rates:
        if self._catalogue is None:
            self._catalogue = catalogue_now()
        key, now = (provider, model, tier), self._catalogue()
        if now is None:
            return UNKNOWN
        if now is not self._kept_of or len(self._kept) > MOST_RATES:
            self._kept.clear()
            self._kept_of = now
        rates = self._kept.get(key)
        if rates is None or rates.day != at.date():
            rates = self._kept[key] = rates_of(lambda counts, context: _ask(counts, context, model, provider, at), tier, at)
        return rates


def _ask(counts: dict[str, int], context: dict[str, str] | None, model: str, provider: str | None, at: datetime) -> Any:
    from genai_prices import Usage, calc_price

    return calc_price(Usage(**counts), model, provider_id=provider, genai_request_timestamp=at, price_context=context)


def _read(pattern: str, price: str) -> _Price:
    try:
        numbers = [float(part) for part in price.split("/")]
    except ValueError:
        numbers = []
    if len(numbers) not in {2, 4} or not all(0 <= number < 1e9 for number in numbers):
        raise SettingsError(
            f"prices: {pattern!r}: {price!r}: Expected US dollars for a million tokens, `input/output` or"
            f" `input/output/cache read/cache write`, as in `0.5/1.5`."
        )
    return _Price(*numbers) if len(numbers) == 4 else _Price(numbers[0], numbers[1], numbers[0], numbers[0])
