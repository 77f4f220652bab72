"""What a collector refuses: the record at fault is found and counted, and all others arrive once."""

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from llm_observe import Observer, errors
from llm_observe._runtime.items import StepEnded
from llm_observe.exporters.otel import OtelExporter
from llm_observe.records import Attempt


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """The machine's own collector is none of ours."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)


def names(body):
    """The names of the spans in *body*."""
    sent = ExportTraceServiceRequest.FromString(body)
    return [span.name for resource in sent.resource_spans for group in resource.scope_spans for span in group.spans]


class Collector:
    """Keeps the names of the spans it takes. *judge* says the status, and how many it refuses, of the names it is sent."""

    def __init__(self, serve, judge):
        self.judge, self.taken, self.asked = judge, [], 0
        self.server = serve(self.answer)
        self.base = self.server.base

    def answer(self, connection):
        sent = names(self.server.requests[-1][2])
        self.asked += 1
        status, refused = self.judge(sent)
        if status == 200:
            self.taken += sent
        partial = ExportTracePartialSuccess(rejected_spans=refused, error_message="no")
        body = ExportTraceServiceResponse(partial_success=partial).SerializeToString() if refused else b""
        connection.sendall(f"HTTP/1.1 {status} Whatever\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        return True


@pytest.fixture
def collector(serve):
    """Makes such collectors."""
    return lambda judge: Collector(serve, judge)


def steps(make, count, *, poison=()):
    """A batch of *count* steps, some of them poisonous."""
    return make.batch(*(make.step(name=f"poison {n}" if n in poison else f"step {n}") for n in range(count)))


def observed(collector, count, *, poison=()):
    """What an observer's numbers say after *count* steps, some of them poisonous, went to *collector* in one batch."""
    with Observer(exporters=[OtelExporter(collector.base)], batch_age=0.2) as observer:
        for n in range(count):
            observer.hand_over(
                StepEnded(
                    name=f"poison {n}" if n in poison else f"step {n}",
                    span_id=f"{n + 1:016x}",
                    parent_id=None,
                    scope=None,
                    started_ns=1_800_000_000 * 10**9,
                    began=0,
                    ended=1,
                    attributes={},
                    size=1024,
                )
            )
        assert observer.flush(60)
        (stats,) = observer.stats().exporters.values()
    return stats.captured, stats.exported, dict(stats.dropped)


@pytest.mark.parametrize("status", [400, 413])
def test_a_poisonous_record_is_lost_alone(collector, status):
    """The other fifteen arrive, each once, and the numbers add up."""
    picky = collector(lambda sent: (status if any("poison" in name for name in sent) else 200, 0))

    assert (16, 15, {"rejected_4xx": 1}) == observed(picky, 16, poison={5})
    assert sorted(f"step {n}" for n in range(16) if n != 5) == sorted(picky.taken)


def test_a_batch_that_is_too_large_goes_in_parts(collector):
    """Nothing is lost."""
    small = collector(lambda sent: (413 if len(sent) > 3 else 200, 0))

    assert (20, 20, {}) == observed(small, 20)
    assert 20 == len(small.taken)


def test_what_a_collector_refuses_of_a_batch_is_counted_exactly(collector):
    """A partial success says how many; the others arrived."""
    choosy = collector(lambda sent: (200, sum("poison" in name for name in sent)))

    assert (10, 7, {"rejected_4xx": 3}) == observed(choosy, 10, poison={1, 4, 9})


def test_refusals_of_both_kinds_add_up(make, send, collector):
    """One alone by its status, and one of a half that arrived otherwise."""
    choosy = collector(lambda sent: (400, 0) if "poison 1" in sent else (200, sum("poison" in name for name in sent)))

    with pytest.raises(errors.Rejected, match="2 of 8 records") as caught:
        send(OtelExporter(choosy.base), steps(make, 8, poison={1, 6}))

    assert 2 == caught.value.count


def test_a_record_of_several_spans_is_one(make, send, collector):
    """The spans of its attempts are refused with it: what is counted are records."""
    attempt = Attempt(started_at=make.noon, duration=0.5)
    nothing = collector(lambda sent: (200, len(sent)))

    with pytest.raises(errors.Rejected) as caught:
        send(OtelExporter(nothing.base), make.batch(make.call(attempts=(attempt, attempt))))

    assert 1 == caught.value.count


def test_a_batch_that_comes_again_goes_on_where_it_was(make, send, collector):
    """Halves that arrived are not sent again, nor is what only halves could tell."""
    away = iter([True])

    def judge(sent):
        if len(sent) == 8:
            return 413, 0
        return (503 if "step 7" in sent and next(away, False) else 200), 0

    shaky = collector(judge)
    exporter, batch = OtelExporter(shaky.base), steps(make, 8)

    with pytest.raises(errors.RetryLater):
        send(exporter, batch)
    send(exporter, batch)

    assert ([f"step {n}" for n in range(8)], 4) == (shaky.taken, shaky.asked)


def test_another_batch_begins_anew(make, send, collector):
    """What became of one says nothing of the next."""
    picky = collector(lambda sent: (400 if "poison 0" in sent else 200, 0))
    exporter = OtelExporter(picky.base)
    with pytest.raises(errors.Rejected):
        send(exporter, steps(make, 2, poison={0}))

    send(exporter, make.batch(make.step(name="fine"), make.step(name="well"), id="batch-2"))

    assert ["step 1", "fine", "well"] == picky.taken


def test_a_status_that_halves_do_not_help_drops_the_batch_at_once(make, send, collector):
    """A redirect is no fault of a record's."""
    elsewhere = collector(lambda sent: (302, 0))

    with pytest.raises(errors.Rejected) as caught:
        send(OtelExporter(elsewhere.base), steps(make, 4))

    assert (4, 1) == (caught.value.count, elsewhere.asked)


def test_what_the_sdk_cannot_encode_is_lost_alone(make, send, collector):
    """A processor of the user's has put an id on it that is none: it would come again for ever, and all others behind it."""
    fine = collector(lambda sent: (200, 0))
    batch = make.batch(make.step(name="a"), make.step(name="b", trace_id="f" * 33), make.step(name="c"))

    with pytest.raises(errors.Rejected, match="1 of 3 records") as caught:
        send(OtelExporter(fine.base), batch)

    assert (1, ["a", "c"]) == (caught.value.count, fine.taken)
