"""A channel with a spool: what waits where, and the sums that must come out even in the end."""

import errno
import os
import time

import anyio
import pytest

from llm_observe._runtime.channel import Channel, Limits
from llm_observe._runtime.clock import Clock, Ids
from llm_observe._runtime.guard import Guard

FACTS = {"queue_records": 10_000, "queue_bytes": 10**7, "batch_records": 50, "batch_bytes": 10**6, "batch_age": 0.0}


@pytest.fixture
def channel(spool, make):
    """A maker of channels to an exporter that is `up` or not, with a spool."""

    def one(limit=2**24, **changes):
        exporter = make.told()
        exporter.look = lambda: None
        exporter.export = lambda batch: exporter.look() or exporter.names.extend(int(record.id) for record in batch)
        made = Channel("told", exporter, Limits(**{**FACTS, **changes}), guard=Guard(), ids=Ids(), clock=Clock(), spool=spool(limit=limit))
        return made

    return one


def numbers(channel):
    """The channel in numbers: as much was captured as was offered."""
    captured = channel.exported + channel.waiting + channel.in_flight + channel.spooled + sum(channel.dropped.values())
    return channel.stats(captured=captured, upstream_dropped={}, upstream_waiting=0)


def work(channel, true):
    """Run *channel* until something is *true*, a minute at most."""

    async def main():
        channel.open()
        end = time.monotonic() + 60
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.run)
            while not true():
                assert time.monotonic() < end, numbers(channel)
                await anyio.sleep(0.002)
            tasks.cancel_scope.cancel()

    anyio.run(main)


def offered(channel, make, stop, size=100):
    """Offer records 0 to *stop*, with nobody there to deliver them."""

    async def main():
        channel.open()
        for start in range(0, stop, 100):
            channel.offer([make.parcel(n, size) for n in range(start, min(stop, start + 100))])

    anyio.run(main)


def test_memory_is_weighed_as_it_fills_and_empties(channel, make):
    """What came back from the disk weighs too; when all has arrived, nothing is left on the scales."""
    one = channel(queue_records=60)
    offered(one, make, 1000)
    before = (one.waiting, one.spooled)
    work(one, lambda: one.exported == 1000)

    assert (60, 940) == before
    assert (0, 0, 0, 0) == (one.waiting_bytes, one.waiting, one.in_flight, one.spooled)
    assert list(range(1000)) == one.exporter.names


def test_what_is_adopted_in_pieces_adds_up(channel, make):
    """More than is read at once, in several segments, beside records of one's own."""
    left = channel()
    offered(left, make, 3000, size=200)
    left.give_up("shutdown_deadline")
    one = channel(queue_records=60)
    work(one, lambda: one.adopted_exported == 3000)

    assert (3000, 3000, 0, 0, 0, {}) == (
        one.adopted,
        one.adopted_exported,
        one.waiting,
        one.waiting_bytes,
        one.exported,
        one.adopted_dropped,
    )
    assert (3000, 0) == (numbers(left).spooled, left.waiting_bytes)


def test_adopted_records_do_not_count_while_they_wait(channel, make):
    """Neither in the queue nor in flight: they were captured elsewhere. In memory they weigh all the same."""
    left = channel()
    offered(left, make, 30)
    left.give_up("shutdown_deadline")
    one = channel()
    seen = []
    one.exporter.look = lambda: seen.append((one.waiting, one.in_flight, one.adopted, one.waiting_bytes > 0))
    work(one, lambda: len(one.exporter.names) == 30)

    assert {(0, 0, 30, True)} == set(seen)


