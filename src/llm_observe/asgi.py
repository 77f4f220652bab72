"""ASGI: a scope per request, from the first byte to the last of the body and its background tasks.

Pure ASGI: it reads no body, starts no task and keeps nothing on itself. ``LLMObserveMiddleware`` wraps any ASGI application:

::

    app = LLMObserveMiddleware(app)
"""

import functools
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from llm_observe._runtime.around import Around, instrumented
from llm_observe._runtime.default import default
from llm_observe._runtime.incoming import lower, name_of, web_scope
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.scope import Frame, Scope, frame
from llm_observe.errors import SettingsError

Message = MutableMapping[str, Any]
AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[AsgiScope, Receive, Send], Awaitable[None]]

KEY = "llm_observe.observers"
"""Where the observers that record a request stand in its ASGI scope."""


class LLMObserveMiddleware:
    """Records each request and the model calls made in it.

    The default observer is used where no *observer* is given; *settings* by keyword make an observer of this middleware's own. With
    a lifespan, the observer starts when the application does and is drained before its shutdown completes.

    :raises SettingsError: for settings that do not fit, or an observer and settings together.
    """

    def __init__(self, app: App, /, *, observer: Observer | None = None, **settings: Any) -> None:
        if observer is not None and settings:
            raise SettingsError(f"observer= and {next(iter(settings))}= do not go together: give the settings to the Observer.")
        self.app = app
        self._given, self._settings = observer, settings
        self._own: Observer | None = None
        self._server: App | None = None
        self.observer.prepare(serving=True)

    @property
    def observer(self) -> Observer:
        """The observer that this middleware records with. Its own one is made anew when a lifespan has closed it."""
        if self._given is not None:
            return self._given
        if not self._settings:
            return default()
        if self._own is None or self._own.closed:
            self._own = Observer(**self._settings)
        return self._own

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one request, observed."""
        kind = scope["type"]
        if kind == "lifespan":
            return await self._lifespan(scope, receive, send)
        observer = self.observer
        if kind not in {"http", "websocket"} or not observer.enabled:
            return await self.app(scope, receive, send)
        by = scope.get(KEY, ())
        if observer in by:  # inside of an observed app: one request, one record
            return await self.app(scope, receive, send)
        scope[KEY] = (*by, observer)
        around = observer.around
        if around is not None and _ours(around, self.app, scope.get("app")):
            if self._server is None:
                self._server = around.asgi(functools.partial(self._observed, observer))
            await self._server(scope, receive, send)
            return None
        return await self._observed(observer, scope, receive, send)

    async def _observed(self, observer: Observer, scope: AsgiScope, receive: Receive, send: Send) -> None:
        try:
            here = begin(observer, scope)
            here.labelled = self._server is not None and here.instrumentation is not None
            here.route = functools.partial(self.route, scope)
            watched = (WebSocket if scope["type"] == "websocket" else Http)(here, receive, send)
        except Exception as error:
            observer.guard.caught(error, "the ASGI middleware")
            return await self.app(scope, receive, send)
        before = frame.get()
        frame.set(Frame(here, here.span_id, here.around))
        try:
            await self.app(scope, watched.receive, watched.send)
        except Exception as error:
            if not (here.disconnected and _is_leaving(error)):
                here.fail(error)
            raise
        except BaseException:  # the server cancels what nobody waits for any more
            here.disconnected = here.disconnected or here.ended is None
            raise
        finally:
            frame.set(before)
            here.finish()

    def route(self, scope: AsgiScope) -> str | None:
        """The template of the route that matched, where the framework leaves it in *scope*. Read in the sink."""
        return None

    async def _lifespan(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        observer = self.observer.start()
        observer.prepare(serving=True)

        async def drained(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                observer.lifespans += 1
            elif message["type"] == "lifespan.startup.failed":
                await self._drain()
            elif message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                await self._drain()
                observer.lifespans -= 1
            await send(message)

        await self.app(scope, receive, drained)

    async def _drain(self) -> None:
        """Bring out what is left. Only an observer of our own is ours to close: a lifespan may come again, and finds the others as they were."""
        observer = self.observer
        if self._own is not None:
            await observer.ashutdown()
        else:
            await observer.aflush(observer.settings.drain_timeout, final=True)


def begin(observer: Observer, scope: AsgiScope) -> Scope:
    """The scope for an ASGI request: one walk over its headers."""
    wanted = observer.request_id_name
    request_id = traceparent = tracestate = size = None
    for name, value in scope["headers"]:
        if name == wanted:
            request_id = value.decode("latin-1")
        elif name == b"traceparent":
            traceparent = value.decode("latin-1")
        elif name == b"tracestate":  # a list, and so it may come in several
            tracestate = value.decode("latin-1") if tracestate is None else f"{tracestate},{value.decode('latin-1')}"
        elif name == b"content-length":
            size = value.decode("latin-1")
    return web_scope(observer, scope.get("method", "GET"), scope["path"], request_id, traceparent, size, tracestate)


class Watched:
    """What a request receives and sends, watched. One object: closures would be a dozen, all of them for the garbage collector to walk."""

    __slots__ = ("_here", "_name", "_receive", "_send")

    def __init__(self, here: Scope, receive: Receive, send: Send) -> None:
        self._here, self._receive, self._send = here, receive, send
        self._name = here.observer.request_id_name


class Http(Watched):
    """An HTTP request: it lasts until the last byte of its body."""

    __slots__ = ()

    async def receive(self) -> Message:
        """What the server has: the request's body, or that the client has left."""
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._here.ended is None:
            self._left()
        return message

    async def send(self, message: Message) -> None:
        """What the application answers, with the request's id among the headers."""
        here, kind = self._here, message["type"]
        if kind == "http.response.start":
            here.status_code = message["status"]
            here.answering()
            headers = list(message.get("headers", ()))
            if self._name not in map(lower, map(name_of, headers)):
                headers.append((self._name, here.request_id.encode("latin-1")))
            message = {**message, "headers": headers}
        elif kind == "http.response.body":
            here.response_size += len(message.get("body", b""))
        try:
            await self._send(message)
        except OSError:  # the client has left: ASGI 2.4 says so here
            if here.ended is None:
                self._left()
            raise
        if kind == "http.response.body" and not message.get("more_body", False):
            here.respond()

    def _left(self) -> None:
        self._here.disconnected = True
        self._here.respond()


