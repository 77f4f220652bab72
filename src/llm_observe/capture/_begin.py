"""Begins to watch a request of those clients that have its parts as text."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from llm_observe.capture._headers import REQUEST_HEADERS
from llm_observe.capture._hook import Hook
from llm_observe.capture._hosts import left_alone
from llm_observe.capture._propagation import inject
from llm_observe.capture._tap import Tap, carried, observer_here
from llm_observe.records import Exchange

_PORTS = {"http": 80, "https": 443}
_BYTES = (bytes, bytearray, memoryview)

Pairs = Iterable[tuple[str, str | bytes]]


class PairsHook(Hook):
    """A method that is watched, of a library whose headers are a dict of its own: *pairs* is how they are listed."""

    __slots__ = ("pairs",)

    def __init__(self, client: str, headers: Callable[[dict[str, str]], Any], shortest: Callable[[Any], Pairs]) -> None:
        super().__init__(client)
        self.pairs = shortest if _lists(shortest, headers({"Content-Type": "text/plain"})) else _items


def _items(headers: Any) -> Pairs:
    return headers.items()  # type: ignore[no-any-return]


def _lists(pairs: Callable[[Any], Pairs], headers: Any) -> bool:
    """Whether *pairs* lists what is in *headers*. It looks inside: what is public looks each name up again, for 10 us a call."""
    try:
        return list(pairs(headers)) == [("Content-Type", "text/plain")]
    except Exception:  # a version that keeps them in another way
        return False


def begun(hook: Hook, method: str, *, host: str, port: int | None, path: str) -> Tap | None:
    """The tap for a request whose path is one of a call's; None where it is none of our business all the same."""
    if left_alone[host]:
        return None
    observer = observer_here()
    if observer is None or not hook.active or carried(host, port):
        return None
    exchange = Exchange(client=hook.client, method=method, host=host, port=port, path=path)
    return Tap(observer, exchange, room=observer.settings.body_bytes)


def asked(hook: PairsHook, tap: Tap, request: Any) -> None:
    """Keep what *request* says. Where that is asked for, it takes the trace along."""
    try:
        tap.asked(as_bytes(request.body), REQUEST_HEADERS.pick_text(hook.pairs(request.headers)))
        if tap.observer.propagate:
            inject(tap, request.headers)
    except Exception as error:
        hook.caught(error, tap.observer)


def parts(url: str) -> tuple[str, int | None, str]:
    """Host, port and path of *url*."""
    split = urlsplit(url)
    return split.hostname or "", split.port or _PORTS.get(split.scheme), split.path


def as_bytes(body: Any) -> bytes | None:
    """A request's body where it is there as a whole; None for what is read while it is sent."""
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    return bytes(body) if isinstance(body, _BYTES) else None
