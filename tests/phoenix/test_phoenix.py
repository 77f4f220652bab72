"""What a real Phoenix has of our requests, steps and calls, as its own client reads it, is what the record files have."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

SDKS = ["openai", "anthropic"]
WAYS = ["plain", "streamed", "blocking"]
KINDS = {"request": "CHAIN", "step": "CHAIN", "call": "LLM"}


def usage(call):
    """The token counts of a record, as Phoenix names them."""
    found = call.get("usage", {})
    total = found["input_tokens"] + found["output_tokens"] if {"input_tokens", "output_tokens"} <= found.keys() else None
    return {
        "prompt": found.get("input_tokens"),
        "completion": found.get("output_tokens"),
        "total": total,
        "prompt_details.cache_read": found.get("cache_read", {}).get("input_tokens"),
        "prompt_details.cache_write": found.get("cache_write", {}).get("input_tokens"),
        "completion_details.reasoning": found.get("reasoning", {}).get("output_tokens"),
    }


def below(attributes, name):
    """The *attributes* whose names begin so, by the rest of their names."""
    return {key.removeprefix(name): value for key, value in attributes.items() if key.startswith(name)}


def listed(attributes, name):
    """The numbered groups of *attributes* below *name*, in order."""
    found = {}
    for key, value in below(attributes, name + ".").items():
        number, _, rest = key.partition(".")
        found.setdefault(int(number), {})[rest] = value
    assert list(range(len(found))) == sorted(found)
    return [found[number] for number in sorted(found)]


def shown(attributes, name):
    """The messages that Phoenix has: who speaks, what is said, which tools are called with what."""
    found = []
    for message in listed(attributes, name):
        said = below(message, "message.")
        texts = [said["content"]] if "content" in said else [part["message_content.text"] for part in listed(said, "contents")]
        tools = [below(tool, "tool_call.function.") for tool in listed(said, "tool_calls")]
        found.append((said["role"], texts, [(tool["name"], json.loads(tool["arguments"])) for tool in tools]))
    return found


def recorded(messages):
    """The same out of a record's."""
    found = []
    for message in messages:
        texts = [part["content"] for part in message["parts"] if part["type"] in {"text", "reasoning", "refusal"}]
        tools = [(part["name"], part["arguments"]) for part in message["parts"] if part["type"] == "tool_call"]
        found.append((message["role"], texts, tools))
    return found


def asked(call):
    """The messages of a request, the instructions for the whole of it first."""
    instructions = call.get("system_instructions", [])
    first = [{"role": "system", "parts": instructions}] if instructions else []
    return first + call["input"]["messages"]


def test_every_record_is_a_span(told):
    """With its ids and its parent; and what is more are the attempts of calls that were retried, below them."""
    attempts = Counter(record["span_id"] for record in told.calls for _ in record["attempts"] if len(record["attempts"]) > 1)
    others = [span for span_id, span in told.spans.items() if span_id not in told.records]

    assert {(record["trace_id"], span_id): record.get("parent_id") for span_id, record in told.records.items()} == {
        (span["context"]["trace_id"], span_id): span["parent_id"] for span_id, span in told.spans.items() if span_id in told.records
    }
    assert 2 * (len(SDKS) * len(WAYS) + 2) == attempts.total()
    assert attempts == Counter(span["parent_id"] for span in others)
    assert {("POST", "CHAIN")} == {(span["name"], span["span_kind"]) for span in others}


def test_spans_have_the_times_of_their_records(told):
    """To the microsecond."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)

    def microseconds(text):
        return (datetime.fromisoformat(text) - epoch) // timedelta(microseconds=1)

    for span_id, record in told.records.items():
        span = told.spans[span_id]
        began = microseconds(record["started_at"])
        assert began == microseconds(span["start_time"])
        assert began + record["duration"] * 1e6 == pytest.approx(microseconds(span["end_time"]), abs=1.5)


def test_spans_are_what_their_records_are(told):
    """A chain, a model's call, or what a step says of itself; named as the record is."""
    expected = {
        span_id: (record.get("attributes", {}).get("openinference.span.kind", KINDS[record["kind"]]), record["name"])
        for span_id, record in told.records.items()
    }

    assert {"CHAIN", "LLM", "RETRIEVER"} == {kind for kind, _ in expected.values()}
    assert expected == {span_id: (told.spans[span_id]["span_kind"], told.spans[span_id]["name"]) for span_id in expected}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sdk", SDKS)
