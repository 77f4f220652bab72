"""The parameters of a request of the OpenAI kind, under the convention's names."""

from typing import Any

from llm_observe.records import CallRequest, Choice, Exchange, PreviousResponse, ReasoningRequest
from llm_observe.wire.jsonio import Document, integer, items, mapping, number, text

_RARE = frozenset(  # what is looked for beside model, stream, max_tokens and temperature
    {"previous_response_id", "reasoning_effort", "reasoning", "max_completion_tokens", "max_output_tokens", "top_p", "top_k"}
    | {"frequency_penalty", "presence_penalty", "stop", "seed", "random_seed", "n", "service_tier"}
)


def call_request(body: Document, exchange: Exchange) -> CallRequest:
    """What was asked for. Each name means the same wherever it is met, so all are looked for in any request."""
    model = text(body.get("model"))
    stream = True if body.get("stream") is True else None
    temperature = number(body["temperature"]) if "temperature" in body else None
    if model and _RARE.isdisjoint(body):
        return CallRequest(
            model=model, stream=stream, max_tokens=integer(body["max_tokens"]) if "max_tokens" in body else None, temperature=temperature
        )
    previous = text(body["previous_response_id"]) if "previous_response_id" in body else None
    level = None
    if "reasoning_effort" in body or "reasoning" in body:
        level = text(body.get("reasoning_effort")) or text(mapping(body.get("reasoning")).get("effort"))
    return CallRequest(
        model=model or text(body.get("agent_id")) or deployment(exchange.path),
        stream=stream,
        max_tokens=_first(body, "max_completion_tokens", "max_tokens", "max_output_tokens"),
        temperature=temperature,
        top_p=number(body["top_p"]) if "top_p" in body else None,
        top_k=integer(body["top_k"]) if "top_k" in body else None,
        frequency_penalty=number(body["frequency_penalty"]) if "frequency_penalty" in body else None,
        presence_penalty=number(body["presence_penalty"]) if "presence_penalty" in body else None,
        stop_sequences=_stop(body["stop"]) if "stop" in body else (),
        seed=_first(body, "seed", "random_seed"),
        choice=None if (n := integer(body.get("n"))) is None or n == 1 else Choice(count=n),
        reasoning=ReasoningRequest(level=level) if level else None,
        service_tier=text(body["service_tier"]) if "service_tier" in body else None,
        previous_response=PreviousResponse(id=previous) if previous else None,
    )


def deployment(path: str) -> str | None:
    """Azure's classic path names the model: ``/openai/deployments/{deployment}/chat/completions``."""
    rest = path.partition("/deployments/")[2]
    return rest.partition("/")[0] or None


def output_form(form: Document) -> tuple[str | None, Any]:
    """The output type that a format names, and the schema: beside it, or under ``json_schema``."""
    kind = text(form.get("type")) or ""
    schema = mapping(form.get("json_schema")).get("schema") or form.get("schema")
    return ("json" if kind.startswith("json") else "text" if kind == "text" else None), schema if type(schema) is dict else None


def _first(body: Document, *names: str) -> int | None:
    for name in names:
        if name in body and (value := integer(body[name])) is not None:
            return value
    return None


def _stop(value: Any) -> tuple[str, ...]:
    return (value,) if type(value) is str else tuple(stop for stop in items(value) if type(stop) is str)
