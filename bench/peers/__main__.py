"""`nox -s bench`, `nox -s bench -- --scenario plain --peer langfuse --quick`: observing, beside what others do.

Every tool works in a process and a virtual environment of its own. They take turns within one run, on one core, while provider, sink and load
have the other. Medians over rounds are compared with the bare client's of the same round: compare ratios, not machines.
"""

import argparse
import datetime as dt
import json
import os
import platform
import shutil
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from peers.driver import Run, chosen, frozen, with_bare
from peers.environments import environment
from peers.figures import rows
from peers.report import into_docs, plotted, printed
from peers.scenarios import SCENARIOS
from peers.tools import TOOLS

ROOT = Path(__file__).parent.parent.parent


def options() -> argparse.Namespace:
    known = argparse.ArgumentParser("bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--scenario", action="append", metavar="NAME", help=f"a name or the beginning of several: {', '.join(SCENARIOS)}")
    known.add_argument(
        "--peer", action="append", metavar="NAME", help=f"likewise, besides the bare client and ourselves: {', '.join(TOOLS)}"
    )
    known.add_argument("--rounds", type=int, help="how often each tool has its turn (15; 3 with --quick)")
    known.add_argument("--quick", action="store_true", help="a tenth of the calls: to see that it works, not to be believed")
    known.add_argument("--docs", action="store_true", help="put the tables into docs/performance.md")
    known.add_argument(
        "--out", type=Path, default=ROOT / "bench" / "results" / "peers", help="where figures and plots go: that name, .json .png .svg"
    )
    known.add_argument("--wheel", type=Path, required=True, help="our wheel")
    known.add_argument("--home", type=Path, default=ROOT / ".nox" / "bench-peers", help="where environments and what tools store are kept")
    return known.parse_args()


def machine() -> dict[str, object]:
    info = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    processor = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), platform.processor())
    return {
        "processor": processor or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
    }


def main() -> None:
    asked, console, where = options(), Console(), machine()
    scenarios = chosen(asked.scenario, SCENARIOS)
    ours = [tool for tool in TOOLS.values() if tool.kind == "ours"]
    tools = with_bare([tool for tool in TOOLS.values() if tool in ours or tool in chosen(asked.peer, TOOLS)])
    if asked.docs and (asked.quick or asked.peer or asked.scenario):
        raise SystemExit("--docs is for a whole run: no --quick, no --peer, no --scenario")
    if where["load_before"] > 0.5:
        console.print(f"The machine is busy (load {where['load_before']:.1f}): the figures will say so.", style="bold yellow")
    shutil.rmtree(asked.home / "stored", ignore_errors=True)
    shutil.rmtree(asked.home / "logs", ignore_errors=True)
    columns = (TextColumn("{task.description:70}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        making = progress.add_task("virtual environments", total=len(tools))
        pythons = {}
        for tool in tools:
            pythons[tool.name] = environment(tool, asked.home / "environments", asked.wheel)
            progress.advance(making)
        running = progress.add_task("")
        run = Run(
            tools, scenarios, asked.rounds or (3 if asked.quick else 15), 0.1 if asked.quick else 1.0, asked.home, pythons,
            tick=lambda said: progress.update(running, advance=1, description=said),
        )  # fmt: skip
        progress.update(running, total=run.steps())
        run.all()
    result = {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": where | {"load_after": os.getloadavg()[0]},
        "quick": asked.quick,
        "rounds": run.rounds,
        "versions": run.versions,
        "environments": {name: frozen(python) for name, python in pythons.items()},
        "rows": rows(run),
        "blocks": [{"scenario": scenario, "tool": tool, "blocks": blocks} for (scenario, tool), blocks in run.blocks.items()],
    }
    printed(result["rows"], console)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    written = [asked.out.with_suffix(".json"), *plotted(result["rows"], asked.out)]
    if asked.docs:
        into_docs(result, ROOT / "docs" / "performance.md")
        written.append(ROOT / "docs" / "performance.md")
    console.print("Written: " + ", ".join(str(path) for path in written))


if __name__ == "__main__":
    main()
