"""One exporter's way out: batches, retries, numbers, and nobody else delayed."""

import asyncio
import functools
import threading
import time
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from llm_observe._runtime import channel as channels
from llm_observe._runtime.channel import Channel, Limits
from llm_observe._runtime.clock import Clock, Ids
from llm_observe._runtime.guard import Guard
from llm_observe._runtime.parcel import Parcel
from llm_observe.errors import Rejected, RetryLater
from llm_observe.records import AnyRecord, Step

ROOMY = {"queue_records": 100_000, "queue_bytes": 10**9, "batch_records": 100, "batch_bytes": 10**6, "batch_age": 0.01}


def step(n: int = 0) -> AnyRecord:
    """A record."""
    from datetime import UTC, datetime

    at = datetime(2027, 1, 1, tzinfo=UTC)
    return Step(id=str(n), trace_id="1", span_id="2", started_at=at, duration=0.0, name=str(n), status="ok")


def parcels(count: int, size: int = 10, first: int = 0) -> list[Parcel]:
    """So many records, packed."""
    return [Parcel(step(first + n), b"x" * size) for n in range(count)]


def the_channel(exporter, *, jitter=lambda: 0.0, name="told", **limits) -> Channel:
    """A channel to *exporter*, roomy but for *limits*."""
    return Channel(name, exporter, Limits(**{**ROOMY, **limits}), guard=Guard(), ids=Ids(), clock=Clock(), jitter=jitter)


@asynccontextmanager
async def running(*all_of: Channel):
    """Channels at work."""
    async with anyio.create_task_group() as tasks:
        for channel in all_of:
            channel.open()
            tasks.start_soon(channel.run)
        yield
        tasks.cancel_scope.cancel()


async def until(condition):
    """Wait for what another task does."""
    while not condition():  # noqa: ASYNC110 - it is the code under test that is waited for, and it knows no event of ours
        await anyio.sleep(0.001)


def in_a_loop(test):
    """Run an async test, a minute at most."""

    @functools.wraps(test)
    def wrapper(*args, **kwargs):
        async def main():
            with anyio.fail_after(60):
                await test(*args, **kwargs)

        anyio.run(main)

    return wrapper


# --- batches ---------------------------------------------------------------------------------------------------------


@in_a_loop
async def test_a_batch_is_bounded_by_count(told):
    """250 records with room for 100 in a batch."""
    channel = the_channel(told)
    async with running(channel):
        channel.offer(parcels(250))
        await channel.emptied()

    assert [100, 100, 50] == [len(batch) for batch in told.batches]


@in_a_loop
async def test_a_batch_is_bounded_by_bytes(told):
    """And one record that is bigger than a batch goes alone."""
    channel = the_channel(told, batch_bytes=5000)
    async with running(channel):
        channel.offer([*parcels(3, 500), *parcels(1, 10_000), *parcels(2, 500)])
        await channel.emptied()

    assert [3, 1, 2] == [len(batch) for batch in told.batches]


@in_a_loop
async def test_a_full_batch_waits_for_nothing(told):
    """Company is complete: age does not matter."""
    channel = the_channel(told, batch_age=60.0)
    async with running(channel):
        channel.offer(parcels(40))
        await anyio.lowlevel.checkpoint()
        channel.offer(parcels(60))
        await until(lambda: told.batches)

    assert [100] == [len(batch) for batch in told.batches]


@in_a_loop
async def test_the_age_of_a_batch_counts_from_its_first_record(told):
    """One record every 30 ms must not hold a batch of 200 ms open: it was seen to grow 1.2 s old."""
    ages = []
    told.how = lambda batch: ages.append(time.monotonic() - offered[0])
    channel, offered = the_channel(told, batch_age=0.2), []
    async with running(channel):
        while not ages:
            offered.append(time.monotonic())
            channel.offer(parcels(1))
            await anyio.sleep(0.03)

    assert 0.19 < ages[0] < 1


