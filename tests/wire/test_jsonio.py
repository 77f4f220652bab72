"""JSON as it comes: what cannot be read is MALFORMED, what is read can be written again."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe.wire.jsonio import MALFORMED, MAX_DEPTH, encodable, integer, items, load, load_argument, mapping, number, text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b'{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}, id="plain"),
        pytest.param(b"\n\n  {}", {}, id="white space first, as DeepSeek keeps connections alive"),
        pytest.param(b"\xef\xbb\xbf{}", {}, id="a BOM"),
        pytest.param(b'{"a": 1, "a": 2}', {"a": 2}, id="of two equal keys the last counts"),
        pytest.param(b'"\\ud800"', "?", id="a lone surrogate"),
        pytest.param(b'{"\\udc00": 1}', {"?": 1}, id="a lone surrogate in a key"),
        pytest.param(b'"\\ud83d\\ude00"', "😀", id="a pair of surrogates is a character"),
        pytest.param(b'"caf\xe9"', "caf�", id="not UTF-8"),
        pytest.param(b'"a\nb"', "a\nb", id="a raw control character"),
        pytest.param(b'{"a": NaN, "b": -Infinity}', {"a": None, "b": None}, id="NaN is unknown"),
        pytest.param(b"1e400", None, id="a number past all numbers is unknown"),
        pytest.param(b"123456789012345678901234567890", 123456789012345678901234567890, id="a long integer"),
        pytest.param(b"1" * 5000, "1" * 5000, id="an integer too long for Python stays text"),
        pytest.param(b"null", None, id="null is JSON"),
        pytest.param(b"", MALFORMED, id="nothing"),
        pytest.param(b'{"a": ', MALFORMED, id="cut"),
        pytest.param(b"<html>", MALFORMED, id="HTML"),
        pytest.param(b"{} {}", MALFORMED, id="more than one document"),
        pytest.param(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH), id="as deep as may be"),
        pytest.param(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), MALFORMED, id="one deeper"),
        pytest.param(b"[" * 900 + b"]" * 900, MALFORMED, id="too deep to encode"),
        pytest.param(b"[" * 100_000, MALFORMED, id="a bomb"),
        pytest.param(b'{"a":' * 100_000 + b"NaN" + b"}" * 100_000, MALFORMED, id="a whole bomb"),
    ],
)
def test_load(data, expected):
    """Bytes or text, one document or MALFORMED."""
    document = load(data)

    assert expected == document


def test_a_wide_document_is_not_a_deep_one():
    """Brackets are counted only to know when to look."""
    wide = [{"a": ["["] * 3}] * 1000

    assert wide == load(json.dumps(wide).encode())


def test_text_is_read_as_bytes_are():
    """Tool call arguments are JSON in a string."""
    assert {"a": 1} == load_argument('{"a": 1}')
    assert "{not json" == load_argument("{not json")
    assert '[[[["' + "[" * 1000 == load_argument('[[[["' + "[" * 1000)
    assert "\n".join(["{"] * 400) == load_argument("\n".join(["{"] * 400))


def test_malformed_says_its_name():
    """It stands in tests and tracebacks."""
    assert "MALFORMED" == repr(MALFORMED)


def test_text_from_elsewhere_is_made_encodable():
    """An exception may quote anything."""
    assert ("a", "ü?", None) == (encodable("a"), encodable("ü\ud800"), encodable(None))


@given(st.binary(max_size=200) | st.text(max_size=50).map(lambda t: json.dumps(t).encode()))
def test_whatever_comes_it_does_not_raise_and_what_it_gives_can_be_encoded(data):
    """The sink encodes every record it makes."""
    document = load(data)

    assert document is MALFORMED or isinstance(msgspec.json.encode(document), bytes)


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (integer, 3, 3),
        (integer, 3.0, 3),
        (integer, 3.5, None),
        (integer, True, None),
        (integer, "3", None),
        (integer, float("inf"), None),
        (number, 3, 3.0),
        (number, 0.5, 0.5),
        (number, True, None),
        (number, "1", None),
        (number, 10**400, None),
        (text, "a", "a"),
        (text, "", None),
        (text, 3, None),
        (mapping, {"a": 1}, {"a": 1}),
        (mapping, [1], {}),
        (items, [1], [1]),
        (items, {"a": 1}, []),
        (items, "ab", []),
    ],
)
def test_what_has_the_wrong_shape_is_nothing(read, value, expected):
    """The accessors have the type checks, so that the decoders have none."""
    assert expected == read(value)


@pytest.mark.parametrize("kind", [bytes, bytes.decode], ids=["bytes", "text"])
def test_a_long_document_is_not_a_deep_one_and_a_deep_one_may_be_long(kind):
    """In a long document brackets are looked for one by one, up to as many as may be nested."""
    long, deep = b'"' + b"x" * 10_000 + b'"', MAX_DEPTH + 1

    assert [["x" * 10_000, [], {}]] == load(kind(b"[[" + long + b",[],{}]]"))
    assert MALFORMED is load(kind(b"[" * deep + long + b"]" * deep))
    assert MALFORMED is load(kind(b'{"a":' * deep + long + b"}" * deep))
    assert [[]] * 300 == load(kind(b"[" + b",".join([b"[]"] * 300) + b"]" + b" " * 10_000))
