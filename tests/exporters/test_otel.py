"""Records as OpenTelemetry spans: ids, kinds, names, statuses, attributes."""

import json
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from llm_observe import Observer, errors, exporters, record_call, scope, step
from llm_observe.exporters.otel import OtelExporter
from llm_observe.protocols import Batch
from llm_observe.records import (
    Attempt,
    Blob,
    Call,
    CallRequest,
    Error,
    Http,
    HttpRequest,
    HttpResponse,
    Input,
    Message,
    Operation,
    Output,
    Provider,
    Refusal,
    Request,
    ScopeInfo,
    Server,
    Step,
    Text,
    Wire,
)

TABLE = json.loads(Path(__file__).with_name("otel_attributes.json").read_text())
TYPES = {"string": str, "int": int, "double": float, "bool": bool, "string[]": tuple}


@pytest.fixture
def spans(make, send):
    """What becomes of records."""

    def exported(*records, **options):
        memory = InMemorySpanExporter()
        send(OtelExporter(span_exporter=memory, **options), make.batch(*records))
        return list(memory.get_finished_spans())

    return exported


def ids(span):
    """Trace, own and parent id as records have them."""
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", span.parent and f"{span.parent.span_id:016x}"


def test_a_span_has_the_ids_and_times_of_its_record(make, spans):
    """What is seen in one place is found in the other; microseconds are not rounded."""
    call = make.call(
        trace_id="a" * 32, span_id="b" * 16, parent_id="c" * 16, started_at=make.noon + timedelta(microseconds=123457), duration=1.25
    )

    (span,) = spans(call)

    began = int(make.noon.timestamp()) * 10**9 + 123_457_000
    assert (("a" * 32, "b" * 16, "c" * 16), began, began + 1_250_000_000) == (ids(span), span.start_time, span.end_time)


@pytest.mark.parametrize("kind", [Call, Request, Step])
def test_every_attribute_is_one_of_the_conventions_or_our_own(make, kind, spans):
    """With everything set that can be: names and types are those of the table, and all others are below `llm_observe.`."""
    record = msgspec.structs.replace(make.filled(kind), trace_id="a" * 32, span_id="b" * 16, parent_id=None, sampled=None)
    record = msgspec.structs.replace(record, attempts=()) if kind is Call else record

    (span,) = spans(record, instrumented=True)

    theirs = {name: value for name, value in span.attributes.items() if not name.startswith("llm_observe.") and name != "key"}
    assert {} == {name: value for name, value in theirs.items() if name not in TABLE}
    assert {} == {name: value for name, value in theirs.items() if type(value) is not TYPES[TABLE[name]]}


def test_every_attribute_that_a_call_can_have_is_there(make, spans):
    """Nothing that the conventions have a name for, and the record a field, is left out."""
    call = msgspec.structs.replace(
        make.filled(Call), trace_id="a" * 32, span_id="b" * 16, parent_id=None, sampled=None, provider=Provider(name="openai")
    )
    call = msgspec.structs.replace(call, wire=Wire(format="openai.chat"), attempts=())

    (span,) = spans(call, instrumented=True)

    elsewhere = {name for name in TABLE if name.startswith(("http.", "url."))}
    assert set() == set(TABLE) - set(span.attributes) - elsewhere


@pytest.mark.parametrize(
    ("operation", "server", "kind"),
    [
        ("chat", Server(address="api.test"), SpanKind.CLIENT),
        ("chat", None, SpanKind.CLIENT),
        ("execute_tool", None, SpanKind.INTERNAL),
        ("invoke_agent", None, SpanKind.INTERNAL),
        ("invoke_agent", Server(address="api.test"), SpanKind.CLIENT),
    ],
)
def test_the_kind_of_a_calls_span_is_the_operations(make, spans, operation, server, kind):
    """A call goes out; what an application does itself stays in."""
    (span,) = spans(make.call(operation=Operation(name=operation), server=server))

    assert kind is span.kind


def test_requests_jobs_and_steps_have_their_kinds(make, spans):
    """A web request is served; a job and a step are the application's own."""
    assert [SpanKind.SERVER, SpanKind.INTERNAL, SpanKind.INTERNAL] == [
        span.kind for span in spans(make.request(), make.request(http=None), make.step())
    ]


