"""Flask: one line, or two with an application factory.

::

    LLMObserve(app)

    observe = LLMObserve()
    observe.init_app(app)
"""

from typing import TYPE_CHECKING, Any

from llm_observe._runtime.around import instrumented
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.scope import Scope
from llm_observe.errors import missing
from llm_observe.settings import PREFIX
from llm_observe.wsgi import KEY, LLMObserveWSGI

try:
    from flask import Flask, got_request_exception, request
except ModuleNotFoundError as error:
    raise missing(error, extra="flask") from None

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class LLMObserve:
    """The extension. Settings are keywords here, ``LLM_OBSERVE_*`` in ``app.config``, or the environment, in that order.

    Its state for an application stands in ``app.extensions["llm_observe"]``: the :class:`~llm_observe.Observer`.

    :raises SettingsError: for settings that do not fit, or an observer and settings together.
    """

    def __init__(self, app: Flask | None = None, *, observer: Observer | None = None, **settings: Any) -> None:
        self._given, self._settings = observer, settings
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Observe *app*. A second time it does nothing."""
        if "llm_observe" in app.extensions:
            return
        configured = {key.removeprefix(PREFIX).lower(): value for key, value in app.config.items() if key.startswith(PREFIX)}
        settings = configured | self._settings if self._given is None else self._settings
        middleware = LLMObserveWSGI(app.wsgi_app, observer=self._given, **settings)
        middleware.instrumented = lambda: instrumented(app)
        middleware.route = _route
        app.wsgi_app = middleware  # type: ignore[method-assign]
        app.extensions["llm_observe"] = middleware.observer
        got_request_exception.connect(_failed, app)


def _route(environ: "WSGIEnvironment") -> str | None:
    """The template that Flask has matched: its request stands in the environ until it is answered. A signal that tells of it costs a fifth of all."""
    found: Any = environ.get("werkzeug.request")
    rule = getattr(found, "url_rule", None)
    return None if rule is None else f"{found.script_root}{rule.rule}"


def _failed(app: Flask, exception: BaseException, **_: Any) -> None:
    """The view raised what no error handler took: Flask makes a 500 of it, and the scope keeps what it was."""
    here = request.environ.get(KEY)
    if isinstance(here, Scope):
        here.routed()  # there may be no answer
        here.fail(exception)
