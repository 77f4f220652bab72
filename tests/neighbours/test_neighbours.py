"""Others' instrumentations, switched on beside us, on the application's own TracerProvider: a call is one span, with the right parent, and counted once."""

import asyncio
import os
from types import SimpleNamespace

import openai
import pytest

if "NEIGHBOURS" not in os.environ:  # `nox -s sdks` has them all, and says so
    pytest.importorskip("opentelemetry.instrumentation.genai.openai")

from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

import llm_observe
from llm_observe.exporters import MemoryExporter, OtelExporter
from llm_observe.fastapi import LLMObserveMiddleware
from llm_observe.metrics.prometheus import PrometheusMeter
from llm_observe.testing.provider import FakeProvider

OURS, OFFICIAL, HTTPX = "llm_observe", "opentelemetry.instrumentation.genai.openai", "opentelemetry.instrumentation.httpx"
MESSAGES = [{"role": "user", "content": "hi"}]
OVER_HTTPX = openai.__version__.startswith("2.")  # from 3 on it stands on httpx2, which that instrumentation does not know


class Neighbourhood:
    """What everybody had to say of the same calls."""

    def __init__(self, provider: FakeProvider, spans: InMemorySpanExporter, tracers: TracerProvider) -> None:
        self.provider, self.exporter, self.tracers = provider, spans, tracers
        self.memory, self.registry = MemoryExporter(), CollectorRegistry()
        self.client = openai.OpenAI(api_key="none", base_url=provider.openai_base_url)

    def async_client(self) -> openai.AsyncOpenAI:
        """One for a single loop, to be closed in it."""
        return openai.AsyncOpenAI(api_key="none", base_url=self.provider.openai_base_url)

    @property
    def spans(self) -> list[SimpleNamespace]:
        """Every span, with the names of its parent and of who made it."""
        llm_observe.flush(20)
        found = self.exporter.get_finished_spans()
        names = {span.context.span_id: span.name for span in found}
        return [
            SimpleNamespace(
                name=span.name,
                parent=span.parent and names.get(span.parent.span_id),
                by=span.instrumentation_scope.name,
                id=f"{span.context.span_id:016x}",
                attributes=span.attributes,
            )
            for span in found
        ]

    def by(self, *scopes: str) -> list[tuple[str, str | None]]:
        """Name and parent of each span that one of these made, in their order."""
        return [(span.name, span.parent) for span in self.spans if span.by in scopes]

    def counted(self) -> float:
        """Calls, as the metrics have them."""
        llm_observe.flush(20)
        return sum(
            sample.value for metric in self.registry.collect() for sample in metric.samples if sample.name == "llm_observe_calls_total"
        )


@pytest.fixture(scope="module")
def tracing():
    """The application's TracerProvider, set once for the process, and the instrumentations on it."""
    spans, tracers = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(tracers)
    instrumentations = [OpenAIInstrumentor(), HTTPXClientInstrumentor()]
    for one in instrumentations:
        one.instrument(tracer_provider=tracers)
    yield spans, tracers
    for one in instrumentations:
        one.uninstrument()


@pytest.fixture
def beside(tracing):
    """All of them, and us."""
    spans, tracers = tracing
    with FakeProvider() as provider:
        found = Neighbourhood(provider, spans, tracers)
        llm_observe.configure(
            exporters=[found.memory, OtelExporter(tracer_provider=tracers)], otel=True, metrics=[PrometheusMeter(registry=found.registry)]
        )
        yield found
        found.client.close()
        llm_observe.shutdown()
        spans.clear()


def plain(beside, model="m"):
    """One answer."""
    beside.client.chat.completions.create(model=model, messages=MESSAGES)


def streamed(beside):
    """A stream, read to its end."""
    for _ in beside.client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
        pass


def plain_async(beside):
    """One answer, in a loop."""

    async def ask():
        async with beside.async_client() as client:
            await client.chat.completions.create(model="m", messages=MESSAGES)

    asyncio.run(ask())


def streamed_async(beside):
    """A stream, in a loop."""

    async def read():
        async with beside.async_client() as client:
            async for _ in await client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
                pass

    asyncio.run(read())


