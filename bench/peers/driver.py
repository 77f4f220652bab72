"""The run: in each round every tool in turn does a block of a scenario while all others wait.

Who fails is out of that scenario, with the reason, and begins the next one anew. What was measured is told after each scenario, so that a
run that was broken off can be taken up again.
"""

import collections
import functools
import itertools
import queue
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers.instructions import Counted, counting
from peers.processes import APP, BENCH, CORES, Server, WebApp, Worker, finished, got
from peers.scenarios import Scenario
from peers.tools import Tool

NOBODY = "http://127.0.0.1:9"
FAST = Path("/dev/shm")
LEAST = 3  # rounds, however long they take
BESIDE = {"memory", "counted"}  # kinds that need no turns: two tools work at a time, each in a process of its own, with a sink of its own
LASTING = {"calls", "crowd", "web"}  # kinds that fill the time they are given: they come last, after what takes as long as it takes


@dataclass
class Run:
    """Which *tools* do which *scenarios* within how many *seconds*, and what came out: by scenario and tool."""

    tools: list[Tool]
    scenarios: list[Scenario]
    seconds: float
    home: Path
    pythons: dict[str, Path]
    tick: Callable[[str], None]
    save: Callable[["Run"], None]
    quick: bool = False
    most: int = 60  # rounds, however fast they are
    blocks: dict[str, dict[str, list[dict[str, float]]]] = field(default_factory=dict)
    exported: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    failed: dict[str, dict[str, str]] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)  # seconds, of the scenarios that are done
    crew: dict[str, Worker | WebApp | Counted] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)
    number: int = 0

    def count(self, scenario: Scenario) -> int:
        return min(scenario.count, max(10, scenario.count // 10)) if self.quick else scenario.count

    def all(self) -> None:
        seat = ""
        kinds = {"calls": self.called, "crowd": self.called, "web": self.served, "memory": self.remembered, "import": self.imported}
        kinds |= {"counted": self.counted, "own": self.alone}
        try:
            for scenario in sorted(self.scenarios, key=lambda each: each.kind in LASTING):
                if scenario.name in self.took:
                    continue
                began, before = time.monotonic(), seat
                seat = {"crowd": "calls"}.get(scenario.kind, scenario.kind) + scenario.framework
                if seat != before:
                    self.dismiss()
                self.blocks[scenario.name], self.exported[scenario.name], self.failed[scenario.name] = {}, {}, {}
                try:
                    self.serve()
                    kinds[scenario.kind](scenario)
                except Exception as error:
                    self.failed[scenario.name]["bare"] = f"{type(error).__name__}: {error}"  # without it there is nothing to compare with
                    self.dismiss()
                self.took[scenario.name] = time.monotonic() - began
                self.save(self)
        finally:
            self.dismiss()

    def serve(self) -> None:
        """Whom all call and whom all export to, where they are not there."""
        if not self.servers:
            self.provider = self.servers.setdefault("provider", Server("peers.provider", self.log("provider")))
            self.sink = self.servers.setdefault("sink", Server("peers.swallow", self.log("sink")))

    def dismiss(self) -> None:
        """Nobody is at work any more."""
        for member in [*self.crew.values(), *self.servers.values()]:
            member.close()
        self.crew.clear()
        self.servers.clear()

    # --- turns ---------------------------------------------------------------------------------------------------------

    def turns(self, scenario: Scenario, do: Callable[[Tool, bool], None]) -> None:
        """Have each tool *do* a block in each round, for as long as the scenario may take; the first round is to warm up and does not count."""
        until = time.monotonic() + self.seconds * scenario.share / sum(each.share for each in self.scenarios)  # whatever others took
        for done in itertools.count():
            began = time.monotonic()
            least = min(self.most, 1 if self.quick else LEAST)
            for tool in self.turned(done):
                if tool.name not in self.failed[scenario.name]:
                    self.attempt(scenario, tool, functools.partial(do, tool, done > 0))
                    self.tick(f"{scenario.title}: {tool.name}, round {done}")
            over = time.monotonic() + (time.monotonic() - began) > until
            if done >= self.most or (done >= least and over) or "bare" in self.failed[scenario.name]:
                return

    def turned(self, round_: int) -> Iterator[Tool]:
        """The tools, in each round in another order: each begins as often as any other, and follows not always the same."""
        at = (round_ // 2) % len(self.tools)
        turned = self.tools[at:] + self.tools[:at]
        return iter(turned) if round_ % 2 == 0 else reversed(turned)

    def attempt(self, scenario: Scenario, tool: Tool, do: Callable[[], object]) -> None:
        """Who fails is told of, and takes no further part in *scenario*."""
        try:
            do()
        except Exception as error:
            self.failed[scenario.name][tool.name] = f"{type(error).__name__}: {error}"
            member = self.crew.pop(tool.name, None)
            if member is not None:
                member.close()
            if scenario.kind not in BESIDE:
                got(f"{self.sink.url}/count")  # what it left is nobody else's

    def keep(self, scenario: Scenario, tool: Tool, times: list[float], unit: float, took: float = 0, **more: float) -> None:
        """One block: what its calls took, in milliseconds."""
        ordered = sorted(each * unit * 1e3 for each in times)
        kept = {"count": len(ordered), "p50": statistics.median(ordered), "p99": ordered[int(len(ordered) * 0.99)], "max": ordered[-1]}
        kept |= ({"per_s": len(ordered) / took} if took else {}) | more
        self.blocks[scenario.name].setdefault(tool.name, []).append(kept)

    def exports(self, scenario: Scenario, tool: Tool, found: dict[str, int], asked: int) -> None:
        """How many of the calls *asked* were *found* where the tool exports to."""
        total = collections.Counter(self.exported[scenario.name].get(tool.name, {}))
        total.update(found, asked=asked)
        self.exported[scenario.name][tool.name] = dict(total)

    # --- calls from one process of each tool ---------------------------------------------------------------------------

    def called(self, scenario: Scenario) -> None:
        def do(tool: Tool, counts: bool) -> None:
            worker = self.crew.get(tool.name) or self.crew.setdefault(tool.name, self.worker(tool))
            count = self.count(scenario) if counts else max(5, self.count(scenario) // 5)
            cpu, began = self.provider.busy(), time.monotonic()
            block = worker.ask("block", scenario=scenario.name, count=count)
            busy = (self.provider.busy() - cpu) / (time.monotonic() - began)
            found = self.found(tool, worker, self.sink) if scenario.size else {}
            if counts:
                took = block.get("took", 0) / 1e9
                more = {"caller_us": statistics.median(block["own"]) / 1e3} if "own" in block else {}
                self.keep(scenario, tool, block["times"], 1e-9, cpu_us=block["cpu"] / count * 1e6, took=took, provider=busy, **more)
                if scenario.size:
                    self.exports(scenario, tool, found, count)

        self.turns(scenario, do)

    def worker(self, tool: Tool, sink: str = "", core: int = APP, home: Path | None = None, under: Iterable[str] = ()) -> Worker:
        home = home or self.home / "stored" / tool.name
        home.mkdir(parents=True, exist_ok=True)
        command = [str(self.pythons[tool.name]), "-m", "peers.worker", tool.name, self.provider.url, sink or self.sink.url, str(home)]
        worker = Worker([*under, *command], core, self.log(tool.name))
        self.versions[tool.name] = worker.ask("hello")["versions"]
        return worker

    def found(self, tool: Tool, worker: Worker | WebApp, sink: Server) -> dict[str, int]:
        """How many calls of the last block are where *tool* exports to. It has been flushed."""
        stored = worker.stored()
        return stored if tool.exports == "disk" else got(f"{sink.url}/count")

    # --- web apps ------------------------------------------------------------------------------------------------------

    def served(self, scenario: Scenario) -> None:
        def do(tool: Tool, counts: bool) -> None:
            app = self.crew.get(tool.name) or self.crew.setdefault(tool.name, self.app(tool, scenario.framework))
            count = self.count(scenario) if counts else max(10, self.count(scenario) // 5)
            way = f"r{scenario.rate}" if scenario.rate else f"c{scenario.concurrency}"
            seen = app.load(count, way, self.number)
            self.number += count
            found = self.found(tool, app, self.sink)
            if counts:
                self.keep(scenario, tool, seen["times"], 1, took=seen["took"], failed=seen["failed"])
                self.exports(scenario, tool, found, count)

        self.turns(scenario, do)

    def app(self, tool: Tool, framework: str, sink: str = "", core: int = APP, under: Iterable[str] = ()) -> WebApp:
        home = self.home / "stored" / f"{tool.name}-{framework}"
        home.mkdir(parents=True, exist_ok=True)
        bench = {"tool": tool.name, "provider": self.provider.url, "sink": sink or self.sink.url, "home": str(home)}
        return WebApp(self.pythons[tool.name], framework, self.log(f"{tool.name}-{framework}"), bench, core, under)

    # --- instructions --------------------------------------------------------------------------------------------------

    def counted(self, scenario: Scenario) -> None:
        """What each tool executes: after at least as much work as one block, to warm up, which is not counted."""
        count = self.count(scenario)

        def once(tool: Tool, core: int) -> None:
            work = self.crew.get(tool.name) or self.crew.setdefault(tool.name, self.counting(tool, scenario, core))
            asked = work.asked
            work.work(scenario, max(count, 10))
            blocks = [work.block(scenario, count) for _ in range(1 if self.quick else 2)]
            self.blocks[scenario.name][tool.name] = blocks
            if scenario.size:
                self.exports(scenario, tool, self.found(tool, work.member, work.sink), work.asked - asked)

        self.beside(scenario, self.tools, once)

    def counting(self, tool: Tool, scenario: Scenario, core: int) -> Counted:
        folder = self.home / "instructions" / tool.name
        under, sink = counting(folder), Server("peers.swallow", self.log("sink"))
        try:
            if scenario.framework:
                return Counted(self.app(tool, scenario.framework, sink.url, core, under), sink, folder)
            return Counted(self.worker(tool, sink.url, core, under=under), sink, folder)
        except BaseException:
            sink.close()  # nobody is there who would
            raise

    # --- the whole process ---------------------------------------------------------------------------------------------

    def remembered(self, scenario: Scenario) -> None:
        """Each tool in a new process, once: memory does not depend on who else runs, nor on a disk's speed."""
        dead = scenario.name.endswith("dead")

        def once(tool: Tool, core: int) -> None:
            with ExitStack() as stack:
                home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None)))
                sink = stack.enter_context(Server("peers.swallow", self.log("sink")))
                worker = stack.enter_context(self.worker(tool, NOBODY if dead else sink.url, core, home))
                said = worker.ask("memory", count=self.count(scenario), dead=dead)
                if not dead:
                    self.exports(scenario, tool, self.found(tool, worker, sink), said["made"])
            mib = {name: said[name] / 2**20 for name in ("base", "peak", "end")}
            self.blocks[scenario.name][tool.name] = [mib | {"growth": mib["peak"] - mib["base"]}]

        self.beside(scenario, [tool for tool in self.tools if not dead or tool.exports == "sink" or tool.name == "bare"], once)

    def beside(self, scenario: Scenario, tools: list[Tool], once: Callable[[Tool, int], None]) -> None:
        """Have each of *tools* do *once*, on a core that no other has meanwhile."""
        cores = queue.SimpleQueue()
        for core in CORES:
            cores.put(core)

        def seated(tool: Tool) -> None:
            core = cores.get()
            try:
                self.attempt(scenario, tool, functools.partial(once, tool, core))
            finally:
                cores.put(core)
            self.tick(f"{scenario.title}: {tool.name}")

        with ThreadPoolExecutor(len(CORES)) as pool:
            list(pool.map(seated, tools))

    def imported(self, scenario: Scenario) -> None:
        def do(tool: Tool, counts: bool) -> None:
            began = time.perf_counter()
            finished([str(self.pythons[tool.name]), "-c", tool.imports], self.log(f"{tool.name}-import"), APP)
            if counts:
                self.keep(scenario, tool, [time.perf_counter() - began], 1)

        self.turns(scenario, do)

    def alone(self, scenario: Scenario) -> None:
        """What is measured of ourselves, by a bench of its own."""
        tool = next(tool for tool in self.tools if tool.name == "llm-observe-otlp")
        written = self.home / f"{scenario.name}.json"
        command = [str(self.pythons[tool.name]), str(BENCH / f"{scenario.name}.py"), "--json", str(written)]
        quick = ["--quick"] if self.quick else []
        self.tick(f"{scenario.title}")
        core = APP if scenario.name == "budget" else None  # the others choose a core for themselves, and one for who receives
        self.attempt(scenario, tool, lambda: finished([*command, *quick], self.log(scenario.name), core))
        if not self.failed[scenario.name]:
            self.own[scenario.name] = written.read_text()

    def log(self, name: str) -> Path:
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        return self.home / "logs" / f"{name}.txt"
