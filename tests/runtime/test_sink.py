"""The background thread: asleep when idle, in order, and nothing lost when something fails."""

import functools
import json
import logging
import threading
import time

import msgspec
import pytest

import llm_observe
from llm_observe._runtime import pace, redaction
from llm_observe._runtime import sink as sinks
from llm_observe._runtime.items import Captured, Flush, StepEnded
from llm_observe._runtime.scope import SUPPRESSED, current, frame
from llm_observe.errors import Rejected
from llm_observe.records import Step


def a_step(name="step", **attributes):
    """An item."""
    return StepEnded(
        name=name, span_id="1" * 16, parent_id=None, scope=None, started_ns=1_800_000_000 * 10**9, began=0, ended=1, attributes=attributes
    )


def put(observer, *names, **attributes):
    """Hand items over."""
    for name in names or ("step",):
        observer.hand_over(a_step(name, **attributes))


def balanced(observer):
    """Whether the conservation law holds."""
    return all(one.balanced for one in observer.stats().exporters.values())


def until(condition, seconds=5.0):
    """Wait for what another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


# --- looking and sleeping --------------------------------------------------------------------------------------------


def test_an_idle_sink_sleeps_until_the_next_item(observe, memory, monkeypatch):
    """After a quiet second there are no more looks; the first item wakes it."""
    monkeypatch.setattr(sinks, "IDLE", 0.05)
    observer = observe(memory)
    put(observer, "before")
    observer.flush(60)
    looks, take = [], observer.handover.take
    observer.handover.take = lambda most: looks.append(most) or take(most)
    until(lambda: observer.handover.asleep)
    before = len(looks)
    time.sleep(0.3)
    asleep = len(looks)
    put(observer, "first")

    assert (before, True) == (asleep, observer.flush(60))
    assert ["before", "first"] == [record.name for record in memory.records]


class Listener:
    """A meter that remembers how many records it was told to be out."""

    def __init__(self):
        self.exported = []

    def record(self, record):
        """Not asked here."""

    def health(self, stats):
        self.exported.append(stats.exporters["memory"].exported)


def test_meters_are_told_of_what_went_out_last(observe, memory, monkeypatch):
    """A batch that leaves when all is quiet counts at once, not with the next request; then the sink sleeps."""
    monkeypatch.setattr(sinks, "IDLE", 0.05)
    meter = Listener()
    observer = observe(memory, metrics=[meter], batch_age=0.3)
    put(observer)

    until(lambda: meter.exported[-1:] == [1])
    until(lambda: observer.handover.asleep)
    assert 0 < len(memory.records)


def test_a_sink_with_failures_that_wait_goes_on_looking(observe, memory, make, hands, monkeypatch):
    """Somebody must see the retry window pass."""
    monkeypatch.setattr(sinks, "IDLE", 0.02)
    observer = observe(memory, clock=hands.clock)
    observer.hand_over(make.captured(make.exchange(429)))
    until(lambda: observer.stats().pending)
    hands.move(62.0)
    until(lambda: memory.calls)

    assert "error" == memory.calls[0].status


def test_the_window_passes_under_steady_traffic_too(observe, memory, make, hands):
    """A sink that always has something to do settles what is overdue."""
    observer = observe(memory, clock=hands.clock, batch_age=0)
    observer.hand_over(make.captured(make.exchange(429)))
    until(lambda: observer.stats().pending)
    hands.move(62.0)
    take = observer.handover.take
    observer.handover.take = lambda most: [*take(most), a_step()]  # never empty
    observer.handover.order(a_step())
    until(lambda: memory.calls)
    observer.handover.take = take

    assert 0 == observer.stats().pending


def test_the_sink_is_in_no_request(observe):
    """Its thread, its loop and an exporter's worker see neither the scope that started it nor the observer's own hooks."""
    seen = []
    observer = observe(lambda batch: seen.append((current(), frame.get())))
    with llm_observe.scope("job", observer=observer):
        put(observer)
        observer.start()
    observer.flush(60)

    assert [(None, SUPPRESSED)] == seen[:1]


def test_a_start_of_many_threads_makes_one_sink(observe, memory):
    """Whoever comes first starts it."""
    observer = observe(memory)
    threads = [threading.Thread(target=observer.start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    put(observer)

    assert (True, 1) == (observer.flush(60), len(memory.records))
    assert 1 == sum(thread is observer.sink._thread for thread in threading.enumerate())


def test_a_start_in_the_midst_of_a_start_returns(observe, memory):
    """A signal handler, or the garbage collector, may come while the lock is held by the same thread."""
    observer = observe(memory)
    with observer.sink._starting:
        observer.sink.start()

    assert not observer.sink.running


# --- flush -----------------------------------------------------------------------------------------------------------


def test_flush_waits_for_everything_before_it(observe, memory):
    """All 2,000, whatever the batch's age."""
    observer = observe(memory, batch_age=60)
    put(observer, *map(str, range(2000)))

    assert (True, 2000) == (observer.flush(60), len(memory.records))


