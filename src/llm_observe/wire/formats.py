"""The table of wire formats, and how an exchange finds its row.

Which format an exchange has is read from its path, never from its host: one host serves several formats, and one format is served
by many hosts. Where a path is one that applications use too, the body has to agree. A new format is a row in its family's package and
a file beside.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec

from llm_observe.records import Exchange, Operation, Provider, Server
from llm_observe.wire import anthropic, bedrock, cohere, ends, gemini, ollama, openai
from llm_observe.wire.encoding import Chain
from llm_observe.wire.endpoints import Endpoints
from llm_observe.wire.format import Format
from llm_observe.wire.jsonio import MALFORMED, encodable, load
from llm_observe.wire.provider import provider_of

FORMATS: tuple[Format, ...] = (*ollama.FORMATS, *openai.FORMATS, *anthropic.FORMATS, *gemini.FORMATS, *bedrock.FORMATS, *cohere.FORMATS)
"""Looked through from the first to the last: the more particular path comes first (``/api/embeddings`` before ``/embeddings``)."""


def _last_word(path: str) -> str:
    return path.replace(":", "/").rpartition("/")[2]


_words = {_last_word(path) for form in FORMATS if form.method == "POST" for path in form.paths}
_collections = {path.split("/")[-2] for form in FORMATS if form.method == "GET" for path in form.paths}


def may_be_call(method: str, path: str | bytes) -> bool:
    """Whether an HTTP request may be a model call, by its method and raw path, or all of its URL (query and fragment are ignored). O(1).

    Runs in the application's request path for every HTTP request of the process, so it looks at the last word of the path only:
    ``/v1/chat/completions`` or ``/models/x:rawPredict``; of a GET, at the one before: ``/v1/responses/resp_1``. :func:`recognise`
    decides.
    """
    try:
        if isinstance(path, bytes):
            path = path.decode("latin-1")
        if "?" in path:
            path = path.partition("?")[0]
        if "#" in path:
            path = path.partition("#")[0]
        return leads_to_call(method, path)
    except (TypeError, AttributeError):  # a client that passes something else: not ours, and not a reason to hurt it
        return False


def leads_to_call(method: str, path: str) -> bool:
    """:func:`may_be_call` for whoever is sure to have a text without query and fragment."""
    if method == "POST":
        last = path.rpartition("/")[2]
        return last in _words or (":" in last and last.rpartition(":")[2] in _words)
    return method == "GET" and path.rpartition("/")[0].rpartition("/")[2] in _collections


def look_for(paths: Iterable[str]) -> None:
    """Have :func:`may_be_call` let these paths pass too. For good: hooks are the process's, whoever observes."""
    _words.update(map(_last_word, paths))


class Spoken(msgspec.Struct, frozen=True, gc=False):
    """What an exchange speaks: the row, the name its brand of it goes by, with whom and where, and to what end."""

    format: Format
    name: str
    provider: Provider
    server: Server | None
    operation: Operation


NO_ENDPOINTS = Endpoints({}, FORMATS)


def recognise(exchange: Exchange) -> Format | None:
    """The format of an exchange, or None where it is no model call."""
    spoken = matched(exchange, request_document(exchange))
    return spoken.format if spoken else None


def request_document(exchange: Exchange) -> Any:
    """The request's body as JSON; ``MALFORMED`` where it is none or was not kept. Of one too long, what its ends say."""
    body = exchange.request_body
    if body is None and exchange.request_ends is not None and "content-encoding" not in exchange.request_headers:
        return ends.document(*exchange.request_ends) or MALFORMED
    if body and (encoding := exchange.request_headers.get("content-encoding")):
        body = b"".join(Chain(encoding).pieces([body]))
    return load(body) if body else MALFORMED


def matched(exchange: Exchange, body: Any, endpoints: Endpoints = NO_ENDPOINTS) -> Spoken | None:
    """What the exchange speaks, or None where it is no model call; *body* is the request's. The user's own *endpoints* come first."""
    own = named = None
    if endpoints.rows:
        own, named = endpoints.format_of(exchange), endpoints.provider_of(exchange)
    if own is not None and own.format is not None:
        spoken: Spoken | None = _spoken(own.format, exchange.host, exchange.port, exchange.path)
    else:
        spoken = None if own is not None else _first(exchange, body, named)
    if spoken is None or (own is None and named is None):
        return spoken
    provider = Provider(name=named) if named else spoken.provider
    name = own.name if own and own.name else spoken.format.dialects.get(provider.name, spoken.format.name)
    return msgspec.structs.replace(spoken, name=name, provider=provider)


def _first(exchange: Exchange, body: Any, named: str | None) -> Spoken | None:
    """The first row that fits. Where the user names the format's own home, the body need not agree."""
    for spoken in _at(exchange.method, exchange.host, exchange.port, exchange.path):
        form = spoken.format
        if form.agrees is None or form.home == named or form.agrees(body, exchange):
            return spoken
    return None


@lru_cache(maxsize=1024)  # an application calls few
def _at(method: str, host: str, port: int | None, path: str) -> tuple[Spoken, ...]:
    """What may be spoken at this address, by the rows of the table."""
    plain = path.partition("?")[0].partition("#")[0]
    return tuple(_spoken(form, host, port, path) for form in FORMATS if form.method == method and form.at(plain))


def _spoken(form: Format, host: str, port: int | None, path: str) -> Spoken:
    provider = provider_of(host, port, path, home=form.home)
    return Spoken(
        format=form,
        name=form.dialects.get(provider.name, form.name),
        provider=provider,
        server=Server(address=encodable(host) or "", port=port) if host else None,
        operation=Operation(name=form.operation),
    )
