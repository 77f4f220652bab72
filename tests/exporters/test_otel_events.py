"""Events: what a call was about and what went wrong, as OpenTelemetry's log records."""

import io
import json
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import _logs as logs
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llm_observe import Observer, errors, exporters, record_call, scope
from llm_observe.exporters.otel import OtelExporter
from llm_observe.records import (
    Call,
    CallRequest,
    CallResponse,
    Error,
    Http,
    HttpRequest,
    HttpResponse,
    Input,
    InputTokens,
    Message,
    Operation,
    Output,
    Provider,
    Refusal,
    Server,
    Text,
    Tool,
    ToolCall,
    ToolDefinition,
    Usage,
    Wire,
)

pytestmark = pytest.mark.skipif(not hasattr(logs, "ReadableLogRecord"), reason="events need opentelemetry-sdk 1.39")

CONTENT = {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions"}
TABLE = json.loads(Path(__file__).with_name("otel_attributes.json").read_text()) | dict.fromkeys(CONTENT, "map[]")
KINDS = {"string_value": "string", "int_value": "int", "double_value": "double", "bool_value": "bool", "kvlist_value": "map"}
DETAILS, EXCEPTION = "gen_ai.client.inference.operation.details", "gen_ai.client.operation.exception"
CAPTURE, EMIT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """The machine's own collector and choices are none of ours."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", CAPTURE, EMIT):
        monkeypatch.delenv(name, raising=False)


def bodies(server, path):
    """What was posted to *path*."""
    return [body for line, _, body in server.requests if line == f"POST {path} HTTP/1.1"]


def events(server):
    """The log records that *server* was sent."""
    requests = [ExportLogsServiceRequest.FromString(body) for body in bodies(server, "/v1/logs")]
    return [one for sent in requests for resource in sent.resource_logs for group in resource.scope_logs for one in group.log_records]


def spans(server):
    """The names of the spans that *server* was sent."""
    requests = [ExportTraceServiceRequest.FromString(body) for body in bodies(server, "/v1/traces")]
    return [one.name for sent in requests for resource in sent.resource_spans for group in resource.scope_spans for one in group.spans]


def kind(value):
    """The type of an attribute on the wire."""
    which = value.WhichOneof("value")
    return kind(value.array_value.values[0]) + "[]" if which == "array_value" else KINDS[which]


def plain(value):
    """An attribute's value as Python has it."""
    match value.WhichOneof("value"):
        case "array_value":
            return [plain(one) for one in value.array_value.values]
        case "kvlist_value":
            return {one.key: plain(one.value) for one in value.kvlist_value.values}
        case None:
            return None
        case which:
            return getattr(value, which)


def attributes(event):
    """The attributes of *event*."""
    return {one.key: plain(one.value) for one in event.attributes}


@pytest.fixture
def a_call(make):
    """A call that failed late, with everything that a call can have."""
    said = (Message(role="user", parts=(Text(content="hello"),)),)
    answered = Message(role="assistant", parts=(Refusal(content="no"), ToolCall(id="t1", name="add", arguments={"a": [1, None]})))
    return make.call(
        trace_id="a" * 32,
        span_id="b" * 16,
        parent_id="c" * 16,
        started_at=make.noon + timedelta(microseconds=123457),
        status="error",
        error=Error(type="overloaded_error", message="later"),
        wire=Wire(format="openai.chat", client="httpx2", status_code=200, complete=True),
        server=Server(address="api.openai.com", port=443),
        request=CallRequest(model="gpt-x", stream=True, max_tokens=9, temperature=1, top_k=4, stop_sequences=("a", "b"), seed=2**40),
        response=CallResponse(id="r1", model="gpt-x-1", finish_reasons=("stop",), time_to_first_chunk=0.25, service_tier="default"),
        usage=Usage(input_tokens=12, output_tokens=0, cache_read=InputTokens(input_tokens=8)),
        system_instructions=(Text(content="be brief"),),
        input=Input(messages=said, count=1),
        output=Output(messages=(answered,)),
        tool=Tool(definitions=(ToolDefinition(type="function", name="add", parameters={"type": "object"}),)),
    )


def test_a_collector_reads_the_details_of_a_call(make, send, serve, a_call):
    """Every attribute has the name and the type of the table, what was said is structured, and there is no other of the convention's."""
    server = serve(200)

    send(OtelExporter(server.base, events=True), make.batch(a_call))

    details = events(server)[0]
    found = {one.key: kind(one.value) for one in details.attributes if not one.key.startswith("llm_observe.")}
    assert {name: TABLE.get(name) for name in found} == found
    assert CONTENT < set(found)
    assert 24 <= len(found)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_every_attribute_is_one_of_the_conventions_or_our_own(make, send, serve, provider):
    """With everything set that a call can have: names and types are those of the table, and all others are below `llm_observe.`."""
    server = serve(200)
    call = msgspec.structs.replace(
        make.filled(Call),
        trace_id="a" * 32,
        span_id="b" * 16,
        sampled=None,
        operation=Operation(name="chat"),
        provider=Provider(name=provider),
        wire=Wire(format="openai.chat"),
    )

    send(OtelExporter(server.base, events=True), make.batch(call))

    found = {one.key: kind(one.value) for one in events(server)[0].attributes if not one.key.startswith("llm_observe.")}
    assert {name: TABLE.get(name) for name in found} == found
    assert CONTENT < set(found)


def test_an_event_is_where_and_when_its_span_ends(make, send, serve, a_call):
    """The ids of the trace and the span, and the call's end, to the microsecond."""
    server = serve(200)

    send(OtelExporter(server.base, events=True), make.batch(a_call))

    end = int(make.noon.timestamp()) * 10**9 + 123_457_000 + 1_250_000_000
    wanted = ("a" * 32, "b" * 16, 1, end, end)
    assert [(DETAILS, 9, "INFO", *wanted), (EXCEPTION, 13, "WARN", *wanted)] == [
        (
            one.event_name,
            one.severity_number,
            one.severity_text,
            one.trace_id.hex(),
            one.span_id.hex(),
            one.flags,
            one.time_unix_nano,
            one.observed_time_unix_nano,
        )
        for one in events(server)
    ]


def test_what_was_said_is_structured(make, send, serve, a_call):
    """Messages, instructions and tools are lists of maps, in the convention's parts, and no JSON."""
    server = serve(200)

    send(OtelExporter(server.base, events=True), make.batch(a_call))

    found = attributes(events(server)[0])
    answered = [{"type": "text", "content": "no"}, {"type": "tool_call", "id": "t1", "name": "add", "arguments": {"a": [1, None]}}]
    assert {
        "gen_ai.system_instructions": [{"type": "text", "content": "be brief"}],
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "hello"}]}],
        "gen_ai.output.messages": [{"role": "assistant", "parts": answered}],
        "gen_ai.tool.definitions": [{"type": "function", "name": "add", "parameters": {"type": "object"}}],
    } == {name: found[name] for name in CONTENT}


