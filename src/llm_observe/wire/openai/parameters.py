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
    if _RARE.isdisjoint(body) and (model := text(body.get("model"))):
        return CallRequest(
            model=model,
            stream=True if body.get("stream") is True else None,
            max_tokens=integer(body.get("max_tokens")),
            temperature=number(body.get("temperature")),
        )
    previous = text(body.get("previous_response_id"))
    level = text(body.get("reasoning_effort")) or text(mapping(body.get("reasoning")).get("effort"))
    return CallRequest(
        model=text(body.get("model")) or text(body.get("agent_id")) or deployment(exchange.path),
        stream=True if body.get("stream") is True else None,
        max_tokens=_first(body, "max_completion_tokens", "max_tokens", "max_output_tokens"),
        temperature=number(body.get("temperature")),
        top_p=number(body.get("top_p")),
        top_k=integer(body.get("top_k")),
        frequency_penalty=number(body.get("frequency_penalty")),
        presence_penalty=number(body.get("presence_penalty")),
        stop_sequences=_stop(body.get("stop")),
        seed=_first(body, "seed", "random_seed"),
        choice=None if (n := integer(body.get("n"))) is None or n == 1 else Choice(count=n),
        reasoning=ReasoningRequest(level=level) if level else None,
        service_tier=text(body.get("service_tier")),
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
