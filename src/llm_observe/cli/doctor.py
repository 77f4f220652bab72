"""Check what is hooked, which settings hold, and where records go.

With --app the module is imported first, as the server would, so that what it configures and what else it instruments is seen.
Nothing is recorded, and nothing leaves the machine but a TCP connection to the hosts of http exporters.

Exit code 0 when all is well, 1 when something needs your attention, 2 when it could not be looked at.
"""

import argparse
import importlib
import importlib.metadata
import os
import shutil
import socket
import sys
import sysconfig
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from llm_observe import Observer
from llm_observe._runtime.default import existing
from llm_observe.cli._hooks import hooks
from llm_observe.cli._places import unwritable
from llm_observe.cli._report import Finding, version
from llm_observe.errors import ObserveError, SettingsError
from llm_observe.exporters import named
from llm_observe.exporters._plain import plain
from llm_observe.settings import PYTHON_ONLY, Settings

SDKS = ("openai", "anthropic")
FRAMEWORKS = ("fastapi", "starlette", "flask")

# Packages that record the same calls in their own place: by distribution, and a module of theirs that is loaded when they are on.
OTHERS = {
    "opentelemetry-instrumentation-httpx": "opentelemetry.instrumentation.httpx",
    "opentelemetry-instrumentation-openai": "opentelemetry.instrumentation.openai",
    "opentelemetry-instrumentation-anthropic": "opentelemetry.instrumentation.anthropic",
    "opentelemetry-instrumentation-genai-openai": "opentelemetry.instrumentation.genai.openai",
    "opentelemetry-instrumentation-genai-anthropic": "opentelemetry.instrumentation.genai.anthropic",
    "openinference-instrumentation-openai": "openinference.instrumentation.openai",
    "openinference-instrumentation-anthropic": "openinference.instrumentation.anthropic",
    "langfuse": "langfuse.openai",
    "logfire": "logfire",
    "traceloop-sdk": "traceloop.sdk",
    "openlit": "openlit",
    "langsmith": "langsmith.wrappers",
    "sentry-sdk": "sentry_sdk",
    "ddtrace": "ddtrace",
}


class Target(NamedTuple):
    """What is looked at: the observer, and the application whose observer it is, where one was named."""

    observer: Observer
    name: str | None = None
    app: object = None
    ours: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--app", metavar="MODULE[:NAME]", help="import this first, as the server would, and look at its observer")


def run(arguments: argparse.Namespace) -> int:
    """Print the report; the exit code.

    :raises SettingsError: for settings that make no sense, and for an app that cannot be imported.
    """
    target = _target(arguments.app)
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    topic, states = "", []
    for finding in findings(target):
        if finding.topic != topic:
            topic = finding.topic
            print(f"\n{topic}")
        print(f"  {_sign(finding.state, colour=colour)} {plain(finding.text)}")
        states.append(finding.state)
    problems = states.count("problem")
    said = "1 problem needs" if problems == 1 else f"{problems} problems need"
    print(f"\n{said} your attention: see above." if problems else "\nAll is well.")
    return 1 if problems else 0


def findings(target: Target) -> Iterator[Finding]:
    """Everything there is to say, in the order of the way of the data."""
    yield from _environment()
    yield from _app(target)
    yield from hooks(target.observer)
    yield from _settings(target.observer)
    yield from _exporters(target.observer)
    yield from _others()


def _environment() -> Iterator[Finding]:
    topic = "environment"
    yield Finding(topic, "ok", f"Python {sys.version.split()[0]}, llm-observe {version('llm-observe')}")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        yield Finding(topic, "note", "a free-threaded build: counters may be off by a few, nothing else is promised yet")
    for name in (*FRAMEWORKS, *SDKS):
        found = version(name)
        yield Finding(topic, "ok" if found else "note", f"{name} {found}" if found else f"{name} is not installed")


# --- the app ---------------------------------------------------------------------------------------------------------


def _target(name: str | None) -> Target:
    if name is None:
        return Target(Observer())
    app = _imported(name)
    observer = _observer_of(app)
    return Target(observer or existing() or Observer(), name, app, ours=observer is not None)


def _imported(name: str) -> object:
    """The application that *name* stands for; the module, where it names none and has none of the usual names."""
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as uvicorn and gunicorn do
    module, _, inside = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in inside.split(".") if inside else ():
            found = getattr(found, part)
    except ObserveError:
        raise
    except (Exception, SystemExit) as error:
        raise SettingsError(f"--app {name}: {type(error).__name__}: {error}") from None
    return found if inside else getattr(found, "app", getattr(found, "application", found))


def _observer_of(app: Any) -> Observer | None:
    """The observer that *app* records with; None where it has none of our middleware."""
    for added in getattr(app, "user_middleware", ()):  # Starlette, FastAPI: not made before the first request
        if _is_ours(added.cls):
            settings = dict(added.kwargs)
            given = settings.pop("observer", None)
            return given or (Observer(**settings) if settings else existing() or Observer())
    for one in (app, getattr(app, "wsgi_app", None)):
        if _is_ours(type(one)):
            return one.observer  # type: ignore[union-attr,no-any-return]
    return None


