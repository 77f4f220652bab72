"""aiohttp: ``ClientSession._request`` is the one funnel for all that a session sends (wire.md, 10).

The request's body is taken from the ``ClientRequest`` that is made of it, where ``json=`` has been turned into bytes, and the answer's
where it is read. Clients built on aiohttp that have a hook of their own are recorded by that one alone; aiobotocore has none, and is
recorded here.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from types import ModuleType
from typing import Any

from llm_observe._runtime.items import last_attempt
from llm_observe.capture._begin import as_bytes, begun
from llm_observe.capture._headers import REQUEST_HEADERS, RESPONSE_HEADERS
from llm_observe.capture._hook import Hook, watch
from llm_observe.capture._propagation import inject
from llm_observe.capture._tap import Tap, carried, carriers, sending
from llm_observe.capture._watched import Watched
from llm_observe.wire import may_be_call


def begin(hook: Hook, session: Any, method: Any, address: Any) -> Tap | None:
    """The tap for a request to *address*, a URL or its text; None for what is none of our business."""
    try:
        if sending and last_attempt.get().serial in sending:  # it is what carries that, as a rule, and there is no more to find out
            url = _joined(session, address)
            if carried(url.host, url.port):
                return None
        verb = method.upper()
        text = address if isinstance(address, str) else address.raw_path
        if not may_be_call(verb, text):
            return None
    except (AttributeError, TypeError, ValueError):  # what is neither; the library will say so
        return None
    try:
        try:
            url = _joined(session, address)
        except ValueError:  # no URL; the library will say so
            return None
        return begun(hook, verb, host=url.host or "", port=url.port, path=url.raw_path)
    except Exception as error:
        hook.caught(error, None)
        return None


def _joined(session: Any, address: Any) -> Any:
    return session._build_url(address)  # noqa: SLF001 - the only way to learn the session's base in every version


def asked(hook: Hook, request: Any) -> None:
    """A ``ClientRequest`` has got its body: if it is for an exchange that begins now, that has it, and the headers."""
    tap = sending.get(last_attempt.get().serial)
    try:
        if tap is None or tap.exchange.client != hook.client or tap.exchange.request_headers or tap.exchange.path != request.url.raw_path:
            return
        headers = REQUEST_HEADERS.pick_text(request.headers.items())
        if getattr(request, "compress", None):
            headers.pop("content-encoding", None)  # that is for the way: the body that we keep is not packed yet
        tap.asked(as_bytes(getattr(request.body, "_value", None)), headers)
        if tap.observer.propagate:
            inject(tap, request.headers)
    except Exception as error:
        hook.caught(error, tap.observer if tap else None)


def answered(hook: Hook, tap: Tap, response: Any, session: Any, *, decompress: bool | None) -> None:
    """The answer's headers are there: take them, and watch over its body."""
    try:
        decoded = session.auto_decompress if decompress is None else decompress
        tap.headers(response.status, RESPONSE_HEADERS.pick(response.raw_headers))
        body = getattr(response, "_body", None)
        if body is not None:  # a session that reads each answer, to see whether it is good
            tap.whole(body, decoded=decoded)
            tap.end("eof")
        else:
            tap.exchange.content_decoded = decoded
            tap.stream()
            response.content = Content(response.content, tap)
    except Exception as error:
        tap.end("closed")
        hook.caught(error, tap.observer)


def refused(hook: Hook, tap: Tap, error: BaseException) -> None:
    """There is an error in place of an answer; with ``raise_for_status`` it is the answer's status."""
    try:
        status, headers = getattr(error, "status", None), getattr(error, "headers", None)
        if status and headers is not None and error.__cause__ is None:  # else it is that the answer was no HTTP
            tap.headers(status, RESPONSE_HEADERS.pick_text(headers.items()))
    except Exception as failure:
        hook.caught(failure, tap.observer)
    finally:
        tap.fail(error)


