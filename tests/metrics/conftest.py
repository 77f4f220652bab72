"""Calls and requests to measure."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from llm_observe.records import (
    Attempt,
    Call,
    CallRequest,
    CallResponse,
    CallTotals,
    Cost,
    Error,
    Http,
    HttpRequest,
    HttpResponse,
    InputTokens,
    Modality,
    Operation,
    OutputTokens,
    Provider,
    RateLimit,
    Request,
    Server,
    Usage,
)

AT = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def call() -> Callable[..., Call]:
    """A call with everything in it, and what is to be different."""

    def made(operation: str = "chat", **changes: object) -> Call:
        facts = {
            "id": "c", "trace_id": "a" * 32, "span_id": "b" * 16, "started_at": AT, "duration": 1.5, "name": "chat m", "status": "ok",
            "operation": Operation(name=operation), "provider": Provider(name="openai"), "server": Server(address="api.openai.com", port=443),
            "request": CallRequest(model="m", stream=True),
            "response": CallResponse(model="m-1", time_to_first_chunk=0.25, time_to_first_content=0.5, chunk_gaps=(0, 30_000)),
            "usage": Usage(
                input_tokens=100, output_tokens=40, cache_read=InputTokens(input_tokens=60), cache_write=InputTokens(input_tokens=0),
                reasoning=OutputTokens(output_tokens=30), text=Modality(input_tokens=70, output_tokens=40), image=Modality(input_tokens=20),
            ),
            "attempts": (
                Attempt(started_at=AT, duration=0.5, status_code=429, error_type="rate_limit_exceeded"),
                Attempt(
                    started_at=AT, duration=1.0, status_code=200, processing_time=0.75,
                    rate_limits=(RateLimit(name="tokens", limit=100, remaining=7), RateLimit(name="requests")),
                ),
            ),
            "cost": Cost(input=0.5, output=0.25, total=0.75, currency="USD"),
        }  # fmt: skip
        return Call(**(facts | changes))

    return made


@pytest.fixture
def failed(call) -> Call:
    """A call that failed, and used nothing."""
    return call(
        status="error", error=Error(type="boom"), usage=Usage(), response=CallResponse(), cost=None,
        attempts=(Attempt(started_at=AT, duration=0.5, status_code=500, error_type="boom"),),
    )  # fmt: skip


@pytest.fixture
def request_record() -> Request:
    """A web request with two calls."""
    totals = CallTotals(count=2, errors=0, retries=0, running=0, input_tokens=0, output_tokens=0, wall=0.5, sum=1.0)
    http = Http(request=HttpRequest(method="POST"), response=HttpResponse(status_code=200), route="/chat/{id}")
    return Request(
        id="r", trace_id="t", span_id="s", started_at=AT, duration=2.0, name="POST /chat/7", status="ok", calls=totals, http=http
    )
