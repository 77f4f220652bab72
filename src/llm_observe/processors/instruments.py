"""What is measured: names, units, buckets and attributes.

Those of the OpenTelemetry GenAI metrics (genai-semconv, metrics), in their current and in their earlier spelling; ``llm_observe.*`` is what
they have no name for. Users, sessions and ids are never among the attributes.
"""

from typing import Literal, NamedTuple

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
CALLS = (1, 2, 4, 8, 16, 32, 64, 128)


class Instrument(NamedTuple):
    """What is measured. ``attributes`` are all that a measurement of it may have."""

    name: str
    kind: Literal["histogram", "counter", "updown", "gauge"]  # an updown adds up over processes, a gauge does not
    unit: str
    description: str
    attributes: tuple[str, ...]
    buckets: tuple[float, ...] = ()


_COMMON = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "server.address",
    "server.port",
)
_FAILING = (*_COMMON, "error.type")
_OWN = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")
_WEB = ("http.request.method", "http.route", "http.response.status_code", "error.type")


def _seconds(name: str, description: str, attributes: tuple[str, ...]) -> Instrument:
    return Instrument(name, "histogram", "s", description, attributes, SECONDS)


def _tokens(name: str, description: str, attributes: tuple[str, ...]) -> Instrument:
    return Instrument(name, "histogram", "{token}", description, attributes, TOKENS)


def _counter(name: str, unit: str, description: str, attributes: tuple[str, ...]) -> Instrument:
    return Instrument(name, "counter", unit, description, attributes)


def _updown(name: str, unit: str, description: str, attributes: tuple[str, ...]) -> Instrument:
    return Instrument(name, "updown", unit, description, attributes)


_MODAL = (*_COMMON, "gen_ai.token.modality")
DURATION = _seconds("gen_ai.client.inference.duration", "Time of a model call, its retries included.", _FAILING)
FIRST_CHUNK = _seconds("gen_ai.client.inference.time_to_first_chunk", "Time to the first chunk of a stream.", _COMMON)
PER_CHUNK = _seconds("gen_ai.client.inference.time_per_output_chunk", "Time from each chunk of a stream to the next.", _COMMON)
INPUT = _counter("gen_ai.client.inference.usage.input_tokens", "{token}", "Tokens that went in, cached ones included.", _MODAL)
OUTPUT = _counter("gen_ai.client.inference.usage.output_tokens", "{token}", "Tokens that came out, reasoning included.", _MODAL)
CACHE_READ = _counter(
    "gen_ai.client.inference.usage.cache_read.input_tokens", "{token}", "Input tokens that were read from a cache.", _MODAL
)
CACHE_WRITE = _counter(
    "gen_ai.client.inference.usage.cache_write.input_tokens", "{token}", "Input tokens that were written to a cache.", _MODAL
)
REASONING = _counter("gen_ai.client.inference.usage.reasoning.output_tokens", "{token}", "Output tokens spent on reasoning.", _MODAL)
CALL_INPUT = _tokens("gen_ai.client.inference.operation.input_tokens", "Tokens that went into one call.", _FAILING)
CALL_OUTPUT = _tokens("gen_ai.client.inference.operation.output_tokens", "Tokens that came out of one call.", _FAILING)
EMBEDDINGS_DURATION = _seconds("gen_ai.client.embeddings.duration", "Time of an embeddings call, its retries included.", _FAILING)
EMBEDDINGS_INPUT = _tokens("gen_ai.client.embeddings.operation.input_tokens", "Tokens that went into one embeddings call.", _COMMON)
OTHER_DURATION = _seconds("gen_ai.client.operation.duration", "Time of an operation that is no inference.", _FAILING)
CURRENT = (
    DURATION, FIRST_CHUNK, PER_CHUNK, INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, REASONING, CALL_INPUT, CALL_OUTPUT, EMBEDDINGS_DURATION,
    EMBEDDINGS_INPUT, OTHER_DURATION,
)  # fmt: skip

OLD_DURATION = OTHER_DURATION  # the one name that both have, for less then than before
OLD_FIRST_CHUNK = _seconds("gen_ai.client.operation.time_to_first_chunk", "Time to the first chunk of a stream.", _COMMON)
OLD_PER_CHUNK = _seconds("gen_ai.client.operation.time_per_output_chunk", "Time from each chunk of a stream to the next.", _COMMON)
OLD_TOKENS = _tokens("gen_ai.client.token.usage", "Tokens of one call.", (*_COMMON, "gen_ai.token.type"))
LEGACY = (OLD_DURATION, OLD_FIRST_CHUNK, OLD_PER_CHUNK, OLD_TOKENS)

