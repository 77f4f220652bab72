"""httpx and httpx2: one file for both, the module is an argument.

``Client.send`` and ``AsyncClient.send`` see every attempt of every SDK built on them, whatever transport they were given; a hook any
lower never fires for swapped transports (wire.md, 10). The response's stream is wrapped inside ``send``, so that SDKs that wrap it
again find ours in place.
"""

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

from llm_observe.capture._headers import REQUEST_HEADERS, RESPONSE_HEADERS
from llm_observe.capture._hook import Hook, watch
from llm_observe.capture._hosts import left_alone
from llm_observe.capture._propagation import inject
from llm_observe.capture._tap import Tap, carriers, keep, observer_here, sending
from llm_observe.records import Exchange
from llm_observe.wire import leads_to_call


class ClientHook(Hook):
    """A client class that is watched: what makes a watched stream, and whether URLs and headers are, inside, what we know them to be."""

    __slots__ = ("known", "tapped")

    def __init__(self, client: str, tapped: Callable[[Any, Tap], Any], *, known: bool) -> None:
        super().__init__(client)
        self.tapped, self.known = tapped, known


class _Place:
    """What is public of a URL, under the names that its parts have inside."""

    __slots__ = ("path", "port", "scheme")

    def __init__(self, url: Any) -> None:
        self.path, self.port, self.scheme = url.raw_path.decode("ascii").partition("?")[0], url.port, url.scheme


def begin(hook: ClientHook, request: Any) -> Tap | None:
    """The tap for *request*; None for what is none of our business. Costs a method check and a table look-up then."""
    observer = None
    try:
        method, url = request.method, request.url
        place = url._uri_reference if hook.known else _Place(url)  # noqa: SLF001 - see _is_known
        path = place.path
        if not leads_to_call(method, path):
            return None
        host = url.host
        if left_alone[host]:
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
        headers = request.headers
        exchange = Exchange(
            client=hook.client,
            method=method,
            host=host,
            port=place.port or (80 if place.scheme == "http" else 443),
            path=path,
            request_headers=REQUEST_HEADERS.hold(headers._list)  # noqa: SLF001 - see _is_known
            if hook.known
            else REQUEST_HEADERS.pick(headers.raw),
            request_size=size,
        )
        if size > room:
            keep(exchange, body, room)
        else:
            exchange.request_body = body
        tap = Tap(observer, exchange, room=room)
        if observer.propagate:
            inject(tap, headers)
        return tap
    except Exception as error:
        hook.caught(error, observer)
        return None


def answered(hook: ClientHook, tap: Tap, response: Any) -> None:
    """The answer's headers are there: take them, and its body or a watch over it."""
    try:
        headers = response.headers
        held = RESPONSE_HEADERS.hold(headers._list) if hook.known else RESPONSE_HEADERS.pick(headers.raw)  # noqa: SLF001 - see _is_known
        tap.headers(response.status_code, held)
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
        hook.caught(error, tap.observer)


class Tapped:
    """A response's stream, watched: every chunk goes on untouched and in order. What else it has and does is the stream's own."""

    def __init__(self, inner: Any, source: Any, tap: Tap) -> None:
        self._inner, self._source, self._tap = inner, source, tap  # what is closed, and where its chunks come from

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
        now, stamp, keep, left = tap.ways()
        try:
            for data in self._source:
                try:
                    stamp(now())
                    keep(data)
                    left -= len(data)
                    if left < 0:
                        now, stamp, keep, left = tap.wider(left, len(data))
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
        now, stamp, keep, left = tap.ways()
        stream = self._source.__aiter__()
        try:
            async for data in stream:
                try:
                    stamp(now())
                    keep(data)
                    left -= len(data)
                    if left < 0:
                        now, stamp, keep, left = tap.wider(left, len(data))
                except Exception as error:
                    tap.failed(error)
                yield data
        except GeneratorExit:
            tap.end("closed")
            raise
        except BaseException as error:
            tap.fail(error)
            raise
        else:
            tap.end("eof")
        finally:
            if isinstance(stream, AsyncGenerator):  # as httpx2 does: an async generator that is dropped closes a turn of the loop later
                await stream.aclose()

    async def aclose(self) -> None:
        """Close the stream: what came until now is what there is."""
        try:
            await self._inner.aclose()
        finally:
            self._tap.end("closed")