def test_flush_gives_up_at_its_timeout(observe, told):
    """A dead exporter does not hold it."""
    told.how = threading.Event()
    observer = observe(told)
    put(observer)
    began = time.monotonic()

    assert (False, True) == (observer.flush(0.1), time.monotonic() - began < 30)
    told.how.set()
    assert observer.flush(60)


def test_flush_without_anything_to_flush_returns_at_once(observe, memory):
    """No thread is started for it."""
    observer = observe(memory)

    assert (True, False) == (observer.flush(60), observer.sink.running)


def test_a_flush_that_a_shutdown_overtakes_ends_with_it(observe, told):
    """It returns when the records are out, and not when they were taken."""
    gate = told.how = threading.Event()
    observer = observe(told)
    put(observer)
    until(told.came.is_set)
    ends = []
    flushing = threading.Thread(target=lambda: ends.append(observer.flush(10)))
    flushing.start()
    until(lambda: observer.sink._orders)
    stopping = threading.Thread(target=observer.shutdown)
    stopping.start()
    early = list(ends)
    gate.set()
    flushing.join()
    stopping.join()

    assert ([], [True], 1) == (early, ends, len(told.records))


def test_an_order_left_after_the_stop_is_taken_along(observe, memory):
    """What stands in the queue when the sink stops is worked on, orders too."""
    observer = observe(memory)
    order = Flush(threading.Event())
    observer.handover.closed = True
    observer.handover._waiting.append((order, -1, 0))
    observer.handover.closed = False
    put(observer)
    observer.shutdown()

    assert (True, 1) == (order.done.is_set(), len(memory.records))


# --- shutdown --------------------------------------------------------------------------------------------------------


def test_shutdown_brings_out_what_is_left(observe, told, make):
    """Also what waits for company, and failures that wait for a retry; then the exporter is closed, once."""
    observer = observe(told, batch_age=60)
    put(observer, *map(str, range(1000)))
    observer.hand_over(make.captured(make.exchange(429)))
    numbers = observer.shutdown()

    assert (1001, 1001, 0, True, 1) == (
        len(told.records),
        numbers.exporters["told"].exported,
        numbers.pending,
        numbers.exporters["told"].balanced,
        told.closed,
    )
    assert not observer.sink.running


def test_a_dead_exporter_holds_a_shutdown_no_longer_than_its_deadline(observe, told):
    """What could not leave is counted as `shutdown_deadline`."""
    told.how = threading.Event()
    observer = observe(told)
    put(observer, *map(str, range(100)))
    until(told.came.is_set)
    began = time.monotonic()
    numbers = observer.shutdown(0.3)

    assert time.monotonic() - began < 5
    assert ({"shutdown_deadline": 100}, True) == (numbers.exporters["told"].dropped, numbers.exporters["told"].balanced)


def test_a_failing_exporter_beside_a_good_one_takes_only_its_own(observe, told, memory):
    """Each has its own numbers."""
    told.how = OSError("down")
    observer = observe(told, memory)
    put(observer, *map(str, range(10)))
    exporters = observer.shutdown(0.2).exporters

    assert ({"shutdown_deadline": 10}, 10) == (exporters["told"].dropped, exporters["memory"].exported)


def test_work_that_does_not_fit_into_the_deadline_is_counted(observe, memory):
    """Not only exporters may be slow: what was never looked at is counted too."""

    def slow(record):
        time.sleep(0.02)
        return record

    observer = observe(memory, processors=[slow])
    put(observer, *map(str, range(500)))
    began = time.monotonic()
    numbers = observer.shutdown(0.2).exporters["memory"]

    assert time.monotonic() - began < 5
    assert (500, True) == (sum(numbers.dropped.values()) + numbers.exported, numbers.balanced)
    assert numbers.dropped["shutdown_deadline"] > 400


