"""A share of the records: what goes is counted, what went wrong stays, and sums are of all there was."""

import itertools
import json

import pytest

from llm_observe import Observer, record_call, scope, step
from llm_observe._runtime.clock import Ids
from llm_observe.errors import SettingsError
from llm_observe.exporters import MemoryExporter, read_records
from llm_observe.exporters.file import FileExporter
from llm_observe.protocols import Batch
from llm_observe.testing import accounted


def halves():
    """Ids that count up, but for trace ids: of these one is kept at a rate of a half, and the next is not."""
    counter, two = itertools.count(1), itertools.cycle([1, 2**64 - 1])
    return Ids(bits=lambda bits: next(two) if bits == 128 else next(counter))


class Counting:
    """A meter that remembers what it was told."""

    def __init__(self):
        self.records, self.stats = [], None

    def record(self, record):
        self.records.append(record)

    def health(self, stats):
        self.stats = stats


def jobs(observer, n, *, failing=()):
    """So many jobs with a step and a call each; those *failing* have a call that fails, and carry on."""
    for number in range(n):
        with scope(f"job {number}", observer=observer), step("find"):
            try:
                with record_call("m", provider="local"):
                    if number in failing:
                        raise ValueError("no")
            except ValueError:
                pass
    assert observer.flush(60, final=True)


def test_a_request_goes_or_stays_with_all_that_is_in_it(observe, memory):
    """Every other trace is kept at a half."""
    observer = observe(memory, sample_rate=0.5, ids=halves())

    jobs(observer, 6)

    kinds = [record.__struct_config__.tag for record in memory.records]
    assert (["call", "step", "request"] * 3, ["job 0", "job 2", "job 4"]) == (kinds, [record.name for record in memory.requests])


def test_what_goes_is_counted_for_each_exporter(observe, memory):
    """And the numbers add up."""
    other = MemoryExporter()
    observer = observe(memory, other, sample_rate=0.5, ids=halves())

    jobs(observer, 6)

    numbers = accounted(observer)
    assert [(18, 9, {"sampled_out": 9})] * 2 == [(one.captured, one.exported, one.dropped) for one in numbers.exporters.values()]


def test_a_failed_call_is_kept_with_what_is_around_it(observe, memory):
    """The step and the request end after it; the rest of the traces are gone."""
    observer = observe(memory, sample_rate=0)

    jobs(observer, 5, failing={3})

    assert [("call", "error"), ("step", "child"), ("request", "error")] == [
        (record.__struct_config__.tag, record.sampling.reason) for record in memory.records
    ]
    assert ({"job 3"}, {"sampled_out": 12}) == ({record.name for record in memory.requests}, observer.stats().exporters["memory"].dropped)


def test_a_retried_call_off_the_wire_is_kept(observe, memory, make, hands):
    """With both of its attempts; one that went well at once is not."""
    observer = observe(memory, sample_rate=0, clock=hands.clock)
    first = make.captured(make.exchange(429, at=0))
    for one in (first, make.captured(make.exchange(at=2, count=1), after=first), make.captured(make.exchange(at=9))):
        observer.hand_over(one)
    assert observer.flush(60, final=True)

    assert [(2, "retried")] == [(len(call.attempts), call.sampling.reason) for call in memory.calls]
    assert {"sampled_out": 1} == accounted(observer).exporters["memory"].dropped


def test_an_expensive_call_is_kept_by_its_price(observe, memory):
    """Pricing comes before sampling."""
    observer = observe(memory, sample_rate=0, prices={"dear": "10/10", "cheap": "1/1"}, keep_costlier_than=5)
    with scope("job", observer=observer):
        for model in ("dear", "cheap"):
            with record_call(model, provider="local") as call:
                call.usage(input_tokens=1_000_000, output_tokens=0)
    assert observer.flush(60)

    assert [("chat dear", "expensive"), ("job", "expensive")] == [(one.name, one.sampling.reason) for one in memory.records]


