"""Time and chance."""

import random
import uuid

from hypothesis import given
from hypothesis import strategies as st

from llm_observe._runtime.clock import Clock, Ids, reseed

NOW = 1_800_000_000 * 10**9


@given(st.integers(0, 2**48 * 10**6 - 1))
def test_a_record_id_is_a_uuid_of_version_7(wall):
    """Whatever the time: 36 characters, version 7, variant of RFC 9562."""
    made = uuid.UUID(Ids().record(wall))

    assert (7, uuid.RFC_4122, wall // 10**6) == (made.version, made.variant, made.int >> 80)


@given(st.integers(NOW, 2 * NOW), st.integers(1000, 10**12))
def test_record_ids_sort_by_time(wall, later):
    """To the microsecond, as text."""
    ids = Ids()

    assert ids.record(wall) < ids.record(wall + later)


def test_ids_of_one_moment_differ():
    """Ten thousand of them."""
    ids = Ids()

    assert 10_000 == len({ids.record(NOW) for _ in range(10_000)})


def test_trace_and_span_ids_are_never_zero():
    """Zero means none in W3C Trace Context."""
    ids = Ids(bits=lambda bits: 0)

    assert ("0" * 31 + "1", "0" * 15 + "1") == (ids.trace(), ids.span())


def test_trace_and_span_ids_are_hex_of_their_length():
    """32 and 16 digits, leading zeros kept."""
    ids = Ids(bits=lambda bits: 0xAB)

    assert ("ab".zfill(32), "ab".zfill(16)) == (ids.trace(), ids.span())


def test_a_child_draws_other_ids_than_its_parent():
    """The same state of chance, seeded anew."""
    from llm_observe._runtime import clock

    state = clock._random.getstate()
    ours = Ids().trace()
    clock._random.setstate(state)
    reseed()

    assert ours != Ids().trace()


def test_the_applications_own_chance_is_left_alone():
    """Drawing ids does not move `random`'s global state."""
    random.seed(1)
    before = random.getstate()
    Ids().trace()

    assert before == random.getstate()


def test_time_is_injected():
    """A clock is two functions."""
    clock = Clock(wall=lambda: 1, now=lambda: 2)

    assert (1, 2) == (clock.wall(), clock.now())
