"""What there is to measure in a record."""

import pytest

from llm_observe.processors import instruments
from llm_observe.processors.instruments import CURRENT, HEALTH, LEGACY, OWN
from llm_observe.processors.measures import Bounds, measured
from llm_observe.records import Billed, CallRequest, CallResponse, InputTokens, Operation, Usage

COMMON = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "m",
    "gen_ai.response.model": "m-1",
    "server.address": "api.openai.com",
    "server.port": 443,
}
OWNED = {name: COMMON[name] for name in ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")}


def told(record, names="current") -> dict[str, list[tuple[float, dict]]]:
    """The measurements, by instrument."""
    found: dict[str, list[tuple[float, dict]]] = {}
    for one in measured(record, Bounds(), names):
        found.setdefault(one.instrument.name, []).append((one.value, one.attributes))
    return found


def test_a_calls_time_is_measured(call):
    """Whole, to its first chunk, from chunk to chunk, to its first content; and the provider's own."""
    found = told(call())

    assert [(1.5, COMMON)] == found["gen_ai.client.inference.duration"]
    assert [(0.25, COMMON)] == found["gen_ai.client.inference.time_to_first_chunk"]
    assert [(0.0, COMMON), (0.03, COMMON)] == found["gen_ai.client.inference.time_per_output_chunk"]
    assert [(0.5, OWNED)] == found["llm_observe.time_to_first_content"]
    assert [(0.75, OWNED)] == found["llm_observe.processing_time"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("input_tokens", {"text": 70, "image": 20, "unknown": 10}),
        ("output_tokens", {"text": 40}),
        ("cache_read.input_tokens", {"unknown": 60}),
        ("reasoning.output_tokens", {"unknown": 30}),
    ],
)
def test_tokens_are_counted_by_modality(call, name, expected):
    """What is not told apart is unknown, and the parts add up to the whole."""
    found = told(call())[f"gen_ai.client.inference.usage.{name}"]

    assert expected == {attributes["gen_ai.token.modality"]: value for value, attributes in found}


def test_tokens_of_one_call_are_a_histogram_too(call):
    """Without modality, as the convention has it."""
    found = told(call())

    assert [(100, COMMON)] == found["gen_ai.client.inference.operation.input_tokens"]
    assert [(40, COMMON)] == found["gen_ai.client.inference.operation.output_tokens"]


def test_zero_of_a_part_is_not_counted(call):
    """Providers write zeros for the caches they did not use."""
    assert "gen_ai.client.inference.usage.cache_write.input_tokens" not in told(call())


def test_a_failed_call_used_nothing(failed):
    """It has its time and its error, and counts no tokens: zero, as the convention asks."""
    found = told(failed)
    common = {name: value for name, value in COMMON.items() if name != "gen_ai.response.model"}

    assert [(1.5, {**common, "error.type": "boom"})] == found["gen_ai.client.inference.duration"]
    assert [(0, {**common, "error.type": "boom"})] == found["gen_ai.client.inference.operation.input_tokens"]
    assert [(0, {**common, "gen_ai.token.modality": "unknown"})] == found["gen_ai.client.inference.usage.input_tokens"]
    assert [(1, {**OWNED, "error.type": "boom", "llm_observe.status": "error"})] == found["llm_observe.calls"]


def test_what_a_cut_stream_used_nobody_knows(call):
    """Unknown is not zero."""
    found = told(call(status="truncated", usage=Usage()))

    assert not [name for name in found if "tokens" in name]


def test_an_answer_without_a_count_is_zero_and_told(call):
    """Zero as the convention asks; how often spend is understated is a counter of ours. So is a stream that was cut."""
    found = told(call(usage=Usage(), response=CallResponse(model="m-1")))

    assert [(0, COMMON)] == found["gen_ai.client.inference.operation.output_tokens"]
    assert [(0, {**COMMON, "gen_ai.token.modality": "unknown"})] == found["gen_ai.client.inference.usage.output_tokens"]
    assert [(1, OWNED)] == found["llm_observe.calls.uncounted"]
    assert [(1, OWNED)] == told(call(status="cancelled", usage=Usage()))["llm_observe.calls.uncounted"]


def test_who_fails_or_counts_is_not_told_to_count_nothing(call, failed):
    """Nor what uses no tokens."""
    for record in (call(), failed, call("rerank", usage=Usage())):
        assert "llm_observe.calls.uncounted" not in told(record)


@pytest.mark.parametrize("names", ["current", "legacy"])
def test_tokens_are_those_that_are_paid_for(call, names):
    """Where a provider counts those apart."""
    usage = Usage(input_tokens=500, output_tokens=40, billed=Billed(input_tokens=7, output_tokens=3))
    found = told(call(usage=usage), names)
    metrics = {
        "current": ("gen_ai.client.inference.operation.input_tokens", "gen_ai.client.inference.operation.output_tokens"),
        "legacy": ("gen_ai.client.token.usage",),
    }[names]

    assert [7, 3] == [value for name in metrics for value, _ in found[name]]