def test_meters_are_told_of_all_there_was(observe, memory):
    """Of what is left out, that it is: no exemplar is to lead to it."""
    meter = Counting()
    observer = observe(memory, sample_rate=0.5, metrics=[meter], ids=halves())

    jobs(observer, 4)

    assert (12, [None] * 3 + [False] * 3 + [None] * 3 + [False] * 3) == (len(meter.records), [record.sampled for record in meter.records])
    assert 6 == len(memory.records)


def test_prometheus_counts_all_calls_while_files_hold_a_share(observe, tmp_path):
    """The sums stay right; the files have what was kept, and what failed."""
    prometheus_client = pytest.importorskip("prometheus_client")
    from llm_observe.metrics.prometheus import PrometheusMeter

    registry = prometheus_client.CollectorRegistry()
    observer = observe(FileExporter(tmp_path), sample_rate=0.5, metrics=[PrometheusMeter(registry=registry)], ids=halves())

    jobs(observer, 20, failing={1, 3})
    observer.shutdown()

    own = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "local", "gen_ai_request_model": "m"}
    counted = {
        status: registry.get_sample_value("llm_observe_calls_total", {**own, "llm_observe_status": status, "error_type": error})
        for status, error in (("ok", ""), ("error", "ValueError"))
    }
    dropped = registry.get_sample_value(
        "llm_observe_records_dropped_total", {"llm_observe_exporter": "file", "llm_observe_reason": "sampled_out"}
    )
    written = [record for record in read_records(tmp_path) if record.__struct_config__.tag == "call"]

    assert ({"ok": 18.0, "error": 2.0}, 24.0) == (counted, dropped)
    assert (12, 2) == (len(written), sum(call.status == "error" for call in written))
    assert 22 == sum(1 / call.sampling.rate for call in written)  # every other trace, of which two were kept for their errors


def test_processors_and_exporters_never_see_what_goes(observe, memory):
    """Nothing is spent on it, and nothing kept."""
    seen = []
    observer = observe(memory, sample_rate=0.5, processors=[lambda record: seen.append(record.name) or record], ids=halves())

    jobs(observer, 2)

    assert ["chat m", "find", "job 0"] == seen


def test_what_is_let_go_by_a_processor_is_filtered_and_not_sampled_out(observe, memory):
    """Both are in the numbers, each once."""
    observer = observe(memory, sample_rate=0.5, processors=[lambda record: None if record.name == "find" else record], ids=halves())

    jobs(observer, 4)

    numbers = accounted(observer)
    assert (2, {"sampled_out": 6}, 4) == (numbers.filtered, numbers.exporters["memory"].dropped, len(memory.records))


def test_with_no_share_named_nothing_is_said_and_nothing_left_out(observe, memory):
    """As ever."""
    observer = observe(memory, keep_slower_than=0, keep_costlier_than=0)

    jobs(observer, 2, failing={1})

    assert (6, {None}, {}) == (
        len(memory.records),
        {record.sampling for record in memory.records},
        observer.stats().exporters["memory"].dropped,
    )


def test_a_sampler_that_fails_is_counted_and_keeps_the_record(observe, memory):
    """Its words, which may quote a prompt, are told to nobody."""
    observer = observe(memory, sampler=lambda record: 1 / 0)

    jobs(observer, 1)

    assert (3, 3) == (len(memory.records), observer.stats().errors)


def test_how_it_was_sampled_is_written_beside_the_record(observe):
    """For whoever counts."""
    lines = []

    def keep(batch: Batch):
        lines.extend(map(json.loads, batch.lines))

    observer = observe(keep, sample_rate=0.5, ids=halves())

    jobs(observer, 1)

    assert [{"rate": 0.5, "reason": "rate"}] * 3 == [line["sampling"] for line in lines]


@pytest.mark.parametrize(
    "settings",
    [{"sample_rate": 1.1}, {"sample_rate": -0.1}, {"sample_rules": {"kind:call": 2}}, {"sample_rules": {"gpt-x": 0.5}}, {"sampler": 0.5}],
)
def test_a_share_that_is_none_fails_at_the_start(settings):
    """And not with each record."""
    with pytest.raises(SettingsError, match=next(iter(settings))):
        Observer(exporters=[], **settings)
