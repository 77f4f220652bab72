"""Check what is hooked, which settings hold, and where records go.

With --app the module is imported first, so that what it configures and what else it instruments is seen. Nothing leaves the machine
but a TCP connection to the http exporters' hosts. Exit code 1 when something needs your attention.
"""

import argparse
import importlib
import importlib.metadata
import inspect
import os
import shutil
import socket
import sys
import sysconfig
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from llm_observe import Observer, capture
from llm_observe._runtime.default import existing
from llm_observe.errors import SettingsError
from llm_observe.exporters.memory import MemoryExporter
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


class Finding(NamedTuple):
    """One line of the report: ``state`` is ok, note or problem."""

    topic: str
    state: str
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--app", metavar="MODULE[:NAME]", help="import this module first, as the server would")


def run(arguments: argparse.Namespace) -> int:
    """Print the report."""
    if arguments.app is not None:
        _import(arguments.app)
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    worst, topic = 0, ""
    for finding in findings():
        if finding.topic != topic:
            topic = finding.topic
            print(f"\n{topic}")
        print(f"  {_sign(finding.state, colour=colour)} {finding.text}")
        worst = max(worst, finding.state == "problem")
    print()
    return worst


def findings() -> Iterator[Finding]:
    """Everything there is to say, in the order of the way of the data."""
    yield Finding("environment", "ok", f"Python {sys.version.split()[0]}, llm-observe {importlib.metadata.version('llm-observe')}")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        yield Finding("environment", "note", "a free-threaded build: counters may be off by a few, nothing else is promised yet")
    for name in (*FRAMEWORKS, *SDKS):
        version = _version(name)
        yield Finding("environment", "ok" if version else "note", f"{name} {version}" if version else f"{name} is not installed")
    observer = existing() or Observer()
    yield from _hooks(observer)
    yield from _settings(observer)
    yield from _exporters(observer)
    yield from _others()


def _hooks(observer: Observer) -> Iterator[Finding]:
    topic = "hooks"
    if not observer.enabled:
        yield Finding(topic, "problem", f"recording is off: enabled=False, set by {observer.sources['enabled']}")
        return
    for name in capture.LIBRARIES:
        if _version(name) is None:
            yield Finding(topic, "note", f"{name} is not installed")
            continue
        try:
            took = _self_test(name)
        except Exception as error:  # whatever another patch of the same method does
            yield Finding(topic, "problem", f"{name}: the self-test failed: {type(error).__name__}: {error}")
            continue
        text = f"{name} {_version(name)}: Client.send and AsyncClient.send are watched; a self-test call was recorded"
        yield Finding(topic, "ok" if took else "problem", text if took else f"{name}: hooked, but a self-test call left no record")
        for other in _patchers(name):
            yield Finding(topic, "note", f"{name}.Client.send is also patched by {other}; both see every call")


def _self_test(name: str) -> bool:
    """Send a made-up call through a mock transport of the library, and see whether a record of it arrives."""
    library = importlib.import_module(name)
    memory = MemoryExporter()
    answer = {
        "id": "self-test",
        "model": "self-test",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    }
    transport = library.MockTransport(lambda _: library.Response(200, json=answer))
    with Observer(Settings(exporters=(memory,))) as observer:
        from llm_observe import scope

        with scope("llm-observe doctor", observer=observer), library.Client(transport=transport) as client:
            client.post("https://api.openai.com/v1/chat/completions", json={"model": "self-test", "messages": []})
    return [call.response.id for call in memory.calls] == ["self-test"]


def _patchers(name: str) -> Iterator[str]:
    """Modules other than ours and the library itself that stand in the chain of ``Client.send``."""
    step: Any = importlib.import_module(name).Client.send
    seen: list[Callable[..., Any]] = []
    while step is not None and step not in seen:
        seen.append(step)
        module = getattr(getattr(inspect.unwrap(step, stop=lambda _: True), "__globals__", {}), "get", lambda *_: "")("__name__", "")
        if module and not module.startswith(("llm_observe", name)):
            yield module
        step = getattr(step, "__wrapped__", None)


def _settings(observer: Observer) -> Iterator[Finding]:
    for name in Settings.__struct_fields__:
        if name in PYTHON_ONLY and not getattr(observer.settings, name):
            continue
        value: Any = getattr(observer.settings, name)
        if name == "http_headers":
            value = dict.fromkeys(value, "...")
        if name == "exporters" and value is None:
            value = "(default)"
        yield Finding("settings", "ok", f"{name} = {value!r}  ({observer.sources[name]})")


def _exporters(observer: Observer) -> Iterator[Finding]:
    topic = "exporters"
    if not observer.channels:
        yield Finding(topic, "problem", "none: nothing that is recorded goes anywhere")
    for name, channel in observer.channels.items():
        exporter: Any = channel.exporter
        if hasattr(exporter, "directory"):
            yield _directory(topic, name, os.fspath(exporter.directory))
        elif isinstance(getattr(exporter, "url", None), str):
            yield _reachable(topic, name, exporter.url)
        else:
            yield Finding(topic, "ok", f"{name}: {exporter!r}")


def _directory(topic: str, name: str, directory: str) -> Finding:
    there = directory
    while not os.path.exists(there):  # noqa: PTH110 - walks up to the first that exists
        there = os.path.dirname(os.path.abspath(there))  # noqa: PTH120, PTH100
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding(topic, "problem", f"{name}: {there} cannot be written to; name another directory or change its permissions")
    free = shutil.disk_usage(there).free
    return Finding(topic, "ok", f"{name}: {os.path.abspath(directory)} can be written to, {free / 2**30:.1f} GiB free")  # noqa: PTH100


def _reachable(topic: str, name: str, url: str) -> Finding:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=3).close()
    except OSError as error:
        return Finding(
            topic, "problem", f"{name}: {parts.hostname}:{port} cannot be reached ({error}); records wait, then are dropped and counted"
        )
    return Finding(topic, "ok", f"{name}: {parts.hostname}:{port} accepts connections")


def _others() -> Iterator[Finding]:
    topic = "other instrumentation"
    found = False
    for package, module in OTHERS.items():
        version = _version(package)
        if version is not None:
            found = True
            on = "is loaded: it records the same calls in its own place" if module in sys.modules else "is installed, not loaded"
            yield Finding(topic, "note", f"{package} {version} {on}")
    if not found:
        yield Finding(topic, "ok", "none that would count a call twice")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _import(app: str) -> None:
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as uvicorn and gunicorn do
    module, _, name = app.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split(".") if name else ():
            found = getattr(found, part)
    except Exception as error:
        raise SettingsError(f"--app {app}: {type(error).__name__}: {error}") from None


def _sign(state: str, *, colour: bool) -> str:
    sign, code = {"ok": ("ok     ", 32), "note": ("note   ", 33), "problem": ("PROBLEM", 31)}[state]
    return f"\x1b[{code}m{sign}\x1b[0m" if colour else sign
