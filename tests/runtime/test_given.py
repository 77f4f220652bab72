"""What an application gives, made plain, whatever it is and however long it takes."""

import collections
import dataclasses
import enum
import json
import threading
import time
import types

import pytest

from llm_observe._runtime import given
from llm_observe._runtime.given import plain, word


class Blocking:
    """Its ``repr`` waits for something that does not come, until the test lets it."""

    let = threading.Event()

    def __repr__(self):
        Blocking.let.wait()
        return "late"


@pytest.fixture
def impatient(monkeypatch):
    """Little patience, and whoever was left behind comes to an end with the test."""
    Blocking.let.clear()
    monkeypatch.setattr(given, "PATIENCE", 0.05)
    yield
    Blocking.let.set()
    for thread in given._stuck:
        thread.join(60)


class Colour(enum.Enum):
    RED = "red"


class Name(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError


@dataclasses.dataclass
class Point:
    x: int
    y: object


class Hostile(dict):
    """Code of the application's runs wherever it is touched."""

    def items(self):
        raise SystemExit


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Colour.RED, "red"),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (types.MappingProxyType({"a": [1]}), {"a": [1]}),
        (type("Three", (int,), {})(3), 3),
        (type("Half", (float,), {})(0.5), 0.5),
        (type("Text", (str,), {})("x"), "x"),
        (collections.namedtuple("Pair", "a b")(1, "x"), [1, "x"]),  # noqa: PYI024 - as people have them
        (Point(1, {"z": [2]}), {"x": 1, "y": {"z": [2]}}),
        (Name("x"), "[Name]"),
        ([1, range(3)], [1, "range(0, 3)"]),
        (bytearray(b"abc"), "YWJj"),
    ],
    ids=range(11),
)
def test_what_is_more_than_json_is_told_as_what_it_is_too(value, said):
    """An enum by its value, a mapping as one, a dataclass by its fields, anything else by its repr."""
    assert said == plain(value)


def test_what_takes_too_long_is_named_and_the_rest_stays_plain(impatient):
    """The sink waits once, and goes on."""
    assert ["x", {"value": "[Blocking]"}] == plain(["x", {"value": Blocking()}])


def test_no_more_than_a_few_are_left_behind(impatient):
    """Each costs a thread: after that, what is foreign is named without being asked."""
    before = threading.active_count()

    said = [plain(Blocking()) for _ in range(given.MOST_STUCK + 5)]

    assert {"[Blocking]"} == set(said)
    assert before + given.MOST_STUCK >= threading.active_count()
    assert "[range]" == plain(range(3))
    Blocking.let.set()
    deadline = time.monotonic() + 60
    while any(thread.is_alive() for thread in given._stuck) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "range(0, 3)" == plain(range(3))


def test_where_no_thread_can_be_started_nothing_foreign_is_asked(monkeypatch):
    """While the interpreter ends."""

    def start(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)

    assert ["[range]", "x"] == plain([range(3), "x"])


def test_code_that_wants_to_end_the_process_does_not(capfd):
    """Nor does it say anything on stderr."""
    assert ("[Hostile]", "") == (plain(Hostile(a=1)), capfd.readouterr().err)


def test_a_list_of_itself_twice_thirty_times_over_has_an_end():
    """A thousand million values are cut to what can be held."""
    value = ["x"]
    for _ in range(30):
        value = [value, value]
    both = {}
    both["a"], both["b"] = both, both

    assert 10_000_000 > len(json.dumps(plain(value)))
    assert {"a": "[itself]", "b": "[itself]"} == plain(both)


@pytest.mark.parametrize("value", [dict.fromkeys(range(300_000)), list(range(300_000))], ids=["dict", "list"])
def test_what_is_huge_keeps_its_beginning(value):
    """And says that it went on."""
    told = plain(value)

    assert (given.MOST + 1, True) == (len(told), "[too much]" in told)


def test_a_value_that_changes_meanwhile_is_named():
    """The application goes on with its dict while ours looks at it."""

    class Changing(dict):
        def __iter__(self):
            raise RuntimeError("dictionary changed size during iteration")

        items = __iter__

    assert ["[Changing]"] == plain([Changing()])


def test_a_word_is_a_text():
    """Where somebody gave something else for a name."""
    assert ["gpt-x", "None", "7", "red"] == [word(value) for value in ("gpt-x", None, 7, Colour.RED)]
