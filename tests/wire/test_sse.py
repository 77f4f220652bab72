"""Server-sent events, by the WHATWG's rules, on bytes."""

import time
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe.wire.sse import Sse, each, events, located


def fed(*pieces: bytes) -> list[bytes]:
    """Each piece a read, then the end."""
    stream = Sse()
    return [event for piece in pieces for event in stream.feed(piece)] + stream.close()


def byte_by_byte(data: bytes) -> list[bytes]:
    """One byte a read."""
    return fed(*(data[i : i + 1] for i in range(len(data))))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"data: a\n\ndata: b\n\n", [b"a", b"b"], id="a blank line ends an event"),
        pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"], id="lines end in CR LF"),
        pytest.param(b"data: a\r\rdata: b\r\r", [b"a", b"b"], id="lines end in CR"),
        pytest.param(b"data: a\n\r\ndata: b\r\n\ndata: c\r\n\rdata: d\n\r", [b"a", b"b", b"c", b"d"], id="line ends are mixed"),
        pytest.param(b"data:a\n\n", [b"a"], id="the space after the colon may be missing"),
        pytest.param(b"data:  a\n\n", [b" a"], id="only one space is taken away"),
        pytest.param(b"data: a\ndata: b\n\n", [b"a\nb"], id="several data lines are joined with a newline"),
        pytest.param(b"data\n\ndata:\n\n", [b"", b""], id="a data line may be empty"),
        pytest.param(b": hello\n\n:\n\ndata: a\n\n", [b"a"], id="comments are no events"),
        pytest.param(b": ping\ndata: a\n\n", [b"a"], id="a comment may stand inside an event"),
        pytest.param(b"event: ping\n\nid: 7\n\n", [], id="an event without data is none"),
        pytest.param(b"event: x\nid: 7\ndata: a\nretry: 9\n\n", [b"a"], id="other fields are passed over"),
        pytest.param(b"datax: a\n\n data: b\n\n", [], id="a field is the whole word before the colon"),
        pytest.param(b"data: a\n\n\n\n\ndata: b\n\n", [b"a", b"b"], id="further blank lines say nothing"),
        pytest.param(b"\n\ndata: a\n\n", [b"a"], id="blank lines may come first"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [b"a"], id="a BOM may come first"),
        pytest.param(b"\xef\xbb\xbfdata: a\r\n\r\n", [b"a"], id="a BOM before CR LF"),
        pytest.param(b"data: a\n\ndata: b", [b"a", b"b"], id="the last blank line may be missing"),
        pytest.param(b"data: a\n\ndata: b\n", [b"a", b"b"], id="the last event ends in one newline"),
        pytest.param("data: a\u2028b\u0085c\n\n".encode(), ["a\u2028b\u0085c".encode()], id="other Unicode line ends are text"),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\r", [], id="a lone CR"),
    ],
)
def test_the_rules(data, expected):
    """Whole, fed at once, or fed byte by byte, the events are those the standard names."""
    assert expected == events(data) == fed(data) == byte_by_byte(data)


def test_an_event_is_given_as_soon_as_it_is_complete():
    """Nothing waits for the next one."""
    stream = Sse()

    assert [] == stream.feed(b"data: a\n")
    assert [b"a"] == stream.feed(b"\n")
    assert [b"b"] == stream.feed(b"data: b\r\n\r")
    assert [] == stream.feed(b"\n")
    assert [] == stream.close()


def test_a_read_of_nothing_changes_nothing():
    """Also between the halves of a CR LF."""
    assert [b"a\nb"] == fed(b"data: a\r", b"", b"\ndata: b\r", b"", b"\n\r\n")


LINES = st.lists(
    st.sampled_from([b"data: x", b"data:", b"data: {}", b": c", b"event: e", b"", b"", b"\xef\xbb\xbf", "data: ü".encode()]), max_size=12
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=4), st.lists(st.integers(0, 200), max_size=9))
def test_however_the_bytes_arrive_the_events_are_the_same(lines, cuts):
    """Cut through characters and through line ends."""
    data = b"".join(line + end for some, end in lines for line in some)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]

    assert events(data) == fed(*(data[a:b] for a, b in pairwise(edges)))


def test_time_is_linear_in_the_bytes():
    """A huge line in small pieces: ten times the bytes take about ten times as long, not a hundred times."""

    def seconds(pieces: int) -> float:
        stream, start = Sse(), time.thread_time()  # of this thread's own work, whatever else the machine does
        for _ in range(pieces):
            stream.feed(b"data: 0123456789"[:7])
        assert 1 == len(stream.close())
        return time.thread_time() - start

    short, long = (min(seconds(pieces) for _ in range(5)) for pieces in (10_000, 100_000))

    assert long < 40 * short


lines = st.sampled_from([b"data: a", b"data: data: ", b"data: ", b"data", b"event: x", b"event:", b": c", b"id: 1", b"", b"", b""])


@given(
    st.lists(lines).map(b"\n".join)
    | st.lists(st.sampled_from([b"data: a\n\n", b"event: x\ndata: b\n\n", b"data: c\nevent:\n\n"])).map(b"".join)
)
def test_where_an_event_ends_is_where_a_read_byte_by_byte_completes_it(data):
    """Whether all events are alike or not; for one whose blank line is missing, behind the end."""
    stream, ends = Sse(), []
    for at in range(len(data)):
        ends += [at + 1] * len(stream.feed(data[at : at + 1]))
    found, sizes = located(data)

    assert byte_by_byte(data) == events(data) == found
    assert ends == [end for end in accumulate(sizes) if end <= len(data)]
    assert len(found) == len(sizes)


@given(
    st.lists(st.sampled_from([b"data: a\n\n", b"data: \n\n", b"data: ", b"\n\n", b"a", b"data: a\nb\n\n", b"data: a\n\ndata: b\n\n", b""]))
)
def test_each_piece_is_an_event_or_not_all_are(pieces):
    """Where each is one, and one line, they are told at once, and each is what it is by itself."""
    alone = [piece.startswith(b"data: ") and piece.endswith(b"\n\n") and piece.count(b"\n") == 2 for piece in pieces]

    assert ([fed(piece)[0] for piece in pieces] if alone and all(alone) else None) == each(pieces, b"".join(pieces))
