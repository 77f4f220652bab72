"""A record to a line of JSON, whatever an application puts into it."""

import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe._runtime.encode import encode
from llm_observe.records import Call, Message, Operation, Output, Provider, ScopeInfo, Step, Text

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
BASE = {"id": "1", "trace_id": "2", "span_id": "3", "started_at": NOON, "duration": 1.5, "status": "ok"}


def a_step(**attributes):
    """A record with what an application gave it."""
    return Step(name="s", **BASE, attributes=attributes)


def strictly(line):
    """*line* as a strict reader has it, msgspec's decoder included."""

    def no(constant):
        raise AssertionError(constant)

    msgspec.json.decode(line)
    return json.loads(line, parse_constant=no)


class Raising:
    def __repr__(self):
        raise RuntimeError("not telling")


class Plain:
    def __repr__(self):
        return "<plain>"


def in_itself():
    """A dict that is its own value."""
    inside = {}
    inside["me"] = inside
    return inside


def deep(levels):
    """A list in a list in a list."""
    value = "bottom"
    for _ in range(levels):
        value = [value]
    return value


def test_a_record_is_one_compact_line():
    """No newline, no space, nothing that is unknown."""
    line = encode(a_step(text="two\nlines"))

    assert (False, {"text": "two\nlines"}, "step", "llm-observe/1") == (
        b"\n" in line,
        strictly(line)["attributes"],
        strictly(line)["kind"],
        strictly(line)["schema"],
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Plain(), "<plain>"),
        (Raising(), "[Raising]"),
        ("half \ud83d pair", "half ? pair"),
        ({"\ud83d": 1}, {"?": 1}),
        ({(1, 2): 3}, {"[1, 2]": 3}),
        (10**5000, "[a number too long]"),
        (float("nan"), None),
        (["\ud83d", float("inf"), 1.5, 2, True, None], ["?", None, 1.5, 2, True, None]),
        (["\ud83d", 2**70], ["?", float(2**70)]),
        (["\ud83d", {1: Plain(), None: {2}}], ["?", {"1": "<plain>", "None": [2]}]),
        (["\ud83d", b"abc", Decimal("1.5"), uuid.UUID(int=1)], ["?", "YWJj", "1.5", str(uuid.UUID(int=1))]),
        (["\ud83d", Raising()], ["?", "[Raising]"]),
        ("\x00", "\x00"),
    ],
    ids=range(13),
)
def test_what_json_does_not_know_is_replaced_and_the_rest_stays(value, written):
    """The record is lossy there, and whole elsewhere."""
    read = strictly(encode(a_step(value=value, other="stays")))

    assert (written, "stays", "s", "2027-01-01T12:00:00Z") == (
        read["attributes"]["value"],
        read["attributes"]["other"],
        read["name"],
        read["started_at"],
    )


@pytest.mark.parametrize(("value", "said"), [(in_itself(), b"[itself]"), (deep(10_000), b"[too deep]")], ids=["in-itself", "deep"])
def test_what_has_no_end_is_cut_off(value, said):
    """A dict inside itself, ten thousand levels."""
    line = encode(a_step(value=value, other="stays"))

    assert ("stays", True) == (strictly(line)["attributes"]["other"], said in line)


def test_a_record_is_one_line_for_whoever_counts_lines():
    """Python, editors and terminals have more line ends than the newline; C1 controls are commands to some."""
    text = "a\u2028b\u2029c\x85d\x9b2Je\x0bf\x0cg\x1ch\r\n\xa0\u2027é€" + "".join(map(chr, range(0x80, 0xA0)))
    line = encode(a_step(text=text))

    assert text == strictly(line)["attributes"]["text"]
    assert 1 == len(line.decode().splitlines())
    assert not {chr(code) for code in (*range(0x20), *range(0x80, 0xA0), 0x2028, 0x2029)} & set(line.decode())
    assert "\xa0\u2027é€" in line.decode()


def test_a_replaced_record_looks_like_any_other():
    """Tags of parts, names of fields and what is left out are the same on both ways."""
    scope = ScopeInfo(name="job", tags={"plan": "free"})
    messages = (Message(role="assistant", parts=(Text(content="Hello"),)),)
    call = Call(
        name="c", **BASE, operation=Operation(name="chat"), provider=Provider(name="p"), output=Output(messages=messages), scope=scope
    )
    broken = msgspec.structs.replace(call, scope=ScopeInfo(name="job", tags={"plan": "free", "half": "\ud83d"}))
    whole, replaced = strictly(encode(call)), strictly(encode(broken))

    assert {**whole["scope"]["tags"], "half": "?"} == replaced["scope"].pop("tags")
    del whole["scope"]["tags"]
    assert whole == replaced


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.builds(Raising)
    | st.builds(object),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)) | st.integers() | st.none(), inner) | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_anything_becomes_valid_json(value):
    """Nothing raises, and a strict reader reads it."""
    assert {"value"} == set(strictly(encode(a_step(value=value)))["attributes"])