def test_what_no_collector_could_read_is_json(make, send, serve):
    """Arguments without end, and a number of 70 bits: protobuf's readers stop at a depth of 100, and 64 bits are all it has."""
    server = serve(200)
    deep = {"number": 2**70}
    for _ in range(60):
        deep = {"a": [deep]}
    said = Message(role="assistant", parts=(ToolCall(name="add", arguments=deep),))

    send(OtelExporter(server.base, events=True), make.batch(make.call(output=Output(messages=(said,)))))

    found = attributes(events(server)[0])["gen_ai.output.messages"][0]["parts"][0]["arguments"]
    levels = 0
    while not isinstance(found, str):
        found, levels = found["a"][0] if isinstance(found["a"], list) else found["a"], levels + 1
    assert levels > 5
    assert str(2**70)[:10] in found


@pytest.mark.parametrize(
    ("capture", "on_span", "on_event"),
    [
        (None, True, True),
        ("SPAN_AND_EVENT", True, True),
        ("span_only", True, False),
        ("EVENT_ONLY", False, True),
        ("NO_CONTENT", False, False),
    ],
)
def test_content_goes_where_the_environment_lets_it(make, send, serve, monkeypatch, a_call, capture, on_span, on_event):
    """Our own setting decides what is on record; the variable takes it off spans, or off events, or off both."""
    if capture is not None:
        monkeypatch.setenv(CAPTURE, capture)
    server = serve(200)

    send(OtelExporter(server.base, events=True), make.batch(a_call))

    (span,), (event,) = bodies(server, "/v1/traces"), bodies(server, "/v1/logs")
    assert (on_span, on_event) == (b"hello" in span, b"hello" in event)
    assert (on_span, on_event) == (b"later" in span, b"later" in event)  # the error's words


