"""One tool at work, in its own process: `python -m peers.worker TOOL PROVIDER SINK DIRECTORY`.

It reads commands from standard input, JSON lines, and answers each with one. Between commands it does nothing.
"""

import gc
import importlib.metadata
import json
import os
import platform
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers.calls import Caller
from peers.markers import Found
from peers.scenarios import SCENARIOS
from peers.tools import TOOLS, Handle

WARM = 200  # calls before memory counts, and between two looks at it


def resident() -> int:
    """Bytes of this process in memory, now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    names = [package.partition("[")[0].partition(">")[0] for package in packages]
    return {name: importlib.metadata.version(name) for name in (*names, "openai", "httpx2")}


def remembered(count: int, caller: Caller, flush: Callable[[], object]) -> dict[str, int]:
    """What *count* calls leave in memory, over a transport in memory, flushed once in a while where that can be: a time is not taken."""
    plain, base, peak = SCENARIOS["plain-sync"], 0, 0
    with caller.without_network():
        for made in range(0, count + WARM, WARM):
            caller.block(plain, WARM, flush)
            if not made:
                gc.collect()
                base = resident()
            peak = max(peak, resident())
    return {"base": base, "peak": peak, "end": resident(), "made": count + WARM}


def settle() -> None:
    """What is there by now stays: the next block's collections are soon done."""
    gc.collect()
    gc.freeze()


def done(command: dict[str, Any], tool: str, handle: Handle, caller: Caller) -> dict[str, Any]:
    match command["do"]:
        case "hello":
            return {"python": platform.python_version(), "versions": versions(TOOLS[tool].packages)}
        case "block":
            settle()
            return caller.block(SCENARIOS[command["scenario"]], command["count"], handle.flush)
        case "settle":
            handle.flush()
            settle()
            return {}
        case "calls":
            return caller.block(SCENARIOS[command["scenario"]], command["count"], lambda: None)
        case "flush":
            handle.flush()
            return {}
        case "stored":
            handle.flush()
            return Found().read(handle.stored() if handle.stored else ()).counts()
        case "memory":
            return remembered(command["count"], caller, (lambda: None) if command["dead"] else handle.flush)
        case unknown:
            raise ValueError(f"no command {unknown!r}")


def main() -> None:
    name, provider, sink, home = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a tool prints is no answer
    handle = TOOLS[name].setup(sink, Path(home))
    caller = Caller(provider, handle.around)
    for line in sys.stdin:
        print(json.dumps(done(json.loads(line), name, handle, caller)), file=answers)
    os._exit(0)  # what it takes to end is another question


if __name__ == "__main__":
    main()
