"""The families of models that InvokeModel passes bodies to, each in its own native format: a row a family.

Which one it is shows in the body, in the answer's as well as in the request's, for the model may be an ARN or a profile that says
nothing. The model's id tells where there is no body, or where two families take the same.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from llm_observe.records import Exchange
from llm_observe.wire.answer import Answer, Asked
from llm_observe.wire.anthropic import messages
from llm_observe.wire.bedrock import chats, converse, pictures, texts, vectors
from llm_observe.wire.bedrock.fold import EVENTS
from llm_observe.wire.bedrock.home import is_converse_like, model_of
from llm_observe.wire.cohere import chat as command
from llm_observe.wire.cohere import embed, rerank
from llm_observe.wire.jsonio import Document, items, load, mapping
from llm_observe.wire.openai import chat

_EMBEDDED = frozenset({"normalize", "dimensions", "embeddingTypes", "embeddingConfig", "inputImage"})  # of Titan's and Marengo's
_DRAWN = frozenset({"text_prompts", "aspect_ratio", "output_format", "imageGenerationConfig", "search_prompt", "select_prompt"})
_VECTORS = frozenset({"embedding", "embeddings", "embeddingsByType"})
_FEW = 4  # events: one of these tells


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One family: how its bodies are known, and who reads them."""

    operation: str
    models: re.Pattern[str]  # in the ids of its models
    asks: Callable[[Document], bool]  # whether a request is of it
    says: Callable[[Document], bool]  # whether a plain answer is
    streams: Callable[[Document], bool] = lambda _: False  # whether an event of a stream is
    asked: Callable[[Any, Exchange], Asked]
    answered: Callable[[Any, Exchange], Answer]
    streamed: Callable[[Sequence[bytes], Exchange], Answer] = texts.streamed


def _first(document: Document, name: str) -> Document:
    return mapping(next(iter(items(document.get(name))), None))


CLAUDE = Family(
    operation="chat",
    models=re.compile(r"claude-(?!instant|v[12]\b)"),
    asks=lambda body: "messages" in body and "anthropic_version" in body,
    says=lambda document: document.get("type") == "message" or ("content" in document and "stop_sequence" in document),
    streams=lambda event: str(event.get("type")).startswith(("message_", "content_block_")),
    asked=messages.asked,
    answered=messages.answered,
    streamed=messages.streamed,
)
NOVA = Family(
    operation="chat",
    models=re.compile(r"nova-(?!canvas|reel|sonic|.*embed)"),
    asks=lambda body: "messages" in body and is_converse_like(body),
    says=lambda document: "message" in mapping(document.get("output")),
    streams=lambda event: not EVENTS.isdisjoint(event),
    asked=converse.asked,
    answered=converse.answered,
    streamed=converse.streamed,
)
RERANK = Family(
    operation="rerank",  # the convention has no word for it
    models=re.compile("rerank"),
    asks=lambda body: "query" in body and "documents" in body,
    says=lambda document: "relevance_score" in _first(document, "results"),
    asked=rerank.asked,
    answered=rerank.answered,
)
COHERE_EMBED = Family(
    operation="embeddings",
    models=re.compile(r"cohere\.embed"),
    asks=lambda body: "input_type" in body and not {"texts", "images", "inputs"}.isdisjoint(body),
    says=lambda document: "embeddings" in document and "embedding" not in _first(document, "embeddings"),
    asked=embed.asked,
    answered=embed.answered,
)
EMBED = Family(
    operation="embeddings",
    models=re.compile("embed"),
    asks=lambda body: str(body.get("taskType")).endswith("EMBEDDING") or not _EMBEDDED.isdisjoint(body),
    says=lambda document: not _VECTORS.isdisjoint(document) or "embedding" in _first(document, "data"),
    asked=vectors.asked,
    answered=vectors.answered,
)
PICTURES = Family(
    operation="generate_content",
    models=re.compile("stability|canvas|titan-image"),
    asks=lambda body: not _DRAWN.isdisjoint(body) or any(name.endswith("Params") for name in body),
    says=lambda document: not {"images", "artifacts"}.isdisjoint(document),
    asked=pictures.asked,
    answered=pictures.answered,
)
COMMAND = Family(  # R and later
    operation="chat",
    models=re.compile(r"command-[ra]\b"),
    asks=lambda body: "message" in body,
    says=lambda document: "chat_history" in document or "generation_id" in document or type(document.get("message")) is dict,
    streams=lambda event: "event_type" in event or "-" in str(event.get("type")),
    asked=command.asked,
    answered=command.answered,
    streamed=command.streamed,
)
CHATS = Family(  # of OpenAI's kind
    operation="chat",
    models=re.compile(r"jamba|openai\.|qwen\.|palmyra|mistral-(?:large|small)|pixtral|magistral"),
    asks=lambda body: "messages" in body,
    says=lambda document: "choices" in document,
    streams=lambda event: "choices" in event,
    asked=chat.asked,
    answered=chats.answered,
    streamed=chats.streamed,
)
TEXTS = Family(  # all that is none of the others
    operation="text_completion",
    models=re.compile(r"titan-t|llama|mistral-7b|mixtral|command-(?:text|light)|\.j2-|claude-(?:instant|v[12]\b)"),
    asks=lambda _: True,
    says=lambda _: True,
    asked=texts.asked,
    answered=texts.answered,
)
FAMILIES = (CLAUDE, NOVA, RERANK, COHERE_EMBED, EMBED, PICTURES, COMMAND, CHATS, TEXTS)
"""Looked through from the first to the last."""


def asking(body: Any, exchange: Exchange) -> Family | None:
    """The family that a request is of; nothing where neither a body nor the model's id tells."""
    model = model_of(exchange) or ""
    if type(body) is not dict:
        return next((family for family in FAMILIES if family.models.search(model)), None)
    family = next(family for family in FAMILIES if family.asks(body))
    if family is TEXTS and (EMBED.models.search(model) or ("inputText" in body and _answers_with_vectors(exchange))):
        return EMBED  # Titan's body is the same for both
    return CLAUDE if "messages" in body and CLAUDE.models.search(model) else family


def saying(document: Any) -> Family:
    """The family that a plain answer is of."""
    document = mapping(document)
    return next(family for family in FAMILIES if family.says(document))


def streaming(events: Sequence[bytes]) -> Family:
    """The family that the events of a stream are of."""
    first = [event for event in map(load, events[:_FEW]) if type(event) is dict]
    return next((family for family in FAMILIES if any(map(family.streams, first))), TEXTS)


def _answers_with_vectors(exchange: Exchange) -> bool:
    return b'"embedding' in b"".join(exchange.chunks[:1])[:64]