def test_a_second_shutdown_is_harmless(observe, told):
    """It gives the numbers, and closes nothing twice."""
    observer = observe(told)
    put(observer)

    assert (observer.shutdown(), 1) == (observer.shutdown(), told.closed)


def test_after_the_shutdown_everything_is_counted_as_disabled(observe, memory):
    """Nothing raises, nothing is recorded, nothing starts again."""
    observer = observe(memory)
    put(observer)
    observer.shutdown()
    put(observer, "late", "later")
    observer.start()
    numbers = observer.stats().exporters["memory"]

    assert ({"disabled": 2}, True, False, True) == (numbers.dropped, numbers.balanced, observer.sink.running, observer.flush(60))


@pytest.mark.parametrize("error", [OSError, SystemExit, KeyboardInterrupt])
def test_exporters_that_cannot_close_hold_nobody_up(observe, caplog, error):
    """One hangs, one fails, the third is closed all the same."""
    import anyio

    class Hangs:
        async def export(self, batch): ...
        async def aclose(self):
            await anyio.sleep(60)

    class Fails(Hangs):
        async def aclose(self):
            raise error("no")

    class Closes(Hangs):
        done = False

        async def aclose(self):
            self.done = True

    closes = Closes()
    observer = observe(Hangs(), Fails(), closes)
    put(observer)
    began = time.monotonic()
    observer.shutdown(50)

    assert (True, True, 1, 0) == (closes.done, time.monotonic() - began < 30, observer.guard.errors, observer.sink.restarts)


# --- failures of our own ---------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """No pause before a crashed loop starts anew."""
    monkeypatch.setattr(sinks, "FIRST_PAUSE", 0.001)


def test_a_loop_that_crashes_starts_again_and_nothing_is_lost(observe, told, quick):
    """What was taken, what waited and what was in flight goes on; flushes under way end."""
    told.how = threading.Event()
    observer = observe(told, batch_records=10)
    put(observer, *map(str, range(25)))
    until(told.came.is_set)
    flushed = []
    flushing = threading.Thread(target=lambda: flushed.append(observer.flush(10)))
    flushing.start()
    until(lambda: observer.sink._orders)
    work, crashed = observer.sink._work, threading.Event()

    async def crash(start_soon):
        if observer.sink._hand and not crashed.is_set():
            crashed.set()
            raise RuntimeError("a bug of ours")
        await work(start_soon)

    observer.sink._work = crash
    put(observer, *map(str, range(25, 50)))
    until(crashed.is_set)
    told.how = None
    flushing.join()

    assert ([True], 1, 1) == (flushed, observer.sink.restarts, observer.guard.errors)
    assert observer.flush(60)
    assert [str(n) for n in range(50)] == [record.name for record in told.records]
    assert balanced(observer)


def test_a_loop_that_always_crashes_does_not_spin_nor_outlast_its_deadline(observe, memory, monkeypatch):
    """A few times a minute; and a shutdown still ends in time, with what is left in the books."""
    monkeypatch.setattr(sinks, "FIRST_PAUSE", 0.01)
    observer = observe(memory)

    async def crash(*_):
        raise RuntimeError("a bug of ours")

    observer.sink._pump = observer.sink._bring_out = crash
    put(observer)
    until(lambda: observer.sink.restarts >= 2)
    time.sleep(0.05)
    few = observer.sink.restarts
    began = time.monotonic()
    observer.shutdown(0.3)

    assert (True, True, True) == (few <= 4, time.monotonic() - began < 5, balanced(observer))
    assert 40 > observer.sink.restarts  # in 0.3 s, and without a pause there are hundreds


def test_a_strict_sink_dies_of_its_failures_and_the_next_item_starts_another(observe, memory, monkeypatch):
    """In tests a bug shows as an unhandled exception of the thread."""
    shown = []
    monkeypatch.setattr(threading, "excepthook", lambda args: shown.append(args.exc_type))
    observer = observe(memory, strict=True)
    decode, observer.assembler.records = observer.assembler.records, lambda item: 1 / 0
    put(observer)
    until(lambda: shown)
    until(lambda: not observer.sink.running)
    observer.assembler.records = decode
    put(observer, "next")

    assert ([ExceptionGroup], True, ["next"]) == (shown, observer.flush(60), [record.name for record in memory.records])
    assert ({"decode_error": 1}, True) == (observer.stats().exporters["memory"].dropped, balanced(observer))


