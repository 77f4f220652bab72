"""httpx and httpx2: one file for both, the module is an argument.

``Client.send`` and ``AsyncClient.send`` see every attempt of every SDK built on them, whatever transport they were given; a hook any
lower never fires for swapped transports (wire.md, 10). The response's stream is wrapped inside ``send``, so that SDKs that wrap it
again find ours in place.
"""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

from llm_observe.capture._tap import REQUEST_HEADERS, Tap, observer_here
from llm_observe.records import Exchange

MARK = "__llm_observe__"


def begin(client: str, request: Any) -> Tap | None:
    """The tap for *request*; None for what is none of our business. Costs a method check and a table look-up then."""
    method = request.method
    if method != "POST":
        return None
    url = request.url
    path = url.raw_path
    observer = observer_here(method, path)
    if observer is None:
        return None
    try:
        try:
            body = request.content
        except Exception:  # RequestNotRead, of either library: an iterator or a multipart form, not ours to read
            body = None
        room = observer.settings.body_bytes
        size = len(body) if body is not None else 0
        exchange = Exchange(
            client=client,
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
        observer.guard.caught(error, f"the {client} hook")
        return None


def answered(tap: Tap, response: Any, tapped: Callable[[Any, Tap], Any]) -> None:
    """The answer's headers are there: take them, and its body or a watch over it."""
    try:
        tap.headers(response.status_code, response.headers.raw)
        if response.is_stream_consumed or response.is_closed:
            tap.whole(response.content)
            tap.end("eof")
        else:
            tap.stream()
            response.stream = tapped(response.stream, tap)
    except Exception as error:
        tap.end("closed")
        tap.observer.guard.caught(error, f"the {tap.exchange.client} hook")


def install(library: ModuleType) -> Callable[[], None]:
    """Watch every request that leaves through *library*: httpx, httpx2 or what stands in for them. Returns the undo.

    A second time, or on an alias of a library that is watched already, it does nothing.
    """
    name = library.__name__

    class Tapped(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc,name-defined]
        """A response's stream, watched: every chunk goes on untouched and in order."""

        def __init__(self, inner: Any, tap: Tap) -> None:
            self._inner, self._tap = inner, tap

        def __iter__(self) -> Iterator[bytes]:
            tap = self._tap
            keep = tap.chunk
            try:
                for data in self._inner:
                    keep(data)
                    yield data
            except GeneratorExit:
                tap.end("closed")
                raise
            except BaseException as error:
                tap.fail(error)
                raise
            tap.end("eof")

        async def __aiter__(self) -> AsyncIterator[bytes]:
            tap = self._tap
            keep = tap.chunk
            try:
                async for data in self._inner:
                    keep(data)
                    yield data
            except GeneratorExit:
                tap.end("closed")
                raise
            except BaseException as error:
                tap.fail(error)
                raise
            tap.end("eof")

        def close(self) -> None:
            try:
                self._inner.close()
            finally:
                self._tap.end("closed")

        async def aclose(self) -> None:
            try:
                await self._inner.aclose()
            finally:
                self._tap.end("closed")

        def __getattr__(self, attribute: str) -> Any:
            return getattr(self._inner, attribute)

        def __del__(self) -> None:
            self._tap.end("abandoned")

    undo = []
    for client, make in ((library.Client, _sync), (library.AsyncClient, _async)):
        original = client.send
        if not hasattr(original, MARK):
            client.send = watched = make(original, name, Tapped)
            setattr(watched, MARK, original)
            undo.append((client, original, watched))

    def uninstall() -> None:
        for client, original, watched in undo:
            if client.send is watched:  # else somebody has patched over it, and calls us still
                client.send = original

    return uninstall


def _sync(original: Callable[..., Any], name: str, tapped: Callable[[Any, Tap], Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def send(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        tap = begin(name, request)
        if tap is None:
            return original(self, request, *args, **options)
        try:
            response = original(self, request, *args, **options)
        except BaseException as error:
            tap.fail(error)
            raise
        answered(tap, response, tapped)
        return response

    return send


def _async(original: Callable[..., Any], name: str, tapped: Callable[[Any, Tap], Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def send(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        tap = begin(name, request)
        if tap is None:
            return await original(self, request, *args, **options)
        try:
            response = await original(self, request, *args, **options)
        except BaseException as error:
            tap.fail(error)
            raise
        answered(tap, response, tapped)
        return response

    return send
