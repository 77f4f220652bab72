"""Inputs that are no messages: the prompts of completions, the inputs of embeddings. Each may be a string, token ids, or a list of either."""

from typing import Any

from llm_observe.records import AnyPart, Message, Text
from llm_observe.wire.jsonio import Document, integer, items, mapping, text
from llm_observe.wire.openai.content import content_parts


def count_of(value: Any) -> int | None:
    """How many there are: a list of numbers is one of token ids."""
    if type(value) is list:
        return 1 if value and integer(value[0]) is not None else len(value)
    return None if value is None else 1


def messages_of(value: Any) -> tuple[Message, ...]:
    """Each input that is text (or has parts) as the user's message. Token ids say nothing."""
    inputs = value if type(value) is list else [value]
    return tuple(Message(role="user", parts=parts) for given in inputs if (parts := _parts(given)))


def _parts(given: Any) -> tuple[AnyPart, ...]:
    if type(given) is str:
        return (Text(content=given),) if given else ()
    if type(given) is dict:
        return content_parts(_content(given))
    return ()


def _content(given: Document) -> list[Any]:
    """The parts of one: under ``content``, or it is one itself; Jina writes ``{"image": address or base64}``."""
    if type(given.get("content")) is list:
        return items(given["content"])
    if (image := text(given.get("image"))) is not None:
        is_address = image.startswith(("http://", "https://", "data:"))
        return [{"type": "image_url", "image_url": image if is_address else f"data:;base64,{image}"}]
    return [mapping(given)]
