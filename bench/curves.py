"""How work grows, each as a curve: `python bench/curves.py [--quick] [--json FILE]`.

Four questions, each over four powers of ten: what a chunk costs over the length of its stream, what a message costs over its bytes, how fast
the sink is over what waits for it, and what a web request with a call in it costs over those under way. In each round all points of a
curve have a turn, bare and observed one after the other, on a transport in memory; figures are medians of differences and ratios within a
round. The caller's part is CPU of its thread, so that who else works does not count; the sink is held back meanwhile and measured after it.
"""

import asyncio
import gc
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
from budget import ANSWER_HEADERS, CHUNKS, HEADERS, URL, answer
from peers.processes import APP
from sink import Calls, Held, Load, options, spread

from llm_observe import capture
from llm_observe.asgi import LLMObserveMiddleware
from llm_observe.exporters import FileExporter

WEB = [(b"host", b"127.0.0.1"), (b"user-agent", b"bench"), (b"accept", b"*/*"), (b"content-length", b"0")]
Point = dict[str, float]
"""What one turn of one point gave."""

WARM = 1000  # records or requests at most, in a turn that does not count


def hooked(on: bool) -> None:
    (capture.install if on else capture.uninstall)()


# --- a chunk, over the length of its stream --------------------------------------------------------------------------


class Length:
    """Streams of *chunks*: some 20,000 chunks a turn."""

    def __init__(self, held: Held, chunks: int, scale: float) -> None:
        self.held, self.chunks, self.count = held, chunks, max(2, int(20_000 * scale / max(chunks, 20)))
        pieces = [CHUNKS[0]] * chunks + CHUNKS[-2:]

        class Stream(httpx2.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                return iter(pieces)

        head = [("content-type", "text/event-stream"), *ANSWER_HEADERS[1:]]
        self.client = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=head, stream=Stream())))
        self.body = Load("", 1, 1000, stream=True).body(0)

    def turn(self) -> Point:
        bare, observed = (self._streams(on=on) for on in (False, True))
        _, cpu = self.held.drained()
        return {"path_us": (observed - bare) * 1e6, "bare_us": bare * 1e6, "sink_us": cpu / self.count * 1e6}

    def _streams(self, *, on: bool) -> float:
        hooked(on)
        requests = [self.client.build_request("POST", URL, content=self.body, headers=HEADERS) for _ in range(self.count)]
        with self.held.back():
            began = time.thread_time()
            for request in requests:
                for _ in self.client.send(request, stream=True).iter_raw():
                    pass
            return (time.thread_time() - began) / self.count


def per_chunk(found: dict[int, list[Point]]) -> list[dict[str, Any]]:
    """What each chunk beyond the first adds, in nanoseconds: the cost of the call itself is the shortest stream's."""
    first = min(found)
    shortest = found[first]
    rows = []
    for chunks, points in found.items():
        if chunks != first:
            row = {"chunks": chunks}
            for name in ("path_us", "sink_us"):
                each = [(one[name] - base[name]) / (chunks - first) * 1e3 for one, base in zip(points, shortest, strict=True)]
                row[name.replace("_us", "_ns")] = spread(each)
            rows.append(row)
    return rows


# --- a message, over its bytes ---------------------------------------------------------------------------------------


class Message:
    """Plain calls with prompts of *size* bytes: up to 4 MB a turn."""

    def __init__(self, held: Held, size: int, scale: float) -> None:
        self.held, self.count = held, max(3, int(min(200.0, 4e6 / size) * scale))
        self.client = httpx2.Client(transport=httpx2.MockTransport(answer))
        self.load, self.size = Load("", 1, size), size

    def turn(self) -> Point:
        bare, observed = (self._calls(on=on) for on in (False, True))
        _, cpu = self.held.drained()
        return {"path_us": (observed - bare) * 1e6, "bare_us": bare * 1e6, "sink_us": cpu / self.count * 1e6}

    def _calls(self, *, on: bool) -> float:
        hooked(on)
        bodies = [self.load.body(number) for number in range(self.count)]
        requests = [self.client.build_request("POST", URL, content=body, headers=HEADERS) for body in bodies]
        with self.held.back():
            began = time.thread_time()
            for request in requests:
                self.client.send(request)
            return (time.thread_time() - began) / self.count


def per_message(found: dict[int, list[Point]]) -> list[dict[str, Any]]:
    """The caller's part, the sink's, and the sink's by the kilobyte."""
    rows = []
    for size, points in found.items():
        sinks = [point["sink_us"] for point in points]
        row = {"bytes": size, "path_us": spread([point["path_us"] for point in points]), "sink_us": spread(sinks)}
        rows.append(row | {"sink_us_per_kb": spread([each / (size / 1000) for each in sinks])})
    return rows


# --- the sink, over what waits for it --------------------------------------------------------------------------------


class Depth:
    """*depth* plain calls wait for the sink; of few, several times."""

    def __init__(self, held: Held, depth: int, scale: float) -> None:
        self.held, self.depth, self.load, self.calls = held, depth, Load("", 1, 1000), Calls()
        self.times = max(1, int(min(10.0, 1000 / depth) * scale))

    def turn(self) -> Point:
        hooked(True)
        taken = []
        for _ in range(self.times):
            with self.held.back():
                self.calls.make(self.load, self.depth)
            taken.append(self.held.drained())
        wall, cpu = (statistics.median(each) for each in zip(*taken, strict=True))
        return {"records_per_s": self.depth / wall, "sink_us": cpu / self.depth * 1e6}


