"""A segment's bytes: whatever happens to them, what is whole is read, what is not is counted, and nothing raises."""

from hypothesis import example, given
from hypothesis import strategies as st

from llm_observe._runtime import frames
from llm_observe._runtime.frames import MAGIC, OVERHEAD, START, cursor, frame, header, read, resume, version

LINES = st.lists(st.binary(max_size=60).map(lambda data: b'{"x":"' + data.hex().encode() + b'"}'), min_size=1, max_size=12)


def written(lines):
    """*lines* as frames."""
    return b"".join(frame(line, number) for number, line in enumerate(lines))


@given(LINES, st.data())
def test_however_the_bytes_are_cut_the_frames_are_the_same(lines, data):
    """A reader that gets a piece at a time, and asks for as much as it needs, finds what was written."""
    whole = written(lines)
    found, at, number, lost = [], 0, 0, 0
    size = data.draw(st.integers(1, 200))
    while at < len(whole):
        some = read(whole[at : at + size], number, len(whole) - at)
        assert some.used or some.more > size or not some.frames
        size = size if some.used else max(some.more, 2 * size)
        at, number, lost = at + some.used, some.number, lost + some.lost
        found += [one.line for one in some.frames]

    assert (lines, 0, len(lines)) == (found, lost, number)


@given(LINES, st.data())
def test_a_damaged_byte_costs_the_record_it_is_in(lines, data):
    """The others are read, before and after it, and one is counted."""
    whole = bytearray(written(lines))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    hit = next(n for n in range(len(lines)) if place < sum(len(line) + OVERHEAD for line in lines[: n + 1]))

    found = read(bytes(whole), 0, len(whole))

    assert [line for n, line in enumerate(lines) if n != hit] == [one.line for one in found.frames]
    assert (1, len(whole)) == (found.lost, found.used)


@given(LINES, st.data())
def test_a_page_of_zeros_costs_what_it_covers(lines, data):
    """What it has hit is counted exactly where a record follows, and as one at the end."""
    sound = written(lines)
    start = data.draw(st.integers(0, len(sound) - 1))
    stop = data.draw(st.integers(start + 1, len(sound)))
    whole = sound[:start] + bytes(stop - start) + sound[stop:]
    ends = [0, *(sum(len(line) + OVERHEAD for line in lines[: n + 1]) for n in range(len(lines)))]
    spared = [n for n in range(len(lines)) if whole[ends[n] : ends[n + 1]] == sound[ends[n] : ends[n + 1]]]
    last = max(spared, default=-1)

    found = read(whole, 0, len(whole))

    assert [lines[n] for n in spared] == [one.line for one in found.frames]
    assert last + 1 - len(spared) + (last + 1 < len(lines)) == found.lost


@given(LINES, st.data())
def test_a_torn_tail_costs_one(lines, data):
    """A process that was killed while it wrote leaves half a record behind."""
    whole = written(lines)
    torn = whole[: data.draw(st.integers(0, len(whole)))]
    ends = [sum(len(line) + OVERHEAD for line in lines[: n + 1]) for n in range(len(lines))]
    complete = [line for line, end in zip(lines, ends, strict=True) if end <= len(torn)]

    found = read(torn, 0, len(torn))

    assert complete == [one.line for one in found.frames]
    assert int(len(torn) not in {0, *ends}) == found.lost


@given(st.binary(max_size=400), st.integers(0, 2**32 - 1))
@example(b"\xf5\xffLR" * 30, 0)
@example(b"\xf5\xffLR" + b"\xff" * 40, 0)
def test_any_bytes_at_all_are_read_to_their_end(data, number):
    """Nothing raises, nothing loops, and what is no record is counted once."""
    found = read(data, number, len(data))

    assert ([], len(data), int(bool(data)), number) == (found.frames, found.used, found.lost, found.number)


def test_a_length_beyond_the_end_of_the_file_is_damage():
    """No reader waits for bytes that are not there: the next record is found behind it."""
    bad = bytearray(frame(b"{}", 0))
    bad[8:12] = (2**32 - 1).to_bytes(4, "little")
    whole = bytes(bad) + frame(b"[]", 1)

    found = read(whole, 0, len(whole))

    assert ([b"[]"], 1, 2) == ([one.line for one in found.frames], found.lost, found.number)