class WebSocket(Watched):
    """A WebSocket: its request lasts until one side closes."""

    __slots__ = ()

    def __init__(self, here: Scope, receive: Receive, send: Send) -> None:
        super().__init__(here, receive, send)
        here.name = f"WEBSOCKET {here.path}"
        here.request_size = 0

    async def receive(self) -> Message:
        """What the client says."""
        here, message = self._here, await self._receive()
        if message["type"] == "websocket.receive":
            here.request_size = (here.request_size or 0) + _size(message)
        elif message["type"] == "websocket.disconnect":
            here.respond()
        return message

    async def send(self, message: Message) -> None:
        """What the application says, with the request's id among the headers."""
        here, kind = self._here, message["type"]
        if kind == "websocket.accept":
            here.status_code = 101
            request_id = self._name, here.request_id.encode("latin-1")
            message = {**message, "headers": [*message.get("headers", ()), request_id]}
        elif kind == "websocket.send":
            here.response_size += _size(message)
        elif kind == "websocket.http.response.start":
            here.status_code = message["status"]
        await self._send(message)
        if kind == "websocket.close":
            if here.status_code is None:
                here.status_code = 403
            here.respond()


def _ours(around: Around, *apps: object) -> bool:
    """Whether it is on us to have a server span made."""
    return around.configured and around.span() is None and not any(map(instrumented, apps))


def _is_leaving(error: Exception) -> bool:
    """Whether *error* only says that the client has left: what servers raise, and what Starlette makes of it."""
    return isinstance(error, OSError) or type(error).__name__ == "ClientDisconnect"


def _size(message: Message) -> int:
    data, text = message.get("bytes"), message.get("text")
    return len(data) if data is not None else len(text or "")
