"""The processes of a run: each on its core, each ended with its parent."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

BENCH = Path(__file__).parent.parent
CORES = sorted(os.sched_getaffinity(0))[:2]
APP, REST = CORES[0], CORES[-1]  # the observed process has a core of its own, where there are two
PATIENCE = 400  # seconds for one answer: who takes longer stands still


def started(command: list[str], core: int | None, log: Path, **environment: str) -> "subprocess.Popen[str]":
    """Starts *command* on *core*, or on any; what it says on standard error goes to *log*."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log.open("a") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True, cwd=log.parent,
            env=kept | {"PYTHONPATH": str(BENCH), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        )  # fmt: skip
    if core is not None:
        os.sched_setaffinity(process.pid, {core})  # threads and children inherit it
    return process


@contextlib.contextmanager
def limited(process: "subprocess.Popen[str]") -> Iterator[None]:
    """*process* is killed if what is inside takes too long."""
    limit = threading.Timer(PATIENCE, process.kill)
    limit.start()
    try:
        yield
    finally:
        limit.cancel()


def finished(command: list[str], log: Path, core: int | None) -> str:
    """What *command* printed, once it has ended."""
    process = started(command, core, log)
    with limited(process):
        said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[1:4])} failed, or took longer than {PATIENCE} s:\n{tail(log)}")
    return said


class Worker:
    """A process that answers commands: JSON lines."""

    def __init__(self, command: list[str], core: int, log: Path) -> None:
        self.process, self.log = started(command, core, log), log

    def heard(self) -> dict[str, Any]:
        with limited(self.process):
            line = self.process.stdout.readline()
        if not line:
            self.process.kill()
            raise RuntimeError(f"{' '.join(self.process.args[1:4])} ended, or took longer than {PATIENCE} s:\n{tail(self.log)}")
        return json.loads(line)

    def busy(self) -> float:
        """CPU seconds of the process until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, do: str, **command: Any) -> dict[str, Any]:
        self.process.stdin.write(json.dumps({"do": do} | command) + "\n")
        self.process.stdin.flush()
        return self.heard()

    def flush(self) -> None:
        self.ask("flush")

    def settle(self) -> None:
        self.ask("settle")

    def stored(self) -> dict[str, int]:
        return self.ask("stored")

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it is gone already
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Server(Worker):
    """The provider or the sink: it says its port, and ends when its input does."""

    def __init__(self, module: str, log: Path) -> None:
        super().__init__([sys.executable, "-m", module], REST, log)
        self.url = f"http://127.0.0.1:{self.heard()['port']}"


class WebApp:
    """A web app under its server."""

    def __init__(self, python: Path, framework: str, log: Path, bench: dict[str, str], core: int = APP, under: Iterable[str] = ()) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = log
        command = {
            "fastapi": f"-m uvicorn --factory peers.web:fastapi_app --port {self.port} --no-access-log --log-level warning --timeout-keep-alive 300",
            "flask": f"-m gunicorn peers.web:flask_app() --worker-class gthread --threads 32 --timeout 0 --keep-alive 300 --bind 127.0.0.1:{self.port} --log-level warning",
        }[framework]
        self.process = started([*under, str(python), *command.split()], core, log, BENCH=json.dumps(bench))
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                self.stored()
                return
            except OSError:
                time.sleep(0.1)
        self.close()
        raise RuntimeError(f"{' '.join(self.process.args[1:4])} does not serve:\n{tail(self.log)}")

    def stored(self) -> dict[str, int]:
        return got(f"http://127.0.0.1:{self.port}/stored")

    def flush(self) -> None:
        got(f"http://127.0.0.1:{self.port}/flush")

    def settle(self) -> None:
        got(f"http://127.0.0.1:{self.port}/settle")

    def load(self, count: int, way: str, first: int) -> dict[str, Any]:
        command = [sys.executable, "-m", "peers.load", str(self.port), str(count), way, str(first)]
        return json.loads(finished(command, self.log, REST))

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def tail(log: Path) -> str:
    """The last that was said there."""
    return log.read_text()[-2000:] if log.exists() else ""


def got(url: str) -> dict[str, int]:
    """What is read at *url*, as JSON."""
    with urllib.request.urlopen(url, timeout=120) as response:
        return json.load(response)