@pytest.mark.parametrize("ours", [True, False])
def test_damage_in_several_places_adds_up(channel, make, files, ours):
    """Each piece that is read may hold some; it is counted with whom it belongs to."""
    one = channel(queue_records=1)
    offered(one, make, 2000, size=300)
    path = files()[0]
    data = bytearray(path.read_bytes())
    hit = [n for n in (100, 500, 700) if f'"id":"{n}"'.encode() in data]
    for n in hit:
        data[data.index(f'"id":"{n}"'.encode())] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    if not ours:
        one.give_up("shutdown_deadline")
        one = channel(queue_records=1)
    work(one, lambda: len(one.exporter.names) == 2000 - len(hit))
    counted, others = (one.dropped, one.adopted_dropped) if ours else (one.adopted_dropped, one.dropped)

    assert 2 <= len(hit)
    assert ({"spool_corrupt": len(hit)}, {}) == (counted, others)
    assert [n for n in range(2000) if n not in hit] == one.exporter.names


def test_what_cannot_be_read_half_way_is_counted_exactly(channel, make, monkeypatch):
    """Of our own we know how many there were behind the place."""
    one = channel(queue_records=1)
    offered(one, make, 1000, size=300)
    pread, calls = os.pread, []

    def failing(fd, size, at):
        calls.append(at)
        if len(calls) > 2:
            raise OSError(errno.EIO, "Input/output error")
        return pread(fd, size, at)

    monkeypatch.setattr(os, "pread", failing)
    work(one, lambda: len(one.exporter.names) + one.dropped["spool_io"] == 1000)

    assert 1 < len(one.exporter.names) < 1000
    assert list(range(len(one.exporter.names))) == one.exporter.names


def test_of_others_that_cannot_be_read_one_is_counted(channel, make, monkeypatch):
    """How many there were nobody knows."""
    left = channel()
    offered(left, make, 1000, size=300)
    left.give_up("shutdown_deadline")
    one = channel()
    pread, calls = os.pread, []

    def failing(fd, size, at):
        calls.append(at)
        if at > 1000:
            raise OSError(errno.EIO, "Input/output error")
        return pread(fd, size, at)

    monkeypatch.setattr(os, "pread", failing)
    work(one, lambda: one.adopted_dropped["spool_io"] > 0)

    assert {"spool_io": 1} == one.adopted_dropped
    assert one.adopted == one.adopted_exported + len(one._waiting) + len(one._flying) + 1


def test_giving_up_leaves_to_the_spool_what_it_has(channel, make, monkeypatch):
    """And counts what was in memory alone; adopted records go back."""
    one = channel(queue_records=100)
    offered(one, make, 40)
    monkeypatch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))

    async def more():
        one.open()
        one.offer([make.parcel(n) for n in range(40, 120)])

    anyio.run(more)
    before = numbers(one)
    one.give_up("shutdown_deadline")
    after = numbers(one)

    assert (100, 0, {"spool_io": 20}) == (before.queued, before.spooled, before.dropped)
    assert (0, 40, {"spool_io": 20, "shutdown_deadline": 60}) == (after.queued, after.spooled, after.dropped)


def test_what_was_left_does_not_wait_for_company(channel, make):
    """It has waited long enough: the age of a batch holds for what is captured now."""
    left = channel()
    offered(left, make, 3)
    left.give_up("shutdown_deadline")
    one = channel(batch_age=3600.0)
    work(one, lambda: one.adopted_exported == 3)

    assert [0, 1, 2] == one.exporter.names


def test_a_child_leaves_the_spool_to_its_parent(channel, make, files):
    """Its files stay, and it holds none of them any more."""
    one = channel(queue_records=60)
    offered(one, make, 1000)
    before = files()
    one.forked()

    assert (before, True, 0) == (files(), len(before) > 0, one._spool.size)


def test_what_is_given_up_is_counted_once(channel, make):
    """What was in memory and what was not is left in the spool, and nobody waits for it any more."""
    one = channel(queue_records=60)
    offered(one, make, 200)
    before = (one.waiting, one.spooled, one._spool.size > 0, numbers(one).spooled_bytes == one._spool.size)
    one.give_up("shutdown_deadline")
    once = (one.waiting, one.spooled, one._done == one._offered)
    one.give_up("shutdown_deadline")

    assert ((60, 140, True, True), (0, 200, True), (200, {})) == (before, once, (one.spooled, one.dropped))
