"""Models on Bedrock that continue a prompt: Titan, Llama, Mistral, Jurassic, Command, Claude's first, and those that nobody knows yet.

Each maker names the same few things in his own way, and none means another thing by the name of another. So all names are looked for in
any body, plain or streamed.
"""

from collections.abc import Sequence
from typing import Any

from llm_observe.records import CallRequest, Choice, Error, Exchange, Message, Usage
from llm_observe.wire.answer import Answer, Asked, error_of, text_parts, unread_reason, usage
from llm_observe.wire.jsonio import MALFORMED, Document, integer, items, load, mapping, number, text
from llm_observe.wire.media import blob, linked

_PROMPTS = ("prompt", "inputText", "inputPrompt", "inputs", "message")
_CONFIGS = ("textGenerationConfig", "inferenceConfig", "parameters")  # where parameters stand that do not stand at the top
_MOST_TOKENS = ("max_tokens", "maxTokens", "max_gen_len", "max_tokens_to_sample", "maxTokenCount", "max_new_tokens", "maxOutputTokens")
_STOPS = ("stop", "stop_sequences", "stopSequences", "end_sequences")
_SEVERAL = ("num_generations", "numResults", "n")

_CHOICES = ("results", "outputs", "generations", "completions", "choices")
_TEXTS = ("completion", "generation", "outputText", "text", "generated_text", "content", "message")
_REASONS = ("stop_reason", "completionReason", "finish_reason", "finishReason")
_INPUTS = ("prompt_token_count", "inputTextTokenCount", "prompt_tokens", "input_tokens", "inputTokens")
_OUTPUTS = ("generation_token_count", "totalOutputTextTokenCount", "completion_tokens", "output_tokens", "outputTokens")
_IDS = ("id", "response_id", "generation_id")


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request: the prompt is the one message, with the pictures beside it."""
    body = mapping(body)
    prompt = next((told for name in _PROMPTS if type(told := body.get(name)) is str), None)
    pictures = tuple(blob("image", image) for image in items(body.get("images")) if type(image) is str)
    parts = text_parts(prompt) + pictures + _source(mapping(body.get("mediaSource")))
    return Asked(
        request=parameters(body), messages=(Message(role="user", parts=parts),) if parts else (), count=None if prompt is None else 1
    )


def parameters(body: Document) -> CallRequest:
    """What was asked for, by whatever name."""
    told = dict(body)
    for config in _CONFIGS:
        told |= mapping(body.get(config))
    several = _first(told, *_SEVERAL)
    stops = next((value for name in _STOPS if (value := told.get(name))), ())
    return CallRequest(
        max_tokens=_first(told, *_MOST_TOKENS),
        temperature=number(told.get("temperature")),
        top_p=next((value for name in ("top_p", "topP", "p") if (value := number(told.get(name))) is not None), None),
        top_k=_first(told, "top_k", "topK", "topKReturn", "k"),
        stop_sequences=(stops,) if type(stops) is str else tuple(stop for stop in items(stops) if type(stop) is str),
        seed=_first(told, "seed"),
        choice=None if several is None or several == 1 else Choice(count=several),
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer."""
    whole = _whole(document)
    choices = _choices(whole)
    begun = any(_said(choice) is not None or _reason(choice) for choice in choices)
    return Answer(
        id=_id(whole),
        model=text(whole.get("model")),
        choices=tuple(("assistant", text_parts(_said(choice))) for choice in choices) if begun else (),
        reasons=tuple(map(_reason, choices)) if begun else (),
        usage=_usage(whole),
        error=error_of(whole),
    )


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream, each event with a piece of one of the texts: it ends where they have their reasons."""
    pieces: dict[int, list[str]] = {}
    reasons: dict[int, str | None] = {}
    whole: Document = {}
    error: Error | None = None
    unread = 0
    first_content: int | None = None
    for place, data in enumerate(events):
        event = load(data)
        if type(event) is not dict:
            unread += event is MALFORMED
            continue
        whole |= {name: value for name, value in event.items() if value is not None}
        error = error or error_of(event)
        for position, choice in enumerate(_choices(event)):
            index = integer(choice.get("index"))
            index = position if index is None else index
            said, reason = _said(choice), _reason(choice)
            if said is None and reason is None:
                continue
            pieces.setdefault(index, []).append(said or "")
            reasons[index] = reason or reasons.get(index)
            if said and first_content is None:
                first_content = place
    order = sorted(pieces)
    return Answer(
        id=_id(whole),
        model=text(whole.get("model")),
        choices=tuple(("assistant", text_parts("".join(pieces[index]))) for index in order),
        reasons=tuple(reasons[index] for index in order),
        usage=_usage(whole),
        error=error,
        complete=bool(order) and all(reasons[index] for index in order),
        reason=unread_reason(unread),
        first_content=first_content,
    )


def _source(media: Document) -> tuple[Any, ...]:
    """The film that TwelveLabs' models are asked about."""
    if uri := text(mapping(media.get("s3Location")).get("uri")):
        return (linked("video", uri),)
    return (blob("video", media["base64String"]),) if "base64String" in media else ()


def _whole(document: Any) -> Document:
    """The answer; those of endpoints of one's own may be a list."""
    return {"choices": document} if type(document) is list else mapping(document)


def _choices(document: Document) -> list[Document]:
    """The members that hold a text each, else the document itself."""
    for name in _CHOICES:
        if found := [choice for choice in items(document.get(name)) if type(choice) is dict]:
            return found
    return [document]


def _said(choice: Document) -> str | None:
    """The text of one, in one of the places that makers have for it; Jurassic's is a level deeper."""
    for holder in (choice, mapping(choice.get("data"))):
        for name in _TEXTS:
            told = holder.get(name)
            if type(told) is str:
                return told
            if type(told) is list:
                return "".join(text(mapping(piece).get("text")) or "" for piece in told)
    return None


def _reason(choice: Document) -> str | None:
    told = next((value for name in _REASONS if (value := choice.get(name))), None)
    return text(told) or text(mapping(told).get("reason"))


def _id(document: Document) -> str | None:
    """Jurassic's is a number."""
    told = next((value for name in _IDS if (value := document.get(name))), None)
    return str(told) if type(told) is int else text(told)


def _usage(document: Document) -> Usage:
    counts = {**document, **mapping(document.get("usage"))}
    each = [count for choice in items(document.get("results")) if (count := integer(mapping(choice).get("tokenCount"))) is not None]
    whole = _first(counts, *_OUTPUTS)
    return usage(input=_first(counts, *_INPUTS), output=sum(each) if whole is None and each else whole)


def _first(counts: Document, *names: str) -> int | None:
    return next((count for name in names if (count := integer(counts.get(name))) is not None), None)
