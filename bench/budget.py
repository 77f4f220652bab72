"""The budget table of the design, measured: `python bench/budget.py [--quick] [--json FILE]`.

Bare client and observed client take turns within one run (A B A B), on the same mock transport, so that what a noisy machine does it
does to both. What is reported is the difference of medians, for the caller's thread and, from the CPU clock of the whole process, for
all threads together. Absolute figures are this machine's; compare ratios.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

import llm_observe
from llm_observe import capture
from llm_observe.asgi import LLMObserveMiddleware
from llm_observe.exporters import FileExporter
from llm_observe.wsgi import LLMObserveWSGI

URL = "https://api.openai.com/v1/chat/completions"
HEADERS = {
    "authorization": "Bearer x",
    "content-type": "application/json",
    "user-agent": "OpenAI/Python 3.54.0",
    "x-stainless-retry-count": "0",
} | {f"x-stainless-{n}": "value" for n in ("arch", "async", "lang", "os", "package-version", "read-timeout", "runtime", "runtime-version")}
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-x-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "word " * 100}}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300},
    }
).encode()
ANSWER_HEADERS = [("content-type", "application/json"), ("x-request-id", "req_1"), ("openai-processing-ms", "12")] + [
    (f"x-ratelimit-{n}", "1") for n in range(12)
]
CHUNKS = [
    b"data: "
    + json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "gpt-x-2026",
            "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
        }
    ).encode()
    + b"\n\n"
    for _ in range(98)
] + [b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"]


class Chunks(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        return iter(CHUNKS)

    async def __aiter__(self) -> Any:
        for chunk in CHUNKS:
            yield chunk


def answer(request: httpx2.Request) -> httpx2.Response:
    if b'"stream":true' in request.content[:40]:
        return httpx2.Response(200, headers=[("content-type", "text/event-stream"), *ANSWER_HEADERS[1:]], stream=Chunks())
    return httpx2.Response(200, headers=ANSWER_HEADERS, content=ANSWER)


async def answer_async(request: httpx2.Request) -> httpx2.Response:
    return answer(request)


def prompt(size: int, *, stream: bool = False) -> bytes:
    head = b'{"stream":true,' if stream else b"{"
    return head + b'"model":"gpt-x","messages":[{"role":"user","content":"' + b"lorem ipsum " * (size // 12) + b'"}]}'


class Scenario:
    """One thing to do, many times: ``once()`` returns the nanoseconds that the caller's thread spent."""

    def __init__(self, name: str, once: Callable[[], int], rounds: int, budget: float, cpu_budget: float | None = None) -> None:
        self.name, self.once, self.rounds, self.budget, self.cpu_budget = name, once, rounds, budget, cpu_budget


def client_scenarios() -> list[Scenario]:
    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    loop = asyncio.new_event_loop()
    aclient = httpx2.AsyncClient(transport=httpx2.MockTransport(answer_async))

    def plain(body: bytes, url: str = URL) -> Callable[[], int]:
        def once() -> int:
            request = client.build_request("POST", url, content=body, headers=HEADERS)
            began = time.perf_counter_ns()
            client.send(request)
            return time.perf_counter_ns() - began

        return once

    async def aplain(body: bytes) -> int:
        request = aclient.build_request("POST", URL, content=body, headers=HEADERS)
        began = time.perf_counter_ns()
        await aclient.send(request)
        return time.perf_counter_ns() - began

    def stream() -> int:
        request = client.build_request("POST", URL, content=prompt(1000, stream=True), headers=HEADERS)
        began = time.perf_counter_ns()
        for _ in client.send(request, stream=True).iter_raw():
            pass
        return time.perf_counter_ns() - began

    async def astream() -> int:
        request = aclient.build_request("POST", URL, content=prompt(1000, stream=True), headers=HEADERS)
        began = time.perf_counter_ns()
        async for _ in (await aclient.send(request, stream=True)).aiter_raw():
            pass
        return time.perf_counter_ns() - began

    def on_loop(make: Callable[[], Awaitable[int]]) -> Callable[[], int]:
        return lambda: loop.run_until_complete(make())

    small, large = prompt(1000), prompt(100_000)
    return [
        Scenario("plain call, 1 KB prompt, sync", plain(small), 4000, 15, 80),
        Scenario("plain call, 1 KB prompt, async", on_loop(lambda: aplain(small)), 4000, 15, 80),
        Scenario("100-chunk stream, sync", stream, 1000, 80, 300),
        Scenario("100-chunk stream, async", on_loop(astream), 1000, 80, 300),
        Scenario("call with a 100 KB prompt", plain(large), 2000, 20, 400),
        Scenario("HTTP request that is no LLM call", plain(small, "https://example.org/api/orders"), 6000, 1.5),
    ]


