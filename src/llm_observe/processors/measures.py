"""A record to measurements: which instrument, how much, under which attributes. Pure; who keeps the sums is another matter."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from llm_observe.processors import instruments as i
from llm_observe.processors.charged import charged
from llm_observe.processors.instruments import Instrument, Names
from llm_observe.records import AnyRecord, Call, Modality, Request

Attributes = dict[str, str | int]


class Measurement(NamedTuple):
    """One value of an instrument."""

    instrument: Instrument
    value: float
    attributes: Attributes

    def continues(self, before: "Measurement") -> bool:
        """Whether this is one more of the same series as the one *before*, as their maker knows it."""
        return self.instrument is before.instrument and self.attributes is before.attributes


class Bounds:
    """Keeps each attribute to its first values, and calls those that come later ``other``: a user's input must not make series."""

    MOST: Mapping[str, int] = {"http.route": 200, "error.type": 50, "server.address": 50}
    OTHERWISE = 100

    def __init__(self) -> None:
        self._seen: dict[str, set[str | int]] = {}

    def value(self, attribute: str, value: str | int) -> str | int:
        """*value*, or ``other``."""
        seen = self._seen.setdefault(attribute, set())
        if value in seen:
            return value
        if len(seen) >= self.MOST.get(attribute, self.OTHERWISE):
            return "other"
        seen.add(value)
        return value

    def of(self, attributes: Iterable[tuple[str, str | int | None]]) -> Attributes:
        """*attributes* without those that are unknown, and bounded."""
        return {name: self.value(name, value) for name, value in attributes if value is not None}


def measured(record: AnyRecord, bounds: Bounds, names: Names = "current") -> Iterator[Measurement]:
    """What there is to measure in *record*."""
    if isinstance(record, Call):
        yield from _call(record, bounds, names)
    elif isinstance(record, Request):
        yield from _request(record, bounds)


def _call(call: Call, bounds: Bounds, names: Names) -> Iterator[Measurement]:
    own = bounds.of(
        (
            ("gen_ai.operation.name", call.operation.name),
            ("gen_ai.provider.name", call.provider.name),
            ("gen_ai.request.model", call.request.model),
        )
    )
    common = own | bounds.of(
        (
            ("gen_ai.response.model", call.response.model),
            ("server.address", call.server.address if call.server else None),
            ("server.port", call.server.port if call.server else None),
        )
    )
    error = bounds.of((("error.type", call.error.type if call.error else None),))
    if names != "legacy":
        yield from _current(call, common, error)
    if names != "current":
        yield from _legacy(call, common, error, twice=names == "both")
    yield Measurement(i.COUNT, 1, {**own, **error, "llm_observe.status": call.status})
    for attempt in call.attempts:
        status = (("http.response.status_code", attempt.status_code), ("error.type", attempt.error_type))
        yield Measurement(i.ATTEMPTS, 1, {**own, **bounds.of(status)})
        if attempt.processing_time is not None:
            yield Measurement(i.PROCESSING, attempt.processing_time, own)
        for limit in attempt.rate_limits:
            if limit.remaining is not None:
                yield Measurement(i.REMAINING, limit.remaining, {**own, "llm_observe.limit": bounds.value("llm_observe.limit", limit.name)})
    if len(call.attempts) > 1:
        yield Measurement(i.RETRIES, len(call.attempts) - 1, own)
    if call.status != "error" and call.operation.name in COUNTED and call.usage.input_tokens is None and call.usage.output_tokens is None:
        yield Measurement(i.UNCOUNTED, 1, own)
    if call.response.time_to_first_content is not None:
        yield Measurement(i.CONTENT, call.response.time_to_first_content, own)
    if call.cost is not None:
        yield Measurement(i.COST, call.cost.input, {**own, "llm_observe.cost.kind": "input"})
        yield Measurement(i.COST, call.cost.output, {**own, "llm_observe.cost.kind": "output"})


INFERENCE = frozenset({"chat", "generate_content", "text_completion"})
COUNTED = INFERENCE | {"embeddings"}


