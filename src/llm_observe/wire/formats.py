"""The table of wire formats, and how an exchange finds its row.

Which format an exchange has is read from its path, never from its host: one host serves several formats, and one format is served
by many hosts. Where a path is one that applications use too, the body has to agree. A new format is a row in its family's package and
a file beside.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec

from llm_observe.records import Exchange, Provider
from llm_observe.wire import anthropic, bedrock, cohere, ends, gemini, ollama, openai
from llm_observe.wire.encoding import Chain
from llm_observe.wire.endpoints import Endpoints
from llm_observe.wire.format import Format
from llm_observe.wire.jsonio import MALFORMED, load
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


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange speaks: the row, the name its brand of it goes by, and with whom."""

    format: Format
    name: str
    provider: Provider


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
    if endpoints:
        own, named = endpoints.format_of(exchange), endpoints.provider_of(exchange)
    form = _form(exchange, body, named) if own is None else own.format
    if form is None:
        return None
    provider = Provider(name=named) if named else provider_of(exchange.host, exchange.port, exchange.path, home=form.home)
    return Spoken(format=form, name=own.name if own and own.name else form.dialects.get(provider.name, form.name), provider=provider)


def _form(exchange: Exchange, body: Any, named: str | None) -> Format | None:
    """The first row that fits. Where the user names the format's own home, the body need not agree."""
    for row in _rows_at(exchange.method, exchange.path):
        form = FORMATS[row]
        if form.agrees is None or form.home == named or form.agrees(body, exchange):
            return form
    return None


@lru_cache(maxsize=1024)
def _rows_at(method: str, path: str) -> tuple[int, ...]:
    """The rows of the table whose address this is. An application calls few."""
    path = path.partition("?")[0].partition("#")[0]
    return tuple(row for row, form in enumerate(FORMATS) if form.method == method and form.at(path))
