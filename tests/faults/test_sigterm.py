"""SIGTERM: nothing is lost where we may handle it, the process dies of it as it would have, and every other handler does its work."""

import time

import pytest

BEGIN = """
import os, signal, sys, threading, time
import llm_observe
from llm_observe.asgi import LLMObserveMiddleware
def out(batch):
    os.write(1, "".join(record.name + "\\n" for record in batch).encode())
def steps(*names):
    for name in names:
        with llm_observe.step(name):
            pass
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def configured(**settings):
    return llm_observe.configure(**{"exporters": [out], "batch_age": 60, **settings})
def term():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
"""


@pytest.fixture
def ends(run):
    """Run the rest of a program that begins as above."""
    return lambda code: run(BEGIN + code, timeout=90)


def test_a_script_that_asked_for_it_loses_nothing(ends, row):
    """It dies of the signal, and a thousand records were there before."""
    done = ends("configured(install_signal_handlers=True); steps(*['x'] * 1000); term()")

    row(14, "SIGTERM, script with install_signal_handlers")(captured=1000, exported=len(done.lines))
    assert (-15, 1000, "") == (done.code, len(done.lines), done.err)


def test_a_script_that_did_not_ask_is_left_alone(ends, row):
    """What is in memory is lost: the disposition of signals is the script's own business."""
    done = ends("configured(); steps(*['x'] * 1000); print(signal.getsignal(signal.SIGTERM), flush=True); term()")

    row(14, "SIGTERM, script as it is (documented loss)")(captured=1000, exported=len(done.lines) - 1)
    assert (-15, ["0"], "") == (done.code, done.lines, done.err)


def test_a_web_app_is_asked_for_nothing(ends):
    """Where a middleware is, SIGTERM drains by default."""
    done = ends("configured(); LLMObserveMiddleware(print); steps('a', 'b'); term()")

    assert (-15, ["a", "b"], "") == (done.code, done.lines, done.err)


def test_a_web_app_may_say_no(ends):
    """`install_signal_handlers=False` leaves the disposition as it is."""
    done = ends("configured(install_signal_handlers=False); LLMObserveMiddleware(print); say(signal.getsignal(signal.SIGTERM) == 0)")

    assert (0, ["True"], "") == (done.code, done.lines, done.err)


def test_a_handler_from_before_goes_first_and_ends_the_process_as_it_likes(ends):
    """Ours brings out what there is when it returns, and what comes later when it comes."""
    done = ends("""
over = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: (say('theirs'), over.set()))
configured(install_signal_handlers=True)
steps('before')
os.kill(os.getpid(), signal.SIGTERM)
over.wait(60)
steps('after')
with llm_observe.scope('job'):
    steps('inside')
os._exit(7)
""")

    assert (7, ["theirs", "before", "after", "inside", "job"], "") == (done.code, done.lines, done.err)


def test_a_handler_from_before_that_exits(ends):
    """`sys.exit` in it is an exit like any other."""
    done = ends("""
signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))
configured(install_signal_handlers=True)
steps('a')
term()
""")

    assert (4, ["a"], "") == (done.code, done.lines, done.err)


def test_a_handler_from_after_that_passes_it_down(ends):
    """The process is its to end, and it is still there when ours returns."""
    done = ends("""
configured(install_signal_handlers=True)
ours = signal.getsignal(signal.SIGTERM)
signal.signal(signal.SIGTERM, lambda *arguments: (ours(*arguments), say('theirs')))
steps('a')
os.kill(os.getpid(), signal.SIGTERM)
steps('b')
os._exit(0)
""")

    assert (0, ["a", "theirs", "b"], "") == (done.code, done.lines, done.err)


def test_a_server_that_puts_the_old_handler_back_and_raises_the_signal_anew(ends):
    """As uvicorn does, whether it found ours or went before us: what it served in between is there."""
    for before, after in (("", "configured(install_signal_handlers=True)"), ("configured(install_signal_handlers=True)", "")):
        done = ends(f"""
{before}
heard = []
old = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
{after}
steps('served')
os.kill(os.getpid(), signal.SIGTERM)
while not heard: time.sleep(0.01)
steps('last')
signal.signal(signal.SIGTERM, old)
signal.raise_signal(signal.SIGTERM)
time.sleep(60)
""")

        assert (-15, ["served", "last"], "") == (done.code, done.lines, done.err)


def test_an_ignored_signal_stays_ignored(ends):
    """Whoever started us wants it so."""
    done = ends("""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
configured(install_signal_handlers=True)
os.kill(os.getpid(), signal.SIGTERM)
say(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)
""")

    assert (0, ["True"]) == (done.code, done.lines)


def test_in_another_thread_there_is_nothing_to_install(ends):
    """Python takes handlers from the main thread only: it is said, once, and nothing fails."""
    done = ends("""
import logging
class Said(logging.Handler):
    def emit(self, record): say(record.getMessage())
logging.getLogger('llm_observe').addHandler(Said())
thread = threading.Thread(target=configured, kwargs={'install_signal_handlers': True})
thread.start(); thread.join()
say(signal.getsignal(signal.SIGTERM) == 0)
""")

    assert (0, ["llm-observe could not handle SIGTERM: this is not the main thread; what is in memory then is lost", "True"]) == (
        done.code,
        done.lines,
    )


def test_the_last_observer_takes_the_handler_away(ends):
    """After its shutdown the disposition is what it was."""
    done = ends("""
one = configured(install_signal_handlers=True)
two = llm_observe.Observer(exporters=[], install_signal_handlers=True).start()
one.shutdown(); say(signal.getsignal(signal.SIGTERM) == 0)
two.shutdown(); say(signal.getsignal(signal.SIGTERM) == 0)
""")

    assert (0, ["False", "True"], "") == (done.code, done.lines, done.err)


def test_a_signal_in_the_middle_of_a_shutdown_waits_for_it(ends):
    """A drain that is under way is brought to its end, not cut off."""
    done = ends("""
def slow(batch):
    say('begun'); time.sleep(0.5); out(batch)
observer = configured(exporters=[slow], install_signal_handlers=True)
steps('a')
draining = threading.Thread(target=observer.shutdown)
draining.start()
time.sleep(0.1)
term()
""")

    assert (-15, ["begun", "a"], "") == (done.code, done.lines, done.err)


def test_a_second_signal_does_not_cut_off_what_the_first_began(ends, row):
    """As hypercorn's parent has it, which says it twice to workers that are not the first to end."""
    done = ends("""
def out_after_another(batch):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)
    out(batch)
configured(exporters=[out_after_another], install_signal_handlers=True)
steps(*['x'] * 1000)
term()
""")

    row(14, "SIGTERM, and again while records are leaving")(captured=1000, exported=len(done.lines))
    assert (-15, 1000, "") == (done.code, len(done.lines), done.err)


def test_a_hanging_exporter_holds_it_up_for_the_deadline(ends, row):
    """The process dies of the signal, when the time is up that the setting gives."""
    began = time.monotonic()
    done = ends("""
configured(exporters=[lambda batch: time.sleep(600)], drain_timeout=1, install_signal_handlers=True)
steps('a')
term()
""")

    found = row(5, "exporter hangs, SIGTERM with drain_timeout=1")
    found(captured=1, exported=0, dropped={"shutdown_deadline": 1}, deadline=f"{time.monotonic() - began:.1f} s, start of Python included")
    assert (-15, "") == (done.code, done.err)
