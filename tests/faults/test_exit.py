"""However a process ends, nothing is lost, and nothing is said on its standard error that it would not have said anyway."""

import pytest

BEGIN = """
import atexit, asyncio, os, sys, threading, time
import llm_observe
def out(batch):
    os.write(1, "".join(record.name + "\\n" for record in batch).encode())
def steps(*names):
    for name in names:
        with llm_observe.step(name):
            pass
def configured(**settings):
    return llm_observe.configure(**{"exporters": [out], "batch_age": 60, **settings})
"""


@pytest.fixture
def ends(run, row):
    """Run the rest of a program that begins as above; *fault* is its row of the matrix, *captured* how many records it makes."""

    def program(code, *, fault=None, captured=None):
        done = run(BEGIN + code, timeout=60)
        if fault is not None:
            row(*fault)(captured=captured).arrived(line for line in done.lines if line.isalpha())
        return done

    return program


def test_a_clean_end(ends):
    """The last statement was the last."""
    done = ends("configured(); steps('a', 'b')", fault=(19, "a clean end"), captured=2)

    assert (0, ["a", "b"], "") == (done.code, done.lines, done.err)


def test_sys_exit(ends):
    """Its code is the application's."""
    done = ends("configured(); steps('a'); sys.exit(3)", fault=(19, "sys.exit"), captured=1)

    assert (3, ["a"], "") == (done.code, done.lines, done.err)


def test_an_unhandled_exception(ends):
    """One traceback, the application's own."""
    done = ends("configured(); steps('a'); raise ValueError('mine')", fault=(19, "an unhandled exception"), captured=1)

    assert (1, ["a"], 1, "ValueError: mine") == (done.code, done.lines, done.err.count("Traceback"), done.err.splitlines()[-1])


def test_a_thread_that_outlives_the_main_one(ends):
    """It is not a daemon: the process waits for it, and so do its records."""
    fault = (19, "the last thread that is no daemon ends after the main one")
    done = ends("configured(); threading.Timer(0.2, steps, ['late']).start(); steps('a')", fault=fault, captured=2)

    assert (0, ["a", "late"], "") == (done.code, done.lines, done.err)


def test_a_daemon_thread_at_work(ends):
    """Whole lines only, and no word on standard error; what it captures after the drain is not ours to save."""
    done = ends("""
configured(batch_age=0.01)
def work():
    while True:
        steps('daemon')
threading.Thread(target=work, daemon=True).start()
steps('main')
time.sleep(0.1)
""")

    assert (0, {"daemon", "main"}, "") == (done.code, set(done.lines), done.err)


def test_no_record_at_all(ends):
    """Nothing happened, nothing is waited for."""
    done = ends("began = time.monotonic(); configured(); atexit.register(lambda: print(time.monotonic() - began < 30))")

    assert (0, ["True"], "") == (done.code, done.lines, done.err)


def test_the_first_record_of_all_in_an_exit_handler(ends):
    """No thread can be counted on any more, and no handler of ours: it goes out at once, in the caller's thread."""
    done = ends(
        """
@atexit.register
def late():
    with llm_observe.scope('job', observer=configured()):
        steps('first', 'second')
""",
        fault=(20, "first capture inside atexit, observer made there"),
        captured=3,
    )

    assert (0, ["first", "second", "job"], "") == (done.code, done.lines, done.err)


def test_the_first_record_in_an_exit_handler_of_an_observer_there_was(ends):
    """It was configured in time and never used."""
    done = ends(
        """
atexit.register(steps, 'before')
configured()
atexit.register(steps, 'late')
""",
        fault=(20, "first capture inside atexit, observer made before"),
        captured=1,
    )

    assert (0, ["late"], "") == (done.code, done.lines, done.err)


def test_records_after_the_end_are_counted_as_disabled(ends, row):
    """An exit handler registered before us runs after our drain: no observer rises from the dead with settings nobody gave."""
    done = ends("""
@atexit.register
def last():
    steps('too late')
    print(observer.stats().exporters['out'].dropped)
observer = configured()
steps('a')
""")

    row(20, "capture inside atexit, after the drain")(captured=2, dropped={"disabled": 1}).arrived(done.lines[:1])
    assert (0, ["a", "{'disabled': 1}"], "") == (done.code, done.lines, done.err)


def test_an_exporter_of_async_colour(ends):
    """In whichever thread its loop runs."""
    done = ends("""
async def later(batch):
    await asyncio.sleep(0.05)
    out(batch)
observer = configured(exporters=[later])
steps('a')
atexit.register(steps, 'late')
""")

    assert (0, ["a", "late"], "") == (done.code, done.lines, done.err)