def _is_ours(kind: object) -> bool:
    return isinstance(kind, type) and any(one.__module__.startswith("llm_observe.") for one in kind.__mro__)


def _app(target: Target) -> Iterator[Finding]:
    if target.name is None:
        return
    if target.ours:
        yield Finding("app", "ok", f"{target.name} is observed: its requests and their calls are recorded")
    elif hasattr(target.app, "user_middleware"):
        yield Finding("app", "problem", f"{target.name} is not observed; add app.add_middleware(LLMObserveMiddleware)")
    elif hasattr(target.app, "wsgi_app"):
        yield Finding("app", "problem", f"{target.name} is not observed; add LLMObserve(app)")
    else:
        kind = "a module" if isinstance(target.app, type(sys)) else f"of type {type(target.app).__name__}"
        yield Finding("app", "note", f"{target.name} is {kind}: cannot see whether requests are recorded; name the app as MODULE:NAME")


# --- settings and exporters ------------------------------------------------------------------------------------------


def _settings(observer: Observer) -> Iterator[Finding]:
    for name in Settings.__struct_fields__:
        value: Any = getattr(observer.settings, name)
        if value or name not in PYTHON_ONLY:
            yield Finding("settings", "fact", f"{name:<17} = {_shown(name, value):<12} ({observer.sources[name]})")


def _shown(name: str, value: Any) -> str:
    """*value* to read, without what may be a secret: values of headers, queries of addresses, inner life of objects."""
    match name:
        case "http_headers":
            return ", ".join(f"{key}=..." for key in value) or "none"
        case "content_callback" | "sampler" | "redact_with":
            return _named(value)
        case "redact_key":
            return "set" if value else "not set"
        case "exporters" | "processors":
            return "not set" if value is None else ", ".join(_named(one) for one in value) or "none"
        case _:
            return "not set" if value is None else str(value)


def _named(one: object) -> str:
    if not isinstance(one, str):
        return named(one)
    return one.partition("?")[0] if one.lower().startswith("http") else one


def _exporters(observer: Observer) -> Iterator[Finding]:
    topic = "exporters"
    if not observer.channels:
        yield Finding(topic, "problem", "none: nothing that is recorded goes anywhere")
    for name, channel in observer.channels.items():
        exporter: Any = channel.exporter
        address = getattr(exporter, "url", None)
        if isinstance(getattr(exporter, "directory", None), Path):
            yield _directory(topic, name, exporter.directory)
        elif isinstance(address, str) and urlsplit(address).hostname:
            yield _reachable(topic, name, address)
        else:
            yield Finding(topic, "ok", f"{name}: {_kind(exporter)}")


def _kind(exporter: object) -> str:
    thing = exporter if hasattr(exporter, "__qualname__") else type(exporter)
    return f"{thing.__module__}.{getattr(thing, '__qualname__', '')}"


def _directory(topic: str, name: str, directory: Path) -> Finding:
    if refusal := unwritable(directory):
        return Finding(topic, "problem", f"{name}: {directory}: {refusal}; name another directory, or change that")
    there = directory
    while not there.exists():
        there = there.parent
    new = "" if there == directory else ", made with the first record"
    return Finding(topic, "ok", f"{name}: {directory} can be written to ({shutil.disk_usage(there).free / 2**30:.1f} GiB free{new})")


def _reachable(topic: str, name: str, address: str) -> Finding:
    parts = urlsplit(address)
    proxies = urllib.request.getproxies()
    proxy = None if urllib.request.proxy_bypass(parts.hostname or "") else proxies.get(parts.scheme) or proxies.get("all")
    if proxy is not None:
        parts = urlsplit(proxy)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    where = f"{parts.hostname}:{port}" + (", the proxy," if proxy is not None else "")
    try:
        socket.create_connection((parts.hostname or "", port), timeout=3).close()
    except OSError as error:
        return Finding(topic, "problem", f"{name}: {where} cannot be reached ({error}); records wait, then are dropped and counted")
    return Finding(topic, "ok", f"{name}: {where} accepts connections")


def _others() -> Iterator[Finding]:
    topic = "other instrumentation"
    found = [(package, version(package), module) for package, module in OTHERS.items() if version(package) is not None]
    for package, number, module in found:
        on = "is loaded: it records the same calls in its own place" if module in sys.modules else "is installed, not loaded"
        yield Finding(topic, "note", f"{package} {number} {on}")
    if not found:
        yield Finding(topic, "ok", "none that would count a call twice")


def _sign(state: str, *, colour: bool) -> str:
    sign, code = {"ok": ("ok     ", 32), "fact": ("       ", 0), "note": ("note   ", 33), "problem": ("PROBLEM", 31)}[state]
    return f"\x1b[{code}m{sign}\x1b[0m" if colour and code else sign
