"""With OpenTelemetry's own spans around and between ours: one server span, one span a call, and right parents."""

import asyncio
import inspect
import threading

import flask
import httpx2
import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.httpx import SyncOpenTelemetryTransport
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from starlette.background import BackgroundTask

import llm_observe
from llm_observe import Observer, _runtime
from llm_observe.asgi import LLMObserveMiddleware as AsgiMiddleware
from llm_observe.exporters import MemoryExporter, OtelExporter
from llm_observe.fastapi import LLMObserveMiddleware
from llm_observe.flask import LLMObserve
from llm_observe.wsgi import LLMObserveWSGI

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
# Recent FastAPI makes server spans itself: without them it is like any other ASGI app.
UNTRACED = {"telemetry": {"tracing": False}} if "telemetry" in inspect.signature(FastAPI).parameters else {}
INCOMING = f"00-{TRACE}-{PARENT}-01"


def detail(span):
    """Whether *span* is one that recent FastAPI makes itself of parts of its own work, or an instrumentation of each message."""
    return span.name.startswith("fastapi.") or span.name.endswith((" http send", " http receive"))


class Traced:
    """An application's own tracing, and an observer that exports through it."""

    def __init__(self, sampler=None):
        self.spans, self.memory = InMemorySpanExporter(), MemoryExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **({"sampler": sampler} if sampler else {}))
        self.provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.tracer = self.provider.get_tracer("the-app")
        self.observer = Observer(
            exporters=[self.memory, OtelExporter(tracer_provider=self.provider)], otel=True, strict=True, batch_age=0
        ).start()

    @property
    def tree(self):
        """Every span with its parent, as (kind, name, the parent's name); the names of all parents are known."""
        assert self.observer.flush(10, final=True)
        found = self.spans.get_finished_spans()
        by_id = {span.context.span_id: span for span in found}
        assert len(found) == len(by_id)
        assert 1 == len({span.context.trace_id for span in found})

        def name(parent):
            if parent is None or parent.span_id == int(PARENT, 16):
                return parent and "the caller"
            span = by_id[parent.span_id]
            return name(span.parent) if detail(span) else span.name

        return {(span.kind.name, span.name, name(span.parent)) for span in found if not detail(span)}

    @property
    def trace_ids(self):
        """The traces there are."""
        return {f"{span.context.trace_id:032x}" for span in self.spans.get_finished_spans()}


@pytest.fixture
def traced(monkeypatch):
    """Makes such an application, the global one as the instrumentations find it."""
    made = []
    monkeypatch.setattr(BackgroundTask, "__call__", BackgroundTask.__call__)  # -fastapi changes it for good

    def make(sampler=None):
        made.append(Traced(sampler))
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", made[-1].provider)
        return made[-1]

    yield make
    for one in made:
        one.observer.shutdown()


@pytest.fixture
def fastapi_app(traced, model):
    """A FastAPI application with a step and a call in it, and the tracing it is under."""
    ours = traced()
    app = FastAPI(**UNTRACED)
    app.add_middleware(LLMObserveMiddleware, observer=ours.observer)

    @app.get("/chat/{id}")
    async def chat(id: str):
        with llm_observe.step("think"):
            return await model.aask()

    @app.get("/sync/{id}")
    def sync(id: str):
        return model.ask()

    @app.get("/own/{id}")
    async def own(id: str):
        with llm_observe.step("think"), ours.tracer.start_as_current_span("their work"):
            await model.aask()
            with llm_observe.step("deeper"):
                return await model.aask()

    @app.get("/stream")
    async def stream():
        async def body():
            with llm_observe.step("think"):
                yield await model.aask()

        return StreamingResponse(body())

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        tasks.add_task(model.aask)

    @app.get("/health")
    async def health():
        return "well"

    return app, ours


WHOLE = {("SERVER", "GET /chat/{id}", None), ("INTERNAL", "think", "GET /chat/{id}"), ("CLIENT", "chat m", "think")}


def test_the_setting_brings_the_server_span(fastapi_app, asgi):
    """Made by the standard middleware, named by the route; step and call are below it, and there is no second one."""
    app, ours = fastapi_app

    asgi.talk(app, asgi.scope("/chat/1"))

    assert WHOLE == ours.tree
    (server,) = (span for span in ours.spans.get_finished_spans() if span.kind.name == "SERVER")
    assert ("opentelemetry.instrumentation.asgi", "/chat/{id}") == (server.instrumentation_scope.name, server.attributes["http.route"])