def test_a_dead_exporter_holds_the_end_up_for_two_seconds_at_most(ends):
    """And the application's code is kept."""
    done = ends(
        """
began = time.monotonic()
observer = configured(exporters=[lambda batch: time.sleep(60)], drain_timeout=0.3)
steps('a')
@atexit.register
def first_registered_last_run(): pass
import atexit
atexit.unregister(first_registered_last_run)
llm_observe.shutdown()
print(observer.stats().exporters['<lambda>' if '<lambda>' in observer.stats().exporters else 'lambda'].dropped)
print(time.monotonic() - began < 30)
"""
    )

    assert (0, ["{'shutdown_deadline': 1}", "True"], "") == (done.code, done.lines, done.err)


@pytest.mark.parametrize(
    ("what", "settings"),
    [
        ("an exporter hangs", "exporters=[lambda batch: time.sleep(600)]"),
        ("an exporter that is async hangs", "exporters=[lambda batch: asyncio.sleep(600)]"),
        ("a processor hangs", "processors=[lambda record: time.sleep(600)]"),
    ],
)
def test_the_end_of_the_interpreter_waits_for_none_that_hangs(ends, row, what, settings):
    """Two seconds are the most; the books are closed, and the application's exit code is kept."""
    done = ends(f"""
@atexit.register
def last():
    numbers, = observer.stats().exporters.values()
    print(round(time.monotonic() - began, 1), numbers.dropped, numbers.queued + numbers.in_flight, numbers.balanced, flush=True)
observer = configured({settings}, batch_age=0)
steps(*['x'] * 200)
began = time.monotonic()
sys.exit(3)
""")
    seconds, _, said = done.lines[0].partition(" ")

    row(5, f"clean exit, {what}")(captured=200, exported=0, dropped={"shutdown_deadline": 200}, deadline=f"{seconds} s of 2.0 + 0.5")
    assert (3, "{'shutdown_deadline': 200} 0 True", "") == (done.code, said, done.err)


def test_an_end_inside_asyncio(ends):
    """The application's loop is its own affair."""
    done = ends("""
configured()
async def main():
    steps('a')
    await asyncio.gather(asyncio.to_thread(steps, 'b'), asyncio.to_thread(steps, 'c'))
    sys.exit(0)
asyncio.run(main())
""")

    assert (0, ["a", "b", "c"], "") == (done.code, sorted(done.lines), done.err)


def test_many_observers_started_and_stopped_leave_nothing(ends, row):
    """Sinks and open files are as many as before, whether observers are made by hand or by `configure`. (A worker thread of anyio's may wait a while for more work.)"""
    done = ends("""
def counts():
    return [t.name for t in threading.enumerate() if 'AnyIO' not in t.name], len(os.listdir('/proc/self/fd'))
for n in range(102):
    with llm_observe.Observer(exporters=[out]) as observer, llm_observe.scope('x', observer=observer):
        pass
    configured()
    steps('y')
    if n == 1:
        llm_observe.shutdown()
        before = counts()
llm_observe.shutdown()
print(before == counts(), before, counts())
""")

    row(42, "100 observers started and stopped, 100 times configured anew")(captured=204, exported=len(done.lines) - 1)
    assert (0, "True", "") == (done.code, done.lines[-1].split()[0], done.err)
    assert ["x"] * 102 + ["y"] * 102 == sorted(done.lines[:-1])


def test_an_unwritable_standard_output_does_not_disturb_the_end(ends):
    """An exporter that fails for good: counted, one line of log, no traceback."""
    done = ends("configured(exporters=[lambda batch: 1 / 0], drain_timeout=0.2); steps('a')")

    assert (0, [], "") == (done.code, done.lines, done.err)


def test_a_child_of_multiprocessing_delivers_its_records(run, tmp_path):
    """It ends by `os._exit`, past every exit handler, but not past the end of its threads."""
    file = tmp_path / "program.py"
    file.write_text(
        BEGIN
        + """
import multiprocessing
if __name__ == '__main__':
    configured()
    steps('parent')
    for method in ('fork', 'forkserver')[:1]:
        child = multiprocessing.get_context(method).Process(target=steps, args=('child',))
        child.start()
        child.join()
    print(child.exitcode, flush=True)
"""
    )
    done = run(f"import runpy, warnings; warnings.simplefilter('ignore'); runpy.run_path({str(file)!r}, run_name='__main__')")

    assert (0, ["0", "child", "parent"], "") == (done.code, sorted(done.lines), done.err)