def _current(call: Call, common: Attributes, error: Attributes) -> Iterator[Measurement]:
    usage, failing = charged(call.usage), {**common, **error}
    if call.operation.name == "embeddings":
        yield Measurement(i.EMBEDDINGS_DURATION, call.duration, failing)
        if usage.input_tokens is not None:
            yield Measurement(i.EMBEDDINGS_INPUT, usage.input_tokens, common)
        return
    if call.operation.name not in INFERENCE:
        yield Measurement(i.OTHER_DURATION, call.duration, failing)
        return
    yield Measurement(i.DURATION, call.duration, failing)
    yield from _chunks(call, i.FIRST_CHUNK, i.PER_CHUNK, common)
    # The convention's zero for a call that failed or was answered without a count; of one that was cut nobody knows what it used.
    unsaid = 0 if call.status in {"ok", "error"} else None
    tokens_in = unsaid if usage.input_tokens is None else usage.input_tokens
    tokens_out = unsaid if usage.output_tokens is None else usage.output_tokens
    if tokens_in is not None:
        yield Measurement(i.CALL_INPUT, tokens_in, failing)
        yield from _modal(i.INPUT, tokens_in, [(name, kind.input_tokens) for name, kind in _modalities(call)], common)
    if tokens_out is not None:
        yield Measurement(i.CALL_OUTPUT, tokens_out, failing)
        yield from _modal(i.OUTPUT, tokens_out, [(name, kind.output_tokens) for name, kind in _modalities(call)], common)
    if usage.cache_read is not None and usage.cache_read.input_tokens:
        cached = [(name, kind.cache_read.input_tokens if kind.cache_read else None) for name, kind in _modalities(call)]
        yield from _modal(i.CACHE_READ, usage.cache_read.input_tokens, cached, common)
    if usage.cache_write is not None and usage.cache_write.input_tokens:
        yield from _modal(i.CACHE_WRITE, usage.cache_write.input_tokens, [], common)
    if usage.reasoning is not None and usage.reasoning.output_tokens:
        yield from _modal(i.REASONING, usage.reasoning.output_tokens, [], common)


def _legacy(call: Call, common: Attributes, error: Attributes, *, twice: bool) -> Iterator[Measurement]:
    if call.operation.name in COUNTED or not twice:  # what is no inference has the same name in both
        yield Measurement(i.OLD_DURATION, call.duration, {**common, **error})
    yield from _chunks(call, i.OLD_FIRST_CHUNK, i.OLD_PER_CHUNK, common)
    usage = charged(call.usage)
    for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        if count is not None:
            yield Measurement(i.OLD_TOKENS, count, {**common, "gen_ai.token.type": kind})


def _chunks(call: Call, first: Instrument, per: Instrument, common: Attributes) -> Iterator[Measurement]:
    if call.response.time_to_first_chunk is not None:
        yield Measurement(first, call.response.time_to_first_chunk, common)
        for gap in call.response.chunk_gaps:
            yield Measurement(per, gap / 1e6, common)


def _modalities(call: Call) -> Iterator[tuple[str, Modality]]:
    for name, kind in (("text", call.usage.text), ("image", call.usage.image), ("audio", call.usage.audio)):
        if kind is not None:
            yield name, kind


def _modal(instrument: Instrument, total: int, told: list[tuple[str, int | None]], common: Attributes) -> Iterator[Measurement]:
    """*total* by modality; what is not told apart is ``unknown``. The parts add up to the total."""
    left = total
    for name, count in told:
        if count and count <= left:
            left -= count
            yield Measurement(instrument, count, {**common, "gen_ai.token.modality": name})
    if left or left == total:
        yield Measurement(instrument, left, {**common, "gen_ai.token.modality": "unknown"})


def _request(request: Request, bounds: Bounds) -> Iterator[Measurement]:
    http = request.http
    place = bounds.of(
        (("http.request.method", http.request.method if http else None), ("http.route", http.route if http else request.name))
    )
    status = bounds.of(
        (
            ("http.response.status_code", http.response.status_code if http and http.response else None),
            ("error.type", request.error.type if request.error else None),
        )
    )
    yield Measurement(i.REQUESTS, request.duration, {**place, **status})
    yield Measurement(i.REQUEST_CALLS, request.calls.count, place)
    if request.calls.count:
        yield Measurement(i.REQUEST_MODELS, request.calls.wall, place)
