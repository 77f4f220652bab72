"""Records as the sink makes them, with what a test says of them."""

from datetime import UTC, datetime

import pytest

from llm_observe.records import Call, CallTotals, Http, HttpRequest, Operation, Provider, Request, Step

BASE = {
    "id": "1",
    "trace_id": "0" * 31 + "1",
    "span_id": "3" * 16,
    "started_at": datetime(2027, 1, 1, tzinfo=UTC),
    "duration": 1.0,
    "status": "ok",
}
TOTALS = {"count": 0, "errors": 0, "retries": 0, "running": 0, "input_tokens": 0, "output_tokens": 0, "wall": 0.0, "sum": 0.0}


class Make:
    """Makers of the three kinds."""

    def call(self, **facts):
        return Call(**{**BASE, "name": "chat", "operation": Operation(name="chat"), "provider": Provider(name="openai"), **facts})

    def step(self, **facts):
        return Step(**{**BASE, "name": "retrieve", **facts})

    def request(self, *, calls=None, **facts):
        http = Http(request=HttpRequest(method="POST"), route="/chat")
        return Request(**{**BASE, "name": "POST /chat", "http": http, "calls": CallTotals(**{**TOTALS, **(calls or {})}), **facts})


@pytest.fixture(scope="session")
def make():
    """Makers of records."""
    return Make()