def test_an_item_that_cannot_be_decoded_is_counted(observe, memory):
    """And the next one is decoded."""
    observer = observe(memory)
    put(observer, "before")
    observer.hand_over(msgspec.structs.replace(a_step("broken"), started_ns="never"))
    put(observer, "after")
    observer.flush(60)

    assert ["before", "after"] == [record.name for record in memory.records]
    assert ({"decode_error": 1}, 1, True) == (observer.stats().exporters["memory"].dropped, observer.guard.errors, balanced(observer))


def test_failures_lost_with_another_item_are_counted_too(observe, memory, make, hands, monkeypatch):
    """An error while a request settles its calls: the law holds whatever came out."""
    observer = observe(memory, clock=hands.clock)
    with llm_observe.scope("job", observer=observer) as scope:
        for _ in range(3):
            observer.hand_over(make.captured(make.exchange(429), scope=scope))
        until(lambda: observer.stats().pending == 3)
        monkeypatch.setattr(observer.assembler, "_call", lambda waiting: 1 / 0)
    observer.flush(60)
    monkeypatch.undo()
    observer.flush(final=True)

    assert (2, 2, True) == (observer.stats().exporters["memory"].dropped["decode_error"], len(memory.records), balanced(observer))


def test_a_record_that_cannot_be_encoded_is_counted(observe, memory, monkeypatch):
    """The last resort of the encoder failed too."""
    encode = redaction.encode
    monkeypatch.setattr(redaction, "encode", lambda record: 1 / 0 if record.name == "broken" else encode(record))
    observer = observe(memory)
    put(observer, "broken", "whole")
    observer.flush(60)

    assert (["whole"], {"serialize_error": 1}, True) == (
        [record.name for record in memory.records],
        observer.stats().exporters["memory"].dropped,
        balanced(observer),
    )


@pytest.fixture
def groups(monkeypatch):
    """How many items go through the sink together, time by time; those that give no record are not counted."""

    def watched(observer):
        sizes, read = [], observer.assembler.read

        def counted(items):
            group = list(items)
            sizes.extend(filter(None, [sum(isinstance(item, Captured | StepEnded) for item in group)]))
            read(group)

        monkeypatch.setattr(observer.assembler, "read", counted)
        return sizes

    return watched


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_ends_a_thread_takes_one_record_with_it(observe, memory):
    """A processor that raises it among others that go the same way: they arrive, and the one is counted."""

    def patience_lost(record):
        if record.name == "broken":
            raise KeyboardInterrupt
        return record

    observer = observe(memory, processors=[patience_lost])
    with observer.sink._starting:  # so that all are taken together
        put(observer, "before", "broken", "after")
    put(observer, "later")

    assert (True, ["before", "after", "later"]) == (observer.flush(60), [record.name for record in memory.records])
    assert ({"serialize_error": 1}, 1, True) == (
        observer.stats().exporters["memory"].dropped,
        observer.stats().restarts,
        balanced(observer),
    )


def test_a_stop_that_is_late_counts_what_was_made_and_not_sent(observe, memory):
    """Records are made together and sent together: between the two nothing is forgotten."""

    def slow(record):
        time.sleep(0.05)
        return record

    observer = observe(memory, processors=[slow])
    with observer.sink._starting:
        put(observer, *map(str, range(30)))
    stats = observer.shutdown(0.3).exporters["memory"]

    assert [str(n) for n in range(len(memory.records))] == [record.name for record in memory.records]
    assert {"shutdown_deadline": max(1, 30 - len(memory.records))} == stats.dropped


def test_a_stop_that_is_late_counts_what_waited_for_a_retry(observe, memory, make, hands):
    """Failed calls are recorded at the end, as many as there is time for."""

    def slow(record):
        time.sleep(0.05)
        return record

    observer = observe(memory, clock=hands.clock, processors=[slow])
    for _ in range(30):
        observer.hand_over(make.captured(make.exchange(429)))
    until(lambda: observer.stats().pending == 30)
    stats = observer.shutdown(0.3).exporters["memory"]

    assert {"shutdown_deadline": max(1, 30 - len(memory.records))} == stats.dropped