def test_a_call_is_below_its_step_and_that_below_the_request(told, sdk, way):
    """Whichever SDK was asked, and in which way."""
    for model in told.models:
        trace_id = told.on(f"/{way}/{sdk}/{model}")["trace_id"]
        spans = {span_id: span for span_id, span in told.spans.items() if span["context"]["trace_id"] == trace_id}
        request = f"GET /{way}/{{sdk}}/{{model}}"
        attempts = [("POST", f"chat {model}")] * 2 if "flaky" in model else []

        assert sorted([(request, ""), ("answer", request), ("find", "answer"), (f"chat {model}", "answer"), *attempts]) == sorted(
            (span["name"], spans[span["parent_id"]]["name"] if span["parent_id"] else "") for span in spans.values()
        )


def test_models_and_who_served_them(told):
    """The one that was asked for and the one that answered."""
    assert {(sdk, model) for sdk in SDKS for model in told.models} <= {
        (call["provider"]["name"], call["request"]["model"]) for call in told.calls
    }
    for call in told.calls:
        there = told.of(call)
        served = call.get("response", {}).get("model")
        expected = (served or call["request"]["model"], call["request"]["model"], served, call["provider"]["name"])
        assert expected == tuple(
            there.get(name) for name in ("llm.model_name", "llm.request.model_name", "llm.response.model_name", "llm.provider")
        )


def test_tokens(told):
    """Of every kind."""
    for kind in usage({}):
        assert any(usage(call)[kind] for call in told.calls)
    for call in told.calls:
        assert {kind: count for kind, count in usage(call).items() if count is not None} == below(told.of(call), "llm.token_count.")


def test_costs(told):
    """Of the prompt, the completion and the whole, in the record's own figures; and the request's sum."""
    for call in told.calls:
        cost = call.get("cost", {})
        expected = {"prompt": cost.get("input"), "completion": cost.get("output"), "total": cost.get("total")}
        assert ("usage" in call and bool(call["usage"])) == bool(cost)
        assert {part: value for part, value in expected.items() if value is not None} == {
            part: value for part, value in below(told.of(call), "llm.cost.").items() if "_details" not in part
        }
    for path in told.paths:
        request = told.on(path)
        assert request["calls"]["cost"]["total"] == told.of(request)["llm_observe.calls.cost.total"] > 0


def test_messages(told):
    """What was asked and what was answered, thoughts and calls of tools too."""
    assert {"assistant"} == {role for call in told.calls for role, *_ in recorded(call.get("output", {}).get("messages", []))}
    for call in told.calls:
        there = told.of(call)
        assert recorded(asked(call)) == shown(there, "llm.input_messages")
        assert recorded(call.get("output", {}).get("messages", [])) == shown(there, "llm.output_messages")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sdk", SDKS)
def test_a_conversation_in_full(told, sdk, way):
    """The words themselves, beside what the files say."""
    path = f"/{way}/{sdk}/fake-tools"
    (call,) = [call for call in told.calls if call["request_id"] == told.on(path)["request_id"]]
    there = told.of(call)

    assert [("system", ["Be brief."], []), ("user", ["What is the weather in Bern?"], [])] == shown(there, "llm.input_messages")
    assert [("assistant", [], [("get_weather", {"city": "example"})])] == shown(there, "llm.output_messages")
    (tool,) = listed(there, "llm.tools")
    assert ("get_weather", "Looks outside.") == (tool["tool.name"], tool["tool.description"])
    assert "city" in json.loads(tool["tool.json_schema"])["function"]["parameters"]["properties"]
    assert {"max_tokens": 100} | ({"stream": True} if way == "streamed" else {}) == json.loads(there["llm.invocation_parameters"])


def test_what_failed_says_so(told):
    """In the status, with the error's words, and as an exception."""
    failed = [record for record in told.records.values() if "error" in record]
    assert {"call", "request"} == {record["kind"] for record in failed}
    for record in told.records.values():
        span = told.spans[record["span_id"]]
        error = record.get("error")
        assert (
            ("ERROR", error.get("message", "")) == (span["status_code"], span["status_message"])
            if error
            else "UNSET" == span["status_code"]
        )
        assert ([error["type"]] if error else []) == [event["attributes"]["exception.type"] for event in span["events"]]


def test_users_sessions_and_tags(told):
    """On the request and on what is in it."""
    request = told.on("/plain/openai/fake-echo")
    inside = [record for record in told.records.values() if record.get("request_id") == request["request_id"]]

    assert ["call", "request", "step", "step"] == sorted(record["kind"] for record in inside)
    for record in inside:
        there = told.of(record)
        assert ("u-1", "s-1", {"tier": "free"}) == (there["user.id"], there["session.id"], below(there, "metadata."))
