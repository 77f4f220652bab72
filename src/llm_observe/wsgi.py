"""WSGI: a scope per request, which lasts as long as the iteration of the body, not the call.

::

    application = LLMObserveWSGI(application)
"""

import functools
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from llm_observe._runtime.around import instrumented
from llm_observe._runtime.default import default
from llm_observe._runtime.incoming import lower, name_of, web_scope
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.scope import Frame, Scope, current, frame
from llm_observe.errors import SettingsError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KEY = "llm_observe.scope"
"""Where the request's scope stands in the environ."""
OBSERVERS = "llm_observe.observers"
"""Where the observers stand that record it."""

followed: "dict[int, weakref.ref[Body]] | None" = None
"""The bodies that are not done, where somebody wants to know: the kit for tests."""


class LLMObserveWSGI:
    """Records each request and the model calls made in it. *observer* and *settings* as in :class:`llm_observe.asgi.LLMObserveMiddleware`.

    :raises SettingsError: for settings that do not fit, or an observer and settings together.
    """

    def __init__(self, app: "WSGIApplication", *, observer: Observer | None = None, **settings: Any) -> None:
        if observer is not None and settings:
            raise SettingsError(f"observer= and {next(iter(settings))}= do not go together: give the settings to the Observer.")
        self.app = app
        self._observer = Observer(**settings) if settings else observer
        self._server: Any = None
        self.instrumented: Callable[[], bool] = lambda: instrumented(app)
        self.route: Callable[[WSGIEnvironment], str | None] | None = None  # how the framework's own template is found
        self.observer.prepare(serving=True)

    @property
    def observer(self) -> Observer:
        """The observer that this middleware records with."""
        return self._observer or default()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve one request, observed."""
        observer = self.observer
        by = environ.get(OBSERVERS, ())
        if not observer.enabled or observer in by:
            return self.app(environ, start_response)
        around = observer.around
        if around is not None and around.configured and around.span() is None and not self.instrumented():
            if self._server is None:
                self._server = around.wsgi(self._observed)
            return self._server(environ, start_response)  # type: ignore[no-any-return]
        return self._observed(environ, start_response)

    def _observed(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        observer = self.observer
        by = environ.get(OBSERVERS, ())
        try:
            here = begin(observer, environ)
            here.labelled = self._server is not None and here.instrumentation is not None
            if self.route is not None:
                here.route = functools.partial(self.route, environ)
        except Exception as error:
            observer.guard.caught(error, "the WSGI middleware")
            return self.app(environ, start_response)
        around = current()
        if around is not None and around.observer is observer and (around.method, around.path) == (here.method, here.path):
            return self.app(environ, start_response)  # inside of an observed ASGI app
        environ[KEY], environ[OBSERVERS] = here, (*by, observer)
        before = frame.get()
        frame.set(Frame(here, here.span_id, here.around))
        try:
            headers: list[tuple[str, str]] = []
            body = self.app(environ, _watched(here, start_response, headers, routed=self.route is not None))
        except BaseException as error:
            here.fail(error)
            here.finish()
            raise
        else:
            if _is_file(body, environ):  # the server sends it by itself, if it gets it as it is
                here.finish()
                return body
            return (SizedBody if hasattr(body, "__len__") else Body)(here, body, frame.get(), headers)
        finally:
            frame.set(before)


class Body:
    """The body, watched. Between its pieces the server has the word: each piece runs in the scope, and the scope is left after it.

    What a piece leaves behind (a step that spans several) is there again for the next: the frame is carried, not a token.
    """

    def __init__(self, scope: Scope, body: Iterable[bytes], here: Frame | None, headers: list[tuple[str, str]]) -> None:
        self._scope, self._body, self._here, self._headers = scope, body, here, headers
        self._iterator: Iterator[bytes] | None = None
        self._whole = self._done = False
        if followed is not None:
            followed[id(self)] = weakref.ref(self)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        before = frame.get()
        frame.set(self._here)
        try:
            if self._iterator is None:
                self._iterator = iter(self._body)
            data = next(self._iterator)
        except StopIteration:
            self._whole = True
            self._scope.respond()
            raise
        except BaseException as error:
            self._scope.fail(error)
            raise
        finally:
            self._here = frame.get()
            frame.set(before)
        self._scope.response_size += len(data)
        return data

    def close(self) -> None:
        """The server is done with the body, at its end or before: by PEP 3333 this always comes."""
        before = frame.get()
        frame.set(self._here)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            frame.set(before)
            if not (self._done or self._whole or self._scope.error_type is not None or isinstance(self, SizedBody)):
                self._scope.disconnected = True
            self._finish()

    def _finish(self) -> None:
        if self._done:  # test clients close twice
            return
        self._done = True
        if followed is not None:
            followed.pop(id(self), None)
        self._scope.finish()

    def settle(self) -> None:
        """End the request if its answer is there in full, although nobody has closed it: for test clients, which do not."""
        length = next((value for name, value in self._headers if name.lower() == "content-length"), "")
        if self._whole or (length.isdecimal() and self._scope.response_size >= int(length)):
            self._finish()

    def __del__(self) -> None:
        self._finish()  # nobody closed it, so nobody is known to have left


class SizedBody(Body):
    """A body of known length: servers look at it to send a Content-Length, and need not read to its end."""

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]


def begin(observer: Observer, environ: "WSGIEnvironment") -> Scope:
    """The scope for a WSGI request."""
    get = environ.get
    path = (get("SCRIPT_NAME", "") + get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace")
    size = get("CONTENT_LENGTH") or None
    return web_scope(
        observer, get("REQUEST_METHOD", "GET"), path, get(observer.request_id_key), get("HTTP_TRACEPARENT"), size, get("HTTP_TRACESTATE")
    )


def _watched(here: Scope, start_response: "StartResponse", sent: list[tuple[str, str]], *, routed: bool) -> Callable[..., Any]:
    name, value = here.observer.settings.request_id_header, here.request_id

    def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        code = status[:3]
        here.status_code = int(code) if code.isdecimal() else None
        if routed:
            here.routed()
        here.answering()
        if name.lower() not in map(lower, map(name_of, headers)):
            headers = [*headers, (name, value)]
        sent[:] = headers
        write = start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        def written(data: bytes) -> Any:
            here.response_size += len(data)
            return write(data)

        return written

    return started


def _is_file(body: object, environ: "WSGIEnvironment") -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)
