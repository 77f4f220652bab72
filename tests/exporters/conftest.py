"""Records and batches to export, and programs to export them from."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
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
    return SimpleNamespace(call=a_call, step=a_step, request=a_request, totals=totals, batch=batch, noon=NOON)


@pytest.fixture(scope="session")
def send() -> Callable[..., None]:
    """Exports batches."""
    return export


@pytest.fixture(scope="session")
def other() -> SimpleNamespace:
    """Other processes."""
    return SimpleNamespace(python=python, finished=finished)