def test_attempts_and_retries_are_counted(call):
    """Each attempt by its status, the second and later ones as retries."""
    found = told(call())

    assert [
        (1, {**OWNED, "http.response.status_code": 429, "error.type": "rate_limit_exceeded"}),
        (1, {**OWNED, "http.response.status_code": 200}),
    ] == found["llm_observe.attempts"]
    assert [(1, OWNED)] == found["llm_observe.retries"]


def test_cost_is_counted_by_its_kind(call):
    """Input and output add up to the total."""
    assert [(0.5, {**OWNED, "llm_observe.cost.kind": "input"}), (0.25, {**OWNED, "llm_observe.cost.kind": "output"})] == told(call())[
        "llm_observe.cost"
    ]


def test_what_is_left_of_a_limit_is_shown(call):
    """Where the provider says so."""
    assert [(7, {**OWNED, "llm_observe.limit": "tokens"})] == told(call())["llm_observe.rate_limit.remaining"]


def test_embeddings_have_instruments_of_their_own(call):
    """And no output."""
    found = told(call("embeddings", usage=Usage(input_tokens=9), response=CallResponse(model="m-1")))
    common = COMMON | {"gen_ai.operation.name": "embeddings"}

    assert [(1.5, common)] == found["gen_ai.client.embeddings.duration"]
    assert [(9, common)] == found["gen_ai.client.embeddings.operation.input_tokens"]
    assert not [name for name in found if "inference" in name]


def test_what_is_no_inference_has_the_general_name(call):
    """To rerank, to fetch an answer."""
    found = told(call("rerank", response=CallResponse()))

    assert 1.5 == found["gen_ai.client.operation.duration"][0][0]
    assert not [name for name in found if "inference" in name]


def test_the_earlier_names(call):
    """For dashboards that know no others."""
    found = told(call(), "legacy")

    assert [(1.5, COMMON)] == found["gen_ai.client.operation.duration"]
    assert [(0.25, COMMON)] == found["gen_ai.client.operation.time_to_first_chunk"]
    assert [0.0, 0.03] == [value for value, _ in found["gen_ai.client.operation.time_per_output_chunk"]]
    assert [(100, {**COMMON, "gen_ai.token.type": "input"}), (40, {**COMMON, "gen_ai.token.type": "output"})] == found[
        "gen_ai.client.token.usage"
    ]
    assert not [name for name in found if "inference" in name]


@pytest.mark.parametrize("operation", ["chat", "embeddings", "rerank"])
def test_both_names_count_nothing_twice_under_one_name(call, operation):
    """The one name that both have stands for less now than before."""
    found = told(call(operation), "both")

    assert set(told(call(operation))) | set(told(call(operation), "legacy")) == set(found)
    assert 1 == len(found["gen_ai.client.operation.duration"])


def test_a_request_is_measured_by_its_route(request_record):
    """Its time, its calls, the time in which a model ran; never by its path."""
    found = told(request_record)
    place = {"http.request.method": "POST", "http.route": "/chat/{id}"}

    assert {
        "llm_observe.request.duration": [(2.0, {**place, "http.response.status_code": 200})],
        "llm_observe.request.calls": [(2, place)],
        "llm_observe.request.time_in_models": [(0.5, place)],
    } == found


def test_models_beyond_the_first_hundred_are_one(call):
    """What a user can choose makes no series without end."""
    bounds = Bounds()
    models = [
        one.attributes["gen_ai.request.model"]
        for n in range(150)
        for one in measured(call(request=CallRequest(model=f"m{n}")), bounds)
        if one.instrument.name == "gen_ai.client.inference.duration"
    ]

    assert [f"m{n}" for n in range(100)] + ["other"] * 50 == models


@pytest.mark.parametrize("names", ["current", "legacy", "both"])
def test_a_measurement_has_no_attribute_that_its_instrument_does_not_know(call, failed, request_record, names):
    """Backends make their columns from the instrument."""
    for record in (call(), call("embeddings"), call("rerank"), failed, request_record):
        for one in measured(record, Bounds(), names):
            assert one.instrument in instruments.instruments(names)
            assert set(one.attributes) <= set(one.instrument.attributes)


def test_no_instrument_knows_a_user():
    """Nor a session, nor an id."""
    every = {name for one in (*CURRENT, *LEGACY, *OWN, *HEALTH) for name in one.attributes}

    assert set() == {name for name in every if {"user", "session", "id", "prompt", "key"} & set(name.split("."))}


def test_parts_that_do_not_fit_are_not_believed(call):
    """More of one kind than there is in all."""
    usage = Usage(input_tokens=10, cache_read=InputTokens(input_tokens=3), text=call().usage.text)
    found = told(call(operation=Operation(name="chat").name, usage=usage))["gen_ai.client.inference.usage.input_tokens"]

    assert [(10, "unknown")] == [(value, attributes["gen_ai.token.modality"]) for value, attributes in found]