@pytest.mark.parametrize(
    ("capture", "emit", "option", "sent"),
    [
        ("", "", None, False),
        ("SPAN_ONLY", "", None, False),
        ("true", "", None, False),
        ("EVENT_ONLY", "", None, True),
        ("span_and_event", "", None, True),
        ("span_and_event", "false", None, False),
        ("", "TRUE", None, True),
        ("", "TRUE", False, False),
        ("", "", True, True),
        ("", "false", True, True),
    ],
)
def test_events_are_for_those_who_ask(make, send, serve, monkeypatch, capture, emit, option, sent):
    """By our option, or by the variables of OpenTelemetry's own instrumentations; nobody else gets any."""
    monkeypatch.setenv(CAPTURE, capture)
    monkeypatch.setenv(EMIT, emit)
    server = serve(200)

    send(OtelExporter(server.base, events=option), make.batch(make.call()))

    assert (["chat gpt-x"], sent) == (spans(server), bool(events(server)))


def test_the_option_is_in_the_url(make, send, serve):
    """One variable in the environment deploys it; the path of logs is below the same address."""
    server = serve(200)

    send(exporters.from_url(f"otlp+{server.base}/v1/traces?events=true"), make.batch(make.call()))

    assert [DETAILS] == [one.event_name for one in events(server)]


def test_what_went_wrong_is_an_event(make, send, serve):
    """Of a call by the convention's name, of all else by the core's; a web request that has a status and no exception has none."""
    server = serve(200)
    failed = {"status": "error", "error": Error(type="ValueError", message="no")}
    http = Http(request=HttpRequest(method="GET"), response=HttpResponse(status_code=503))
    call, step, request = make.call(operation=Operation(name="embeddings"), **failed), make.step(**failed), make.request(**failed)
    refusal = make.request(status="error", error=Error(type="503"), http=http)
    cancelled = make.step(status="cancelled", error=Error(type="CancelledError"))

    send(OtelExporter(server.base, events=True), make.batch(call, step, request, refusal, cancelled))

    said = {"exception.type": "ValueError", "exception.message": "no"}
    assert [(EXCEPTION, 13, said), ("exception", 17, said), ("exception", 17, said)] == [
        (one.event_name, one.severity_number, attributes(one)) for one in events(server)
    ]


def test_only_inferences_have_details(make, send, serve):
    """The convention has them for chats and completions: not for embeddings, tools, steps and requests."""
    server = serve(200)
    others = [make.call(operation=Operation(name=name)) for name in ("embeddings", "execute_tool", "rerank")]
    batch = make.batch(make.call(operation=Operation(name="generate_content")), *others, make.step(), make.request())

    send(OtelExporter(server.base, events=True), batch)

    assert ["generate_content"] == [attributes(one)["gen_ai.operation.name"] for one in events(server)]


def test_a_call_that_was_cancelled_is_no_error(make, send, serve):
    """As on its span."""
    server = serve(200)

    send(OtelExporter(server.base, events=True), make.batch(make.call(status="cancelled", error=Error(type="CancelledError"))))

    (details,) = events(server)
    assert "error.type" not in attributes(details)


