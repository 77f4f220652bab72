"""The memory exporter."""

import threading

import pytest

from llm_observe.errors import SettingsError
from llm_observe.exporters.memory import MemoryExporter


def test_records_are_kept_in_the_order_they_came(make, send):
    """Two batches read as one history."""
    memory = MemoryExporter()

    send(memory, make.batch(make.call(id="a"), make.step(id="b")), make.batch(make.request(id="c")))

    assert ["a", "b", "c"] == [record.id for record in memory.records]


def test_records_are_to_be_had_by_kind(make, send):
    """Calls, requests and steps each by themselves."""
    memory = MemoryExporter()

    send(memory, make.batch(make.call(), make.step(), make.request()))

    assert (["call-1"], ["request-1"], ["step-1"]) == tuple([r.id for r in kept] for kept in (memory.calls, memory.requests, memory.steps))


def test_beyond_the_limit_the_oldest_are_forgotten(make, send):
    """A limit of two keeps the last two of three."""
    memory = MemoryExporter(limit=2)

    send(memory, make.batch(make.call(id="a"), make.call(id="b"), make.call(id="c")))

    assert ["b", "c"] == [record.id for record in memory.records]


def test_what_was_handed_out_is_a_copy(make, send):
    """Later batches do not change a list somebody already holds."""
    memory = MemoryExporter()
    before = memory.records

    send(memory, make.batch(make.call()))

    assert [] == before


def test_clearing_forgets_everything(make, send):
    """A test may begin anew."""
    memory = MemoryExporter()
    send(memory, make.batch(make.call()))

    memory.clear()

    assert [] == memory.records


def test_reading_while_another_thread_exports_is_safe(make, send):
    """A reader sees at most the limit, always in order, and never an error."""
    memory, over = MemoryExporter(limit=50), threading.Event()

    def write():
        for n in range(300):
            send_one(n)
        over.set()

    def send_one(n):
        coroutine = memory.export(make.batch(make.call(id=f"{n:06d}")))
        with pytest.raises(StopIteration):
            coroutine.send(None)

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not over.is_set():
        ids = [record.id for record in memory.records]
        seen.append(ids == sorted(ids) and len(ids) <= 50)
    writer.join()

    assert all(seen)
    assert 50 == len(memory.records)


def test_a_limit_of_none_at_all_is_refused():
    """Zero would keep nothing and say nothing."""
    with pytest.raises(SettingsError, match=r"limit=0.*at least 1"):
        MemoryExporter(limit=0)


def test_it_says_what_it_is():
    """The repr names the limit."""
    assert "MemoryExporter(limit=3)" == repr(MemoryExporter(limit=3))
