"""httpx and httpx2: one file for both, the module is an argument.

``Client.send`` and ``AsyncClient.send`` see every attempt of every SDK built on them, whatever transport they were given; a hook any
lower never fires for swapped transports (wire.md, 10). The response's stream is wrapped inside ``send``, so that SDKs that wrap it
again find ours in place.
"""

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

from llm_observe._runtime.default import existing
from llm_observe.capture._tap import REQUEST_HEADERS, Tap, observer_here
from llm_observe.records import Exchange
from llm_observe.wire import may_be_call

MARK = "__llm_observe__"
"""The attribute of a watched ``send`` that holds its :class:`Hook`. It shows through patches that are made as patches should be."""


class Hook:
    """One client class that is watched. It stays where somebody has patched over it, so it can be told to do nothing."""

    __slots__ = ("active", "client", "tapped")

    def __init__(self, client: str, tapped: Callable[[Any, Tap], Any]) -> None:
        self.active, self.client, self.tapped = True, client, tapped


def begin(hook: Hook, request: Any) -> Tap | None:
    """The tap for *request*; None for what is none of our business. Costs a method check and a table look-up then."""
    observer = None
    try:
        method = request.method
        if method != "POST":
            return None
        url = request.url
        path = url.raw_path
        if not may_be_call(method, path):
            return None
        observer = observer_here()
        if observer is None or not hook.active:
            return None
        try:
            body = request.content
        except Exception:  # RequestNotRead, of either library: an iterator or a multipart form, not ours to read
            body = None
        room = observer.settings.body_bytes
        size = len(body) if body is not None else 0
        exchange = Exchange(
            client=hook.client,
            method=method,
            host=url.host,
            port=url.port or (80 if url.scheme == "http" else 443),
            path=path.decode("ascii").partition("?")[0],
            request_headers=REQUEST_HEADERS.pick(request.headers.raw),
            request_size=size,
        )
        if size <= room:
            exchange.request_body = body
        else:
            exchange.shed = ("request",)
        return Tap(observer, exchange, room=room)
    except Exception as error:
        observer = observer or existing()
        if observer is not None:
            observer.guard.caught(error, f"the {hook.client} hook")
        return None


def answered(hook: Hook, tap: Tap, response: Any) -> None:
    """The answer's headers are there: take them, and its body or a watch over it."""
    try:
        tap.headers(response.status_code, response.headers.raw)
        if response.is_stream_consumed or response.is_closed:
            try:
                content = response.content
            except Exception:  # ResponseNotRead, of either library: an event hook has closed it, or taken it piece by piece
                tap.end("closed")
                return
            tap.whole(content)
            tap.end("eof")
        else:
            tap.stream()
            response.stream = hook.tapped(response.stream, tap)
    except Exception as error:
        tap.end("closed")
        tap.observer.guard.caught(error, f"the {hook.client} hook")


class Tapped:
    """A response's stream, watched: every chunk goes on untouched and in order. What else it has and does is the stream's own."""

    def __init__(self, inner: Any, tap: Tap) -> None:
        self._inner, self._tap = inner, tap

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._inner, attribute)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._inner.__reduce_ex__(protocol)  # a copy is a copy of the stream: it is not watched, and its end is not ours

    def __del__(self) -> None:
        self._tap.end("abandoned")


class SyncTapped(Tapped):
    """:class:`Tapped` for those who iterate."""

    def __iter__(self) -> Iterator[bytes]:
        tap = self._tap
        keep = tap.chunk
        try:
            for data in self._inner:
                try:
                    keep(data)
                except Exception as error:
                    tap.failed(error)
                yield data
        except GeneratorExit:
            tap.end("closed")
            raise
        except BaseException as error:
            tap.fail(error)
            raise
        tap.end("eof")

    def close(self) -> None:
        """Close the stream: what came until now is what there is."""
        try:
            self._inner.close()
        finally:
            self._tap.end("closed")


class AsyncTapped(Tapped):
    """:class:`Tapped` for those who iterate asynchronously."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        tap = self._tap
        keep = tap.chunk
        stream = self._inner.__aiter__()
        try:
            async for data in stream:
                try:
                    keep(data)
                except Exception as error:
                    tap.failed(error)
                yield data
        except GeneratorExit:
            tap.end("closed")
            if isinstance(stream, AsyncGenerator):  # as httpx2 does: an async generator that is dropped closes a turn of the loop later
                await stream.aclose()
            raise
        except BaseException as error:
            tap.fail(error)
            raise
        tap.end("eof")

    async def aclose(self) -> None:
        """Close the stream: what came until now is what there is."""
        try:
            await self._inner.aclose()
        finally:
            self._tap.end("closed")


def _tapped(library: ModuleType) -> Callable[[Any, Tap], Any]:
    """What makes a watched stream of a stream. *library* asks its streams for their colour, so they keep theirs."""
    synchronous, asynchronous = library.SyncByteStream, library.AsyncByteStream
    sync = type("SyncTapped", (SyncTapped, synchronous), {})
    async_ = type("AsyncTapped", (AsyncTapped, asynchronous), {})
    both = type("BothTapped", (sync, async_), {})

    def tapped(stream: Any, tap: Tap) -> Any:
        if not isinstance(stream, asynchronous):
            return sync(stream, tap)
        return both(stream, tap) if isinstance(stream, synchronous) else async_(stream, tap)

    return tapped


def install(library: ModuleType) -> Callable[[], None]:
    """Watch every request that leaves through *library*: httpx, httpx2 or what stands in for them. Returns the undo.

    A second time, or on an alias of a library that is watched already, it does nothing.
    """
    tapped = _tapped(library)
    undo: list[tuple[Hook, Any, Any, Any]] = []
    for client, make in ((library.Client, _sync), (library.AsyncClient, _async)):
        original = client.send
        hook = getattr(original, MARK, None)
        if hook is None:
            hook = Hook(library.__name__, tapped)
            client.send = watched = make(original, hook)
            setattr(watched, MARK, hook)
            undo.append((hook, client, original, watched))
        elif not hook.active:  # under somebody's patch since it was uninstalled
            hook.active = True
            undo.append((hook, client, None, None))

    def uninstall() -> None:
        for hook, client, original, watched in undo:
            hook.active = False
            if client.send is watched:  # else somebody has patched over it, and calls us still
                client.send = original

    return uninstall


def _sync(original: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(original)
    def send(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        tap = begin(hook, request)
        if tap is None:
            return original(self, request, *args, **options)
        try:
            response = original(self, request, *args, **options)
        except BaseException as error:
            tap.fail(error)
            raise
        answered(hook, tap, response)
        return response

    return send


def _async(original: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(original)
    async def send(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        tap = begin(hook, request)
        if tap is None:
            return await original(self, request, *args, **options)
        try:
            response = await original(self, request, *args, **options)
        except BaseException as error:
            tap.fail(error)
            raise
        answered(hook, tap, response)
        return response

    return send
