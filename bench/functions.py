"""What each Python function executes, with all that it calls: `python bench/functions.py [plain|stream|large|web] [--path] [--count 40] [--json FILE]`.

In instructions for each call, or each web request, C included: of the background thread, or with `--path` of the caller's. No other profiler
tells that: one of Python takes time itself, and one of C sees a single function, the interpreter. Here the interpreter enters each
Python function by a piece of machine code of its own (`sys.activate_stack_trampoline`, Python 3.12), and valgrind's callgrind counts
what is executed under it. To enter one takes some more that way, and another Python has other figures: compare parts.
"""

import argparse
import asyncio
import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from peers.instructions import CALLGRIND, tell

INSIDE = "BENCH_FUNCTIONS"  # the folder that valgrind writes to, where this runs under it
WARM = 60  # of each kind, before anything counts
KINDS = ("plain", "stream", "large", "web")
_ENTERED = re.compile(r"c?fn=\((\d+)\)(?: (.*))?")


class Function(NamedTuple):
    """A function's thousands of *instructions*, with all that it calls, and its *calls*, for each of what was done; *name* and *place*."""

    instructions: float
    calls: float
    name: str
    place: str


def prepared(kind: str) -> tuple[Callable[[int], None], Callable[[], bool]]:
    """What does so many of *kind*, in memory; and what has all of them exported."""
    import httpx2
    from budget import answer
    from stages import call

    import llm_observe
    from llm_observe.asgi import LLMObserveMiddleware
    from llm_observe.exporters import FileExporter

    observer = llm_observe.configure(exporters=[FileExporter(Path(os.environ[INSIDE]) / "records")])
    client = httpx2.Client(transport=httpx2.MockTransport(answer))

    async def app(scope: object, receive: object, send: Callable[[object], object]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def nothing(*_: object) -> None:
        pass

    loop, web = asyncio.new_event_loop(), LLMObserveMiddleware(app, observer=observer)
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/chat",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"user-agent", b"bench")],
    }

    def done(count: int) -> None:
        for _ in range(count):
            if kind == "web":
                loop.run_until_complete(web(dict(scope), nothing, nothing))
            else:
                call(client, kind)

    return done, lambda: observer.flush(300)


def entered(lines: Iterable[str]) -> Iterator[tuple[str, str, int, int]]:
    """From callgrind's *lines*: who called whom, how often, and the instructions of that."""
    names: dict[str, str] = {}
    caller = callee = ""
    calls = 0
    for line in lines:
        if match := _ENTERED.match(line):
            number, name = match.groups()
            name = re.sub(r"'\d+$", "", names.setdefault(number, name or ""))  # how deep it is in itself
            if line[0] == "c":
                callee = name
            else:
                caller = name
        elif line.startswith("calls="):
            calls = int(line[6:].split()[0])
        elif calls:  # the line behind it
            yield caller, callee, calls, int(line.split()[-1])
            calls = 0


def functions(file: Path, trampolines: Path, count: int) -> list[Function]:
    """The functions of a thread that did *count*, the largest first."""
    starts: dict[int, str] = {}
    for line in trampolines.read_text().splitlines():
        address, _, name = line.split(" ", 2)
        starts[int(address, 16)] = name.removeprefix("py::")
    instructions, calls = Counter[str](), Counter[str]()
    with file.open() as lines:
        for caller, callee, often, cost in entered(lines):
            found = starts.get(int(callee, 16)) if callee.startswith("0x") else None
            if found and caller != callee:
                instructions[found] += cost
                calls[found] += often
    return [Function(cost / count / 1e3, calls[name] / count, *name.split(":", 1)) for name, cost in instructions.most_common()]


def counted(kind: str, count: int, *, path: bool) -> list[Function]:
    """What the functions execute for *count* of *kind*. This process runs under valgrind."""
    folder, pid = Path(os.environ[INSIDE]), os.getpid()
    done, flush = prepared(kind)
    done(WARM)
    flush()
    tell(pid, "instrumentation", "on")
    sys.activate_stack_trampoline("perf")
    done(10)
    flush()
    gc.collect()
    gc.freeze()
    tell(pid, "zero")
    done(count)
    if not path:
        flush()
    tell(pid, "dump")
    thread = "01" if path else "02"
    file, trampolines = max(folder.glob(f"*-{thread}"), key=lambda file: file.stat().st_size), Path(f"/tmp/perf-{pid}.map")
    try:
        return functions(file, trampolines, count)
    finally:
        trampolines.unlink()


def outside(arguments: list[str]) -> int:
    """Run *arguments* under valgrind, and tell how that ended."""
    if sys.version_info < (3, 12) or not shutil.which("valgrind"):
        raise SystemExit("It takes Python 3.12 on Linux, and valgrind: `apt-get install valgrind`.")
    with tempfile.TemporaryDirectory() as folder:
        environ = os.environ | {INSIDE: folder, "PYTHONHASHSEED": "0"}
        return subprocess.run(
            [*CALLGRIND, f"--callgrind-out-file={folder}/%p", sys.executable, __file__, *arguments], env=environ, check=False
        ).returncode


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("kind", nargs="?", default="plain", choices=KINDS, help="of call (plain); web is a request without one")
    options.add_argument("--path", action="store_true", help="the caller's thread, not the background's")
    options.add_argument("--count", type=int, default=40, help="how many (40)")
    options.add_argument("--most", type=int, default=60, help="functions that are shown (60)")
    options.add_argument("--json", type=Path, help="write all of them there, too")
    asked = options.parse_args()
    if INSIDE not in os.environ:
        raise SystemExit(outside(sys.argv[1:]))
    found = counted(asked.kind, asked.count, path=asked.path)
    if asked.json:
        asked.json.write_text(json.dumps([one._asdict() for one in found], indent=1))
    print(f"Python {platform.python_version()}; thousands of instructions, and calls, for each of {asked.count} {asked.kind}\n")
    for cost, calls, name, place in found[: asked.most]:
        print(f"{cost:10.1f} {calls:7.1f}  {name}  {place.rpartition('/site-packages/')[2].rpartition('/src/')[2]}")
    os._exit(0)  # under valgrind an end in good order takes longer than all before


if __name__ == "__main__":
    main()
