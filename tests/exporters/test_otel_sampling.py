"""OpenTelemetry's samplers decide on the traces that begin with us."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased

from llm_observe import Observer, record_call, scope
from llm_observe._runtime.clock import Ids
from llm_observe.exporters import MemoryExporter
from llm_observe.exporters.otel import OtelExporter

LOW, HIGH = f"{1:032x}", f"{2**64 - 1:032x}"  # a ratio goes by the lower half of the trace id


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """The machine's own choices are none of ours."""
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)
    monkeypatch.delenv("OTEL_TRACES_SAMPLER_ARG", raising=False)


def jobs(exporter, names):
    """Run a job of each name, with a call in it, in traces of which every second is beyond the half; what is on record of it."""
    drawn = iter([int(HIGH if n % 2 else LOW, 16) ^ n << 70 for n in range(len(names))])
    memory = MemoryExporter()
    ids = Ids(bits=lambda bits, plain=Ids().bits: next(drawn) if bits == 128 else plain(bits))
    with Observer(exporters=[memory, exporter], ids=ids) as observer:
        for name in names:
            with scope(name, observer=observer), record_call("m", provider="local"):
                pass
    return [record.name for record in memory.requests if record.sampled is None]


@pytest.mark.parametrize(
    ("sampler", "argument", "kept"),
    [
        ("always_on", "", ["a", "b", "c", "d"]),
        ("always_off", "", []),
        ("parentbased_traceidratio", "0.5", ["a", "c"]),
        ("traceidratio", "0.5", ["a", "c"]),
        ("traceidratio", "1", ["a", "b", "c", "d"]),
        (None, None, ["a", "b", "c", "d"]),
    ],
)
def test_the_sampler_of_the_environment_decides(monkeypatch, sampler, argument, kept):
    """Of every job and what is in it: all of it is exported or nothing; other exporters have it all."""
    if sampler is not None:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    spans = InMemorySpanExporter()

    found = jobs(OtelExporter(span_exporter=spans), "abcd")

    assert kept == found
    assert [name for one in kept for name in ("chat m", one)] == [span.name for span in spans.get_finished_spans()]


def test_the_sampler_of_a_provider_decides(monkeypatch):
    """The one that the spans go through; the environment's is not asked then."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    spans = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.5)), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))

    found = jobs(OtelExporter(tracer_provider=provider), "ab")

    assert (["a"], ["chat m", "a"]) == (found, [span.name for span in spans.get_finished_spans()])


def test_a_sampler_of_the_users_own_is_asked_once_a_trace():
    """As for the root span that it is: with its name and kind, and without a parent."""
    asked = []

    class ByName(Sampler):
        def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, links=None, trace_state=None):
            asked.append((name, kind.name, len(parent_context)))
            return SamplingResult(Decision.DROP if name == "noise" else Decision.RECORD_AND_SAMPLE)

        def get_description(self):
            return "by name"

    found = jobs(OtelExporter(tracer_provider=TracerProvider(sampler=ByName(), shutdown_on_exit=False)), ["noise", "work"])

    assert (["work"], [("noise", "INTERNAL", 0), ("work", "INTERNAL", 0)]) == (found, asked)


def test_the_applications_sampler_decides_on_what_goes_elsewhere(other):
    """Its TracerProvider may come after us, and our spans may go by a way of their own: its share holds all the same."""
    code = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
import llm_observe
from llm_observe.exporters import MemoryExporter, OtelExporter

spans, memory = InMemorySpanExporter(), MemoryExporter()
llm_observe.configure(exporters=[OtelExporter(span_exporter=spans), memory])
with llm_observe.scope("before"):
    pass
llm_observe.flush(30)
trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF))
with llm_observe.scope("after"):
    pass
llm_observe.shutdown()
print([span.name for span in spans.get_finished_spans()], [record.sampled for record in memory.requests])
"""

    assert "['before'] [None, False]" == other.finished(other.python(code)).strip()


def test_spans_of_the_applications_own_follow_the_job_that_they_are_in():
    """Beside OpenTelemetry the job is decided on when it begins: a span in it asks its parent."""
    spans = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))

    with Observer(exporters=[OtelExporter(tracer_provider=provider)], otel=True) as observer:
        with scope("job", observer=observer), provider.get_tracer("app").start_as_current_span("theirs") as theirs:
            pass

    assert (False, ()) == (theirs.is_recording(), spans.get_finished_spans())
