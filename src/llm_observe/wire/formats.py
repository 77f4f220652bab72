"""The table of wire formats: one row a format. A new one is a row here and a file beside.

Which format an exchange has is read from its path, never from its host: one host serves several formats, and one format is served
by many hosts. Where a path is one that applications use too, the body has to agree.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from llm_observe.records import Exchange
from llm_observe.wire import anthropic_messages, openai_chat
from llm_observe.wire.answer import Answer, Asked
from llm_observe.wire.encoding import Chain
from llm_observe.wire.jsonio import MALFORMED, load
from llm_observe.wire.provider import provider_of


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One wire format: where it is met and who reads it."""

    name: str
    operation: str
    home: str  # the provider the format comes from
    paths: tuple[str, ...]  # what the path ends in
    asked: Callable[[Any, str], Asked]  # request document and path
    answered: Callable[[Any], Answer]  # response document
    streamed: Callable[[Sequence[bytes]], Answer]  # data of the events
    agrees: Callable[[Any, Exchange], bool] | None = None  # whether the body fits, where the path alone does not tell
    dialects: Mapping[str, str] = {}  # provider: the name its own brand of the format goes by


def _is_messages_call(body: Any, exchange: Exchange) -> bool:
    """Chat applications and messengers have a ``/messages`` of their own: look for a model in the body, else at the address."""
    if type(body) is dict:
        return type(body.get("model")) is str and type(body.get("messages")) is list
    if "anthropic-version" in exchange.request_headers:
        return True
    return exchange.path.endswith("/v1/messages") and not _provider_guessed(exchange)


def _is_raw_predict(body: Any, exchange: Exchange) -> bool:
    return "/publishers/anthropic/models/" in exchange.path and "/count-tokens:" not in exchange.path


def _provider_guessed(exchange: Exchange) -> bool:
    return provider_of(exchange.host, exchange.port, exchange.path, home="").guessed


FORMATS = (
    Format(
        name="openai.chat",
        operation="chat",
        home="openai",
        paths=("/chat/completions", "/agents/completions"),
        asked=openai_chat.asked,
        answered=openai_chat.answered,
        streamed=openai_chat.streamed,
        dialects={"groq": "groq.chat", "mistral_ai": "mistral.chat"},
    ),
    Format(
        name="anthropic.messages",
        operation="chat",
        home="anthropic",
        paths=("/messages",),
        asked=anthropic_messages.asked,
        answered=anthropic_messages.answered,
        streamed=anthropic_messages.streamed,
        agrees=_is_messages_call,
    ),
    Format(  # the same on Vertex AI
        name="anthropic.messages",
        operation="chat",
        home="gcp.vertex_ai",
        paths=(":rawPredict", ":streamRawPredict"),
        asked=anthropic_messages.asked,
        answered=anthropic_messages.answered,
        streamed=anthropic_messages.streamed,
        agrees=_is_raw_predict,
    ),
)

_LAST_WORDS = frozenset(path.replace(":", "/").rpartition("/")[2].encode() for form in FORMATS for path in form.paths)

_QUERY, _FRAGMENT, _VERB = b"?#:"  # as numbers: `in` is ten times faster for a number than for bytes


def may_be_call(method: str, path: bytes) -> bool:
    """Whether an HTTP request may be a model call, by its method and raw path (query and fragment are ignored). O(1).

    Runs in the application's request path for every HTTP request of the process, so it looks at the last word of the path only:
    ``/v1/chat/completions`` or ``/models/x:rawPredict``. :func:`recognise` decides.
    """
    if method != "POST":
        return False
    try:
        if _QUERY in path:
            path = path.partition(b"?")[0]
        if _FRAGMENT in path:
            path = path.partition(b"#")[0]
        last = path[path.rfind(b"/") + 1 :]
        return last in _LAST_WORDS or (_VERB in last and last[last.rfind(b":") + 1 :] in _LAST_WORDS)
    except (TypeError, AttributeError):  # a client that passes something else: not ours, and not a reason to hurt it
        return False


def recognise(exchange: Exchange) -> Format | None:
    """The format of an exchange, or None where it is no model call."""
    return matched(exchange, request_document(exchange))


def request_document(exchange: Exchange) -> Any:
    """The request's body as JSON; ``MALFORMED`` where it is none or was not kept."""
    body = exchange.request_body
    if body and (encoding := exchange.request_headers.get("content-encoding")):
        body = b"".join(Chain(encoding).pieces([body]))
    return load(body) if body else MALFORMED


def matched(exchange: Exchange, body: Any) -> Format | None:
    """:func:`recognise`, with the request's body read already."""
    if exchange.method != "POST":
        return None
    path = exchange.path.partition("?")[0].partition("#")[0]
    for form in FORMATS:
        if path.endswith(form.paths):
            return form if form.agrees is None or form.agrees(body, exchange) else None
    return None
