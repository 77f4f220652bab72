"""Where the background thread's time goes, stage by stage: `python bench/stages.py [--scale 0.1] [--rounds 3] [--json FILE]`.

Calls are made with the sink held back; then each of its stages does all of them, again and again, with nothing else running. Reported is the
median over the calls, and of that the best of all rounds: what the stage takes when nothing disturbs it. A call in an application takes
more: caches are cold, threads change places, and the sink wakes, rests and goes on. `bench/budget.py` measures that.

Below stands what reading alone takes. Nobody can do with less than that, the writing of the JSON and that of the line. Absolute figures are
this machine's; compare parts.
"""

import argparse
import asyncio
import collections
import gc
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from budget import HEADERS, URL, answer, prompt

import llm_observe
from llm_observe._runtime.default import swapped
from llm_observe._runtime.encode import encode
from llm_observe._runtime.items import Captured
from llm_observe._runtime.parcel import Parcel
from llm_observe._runtime.through import through
from llm_observe.exporters import FileExporter
from llm_observe.protocols import Batch

KINDS = {"plain": "plain call, 1 KB prompt", "stream": "100-chunk stream", "large": "call with a 100 KB prompt"}
CALLS = 100  # of a round
RECORD, PROCESS = "make a record of two bodies", "processors"
SECRETS, WRITTEN = "look for secrets, pack", "write the record as JSON"
OFFER, EXPORT = "offer it to an exporter", "write the line to the file"
STAGES = (RECORD, PROCESS, SECRETS, WRITTEN, OFFER, EXPORT)
READ = "both bodies read by msgspec alone"
number = itertools.count()


class Stages:
    """The stages' best times, in microseconds a call."""

    def __init__(self) -> None:
        self.best: dict[str, float] = {}
        self._empty = self._median(lambda _: None, range(1000))[0]  # of taking a time

    @staticmethod
    def _median(stage: Callable[[Any], Any], inputs: Sequence[Any]) -> tuple[float, list[Any]]:
        times, outputs = [], []
        for one in inputs:
            began = time.perf_counter_ns()
            output = stage(one)
            times.append(time.perf_counter_ns() - began)
            outputs.append(output)
        return statistics.median(times) / 1e3, outputs

    def take(self, name: str, stage: Callable[[Any], Any], inputs: Sequence[Any]) -> list[Any]:
        """What *stage* makes of each of *inputs*."""
        taken, outputs = self._median(stage, inputs)
        self.best[name] = min(self.best.get(name, float("inf")), taken - self._empty)
        return outputs


def call(client: httpx2.Client, kind: str) -> None:
    """One call of *kind*."""
    said = b"%d " % next(number)  # new prompts: what is known already need not be looked through again
    body = prompt(100_000 if kind == "large" else 1000, stream=kind == "stream", said=said)
    request = client.build_request("POST", URL, content=body, headers=HEADERS)
    if kind == "stream":
        collections.deque(client.send(request, stream=True).iter_raw(), maxlen=0)
    else:
        client.send(request)


def captured(observer: llm_observe.Observer, kind: str, calls: int) -> list[Captured]:
    """Calls as the sink takes them."""
    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    for _ in range(calls):
        call(client, kind)
    items: list[Any] = []
    while len(observer.handover):
        items += observer.handover.take(calls)
    return [item for item in items if isinstance(item, Captured)]


def read(exchange: Any) -> None:
    """Both bodies, by the fastest that there is."""
    msgspec.json.decode(exchange.request_body)
    if len(exchange.chunks) == 1:
        msgspec.json.decode(exchange.chunks[0])
        return
    for line in b"".join(exchange.chunks).split(b"\n"):
        if line.startswith(b"data: {"):
            msgspec.json.decode(line[6:])


def measured(kind: str, calls: int, rounds: int) -> dict[str, float]:
    """Every stage of such a call, by name."""
    with tempfile.TemporaryDirectory() as directory:
        observer = llm_observe.Observer(exporters=[FileExporter(Path(directory))])
        observer.sink.start = lambda: None  # what its thread does is done here, and two at once disturb each other
        (channel,), loop, stages = observer.sink.channels, asyncio.new_event_loop(), Stages()
        channel.open()
        gc.collect()
        gc.disable()
        for _ in range(rounds):
            with swapped(observer):
                items = captured(observer, kind, calls)
            exchanges = [item.exchange for item in items]
            stages.take(READ, read, exchanges)
            for item, exchange in zip(items, exchanges, strict=True):
                item.exchange, item.call_id = exchange, None
            records = [one for (one,) in stages.take(RECORD, lambda item: tuple(observer.assembler.records(item)), items)]
            records = stages.take(PROCESS, lambda record: through(record, observer.outlet.processors, observer.guard), records)
            stages.take(WRITTEN, encode, records)
            parcels = stages.take(SECRETS, lambda record: Parcel(*observer.redaction(record)), records)
            stages.take(OFFER, lambda parcel: channel.offer([parcel]), parcels)
            channel._waiting.clear()  # noqa: SLF001 - what exporting would do, in another thread
            channel.waiting_bytes = 0
            batch = Batch("0", [parcel.record for parcel in parcels], [parcel.line for parcel in parcels])
            stages.take(EXPORT, lambda batch: loop.run_until_complete(channel.exporter.export(batch)), [batch])
        gc.enable()
        loop.close()
        observer.closed = True  # nothing is left that its end would wait for
    best = stages.best
    best[EXPORT] /= calls
    best[SECRETS] -= best[WRITTEN]
    return best


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scale", type=float, default=1.0, help=f"how many calls, over the {CALLS} of each round (1)")
    options.add_argument("--rounds", type=int, default=30, help="how often each stage does them (30)")
    options.add_argument("--json", type=Path, help="write what was found there, too")
    asked = options.parse_args()
    calls = max(1, min(CALLS, int(CALLS * asked.scale)))
    found = {kind: measured(kind, calls, asked.rounds) for kind in KINDS}
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}; us a call\n")
    print(" " * 32 + "".join(f"{title:>26}" for title in KINDS.values()))
    for stage in STAGES:
        print(f"{stage:32}" + "".join(f"{best[stage]:26.1f}" for best in found.values()))
    print(f"{'together':32}" + "".join(f"{sum(best[stage] for stage in STAGES):26.1f}" for best in found.values()))
    print(f"\n{READ:32}" + "".join(f"{best[READ]:26.1f}" for best in found.values()))


if __name__ == "__main__":
    main()