def by_depth(found: dict[int, list[Point]]) -> list[dict[str, Any]]:
    """Throughput and CPU, and the throughput as a part of the one at a thousand, in the same round."""
    usual = found[1000]
    rows = []
    for depth, points in found.items():
        row: dict[str, Any] = {"waiting": depth} | {name: spread([p[name] for p in points]) for name in ("records_per_s", "sink_us")}
        parts = [one["records_per_s"] / base["records_per_s"] for one, base in zip(points, usual, strict=True)]
        rows.append(row | {"of_1000": spread(parts)})
    return rows


# --- a web request, over those under way -----------------------------------------------------------------------------


class Flight:
    """*width* web requests under way at once, each with a call in it; of few, several after another: at least 1,000 a turn.

    All calls are made before one is answered. The web request has the ASGI middleware around it, or has not. All are in memory at the same
    time, where Python's cyclic garbage collector visits them again and again, the bare ones too: each turn is done without it as well.
    """

    def __init__(self, held: Held, width: int, scale: float) -> None:
        self.held, self.width, self.times = held, width, max(1, int(1000 * scale) // width)
        self.client = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        self.body = Load("", 1, 1000).body(0)
        self.loop = asyncio.new_event_loop()
        self.app = {False: self._application, True: LLMObserveMiddleware(self._application, observer=held.observer)}

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.waiting += 1
        if self.waiting == self.width:
            self.all_here.set()
        await self.all_here.wait()
        return answer(request)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        request = self.client.build_request("POST", URL, content=self.body, headers=HEADERS)
        await self.client.send(request)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    def turn(self) -> Point:
        bare, observed = (self._requests(on=on) for on in (False, True))
        self.held.drained()
        gc.disable()
        try:
            bare_alone, observed_alone = (self._requests(on=on) for on in (False, True))
        finally:
            gc.enable()
        self.held.drained()
        added = {"path_us": (observed - bare) * 1e6, "path_us_gc_off": (observed_alone - bare_alone) * 1e6}
        return added | {"bare_us": bare * 1e6, "bare_us_gc_off": bare_alone * 1e6, "times_bare": observed / bare}

    def _requests(self, *, on: bool) -> float:
        hooked(on)
        app = self.app[on]

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            pass

        async def together() -> None:
            self.waiting, self.all_here = 0, asyncio.Event()
            scopes = [{"type": "http", "method": "GET", "path": "/chat", "headers": WEB, "root_path": ""} for _ in range(self.width)]
            await asyncio.gather(*(app(scope, receive, send) for scope in scopes))

        with self.held.back():
            began = time.thread_time()
            for _ in range(self.times):
                self.loop.run_until_complete(together())
            return (time.thread_time() - began) / (self.times * self.width)


def by_flight(found: dict[int, list[Point]]) -> list[dict[str, Any]]:
    """What observing adds to a request, with and without the garbage collector, to what, and how often the bare one's time that is."""
    names = ("path_us", "path_us_gc_off", "bare_us", "bare_us_gc_off", "times_bare")
    return [{"in_flight": width} | {name: spread([p[name] for p in points]) for name in names} for width, points in found.items()]


# --- all of them -----------------------------------------------------------------------------------------------------

CURVES: dict[str, tuple[Callable[[Held, int, float], Any], tuple[int, ...], Callable[[dict[int, list[Point]]], list[dict[str, Any]]]]] = {
    "what a chunk costs, over the length of its stream": (Length, (1, 10, 30, 100, 300, 1000, 3000, 10_000), per_chunk),
    "what a message costs, over its bytes": (Message, (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000), per_message),
    "how fast the background thread is, over what waits for it": (Depth, (10, 100, 1000, 10_000, 50_000), by_depth),
    "what a web request costs, over those under way": (Flight, (1, 10, 100, 1000, 10_000), by_flight),
}
"""Who takes a turn, at which points, and what is made of it."""


def measured(held: Held, rounds: int, scale: float) -> dict[str, list[dict[str, Any]]]:
    """The rows of each curve, from *rounds* after one that does not count, half as many where some points take long.

    The order of points is turned about from round to round.
    """
    curves = {}
    for name, (kind, all_points, made) in CURVES.items():
        most = max({Depth: 1000, Flight: 100}.get(kind, max(all_points)), max(all_points) * scale)  # the big ones cannot be done by a part
        points = [point for point in all_points if point <= most]
        turns = {point: kind(held, point, scale) for point in points}
        found: dict[int, list[Point]] = {point: [] for point in points}
        long = kind in {Depth, Flight}
        for point in points:
            if not long or point <= WARM:
                turns[point].turn()
        for round_ in range(max(1, rounds // 2) if long else rounds):
            for point in points if round_ % 2 else points[::-1]:
                found[point].append(turns[point].turn())
        held.check()
        curves[name] = made(found)
    return curves


def printed(curves: dict[str, list[dict[str, Any]]]) -> None:
    for name, rows in curves.items():
        print(f"\n{name}\n" + "".join(f"{head:>18}" for head in rows[0]))
        for row in rows:
            shown = [f"{value:,}" if isinstance(value, int) else f"{value['median']:,.2f}" for value in row.values()]
            print("".join(f"{each:>18}" for each in shown))


def main() -> None:
    said = options(__doc__)
    os.sched_setaffinity(0, {APP})
    with tempfile.TemporaryDirectory() as directory:
        held = Held(FileExporter(directory))
        curves = measured(held, said.rounds, said.scale)
        held.observer.shutdown()
    print(f"Python {platform.python_version()}, one core, medians of {said.rounds} rounds")
    printed(curves)
    if said.json:
        said.json.write_text(json.dumps({"python": platform.python_version(), "rounds": said.rounds, "curves": curves}, indent=1) + "\n")


if __name__ == "__main__":
    main()