def test_a_path_is_no_name(make, spans):
    """A span is named by the route's template; where there is none, by the method alone."""
    bare = Http(request=HttpRequest(method="GET"), response=HttpResponse(status_code=404))
    templated = Http(request=HttpRequest(method="GET"), route="/users/{id}")

    named, nameless = spans(make.request(name="GET /users/{id}", http=templated), make.request(name="GET /users/17", http=bare))

    assert ("GET /users/{id}", "GET") == (named.name, nameless.name)


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        ("ok", None, (StatusCode.UNSET, None, None)),
        ("error", Error(type="overloaded", message="later"), (StatusCode.ERROR, "later", "overloaded")),
        ("truncated", Error(type="ReadError"), (StatusCode.ERROR, None, "ReadError")),
        ("truncated", None, (StatusCode.UNSET, None, None)),
        ("cancelled", Error(type="CancelledError"), (StatusCode.UNSET, None, None)),
    ],
)
def test_a_status_is_set_where_something_failed(make, spans, status, error, told):
    """Success leaves it unset, and so does whoever did not want to wait any longer."""
    (span,) = spans(make.call(status=status, error=error))

    assert told == (span.status.status_code, span.status.description, span.attributes.get("error.type"))


def test_messages_are_json_of_the_conventions_parts(make, spans):
    """A refusal is text there, and media are blobs without their bytes."""
    said = Message(role="assistant", parts=(Refusal(content="no"), Blob(modality="image", mime_type="image/png", size=3)))

    (span,) = spans(make.call(output=Output(messages=(said,))))

    (message,) = json.loads(span.attributes["gen_ai.output.messages"])
    assert [
        {"type": "text", "content": "no"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "size": 3, "content": ""},
    ] == message["parts"]


def test_a_request_that_streams_says_so_and_another_does_not(make, spans):
    """`gen_ai.request.stream` is set when it is true only."""
    streamed, plain = spans(make.call(request=CallRequest(stream=True)), make.call(request=CallRequest(stream=False)))

    assert (True, None) == tuple(span.attributes.get("gen_ai.request.stream") for span in (streamed, plain))


def test_what_is_openais_alone_is_so_named_there_alone(make, spans):
    """Another provider's service tier has no name in the conventions: it is below ours."""
    asked = CallRequest(service_tier="flex")

    openai, groq = spans(make.call(request=asked), make.call(request=asked, provider=Provider(name="groq")))

    assert "flex" == openai.attributes["openai.request.service_tier"] == groq.attributes["llm_observe.request.service_tier"]


def test_the_attempts_of_a_retried_call_are_spans_below_it(make, spans):
    """Each with its own times and status, numbered as HTTP instrumentations do; ids are the same when the batch comes again."""
    first = Attempt(started_at=make.noon, duration=0.5, status_code=429, error_type="rate_limit_exceeded")
    second = Attempt(started_at=make.noon + timedelta(seconds=1), duration=0.25, status_code=200)
    call = make.call(attempts=(first, second))

    (own, *attempts), again = spans(call), spans(call)

    assert [(429, None, StatusCode.ERROR), (200, 1, StatusCode.UNSET)] == [
        (span.attributes["http.response.status_code"], span.attributes.get("http.request.resend_count"), span.status.status_code)
        for span in attempts
    ]
    assert [ids(own)[1]] * 2 == [ids(span)[2] for span in attempts]
    assert [ids(span) for span in (own, *attempts)] == [ids(span) for span in again]


@pytest.mark.parametrize(("dialect", "kind"), [("gen_ai", None), ("openinference", "CHAIN")])
def test_attempts_have_the_kind_that_their_dialect_asks_for(make, spans, dialect, kind):
    """Phoenix shows what has none as unknown."""
    attempt = Attempt(started_at=make.noon, duration=0.5)

    _, *attempts = spans(make.call(attempts=(attempt, attempt)), dialect=dialect)

    assert [kind, kind] == [span.attributes.get("openinference.span.kind") for span in attempts]


@pytest.mark.parametrize(("options", "count"), [({}, 3), ({"attempts": False}, 1)])
def test_attempts_can_be_left_out(make, spans, options, count):
    """An instrumentation of the HTTP client may draw them already."""
    attempt = Attempt(started_at=make.noon, duration=0.5)

    assert count == len(spans(make.call(attempts=(attempt, attempt)), **options))


def test_one_attempt_is_the_call_itself(make, spans):
    """A call that was not retried is one span."""
    assert 1 == len(spans(make.call(attempts=(Attempt(started_at=make.noon, duration=0.5),))))


def test_a_trace_that_the_caller_did_not_sample_is_not_exported(make, spans):
    """The decision was made before us."""
    assert [] == spans(make.call(sampled=False), make.step(sampled=False), make.request(sampled=False))


@pytest.mark.parametrize(("options", "count"), [({}, 0), ({"instrumented": True}, 1)])
def test_what_has_a_span_already_gets_no_second_one(make, spans, options, count):
    """An SDK or an instrumentation has made it; for a backend that does not get theirs, ours can be asked for."""
    assert count == len(spans(make.call(instrumentation="com.anthropic.sdk.python"), **options))


