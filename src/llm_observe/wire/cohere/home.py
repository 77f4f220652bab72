"""Whether a request is Cohere's: ``/v1/chat`` and ``/v1/generate`` are paths that many an application has too.

At a host that serves Cohere's models the path says it. Elsewhere the body has to look like Cohere's, and for chat and generate, whose
bodies are anybody's, a header has to name Cohere besides: the client's or one that only its servers set.
"""

from typing import Any

from llm_observe.records import Exchange
from llm_observe.wire.jsonio import Document, text
from llm_observe.wire.provider import provider_of

_HOMES = frozenset({"cohere", "azure.ai.inference"})
_CLIENT = "cohere/"
_MARKS = ("x-endpoint-monthly-call-limit", "x-trial-endpoint-call-limit", "num_tokens", "num_chars")


def is_chat(body: Any, exchange: Exchange) -> bool:
    """The second version has a model and messages, the first one message and perhaps those before."""
    if type(body) is not dict:
        return _at_home(exchange)
    fits = type(body.get("message")) is str or (type(body.get("messages")) is list and text(body.get("model")) is not None)
    return _at_cohere(exchange) or (fits and (_at_home(exchange) or _is_marked(exchange)))


def is_generate(body: Any, exchange: Exchange) -> bool:
    """A prompt."""
    if type(body) is not dict:
        return _at_home(exchange)
    return _at_cohere(exchange) or (type(body.get("prompt")) is str and (_at_home(exchange) or _is_marked(exchange)))


def is_embed(body: Any, exchange: Exchange) -> bool:
    """A model and what it is to embed."""
    if type(body) is not dict:
        return _at_home(exchange)
    return _at_cohere(exchange) or (_names_model(body) and any(type(body.get(kind)) is list for kind in ("texts", "inputs", "images")))


def is_rerank(body: Any, exchange: Exchange) -> bool:
    """A query and documents: with Jina, Voyage AI, vLLM and others too."""
    if type(body) is not dict:
        return _at_home(exchange)
    asks = type(body.get("query")) is str and type(body.get("documents")) is list
    return _at_cohere(exchange) or (asks and _names_model(body))


def _at_home(exchange: Exchange) -> bool:
    return provider_of(exchange.host, exchange.port, exchange.path, home="").name in _HOMES


def _at_cohere(exchange: Exchange) -> bool:
    return provider_of(exchange.host, exchange.port, exchange.path, home="").name == "cohere"


def _is_marked(exchange: Exchange) -> bool:
    asking, answering = exchange.request_headers, exchange.response_headers
    if asking.get("x-fern-sdk-name") == "cohere" or asking.get("user-agent", "").startswith(_CLIENT):
        return True
    return any(mark in answering for mark in _MARKS)


def _names_model(body: Document) -> bool:
    return text(body.get("model")) is not None
