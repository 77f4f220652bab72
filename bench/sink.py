"""How fast the sink gets rid of what waits, by exporter: `python bench/sink.py [--quick] [--json FILE]`.

The sink is held back while calls are made through the hooks, then let go: what is timed is how long it takes to decode all that waits and
to have it exported, with an empty queue at the end, and the CPU of all threads meanwhile. Exporters take turns within one run, each with an
observer of its own; what arrived is counted. `nothing` is an exporter that does nothing: decoding, processing and encoding alone. Receivers
are processes of their own on another core. Absolute figures are this machine's; compare ratios.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from budget import ANSWER, CHUNKS, HEADERS, URL, answer
from peers.markers import prompt
from peers.processes import APP, Server, got

from llm_observe import Observer, capture
from llm_observe._runtime.default import swapped
from llm_observe.exporters import FileExporter, StdoutExporter

ROOM = {"queue_records": 100_000, "queue_bytes": 4 * 2**30}  # nothing is refused or shed, however much is made to wait


class Held:
    """An observer whose sink can be held back, so that what is captured waits in the hand-over."""

    def __init__(self, exporter: Any) -> None:
        self._free = threading.Event()
        self._free.set()
        self.observer = Observer(exporters=[exporter], processors=[self._pass], cost=False, **ROOM)

    def _pass(self, record: Any) -> Any:
        self._free.wait()
        return record

    @contextmanager
    def back(self) -> Iterator[None]:
        """What is captured inside waits, until the end."""
        self._free.clear()
        try:
            with swapped(self.observer):
                yield
        finally:
            self._free.set()

    def drained(self) -> tuple[float, float]:
        """Seconds until all that waits has been exported, and CPU seconds of all threads. To be called with nothing else going on."""
        cpu, began = time.process_time(), time.perf_counter()
        if not self.observer.flush(600):
            raise RuntimeError(f"not out within 600 s: {self.observer.stats()}")
        return time.perf_counter() - began, time.process_time() - cpu

    def check(self) -> None:
        """Nothing was lost: or the figures are of something else."""
        stats = self.observer.stats()
        if stats.errors or stats.shed or any(one.exported != one.captured for one in stats.exporters.values()):
            raise RuntimeError(f"not everything was exported: {stats}")


@dataclass
class Way:
    """An exporter by name, and how many records *arrived* since that was asked last; None where it is known at the end only."""

    name: str
    held: Held
    arrived: Callable[[], int | None]


@dataclass
class Load:
    """Calls of one kind: *count* of them are made to wait, each with *size* bytes of prompt."""

    name: str
    count: int
    size: int
    stream: bool = False

    def weight(self) -> int:
        """Of both bodies."""
        return len(self.body(0)) + (sum(map(len, CHUNKS)) if self.stream else len(ANSWER))

    def body(self, number: int) -> bytes:
        head = b'{"stream":true,' if self.stream else b"{"
        said = prompt(f"{number:012x}", self.size).encode()
        return head + b'"model":"gpt-x","messages":[{"role":"user","content":"' + said + b'"}]}'


LOADS = [
    Load("plain call, 1 KB prompt", 1000, 1000),
    Load("100-chunk stream", 150, 1000, stream=True),
    Load("call with a 100 KB prompt", 100, 100_000),
]


class Calls:
    """Makes calls over a transport in memory."""

    def __init__(self) -> None:
        self.client, self.number = httpx2.Client(transport=httpx2.MockTransport(answer)), 0

    def make(self, load: Load, count: int) -> None:
        for _ in range(count):
            self.number += 1
            request = self.client.build_request("POST", URL, content=load.body(self.number), headers=HEADERS)
            if load.stream:
                for _ in self.client.send(request, stream=True).iter_raw():
                    pass
            else:
                self.client.send(request)


# --- the exporters ---------------------------------------------------------------------------------------------------


def to_nothing() -> Way:
    came = 0

    async def nothing(batch: Any) -> None:
        nonlocal came
        came += len(batch)

    def arrived() -> int:
        nonlocal came
        seen, came = came, 0
        return seen

    return Way("nothing", Held(nothing), arrived)


def to_file(directory: Path) -> Way:
    at = 0

    def arrived() -> int:
        nonlocal at
        lines = sum(path.read_bytes().count(b"\n") for path in directory.glob("*.jsonl"))
        seen, at = lines - at, lines
        return seen

    return Way("file", Held(FileExporter(directory)), arrived)


def to_receiver(name: str, url: str, sink: Server) -> Way:
    def arrived() -> int:
        return got(f"{sink.url}/count")["whole_prompts"]

    return Way(name, Held(url), arrived)


@contextmanager
def to_pipe() -> Iterator[Way]:
    """Lines to a process that counts them."""
    with subprocess.Popen(["wc", "-l"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        way = Way("stdout, a pipe", Held(StdoutExporter(reader.stdin, format="json")), lambda: None)
        try:
            yield way
        finally:
            out = way.held.observer.shutdown(60).exporters["stdout"].exported
            lines = int(reader.communicate()[0])
        if lines != out:
            raise RuntimeError(f"{lines} lines arrived of {out}")


@contextmanager
def ways(home: Path) -> Iterator[list[Way]]:
    """All exporters, set up as users have them."""
    with ExitStack() as stack:
        sink = stack.enter_context(Server("peers.swallow", home / "sink.txt"))
        found = [
            to_nothing(),
            to_file(home / "records"),
            stack.enter_context(to_pipe()),
            to_receiver("http", f"{sink.url}/records", sink),
            to_receiver("OTLP", f"otlp+{sink.url}", sink),
        ]
        for way in found:
            stack.callback(way.held.observer.shutdown)
        yield found


# --- the measurement -------------------------------------------------------------------------------------------------


def measured(found: list[Way], loads: list[Load], rounds: int, scale: float) -> list[dict[str, Any]]:
    """A row for each load and exporter, from *rounds* in which each had a turn after one that does not count."""
    calls, blocks = Calls(), {(load.name, way.name): [] for load in loads for way in found}
    for round_ in range(rounds + 1):
        turned = found[round_ % len(found) :] + found[: round_ % len(found)]
        for load in loads:
            count = max(5, int(load.count * scale))
            for way in turned:
                with way.held.back():
                    calls.make(load, count)
                taken = way.held.drained()
                way.held.check()
                if (came := way.arrived()) not in {None, count}:
                    raise RuntimeError(f"{way.name}: {came} of {count} records arrived, {load.name}")
                if round_:
                    blocks[load.name, way.name].append((count, *taken))
    return [row(load, name, blocks[load.name, name], blocks[load.name, "nothing"]) for load in loads for name in (w.name for w in found)]


def row(load: Load, name: str, blocks: list[tuple[int, float, float]], alone: list[tuple[int, float, float]]) -> dict[str, Any]:
    rates = [count / wall for count, wall, _ in blocks]
    cpu = [cpu / count * 1e6 for count, _, cpu in blocks]
    times = [ours / (nothing / many) for ours, (many, _, nothing) in zip((b[2] / b[0] for b in blocks), alone, strict=True)]
    return {
        "load": load.name,
        "exporter": name,
        "bytes": load.weight(),
        "records_per_s": spread(rates),
        "mb_per_s": spread([rate * load.weight() / 1e6 for rate in rates]),
        "cpu_us": spread(cpu),
        "times_nothing": spread(times),
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": statistics.median(values), "q1": low, "q3": high}


def options(description: str | None) -> argparse.Namespace:
    known = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--quick", action="store_true", help="a tenth of the work: to see that it works, not to be believed")
    known.add_argument("--scale", type=float, help="how much of the work (1; 0.1 with --quick)")
    known.add_argument("--rounds", type=int, help="how often each has its turn (7; 2 with --quick)")
    known.add_argument("--json", type=Path, help="also write the figures there")
    said = known.parse_args()
    said.scale = said.scale or (0.1 if said.quick else 1.0)
    said.rounds = said.rounds or (2 if said.quick else 7)
    return said


def main() -> None:
    said = options(__doc__)
    os.sched_setaffinity(0, {APP})
    capture.install()
    with tempfile.TemporaryDirectory() as directory, ways(Path(directory)) as found:
        rows = measured(found, LOADS, said.rounds, said.scale)
    print(f"Python {platform.python_version()}, one core for the sink, medians of {said.rounds} rounds")
    for number, one in enumerate(rows):
        if not number or one["load"] != rows[number - 1]["load"]:
            print(f"\n{one['load']:28}{'records/s':>12}{'quartiles':>20}{'MB/s':>9}{'CPU us/record':>16}{'x nothing':>11}")
        quartiles = f"{one['records_per_s']['q1']:,.0f} to {one['records_per_s']['q3']:,.0f}"
        figures = f"{one['mb_per_s']['median']:9.1f}{one['cpu_us']['median']:16.1f}{one['times_nothing']['median']:11.2f}"
        print(f"  {one['exporter']:26}{one['records_per_s']['median']:12,.0f}{quartiles:>20}{figures}")
    if said.json:
        said.json.write_text(json.dumps({"python": platform.python_version(), "rounds": said.rounds, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
