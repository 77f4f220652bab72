"""OTLP over HTTP: what a collector gets, read with the official protobuf classes, and what its answers do."""

import json
import socket
from pathlib import Path

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from llm_observe import Observer, errors, exporters, scope
from llm_observe.exporters.otel import OtelExporter
from llm_observe.records import (
    Attempt,
    CallRequest,
    CallResponse,
    Error,
    Input,
    InputTokens,
    Message,
    Server,
    Text,
    Tool,
    ToolDefinition,
    Usage,
    Wire,
)

TABLE = json.loads(Path(__file__).with_name("otel_attributes.json").read_text())
KINDS = {"string_value": "string", "int_value": "int", "double_value": "double", "bool_value": "bool"}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """The machine's own collector is none of ours."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)


def received(server):
    """The spans that *server* was sent."""
    requests = [ExportTraceServiceRequest.FromString(body) for _, _, body in server.requests]
    return [span for one in requests for resource in one.resource_spans for group in resource.scope_spans for span in group.spans]


def kind(value):
    """The type of an attribute on the wire."""
    which = value.WhichOneof("value")
    if which == "array_value":
        return KINDS[value.array_value.values[0].WhichOneof("value")] + "[]"
    return KINDS[which]


def test_a_collector_reads_what_the_conventions_say(make, send, serve):
    """Every attribute of a call has the name and the type of the table; there is no other of theirs."""
    server = serve(200)
    said = (Message(role="user", parts=(Text(content="hello"),)),)
    call = make.call(
        status="error",
        error=Error(type="overloaded_error", message="later"),
        parent_id="c" * 16,
        wire=Wire(format="openai.chat", client="httpx2", status_code=200, complete=True),
        server=Server(address="api.openai.com", port=443),
        request=CallRequest(model="gpt-x", stream=True, max_tokens=9, temperature=1, top_k=4, stop_sequences=("a", "b"), seed=2**40),
        response=CallResponse(id="r1", model="gpt-x-1", finish_reasons=("stop",), time_to_first_chunk=0.25, service_tier="default"),
        usage=Usage(input_tokens=12, output_tokens=0, cache_read=InputTokens(input_tokens=8)),
        system_instructions=(Text(content="be brief"),),
        input=Input(messages=said, count=1),
        tool=Tool(definitions=(ToolDefinition(type="function", name="add", parameters={"type": "object"}),)),
    )

    send(OtelExporter(server.base), make.batch(call))

    (span,) = received(server)
    found = {one.key: kind(one.value) for one in span.attributes if not one.key.startswith("llm_observe.")}
    assert {name: TABLE.get(name) for name in found} == found
    assert 23 <= len(found)
    assert (Span.SPAN_KIND_CLIENT, "chat gpt-x", "0" * 32, "1" * 16, "c" * 16, "later") == (
        span.kind,
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.status.message,
    )


def test_what_others_said_on_the_trace_is_on_our_spans(make, send, serve):
    """The state of a trace is that of all spans in it, attempts too; most have none."""
    server = serve(200)
    attempt = Attempt(started_at=make.noon, duration=0.5)

    send(OtelExporter(server.base), make.batch(make.call(trace_state="rojo=1,congo=2", attempts=(attempt, attempt)), make.step()))

    assert ["rojo=1,congo=2"] * 3 + [""] == [span.trace_state for span in received(server)]


@pytest.mark.parametrize(
    ("below", "path"), [("", "/v1/traces"), ("/", "/v1/traces"), ("/base", "/base/v1/traces"), ("/v1/traces", "/v1/traces")]
)
def test_traces_have_their_path_below_the_address(make, send, serve, below, path):
    """As the specification has it for the address of a collector."""
    server = serve(200)

    send(exporters.from_url(f"otlp+{server.base}{below}"), make.batch(make.call()))

    assert f"POST {path} HTTP/1.1" == server.requests[0][0]


def test_the_environment_says_where_and_with_which_headers(make, send, serve, monkeypatch):
    """OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS and _COMPRESSION are the SDK's own."""
    server = serve(200)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.base)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")

    send(exporters.from_url("otlp"), make.batch(make.call()))

    ((line, headers, _),) = server.requests
    assert ("POST /v1/traces HTTP/1.1", "1", "gzip") == (line, headers["x-key"], headers["content-encoding"])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_collector_that_cannot_now_is_asked_once_and_again_by_us(make, send, serve, answered, status):
    """The SDK's own waiting is off: when to come again is told, with what the collector said."""
    server = serve(answered(status, b"busy", retry_after=7))

    with pytest.raises(errors.RetryLater, match=f"/v1/traces answered {status}: busy") as caught:
        send(OtelExporter(server.base), make.batch(make.call()))

    assert (1, 7.0) == (len(server.requests), caught.value.after)


