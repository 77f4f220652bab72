"""Instructions that a process executes, by thread, counted by valgrind's callgrind: the same on a busy machine as on a quiet one."""

import re
import shutil
import subprocess
from pathlib import Path

from peers.processes import Server, WebApp, Worker
from peers.scenarios import Scenario
from peers.tools import SLOWED

NEEDED = "valgrind is not there: `apt-get install valgrind`"
CALLGRIND = [
    "valgrind",
    "-q",
    "--tool=callgrind",
    "--instr-atstart=no",
    "--separate-threads=yes",
]  # nothing is counted before it is told to be
SLOWED_DOWN = 40  # times: a plain call takes 110 ms in place of 2.9
TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def counting(folder: Path) -> list[str]:
    """What a command must be preceded by for its instructions to be counted. Nothing is, before a `Counter` says so: it starts in a fifth of the time.

    What looks for work at intervals is told to do so as many times more seldom as the process is slower.
    """
    if not shutil.which("valgrind"):
        raise RuntimeError(NEEDED)
    folder.mkdir(parents=True, exist_ok=True)
    return [
        "env",
        f"{SLOWED}={SLOWED_DOWN}",
        f"OTEL_BSP_SCHEDULE_DELAY={SLOWED_DOWN * 5000}",
        f"LANGFUSE_FLUSH_INTERVAL={SLOWED_DOWN * 5}",
        "PYTHONHASHSEED=0",
        *CALLGRIND,
        "--trace-children=yes",
        f"--callgrind-out-file={folder}/%p",
    ]


def tell(pid: int, *command: str) -> None:
    """Have callgrind do *command* in the process *pid*."""
    subprocess.run(["vgdb", f"--pid={pid}", *command], check=True, capture_output=True, timeout=60)


class Counter:
    """What the process *pid*, or its only child where it has one, executes from now on; it writes to *folder*."""

    def __init__(self, pid: int, folder: Path) -> None:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.pid, self.folder = int(children[0]) if children else pid, folder
        tell(self.pid, "instrumentation", "on")

    def zero(self) -> None:
        tell(self.pid, "zero")

    def taken(self) -> dict[int, int]:
        """Instructions since the last time or since *zero*, by number of the thread: 1 is the main one."""
        tell(self.pid, "dump")
        found = {}
        for path in self.folder.glob(f"{self.pid}.*-*"):
            found[int(path.name.rpartition("-")[2])] = int(TOTAL.search(path.read_text())[1])
            path.unlink()
        return found


class Counted:
    """A tool at work as *member* under `counting(folder)`, with a *sink* of its own to export to."""

    def __init__(self, member: Worker | WebApp, sink: Server, folder: Path) -> None:
        self.member, self.sink, self.folder, self.asked = member, sink, folder, 0
        self.counter: Counter | None = None

    def work(self, scenario: Scenario, count: int) -> None:
        """*scenario*, that often. Nothing is exported yet but by the tool itself."""
        if isinstance(self.member, WebApp):
            failed = self.member.load(count, f"c{scenario.concurrency}", self.asked)["failed"]
            if failed:
                raise RuntimeError(f"{failed} of {count} requests failed")
        else:
            self.member.ask("calls", scenario=scenario.name, count=count)
        self.asked += count

    def block(self, scenario: Scenario, count: int) -> dict[str, float]:
        """Thousands of instructions for each of *count*: of the thread that calls until it has its answers, and of all threads until all is exported."""
        counter = self.counter = self.counter or Counter(self.member.process.pid, self.folder)
        self.member.settle()
        counter.zero()
        self.work(scenario, count)
        working = counter.taken()
        self.member.flush()
        every = sum(working.values()) + sum(counter.taken().values())
        if isinstance(self.member, WebApp):  # whose threads are the server's own affair
            return {"all_k": every / count / 1e3, "per_g": count / every * 1e9}
        return {"all_k": every / count / 1e3, "caller_k": working[1] / count / 1e3}

    def close(self) -> None:
        self.member.close()
        self.sink.close()
