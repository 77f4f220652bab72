"""Whether the hooks hold: a made-up call through each client library, and who else stands in its way."""

import asyncio
import importlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import FunctionType
from typing import Any, NamedTuple

from llm_observe import Observer, capture, scope
from llm_observe.cli._report import Finding, version
from llm_observe.exporters.memory import MemoryExporter
from llm_observe.settings import Settings

TOPIC = "hooks"
_PATH = "/model/self-test/chat/completions"  # one that is a call's for all hooks, AWS's too
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
    with _server() as url:
        for module in capture.LIBRARIES:
            yield from _library(module, url)


def _library(module: str, url: str) -> Iterator[Finding]:
    name = module.partition(".")[0]
    try:
        library = importlib.import_module(module)
    except ModuleNotFoundError:
        yield Finding(TOPIC, "note", f"{name} is not installed")
        return
    tries = _TRIES[name]
    others = ", ".join(_patchers(library, tries))
    try:
        silent = _self_test(library, tries, url)
    except Exception as error:  # whatever another patch of the same method does
        by = f" (patched by {others})" if others else ""
        yield Finding(TOPIC, "problem", f"{name}: the self-test failed: {type(error).__name__}: {error}{by}")
        return
    if silent:
        by = f"; {others} stands before it, and may keep calls from us: let it patch before llm-observe starts" if others else ""
        yield Finding(TOPIC, "problem", f"{name}: a self-test call through {' and '.join(silent)} left no record{by}")
        return
    yield Finding(TOPIC, "ok", f"{name} {version(name)}: self-test calls through {' and '.join(one.owner for one in tries)} were seen")
    if others:
        yield Finding(TOPIC, "note", f"{name}: {others} patches the same methods; both see every call")


class Try(NamedTuple):
    """A method that is hooked, and a call that goes through it to a URL."""

    owner: str
    method: str
    call: Callable[[Any, str], object]


def _httpx(httpx: Any, url: str) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=_ANSWER))
    with httpx.Client(transport=transport) as client:
        client.post(url, json=_ASKED)


def _httpx_in_a_loop(httpx: Any, url: str) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=_ANSWER))

    async def main() -> None:
        async with httpx.AsyncClient(transport=transport) as client:
            await client.post(url, json=_ASKED)

    asyncio.run(main())


def _aiohttp(aiohttp: Any, url: str) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            await (await session.post(url, json=_ASKED)).read()

    asyncio.run(main())


def _requests(requests: Any, url: str) -> None:
    with requests.Session() as session:
        session.trust_env = False  # a proxy of the machine's is not asked for this machine
        session.post(url, json=_ASKED)


def _botocore(httpsession: Any, url: str) -> None:
    request = importlib.import_module("botocore.awsrequest").AWSRequest(method="POST", url=url, data=json.dumps(_ASKED).encode())
    session = httpsession.URLLib3Session()
    session.send(request.prepare())
    session.close()


_HTTPX = (Try("Client", "send", _httpx), Try("AsyncClient", "send", _httpx_in_a_loop))
_TRIES = {
    "httpx": _HTTPX,
    "httpx2": _HTTPX,
    "aiohttp": (Try("ClientSession", "_request", _aiohttp),),
    "requests": (Try("Session", "send", _requests),),
    "botocore": (Try("URLLib3Session", "send", _botocore),),
}


def _self_test(library: Any, tries: tuple[Try, ...], url: str) -> list[str]:
    """Send made-up calls through *library*, no further than this machine. The classes whose call left no record."""
    silent = []
    for one in tries:
        memory = MemoryExporter()
        with Observer(Settings(exporters=(memory,))) as observer, scope("llm-observe doctor", observer=observer):
            one.call(library, url)
        if [call.response.id for call in memory.calls] != ["self-test"]:
            silent.append(one.owner)
    return silent


class _Handler(BaseHTTPRequestHandler):
    """Answers every request with the self-test's answer."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.dumps(_ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _server() -> Iterator[str]:
    """An address on this machine that answers the self-test's calls, where there is no transport to stand in for the network."""
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{_PATH}"
        finally:
            server.shutdown()
            thread.join()


def _patchers(library: Any, tries: tuple[Try, ...]) -> list[str]:
    """Modules other than ours and the library itself that stand in the chain of its methods."""
    found: list[str] = []
    for one in tries:
        step: Any = getattr(getattr(library, one.owner), one.method)
        seen: list[Any] = []
        while step is not None and not any(step is other for other in seen):
            seen.append(step)
            module = step.__globals__["__name__"] if isinstance(step, FunctionType) else type(step).__module__
            if module.partition(".")[0] not in {"llm_observe", library.__name__.partition(".")[0]} and module not in found:
                found.append(module)
            step = getattr(step, "__wrapped__", None)
    return found
