"""The budget table of the design, measured: `python bench/budget.py [--quick] [--json FILE]`.

Bare client and observed client take turns within one run (A B A B), on the same mock transport, so that what a noisy machine does it
does to both. What is reported is the median of the differences between neighbouring blocks, for the caller's thread and, from the CPU clock of the whole process, for
all threads together. Absolute figures are this machine's; compare ratios.
"""

import argparse
import asyncio
import itertools
import json
import os
import platform
import resource
import selectors
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


def prompt(size: int, *, stream: bool = False, said: bytes = b"") -> bytes:
    """The body of a request whose prompt begins with *said*: what was said before is known to have no secrets, and soon gone through."""
    head = b'{"stream":true,' if stream else b"{"
    return head + b'"model":"gpt-x","messages":[{"role":"user","content":"' + said + b"lorem ipsum " * (size // 12) + b'"}]}'


class Scenario:
    """One thing to do, many times: ``once()`` returns the nanoseconds that the caller's thread spent."""

    def __init__(self, name: str, once: Callable[[], int], rounds: int, budget: float, cpu_budget: float | None = None) -> None:
        self.name, self.once, self.rounds, self.budget, self.cpu_budget = name, once, rounds, budget, cpu_budget


def client_scenarios() -> list[Scenario]:
    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    loop = asyncio.new_event_loop()
    aclient = httpx2.AsyncClient(transport=httpx2.MockTransport(answer_async))
    number = itertools.count()

    def body(size: int, *, stream: bool = False) -> bytes:
        return prompt(size, stream=stream, said=b"%d " % next(number))

    def plain(size: int, url: str = URL) -> Callable[[], int]:
        def once() -> int:
            request = client.build_request("POST", url, content=body(size), headers=HEADERS)
            began = time.perf_counter_ns()
            client.send(request)
            return time.perf_counter_ns() - began

        return once

    async def aplain(size: int) -> int:
        request = aclient.build_request("POST", URL, content=body(size), headers=HEADERS)
        began = time.perf_counter_ns()
        await aclient.send(request)
        return time.perf_counter_ns() - began

    def stream() -> int:
        request = client.build_request("POST", URL, content=body(1000, stream=True), headers=HEADERS)
        began = time.perf_counter_ns()
        for _ in client.send(request, stream=True).iter_raw():
            pass
        return time.perf_counter_ns() - began

    async def astream() -> int:
        request = aclient.build_request("POST", URL, content=body(1000, stream=True), headers=HEADERS)
        began = time.perf_counter_ns()
        async for _ in (await aclient.send(request, stream=True)).aiter_raw():
            pass
        return time.perf_counter_ns() - began

    def on_loop(make: Callable[[], Awaitable[int]]) -> Callable[[], int]:
        return lambda: loop.run_until_complete(make())

    return [
        Scenario("plain call, 1 KB prompt, sync", plain(1000), 4000, 15, 80),
        Scenario("plain call, 1 KB prompt, async", on_loop(lambda: aplain(1000)), 4000, 15, 80),
        Scenario("100-chunk stream, sync", stream, 1000, 80, 300),
        Scenario("100-chunk stream, async", on_loop(astream), 1000, 80, 300),
        Scenario("call with a 100 KB prompt", plain(100_000), 2000, 20, 400),
        Scenario("HTTP request that is no LLM call", plain(1000, "https://example.org/api/orders"), 6000, 1.5),
    ]


class Blocks:
    """What blocks took, bare and observed by turns. A machine's speed may change from one second to the next: each block is compared with its neighbour."""

    def __init__(self) -> None:
        self.times: dict[bool, list[list[int]]] = {False: [], True: []}
        self.cpu: dict[bool, list[float]] = {False: [], True: []}

    def row(self, name: str, budget: float, cpu_budget: float | None) -> dict[str, Any]:
        """The figures of the scenario *name*, in microseconds: medians over blocks, of their medians and of their differences."""
        bare, observed = ([statistics.median(block) / 1e3 for block in self.times[hooked]] for hooked in (False, True))
        every = [taken for block in self.times[True] for taken in block]
        return {
            "scenario": name,
            "bare_us": statistics.median(bare),
            "observed_us": statistics.median(observed),
            "added_us": statistics.median(after - before for before, after in zip(bare, observed, strict=True)),
            "of_bare": statistics.median(after / before - 1 for before, after in zip(bare, observed, strict=True)),
            "p90_observed_us": statistics.quantiles(every, n=10)[-1] / 1e3,
            "budget_us": budget,
            "cpu_added_us": statistics.median(after - before for before, after in zip(self.cpu[False], self.cpu[True], strict=True)) * 1e6,
            "cpu_budget_us": cpu_budget,
        }


BLOCKS = 20


def measure(scenario: Scenario, observer: llm_observe.Observer, scale: float) -> dict[str, Any]:
    """The cost that hooks add: caller's thread by medians, all threads by CPU time (background work flushed within the window)."""
    found, count = Blocks(), max(20, int(scenario.rounds * scale / BLOCKS))
    for block in range(BLOCKS):
        for hooked in (False, True) if block % 2 else (True, False):
            (capture.install if hooked else capture.uninstall)()
            for _ in range(count // 10):
                scenario.once()
            observer.flush(30)
            began = time.process_time()
            found.times[hooked].append([scenario.once() for _ in range(count)])
            if hooked:
                observer.flush(30)
            found.cpu[hooked].append((time.process_time() - began) / count)
    return found.row(scenario.name, scenario.budget, scenario.cpu_budget)


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
        found, count = Blocks(), max(20, int(300 * scale))
        for block in range(BLOCKS):
            for observed in (False, True) if block % 2 else (True, False):
                began = time.process_time()
                found.times[observed].append(drive(observed_app if observed else bare_app, count))
                if observed:
                    observer.flush(30)
                found.cpu[observed].append((time.process_time() - began) / count)
        rows.append(found.row(name, 15, None))
    return rows


# --- the whole process -----------------------------------------------------------------------------------------------


@contextmanager
def holds(observer: llm_observe.Observer) -> Iterator[list[int]]:
    """The CPU nanoseconds that the sink's thread works between two times that it lets go of the interpreter for a while.

    It may have let go in between, where it wrote to a file: what it holds is at most that.
    """
    taken: list[int] = []
    since = 0

    def watched(wait: Callable[..., Any]) -> Callable[..., Any]:
        def waited(*arguments: Any) -> Any:
            nonlocal since
            if arguments[-1] == 0 or not observer.sink.working_here:  # a look without a wait: nobody else comes to his turn by that
                return wait(*arguments)
            if since:
                taken.append(time.thread_time_ns() - since)
            try:
                return wait(*arguments)
            finally:
                since = time.thread_time_ns()

        return waited

    sleep, select = time.sleep, selectors.DefaultSelector.select
    time.sleep, selectors.DefaultSelector.select = watched(sleep), watched(select)
    try:
        yield taken
    finally:
        time.sleep, selectors.DefaultSelector.select = sleep, select


def waits(seconds: float) -> list[int]:
    """How long the application waits for the interpreter, in nanoseconds: a thread lets go of it and asks for it back.

    Meanwhile another thread makes plain calls, streams, and calls with a 100 KB prompt.
    """
    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    stop = threading.Event()

    def load() -> None:
        for number in itertools.count():
            for size, stream in ((1000, False), (1000, True), (100_000, False)):
                client.send(client.build_request("POST", URL, content=prompt(size, stream=stream, said=b"%d " % number), headers=HEADERS))
            if stop.wait(0.002):
                return

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    taken, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter_ns()
        time.sleep(0)
        taken.append(time.perf_counter_ns() - began)
        time.sleep(0.0002)
    stop.set()
    thread.join()
    return taken


def longest_hold(observer: llm_observe.Observer, scale: float) -> dict[str, float]:
    """How long the sink holds the interpreter, and how long others wait for it, in milliseconds: without the hooks, and with them."""
    seconds = max(2.0, 8 * scale)
    capture.uninstall()
    found = {"bare": waits(seconds)}
    capture.install()
    with holds(observer) as found["held"]:
        found["observed"] = waits(seconds)
        observer.flush(30)
    figures = {}
    for what, taken in found.items():
        ordered = sorted(taken)
        figures |= {f"{name}_{what}_ms": ordered[int(len(ordered) * share)] / 1e6 for name, share in (("p99", 0.99), ("p999", 0.999))}
        figures[f"max_{what}_ms"] = ordered[-1] / 1e6
    return figures


def memory_with_dead_exporters(calls: int) -> dict[str, float]:
    """RSS growth after the first 200 calls with every exporter dead, in a process of its own: 10,000 calls with 20 KB prompts, then 500 with 1 MB."""
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
for n in range(200):
    send(1000)
observer.flush(2)  # by then the sink has imported what it works with
base = peak = rss()
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
        f"{'on the caller path (p50)':36} {'bare':>8} {'observed':>9} {'added':>8} {'budget':>7} {'of bare':>8}   {'CPU, all threads':>16} {'budget':>7}   (us)"
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
        f"\nheld by the sink (ms, CPU)      p99 {hold['p99_held_ms']:.3f} p99.9 {hold['p999_held_ms']:.3f} max {hold['max_held_ms']:.3f}   budget 1"
    )
    print(
        f"wait for the interpreter (ms)  bare p99.9 {hold['p999_bare_ms']:.3f} max {hold['max_bare_ms']:.3f}   observed p99.9 {hold['p999_observed_ms']:.3f} max {hold['max_observed_ms']:.3f}"
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
    print(
        f"{row['scenario']:36} {row['bare_us']:8.1f} {row['observed_us']:9.1f} {row['added_us']:8.2f} {row['budget_us']:7} {row['of_bare']:8.0%}   {cpu}"
    )


if __name__ == "__main__":
    main()
