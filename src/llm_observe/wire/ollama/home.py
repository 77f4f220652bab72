"""Whether a request is Ollama's: ``/api/chat`` is the path of many an application's own.

At Ollama's port or host the path says it, and a client that calls itself Ollama's does. Elsewhere (Ollama behind a proxy) the request has
to look like one, and the answer too: every line of it says whether it is ``done``.
"""

from typing import Any

from llm_observe.records import Exchange
from llm_observe.wire.body import body_of
from llm_observe.wire.jsonio import Document, load, mapping, text
from llm_observe.wire.provider import provider_of

_CLIENTS = ("ollama-python/", "ollama-js/")


def is_chat(body: Any, exchange: Exchange) -> bool:
    """A model and messages."""
    return _at_home(exchange) or (_names_model(body) and type(body.get("messages")) is list and "done" in _answer(exchange))


def is_generate(body: Any, exchange: Exchange) -> bool:
    """A model and a prompt."""
    return _at_home(exchange) or (_names_model(body) and type(body.get("prompt")) is str and "done" in _answer(exchange))


def is_embed(body: Any, exchange: Exchange) -> bool:
    """A model and an input, or a prompt in the older way; what is answered is not ever ``done``, but has its own name."""
    if _at_home(exchange):
        return True
    if not _names_model(body):
        return False
    if type(body.get("prompt")) is str:
        return "embedding" in _answer(exchange)
    return "input" in body and {"embeddings", "total_duration"} <= _answer(exchange).keys()


def _at_home(exchange: Exchange) -> bool:
    if provider_of(exchange.host, exchange.port, exchange.path, home="").name == "ollama":
        return True
    return exchange.request_headers.get("user-agent", "").startswith(_CLIENTS)


def _names_model(body: Any) -> bool:
    return type(body) is dict and text(body.get("model")) is not None


def _answer(exchange: Exchange) -> Document:
    """The answer, or its first line."""
    body = body_of(exchange)
    return mapping(load(body.events[0]) if body.events else body.document)
