"""A forked child starts empty, with a new sink and ids of its own; its parent does not notice."""

import os

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

BEGIN = """
import json, os, signal, sys, threading, time, warnings
signal.alarm(50)  # what deadlocks ends here
os.register_at_fork(after_in_child=lambda: signal.alarm(45))
warnings.simplefilter('ignore')
import llm_observe
from llm_observe._runtime.items import StepEnded
def out(batch):
    os.write(1, "".join(f"{os.getpid()} {record.name} {record.id}\\n" for record in batch).encode())
def steps(*names):
    for name in names:
        with llm_observe.step(name):
            pass
def end(child):
    'Wait for the child, and give its exit code.'
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
observer = llm_observe.configure(exporters=[out], batch_age=60)
"""


@pytest.fixture
def forks(run):
    """Run the rest of a program that begins as above; give pairs of process and name, and check that no id came twice."""

    def program(code):
        done = run(BEGIN + code, timeout=60)
        assert (0, "") == (done.code, done.err), done.err
        records = [line.split() for line in done.lines if line[0].isdigit() and len(line.split()) == 3]
        ids = [record[2] for record in records]
        assert len(ids) == len(set(ids))
        done.ids = ids
        done.names = sorted(name for _, name, _ in records)
        done.said = [line for line in done.lines if len(line.split()) != 3]
        return done

    return program


def test_each_delivers_its_own_once(forks, row):
    """The parent's queue is the parent's: nothing is sent twice, nothing is lost."""
    done = forks("""
steps('before')
if child := os.fork():
    steps('parent')
    assert end(child) == 0
else:
    steps('child')
    sys.exit(0)
""")

    row(21, "os.fork, both end by themselves")(captured=3).arrived(done.ids)
    assert ["before", "child", "parent"] == done.names


def test_a_child_that_leaves_at_once_takes_nothing_along(forks, row):
    """`os._exit` in the child costs the parent no record."""
    done = forks("""
steps('before')
if child := os.fork():
    assert end(child) == 0
else:
    os._exit(0)
""")

    row(21, "os.fork, the child ends by os._exit")(captured=1).arrived(done.ids)
    assert ["before"] == done.names


def test_what_was_inherited_is_counted(forks):
    """In the child, as `forked_child`; there it is not sent, and the law holds."""
    done = forks("""
observer.sink.start = lambda: None  # nobody takes anything
observer.handover.asleep = False
time.sleep(0.15)
for _ in range(3):
    observer.handover._waiting.append((None, 0))
    observer.handover.accepted += 1
if child := os.fork():
    end(child)
    os._exit(0)
numbers = observer.stats().exporters['out']
print(json.dumps([numbers.dropped, numbers.balanced, numbers.queued]), flush=True)
os._exit(0)
""")

    assert ['[{"forked_child": 3}, true, 0]'] == done.said


def test_a_child_of_a_child(forks):
    """As often as one likes."""
    done = forks("""
for depth in range(3):
    steps(f'depth-{depth}')
    if child := os.fork():
        assert end(child) == 0
        break
else:
    steps('deepest')
sys.exit(0)
""")

    assert ["deepest", "depth-0", "depth-1", "depth-2"] == done.names


def test_ids_differ_between_parent_and_child(forks):
    """Chance is seeded anew."""
    done = forks("""
if child := os.fork():
    end(child)
print(observer.ids.trace(), flush=True)
os._exit(0)
""")

    assert 2 == len(set(done.said))


def test_an_observer_that_was_shut_down_stays_so(forks):
    """A fork does not wake it."""
    done = forks("""
observer.shutdown()
if child := os.fork():
    assert end(child) == 0
else:
    observer.hand_over(StepEnded(name='x', span_id='1', parent_id=None, scope=None, started_ns=0, began=0, ended=0, attributes={}))
    print(observer.stats().exporters['out'].dropped, observer.sink.running, "!", flush=True)
    os._exit(0)
""")

    assert ["{'disabled': 1} False !"] == done.said


