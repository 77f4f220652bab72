"""Starlette: the ASGI middleware, and the template of the route that matched.

::

    app.add_middleware(LLMObserveMiddleware)
"""

from collections.abc import Iterable
from typing import Any

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

    _owner: Any = None

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one request, observed."""
        self._move_out(scope.get("app"))
        await super().__call__(scope, receive, send)

    def _move_out(self, app: Any) -> None:
        self._owner = app
        outermost = stack = getattr(app, "middleware_stack", None)
        while isinstance(outermost, _Outermost):
            if outermost.inside is self:
                return
            outermost = outermost.app
        if stack is None:
            return
        if any(added.cls is type(self) for added in getattr(app, "user_middleware", ())):  # and not a route's own middleware
            app.middleware_stack = _Outermost(stack, self)

    def route(self, scope: AsgiScope) -> str | None:
        """The path template of the matched route, with the application's root and the path it is mounted under."""
        route, root = scope.get("route"), str(scope.get("root_path", ""))
        outside = str(scope.get("app_root_path", root))  # the root without what is mounted: set by the first mount
        if route is None or (root != outside and scope.get("path_params")):
            path = str(scope["path"]).removeprefix(outside)
            found = _template(getattr(self._owner, "routes", ()), path, scope.get("endpoint"))
            if found is not None:
                return outside + found
        if route is None:
            return None
        if isinstance(route, Mount | Host):  # an ASGI app that is no Starlette: how it routes is its own affair
            return root or None
        # Where a router was included, recent FastAPI has the route as it was written, and beside it what it is here.
        included = scope.get("fastapi", {}).get("effective_route_context")
        if included is not None and included.original_route is route:
            route = included.starlette_route or included
        template = getattr(route, "path", None)
        return None if template is None else root + str(template)


def _template(routes: Iterable[Any], path: str, endpoint: object) -> str | None:
    """The template of *path* on its way through *routes* and what is mounted there to *endpoint*.

    For Starlette before 1.0 and FastAPI's plain routes, which do not say which route it was, and for mounts with parameters.
    """
    if endpoint is None:
        return None
    for route in routes:
        found: str | None
        if isinstance(route, Host):
            found = _template(route.routes or (), path, endpoint)
        elif isinstance(route, Mount):
            match = route.path_regex.match(path)
            if match is None:
                continue
            found = "" if route.app is endpoint else _template(route.routes or (), "/" + match["path"], endpoint)
            found = None if found is None else route.path + found
        elif getattr(route, "endpoint", None) is endpoint and route.path_regex.match(path):
            found = str(route.path)
        else:
            continue
        if found is not None:
            return found
    return None


class _Outermost(AsgiMiddleware):
    """Stands around an application's whole middleware stack, with the observer and the routes of the one inside."""

    def __init__(self, app: App, inside: LLMObserveMiddleware) -> None:
        self.app, self.inside = app, inside
        self._server = None

    @property
    def observer(self) -> Observer:
        return self.inside.observer

    def route(self, scope: AsgiScope) -> str | None:
        return self.inside.route(scope)

    async def _lifespan(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)  # the one inside sees to it
