"""Which of the traces that begin with us are kept: exporters of traces are asked, once a trace."""

import pytest

from llm_observe import Observer, record_call, scope, step
from llm_observe._runtime.default import swapped
from llm_observe._runtime.incoming import web_scope
from llm_observe._runtime.sampling import MOST, Sampling
from llm_observe.exporters import MemoryExporter

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Keeping:
    """An exporter that keeps traces as it is told, and remembers what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def keeps(self, trace_id, name, facts):
        self.asked.append((trace_id, name, dict(facts)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def export(self, batch):
        pass


@pytest.fixture
def observed():
    """Makes an observer with these exporters, and a memory that it fills."""
    made = []

    def make(*exporters, **settings):
        memory = MemoryExporter()
        made.append(Observer(exporters=[memory, *exporters], batch_age=0, **settings))
        return made[-1], memory

    yield make
    for one in made:
        one.shutdown()


def work(observer):
    """A job with a step and a call in it."""
    with scope("nightly", observer=observer) as job, step("find"), record_call("m", provider="local"):
        pass
    assert observer.flush(20)
    return job


@pytest.mark.parametrize(("answer", "sampled"), [(True, None), (False, False)])
def test_a_job_is_asked_about_once_and_the_answer_holds_for_all_in_it(observed, answer, sampled):
    """By its name; the records of what is left out are there all the same, for other exporters."""
    keeping = Keeping(answer)
    observer, memory = observed(keeping)

    job = work(observer)

    assert [(job.trace_id, "nightly", {})] == keeping.asked
    assert [sampled] * 3 == [record.sampled for record in memory.records]


def test_nobody_who_knows_is_nobody_who_leaves_out(observed):
    """Other exporters have no say."""
    observer, memory = observed()

    work(observer)

    assert [None] * 3 == [record.sampled for record in memory.records]


def test_one_that_wants_it_is_enough(observed):
    """Two backends may keep different shares."""
    observer, memory = observed(Keeping(False), Keeping(True))

    work(observer)

    assert [None] * 3 == [record.sampled for record in memory.records]


def test_a_sampler_that_fails_leaves_nothing_out(observed):
    """It is counted, and told without its words."""
    observer, memory = observed(Keeping(ValueError("secret")))

    work(observer)

    assert ([None] * 3, 1) == ([record.sampled for record in memory.records], observer.stats().errors)


def test_a_job_inside_a_job_is_of_the_same_trace(observed):
    """One question, one answer."""
    keeping = Keeping(False)
    observer, memory = observed(keeping)

    with scope("outer", observer=observer), scope("inner"):
        pass
    assert observer.flush(20)

    assert (1, [False, False]) == (len(keeping.asked), [record.sampled for record in memory.records])


def test_what_happens_outside_of_jobs_is_asked_about_by_its_own_name(observed):
    """A step and the call in it are one trace; another call is another."""
    keeping = Keeping(False)
    observer, memory = observed(keeping)

    with swapped(observer):
        with step("find"), record_call("m", provider="local"):
            pass
        with record_call("n", provider="local"):
            pass
    assert observer.flush(20)

    assert (["chat m", "chat n"], [False] * 3) == ([name for _, name, _ in keeping.asked], [record.sampled for record in memory.records])


def test_a_web_request_that_begins_a_trace_is_asked_about_with_its_facts(observed):
    """A sampler may go by the path."""
    keeping = Keeping(False)
    observer, memory = observed(keeping)

    web_scope(observer, "GET", "/health", None, None, None).finish()
    assert observer.flush(20)

    assert [("GET", {"http.request.method": "GET", "url.path": "/health"})] == [asked[1:] for asked in keeping.asked]
    assert [False] == [record.sampled for record in memory.records]


@pytest.mark.parametrize(("flags", "sampled"), [("01", None), ("00", False)])
def test_what_a_caller_has_decided_is_not_asked_again(observed, flags, sampled):
    """The answer to a trace that came in came with it."""
    keeping = Keeping(sampled is False)
    observer, memory = observed(keeping)

    web_scope(observer, "GET", "/", None, f"00-{TRACE}-{PARENT}-{flags}", None).finish()
    assert observer.flush(20)

    assert ([], [sampled]) == (keeping.asked, [record.sampled for record in memory.records])


def test_what_is_remembered_is_bounded(observed):
    """The oldest is asked about again, where it should come again."""
    keeping = Keeping(True)
    observer, _ = observed()
    sampling = Sampling([keeping], observer.guard)

    for n in range(MOST + 5):
        assert sampling(f"{n}", None, "job")
        assert sampling("0" if n < MOST else f"{MOST}", None, "job")
    known = len(keeping.asked)
    sampling("0", None, "job")

    assert (MOST + 5, MOST + 6) == (known, len(keeping.asked))