@in_a_loop
async def test_a_record_left_over_does_not_wait_twice(told):
    """Records that came while a batch was out are as old as they are."""
    gate = threading.Event()
    told.how = gate
    channel = the_channel(told, batch_age=1)
    async with running(channel):
        channel.offer(parcels(100))
        await until(lambda: channel.in_flight)
        channel.offer(parcels(1))
        await anyio.sleep(1.01)
        gate.set()
        since = time.monotonic()
        await until(lambda: len(told.batches) == 2)

    assert time.monotonic() - since < 0.8


@in_a_loop
async def test_records_go_out_in_the_order_they_came(told):
    """Over many batches."""
    channel = the_channel(told)
    async with running(channel):
        for n in range(30):
            channel.offer(parcels(11, first=11 * n))
        await channel.emptied()

    assert [str(n) for n in range(330)] == [record.name for record in told.records]


# --- bounds ----------------------------------------------------------------------------------------------------------


@in_a_loop
async def test_a_burst_reaches_a_fast_exporter_whole_beside_a_slow_one(make):
    """40,000 records at once: all of them arrive, while the slow neighbour drops, counts, and delays nobody."""
    quick, slow = make.told(), make.told()
    slow.how = threading.Event()
    fast = the_channel(quick, queue_records=10_000, batch_records=512, batch_bytes=10**8)
    dead = the_channel(slow, queue_records=1000, name="slow")
    async with running(fast, dead):
        for n in range(40_000 // 256 + 1):
            some = parcels(min(256, 40_000 - 256 * n), first=256 * n)
            fast.offer(some)
            dead.offer(some)
            await anyio.lowlevel.checkpoint()
        await fast.emptied()

    assert (40_000, 40_000, {}) == (len(quick.records), fast.exported, dict(fast.dropped))
    assert 40_000 == dead.waiting + dead.in_flight + dead.dropped["queue_full_count"]
    assert 38_000 < dead.dropped["queue_full_count"]


@in_a_loop
async def test_bytes_that_find_no_room_are_counted(told):
    """Room is counted in bytes too, with what is in flight."""
    channel = the_channel(told, queue_bytes=10_000)
    channel.open()
    channel.offer(parcels(10, 1000))

    assert (3, 7) == (channel.waiting, channel.dropped["queue_full_bytes"])


@in_a_loop
async def test_a_record_bigger_than_all_room_is_taken_alone(told):
    """Else it could never be exported."""
    channel = the_channel(told, queue_bytes=1000)
    async with running(channel):
        channel.offer(parcels(2, 5000))
        await channel.emptied()

    assert (1, 1, 0) == (channel.exported, channel.dropped["queue_full_bytes"], channel.waiting_bytes)


@in_a_loop
async def test_room_that_became_free_is_told(told):
    """The hand-over shares the bound."""
    channel, times = the_channel(told), []
    channel.settled = lambda: times.append(channel.waiting_bytes)
    async with running(channel):
        channel.offer(parcels(1))
        await channel.emptied()

    assert [0] == times


def test_text_beyond_ascii_weighs_more():
    """In memory a character takes up to four bytes."""
    assert (2 * 2 + 512, 5 * 2 + 512) == (Parcel(step(), b"xx").size, Parcel(step(), "é".encode()).size)


# --- failures --------------------------------------------------------------------------------------------------------


@in_a_loop
async def test_a_batch_that_failed_comes_back_under_its_id(told):
    """Whatever the exporter raised: the same records, the same id, so that a receiver can tell a repeat."""
    channel = the_channel(told)
    told.how = OSError("down")
    async with running(channel):
        channel.offer(parcels(3))
        await until(lambda: channel.failures >= 3)
        told.how = None
        await channel.emptied()

    assert (1, 3, "OSError: down") == (len(set(told.ids)), channel.exported, channel.last_error)
    assert [3] == [len(batch) for batch in told.batches]


@in_a_loop
async def test_the_next_batch_has_another_id(told):
    """An id is a batch's own."""
    channel = the_channel(told)
    async with running(channel):
        channel.offer(parcels(250))
        await channel.emptied()

    assert 3 == len(set(told.ids))


class Silent(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize("error", [Silent(), SystemExit(1), asyncio.CancelledError(), MemoryError(), KeyError("x"), RecursionError()])
@in_a_loop
async def test_whatever_an_exporter_raises_it_is_tried_again(told, error):
    """Not even an exit or a cancellation of its own making ends its channel."""
    channel = the_channel(told)
    told.how = error
    async with running(channel):
        channel.offer(parcels(1))
        await until(lambda: channel.failures)
        told.how = None
        await channel.emptied()

    assert (1, type(error).__name__) == (channel.exported, channel.last_error.partition(":")[0])


@in_a_loop
async def test_a_rejected_batch_is_dropped_under_its_reason(told):
    """The destination has spoken; the next batch is another matter."""
    channel = the_channel(told)
    told.how = Rejected("too big", reason="too_large")
    async with running(channel):
        channel.offer(parcels(5))
        await channel.emptied()
        told.how = None
        channel.offer(parcels(2))
        await channel.emptied()

    assert (5, 2, 1, "Rejected: too big") == (channel.dropped["too_large"], channel.exported, channel.failures, channel.last_error)


@in_a_loop
async def test_of_a_batch_that_is_rejected_in_part_the_rest_arrived(told):
    """One record too large for its receiver does not count the others as lost."""
    channel = the_channel(told)
    told.how = Rejected("one is too big", count=1)
    async with running(channel):
        channel.offer(parcels(5))
        await channel.emptied()

    assert (1, 4) == (channel.dropped["rejected_4xx"], channel.exported)


@pytest.mark.parametrize(("count", "dropped", "exported"), [(2, 2, 3), (5, 5, 0), (99, 5, 0), (None, 5, 0)])
@in_a_loop
async def test_what_a_destination_refused_of_a_batch_is_counted_and_the_rest_has_arrived(told, count, dropped, exported):
    """Never more than there were."""
    channel = the_channel(told)
    told.how = Rejected("some", count=count)
    async with running(channel):
        channel.offer(parcels(5))
        await channel.emptied()
    numbers = channel.stats(captured=5, upstream_dropped={}, upstream_waiting=0)

    assert (dropped, exported, True) == (numbers.dropped["rejected_4xx"], numbers.exported, numbers.balanced)


@pytest.fixture
def naps(monkeypatch):
    """The pauses that were asked for, in place of the pauses."""
    asked = []

    async def no_wait(event, seconds):
        asked.append(seconds)
        await sleep(0)

    async def no_sleep(seconds):
        if seconds:
            asked.append(("told", seconds))
        await sleep(0)

    sleep = asyncio.sleep
    monkeypatch.setattr(channels, "wait", no_wait)
    monkeypatch.setattr(channels.asyncio, "sleep", no_sleep)
    return asked


@in_a_loop
async def test_pauses_grow_with_full_jitter(told, naps):
    """Half a second, then twice as long each time up to a minute, drawn at random between nothing and that."""
    channel = the_channel(told, jitter=lambda: 1.0, batch_records=1)
    channel.open()
    for tries in (0, 1, 2, 6, 7, 50):
        await channel._back_off(tries, None)

    assert [0.55, 1.05, 2.05, 32.05, 60.05, 60.05] == [pytest.approx(one) for one in naps]


@in_a_loop
async def test_chance_shortens_a_pause_never_to_nothing(told, naps):
    """A jitter of zero leaves 50 ms: a dead exporter is not hammered."""
    channel = the_channel(told, jitter=lambda: 0.0)
    channel.open()
    await channel._back_off(5, None)

    assert [0.05] == naps


@pytest.mark.parametrize(("after", "pause"), [(5.0, 5.0), (1e9, 300.0), (0.001, 0.05)])
@in_a_loop
async def test_a_destination_that_says_when_is_believed(told, naps, after, pause):
    """Retry-After is kept, up to five minutes."""
    channel = the_channel(told)
    channel.open()
    await channel._back_off(0, after)

    assert [("told", pause)] == naps


@pytest.mark.parametrize("after", [0.0, -1.0, None, "5", float("nan")])
@in_a_loop
async def test_a_destination_that_does_not_say_when_gets_our_own_pause(told, naps, after):
    """Nothing and nonsense are no answer."""
    channel = the_channel(told)
    channel.open()
    await channel._back_off(0, after)

    assert [0.05] == naps


@in_a_loop
async def test_retry_later_is_heard(told, naps):
    """The error's `after` reaches the pause."""
    channel = the_channel(told, batch_records=1)
    told.how = RetryLater("busy", after=7.0)
    async with running(channel):
        channel.offer(parcels(1))
        await until(lambda: len(naps) >= 2)

    assert ("told", 7.0) in naps


@in_a_loop
async def test_a_flush_cuts_our_own_pause_short(told, monkeypatch):
    """Who waits for the records gets one more try at once."""
    monkeypatch.setattr(channels, "FIRST_RETRY", 60.0)
    channel = the_channel(told, jitter=lambda: 1.0)
    channels_pause = OSError("down")
    told.how = channels_pause
    async with running(channel):
        channel.offer(parcels(1))
        await until(lambda: channel.failures)
        told.how = None
        since = time.monotonic()
        await channel.emptied()

    assert time.monotonic() - since < 30


@in_a_loop
async def test_a_flush_does_not_cut_short_what_the_destination_said(told):
    """Never a request earlier than told."""
    channel = the_channel(told)
    told.how = RetryLater("busy", after=0.3)
    async with running(channel):
        channel.offer(parcels(1))
        await until(lambda: channel.failures)
        told.how = None
        since = time.monotonic()
        await channel.emptied()

    assert time.monotonic() - since > 0.25


@in_a_loop
async def test_emptied_waits_for_what_was_before_it_and_not_for_silence(told):
    """Under steady traffic a flush ends."""
    channel = the_channel(told, batch_records=1)
    told.how = lambda batch: channel.offer(parcels(1))
    async with running(channel):
        channel.offer(parcels(3))
        await channel.emptied()

    assert (True, True) == (channel.exported >= 3, channel.waiting > 0)


@in_a_loop
async def test_giving_up_counts_what_is_left(told):
    """What waits and what is in flight, under one reason, and the law holds."""
    channel = the_channel(told)
    told.how = threading.Event()
    async with running(channel):
        channel.offer(parcels(150))
        await until(told.came.is_set)
    channel.give_up("shutdown_deadline")
    numbers = channel.stats(captured=150, upstream_dropped={}, upstream_waiting=0)

    assert ({"shutdown_deadline": 150}, True) == (numbers.dropped, numbers.balanced)
    channel.give_up("again")
    assert "again" not in channel.dropped


@in_a_loop
async def test_giving_up_twice_adds_up(told):
    """Both times' losses are counted, and nobody waits for any of them."""
    channel = the_channel(told)
    channel.open()
    for count in (5, 3):
        channel.offer(parcels(count))
        channel.give_up("shutdown_deadline")
    await channel.emptied()

    assert {"shutdown_deadline": 8} == channel.dropped


@in_a_loop
async def test_a_new_loop_goes_on_where_one_that_died_left_off(told):
    """The batch in flight goes out again under its id, and what waited after it."""
    channel = the_channel(told)
    told.how = threading.Event()
    async with running(channel):
        channel.offer(parcels(150))
        await until(told.came.is_set)
    told.how = None
    async with running(channel):
        await channel.emptied()

    assert (150, 2, 3) == (channel.exported, len(set(told.ids)), len(told.ids))
    assert [str(n) for n in range(150)] == [record.name for record in told.records]


# --- what can export -------------------------------------------------------------------------------------------------


async def exported_by(exporter, count=3):
    """The channel that brought three records out through *exporter*."""
    channel = the_channel(exporter)
    async with running(channel):
        channel.offer(parcels(count))
        await channel.emptied()
    return channel


@in_a_loop
async def test_a_plain_function_exports_in_a_thread():
    """It may block; the sink's loop goes on."""
    seen = []
    await exported_by(lambda batch: seen.append((len(batch), threading.current_thread() is threading.main_thread())))

    assert [(3, False)] == seen


@in_a_loop
async def test_an_async_function_exports_in_the_loop():
    """No thread for what does not need one."""
    seen = []

    async def export(batch):
        seen.append((len(batch), threading.current_thread() is threading.main_thread()))

    await exported_by(export)
    await exported_by(functools.partial(export))

    assert [(3, True), (3, True)] == seen


@in_a_loop
async def test_a_plain_function_around_an_async_one_is_awaited():
    """A lambda must not make a coroutine that nobody awaits."""
    seen = []

    async def export(batch, where):
        seen.append((len(batch), where))

    channel = await exported_by(lambda batch: export(batch, "there"))

    assert ([(3, "there")], 3) == (seen, channel.exported)


@in_a_loop
async def test_an_object_that_can_be_called_exports():
    """With and without `async`."""
    seen = []

    class Plain:
        def __call__(self, batch):
            seen.append("plain")

    class Async:
        async def __call__(self, batch):
            seen.append("async")

    class Method:
        def export(self, batch):
            seen.append("method")

    for exporter in (Plain(), Async(), Method()):
        await exported_by(exporter)

    assert ["plain", "async", "method"] == seen


@in_a_loop
async def test_a_plain_functions_error_is_its_own():
    """A RuntimeError of the function is no lack of threads: it is not called again at once."""
    calls = []

    def export(batch):
        calls.append(len(batch))
        if len(calls) == 1:
            raise RuntimeError("mine")

    channel = await exported_by(export)

    assert ([3, 3], 1, "RuntimeError: mine") == (calls, channel.failures, channel.last_error)


@in_a_loop
async def test_where_no_thread_can_be_started_the_loop_does_the_work(monkeypatch):
    """As in the last moments of a process."""

    async def none_left(*args, **kwargs):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("anyio.to_thread.run_sync", none_left)
    seen = []
    await exported_by(lambda batch: seen.append(threading.current_thread() is threading.main_thread()))

    assert [True] == seen


def test_whoever_cancels_it_says_so_once():
    """A cancellation while a batch is on its way ends the work at once: it is no failure of the exporter to be tried again."""

    async def main():
        came = asyncio.Event()

        async def export(batch):
            came.set()
            await asyncio.Event().wait()

        channel = the_channel(export)
        channel.open()
        task = asyncio.create_task(channel.run())
        channel.offer(parcels(1))
        await came.wait()
        task.cancel()
        await asyncio.wait([task], timeout=60)
        return task.cancelled(), channel.failures, channel.in_flight

    assert (True, 0, 1) == asyncio.run(main())


@in_a_loop
async def test_a_record_that_comes_when_nothing_waits_is_delivered_by_itself(told):
    """Nobody is in a hurry, and no batch is full."""
    channel = the_channel(told)
    async with running(channel):
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        channel.offer(parcels(1))
        await until(lambda: told.batches)

    assert [1] == [len(batch) for batch in told.batches]


@pytest.mark.parametrize(
    ("limits", "reason"), [({"queue_records": 3}, "queue_full_count"), ({"queue_bytes": 3 * (512 + 20)}, "queue_full_bytes")]
)
def test_there_is_room_to_the_last_place(told, limits, reason):
    """For three, and the fourth is counted."""
    channel = the_channel(told, **limits)
    channel.open()
    channel.offer(parcels(4))

    assert (3, {reason: 1}) == (channel.waiting, channel.dropped)


@in_a_loop
async def test_its_numbers(make, caplog):
    """All of them, once it has failed, rejected twice and delivered."""
    told, answers = [], [OSError("down"), Rejected("no", reason="bad", count=2), Rejected("no", reason="bad", count=1), None]

    async def export(batch):
        told.append(len(batch))
        if (answer := answers.pop(0)) is not None:
            raise answer

    channel = the_channel(export, batch_records=3)
    async with running(channel):
        channel.offer(parcels(9))
        await channel.emptied()
    stats = channel.stats(captured=16, upstream_dropped={"bad": 1, "other": 2, "none": 0}, upstream_waiting=4)

    assert [3, 3, 3, 3] == told
    assert (16, 6, 0, 0, 4, 0) == (stats.captured, stats.exported, stats.spooled, stats.spooled_bytes, stats.queued, stats.in_flight)
    assert ({"bad": 4, "other": 2}, 1, 3, True) == (stats.dropped, stats.batches, stats.failures, stats.seconds >= 0)
    assert ("Rejected: no", "exporter told: OSError: down; 9 records wait") == (stats.last_error, caplog.messages[0])