@pytest.mark.parametrize("said", ["NO_CONTENT", "event_only", "false", "whatever"])
def test_content_stays_out_where_the_environment_says_so(make, spans, monkeypatch, said):
    """The variable of OpenTelemetry's own instrumentations is heeded, the words of errors with it."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", said)
    asked = Input(messages=(Message(role="user", parts=(Text(content="secret"),)),), count=1)

    (span,) = spans(make.call(input=asked, error=Error(type="bad", message="secret"), status="error"))

    assert "secret" not in span.to_json()
    assert "bad" == span.attributes["error.type"]


@pytest.mark.parametrize("said", ["", "SPAN_ONLY", "span_and_event", "true"])
def test_content_is_there_otherwise(make, spans, monkeypatch, said):
    """Our own setting decides what is on record; the variable only takes away."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", said)
    asked = Input(messages=(Message(role="user", parts=(Text(content="question"),)),))

    (span,) = spans(make.call(input=asked))

    assert "question" in span.attributes["gen_ai.input.messages"]


def test_a_users_names_are_left_as_they_are(make, spans):
    """A step's attributes keep their names; tags are told apart by a prefix; what is no plain value is JSON."""
    (span,) = spans(make.step(attributes={"index": "docs", "top": {"k": 3}}, scope=ScopeInfo(user_id="u1", tags={"plan": "pro"})))

    wanted = {"index": "docs", "top": '{"k":3}', "user.id": "u1", "llm_observe.tag.plan": "pro"}
    assert wanted == {name: span.attributes[name] for name in wanted}


def test_what_no_attribute_can_hold_is_replaced(make, send):
    """A lone surrogate and a number of 70 bits go out as something that can."""
    memory = InMemorySpanExporter()
    step = make.step(attributes={"text": "a\ud800", "number": 2**70})

    send(OtelExporter(span_exporter=memory), Batch("batch-1", [step], [b"{}"]))

    (span,) = memory.get_finished_spans()

    assert ("a?", str(2**70)) == (span.attributes["text"], span.attributes["number"])


def test_the_resource_is_the_environments_and_the_services(make, spans, monkeypatch):
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES hold; a service of our own setting comes first."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from-otel")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")

    plain, named = spans(make.call(), make.call(service="ours"))

    assert [("from-otel", "test"), ("ours", "test")] == [
        (span.resource.attributes["service.name"], span.resource.attributes["deployment.environment.name"]) for span in (plain, named)
    ]


def test_a_tracer_providers_processors_get_the_spans(make, send):
    """The application's own way out is used as it is, with its resource."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))

    send(OtelExporter(tracer_provider=provider), make.batch(make.call()))

    (span,) = memory.get_finished_spans()
    assert (provider.resource, "chat gpt-x") == (span.resource, span.name)


def test_a_span_exporter_that_fails_has_the_batch_come_again(make, send):
    """The SDK's exporters return a failure and give no reason."""

    class Failing(SpanExporter):
        def export(self, spans):
            return SpanExportResult.FAILURE

    with pytest.raises(errors.RetryLater, match="Failing failed"):
        send(OtelExporter(span_exporter=Failing()), make.batch(make.call()))


def test_a_job_its_step_and_its_call_are_nested(make):
    """The whole way, from the application's code to the exporter."""
    memory = InMemorySpanExporter()
    with Observer(exporters=[OtelExporter(span_exporter=memory)]) as observer, scope("job", observer=observer):
        with step("retrieve"), record_call("m", provider="local"):
            pass

    named = {span.name: ids(span) for span in memory.get_finished_spans()}
    (trace,) = {trace for trace, _, _ in named.values()}
    assert 32 == len(trace)
    assert (named["job"][1], named["retrieve"][1], None) == (named["retrieve"][2], named["chat m"][2], named["job"][2])


@pytest.mark.parametrize(
    "url", ["otel:console", "otlp", "otlp+http://host:4318?dialect=openinference", "otlp+https://host/base?attempts=false"]
)
def test_it_can_be_named_by_url(url):
    """One variable in the environment deploys it."""
    assert isinstance(exporters.from_url(url), OtelExporter)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("otel:elsewhere", "expected `otlp`"),
        ("otlp+http:", "expected http://host:4318"),
        ("otlp+http://me:secret@host", "no name and password"),
        ("otlp?dialect=klingon", "expected one of gen_ai, openinference"),
        ("otlp?attempts=maybe", "expected true or false"),
        ("otlp?speed=1", "there is no option 'speed'"),
    ],
)
def test_a_url_that_makes_no_sense_fails_at_once(url, said):
    """With what was expected, and without a password."""
    with pytest.raises(errors.SettingsError, match=said) as caught:
        exporters.from_url(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"endpoint": "http://host", "span_exporter": InMemorySpanExporter()},
        {"span_exporter": InMemorySpanExporter(), "headers": {"a": "b"}},
        {"tracer_provider": object()},
    ],
)
def test_destinations_that_do_not_go_together_fail_at_once(options):
    """There is one way out."""
    with pytest.raises(errors.SettingsError, match="OtelExporter"):
        OtelExporter(**options)