def test_large_bodies_are_not_read_together(observe, memory, make, groups):
    """What is read takes several times the room: no more of it at once than a few bodies, or one that is larger."""
    observer = observe(memory)
    sizes = groups(observer)
    with observer.sink._starting:
        for size in (200_000, 200_000, 200_000, 3_000_000, 100, 100):
            observer.hand_over(make.captured(make.exchange(request_size=size)))
    observer.flush(60)

    assert ([3, 1, 2], 6) == (sizes, len(memory.records))


def test_where_items_take_long_fewer_go_together(observe, memory, groups):
    """The loop, in which exporters wait for the network, gets its turn: a processor that takes its time does not keep it for long."""

    def slow(record):
        time.sleep(0.002)
        return record

    observer = observe(memory, processors=[slow])
    sizes = groups(observer)
    with observer.sink._starting:
        put(observer, *map(str, range(100)))
    observer.flush(60)

    assert (True, [str(n) for n in range(100)]) == (max(sizes) <= 16, [record.name for record in memory.records])


def test_where_they_do_not_more_go_together(observe, memory, groups, monkeypatch):
    """As many as keep the stages warm."""
    monkeypatch.setattr(pace, "SLICE", 60)
    observer = observe(memory)
    sizes = groups(observer)
    with observer.sink._starting:
        put(observer, *map(str, range(100)))
    observer.flush(60)

    assert [8, 16, 32] == sizes[:3]