@pytest.mark.parametrize("ask", [plain, streamed, plain_async, streamed_async])
def test_the_official_instrumentation_s_span_is_the_call_s(beside, ask):
    """One span, under the step, with our ids on it; one record, that has its id and names it."""
    with llm_observe.scope("job"), llm_observe.step("think"):
        ask(beside)

    (theirs,) = [span for span in beside.spans if span.by == OFFICIAL]
    assert [("think", "job"), ("job", None)] == beside.by(OURS)
    assert ("chat m", "think") == (theirs.name, theirs.parent)
    assert [(theirs.id, OFFICIAL, "ok")] == [(call.span_id, call.instrumentation, call.status) for call in beside.memory.calls]
    assert [one.request_id for one in beside.memory.requests] == [theirs.attributes["llm_observe.request_id"]]
    assert 1 == beside.counted()


def test_a_retried_call_is_one_for_all(beside):
    """Two attempts: one call of ours, one span of theirs, and a span of each request where the client is instrumented as well."""
    with llm_observe.scope("job"), llm_observe.step("think"):
        plain(beside, "fake-flaky-500")

    assert [("chat fake-flaky-500", "think")] == beside.by(OFFICIAL)
    assert 2 * [("POST", "chat fake-flaky-500")] * OVER_HTTPX == beside.by(HTTPX)
    assert [2] == [len(call.attempts) for call in beside.memory.calls]
    assert 1 == beside.counted()


def test_an_instrumented_client_alone_makes_no_call_s_span(beside):
    """A span of the request is not one of the call: ours is made, and the other is in what was current."""
    OpenAIInstrumentor().uninstrument()
    try:
        with llm_observe.scope("job"), llm_observe.step("think"):
            plain(beside)
    finally:
        OpenAIInstrumentor().instrument(tracer_provider=beside.tracers)

    assert {("chat m", "think"), ("think", "job"), ("job", None)} == set(beside.by(OURS))
    assert 3 == len(beside.by(OURS))
    assert [("POST", "think")] * OVER_HTTPX == beside.by(HTTPX)
    assert [None] == [call.instrumentation for call in beside.memory.calls]


def test_an_instrumented_app_s_server_span_is_the_request_s(beside):
    """FastAPI's instrumentation and our middleware: one server span, under it the call."""
    import httpx2

    app = FastAPI()
    app.add_middleware(LLMObserveMiddleware)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=beside.tracers)

    @app.get("/ask/{user}")
    async def ask(user: str) -> str:
        async with beside.async_client() as client:
            answer = await client.chat.completions.create(model="m", messages=MESSAGES)
        return answer.choices[0].message.content or ""

    async def visit() -> int:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://app") as visitor:
            return (await visitor.get("/ask/me")).status_code

    assert 200 == asyncio.run(visit())
    (server,) = [span for span in beside.spans if span.name == "GET /ask/{user}"]
    (request,), (call,) = beside.memory.requests, beside.memory.calls
    assert server.id in {request.span_id, request.parent_id}
    assert [("chat m", "GET /ask/{user}")] == beside.by(OFFICIAL)
    assert (request.trace_id, request.request_id) == (call.trace_id, call.request_id)
    assert 1 == beside.counted()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_mistral_s_own_span_is_the_call_s(beside, stream):
    """The SDK's tracing, on the application's TracerProvider."""
    client = pytest.importorskip("mistralai.client")
    telemetry = pytest.importorskip("mistralai.extra.observability.telemetry")
    mistral = client.Mistral(api_key="none", server_url=beside.provider.url)
    telemetry.configure_telemetry(mistral, beside.tracers)

    with llm_observe.scope("job"), llm_observe.step("think"):
        if stream:
            list(mistral.chat.stream(model="m", messages=MESSAGES))
        else:
            mistral.chat.complete(model="m", messages=MESSAGES)

    assert [("chat m", "think")] == beside.by("mistralai_sdk_tracer")
    assert [("think", "job"), ("job", None)] == beside.by(OURS)
    assert ["mistralai_sdk_tracer"] == [call.instrumentation for call in beside.memory.calls]
    assert 1 == beside.counted()
