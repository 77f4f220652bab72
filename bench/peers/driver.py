"""The run: in each round every tool in turn does a block of a scenario while all others wait."""

import collections
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers.processes import APP, Server, WebApp, Worker, got, started
from peers.scenarios import Scenario
from peers.tools import TOOLS, Tool

NOBODY = "http://127.0.0.1:9"


@dataclass
class Run:
    """Which *tools* do which *scenarios*, how often, and what came out: blocks by scenario and tool."""

    tools: list[Tool]
    scenarios: list[Scenario]
    rounds: int
    scale: float
    home: Path
    pythons: dict[str, Path]
    tick: Callable[[str], None]
    blocks: dict[tuple[str, str], list[dict[str, float]]] = field(default_factory=lambda: collections.defaultdict(list))
    exported: dict[tuple[str, str], collections.Counter[str]] = field(default_factory=lambda: collections.defaultdict(collections.Counter))
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    number: int = 0

    def steps(self) -> int:
        """How often :attr:`tick` will be called, at most."""
        return len(self.tools) * sum(1 if s.kind == "memory" else self.rounds_of(s) for s in self.scenarios)

    def rounds_of(self, scenario: Scenario) -> int:
        return max(2, self.rounds // 2) if scenario.kind in {"web", "crowd"} else self.rounds

    def count(self, scenario: Scenario) -> int:
        return scenario.count if scenario.kind == "import" else max(10, int(scenario.count * self.scale))

    def all(self) -> None:
        with Server("peers.provider", self.log("provider")) as self.provider, Server("peers.swallow", self.log("sink")) as self.sink:
            self.called([s for s in self.scenarios if s.kind in {"calls", "crowd"}])
            for framework in ("fastapi", "flask"):
                self.served(framework, [s for s in self.scenarios if s.framework == framework])
            for scenario in self.scenarios:
                if scenario.kind == "memory":
                    self.remembered(scenario)
                elif scenario.kind == "import":
                    self.imported(scenario)

    def turns(self, rounds: int) -> Iterator[Tool]:
        """The tools, in each round in another order: each begins as often as any other, and follows not always the same."""
        for round_ in range(rounds):
            at = (round_ // 2) % len(self.tools)
            turned = self.tools[at:] + self.tools[:at]
            yield from turned if round_ % 2 == 0 else reversed(turned)

    # --- calls from one process of each tool ---------------------------------------------------------------------------

    def called(self, scenarios: list[Scenario]) -> None:
        with ExitStack() as stack:
            workers = {tool.name: stack.enter_context(self.worker(tool)) for tool in self.tools if scenarios}
            for scenario in scenarios:
                count = self.count(scenario)
                for tool in self.tools:
                    workers[tool.name].ask("block", scenario=scenario.name, count=max(5, count // 5))
                    self.found(tool, workers[tool.name])
                for tool in self.turns(self.rounds_of(scenario)):
                    block = workers[tool.name].ask("block", scenario=scenario.name, count=count)
                    self.keep(scenario, tool, block["times"], 1e-9, cpu_us=block["cpu"] / count * 1e6, took=block.get("took", 0) / 1e9)
                    if scenario.size:
                        self.exported[scenario.name, tool.name].update(self.found(tool, workers[tool.name]), asked=count)
                    self.tick(f"{scenario.title}: {tool.name}")

    def worker(self, tool: Tool, sink: str = "") -> Worker:
        home = self.home / "stored" / tool.name
        home.mkdir(parents=True, exist_ok=True)
        command = [str(self.pythons[tool.name]), "-m", "peers.worker", tool.name, self.provider.url, sink or self.sink.url, str(home)]
        worker = Worker(command, APP, self.log(tool.name))
        self.versions[tool.name] = worker.ask("hello")["versions"]
        return worker

    def found(self, tool: Tool, worker: Worker) -> dict[str, int]:
        """How many calls of the last block are where *tool* exports to. It has been flushed."""
        counted = worker.ask("stored")
        return counted if tool.exports == "disk" else got(f"{self.sink.url}/count")

    # --- web apps ------------------------------------------------------------------------------------------------------

    def served(self, framework: str, scenarios: list[Scenario]) -> None:
        apps: dict[str, WebApp] = {}
        try:
            for tool in self.tools if scenarios else ():
                home = self.home / "stored" / f"{tool.name}-{framework}"
                home.mkdir(parents=True, exist_ok=True)
                bench = {"tool": tool.name, "provider": self.provider.url, "sink": self.sink.url, "home": str(home)}
                apps[tool.name] = WebApp(self.pythons[tool.name], framework, self.log(f"{tool.name}-{framework}"), bench)
            for scenario in scenarios:
                for tool in self.tools:
                    self.loaded(scenario, apps[tool.name], tool, max(10, self.count(scenario) // 5))
                for tool in self.turns(self.rounds_of(scenario)):
                    count = self.count(scenario)
                    seen, found = self.loaded(scenario, apps[tool.name], tool, count)
                    self.keep(scenario, tool, seen["times"], 1, took=seen["took"], failed=seen["failed"])
                    self.exported[scenario.name, tool.name].update(found, asked=count)
                    self.tick(f"{scenario.title}: {tool.name}")
        finally:
            for app in apps.values():
                app.close()

    def loaded(self, scenario: Scenario, app: WebApp, tool: Tool, count: int) -> tuple[dict[str, Any], dict[str, int]]:
        way = f"r{scenario.rate}" if scenario.rate else f"c{scenario.concurrency}"
        seen = app.load(count, way, self.number)
        self.number += count
        stored = app.stored()
        return seen, stored if tool.exports == "disk" else got(f"{self.sink.url}/count")

    # --- the whole process ---------------------------------------------------------------------------------------------

    def remembered(self, scenario: Scenario) -> None:
        """Each tool in a new process, once: memory does not depend on who else runs."""
        dead = scenario.name.endswith("dead")
        for tool in self.tools:
            if not dead or tool.exports == "sink" or tool.name == "bare":
                with self.worker(tool, NOBODY if dead else "") as worker:
                    said = worker.ask("memory", count=self.count(scenario))
                got(f"{self.sink.url}/count")
                mib = {name: value / 2**20 for name, value in said.items()}
                self.blocks[scenario.name, tool.name].append(mib | {"growth": mib["peak"] - mib["base"]})
            self.tick(f"{scenario.title}: {tool.name}")

    def imported(self, scenario: Scenario) -> None:
        for tool in self.turns(self.rounds):
            began = time.perf_counter()
            process = started([str(self.pythons[tool.name]), "-c", tool.imports], APP, self.log("import"))
            process.communicate()
            if process.returncode:
                raise RuntimeError(f"{tool.imports!r} failed for {tool.name}:\n{self.log('import').read_text()[-3000:]}")
            self.keep(scenario, tool, [time.perf_counter() - began], 1)
            self.tick(f"{scenario.title}: {tool.name}")

    def keep(self, scenario: Scenario, tool: Tool, times: list[float], unit: float, took: float = 0, **more: float) -> None:
        """One block: what its calls took, in milliseconds."""
        ordered = sorted(each * unit * 1e3 for each in times)
        kept = {"count": len(ordered), "p50": statistics.median(ordered), "p99": ordered[int(len(ordered) * 0.99)], "max": ordered[-1]}
        self.blocks[scenario.name, tool.name].append(kept | ({"per_s": len(ordered) / took} if took else {}) | more)

    def log(self, name: str) -> Path:
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        return self.home / "logs" / f"{name}.txt"


def frozen(python: Path) -> list[str]:
    """Everything in an environment, for the record."""
    listed = [sys.executable, "-m", "uv", "pip", "freeze", "--quiet", "--python", str(python)]
    return subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\n")[:-1]


def chosen(names: list[str] | None, known: dict[str, Any]) -> list[Any]:
    """Those of *known* whose name is one of *names* or begins with it; all when there are none."""
    found = [value for name, value in known.items() if not names or any(name == n or name.startswith(f"{n}-") for n in names)]
    for name in names or ():
        if not any(known_ == name or known_.startswith(f"{name}-") for known_ in known):
            raise SystemExit(f"{name!r} is none of {', '.join(known)}, nor the beginning of one")
    return found


def with_bare(tools: list[Tool]) -> list[Tool]:
    """*tools*, and the bare client, without which there is nothing to compare with."""
    return tools if TOOLS["bare"] in tools else [TOOLS["bare"], *tools]
