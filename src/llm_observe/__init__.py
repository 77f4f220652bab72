"""llm-observe: one line in a web app, and every LLM call it makes is on record.

::

    from llm_observe.fastapi import LLMObserveMiddleware
    app.add_middleware(LLMObserveMiddleware)

    from llm_observe.flask import LLMObserve
    LLMObserve(app)

Scripts and jobs use :class:`scope`. Everything not listed here is imported from the module that owns it:
``llm_observe.exporters``, ``llm_observe.processors``, ``llm_observe.testing``.
"""

from llm_observe import capture as _capture
from llm_observe import exporters as _exporters
from llm_observe import metrics as _metrics
from llm_observe._runtime import plugs as _plugs
from llm_observe._runtime.default import configure, flush, shutdown
from llm_observe._runtime.manual import content, record_call, scope, step, tag
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.scope import current
from llm_observe.settings import Settings

# The one place that knows all floors: an observer needs exporters and hooks, which live above it.
_plugs.exporter = _exporters.from_url
_plugs.defaults = _exporters.defaults
_plugs.meter = _metrics.from_url
_plugs.name = _exporters.named
_plugs.hook = _capture.install

__all__ = ["Observer", "Settings", "configure", "content", "current", "flush", "record_call", "scope", "shutdown", "step", "tag"]
__version__ = "0.1.0"
