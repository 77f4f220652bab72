"""The owner of it all: several side by side, the default one, and their lives."""

import asyncio
import functools
import threading
import time

import pytest

import llm_observe
from llm_observe._runtime import default, ending
from llm_observe._runtime import observer as observers
from llm_observe._runtime.default import existing, swapped
from llm_observe._runtime.observer import Observer
from llm_observe.errors import SettingsError
from llm_observe.exporters.memory import MemoryExporter
from llm_observe.settings import Settings


@pytest.fixture
def no_default(monkeypatch):
    """A process in which nothing was configured yet."""
    monkeypatch.setattr(default, "_default", None)
    yield
    llm_observe.shutdown(1)


def names(memory):
    """What arrived in *memory*, sorted."""
    return sorted(record.name for record in memory.records)


# --- side by side ----------------------------------------------------------------------------------------------------


def test_two_observers_keep_apart(observe):
    """What happens in a scope goes to its own observer, also from threads side by side."""
    a, b = MemoryExporter(), MemoryExporter()
    one, two = observe(a), observe(b)

    def work(observer, name):
        for _ in range(50):
            with llm_observe.scope(name, observer=observer), llm_observe.step(name):
                pass

    threads = [threading.Thread(target=work, args=pair) for pair in ((one, "one"), (two, "two"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.flush(60)
    two.flush(60)

    assert (["one"] * 100, ["two"] * 100) == (names(a), names(b))


def test_a_scope_inside_a_scope_keeps_its_observer_unless_told_otherwise(observe):
    """The nearest observer counts."""
    a, b = MemoryExporter(), MemoryExporter()
    one, two = observe(a), observe(b)
    with llm_observe.scope("outer", observer=one):
        with llm_observe.scope("same"), llm_observe.step("in-one"):
            pass
        with llm_observe.scope("other", observer=two), llm_observe.step("in-two"):
            pass
    one.flush(60)
    two.flush(60)

    assert (["in-one", "outer", "same"], ["in-two", "other"]) == (names(a), names(b))


def test_outside_of_scopes_the_default_one_records(observe, memory):
    """And nobody else."""
    other = MemoryExporter()
    observe(other).start()
    with swapped(observe(memory)) as swapped_in, llm_observe.step("x"):
        pass
    swapped_in.flush(60)

    assert (["x"], []) == (names(memory), names(other))


def test_exporters_of_one_name_are_told_apart(observe):
    """By numbers, whatever the names."""
    memories = [MemoryExporter() for _ in range(3)]

    def memory(batch): ...

    clash = functools.partial(memory)
    observer = observe(*memories, clash)

    assert ["memory", "memory-2", "memory-3", "memory-4"] == list(observer.stats().exporters)


def test_names_that_look_like_numbered_ones_are_told_apart_too(observe, monkeypatch):
    """Whatever exporters are called, each has its own numbers."""
    given = iter(["x-2", "x", "x", "x"])
    monkeypatch.setattr(observers.plugs, "name", lambda exporter: next(given))

    assert ["x-2", "x", "x-3", "x-4"] == list(observe(print, print, print, print).stats().exporters)


# --- settings --------------------------------------------------------------------------------------------------------


def test_a_settings_object_is_taken_as_it_is(memory):
    """No environment, and the sources say so."""
    observer = Observer(Settings(exporters=(memory,), service="shop"))

    assert ("shop", {"Settings object"}) == (observer.settings.service, set(observer.sources.values()))


def test_keywords_beside_a_settings_object_count(memory):
    """They are not dropped silently."""
    observer = Observer(Settings(exporters=(memory,), service="shop"), content="none")

    assert ("shop", "none", "keyword") == (observer.settings.service, observer.settings.content, observer.sources["content"])


def test_a_settings_object_is_looked_at():
    """A Struct does not check what it is made of: we do, at start-up."""
    with pytest.raises(SettingsError, match="content"):
        Observer(Settings(content="everything", exporters=()))


def test_exporters_may_be_named_by_url(tmp_path):
    """In Python as in the environment."""
    observer = Observer(exporters=f"file:{tmp_path}")

    assert ["file"] == list(observer.stats().exporters)


def test_disabled_there_is_no_hook_no_thread_and_no_record(observe, memory):
    """What is handed over all the same is counted."""
    observer = observe(memory, enabled=False).start()
    with llm_observe.scope("x", observer=observer):
        pass

    assert (False, True, {"disabled": 1}) == (observer.sink.running, observer.flush(60), observer.shutdown().exporters["memory"].dropped)


# --- life ------------------------------------------------------------------------------------------------------------


def test_as_a_context_manager_it_ends_with_its_block(memory):
    """Sync."""
    with Observer(exporters=[memory], batch_age=60) as observer, llm_observe.scope("x", observer=observer):
        pass

    assert (["x"], True) == (names(memory), observer.closed)


def test_as_an_async_context_manager_it_ends_with_its_block(memory):
    """Async: the loop goes on while it drains, and flushes."""

    async def main():
        async with Observer(exporters=[memory], batch_age=60) as observer:
            with llm_observe.scope("x", observer=observer):
                pass
            assert await observer.aflush(5)
            assert ["x"] == names(memory)
            with llm_observe.scope("y", observer=observer):
                pass
        return await observer.adrain()

    numbers = asyncio.run(main())

    assert (["x", "y"], 2) == (names(memory), numbers.exporters["memory"].exported)


def test_it_starts_with_the_first_record(observe, memory):
    """Until then there is no thread."""
    observer = observe(memory)
    before = observer.sink.running
    with llm_observe.scope("x", observer=observer):
        pass

    assert (False, True, True) == (before, observer.flush(60), observer.stats().running)


def test_an_observer_that_is_gone_is_not_looked_for_at_the_end(memory):
    """The exit handlers hold none alive."""
    ending.at_thread_exit(lambda: None)
    ending.at_exit(lambda: None)

    assert not ending.exiting()


def test_the_two_exit_handlers_share_their_time(observe, memory, monkeypatch):
    """What the first one took the second one does not have."""
    monkeypatch.setattr(ending, "_exit_began", [])
    observer = observe(memory)
    with llm_observe.scope("x", observer=observer):
        pass
    first = ending.time_left(observer)
    ending._exit_began[0] -= 1.5
    second = ending.time_left(observer)
    ending._exit_began[0] -= 10

    assert (True, True, 0.05) == (1.9 < first <= 2.0, second < 0.51, ending.time_left(observer))
    ending.at_thread_exit(lambda: observer)
    ending.at_exit(lambda: observer)
    assert (["x"], True) == (names(memory), observer.closed)
    ending.at_thread_exit(lambda: observer)


def test_in_the_last_moments_items_bring_themselves_out(observe, told, monkeypatch):
    """Where nothing can be registered any more, each goes out in its caller's time; an error of ours stays ours."""

    def too_late(*args):
        raise RuntimeError("can't register atexit after shutdown")

    monkeypatch.setattr(ending, "_exit_began", [])
    monkeypatch.setattr(threading, "_register_atexit", too_late)
    observer = observe(told, batch_age=60).start()
    with llm_observe.scope("a", observer=observer), llm_observe.step("b"):
        pass

    assert ["b", "a"] == [record.name for record in told.records]
    observer.hand_over(object())
    assert 1 == observer.guard.errors


def test_where_threads_cannot_be_started_either_the_caller_does_the_work(observe, told, monkeypatch):
    """Python 3.12.0 to 3.12.2 in an exit handler."""

    def too_late(*args):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(ending, "_exit_began", [])
    monkeypatch.setattr(threading, "_register_atexit", too_late)
    monkeypatch.setattr(threading.Thread, "start", too_late)
    observer = observe(told, batch_age=60)
    for name in ("a", "b"):
        with llm_observe.scope(name, observer=observer):
            pass
    monkeypatch.undo()

    assert ["a", "b"] == [record.name for record in told.records]
    assert observer.stats().exporters["told"].balanced


def test_a_shutdown_inside_a_loop_without_threads_raises_nothing(observe, told, monkeypatch):
    """There is nobody to do the work: what is left stays in the books."""

    def too_late(*args):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    observer = observe(told)
    monkeypatch.setattr(threading.Thread, "start", too_late)
    with llm_observe.scope("a", observer=observer):
        pass

    async def main():
        return observer.shutdown(0.2)

    assert asyncio.run(main()).exporters["told"].balanced


def test_on_a_python_without_early_exit_handlers_the_late_one_does(observe, memory, monkeypatch):
    """`threading._register_atexit` is nobody's promise."""
    monkeypatch.delattr(threading, "_register_atexit")
    observer = observe(memory).start()
    with llm_observe.scope("x", observer=observer):
        pass

    assert (True, ["x"]) == (observer.flush(60), names(memory))


def test_threads_are_not_followed_where_that_is_not_wanted(observe, memory, monkeypatch):
    """A setting, as everything that touches what is not ours."""
    from llm_observe._runtime import threads

    threads.uninstall()
    try:
        observe(memory, follow_threads=False).start()
        assert threads._original is threads.ThreadPoolExecutor.submit
    finally:
        threads.install()


# --- the default one -------------------------------------------------------------------------------------------------


def test_without_a_default_there_is_nothing_to_flush_or_shut_down(no_default):
    """And asking makes none."""
    assert (True, None, None) == (llm_observe.flush(60), llm_observe.shutdown(), existing())


def test_configure_makes_the_default_one_and_starts_it(no_default, memory):
    """What happens outside of any scope goes there."""
    observer = llm_observe.configure(exporters=[memory])
    with llm_observe.step("x"):
        pass

    assert (True, True, ["x"], observer) == (observer.stats().running, llm_observe.flush(60), names(memory), existing())


def test_configure_again_drains_and_closes_the_one_before(no_default, memory):
    """Nothing of it is lost."""
    before = llm_observe.configure(exporters=[memory], batch_age=60)
    with llm_observe.step("x"):
        pass
    after = llm_observe.configure(exporters=[])

    assert (["x"], True, after) == (names(memory), before.closed, existing())


def test_wrong_settings_leave_the_default_one_as_it_is(no_default, memory):
    """The error is the start-up's."""
    before = llm_observe.configure(exporters=[memory])
    with pytest.raises(SettingsError):
        llm_observe.configure(content="everything")

    assert (before, False) == (existing(), before.closed)


def test_after_a_shutdown_the_next_use_makes_a_new_one(no_default, memory, monkeypatch):
    """A lifespan may begin twice; but not while the process ends."""
    monkeypatch.setenv("LLM_OBSERVE_EXPORTERS", "stdout:json")
    before = llm_observe.configure(exporters=[memory])
    numbers = llm_observe.shutdown()
    after = default.default()

    assert (True, None is not numbers, False) == (before is not after, before.closed, after.closed)
    after.shutdown()
    monkeypatch.setattr(ending, "_exit_began", [0.0])
    assert after is default.default()


def test_many_threads_make_one_default(no_default, monkeypatch):
    """Whoever comes first."""
    monkeypatch.setenv("LLM_OBSERVE_EXPORTERS", "stdout:json")
    made, barrier = [], threading.Barrier(8)

    def make():
        barrier.wait()
        made.append(default.default())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (8, 1) == (len(made), len(set(map(id, made))))


def test_a_default_that_was_swapped_is_back_afterwards(no_default, memory):
    """For tests: neither is closed."""
    before = llm_observe.configure(exporters=[])
    with Observer(exporters=[memory]) as other, swapped(other):
        assert other is existing()

    assert before is existing()


def test_a_child_has_locks_of_its_own(no_default):
    """What a forked child does first, here without a fork."""
    lock = default._lock
    with lock:
        default._in_child()

        assert default._lock.acquire(blocking=False)
        default._lock.release()


def test_a_forked_observer_starts_empty(observe, told):
    """What the parent had queued is counted as `forked_child` and not sent; here without a fork."""
    observer = observe(told)
    observer.handover.asleep = False
    for _ in range(3):
        with llm_observe.scope("parents", observer=observer):
            pass
    ending._in_child()
    with llm_observe.scope("childs", observer=observer):
        pass
    observer.flush(60)
    numbers = observer.stats().exporters["told"]

    assert (["childs"], {"forked_child": 3}, True) == ([one.name for one in told.records], numbers.dropped, numbers.balanced)


def test_exporters_that_got_no_record_are_closed(observe, told):
    """Whether the observer ever began or not: what they opened is theirs to close."""
    observe(told).start().shutdown()
    observe(told).shutdown()

    assert 2 == told.closed


def test_a_second_shutdown_waits_for_the_first(observe, told):
    """Whoever ends the process then ends nothing that is under way."""
    told.how = threading.Event()
    observer = observe(told)
    with llm_observe.scope("a", observer=observer):
        pass
    assert told.came.wait(60)
    first = threading.Thread(target=observer.shutdown, args=(60,))
    first.start()
    while not observer.closed:
        time.sleep(0.001)
    threading.Timer(0.1, told.how.set).start()
    numbers = observer.shutdown(60)
    first.join()

    assert 1 == numbers.exporters["told"].exported


def test_what_a_hanging_processor_holds_has_missed_the_deadline(observe, memory):
    """The shutdown does not wait for it, and the books are closed."""
    over, came = threading.Event(), threading.Event()

    def hang(record):
        came.set()
        over.wait(60)

    observer = observe(memory, processors=[hang])
    for name in ("a", "b"):
        with llm_observe.scope(name, observer=observer):
            pass
    assert came.wait(60)
    numbers = observer.shutdown(0.05).exporters["memory"]
    over.set()

    assert ({"shutdown_deadline": 2}, 2, 0, True) == (numbers.dropped, numbers.captured, numbers.queued, numbers.balanced)
