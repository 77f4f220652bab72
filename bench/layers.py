"""What tracing, metrics, costs and events add to logging alone: `python bench/layers.py [--quick]`.

Each layer has an observer of its own, with the file exporter and the layer; they take turns within one run, with the bare client among
them, on the same mock transport. Reported is what each adds to the bare client, for the caller's thread (medians) and in CPU of all threads
(background work flushed within the window), and how often that is what logging alone adds. The collector is a process of its own: its CPU
does not count. Absolute figures are this machine's; compare ratios.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx2
from budget import ANSWER, ANSWER_HEADERS, CHUNKS, HEADERS, URL, prompt

import llm_observe
from llm_observe import capture
from llm_observe._runtime.default import swapped
from llm_observe.exporters import FileExporter

COLLECTOR = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
KNOWN = b"gpt-4o-mini"  # a model whose price is in the catalogue
BARE, ALONE = "bare client", "logging alone"


def layers(collector: str) -> dict[str, dict[str, Any]]:
    """The settings of each layer. Prices are looked up where they are asked for, and nowhere else."""
    return {
        ALONE: {},
        "cost": {"cost": True},
        "metrics, Prometheus": {"metrics": ["prometheus"]},
        "metrics, OTLP": {"metrics": [f"otlp+{collector}"]},
        "traces": {"more": f"otlp+{collector}", "otel": True},
        "traces and events": {"more": f"otlp+{collector}?events=true", "otel": True},
        "all of it": {"cost": True, "metrics": ["prometheus"], "more": f"otlp+{collector}?events=true", "otel": True},
    }


@contextmanager
def collecting() -> Iterator[str]:
    process = subprocess.Popen([sys.executable, "-c", COLLECTOR], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


class Chunks(httpx2.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        return iter(PIECES)


PIECES = [piece.replace(b"gpt-x-2026", KNOWN) for piece in CHUNKS]
WHOLE = ANSWER.replace(b"gpt-x-2026", KNOWN)


def answer(request: httpx2.Request) -> httpx2.Response:
    if b'"stream":true' in request.content[:40]:
        return httpx2.Response(200, headers=[("content-type", "text/event-stream"), *ANSWER_HEADERS[1:]], stream=Chunks())
    return httpx2.Response(200, headers=ANSWER_HEADERS, content=WHOLE)


def scenarios() -> dict[str, tuple[Callable[[], int], int]]:
    client = httpx2.Client(transport=httpx2.MockTransport(answer))

    def once(*, stream: bool) -> int:
        body = prompt(1000, stream=stream).replace(b"gpt-x", KNOWN)
        request = client.build_request("POST", URL, content=body, headers=HEADERS)
        began = time.perf_counter_ns()
        if stream:
            for _ in client.send(request, stream=True).iter_raw():
                pass
        else:
            client.send(request)
        return time.perf_counter_ns() - began

    return {"plain call, 1 KB prompt": (lambda: once(stream=False), 4000), "100-chunk stream": (lambda: once(stream=True), 1000)}


def measure(once: Callable[[], int], count: int, observers: dict[str, llm_observe.Observer | None], blocks: int) -> dict[str, Any]:
    times: dict[str, list[int]] = {name: [] for name in observers}
    cpu: dict[str, list[float]] = {name: [] for name in observers}
    names = list(observers)
    for block in range(blocks):
        for name in names[block % len(names) :] + names[: block % len(names)]:
            observer = observers[name]
            (capture.install if observer else capture.uninstall)()
            with swapped(observer) if observer else nullcontext():
                for _ in range(count // 10):
                    once()
                if observer:
                    observer.flush(60)
                began = time.process_time()
                times[name] += [once() for _ in range(count)]
                if observer:
                    observer.flush(60)
                cpu[name].append((time.process_time() - began) / count)
    path = {name: statistics.median(taken) / 1e3 for name, taken in times.items()}
    busy = {name: statistics.median(taken) * 1e6 for name, taken in cpu.items()}
    return {name: (path[name] - path[BARE], busy[name] - busy[BARE]) for name in names if name != BARE} | {BARE: (path[BARE], busy[BARE])}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    scale = 0.1 if options.parse_args().quick else 1.0
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}")
    with ExitStack() as stack:
        collector = stack.enter_context(collecting())
        observers: dict[str, llm_observe.Observer | None] = {BARE: None}
        for number, (name, settings) in enumerate(layers(collector).items()):
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            more = [settings.pop("more")] if "more" in settings else []
            observer = llm_observe.Observer(
                **{"cost": False, **settings, "exporters": [FileExporter(Path(directory) / str(number)), *more]}
            )
            observers[name] = stack.enter_context(observer)
        blocks = 2 * len(observers)
        for scenario, (once, rounds) in scenarios().items():
            found = measure(once, max(20, int(rounds * scale / blocks)), observers, blocks)
            path, busy = found.pop(BARE)
            print(f"\n{scenario:28} {'on the caller path (p50)':>26} {'CPU, all threads':>26}   (us; bare {path:.0f} and {busy:.0f})")
            for name, (added, cpu) in found.items():
                print(f"+ {name:26} {added:14.1f} {added / found[ALONE][0]:9.2f} x {cpu:14.1f} {cpu / found[ALONE][1]:9.2f} x")
        lost = {name: one.stats().exporters for name, one in observers.items() if one and not _all_out(one)}
        assert not lost, lost


def _all_out(observer: llm_observe.Observer) -> bool:
    stats = observer.stats()
    return stats.errors == 0 and all(one.exported == one.captured for one in stats.exporters.values())


if __name__ == "__main__":
    main()
