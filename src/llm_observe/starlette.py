"""Starlette: the ASGI middleware, and the template of the route that matched.

::

    app.add_middleware(LLMObserveMiddleware)
"""

from llm_observe._runtime.observer import Observer
from llm_observe.asgi import App, AsgiScope, Receive, Send
from llm_observe.asgi import LLMObserveMiddleware as AsgiMiddleware
from llm_observe.errors import missing

try:
    from starlette.routing import Host, Mount
except ModuleNotFoundError as error:
    raise missing(error, extra="starlette") from None

__all__ = ["LLMObserveMiddleware"]


class LLMObserveMiddleware(AsgiMiddleware):
    """:class:`llm_observe.asgi.LLMObserveMiddleware` for Starlette applications.

    ``add_middleware`` puts it inside Starlette's own error handling, where the 500 of an exception that nobody caught cannot be
    seen. So with the first thing it is called for, the application's lifespan as a rule, it moves around the whole stack.
    """

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one request, observed."""
        self._move_out(scope.get("app"))
        await super().__call__(scope, receive, send)

    def _move_out(self, app: object) -> None:
        stack = getattr(app, "middleware_stack", None)
        if stack is None or isinstance(stack, AsgiMiddleware):
            return
        if any(added.cls is type(self) for added in getattr(app, "user_middleware", ())):  # and not a route's own middleware
            app.middleware_stack = _Outermost(stack, self)  # type: ignore[attr-defined]

    def route(self, scope: AsgiScope) -> str | None:
        """The path template of the matched route, with the path it is mounted under."""
        route = scope.get("route")
        mounted_at = str(scope.get("root_path", "")).removeprefix(str(scope.get("app_root_path", "")))
        if isinstance(route, Mount | Host):  # an ASGI app that is no Starlette: how it routes is its own affair
            return mounted_at or None
        path = getattr(route, "path", None)
        return None if path is None else f"{mounted_at}{path}"


class _Outermost(AsgiMiddleware):
    """Stands around an application's whole middleware stack, with the observer and the routes of the one inside."""

    def __init__(self, app: App, inside: LLMObserveMiddleware) -> None:
        self.app, self._inside = app, inside

    @property
    def observer(self) -> Observer:
        return self._inside.observer

    def route(self, scope: AsgiScope) -> str | None:
        return self._inside.route(scope)

    async def _lifespan(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)  # the one inside sees to it
