"""Starlette: the ASGI middleware, and the template of the route that matched.

::

    app.add_middleware(LLMObserveMiddleware)
"""

from llm_observe.asgi import AsgiScope
from llm_observe.asgi import LLMObserveMiddleware as AsgiMiddleware
from llm_observe.errors import missing

try:
    from starlette.routing import Host, Mount
except ModuleNotFoundError as error:
    raise missing(error, extra="starlette") from None

__all__ = ["LLMObserveMiddleware"]


class LLMObserveMiddleware(AsgiMiddleware):
    """:class:`llm_observe.asgi.LLMObserveMiddleware` for Starlette applications."""

    def route(self, scope: AsgiScope) -> str | None:
        """The path template of the matched route, with the path it is mounted under."""
        route = scope.get("route")
        mounted_at = str(scope.get("root_path", "")).removeprefix(str(scope.get("app_root_path", "")))
        if isinstance(route, Mount | Host):  # an ASGI app that is no Starlette: how it routes is its own affair
            return mounted_at or None
        path = getattr(route, "path", None)
        return None if path is None else f"{mounted_at}{path}"
