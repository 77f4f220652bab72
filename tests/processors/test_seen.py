"""What was looked through once is not looked at again, and nothing new escapes for that."""

import itertools

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from llm_observe.processors.redaction import gate
from llm_observe.processors.redaction.gate import Gate
from llm_observe.processors.redaction.kinds import SECRETS
from llm_observe.processors.redaction.seen import LEAST, MOST, OVERLAP, ROOM, Seen

HEAD = b'{"kind":"call","id":"%08d","trace_id":"2","span_id":"3","started_at":"2027","name":"chat","input":{"messages":["'
KEYS = [
    b"sk-proj-abcdEFGH1234567890abcd",
    b"Authorization: Bearer a1B2c3D4a1B2c3D4a1B2",
    b"https://joe:hunter2@host/",
    b"password: hunter2",
]
numbers = itertools.count()


def line(*turns, answer=b"ok"):
    """The JSON of a call that asked *turns*, as far as it matters here."""
    return HEAD % next(numbers) + b'","'.join(turns) + b'"]},"output":["' + answer + b'"]}'


def words(number, size):
    """A turn of *size* bytes, another for each number."""
    return (b"turn %d of it and what else there is to say. " % number * (size // 40))[:size]


@effort(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1000, 12_000)), min_size=2, max_size=7), st.sampled_from(KEYS), st.data())
def test_a_gate_that_has_seen_the_turns_before_says_what_a_new_one_says(turns, key, data):
    """A conversation grows; somewhere in its last line, in what is new or in what was there, a secret is put."""
    seen, said = Gate(SECRETS), []
    for number, size in turns:
        said.append(words(number, size))
        assert not seen(line(*said))
    last = line(*said)
    place = data.draw(st.integers(len(HEAD) + 8, len(last) - 30))
    with_key = last[:place] + b" " + key + b" " + last[place:]

    assert (True, True) == (Gate(SECRETS)(with_key), seen(with_key))


@given(st.integers(0, 40), st.sampled_from(KEYS))
def test_a_secret_that_begins_in_what_was_seen_is_found(kept, key):
    """Its first bytes ended the line before."""
    seen = Gate(SECRETS)
    before = words(1, LEAST)
    cut = key[: min(kept, len(key.split()[0]) // 2)]

    assert not seen(line(before + b" " + cut))
    assert seen(line(before + b" " + key))


def test_only_what_is_new_is_looked_at(monkeypatch):
    """Of a turn more, its bytes and a few before them; not those of the hundred kilobytes that were there."""
    looked, there = [], gate._in
    monkeypatch.setattr(gate, "_in", lambda piece, *more: looked.append(len(piece)) or there(piece, *more))
    seen = Gate(SECRETS)
    seen(line(words(1, 100_000)))
    first = sum(looked)
    looked.clear()
    seen(line(words(1, 100_000), words(2, 1000)))

    assert first > 100_000
    assert sum(looked) < 1000 + 3 * OVERLAP


@pytest.mark.parametrize(("count", "size"), [(3 * MOST, LEAST), (12, ROOM // 5)])
def test_what_is_remembered_is_bounded(count, size):
    """In lines and in bytes, and the turns that a longer conversation repeats are forgotten for it."""
    seen = Seen()
    for number in range(count):
        for turns in (1, 2):
            said = line(*(words(number, size) for _ in range(turns)))
            seen.new(said, 0)
            seen.add(said, 0)

    assert len(seen._lines) <= MOST
    assert sum(len(one.line) for one in seen._lines) <= ROOM
    assert len({one.first for one in seen._lines}) == len(seen._lines)