COUNT = _counter("llm_observe.calls", "{call}", "Model calls, by how they ended.", (*_OWN, "llm_observe.status", "error.type"))
ATTEMPTS = _counter(
    "llm_observe.attempts", "{attempt}", "HTTP attempts, by their status.", (*_OWN, "http.response.status_code", "error.type")
)
RETRIES = _counter("llm_observe.retries", "{attempt}", "HTTP attempts after the first of a call.", _OWN)
UNCOUNTED = _counter("llm_observe.calls.uncounted", "{call}", "Model calls that used tokens and did not say how many.", _OWN)
COST = _counter("llm_observe.cost", "USD", "What calls cost, where the price is known.", (*_OWN, "llm_observe.cost.kind"))
PROCESSING = _seconds("llm_observe.processing_time", "Time that the provider says to have worked on an attempt.", _OWN)
CONTENT = _seconds("llm_observe.time_to_first_content", "Time to the first chunk of a stream with something of the answer in it.", _OWN)
REMAINING = Instrument(
    "llm_observe.rate_limit.remaining", "gauge", "{unit}", "What is left of a provider's limit, as it said last.", (*_OWN, "llm_observe.limit")
)  # fmt: skip
REQUESTS = _seconds("llm_observe.request.duration", "Time of a request to the application.", _WEB)
REQUEST_CALLS = Instrument(
    "llm_observe.request.calls", "histogram", "{call}", "Model calls that one request made.", ("http.request.method", "http.route"), CALLS
)
REQUEST_MODELS = _seconds(
    "llm_observe.request.time_in_models", "Time of a request in which a model call ran.", ("http.request.method", "http.route")
)
OWN = (COUNT, ATTEMPTS, RETRIES, UNCOUNTED, COST, PROCESSING, CONTENT, REMAINING, REQUESTS, REQUEST_CALLS, REQUEST_MODELS)

_EXPORTER = ("llm_observe.exporter",)
IN_FLIGHT = _updown("llm_observe.calls.in_flight", "{call}", "Model calls under way, whose answer has not come to its end.", ())
QUEUED = _updown("llm_observe.queue.records", "{record}", "Records that wait for an exporter.", _EXPORTER)
QUEUED_BYTES = _updown("llm_observe.queue.bytes", "By", "Bytes that wait for the background thread.", ())
PENDING = _updown("llm_observe.calls.pending", "{call}", "Failed calls that may still be retried.", ())
SPOOLED = _updown("llm_observe.spool.records", "{record}", "Records that an exporter has on disk and not in memory.", _EXPORTER)
SPOOLED_BYTES = _updown("llm_observe.spool.size", "By", "Bytes of an exporter's segments on disk.", _EXPORTER)
EXPORTED = _counter("llm_observe.records.exported", "{record}", "Records that arrived.", _EXPORTER)
ADOPTED = _counter("llm_observe.records.adopted", "{record}", "Records taken over from processes that are gone.", _EXPORTER)
DROPPED = _counter("llm_observe.records.dropped", "{record}", "Records that were lost, or sampled out.", (*_EXPORTER, "llm_observe.reason"))
FAILURES = _counter("llm_observe.export.failures", "{batch}", "Attempts of an exporter that failed.", _EXPORTER)
BATCHES = _counter("llm_observe.export.batches", "{batch}", "Batches that arrived.", _EXPORTER)
EXPORTING = _seconds("llm_observe.export.duration", "Time of an exporter's attempt to deliver a batch, failed ones included.", _EXPORTER)
SHED = _counter("llm_observe.records.shed", "{record}", "Records that had to leave their content behind.", ())
FAULTS = _counter("llm_observe.errors", "{error}", "Failures of our own.", ())
UNPRICED = _counter("llm_observe.calls.unpriced", "{call}", "Calls with tokens whose price is not known.", ())
HEALTH = (
    IN_FLIGHT, QUEUED, QUEUED_BYTES, PENDING, SPOOLED, SPOOLED_BYTES, EXPORTED, ADOPTED, DROPPED, FAILURES, BATCHES, EXPORTING, SHED,
    FAULTS, UNPRICED,
)  # fmt: skip
"""Our own: set from an observer's numbers, not from records."""

Names = Literal["current", "legacy", "both"]


def instruments(names: Names) -> tuple[Instrument, ...]:
    """All instruments under these names, each once."""
    chosen = {"current": CURRENT, "legacy": LEGACY, "both": CURRENT + LEGACY}[names]
    return tuple(dict.fromkeys((*chosen, *OWN, *HEALTH)))