def measure(scenario: Scenario, observer: llm_observe.Observer, scale: float) -> dict[str, Any]:
    """The cost that hooks add: caller's thread by medians, all threads by CPU time (background work flushed within the window)."""
    times: dict[bool, list[int]] = {False: [], True: []}
    cpu: dict[bool, list[float]] = {False: [], True: []}
    blocks = 12
    count = max(20, int(scenario.rounds * scale / blocks))
    for block in range(blocks):
        for hooked in (False, True) if block % 2 else (True, False):
            (capture.install if hooked else capture.uninstall)()
            for _ in range(count // 10):
                scenario.once()
            observer.flush(30)
            began = time.process_time()
            times[hooked] += [scenario.once() for _ in range(count)]
            if hooked:
                observer.flush(30)
            cpu[hooked].append((time.process_time() - began) / count)
    bare, observed = (statistics.median(times[hooked]) / 1e3 for hooked in (False, True))
    spread = statistics.quantiles(times[True], n=10)
    return {
        "scenario": scenario.name,
        "bare_us": bare,
        "observed_us": observed,
        "added_us": observed - bare,
        "p90_observed_us": spread[-1] / 1e3,
        "budget_us": scenario.budget,
        "cpu_added_us": (statistics.median(cpu[True]) - statistics.median(cpu[False])) * 1e6,
        "cpu_budget_us": scenario.cpu_budget,
    }


# --- the web request's scope -----------------------------------------------------------------------------------------


def web_scenarios(observer: llm_observe.Observer, scale: float) -> list[dict[str, Any]]:
    headers = [
        (b"host", b"127.0.0.1"),
        (b"user-agent", b"bench"),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip"),
        (b"content-length", b"0"),
    ]
    start, body = {"type": "http.response.start", "status": 200, "headers": []}, {"type": "http.response.body", "body": b"{}"}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start)
        await send(body)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    async def asgi(wrapped: Any, count: int) -> list[int]:
        taken = []
        for _ in range(count):
            scope = {"type": "http", "method": "GET", "path": "/chat", "headers": headers, "root_path": ""}
            began = time.perf_counter_ns()
            await wrapped(scope, receive, send)
            taken.append(time.perf_counter_ns() - began)
        return taken

    def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("content-type", "application/json")])
        return [b"{}"]

    def wsgi(wrapped: Any, count: int) -> list[int]:
        taken = []
        for _ in range(count):
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/chat", "SCRIPT_NAME": "", "HTTP_HOST": "127.0.0.1", "CONTENT_LENGTH": ""}
            began = time.perf_counter_ns()
            body = wrapped(environ, lambda *_: None)
            for _ in body:
                pass
            getattr(body, "close", lambda: None)()
            taken.append(time.perf_counter_ns() - began)
        return taken

    pairs: dict[str, tuple[Callable[[Any, int], list[int]], Any, Any]] = {
        "web request scope, ASGI": (lambda w, n: asyncio.run(asgi(w, n)), app, LLMObserveMiddleware(app, observer=observer)),
        "web request scope, WSGI": (wsgi, wsgi_app, LLMObserveWSGI(wsgi_app, observer=observer)),
    }
    rows = []
    for name, (drive, bare_app, observed_app) in pairs.items():
        times: dict[bool, list[int]] = {False: [], True: []}
        cpu: dict[bool, list[float]] = {False: [], True: []}
        count = int(500 * scale) or 20
        for block in range(12):
            for observed in (False, True) if block % 2 else (True, False):
                began = time.process_time()
                times[observed] += drive(observed_app if observed else bare_app, count)
                if observed:
                    observer.flush(30)
                cpu[observed].append((time.process_time() - began) / count)
        bare, watched = (statistics.median(times[observed]) / 1e3 for observed in (False, True))
        rows.append(
            {
                "scenario": name,
                "bare_us": bare,
                "observed_us": watched,
                "added_us": watched - bare,
                "p90_observed_us": statistics.quantiles(times[True], n=10)[-1] / 1e3,
                "budget_us": 15,
                "cpu_added_us": (statistics.median(cpu[True]) - statistics.median(cpu[False])) * 1e6,
                "cpu_budget_us": None,
            }
        )
    return rows


# --- the whole process -----------------------------------------------------------------------------------------------


def longest_hold(observer: llm_observe.Observer, scale: float) -> dict[str, float]:
    """How long the application waits for the interpreter while the sink works: a thread lets go of the GIL and asks for it back.

    Load is plain calls, streams and 100 KB prompts, handed over from another thread. The baseline is the same without the hooks.
    """
    found = {}
    for hooked in (False, True):
        (capture.install if hooked else capture.uninstall)()
        client = httpx2.Client(transport=httpx2.MockTransport(answer))
        stop = threading.Event()

        def load(client: httpx2.Client = client, stop: threading.Event = stop) -> None:
            bodies = [prompt(1000), prompt(1000, stream=True), prompt(100_000)]
            while not stop.is_set():
                for body in bodies:
                    client.send(client.build_request("POST", URL, content=body, headers=HEADERS))
                time.sleep(0.002)

        thread = threading.Thread(target=load, daemon=True)
        thread.start()
        waits = []
        until = time.monotonic() + max(2.0, 8 * scale)
        while time.monotonic() < until:
            began = time.perf_counter_ns()
            time.sleep(0)
            waits.append(time.perf_counter_ns() - began)
            time.sleep(0.0002)
        stop.set()
        thread.join()
        observer.flush(30)
        waits.sort()
        for name, share in (("p99", 0.99), ("p999", 0.999)):
            found[f"{name}_{'observed' if hooked else 'bare'}_ms"] = waits[int(len(waits) * share)] / 1e6
        found[f"max_{'observed' if hooked else 'bare'}_ms"] = waits[-1] / 1e6
    return found