def test_what_is_not_sampled_has_no_events(make, send, serve):
    """There is no span that they could be in."""
    server = serve(200)

    send(OtelExporter(server.base, events=True), make.batch(make.call(sampled=False)))

    assert [] == server.requests


@pytest.mark.parametrize(
    ("scope_name", "options", "count"),
    [
        ("com.anthropic.sdk.python", {}, 1),
        ("opentelemetry.util.genai.handler", {}, 0),
        ("opentelemetry.util.genai.handler", {"instrumented": True}, 1),
    ],
)
def test_a_span_of_somebody_elses_has_one_event(make, send, serve, scope_name, options, count):
    """An SDK sends none, so that ours goes along; OpenTelemetry's instrumentations send their own."""
    server = serve(200)

    send(OtelExporter(server.base, events=True, **options), make.batch(make.call(instrumentation=scope_name)))

    assert count == len(events(server))


class Kept:
    """A log exporter that keeps what it gets, and answers as it is told."""

    def __init__(self, *failing):
        self.kept, self._failing = [], list(failing)

    def export(self, batch):
        from opentelemetry.sdk._logs.export import LogRecordExportResult

        if self._failing and self._failing.pop(0):
            return LogRecordExportResult.FAILURE
        self.kept += batch
        return LogRecordExportResult.SUCCESS

    def shutdown(self):
        pass

    def force_flush(self, timeout_millis=0):
        return True


def test_a_log_exporter_of_the_users_own_gets_them(make, send):
    """It need not be asked for twice; the service is ours."""
    kept, memory = Kept(), InMemorySpanExporter()

    send(OtelExporter(span_exporter=memory, log_exporter=kept), make.batch(make.call(service="ours")))

    (event,) = kept.kept
    assert (DETAILS, "ours", "llm_observe") == (
        event.log_record.event_name,
        event.resource.attributes["service.name"],
        event.instrumentation_scope.name,
    )


def test_the_applications_own_provider_gets_them(make, send):
    """Its processors see them, with its resource, and with our name as the scope."""
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

    kept, provider = Kept(), LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))

    exporter = OtelExporter(tracer_provider=TracerProvider(shutdown_on_exit=False), logger_provider=provider)
    send(exporter, make.batch(make.call(input=Input(messages=(Message(role="user", parts=(Text(content="hello"),)),)))))

    (event,) = kept.kept
    (message,) = event.log_record.attributes["gen_ai.input.messages"]
    assert (provider.resource, "llm_observe", f"{'1' * 16}", "hello") == (
        event.resource,
        event.instrumentation_scope.name,
        f"{event.log_record.span_id:016x}",
        message["parts"][0]["content"],
    )


def test_the_provider_of_the_process_is_found(other):
    """Beside a TracerProvider of its own, an application has a LoggerProvider as a rule."""
    code = """
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
import llm_observe
from llm_observe.exporters import OtelExporter

provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(ConsoleLogRecordExporter(formatter=lambda one: one.log_record.event_name)))
set_logger_provider(provider)
llm_observe.configure(exporters=[OtelExporter(tracer_provider=TracerProvider(), events=True)])
with llm_observe.record_call("small", provider="local"):
    pass
llm_observe.shutdown()
"""

    assert DETAILS == other.finished(other.python(code)).strip()


def test_the_console_shows_both():
    """Where spans are printed, so are events."""
    out = io.StringIO()

    with Observer(exporters=[OtelExporter(span_exporter=ConsoleSpanExporter(out=out), events=True)]) as observer:
        with scope("job", observer=observer), record_call("m", provider="local"):
            pass

    assert ('"name": "chat m"' in out.getvalue(), DETAILS in out.getvalue()) == (True, True)


def test_spans_that_arrived_are_not_sent_again_for_the_sake_of_events(make, send, serve):
    """Of a batch that comes again, only what is missing goes out."""
    server = serve(200, 503, 200)
    exporter, batch = OtelExporter(server.base, events=True), make.batch(make.call())

    with pytest.raises(errors.RetryLater, match="/v1/logs answered 503"):
        send(exporter, batch)
    send(exporter, batch)

    assert (["chat gpt-x"], 2) == (spans(server), len(bodies(server, "/v1/logs")))


