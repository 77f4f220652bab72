"""Row 30: whatever an application puts on a record, the record comes out, as one line of valid JSON."""

import json
import threading
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_observe import Observer, record_call, scope, step, tag
from llm_observe._runtime import given as module
from llm_observe._runtime.encode import encode
from llm_observe.exporters import FileExporter
from llm_observe.exporters._files import record_files
from llm_observe.processors.truncation import truncation

LONG = 60


class Raising:
    """No part of it can be had."""

    def __repr__(self):
        raise RuntimeError("not telling")

    __str__ = __bool__ = __len__ = __iter__ = __index__ = __repr__


class Blocking:
    """Its ``repr`` waits until the test is over."""

    over = threading.Event()

    def __repr__(self):
        Blocking.over.wait()
        return "late"


def in_itself():
    """A dict that is its own value, twice."""
    inside = {}
    inside["me"] = inside["too"] = inside
    return inside


def deep(levels):
    """A list in a list in a list."""
    value = "bottom"
    for _ in range(levels):
        value = [value]
    return value


ODD = {
    "a cycle": in_itself(),
    "depth 10,000": deep(10_000),
    "a lone surrogate": "half \ud83d pair",
    "NUL": "a\x00b",
    "NaN": float("nan"),
    "infinity": [float("inf"), -float("inf")],
    "a number of 5,000 digits": 10**5000,
    "bytes": b"\xff\x00",
    "a huge dict": dict.fromkeys(range(100_000)),
    "a repr that raises": Raising(),
    "a repr that blocks": Blocking(),
    "a name that is no text": {(1, 2): 3, None: 4, Decimal(1): 5, "\ud83d": 6},
    "every line end there is": "a\nb\rc\x0bd\x0ce\x1cf\x1dg\x1eh\x85i\u2028j\u2029k",
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """What blocks is waited for shortly, and ends with the test."""
    Blocking.over.clear()
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    yield
    Blocking.over.set()
    for thread in module._stuck:
        thread.join(LONG)


def strictly(line):
    """*line* as the strictest readers have it."""

    def no(constant):
        raise AssertionError(constant)

    assert 1 == len(line.decode().splitlines())
    msgspec.json.decode(line)
    return json.loads(line, parse_constant=no)


def everywhere(observer, value):
    """Put *value* wherever an application may put something, on a request, a step and a call."""
    with scope("job", observer=observer, given=value):
        tag(tagged=value)
        with step("look", attribute=value) as marked:
            marked.set(later=value)
        with record_call("m", provider="p", input=[{"role": "user", "content": value}, value], system="s", temperature=value) as call:
            call.output = value
            call.finish_reasons = (value,)
            call.response_id = value
            call.usage(input_tokens=value)


@pytest.mark.parametrize("kind", ODD)
def test_row_30_odd_values_reach_the_file(row, tmp_path, kind):
    """All three records are there, lossy where they had to be, and nothing else waits or is lost for them."""
    with Observer(exporters=[FileExporter(tmp_path)], queue_bytes=2**30) as observer:  # room for the huge ones, however busy the machine
        everywhere(observer, ODD[kind])
        assert observer.flush(LONG)
        stats = observer.stats()
    found = [strictly(line) for path in record_files(tmp_path) for line in path.read_bytes().splitlines(keepends=True)]
    row(30, kind).numbers(stats.exporters["file"]).arrived(record["id"] for record in found)

    assert ["call", "request", "step"] == sorted(record["kind"] for record in found)
    assert {"given", "tagged"} == set(found[0]["scope"]["tags"])
    assert 0 == stats.errors


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.decimals()
    | st.builds(Raising)
    | st.builds(object)
    | st.builds(lambda: 10**5000),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(st.characters(codec=None)) | st.integers() | st.none(), inner)
        | st.fixed_dictionaries({"role": inner, "content": inner})
        | st.fixed_dictionaries({"type": st.just("text"), "text": inner})
    ),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(ANYTHING, min_size=1, max_size=4))
def test_row_30_what_leaves_the_sink_is_valid_json(values):
    """Of anything at all: as many lines as records, every one read by a strict reader."""
    lines = []
    with Observer(exporters=[lambda batch: lines.extend(batch.lines)]) as observer:
        for value in values:
            everywhere(observer, value)
        assert observer.flush(LONG)
        stats = observer.stats()

    assert sorted(["call", "request", "step"] * len(values)) == sorted(strictly(line)["kind"] for line in lines)
    assert 0 == stats.errors


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(ANYTHING)
def test_row_30_what_a_processor_puts_there_is_valid_json_as_well(value):
    """It comes after all of ours: only the writing itself is left to see to it."""
    records = []

    def odd(record):
        records.append(msgspec.structs.replace(record, attributes={"value": value}) if hasattr(record, "attributes") else record)
        return records[-1]

    lines = []
    with Observer(exporters=[lambda batch: lines.extend(batch.lines)], processors=[odd]) as observer:
        with scope("job", observer=observer), step("look"):
            pass
        assert observer.flush(LONG)

    assert ["request", "step"] == sorted(strictly(line)["kind"] for line in lines)


def test_short_limits_do_not_trip_over_it():
    """What is cut is cut as JSON, whatever it was."""
    records = []
    values = [value for kind, value in ODD.items() if kind != "a huge dict"]  # nine times that is more than may wait
    with Observer(exporters=[records.extend], text_bytes=64) as observer:
        for value in values:
            everywhere(observer, value)
        assert observer.flush(LONG)
        stats = observer.stats()

    assert (3 * len(values), 0) == (len(records), stats.errors)
    assert all(strictly(encode(truncation(64)(record))) for record in records)
