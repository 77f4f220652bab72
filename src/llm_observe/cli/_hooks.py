"""Whether the hooks hold: a made-up call through each client library, and who else stands in its way."""

import asyncio
import importlib
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from llm_observe import Observer, capture, scope
from llm_observe.cli._report import Finding, version
from llm_observe.exporters.memory import MemoryExporter
from llm_observe.settings import Settings

TOPIC = "hooks"
_URL = "https://api.openai.com/v1/chat/completions"  # nothing goes there: the transport is a mock
_ASKED = {"model": "self-test", "messages": []}
_ANSWER = {
    "id": "self-test",
    "model": "self-test",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
}


def hooks(observer: Observer) -> Iterator[Finding]:
    """What there is to say about each client library, if *observer* records at all."""
    if not observer.enabled:
        yield Finding(TOPIC, "problem", f"recording is off: enabled=False, set by {observer.sources['enabled']}")
        return
    for name in capture.LIBRARIES:
        try:
            library = importlib.import_module(name)
        except ModuleNotFoundError:
            yield Finding(TOPIC, "note", f"{name} is not installed")
            continue
        others = ", ".join(_patchers(library))
        try:
            silent = _self_test(library)
        except Exception as error:  # whatever another patch of the same method does
            by = f" (patched by {others})" if others else ""
            yield Finding(TOPIC, "problem", f"{name}: the self-test failed: {type(error).__name__}: {error}{by}")
            continue
        if silent:
            by = f"; {others} stands before it, and may keep calls from us: let it patch before llm-observe starts" if others else ""
            yield Finding(TOPIC, "problem", f"{name}: a self-test call through {' and '.join(silent)} left no record{by}")
            continue
        yield Finding(TOPIC, "ok", f"{name} {version(name)}: self-test calls through Client and AsyncClient were seen")
        if others:
            yield Finding(TOPIC, "note", f"{name}: {others} patches the same methods; both see every call")


def _self_test(library: Any) -> list[str]:
    """Send made-up calls through a mock transport of the library. The clients whose call left no record."""
    transport = library.MockTransport(lambda _: library.Response(200, json=_ANSWER))

    def plainly() -> None:
        with library.Client(transport=transport) as client:
            client.post(_URL, json=_ASKED)

    async def in_a_loop() -> None:
        async with library.AsyncClient(transport=transport) as client:
            await client.post(_URL, json=_ASKED)

    silent = []
    for client, call in (("Client", plainly), ("AsyncClient", lambda: asyncio.run(in_a_loop()))):
        memory = MemoryExporter()
        with Observer(Settings(exporters=(memory,))) as observer, scope("llm-observe doctor", observer=observer):
            call()
        if [call.response.id for call in memory.calls] != ["self-test"]:
            silent.append(client)
    return silent


def _patchers(library: Any) -> list[str]:
    """Modules other than ours and the library itself that stand in the chain of ``send``."""
    found: list[str] = []
    for client in (library.Client, library.AsyncClient):
        step: Any = client.send
        seen: list[Any] = []
        while step is not None and not any(step is one for one in seen):
            seen.append(step)
            module = step.__globals__["__name__"] if isinstance(step, FunctionType) else type(step).__module__
            if module.partition(".")[0] not in {"llm_observe", library.__name__} and module not in found:
                found.append(module)
            step = getattr(step, "__wrapped__", None)
    return found
