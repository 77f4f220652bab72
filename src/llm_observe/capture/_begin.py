"""Begins to watch a request of those clients that have its parts as text."""

from typing import Any
from urllib.parse import urlsplit

from llm_observe.capture._hook import Hook
from llm_observe.capture._hosts import left_alone
from llm_observe.capture._tap import Tap, carried, observer_here
from llm_observe.records import Exchange

_PORTS = {"http": 80, "https": 443}


def begun(hook: Hook, method: str, *, host: str, port: int | None, path: str) -> Tap | None:
    """The tap for a request whose path is one of a call's; None where it is none of our business all the same."""
    if left_alone[host]:
        return None
    observer = observer_here()
    if observer is None or not hook.active or carried(host, port):
        return None
    exchange = Exchange(client=hook.client, method=method, host=host, port=port, path=path)
    return Tap(observer, exchange, room=observer.settings.body_bytes)


def parts(url: str) -> tuple[str, int | None, str]:
    """Host, port and path of *url*."""
    split = urlsplit(url)
    return split.hostname or "", split.port or _PORTS.get(split.scheme), split.path


def as_bytes(body: Any) -> bytes | None:
    """A request's body where it is there as a whole; None for what is read while it is sent."""
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    return bytes(body) if isinstance(body, bytes | bytearray | memoryview) else None