def memory_with_dead_exporters(calls: int) -> dict[str, float]:
    """RSS growth with every exporter dead, in a process of its own: 10,000 calls with 20 KB prompts, then 500 with 1 MB."""
    code = f"""
import functools, sys, httpx2, llm_observe
sys.path.insert(0, {str(Path(__file__).parent)!r})
from budget import answer, prompt, HEADERS, URL, rss
async def dead(batch):
    raise ConnectionError("nobody there")
observer = llm_observe.configure(exporters=[dead, functools.partial(dead)])
client = httpx2.Client(transport=httpx2.MockTransport(answer))
def send(size):
    client.send(client.build_request("POST", URL, content=prompt(size), headers=HEADERS))
send(1000)
base = rss()
peak = base
for n in range({calls}):
    send(20_000)
    if n % 200 == 0: peak = max(peak, rss())
for n in range({calls // 20}):
    send(1_000_000)
    if n % 10 == 0: peak = max(peak, rss())
stats = observer.stats()
balanced = all(e.balanced for e in observer.shutdown(1).exporters.values())
print(base, max(peak, rss()), balanced, dict(next(iter(stats.exporters.values())).dropped))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    base, peak, balanced, dropped = done.stdout.strip().split(" ", 3)
    return {"growth_mib": (float(peak) - float(base)) / 2**20, "balanced": balanced == "True", "dropped": dropped}


def rss() -> int:
    """Resident bytes of this process, now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def import_time() -> dict[str, float]:
    """Milliseconds that `import llm_observe` adds to a bare interpreter, best of many. The byte code is there, as in any installation."""
    cache = tempfile.TemporaryDirectory()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {
        "PYTHONPYCACHEPREFIX": cache.name
    }

    def best(code: str) -> float:
        taken = []
        for _ in range(15):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, env=environment)
            taken.append(time.perf_counter() - began)
        return min(taken) * 1e3

    with cache:
        bare = best("pass")
        return {"import_ms": best("import llm_observe") - bare, "of_which_msgspec_ms": best("import msgspec") - bare}


@contextmanager
def observed() -> Iterator[llm_observe.Observer]:
    with tempfile.TemporaryDirectory() as directory:
        observer = llm_observe.configure(exporters=[FileExporter(directory)])
        try:
            yield observer
        finally:
            observer.shutdown()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    options.add_argument("--json", type=Path, help="also write the figures there")
    arguments = options.parse_args()
    scale = 0.1 if arguments.quick else 1.0
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}\n")
    print(
        f"{'on the caller path (p50)':36} {'bare':>8} {'observed':>9} {'added':>8} {'budget':>7}   {'CPU, all threads':>16} {'budget':>7}   (us)"
    )
    rows = []
    with observed() as observer:
        scenarios = client_scenarios()
        for scenario in scenarios:
            rows.append(measure(scenario, observer, scale))
            _print(rows[-1])
        capture.uninstall()
        for row in web_scenarios(observer, scale):
            rows.append(row)
            _print(row)
        hold = longest_hold(observer, scale)
    process = {"hold": hold, "memory": memory_with_dead_exporters(int(10_000 * scale)), "import": import_time()}
    print(
        f"\nwait for the interpreter (ms)  bare p99.9 {hold['p999_bare_ms']:.3f} max {hold['max_bare_ms']:.3f}   observed p99.9 {hold['p999_observed_ms']:.3f} max {hold['max_observed_ms']:.3f}   budget 1"
    )
    print(
        f"memory, every exporter dead    RSS growth {process['memory']['growth_mib']:.0f} MiB, law {'holds' if process['memory']['balanced'] else 'BROKEN'}   budget 100"
    )
    print(
        f"import llm_observe             {process['import']['import_ms']:.0f} ms, of which msgspec {process['import']['of_which_msgspec_ms']:.0f}   budget 60"
    )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps({"python": platform.python_version(), "rows": rows, "process": process}, indent=1))


def _print(row: dict[str, Any]) -> None:
    cpu = f"{row['cpu_added_us']:16.1f} {row['cpu_budget_us'] or '':>7}"
    print(f"{row['scenario']:36} {row['bare_us']:8.1f} {row['observed_us']:9.1f} {row['added_us']:8.2f} {row['budget_us']:7}   {cpu}")


if __name__ == "__main__":
    main()