def test_a_log_exporter_that_fails_has_the_batch_come_again(make, send):
    """It does not say why; the spans have arrived."""
    kept, memory = Kept(True), InMemorySpanExporter()
    exporter, batch = OtelExporter(span_exporter=memory, log_exporter=kept), make.batch(make.call())

    with pytest.raises(errors.RetryLater, match="Kept failed"):
        send(exporter, batch)
    send(exporter, batch)

    assert (1, 1) == (len(memory.get_finished_spans()), len(kept.kept))


def test_events_that_a_collector_refuses_are_counted(make, send, serve, answered):
    """Its span has arrived; the record is counted as lost in part."""
    body = ExportLogsServiceResponse(partial_success=ExportLogsPartialSuccess(rejected_log_records=1, error_message="too old"))
    server = serve(200, answered(200, body.SerializeToString()))

    with pytest.raises(errors.Rejected, match="refused 1 log records: too old") as caught:
        send(OtelExporter(server.base, events=True), make.batch(make.call(), make.call()))

    assert 1 == caught.value.count


def test_a_collector_without_logs_gets_its_spans(make, send, serve):
    """Many a tracing backend takes no log records: that is counted, and nothing waits for it."""
    server = serve(200, 404)

    with pytest.raises(errors.Rejected, match="/v1/logs answered 404: it takes no log records") as caught:
        send(OtelExporter(server.base, events=True), make.batch(make.call(), make.step()))

    assert (1, ["chat gpt-x", "retrieval"]) == (caught.value.count, spans(server))


def test_a_record_that_is_refused_twice_is_one(make, send, serve):
    """As a span and as an event: it was one record, and the other one arrived."""
    call = make.call(name="poison", request=CallRequest(model="poison"))
    refusing = []

    def answer(connection):
        status = 400 if b"poison" in server.requests[-1][2] else 200
        refusing.append(status)
        connection.sendall(f"HTTP/1.1 {status} Whatever\r\ncontent-length: 0\r\n\r\n".encode())
        return True

    server = serve(answer)

    with pytest.raises(errors.Rejected, match="1 of 2 records") as caught:
        send(OtelExporter(server.base, events=True), make.batch(call, make.call()))

    assert (1, [400, 400, 200] * 2) == (caught.value.count, refusing)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"span_exporter": InMemorySpanExporter(), "events": True}, "nowhere to send them"),
        ({"log_exporter": Kept(), "logger_provider": object()}, "one of a log_exporter and a logger_provider"),
    ],
)
def test_events_without_a_way_fail_at_once(options, said):
    """With what to do about it."""
    with pytest.raises(errors.SettingsError, match=said):
        OtelExporter(**options)


@pytest.mark.parametrize(("options", "fails"), [({"events": True}, True), ({"log_exporter": Kept()}, True), ({}, False)])
def test_an_older_sdk_is_named_for_what_it_lacks(make, send, serve, monkeypatch, options, fails):
    """Who asked for events learns it at start-up; the variables are for others, too, and spans go out without."""
    monkeypatch.setitem(sys.modules, "llm_observe.exporters._events", None)
    monkeypatch.setenv(EMIT, "true")
    server = serve(200)
    if fails:
        with pytest.raises(errors.SettingsError, match=r"opentelemetry-sdk 1\.39"):
            OtelExporter(server.base, **options)
        return

    send(OtelExporter(server.base), make.batch(make.call()))

    assert ["chat gpt-x"] == spans(server)


def test_a_bare_record_has_a_bare_event(make, send, serve, a_call):
    """Where our setting keeps no content there is none."""
    server = serve(200)
    silent = msgspec.structs.replace(a_call, system_instructions=(), input=Input(count=1), output=Output(), tool=Tool())

    send(OtelExporter(server.base, events=True), make.batch(silent))

    assert set() == CONTENT & set(attributes(events(server)[0]))