def test_a_frame_that_is_not_all_there_yet_is_asked_for():
    """By how many bytes it takes."""
    whole = frame(b"x" * 100, 7)

    assert ([], 0, 7, 0, len(whole)) == tuple(read(whole[:50], 7, len(whole)))
    assert ([], 0, 7, 0, OVERHEAD) == tuple(read(whole[:5], 7, len(whole)))


def test_numbers_tell_where_each_record_ends():
    """To move the cursor there."""
    lines = [b"a", b"bb", b"ccc"]

    found = read(written(lines), 0, 10**6)

    assert [(line, n, sum(len(x) + OVERHEAD for x in lines[: n + 1])) for n, line in enumerate(lines)] == [
        tuple(one) for one in found.frames
    ]


def test_a_new_segment_says_its_version_and_begins_at_its_beginning():
    """Before anything arrived."""
    assert (frames.VERSION, (START, 0), START) == (version(header()), resume(header()), len(header()))


@given(st.integers(START, 2**60), st.integers(0, 2**32 - 1))
def test_a_cursor_is_read_as_it_was_written(offset, number):
    """Wherever it stands."""
    head = header()[: frames.CURSOR_AT] + cursor(offset, number)

    assert (offset, number) == resume(head)


@given(st.integers(0, START * 8 - 1))
def test_a_damaged_header_has_everything_sent_again(bit):
    """A cursor that cannot be trusted stands at the beginning; a version that cannot be trusted is none."""
    head = bytearray(header()[: frames.CURSOR_AT] + cursor(5000, 9))
    head[bit // 8] ^= 1 << bit % 8
    first = bit < frames.CURSOR_AT * 8

    assert ((None, (5000, 9)) if first else (frames.VERSION, (START, 0))) == (version(bytes(head)), resume(bytes(head)))


@given(st.binary(max_size=START + 5))
def test_a_header_of_any_bytes_is_read(head):
    """And none of them is taken for ours."""
    assert (None, (START, 0)) == (version(head), resume(head))


def test_another_version_is_told():
    """It is not ours to read."""
    from zlib import crc32

    head = MAGIC + b"\x02"

    assert 2 == version(head + crc32(head).to_bytes(4, "little"))


@given(LINES, st.integers(1, 60), st.integers(1, 200))
def test_behind_damage_too_however_the_bytes_are_cut(lines, damage, size):
    """The mark of the next frame may be cut in two, and may begin with the very next byte."""
    whole = b"\0" * damage + written(lines)
    found, at, number, lost = [], 0, 0, 0
    while at < len(whole):
        some = read(whole[at : at + size], number, len(whole) - at)
        size = size if some.used else max(some.more, 2 * size)
        at, number, lost = at + some.used, some.number, lost + some.lost
        found += [one.line for one in some.frames]

    assert (lines, 0, len(lines)) == (found, lost, number)


def test_of_damage_all_is_done_with_but_for_what_may_begin_a_mark():
    """Three bytes: one less than a mark has."""
    assert (97, 3) == (read(b"x" * 100, 0, 1000).used, 100 - read(b"x" * 100, 0, 1000).used)


def test_a_second_frame_that_is_not_all_there_yet_is_asked_for_from_its_beginning():
    """What was read already is done with."""
    first, second = frame(b"{}", 0), frame(b'{"x":1}', 1)
    some = read(first + second[:-1], 0, len(first) + len(second))

    assert ([0], len(first), len(second)) == ([one.number for one in some.frames], some.used, some.more)


def test_a_record_of_no_bytes_is_a_record():
    """Though nobody writes one."""
    assert [b""] == [one.line for one in read(frame(b"", 0), 0, OVERHEAD).frames]


def test_numbers_go_up_to_four_thousand_millions():
    """They have 32 bits."""
    last = 2**32 - 1

    assert [last] == [one.number for one in read(frame(b"{}", last), last, 100).frames]
