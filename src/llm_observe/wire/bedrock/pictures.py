"""Models on Bedrock that draw: Titan, Nova Canvas, Stability. What was asked for in words, and of each picture its size and hash."""

from typing import Any

from llm_observe.records import AnyPart, CallRequest, Choice, Error, Exchange, Message
from llm_observe.wire.answer import UNKNOWN_ERROR, Answer, Asked, error_of, text_parts
from llm_observe.wire.jsonio import Document, integer, items, mapping, text
from llm_observe.wire.media import blob

_WORDS = ("text", "prompt", "negativeText", "negative_prompt", "search_prompt", "select_prompt")
_GIVEN = ("image", "init_image", "mask", "mask_image", "maskImage", "conditionImage", "reference_image")


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request: all words and pictures in one message."""
    body = mapping(body)
    holders = [
        body,
        *(mapping(value) for name, value in body.items() if name.endswith("Params")),
        *map(mapping, items(body.get("text_prompts"))),
    ]
    config = mapping(body.get("imageGenerationConfig"))
    several = integer(config.get("numberOfImages"))
    parts = tuple(part for holder in holders for part in _parts(holder))
    return Asked(
        request=CallRequest(
            seed=integer({**body, **config}.get("seed")), choice=None if several is None or several == 1 else Choice(count=several)
        ),
        messages=(Message(role="user", parts=parts),) if parts else (),
        count=1 if parts else None,
        output_type="image",
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """The answer: the pictures, each with its reason where there is one."""
    document = mapping(document)
    artifacts = [mapping(artifact) for artifact in items(document.get("artifacts"))]
    drawn = [artifact.get("base64") for artifact in artifacts] or items(document.get("images"))
    reasons = [artifact.get("finishReason") for artifact in artifacts] or items(document.get("finish_reasons"))
    parts = tuple(blob("image", image) for image in drawn if type(image) is str)
    message = text(document.get("error"))  # of Titan's, beside pictures that a filter took away
    return Answer(
        choices=(("assistant", parts),) if parts else (),
        reasons=tuple(reason for reason in map(text, reasons) if reason)[:1],
        error=Error(type=UNKNOWN_ERROR, message=message) if message else error_of(document),
    )


def _parts(holder: Document) -> tuple[AnyPart, ...]:
    words = tuple(part for name in _WORDS for part in text_parts(holder.get(name)))
    given = [image for name in _GIVEN for image in (holder.get(name), *items(holder.get("images") if name == "image" else None))]
    return words + tuple(blob("image", image) for image in given if type(image) is str)