def test_locks_that_other_threads_hold_do_not_stop_the_child(forks, row):
    """Every lock of ours is held at the fork, by a thread that the child does not have."""
    done = forks("""
from llm_observe._runtime import default
held, over = threading.Event(), threading.Event()
def hold():
    with default._lock, observer._lock, observer.sink._starting:
        held.set()
        over.wait()
steps('before')
observer.flush()
threading.Thread(target=hold, daemon=True).start()
held.wait()
if child := os.fork():
    assert end(child) == 0
    over.set()
else:
    steps('child')
    llm_observe.shutdown()
    llm_observe.configure(exporters=[out])
    steps('again')
    sys.exit(0)
""")

    row(22, "os.fork, every lock of ours held by another thread")(captured=3).arrived(done.ids)
    assert ["again", "before", "child"] == done.names


def test_the_background_thread_imports_nothing(run, tmp_path):
    """An import takes a lock, and a child that is forked meanwhile never sees it released: whatever records need is there before the first."""
    done = run(
        """
import sys, threading
import llm_observe
observer = llm_observe.configure(exporters=["file:" + sys.argv[1], lambda batch: None])
imported = []
def watch(event, arguments):
    if event == "import" and threading.current_thread().name != "MainThread":
        imported.append(arguments[0])
sys.addaudithook(watch)
with llm_observe.scope("job"), llm_observe.step("step", text="ada@example.org, sk-proj-0123456789abcdefghijklmnopqrstuvwxyz"):
    with llm_observe.record_call("m", provider="p"):
        pass
assert observer.flush(60)
print(imported, observer.stats().exporters["file"].exported, flush=True)
""",
        tmp_path,
        timeout=60,
    )

    assert ("[] 3", "") == (done.out.strip(), done.err)


def test_forks_under_load(forks, row):
    """Fifty children of a process in which four threads capture: all end, all deliver, and the parent loses nothing."""
    done = forks("""
over, counts = threading.Event(), []
def work(n):
    count = 0
    while not over.is_set():
        steps(f'parent-{n}')
        count += 1
        time.sleep(0.0005)
    counts.append(count)
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
for n in range(50):
    if child := os.fork():
        assert end(child) == 0
    else:
        steps('child')
        llm_observe.shutdown()
        os._exit(0)
over.set()
for thread in threads:
    thread.join()
llm_observe.shutdown()
numbers = observer.stats().exporters['out']
print(sum(counts), numbers.exported, numbers.balanced, "!", flush=True)
""")
    captured = int(done.said[0].split()[0])

    row(21, "os.fork, 50 times while 4 threads capture")(captured=captured + 50).arrived(done.ids)
    assert (50, [f"{captured} {captured} True !"]) == (done.names.count("child"), done.said)
    assert captured + 50 == len(done.ids)


def test_a_fork_inside_a_request_keeps_its_trace(forks):
    """What a child does for a request belongs to it."""
    done = forks("""
with llm_observe.scope('job') as job:
    if child := os.fork():
        assert end(child) == 0
    else:
        steps('child')
        llm_observe.shutdown()
        os._exit(0)
""")

    assert ["child", "job"] == done.names


def test_calls_of_parent_and_child_have_ids_of_their_own(forks):
    """Also one that was open when the child came, which both of them end; and the lines of each have those of its own records."""
    done = forks("""
from llm_observe.logs import ids
def call(name):
    return llm_observe.record_call(name, provider='p')
def say(call_id):
    os.write(1, f'said {os.getpid()} {call_id}\\n'.encode())
with call('before'):
    pass
before = ids()['call_id']
with call('open'):
    child = os.fork()
    with call('inside'):
        say(ids()['call_id'])
with call('after'):
    pass
say(ids()['call_id'])
if child:
    assert end(child) == 0
    say(before)
else:
    sys.exit(0)
""")
    said, records = ([line.split() for line in done.lines if line.startswith("said") is wanted] for wanted in (True, False))

    assert ["after", "after", "before", "inside", "inside", "open", "open"] == sorted(record[2] for record in records)
    assert len(records) == len({record[3] for record in records})
    assert 5 == len(said)
    assert {(pid, call_id) for _, pid, call_id in said} <= {(pid, call_id) for pid, _, _, call_id in records}
