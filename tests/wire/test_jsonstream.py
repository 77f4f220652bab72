"""Streams of JSON documents: one a line, or the elements of one array, on bytes."""

import json
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe.wire.jsonstream import Elements, Lines

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.sampled_from(['"', "\\", "[{", "},]", '\\"']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)
CUTS = st.lists(st.floats(0, 1), max_size=20)
INDENT = st.sampled_from([None, 0, 2])


def fed(framing: Elements | Lines, *pieces: bytes) -> list[bytes]:
    """Each piece a read, then the end."""
    return [document for piece in pieces for document in framing.feed(piece)] + framing.close()


def byte_by_byte(framing: Elements | Lines, data: bytes) -> list[bytes]:
    """One byte a read."""
    return fed(framing, *(data[i : i + 1] for i in range(len(data))))


def pieces(data: bytes, cuts: list[float]) -> list[bytes]:
    """*data* cut at these parts of its length."""
    edges = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


# The elements of an array


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b'[{"a": 1},{"b": 2}]', [b'{"a": 1}', b'{"b": 2}'], id="objects"),
        pytest.param(b'[{"a": 1}\n,\r\n{"b": 2}\n]\n', [b'{"a": 1}', b'{"b": 2}'], id="the comma stands where Google puts it"),
        pytest.param(b" \n[ {} ] ", [b"{}"], id="space around"),
        pytest.param(b"[]", [], id="an empty array"),
        pytest.param(b"[ ]", [], id="an empty array with space"),
        pytest.param(b'[{"a": "]}"}]', [b'{"a": "]}"}'], id="brackets in a string"),
        pytest.param(b'[{"a": "\\"]}"}]', [b'{"a": "\\"]}"}'], id="an escaped quote in a string"),
        pytest.param(b'[{"a": "\\\\"},{"b": "\\\\\\""}]', [b'{"a": "\\\\"}', b'{"b": "\\\\\\""}'], id="escaped backslashes before a quote"),
        pytest.param(b'[{"a,b": ","}]', [b'{"a,b": ","}'], id="commas in strings"),
        pytest.param(b"[[1,[2,3]],[[]]]", [b"[1,[2,3]]", b"[[]]"], id="arrays in the array"),
        pytest.param(b'[1, "two" ,null,-4.5e6]', [b"1", b'"two"', b"null", b"-4.5e6"], id="elements without brackets"),
        pytest.param(b'["a]", "[", "\\"" ]', [b'"a]"', b'"["', b'"\\""'], id="strings by themselves"),
        pytest.param('[{"a": "世界\u2028"}]'.encode(), ['{"a": "世界\u2028"}'.encode()], id="any text"),
        pytest.param(b"[{},]", [b"{}"], id="a comma too many"),
        pytest.param(b"[,{}]", [b"{}"], id="a comma too early"),
        pytest.param(b"[1][2]", [b"1"], id="another array is not looked at"),
        pytest.param(b'[1] {"error": 1}', [b"1"], id="what follows the array is not looked at"),
        pytest.param(b"1, 2] [3]", [b"3"], id="what comes before the array is not looked at"),
        pytest.param(b"]]}", [], id="only ends"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_the_elements_of_an_array(data, expected):
    """Whole, or byte by byte, they are the same."""
    assert expected == fed(Elements(), data) == byte_by_byte(Elements(), data)


@pytest.mark.parametrize("data", [b"[1", b'[{"a": 1', b'[{"a": [1]', b'["a', b'["a\\', b"[", b'[{"a": 1}}}', b'[{"a": "]}'])
def test_an_element_without_its_end_is_none(data):
    """Wherever the array breaks off; what was complete before has been given."""
    assert [] == fed(Elements(), data)[1:]
    assert fed(Elements(), data) == byte_by_byte(Elements(), data)


def test_an_element_is_given_as_soon_as_it_is_complete():
    """Nothing waits for the comma, nor for the end of the array."""
    elements = Elements()

    assert [] == elements.feed(b'[{"a": 1')
    assert [b'{"a": 1}'] == elements.feed(b"}")
    assert [] == elements.feed(b",")
    assert [b'{"b": 2}'] == elements.feed(b'{"b": 2}')
    assert [] == elements.feed(b"]")
    assert [] == elements.close()


def test_a_read_of_nothing_changes_nothing():
    """Also behind a backslash."""
    assert [b'"\\""'] == fed(Elements(), b'["\\', b"", b'"', b"", b'"]', b"")


@given(st.lists(JSON, max_size=6), INDENT, CUTS)
def test_however_an_array_arrives_its_elements_are_the_same(documents, indent, cuts):
    """Cut through strings, escapes and characters; printed on one line or on many."""
    data = json.dumps(documents, indent=indent, ensure_ascii=False).encode("utf-8", "replace")
    whole = fed(Elements(), data)

    assert whole == fed(Elements(), *pieces(data, cuts))
    assert json.loads(data) == [json.loads(element) for element in whole]


@given(st.lists(JSON, min_size=1, max_size=5), INDENT)
def test_a_beginning_of_an_array_gives_a_beginning_of_its_elements(documents, indent):
    """Wherever it is cut off."""
    data = json.dumps(documents, indent=indent).encode()
    whole = fed(Elements(), data)
    for cut in range(len(data)):
        begun = fed(Elements(), data[:cut])
        assert whole[: len(begun)] == begun


@given(st.binary(max_size=200) | st.text('[]{},"\\ a', max_size=60).map(str.encode), CUTS)
def test_no_bytes_raise_and_no_cut_matters(data, cuts):
    """Also where they are no JSON."""
    assert fed(Elements(), data) == fed(Elements(), *pieces(data, cuts))
    assert fed(Lines(), data) == fed(Lines(), *pieces(data, cuts))


# One document a line


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b'{"a": 1}\n{"b": 2}\n', [b'{"a": 1}', b'{"b": 2}'], id="each line a document"),
        pytest.param(b'{"a": 1}\r\n{"b": 2}\r\n', [b'{"a": 1}', b'{"b": 2}'], id="lines end in CR LF"),
        pytest.param(b'\n\n{"a": 1}\n \n', [b'{"a": 1}'], id="empty lines say nothing"),
        pytest.param(b'{"a": 1}\n{"b": 2}', [b'{"a": 1}', b'{"b": 2}'], id="the last line may have no end"),
        pytest.param('{"a": "\u2028\u0085"}\n'.encode(), ['{"a": "\u2028\u0085"}'.encode()], id="other line ends are text"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_the_lines(data, expected):
    """Whole, or byte by byte, they are the same."""
    assert expected == fed(Lines(), data) == byte_by_byte(Lines(), data)


def test_a_line_is_given_as_soon_as_it_is_complete():
    """Nothing waits for the next one."""
    lines = Lines()

    assert [] == lines.feed(b'{"a": 1}')
    assert [b'{"a": 1}'] == lines.feed(b'\n{"b"')
    assert [b'{"b": 2}'] == lines.feed(b": 2}\n")
    assert [] == lines.close()


@given(st.lists(JSON, max_size=6), CUTS)
def test_however_lines_arrive_they_are_the_same(documents, cuts):
    """Cut through line ends and characters."""
    data = "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents).encode("utf-8", "replace")
    whole = fed(Lines(), data)

    assert whole == fed(Lines(), *pieces(data, cuts))
    assert len(documents) == len(whole)


# The cost


@pytest.mark.parametrize(
    ("framing", "begin", "piece"),
    [
        pytest.param(Elements, b'[{"a": "', b"0123456789", id="one long string"),
        pytest.param(Elements, b'["', b"\\\\n", id="escapes"),
        pytest.param(Elements, b"[", b'{"a": [', id="ever deeper"),
        pytest.param(Elements, b"[", b'{"a": [1]},', id="many elements"),
        pytest.param(Lines, b"", b"0123456789", id="one long line"),
        pytest.param(Lines, b"", b"{}\n", id="many lines"),
    ],
)
def test_time_is_linear_in_the_bytes(framing, begin, piece):
    """Ten times the bytes in small reads take about ten times as long, not a hundred times."""

    def seconds(reads: int) -> float:
        stream, start = framing(), time.thread_time()  # of this thread's own work, whatever else the machine does
        stream.feed(begin)
        for _ in range(reads):
            stream.feed(piece)
        stream.close()
        return time.thread_time() - start

    short, long = (min(seconds(reads) for _ in range(5)) for reads in (5_000, 50_000))

    assert long < 40 * short


@pytest.mark.parametrize("begin", [b"[", b'["'])
def test_time_is_linear_in_one_read_too(begin):
    """Nothing is searched again and again where all comes at once."""

    def seconds(size: int) -> float:
        data, start = begin + b'{"a\\"": [1]},' * size, time.thread_time()
        Elements().feed(data)
        return time.thread_time() - start

    short, long = (min(seconds(size) for _ in range(5)) for size in (5_000, 50_000))

    assert long < 40 * short