@pytest.mark.skipif(not UNTRACED, reason="this FastAPI makes no server spans itself")
def test_a_fastapi_that_traces_itself_keeps_its_server_span(traced, model, asgi):
    """Recent FastAPI needs no middleware for it."""
    ours = traced()
    app = FastAPI()
    app.add_middleware(LLMObserveMiddleware, observer=ours.observer)

    @app.get("/chat/{id}")
    async def chat(id: str):
        with llm_observe.step("think"):
            return await model.aask()

    asgi.talk(app, asgi.scope("/chat/1"))

    assert WHOLE == ours.tree
    (request,) = ours.memory.requests
    assert "fastapi" == request.instrumentation


@pytest.mark.parametrize("early", [True, False])
def test_an_instrumented_fastapi_keeps_its_server_span(traced, model, asgi, early):
    """Ours stands around the instrumentation or inside of it: the records have the ids of its span all the same."""
    ours = traced()
    app = FastAPI()
    if early:
        FastAPIInstrumentor.instrument_app(app, tracer_provider=ours.provider)
    app.add_middleware(LLMObserveMiddleware, observer=ours.observer)
    if not early:
        FastAPIInstrumentor.instrument_app(app, tracer_provider=ours.provider)

    @app.get("/chat/{id}")
    async def chat(id: str):
        with llm_observe.step("think"):
            return await model.aask()

    asgi.talk(app, asgi.scope("/chat/1"))

    assert WHOLE == ours.tree
    (request,) = ours.memory.requests
    assert "opentelemetry.instrumentation.fastapi" == request.instrumentation


def test_a_part_with_a_level_of_content_is_no_span(traced, model, asgi):
    """What is asked inside and after it is below the server's span, also where that is first looked for inside."""
    ours = traced()
    app = FastAPI()
    app.add_middleware(LLMObserveMiddleware, observer=ours.observer)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=ours.provider)

    @app.get("/chat/{id}")
    async def chat(id: str):
        with llm_observe.content("none"):
            await model.aask()
            with ours.tracer.start_as_current_span("their work"):
                await model.aask()
        with llm_observe.step("think"):
            await model.aask()

    asgi.talk(app, asgi.scope("/chat/1"))

    assert (
        WHOLE | {("CLIENT", "chat m", "GET /chat/{id}"), ("INTERNAL", "their work", "GET /chat/{id}"), ("CLIENT", "chat m", "their work")}
        == ours.tree
    )
    assert ["none", "none", None] == [call.content for call in ours.memory.calls]


def test_an_instrumented_request_without_a_call_has_one_server_span(traced, asgi):
    """Its span is found when the answer leaves."""
    ours = traced()
    app = FastAPI()
    app.add_middleware(LLMObserveMiddleware, observer=ours.observer)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=ours.provider)

    @app.get("/health")
    async def health():
        return "well"

    asgi.talk(app, asgi.scope("/health"))

    assert {("SERVER", "GET /health", None)} == ours.tree


def test_an_app_wrapped_from_outside_keeps_its_server_span(traced, model, asgi):
    """The plain ASGI middleware around an instrumented application sees what is inside."""
    ours = traced()
    app = FastAPI()
    FastAPIInstrumentor.instrument_app(app, tracer_provider=ours.provider)

    @app.get("/chat/{id}")
    async def chat(id: str):
        with llm_observe.step("think"):
            return await model.aask()

    asgi.talk(AsgiMiddleware(app, observer=ours.observer), asgi.scope("/chat/1"))

    assert WHOLE == ours.tree


def test_a_call_in_a_worker_thread_is_below_the_request(fastapi_app, asgi):
    """Plain functions run in a thread pool."""
    app, ours = fastapi_app

    asgi.talk(app, asgi.scope("/sync/1"))

    assert {("SERVER", "GET /sync/{id}", None), ("CLIENT", "chat m", "GET /sync/{id}")} == ours.tree


def test_spans_of_the_application_and_steps_of_ours_nest_in_turn(fastapi_app, asgi):
    """The nearest is the parent, whoever made it."""
    app, ours = fastapi_app

    asgi.talk(app, asgi.scope("/own/1"))

    assert {
        ("SERVER", "GET /own/{id}", None),
        ("INTERNAL", "think", "GET /own/{id}"),
        ("INTERNAL", "their work", "think"),
        ("CLIENT", "chat m", "their work"),
        ("INTERNAL", "deeper", "their work"),
        ("CLIENT", "chat m", "deeper"),
    } == ours.tree


