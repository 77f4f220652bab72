"""Records and batches to export, and programs to export them from."""

import contextlib
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from llm_observe.protocols import Batch
from llm_observe.records import AnyRecord, Call, CallTotals, Http, HttpRequest, HttpResponse, Operation, Provider, Request, ScopeInfo, Step

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
BASE = {"trace_id": "0" * 32, "span_id": "1" * 16, "started_at": NOON, "duration": 1.25, "status": "ok"}


def a_call(**changes: Any) -> Call:
    """A call that went well."""
    facts = {"id": "call-1", "name": "chat gpt-x", "operation": Operation(name="chat"), "provider": Provider(name="openai")}
    return Call(**{**BASE, **facts, **changes})


def a_step(**changes: Any) -> Step:
    """A step that went well."""
    return Step(**{**BASE, "id": "step-1", "name": "retrieval", **changes})


def a_request(**changes: Any) -> Request:
    """A web request with two calls in it."""
    facts = {
        "id": "request-1",
        "name": "POST /chat/{id}",
        "request_id": "r-1",
        "scope": ScopeInfo(method="POST", route="/chat/{id}"),
        "http": Http(request=HttpRequest(method="POST"), response=HttpResponse(status_code=200)),
        "calls": totals(count=2, input_tokens=24, output_tokens=68),
    }
    return Request(**{**BASE, **facts, **changes})


def totals(**changes: Any) -> CallTotals:
    """The roll-up of no calls, but for *changes*."""
    return CallTotals(
        **{
            **dict.fromkeys(["count", "errors", "retries", "running", "input_tokens", "output_tokens"], 0),
            "wall": 0.0,
            "sum": 0.0,
            **changes,
        }
    )


def batch(*records: AnyRecord, id: str = "batch-1") -> Batch:
    """*records* on their way out."""
    return Batch(id, records, [msgspec.json.encode(record) for record in records])


def export(exporter: Any, *batches: Batch) -> None:
    """Hand *batches* to *exporter* in a loop of its own, one after the other, and close it."""

    async def main() -> None:
        for one in batches:
            await exporter.export(one)

    anyio.run(main)


def filled(hint: Any) -> Any:
    """Something of the type *hint*, with everything in it set."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        hints = typing.get_type_hints(hint)
        return hint(**{name: filled(hints[name]) for name in hint.__struct_fields__})
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    match origin:
        case types.UnionType | typing.Union:
            return filled(arguments[0])
        case typing.Literal:
            return arguments[0]
    if origin is tuple:
        return (filled(arguments[0]),)
    if origin is dict:
        return {"key": filled(arguments[1])}
    return {str: "1", int: 1, float: 1, bool: True, object: "1", datetime: NOON}[hint]


def python(code: str, *arguments: object, before: Sequence[str] = (), **options: Any) -> "subprocess.Popen[str]":
    """A Python of its own that runs *code*, started through the command *before*."""
    command = [*before, sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | options.pop("env", {}), **options
    )


def finished(process: "subprocess.Popen[str]", timeout: float = 60) -> str:
    """What *process* printed, once it ended well."""
    out, err = process.communicate(timeout=timeout)
    assert (0, "") == (process.returncode, err), err
    return out


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Makers of records and batches."""
    return SimpleNamespace(call=a_call, step=a_step, request=a_request, totals=totals, batch=batch, filled=filled, noon=NOON)


@pytest.fixture(scope="session")
def send() -> Callable[..., None]:
    """Exports batches."""
    return export


@pytest.fixture(scope="session")
def other() -> SimpleNamespace:
    """Other processes."""
    return SimpleNamespace(python=python, finished=finished)


class Server:
    """An HTTP server that can misbehave. It gives *answers* in turn, the last one again and again.

    An answer is bytes to send, or a function that does as it likes with the connection and returns whether to go on with it.
    """

    def __init__(self, *answers: "bytes | Callable[[socket.socket], bool]") -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._opened: list[socket.socket] = []
        self.port = self._listening.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.base}/records"
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                break
            self.connections += 1
            self._opened.append(connection)
            threads.append(threading.Thread(target=self._serve, args=[connection]))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as reading:
            while start := reading.readline():
                headers = {}
                while (text := reading.readline().decode().strip()) != "":
                    name, _, value = text.partition(": ")
                    headers[name.lower()] = value
                body = reading.read(int(headers.get("content-length", 0)))
                self.requests.append((start.decode().strip(), headers, body))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if isinstance(answer, bytes):
                    connection.sendall(answer)
                elif not answer(connection):
                    break

    def records(self) -> list[str]:
        """The ids of all records that were posted, in order."""
        bodies = [gzip.decompress(b) if h.get("content-encoding") == "gzip" else b for _, h, b in self.requests]
        return [record["id"] for body in bodies for record in json.loads(body)]

    def close(self) -> None:
        """Break everything off."""
        self.over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._opened:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._accepting.join()


def answer(status: int, body: bytes = b"", **headers: object) -> bytes:
    """An HTTP answer as bytes."""
    facts = {"content-length": len(body), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"HTTP/1.1 {status} Whatever", *[f"{name}: {value}" for name, value in facts.items()], "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers, and stops them in the end."""
    running: list[Server] = []

    def start(*answers: Any) -> Server:
        running.append(Server(*(answer(one) if isinstance(one, int) else one for one in answers)))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture(scope="session")
def answered() -> Callable[..., bytes]:
    """Makes answers."""
    return answer