def test_without_a_thread_to_be_had_the_next_item_tries_again(observe, memory, monkeypatch):
    """The application goes on; nothing is lost."""
    observer = observe(memory)
    start = threading.Thread.start

    def none_left(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    observer.start()
    put(observer, "first")
    errors = observer.guard.errors
    monkeypatch.setattr(threading.Thread, "start", start)
    put(observer, "second")

    assert (2, True, ["first", "second"]) == (errors, observer.flush(60), [record.name for record in memory.records])


def test_a_hand_over_that_fails_is_none_of_the_applications_business(observe, memory):
    """Whatever it is that was handed over."""
    observer = observe(memory)
    observer.hand_over(object())

    assert 1 == observer.guard.errors


def test_our_own_lines_do_not_feed_us(observe, memory, caplog):
    """What is logged in the sink is under no scope: a handler that calls a model leaves no record."""
    seen = []

    class Handler(logging.Handler):
        def emit(self, record):
            seen.append(frame.get())
            with llm_observe.step("logging"):
                pass

    handler = Handler()
    logging.getLogger("llm_observe").addHandler(handler)
    observer = observe(memory, processors=[lambda record: 1 / 0])
    with llm_observe.testing.recording() as other:
        put(observer)
        observer.flush(60)
        logging.getLogger("llm_observe").removeHandler(handler)

        assert ([SUPPRESSED], []) == (seen, other.records)


# --- processors ------------------------------------------------------------------------------------------------------


def renamed(suffix):
    """A processor that marks what it saw."""
    return lambda record: msgspec.structs.replace(record, name=record.name + suffix)


def test_processors_run_in_the_order_of_the_list(observe, memory):
    """Each sees what the one before it returned."""
    observer = observe(memory, processors=[renamed("-a"), renamed("-b")])
    put(observer)
    observer.flush(60)

    assert ["step-a-b"] == [record.name for record in memory.records]


def test_none_lets_a_record_go(observe, memory):
    """It is filtered, which is no loss; no later processor sees it."""
    observer = observe(memory, processors=[lambda record: None if record.name == "dull" else record, renamed("!")])
    put(observer, "dull", "bright")
    observer.flush(60)

    assert (["bright!"], 1, {}, True) == (
        [record.name for record in memory.records],
        observer.stats().filtered,
        observer.stats().exporters["memory"].dropped,
        balanced(observer),
    )


@pytest.mark.parametrize(
    "wrong", [lambda record: 1 / 0, lambda record: "text", lambda record: True, lambda record: exec("raise SystemExit")]
)
def test_a_processor_that_fails_lets_no_content_through(observe, memory, make, wrong):
    """Fail closed: prompts, answers, attributes and tags go; the metadata stays; the failure is counted."""
    observer = observe(memory, processors=[wrong])
    with llm_observe.scope("job", observer=observer, secret="canary-1") as scope:
        put(observer, secret="canary-2")
        observer.hand_over(make.captured(make.exchange(prompt="canary-3"), scope=scope))
        observer.hand_over(make.captured(make.exchange(400, prompt="canary-4"), scope=scope))
    observer.flush(60)
    lines = b"".join(map(msgspec.json.encode, memory.records))

    assert (4, 4, b"") == (len(memory.records), observer.guard.errors, b"canary" if b"canary" in lines else b"")
    assert (12, "Hello" in str(lines)) == (memory.calls[0].usage.input_tokens, False)


def test_the_words_of_a_processors_error_are_on_no_log(observe, memory, caplog):
    """They may quote the prompt; the processor is named."""

    def redact(record):
        raise ValueError("could not redact canary")

    observer = observe(memory, processors=[redact])
    put(observer)
    observer.flush(60)

    assert ["llm-observe failed in the processor redact (ValueError); the application goes on"] == caplog.messages


def test_a_processor_object_is_named_by_its_class(observe, memory, caplog):
    """Functions are not the only processors."""

    class Redactor:
        def __call__(self, record):
            raise ValueError

    observer = observe(memory, processors=[Redactor(), functools.partial(renamed("x"))])
    put(observer)
    observer.flush(60)

    assert "the processor Redactor" in caplog.text


@pytest.mark.parametrize(("level", "roles"), [("metadata", ("user",)), ("none", ())])
def test_content_is_taken_away_last(observe, memory, make, level, roles):
    """A processor still sees what was said; no exporter does."""
    seen = []
    observer = observe(memory, content=level, processors=[lambda record: seen.append(record.input.messages[0].parts[0].content) or record])
    observer.hand_over(make.captured(make.exchange(prompt="canary")))
    observer.flush(60)

    assert (["canary"], roles) == (seen, tuple(message.role for message in memory.calls[0].input.messages))
    assert b"canary" not in msgspec.json.encode(memory.calls[0])


def test_what_json_does_not_know_is_exported_all_the_same(observe):
    """Tags are anybody's objects, and half a surrogate pair is in many a text."""
    lines = []
    observer = observe(lambda batch: lines.extend(batch.lines))
    with llm_observe.scope("job", observer=observer, thing=threading.Lock, half="\ud83d", n=10**5000):
        put(observer, "\ud83d")
    observer.flush(60)

    assert ["?", "job"] == [json.loads(line)["name"] for line in lines]
    assert balanced(observer)


def test_rejections_are_counted_under_the_exporters_word(observe, told):
    """And the law holds."""
    told.how = Rejected("no", reason="too_large")
    observer = observe(told)
    put(observer, "a", "b")
    observer.flush(60)

    assert ({"too_large": 2}, True) == (observer.stats().exporters["told"].dropped, balanced(observer))


def test_without_exporters_nothing_waits(observe):
    """Records are made, seen by processors, and let go."""
    seen = []
    observer = observe(processors=[lambda record: seen.append(record) or record])
    put(observer)

    assert (True, [Step], {}) == (observer.flush(60), list(map(type, seen)), observer.stats().exporters)


def test_an_exporter_far_behind_gets_records_without_content(observe, told, memory, make):
    """So that it has room for the records; others get theirs whole, and each record says what it lacks."""
    told.how = threading.Event()
    observer = observe(told, memory, queue_bytes=200_000)
    for n in range(9):
        observer.hand_over(make.captured(make.exchange(prompt="x" * 6_000)))
        until = time.monotonic() + 60
        while len(memory.records) <= n and time.monotonic() < until:
            time.sleep(0.002)
    with llm_observe.scope("has none", observer=observer):
        pass
    told.how.set()
    numbers = observer.shutdown(60)
    lean = [call for call in told.records if hasattr(call, "input") and not call.input.messages]

    assert ([], {}) == ([call for call in memory.calls if not call.input.messages], numbers.exporters["told"].dropped)
    assert 0 < len(lean) == numbers.shed < 9
    assert {("input.messages", "output.messages", "gpt-x", 34)} == {
        (*call.truncated, call.request.model, call.usage.output_tokens) for call in lean
    }
