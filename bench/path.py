"""What the request path executes of ours, counted and not timed: `python bench/path.py [--record]`.

Bytecodes and function calls inside `llm_observe`, on the caller's thread alone, for one call once everything is warm. The count is the same on
every machine, so a test holds it against what was recorded: `tests/test_path.py`. `--record` writes this Python's counts to `bench/path.json`.
"""

import argparse
import asyncio
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import httpx2

import llm_observe
from llm_observe import capture
from llm_observe.asgi import LLMObserveMiddleware
from llm_observe.exporters import MemoryExporter
from llm_observe.wsgi import LLMObserveWSGI

sys.path.insert(0, str(Path(__file__).parent))
from budget import HEADERS, URL, answer, answer_async, prompt

RECORDED = Path(__file__).with_suffix(".json")
OURS = str(Path(llm_observe.__file__).parent)
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
ROUNDS = 5  # of which the least counts: a wake-up of the sink, or a collection of garbage, may fall into one


class Counter:
    """Counts what this thread runs in our frames. Before 3.12 it is the thread's trace function; since then there is `sys.monitoring`."""

    def __init__(self) -> None:
        self.bytecodes = self.calls = 0
        self._me = threading.get_ident()

    def of(self, once: Callable[[], object]) -> tuple[int, int]:
        """Bytecodes and calls of one go."""
        self.bytecodes = self.calls = 0
        (self._monitored if sys.version_info >= (3, 12) else self._traced)(once)
        return self.bytecodes, self.calls

    def _traced(self, once: Callable[[], object]) -> None:
        sys.settrace(self._trace)
        try:
            once()
        finally:
            sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "call":
            self.calls += 1
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        elif event == "opcode":
            self.bytecodes += 1
        return self._trace

    def _monitored(self, once: Callable[[], object]) -> None:
        monitoring = sys.monitoring
        events = monitoring.events
        tool = monitoring.PROFILER_ID
        monitoring.use_tool_id(tool, "path")

        def instruction(code: CodeType, offset: int) -> Any:
            if not code.co_filename.startswith(OURS):
                return monitoring.DISABLE
            self.bytecodes += threading.get_ident() == self._me
            return None

        def entered(code: CodeType, offset: int) -> Any:
            if not code.co_filename.startswith(OURS):
                return monitoring.DISABLE
            self.calls += threading.get_ident() == self._me
            return None

        monitoring.register_callback(tool, events.INSTRUCTION, instruction)
        monitoring.register_callback(tool, events.PY_START, entered)
        monitoring.register_callback(tool, events.PY_RESUME, entered)
        monitoring.set_events(tool, events.INSTRUCTION | events.PY_START | events.PY_RESUME)
        try:
            once()
        finally:
            monitoring.set_events(tool, events.NO_EVENTS)
            monitoring.free_tool_id(tool)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application with an answer of one piece."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def wsgi_application(environ: Any, start_response: Any) -> list[bytes]:
    """The same for WSGI."""
    start_response("200 OK", [("content-type", "application/json")])
    return [b"{}"]


def scenarios(observer: llm_observe.Observer) -> dict[str, Callable[[], object]]:
    """What is counted, by name."""
    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    aclient = httpx2.AsyncClient(transport=httpx2.MockTransport(answer_async))
    loop = asyncio.new_event_loop()
    asgi, wsgi = LLMObserveMiddleware(application, observer=observer), LLMObserveWSGI(wsgi_application, observer=observer)
    headers = [(b"host", b"127.0.0.1"), (b"user-agent", b"bench"), (b"accept", b"*/*"), (b"content-length", b"0")]

    def request(body: bytes, url: str = URL) -> httpx2.Request:
        return client.build_request("POST", url, content=body, headers=HEADERS)

    def stream() -> None:
        for _ in client.send(request(prompt(1000, stream=True)), stream=True).iter_raw():
            pass

    async def astream() -> None:
        async for _ in (await aclient.send(request(prompt(1000, stream=True)), stream=True)).aiter_raw():
            pass

    async def web() -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            pass

        await asgi({"type": "http", "method": "GET", "path": "/chat", "headers": headers, "root_path": ""}, receive, send)

    def web_wsgi() -> None:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/chat", "SCRIPT_NAME": "", "HTTP_HOST": "127.0.0.1", "CONTENT_LENGTH": ""}
        body = wsgi(environ, lambda *_: None)
        for _ in body:
            pass
        getattr(body, "close", lambda: None)()

    return {
        "plain call": lambda: client.send(request(prompt(1000))),
        "plain call, async": lambda: loop.run_until_complete(aclient.send(request(prompt(1000)))),
        "call with a 100 KB prompt": lambda: client.send(request(prompt(100_000))),
        "stream of 100 chunks": stream,
        "stream of 100 chunks, async": lambda: loop.run_until_complete(astream()),
        "no call": lambda: client.send(request(prompt(1000), "https://example.org/api/orders")),
        "web request, ASGI": lambda: loop.run_until_complete(web()),
        "web request, WSGI": web_wsgi,
    }


def counted() -> dict[str, dict[str, int]]:
    """Each scenario's least counts."""
    observer = llm_observe.configure(exporters=[MemoryExporter()])
    observer.sink.start()
    counter, found = Counter(), {}
    try:
        for name, once in scenarios(observer).items():
            for _ in range(20):
                once()
            rounds = [counter.of(once) for _ in range(ROUNDS)]
            found[name] = {"bytecodes": min(n for n, _ in rounds), "calls": min(n for _, n in rounds)}
    finally:
        capture.uninstall()
        observer.shutdown()
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--record", action="store_true", help="write this Python's counts to bench/path.json")
    options.add_argument("--json", action="store_true", help="the counts alone, as JSON")
    arguments = options.parse_args()
    found = counted()
    if arguments.json:
        print(json.dumps(found))
        return
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    if arguments.record:
        RECORDED.write_text(json.dumps({**recorded, PYTHON: found}, indent=1, sort_keys=True) + "\n")
    print(f"Python {PYTHON}{'':22} {'bytecodes':>10} {'calls':>7}   {'recorded':>9}")
    for name, counts in found.items():
        before = recorded.get(PYTHON, {}).get(name, {}).get("bytecodes")
        change = "" if before is None else f"{before:9} {100 * (counts['bytecodes'] / before - 1):+6.1f} %"
        print(f"{name:33} {counts['bytecodes']:10} {counts['calls']:7}   {change}")


if __name__ == "__main__":
    main()
