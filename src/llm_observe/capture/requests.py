"""requests: ``Session.send``, once for an attempt and its redirects, which call it again (wire.md, 10)."""

import functools
from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from llm_observe.capture._begin import PairsHook, asked, begun, parts
from llm_observe.capture._headers import RESPONSE_HEADERS
from llm_observe.capture._hook import watch
from llm_observe.capture._tap import Tap
from llm_observe.capture._urllib3 import Raw
from llm_observe.wire import may_be_call

_sender: ContextVar[Any] = ContextVar("llm_observe.requests.sender", default=None)
"""The session that is sending in this context: what it sends by itself meanwhile are redirects."""


def begin(hook: PairsHook, session: Any, request: Any) -> Tap | None:
    """The tap for *request*; None for what is none of our business."""
    try:
        method: Any = getattr(request, "method", None)
        url: Any = getattr(request, "url", None)
        if not may_be_call(method, url) or _sender.get() is session:
            return None
        host, port, path = parts(url)
        tap = begun(hook, method, host=host, port=port, path=path)
        if tap is not None:
            asked(hook, tap, request)
        return tap
    except Exception as error:
        hook.caught(error, None)
        return None


def answered(hook: PairsHook, tap: Tap, response: Any) -> None:
    """The answer's headers are there: take them, and its body or a watch over it."""
    try:
        tap.headers(response.status_code, RESPONSE_HEADERS.pick_text(hook.pairs(response.headers)))
        if response._content_consumed:  # noqa: SLF001 - asking for the content would read it
            try:
                content = response.content
            except RuntimeError:  # a response hook has taken it piece by piece
                tap.end("closed")
                return
            tap.whole(content or b"")
            tap.end("eof")
        elif response.raw is None:
            tap.end("closed")
        else:
            tap.stream()
            response.raw = Raw(response.raw, tap)
    except Exception as error:
        tap.end("closed")
        hook.caught(error, tap.observer)


def install(library: ModuleType) -> Callable[[], None]:
    """Watch every request that leaves through *library*, requests. Returns the undo."""
    headers = library.structures.CaseInsensitiveDict
    return watch([(library.Session, "send", _sent)], lambda: PairsHook(library.__name__, headers, lambda kept: kept._store.values()))  # noqa: SLF001


def _sent(original: Callable[..., Any], hook: PairsHook) -> Callable[..., Any]:
    @functools.wraps(original)
    def send(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        tap = begin(hook, self, request)
        if tap is None:
            return original(self, request, *args, **options)
        before = _sender.get()
        _sender.set(self)
        try:
            response = original(self, request, *args, **options)
        except BaseException as error:
            tap.fail(error)
            raise
        finally:
            _sender.set(before)
        answered(hook, tap, response)
        return response

    return send