@pytest.mark.parametrize("status", [302, 400, 405, 413])
def test_a_collector_that_never_will_has_the_batch_dropped(make, send, serve, answered, status):
    """What is wrong with it stays wrong; nobody is followed to elsewhere."""
    server = serve(answered(status, location="/elsewhere"))

    with pytest.raises(errors.Rejected, match=f"answered {status}"):
        send(OtelExporter(server.base), make.batch(make.call()))

    assert 1 == len(server.requests)


def test_spans_that_a_collector_refuses_are_counted(make, send, serve, answered):
    """It takes the others: that is no failure of the batch."""
    body = ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message="too old"))
    server = serve(answered(200, body.SerializeToString()))

    with pytest.raises(errors.Rejected, match="refused 1 spans: too old") as caught:
        send(OtelExporter(server.base), make.batch(make.call(), make.step()))

    assert 1 == caught.value.count


def test_nobody_there_is_no_reason_to_lose_anything(make, send):
    """The batch comes again."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(errors.RetryLater, match="ConnectionError"):
        send(OtelExporter(f"http://127.0.0.1:{port}"), make.batch(make.call()))


def test_an_exporter_that_was_closed_opens_again(make, send, serve):
    """An application's lifespan may come a second time."""
    server = serve(200)
    exporter = OtelExporter(server.base)

    send(exporter, make.batch(make.call()))
    with Observer(exporters=[exporter]) as observer, scope("once", observer=observer):
        pass
    with Observer(exporters=[exporter]) as observer, scope("twice", observer=observer):
        pass

    assert ["chat gpt-x", "once", "twice"] == [span.name for span in received(server)]


def test_a_collector_that_was_away_gets_everything_once(serve):
    """503, then 200: the observer's own channel comes again with the same spans, and nothing is lost or counted twice."""
    server = serve(503, 200)

    with Observer(exporters=[f"otlp+{server.base}"]) as observer:
        with scope("job", observer=observer):
            pass
        assert observer.flush(20)
        (stats,) = observer.stats().exporters.values()

    first, second = received(server)
    assert first == second
    assert (1, {}) == (stats.exported, {reason: count for reason, count in stats.dropped.items() if count})


def test_what_is_not_sampled_is_not_sent(make, send, serve):
    """A batch with nothing in it is no request."""
    server = serve(200)

    send(OtelExporter(server.base), make.batch(make.call(sampled=False)))

    assert [] == server.requests


def test_our_own_traffic_is_neither_recorded_nor_traced(serve):
    """Hooks on `requests`, ours or an instrumentation's, see nothing of the export."""
    from opentelemetry.instrumentation.utils import is_instrumentation_enabled

    from llm_observe._runtime.scope import SUPPRESSED, frame

    seen = []
    server = serve(200)
    exporter = OtelExporter(server.base)
    ((way, *_),) = exporter._ways
    inner = way._out
    way._out = lambda spans: (seen.append((frame.get() is SUPPRESSED, is_instrumentation_enabled())), inner(spans))[1]

    with Observer(exporters=[exporter]) as observer, scope("job", observer=observer):
        pass

    assert [(True, False)] == seen


def test_a_call_goes_the_whole_way_in_openinferences_words(make, send, serve):
    """The dialect is in the URL."""
    server = serve(200)
    call = msgspec.structs.replace(make.call(), request=CallRequest(model="gpt-x"))

    send(exporters.from_url(f"otlp+{server.base}?dialect=openinference"), make.batch(call))

    (span,) = received(server)
    found = {one.key: one.value.string_value for one in span.attributes}
    assert ("LLM", "gpt-x") == (found["openinference.span.kind"], found["llm.model_name"])
