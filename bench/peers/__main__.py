"""`nox -s bench`, `nox -s bench -- --scenario plain --peer langfuse --quick`: observing, beside what others do.

Every tool works in a process and a virtual environment of its own. They take turns within one run, on one core, while provider, sink and load
have the other. Medians over rounds are compared with the bare client's of the same round: compare ratios, not machines.
"""

import argparse
import datetime as dt
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from peers.driver import Run
from peers.environments import environment
from peers.figures import rows
from peers.plots import bars, lines
from peers.report import into_docs, printed
from peers.scenarios import SCENARIOS
from peers.tools import TOOLS, Tool

ROOT = Path(__file__).parent.parent.parent
PARTS = {
    "times": "What each tool adds, by scenario, with quartiles",
    "instructions": "Thousands of instructions that each tool adds, by scenario",
}
KEPT = ("blocks", "exported", "failed", "own", "versions", "took")  # of a run, to go on with


def options() -> argparse.Namespace:
    known = argparse.ArgumentParser("bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--scenario", action="append", metavar="NAME", help=f"a name or the beginning of several: {', '.join(SCENARIOS)}")
    known.add_argument(
        "--peer", action="append", metavar="NAME", help=f"likewise, besides the bare client and ourselves: {', '.join(TOOLS)}"
    )
    known.add_argument(
        "--minutes", type=float, help="how long a whole run takes on a fast machine (35; 5 with --quick): it decides on the rounds"
    )
    known.add_argument("--rounds", type=int, default=60, help="how often each tool has its turn, at most (60)")
    known.add_argument(
        "--quick",
        action="store_true",
        help="a tenth of the calls, and nothing counted unless named: to see that it works, not to be believed",
    )
    known.add_argument(
        "--resume", action="store_true", help="go on with a run that was broken off: scenarios that are done stay as they are"
    )
    known.add_argument("--docs", action="store_true", help="put tables and pictures into docs/performance.md")
    known.add_argument(
        "--out", type=Path, default=ROOT / "bench" / "results" / "peers", help="where figures and plots go: that name, .json .png .svg"
    )
    known.add_argument("--wheel", type=Path, required=True, help="our wheel")
    known.add_argument("--home", type=Path, default=ROOT / ".nox" / "bench-peers", help="where environments and what tools store are kept")
    return known.parse_args()


def machine() -> dict[str, Any]:
    info = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    processor = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), platform.processor())
    return {
        "processor": processor or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
    }


def chosen(names: list[str] | None, known: dict[str, Any]) -> list[Any]:
    """Those of *known* whose name is one of *names* or begins with it; all when there are none."""
    found = [value for name, value in known.items() if not names or any(name == n or name.startswith(f"{n}-") for n in names)]
    for name in names or ():
        if not any(known_ == name or known_.startswith(f"{name}-") for known_ in known):
            raise SystemExit(f"{name!r} is none of {', '.join(known)}, nor the beginning of one")
    return found


def installed(tools: list[Tool], asked: argparse.Namespace, progress: Progress) -> tuple[dict[str, Path], dict[str, str]]:
    """The Python of each tool's environment, and why some have none. Without the bare client or ourselves there is no run."""
    pythons, absent = {}, {}
    making = progress.add_task("virtual environments", total=len(tools))
    for tool in tools:
        try:
            pythons[tool.name] = environment(tool, asked.home / "environments", asked.wheel)
        except (OSError, subprocess.CalledProcessError) as error:
            if tool.kind == "ours" or tool.name == "bare":
                raise
            absent[tool.name] = f"not installed: {error}"
        progress.advance(making)
    return pythons, absent


def frozen(python: Path) -> list[str]:
    """Everything in an environment, for the record."""
    listed = [sys.executable, "-m", "uv", "pip", "freeze", "--quiet", "--python", str(python)]
    return subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\n")[:-1]


