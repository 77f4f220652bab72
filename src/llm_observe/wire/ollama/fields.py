"""What Ollama's routes have in common: parameters, tokens, durations, pictures."""

from typing import Any

from llm_observe.records import AnyPart, CallRequest, ReasoningRequest, Usage
from llm_observe.wire.answer import usage
from llm_observe.wire.jsonio import Document, integer, items, mapping, number, text
from llm_observe.wire.media import blob, linked

_NANOSECONDS = 1e9


def request_of(body: Document) -> CallRequest:
    """What was asked for. The server streams unless it is told not to; it writes without limit where ``num_predict`` is negative."""
    options = mapping(body.get("options"))
    most, stop, level = integer(options.get("num_predict")), options.get("stop"), text(body.get("think"))
    return CallRequest(
        model=text(body.get("model")),
        stream=None if body.get("stream") is False or not body else True,
        max_tokens=most if most is not None and most >= 0 else None,
        temperature=number(options.get("temperature")),
        top_p=number(options.get("top_p")),
        top_k=integer(options.get("top_k")),
        frequency_penalty=number(options.get("frequency_penalty")),
        presence_penalty=number(options.get("presence_penalty")),
        stop_sequences=tuple(end for end in ([stop] if type(stop) is str else items(stop)) if type(end) is str),
        seed=integer(options.get("seed")),
        reasoning=ReasoningRequest(level=level) if level else None,
    )


def schema_of(body: Document) -> Any:
    """The JSON schema that the answer is to have."""
    return mapping(body.get("format")) or None


def output_type(body: Document) -> str | None:
    """The kind of answer asked for: ``json``, by that word or by a schema."""
    return "json" if body.get("format") == "json" or mapping(body.get("format")) else None


def pictures(holder: Document) -> tuple[AnyPart, ...]:
    """The pictures of a message or prompt: base64, whose kind nobody tells."""
    found = [data for data in items(holder.get("images")) if type(data) is str]
    return tuple(linked("image", data) if data[:5].lower() == "data:" else blob("image", data) for data in found)


def usage_of(document: Document) -> Usage:
    """The counts of the last line. A prompt that was found whole in the cache has none."""
    return usage(input=integer(document.get("prompt_eval_count")), output=integer(document.get("eval_count")))


def duration_of(document: Document) -> float | None:
    """The seconds that the server took itself, the loading of the model among them."""
    whole = number(document.get("total_duration"))
    return whole / _NANOSECONDS if whole is not None and whole >= 0 else None
