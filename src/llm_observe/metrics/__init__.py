"""What is measured, kept where people look: Prometheus, or any OTLP backend.

A meter is told of each record in the sink, before a processor may let it go and before sampling, so that the sums stay right; it never
runs in a request.
"""

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llm_observe.errors import SettingsError
from llm_observe.settings import Settings

if TYPE_CHECKING:
    from llm_observe.protocols import Meter

_EXPECTED = "`prometheus`, `otlp+http://host:port`, `otlp+https://host`, or an object with `record` and `health`"


def from_url(text: str, settings: Settings) -> "Meter":
    """The meter that *text* names: ``prometheus``, ``otlp+http://collector:4318``.

    :raises SettingsError: for a name nobody knows.
    :raises MissingExtra: when the package the meter stands on is not installed.
    """
    scheme = text.strip().partition(":")[0].lower()
    makers: dict[str, Callable[[], Any]] = {
        "prometheus": lambda: _prometheus(settings),
        "otlp+http": lambda: _otlp(text, settings),
        "otlp+https": lambda: _otlp(text, settings),
    }
    if scheme not in makers or (scheme == "prometheus" and ":" in text):
        near = difflib.get_close_matches(scheme, makers, n=1)
        hint = f" Did you mean {near[0]!r}?" if near and near[0] != text.strip() else ""
        raise SettingsError(f"metrics: unknown meter {text!r}.{hint} Expected {_EXPECTED}.")
    made: Meter = makers[scheme]()
    return made


def _prometheus(settings: Settings) -> Any:
    from llm_observe.metrics.prometheus import PrometheusMeter

    return PrometheusMeter(names=settings.metric_names)


def _otlp(text: str, settings: Settings) -> Any:
    from llm_observe.metrics.otlp import OtlpMeter

    return OtlpMeter(text.strip().partition("+")[2], names=settings.metric_names, service=settings.service)
