"""Records to somewhere else, one destination a module.

The classes may be imported from here; a module, and what it stands on, is loaded with the first use of its name.
"""

import difflib
import functools
import importlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from llm_observe.errors import SettingsError
from llm_observe.protocols import Exporter
from llm_observe.settings import Settings

if TYPE_CHECKING:
    from llm_observe.exporters._files import read_records
    from llm_observe.exporters.file import FileExporter
    from llm_observe.exporters.http import HttpExporter
    from llm_observe.exporters.memory import MemoryExporter
    from llm_observe.exporters.otel import OtelExporter
    from llm_observe.exporters.stdout import StdoutExporter

__all__ = [
    "FileExporter",
    "HttpExporter",
    "MemoryExporter",
    "OtelExporter",
    "StdoutExporter",
    "defaults",
    "from_url",
    "named",
    "read_records",
]

_HOME = {
    "FileExporter": "file",
    "HttpExporter": "http",
    "MemoryExporter": "memory",
    "OtelExporter": "otel",
    "StdoutExporter": "stdout",
    "read_records": "_files",
}
_EXPECTED = (
    "`stdout`, `stdout:json`, `stdout:line`, `file`, `file:./directory`, `http://host/path`, `https://host/path`,"
    " `otlp+http://host:4318`, `otlp+https://host`, `otlp` or `otel:console`"
)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def from_url(text: str, settings: Settings | None = None, *, headers: Mapping[str, str] | None = None) -> Exporter:
    """The exporter that *text* names: ``stdout``, ``stdout:json``, ``file:./dir?max_bytes=1000000``, ``https://host/path`` ...

    What the text leaves open is taken from *settings*; *headers* are sent by the http exporter beside those of the settings.

    :raises SettingsError: for a name nobody knows, and for options that do not fit.
    :raises MissingExtra: when the package the exporter stands on is not installed.
    """
    settings = Settings() if settings is None else settings
    scheme, _, rest = text.strip().partition(":")
    match scheme.lower():
        case "stdout":
            return _stdout(text, rest)
        case "file":
            return _file(text, rest, settings)
        case "http" | "https":
            from llm_observe.exporters.http import HttpExporter

            return HttpExporter(text.strip(), headers={**settings.http_headers, **(headers or {})})
        case "otlp" | "otlp+http" | "otlp+https" | "otel":
            return _otel(text.strip())
        case bare if bare.startswith("otlp?"):
            return _otel(text.strip())
        case _:
            known = ["stdout", "file", "http", "https", "otlp", "otlp+http", "otlp+https", "otel"]
            near = difflib.get_close_matches(scheme.lower(), known, n=1, cutoff=0.75)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise SettingsError(f"exporters: unknown exporter {scheme!r}.{hint} Expected {_EXPECTED}.")


def defaults(settings: Settings) -> list[object]:
    """Where records go when nothing is configured: into the directory of *settings*, and calls to the terminal if there is one."""
    found: list[object] = [_file("file", "", settings)]
    if sys.stdout is not None and not sys.stdout.closed and sys.stdout.isatty():
        from llm_observe.exporters.stdout import StdoutExporter

        found.append(StdoutExporter(kinds=["call"]))
    return found


def named(exporter: object) -> str:
    """A short name for *exporter*, the same in every process: ``file``, ``stdout``, ``http``, or its function's or class's own name."""
    if isinstance(exporter, functools.partial):
        return named(exporter.func)
    name = getattr(exporter, "__name__", None) or type(exporter).__name__
    return name.lower().strip("<>").removesuffix("exporter") or "exporter"


def _stdout(text: str, rest: str) -> Exporter:
    from llm_observe.exporters.stdout import StdoutExporter

    match rest:
        case "" | "auto":
            return StdoutExporter()
        case "json" | "line":
            return StdoutExporter(format=rest)
        case _:
            raise SettingsError(f"exporters: {text!r}: expected `stdout`, `stdout:json` or `stdout:line`.")


def _file(text: str, rest: str, settings: Settings) -> Exporter:
    from llm_observe.exporters.file import FileExporter

    path, _, query = rest.partition("?")
    options = {"max_bytes": settings.file_max_bytes, "total_bytes": settings.file_total_bytes, "keep_days": settings.file_keep_days}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in options:
            raise SettingsError(f"exporters: {text!r}: there is no option {name!r}. Options are: {', '.join(options)}.")
        if not value.isdecimal() or int(value) < 1:
            what = "days" if name == "keep_days" else "bytes"
            raise SettingsError(f"exporters: {text!r}: {name}={value!r}: expected a number of {what}, at least 1.")
        options[name] = int(value)
    return FileExporter(
        path.removeprefix("//") or settings.directory,
        max_bytes=options["max_bytes"],
        total_bytes=options["total_bytes"],
        keep_days=options["keep_days"],
    )


def _otel(text: str) -> Exporter:
    from llm_observe.exporters.otel import OtelExporter, options

    place, _, query = text.partition("?")
    chosen = options(text, parse_qsl(query, keep_blank_values=True))
    scheme, _, rest = place.partition(":")
    match scheme.lower(), rest:
        case "otel", "console":
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter

            return OtelExporter(span_exporter=ConsoleSpanExporter(), **chosen)
        case "otlp", "":
            return OtelExporter(**chosen)
        case (("otlp+http" | "otlp+https"), _):
            return OtelExporter(place[len("otlp+") :], **chosen)
        case _:
            raise SettingsError(f"exporters: {text!r}: expected `otlp`, `otlp+http://host:4318`, `otlp+https://host` or `otel:console`.")