def _tapped(library: ModuleType) -> Callable[[Any, Tap], Any]:
    """What makes a watched stream of a stream. *library* asks its streams for their colour, so they keep theirs."""
    synchronous, asynchronous = library.SyncByteStream, library.AsyncByteStream
    client = getattr(library, "_client", None)
    bound, bound_async = getattr(client, "BoundSyncStream", None), getattr(client, "BoundAsyncStream", None)
    sync = type("SyncTapped", (SyncTapped, synchronous), {})
    async_ = type("AsyncTapped", (AsyncTapped, asynchronous), {})
    both = type("BothTapped", (sync, async_), {})

    def tapped(stream: Any, tap: Tap) -> Any:
        kind = type(stream)
        if kind is bound:
            return sync(stream, _source(stream, kind.__iter__), tap)
        if kind is bound_async:
            return async_(stream, _source(stream, kind.__aiter__), tap)
        if not isinstance(stream, asynchronous):
            return sync(stream, stream, tap)
        return both(stream, stream, tap) if isinstance(stream, synchronous) else async_(stream, stream, tap)

    return tapped


PASSING = frozenset({"_stream", "__aiter__", "isinstance", "AsyncGenerator", "aclose"})
"""All the names there are in what passes on the chunks of ``_stream`` and does nothing to them."""


def _source(stream: Any, iterate: Any) -> Any:
    """Where the chunks of the client's own *stream* come from: what it passes on, ours passes on in its place, and saves a generator.

    A chunk goes through as many as without us then. Where *iterate* is not what we know, it is the *stream* itself.
    """
    code = getattr(iterate, "__code__", None)
    return stream._stream if code is not None and PASSING.issuperset(code.co_names) else stream  # noqa: SLF001 - their code has been seen to use it


def _is_known(library: ModuleType) -> bool:
    """Whether URLs and headers keep what they are made of where we look for it.

    What is public is made anew at each look: that would be 2 us a call, and 1 us for each request that is none.
    """
    headers = getattr(library.Headers({"Content-Type": "text/plain"}), "_list", None)
    url = getattr(library.URL("http://host/a%20b?c=d#e"), "_uri_reference", None)
    place = tuple(getattr(url, part, "") for part in ("scheme", "port", "path"))
    return [(b"Content-Type", b"content-type", b"text/plain")] == headers and place == ("http", None, "/a%20b")


def install(library: ModuleType) -> Callable[[], None]:
    """Watch every request that leaves through *library*: httpx, httpx2 or what stands in for them. Returns the undo.

    A second time, or on an alias of a library that is watched already, it does nothing.
    """
    tapped, known = _tapped(library), _is_known(library)
    places = ((library.Client, "send", _sync), (library.AsyncClient, "send", _async))
    return watch(places, lambda: ClientHook(library.__name__, tapped, known=known))


def _sync(original: Callable[..., Any], hook: ClientHook) -> Callable[..., Any]:
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


def _async(original: Callable[..., Any], hook: ClientHook) -> Callable[..., Any]:
    @functools.wraps(original)
    async def send(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        tap = begin(hook, request)
        if tap is None:
            return await original(self, request, *args, **options)
        serial = tap.serial if carriers else 0  # the transport may be built on a library that is hooked too
        if serial:
            sending[serial] = tap
        try:
            response = await original(self, request, *args, **options)
        except BaseException as error:
            tap.fail(error)
            raise
        finally:
            if serial:
                sending.pop(serial, None)
        answered(hook, tap, response)
        return response

    return send