def _reads(name: str) -> Callable[..., Coroutine[Any, Any, bytes]]:
    """The method *name* of a content that is watched."""

    async def read(self: "Content", *args: Any, **options: Any) -> bytes:
        try:
            data: bytes = await getattr(self._inner, name)(*args, **options)
        except asyncio.IncompleteReadError as error:
            self._got(error.partial)
            raise
        except BaseException as error:
            self._interrupted(error)
            raise
        self._got(data)
        return data

    read.__name__, read.__doc__ = name, f"``StreamReader.{name}``, watched."
    return read


class Content(Watched):
    """A response's content, watched: each way to read it gives what it gives without us, exceptions too.

    A read that is interrupted, by ``asyncio.timeout`` for one, is the end only if none follows.
    """

    read = _reads("read")
    readany = _reads("readany")
    readline = _reads("readline")
    readuntil = _reads("readuntil")
    readexactly = _reads("readexactly")

    async def readchunk(self) -> tuple[bytes, bool]:
        """Read a chunk, and whether it ends where the server's does."""
        try:
            chunk: tuple[bytes, bool] = await self._inner.readchunk()
        except BaseException as error:
            self._interrupted(error)
            raise
        self._got(chunk[0])
        return chunk

    def read_nowait(self, *args: Any, **options: Any) -> bytes:
        """Read what is there, without waiting."""
        data: bytes = self._inner.read_nowait(*args, **options)
        self._got(data)
        return data

    # The library's own iterators, which read by the methods above.

    def __aiter__(self) -> AsyncIterator[bytes]:
        return type(self._inner).__aiter__(self)  # type: ignore[no-any-return]

    def iter_any(self) -> AsyncIterator[bytes]:
        """Iterate over what is there."""
        return type(self._inner).iter_any(self)  # type: ignore[no-any-return]

    def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """Iterate over pieces of so many bytes at the most."""
        return type(self._inner).iter_chunked(self, n)  # type: ignore[no-any-return]

    def iter_chunks(self) -> AsyncIterator[tuple[bytes, bool]]:
        """Iterate over the server's chunks."""
        return type(self._inner).iter_chunks(self)  # type: ignore[no-any-return]

    def set_exception(self, *args: Any, **options: Any) -> None:
        """The response is closed or released: nobody will read on."""
        try:
            self._inner.set_exception(*args, **options)
        finally:
            self._tap.end(self._end)

    def _got(self, data: bytes) -> None:
        tap = self._tap
        if data:
            try:
                if self._end != "closed":  # it went on after an interruption
                    self.__dict__["_end"] = "closed"
                    tap.forget()
                tap.chunk(data)
            except Exception as error:
                tap.failed(error)
        if self._inner.at_eof():
            tap.end("eof")

    def _interrupted(self, error: BaseException) -> None:
        tap = self._tap
        try:
            self.__dict__["_end"] = end = tap.note(error)
            if self._inner.exception() is not None:  # for good
                tap.end(end)
        except Exception as failure:
            tap.failed(failure)


def install(library: ModuleType) -> Callable[[], None]:
    """Watch every request that leaves through *library*, aiohttp. Returns the undo."""
    places = ((library.ClientSession, "_request", _sent), (library.ClientRequest, "update_body_from_data", _embodied))
    unwatch = watch(places, lambda: Hook(library.__name__))
    carriers.append(library.__name__)

    def uninstall() -> None:
        unwatch()
        carriers.remove(library.__name__)

    return uninstall


def _sent(original: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(original)
    async def _request(self: Any, method: Any, str_or_url: Any, *args: Any, **options: Any) -> Any:
        tap = begin(hook, self, method, str_or_url)
        if tap is None:
            return await original(self, method, str_or_url, *args, **options)
        serial = tap.serial
        sending[serial] = tap
        try:
            response = await original(self, method, str_or_url, *args, **options)
        except BaseException as error:
            refused(hook, tap, error)
            raise
        finally:
            sending.pop(serial, None)
        answered(hook, tap, response, self, decompress=options.get("auto_decompress"))
        return response

    return _request


def _embodied(original: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(original)
    def update_body_from_data(self: Any, *args: Any, **options: Any) -> Any:
        updated = original(self, *args, **options)
        if sending:
            asked(hook, self)
        return updated

    return update_body_from_data