def test_a_streamed_answer_is_inside(fastapi_app, asgi):
    """What happens while the body is sent is below the request."""
    app, ours = fastapi_app

    asgi.talk(app, asgi.scope("/stream"))

    assert {("SERVER", "GET /stream", None), ("INTERNAL", "think", "GET /stream"), ("CLIENT", "chat m", "think")} == ours.tree


def test_a_background_task_is_inside(fastapi_app, asgi):
    """It belongs to the request that asked for it."""
    app, ours = fastapi_app

    asgi.talk(app, asgi.scope("/later"))

    assert {("SERVER", "GET /later", None), ("CLIENT", "chat m", "GET /later")} <= ours.tree


def test_an_incoming_trace_is_continued(fastapi_app, asgi):
    """The server span is the caller's child, and everything is in the caller's trace."""
    app, ours = fastapi_app

    asgi.talk(app, asgi.scope("/chat/1", headers={"traceparent": INCOMING}))

    assert ("SERVER", "GET /chat/{id}", "the caller") in ours.tree
    assert {TRACE} == ours.trace_ids
    (request,) = ours.memory.requests
    assert (TRACE, PARENT) == (request.trace_id, request.parent_id)


@pytest.mark.parametrize("otel", [True, False])
def test_what_the_caller_did_not_sample_is_recorded_and_not_traced(traced, model, asgi, otel):
    """With our setting and without it."""
    ours = traced()
    observer = Observer(exporters=[ours.memory, OtelExporter(tracer_provider=ours.provider)], otel=otel, strict=True, batch_age=0)
    app = FastAPI()
    app.add_middleware(LLMObserveMiddleware, observer=observer)

    @app.get("/chat")
    async def chat():
        return await model.aask()

    with observer:
        asgi.talk(app, asgi.scope("/chat", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"}))

    assert () == ours.spans.get_finished_spans()
    assert {(TRACE, False)} == {(record.trace_id, record.sampled) for record in ours.memory.records}
    assert 2 == len(ours.memory.records)


def test_what_the_applications_sampler_leaves_out_is_left_out(traced, model, asgi):
    """The server span decides for what is below it."""
    ours = traced(ParentBased(ALWAYS_OFF))
    app = FastAPI()
    app.add_middleware(LLMObserveMiddleware, observer=ours.observer)

    @app.get("/chat")
    async def chat():
        return await model.aask()

    asgi.talk(app, asgi.scope("/chat"))
    assert ours.observer.flush(10, final=True)

    assert () == ours.spans.get_finished_spans()
    assert [False, False] == [record.sampled for record in ours.memory.records]


def test_without_a_provider_the_request_is_the_server_span(model, asgi):
    """Nobody else makes one."""
    memory, spans = MemoryExporter(), InMemorySpanExporter()
    with Observer(exporters=[memory, OtelExporter(span_exporter=spans)], otel=True, strict=True, batch_age=0) as observer:
        app = FastAPI()
        app.add_middleware(LLMObserveMiddleware, observer=observer)

        @app.get("/chat/{id}")
        async def chat(id: str):
            return await model.aask()

        asgi.talk(app, asgi.scope("/chat/1", headers={"traceparent": INCOMING}))

    call, server = sorted(spans.get_finished_spans(), key=lambda span: span.kind.name)
    assert ("SERVER", "GET /chat/{id}", int(PARENT, 16)) == (server.kind.name, server.name, server.parent.span_id)
    assert server.context.span_id == call.parent.span_id


def test_two_requests_at_once_do_not_mix(fastapi_app, asgi):
    """Each has its own trace."""
    app, ours = fastapi_app

    async def main():
        await asyncio.gather(*(asgi.converse(app, asgi.scope(f"/chat/{n}")) for n in range(5)))

    asyncio.run(main())
    assert ours.observer.flush(10, final=True)

    by_trace = {}
    for span in ours.spans.get_finished_spans():
        by_trace.setdefault(span.context.trace_id, set()).add(span.name)
    assert [{"GET /chat/{id}", "think", "chat m"}] * 5 == list(by_trace.values())


@pytest.fixture
def flask_app(model):
    """A Flask application with a step and a call in it."""
    app = flask.Flask(__name__)

    @app.get("/chat/<id>")
    def chat(id):
        with llm_observe.step("think"):
            return model.ask()

    @app.get("/stream")
    def stream():
        def body():
            with llm_observe.step("think"):
                yield model.ask()

        return app.response_class(body())

    @app.get("/health")
    def health():
        return "well"

    return app


FLASK = {("SERVER", "GET /chat/<id>", None), ("INTERNAL", "think", "GET /chat/<id>"), ("CLIENT", "chat m", "think")}


def test_flask_gets_its_server_span_too(traced, flask_app, wsgi):
    """By the standard WSGI middleware, named by the rule."""
    ours = traced()
    LLMObserve(flask_app, observer=ours.observer)

    wsgi.talk(flask_app, wsgi.environ("/chat/1"))

    assert FLASK == ours.tree


def test_a_streamed_body_of_flasks_is_inside(traced, flask_app, wsgi):
    """It is read after the view has returned."""
    ours = traced()
    LLMObserve(flask_app, observer=ours.observer)

    wsgi.talk(flask_app, wsgi.environ("/stream"))

    assert {("SERVER", "GET /stream", None), ("INTERNAL", "think", "GET /stream"), ("CLIENT", "chat m", "think")} == ours.tree


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize(("path", "tree"), [("/chat/1", FLASK), ("/health", {("SERVER", "GET /health", None)})])
def test_an_instrumented_flask_keeps_its_server_span(traced, flask_app, wsgi, early, path, tree):
    """Its span begins with the view and not with the request: it is found all the same, without a call too."""
    ours = traced()
    if early:
        FlaskInstrumentor().instrument_app(flask_app, tracer_provider=ours.provider)
    LLMObserve(flask_app, observer=ours.observer)
    if not early:
        FlaskInstrumentor().instrument_app(flask_app, tracer_provider=ours.provider)

    wsgi.talk(flask_app, wsgi.environ(path))

    assert tree == ours.tree


def test_a_plain_wsgi_app_continues_an_incoming_trace(traced, model, wsgi):
    """Without a framework."""
    ours = traced()

    def app(environ, start_response):
        start_response("200 OK", [])
        return [model.ask().encode()]

    wsgi.talk(LLMObserveWSGI(app, observer=ours.observer), wsgi.environ("/chat", HTTP_TRACEPARENT=INCOMING))

    assert {("SERVER", "GET /chat", "the caller"), ("CLIENT", "chat m", "GET /chat")} == ours.tree


@pytest.mark.parametrize(("otel", "server", "theirs"), [(True, "GET /chat", "rojo=1"), (False, "GET", "")])
def test_the_state_of_a_trace_is_on_all_spans_in_it(traced, model, wsgi, otel, server, theirs):
    """On the server's, on ours, and on those that begin in ours: these are no part of it without our setting."""
    ours = traced()

    def app(environ, start_response):
        with llm_observe.step("step"), ours.tracer.start_as_current_span("theirs"):
            start_response("200 OK", [])
            return [model.ask().encode()]

    observer = Observer(exporters=[OtelExporter(tracer_provider=ours.provider)], otel=otel, strict=True, batch_age=0)
    environ = wsgi.environ("/chat", HTTP_TRACEPARENT=INCOMING, HTTP_TRACESTATE="rojo=1")
    with observer:
        wsgi.talk(LLMObserveWSGI(app, observer=observer), environ)

    states = {span.name: span.context.trace_state.to_header() for span in ours.spans.get_finished_spans()}
    assert {server: "rojo=1", "step": "rojo=1", "chat m": "rojo=1", "theirs": theirs} == states


def test_a_call_outside_of_scopes_is_below_the_applications_span(traced, model):
    """And so is a job, and what is in it."""
    ours = traced()
    with _runtime.default.swapped(ours.observer), ours.tracer.start_as_current_span("their work"):
        model.ask()
        with llm_observe.step("alone"):
            model.ask()
        with llm_observe.scope("job"):
            model.ask()

    assert {
        ("INTERNAL", "their work", None),
        ("CLIENT", "chat m", "their work"),
        ("INTERNAL", "alone", "their work"),
        ("CLIENT", "chat m", "alone"),
        ("INTERNAL", "job", "their work"),
        ("CLIENT", "chat m", "job"),
    } == ours.tree


def test_a_step_outside_of_scopes_has_its_calls_in_its_trace(timed, model):
    """Also where OpenTelemetry is not asked."""
    with _runtime.default.swapped(timed.observer), llm_observe.step("alone"), llm_observe.step("deeper"):
        model.ask()

    (call,) = timed.calls
    deeper, alone = timed.memory.steps
    assert {call.trace_id} == {alone.trace_id, deeper.trace_id}
    assert (None, alone.span_id, deeper.span_id) == (alone.parent_id, deeper.parent_id, call.parent_id)


def test_spans_in_a_step_are_below_it(traced):
    """An instrumentation's, in a decorated generator as well, and none of it is left behind for its consumer."""
    ours = traced()

    @llm_observe.step("generating")
    def numbers():
        with ours.tracer.start_as_current_span("inside"):
            pass
        yield 1

    with _runtime.default.swapped(ours.observer), llm_observe.scope("job"):
        for _ in numbers():
            with ours.tracer.start_as_current_span("between"):
                pass

    assert {
        ("INTERNAL", "job", None),
        ("INTERNAL", "generating", "job"),
        ("INTERNAL", "inside", "generating"),
        ("INTERNAL", "between", "job"),
    } == ours.tree


def test_an_instrumentation_of_the_http_client_is_below_the_call_or_beside_it(traced):
    """Our hook is on the client, theirs on the transport: the call's parent is not the HTTP span."""
    ours = traced()
    body = {"model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}]}
    import httpx

    transport = SyncOpenTelemetryTransport(httpx.MockTransport(lambda _: httpx.Response(200, json=body)), tracer_provider=ours.provider)
    with _runtime.default.swapped(ours.observer), llm_observe.scope("job"), httpx.Client(transport=transport) as client:
        client.post("http://provider.test/v1/chat/completions", json={"model": "m", "messages": []})

    assert {("INTERNAL", "job", None), ("CLIENT", "chat m", "job"), ("CLIENT", "POST", "job")} == ours.tree


def test_anthropics_own_span_is_the_call(traced):
    """The SDK traces itself: there is one span, theirs, with what it cannot know on it; our record has its ids."""
    anthropic = pytest.importorskip("anthropic")
    ours = traced()
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": "yes"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=answer))
    client = anthropic.Anthropic(api_key="k", http_client=httpx2.Client(transport=transport))

    with _runtime.default.swapped(ours.observer), llm_observe.scope("job", user="u1") as job:
        client.messages.create(model="claude-x", max_tokens=9, messages=[{"role": "user", "content": "?"}])
    assert ours.observer.flush(10, final=True)

    theirs, own = ours.spans.get_finished_spans()
    (call,) = ours.memory.calls
    assert ("com.anthropic.sdk.python", "job") == (theirs.instrumentation_scope.name, own.name)
    assert own.context.span_id == theirs.parent.span_id
    assert (f"{theirs.context.span_id:016x}", f"{own.context.span_id:016x}", "com.anthropic.sdk.python") == (
        call.span_id,
        call.parent_id,
        call.instrumentation,
    )
    assert ("u1", job.request_id) == (theirs.attributes["user.id"], theirs.attributes["llm_observe.request_id"])


def test_another_instrumentations_span_is_the_call(traced, model):
    """Known by what it says it is, whoever made it; an agent's is a parent like any other."""
    ours = traced()
    with _runtime.default.swapped(ours.observer):
        with ours.tracer.start_as_current_span("agent", attributes={"gen_ai.operation.name": "invoke_agent"}):
            model.ask()
            with ours.tracer.start_as_current_span("chat m (theirs)", attributes={"gen_ai.operation.name": "chat"}):
                model.ask()

    assert {("INTERNAL", "agent", None), ("CLIENT", "chat m", "agent"), ("INTERNAL", "chat m (theirs)", "agent")} == ours.tree
    assert 2 == len(ours.memory.calls)


def test_a_thread_of_the_applications_keeps_to_its_request(traced, model):
    """A pool's thread has our scope, and none of OpenTelemetry's context."""
    from concurrent.futures import ThreadPoolExecutor

    ours = traced()
    with _runtime.default.swapped(ours.observer), llm_observe.scope("job"), ThreadPoolExecutor(1) as pool:
        pool.submit(model.ask).result()

    assert {("INTERNAL", "job", None), ("CLIENT", "chat m", "job")} == ours.tree
    assert threading.current_thread() is threading.main_thread()


def test_the_setting_without_the_extra_says_which(monkeypatch):
    """At start-up, not with the first request."""
    import sys

    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation", None)

    with pytest.raises(llm_observe.errors.MissingExtra, match=r"llm-observe\[otel\]"):
        Observer(otel=True)