def main() -> None:
    asked, where = options(), machine()
    console = Console(width=None if sys.stdout.isatty() else 150)
    scenarios = [each for each in chosen(asked.scenario, SCENARIOS) if asked.scenario or not asked.quick or each.kind != "counted"]
    peers = chosen(asked.peer, TOOLS)
    tools = [tool for tool in TOOLS.values() if tool in peers or tool.kind == "ours" or tool.name == "bare"]
    if asked.docs and (asked.quick or asked.peer or asked.scenario not in (None, ["instructions"])):
        raise SystemExit("--docs is for a whole run, or for `--scenario instructions`: no --quick, no --peer, no other --scenario")
    if where["load_before"] > 0.5:
        console.print(f"The machine is busy (load {where['load_before']:.1f}): the figures will say so.", style="bold yellow")
    shutil.rmtree(asked.home / "stored", ignore_errors=True)
    shutil.rmtree(asked.home / "logs", ignore_errors=True)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    part = asked.out.with_suffix(".part.json")
    wheel = hashlib.sha256(asked.wheel.read_bytes()).hexdigest()
    about = {"wheel": wheel, "quick": asked.quick, "tools": [tool.name for tool in tools]}

    def save(run: Run) -> None:
        part.write_text(json.dumps(about | {name: getattr(run, name) for name in KEPT}))
        last = list(run.took)[-1]
        failed = "".join(f"\n  {tool} failed: {reason}" for tool, reason in run.failed[last].items())
        console.print(f"{SCENARIOS[last].title}: {run.took[last]:.0f} s{failed}", markup=False, highlight=False)

    minutes = asked.minutes or (5 if asked.quick else 35)
    portion = sum(scenario.share for scenario in scenarios) / sum(scenario.share for scenario in SCENARIOS.values())
    seconds = minutes * 60 * portion * len(tools) / len(TOOLS)
    columns = (TextColumn("{task.description:70}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        pythons, absent = installed(tools, asked, progress)
        starting = time.monotonic()
        running = progress.add_task("", total=seconds)
        run = Run(
            [tool for tool in tools if tool.name in pythons], scenarios, seconds, asked.home, pythons,
            tick=lambda said: progress.update(running, completed=time.monotonic() - starting, description=said),
            save=save, quick=asked.quick, most=asked.rounds,
        )  # fmt: skip
        if asked.resume:
            taken_up(run, part, about)
        run.all()
    result = {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": where | {"load_after": os.getloadavg()[0]},
        "quick": asked.quick,
        "minutes": sum(run.took.values()) / 60,
        "seconds": run.took,
        "versions": run.versions,
        "environments": {name: frozen(python) for name, python in pythons.items()},
        "absent": absent,
        "rows": rows(run),
        "own": {name: json.loads(text) for name, text in run.own.items()},
        "own_failed": {
            scenario.title: reason for scenario in scenarios if scenario.kind == "own" for reason in run.failed[scenario.name].values()
        },
        "blocks": run.blocks,
    }
    told(result, asked, console)
    part.unlink(missing_ok=True)


def taken_up(run: Run, part: Path, about: dict[str, Any]) -> None:
    """Have *run* begin where the one before it ended."""
    if not part.exists():
        raise SystemExit(f"{part} is not there: no run was broken off")
    before = json.loads(part.read_text())
    if any(before[name] != value for name, value in about.items()):
        raise SystemExit(f"{part} is of another wheel, other tools or other sizes: run without --resume")
    for name in KEPT:
        getattr(run, name).update(before[name])


def told(result: dict[str, Any], asked: argparse.Namespace, console: Console) -> None:
    """Prints, draws and writes it all: what was timed, and what was counted."""
    written = [asked.out.with_suffix(".json")]
    written[0].write_text(json.dumps(result, indent=1) + "\n")
    printed(result, console)
    for part, words in PARTS.items():
        names = {name for name in result["seconds"] if (SCENARIOS[name].kind == "counted") == (part == "instructions")}
        if not names:
            continue
        of_part = result | {
            "rows": [row for row in result["rows"] if row["scenario"] in names],
            "own": {name: figures for name, figures in result["own"].items() if name in names},
            "minutes": sum(seconds for name, seconds in result["seconds"].items() if name in names) / 60,
        }
        out = asked.out.with_name(f"{asked.out.name}-{part}")
        drawn = {}
        if pictures := bars(of_part["rows"], out):
            written += pictures
            drawn[words] = pictures[-1]
        if "curves" in of_part["own"]:
            pictures = lines(of_part["own"]["curves"]["curves"], out.with_name(f"{out.name}-curves"))
            written += pictures
            drawn["How work grows with streams, messages, queues and requests under way"] = pictures[-1]
        if asked.docs:
            written += into_docs(of_part, drawn, ROOT / "docs" / "performance.md", part)
    console.print("Written: " + ", ".join(str(path) for path in dict.fromkeys(written)))


if __name__ == "__main__":
    main()
