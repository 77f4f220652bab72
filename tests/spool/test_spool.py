"""A spool: what was kept comes back once, whoever is alive to fetch it, and no damage stops it."""

import errno
import fcntl
import os
import stat
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_observe._runtime import frames
from llm_observe._runtime import spool as spools
from llm_observe.errors import SettingsError
from llm_observe.settings import Settings

MANY = range(200)


# --- kept, and left ----------------------------------------------------------------------------------------------------


def test_what_is_on_disk_only_comes_back_in_order(spool, make):
    """Over many segments, and none of it is left there."""
    one = spool(limit=2**17)
    make.kept(one, *MANY, size=200)

    assert (list(MANY), 0, 0) == (make.drained(one).names, one.behind, make.drained(one).lost)


def test_what_has_arrived_is_gone_from_disk(spool, make, files):
    """Segments that are done with are deleted, the last one when the spool is let go of."""
    one = spool(limit=2**17)
    make.kept(one, *MANY, size=200)
    many = len(files())
    make.drained(one)
    few = len(files())
    one.release()

    assert (True, 1, []) == (many > 3, few, files())


def test_its_size_is_that_of_its_files(spool, make, files):
    """Of what it took over too."""
    left = spool()
    make.kept(left, *range(50), size=200)
    own, on_disk = left.size, [path.stat().st_size for path in files()]
    left.release()
    heir = spool()
    heir.load(orphans=True)

    assert (on_disk, on_disk, True) == ([own], [heir.size], own > 10_000)


def test_a_record_leaves_when_it_has_arrived_and_not_before(spool, make):
    """What was in memory of a process that died is the next one's, but for what had arrived."""
    one = spool()
    kept = make.kept(one, *range(10), in_memory=True)
    one.settle(kept[:4])
    one.release()

    assert [4, 5, 6, 7, 8, 9] == make.drained(spool()).names


def test_what_is_taken_over_is_taken_once(spool, make):
    """While somebody has a segment open, nobody else gets it; when it is done with, there is nothing left of it."""
    first = spool()
    make.kept(first, *range(5))
    while_alive = make.drained(spool()).names
    first.release()
    second, third = spool(), spool()
    loaded = second.load(orphans=True)
    meanwhile = make.drained(third).names
    second.settle(loaded.parcels)

    assert ([], [], True, 5) == (while_alive, meanwhile, loaded.adopted, len(loaded.parcels))
    assert [] == make.drained(spool()).names


def test_what_a_process_that_took_over_did_not_finish_is_taken_over_again(spool, make):
    """From where it had come to."""
    first = spool()
    make.kept(first, *range(6))
    first.release()
    second = spool()
    second.settle(second.load(orphans=True).parcels[:2])
    second.release()

    assert [2, 3, 4, 5] == make.drained(spool()).names


def test_orphans_wait_until_they_are_wanted(spool, make):
    """Who is in a hurry brings out his own."""
    first = spool()
    make.kept(first, 1)
    first.release()
    second = spool()

    assert (None, True) == (second.load(orphans=False), second.orphans())


def test_nobody_looks_for_orphans_all_the_time(spool, make):
    """Where there were none, the next look is ten seconds later."""
    instant = [0.0]
    watcher = spool(now=lambda: instant[0])
    nothing = watcher.load(orphans=True)
    first = spool()
    make.kept(first, 1)
    first.release()
    soon = watcher.load(orphans=True)
    instant[0] = spools.LOOK

    assert (None, None) == (nothing, soon)
    assert ["1"] == [one.record.id for one in watcher.load(orphans=True).parcels]


def test_each_exporter_has_a_directory_of_its_own(spool, make):
    """What one has not delivered is not delivered to another; whatever it is called, it stays below the root."""
    one = spool(name="../a/b")
    make.kept(one, 1)
    one.release()

    assert "_a_b" == one.directory.name
    assert [] == make.drained(spool(name="other")).names
    assert [1] == make.drained(spool(name="../a/b")).names


def test_only_the_owner_can_read_it(spool, make, files, tmp_path):
    """Prompts are in it: files 0600 in directories 0700, and git is kept from them."""
    make.kept(spool(), 1)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in [files()[0], files()[0].parent, tmp_path / "spool"]]

    assert [0o600, 0o700, 0o700] == modes
    assert "*\n" == (tmp_path / "spool" / ".gitignore").read_text()


def test_a_record_as_large_as_it_likes(spool, make):
    """Larger than what is read at once, than what is written at once, and than a segment."""
    one = spool(limit=2**24)
    make.kept(one, 1, 2, 3, size=2**21)

    assert [1, 2, 3] == make.drained(one).names


# --- bounds ------------------------------------------------------------------------------------------------------------


def test_more_than_the_limit_is_not_kept(spool, make, files):
    """All processes and exporters together; what has arrived makes room again."""
    instant = [0.0]
    one, other = (spool(limit=2**16, name=name, now=lambda: instant[0]) for name in "ab")
    make.kept(other, *range(20), size=1000)
    kept = make.kept(one, *range(100), size=1000)
    for n in range(100, 200):
        kept += make.kept(one, n, size=1000)
    total, trouble = sum(path.stat().st_size for path in files()), one.trouble
    make.drained(other)
    other.release()
    instant[0] = 1.0

    assert (True, "spool_full") == (2**15 < total <= 2**16, trouble)
    assert 0 < len(kept) < 100
    assert 1 == len(make.kept(one, 500, size=1000))


def test_a_full_spool_is_not_counted_again_for_each_record(spool, make, monkeypatch):
    """A look at all the files costs something: once a second is enough."""
    looks = []
    monkeypatch.setattr(spools, "_sizes", lambda root: looks.append(root) or [2**30])
    one = spool(now=lambda: 0.0)
    for n in range(50):
        make.kept(one, n)

    assert 1 == len(looks)


# --- faults of the disk ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [0, 1, 40])
def test_a_disk_that_is_full_leaves_no_torn_record(spool, make, monkeypatch, written):
    """What was written of it is cut off again; as soon as there is room, records are kept as before."""
    one = spool()
    make.kept(one, 1)
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:written], at))
    lost = one.keep([make.parcel(2)])
    monkeypatch.undo()
    make.kept(one, 3)

    assert (False, "spool_io") == (lost[0].kept, one.trouble)
    assert ([1, 3], 0) == (make.drained(one).names, make.drained(one).lost)


def test_an_error_of_the_disk_is_said_once_a_minute(spool, make, monkeypatch, caplog):
    """And stops nothing."""
    one = spool()
    monkeypatch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    for n in range(20):
        make.kept(one, n)

    assert 1 == len(caplog.records)
    assert "Input/output error; records wait in memory meanwhile" in caplog.text


def test_where_a_torn_record_cannot_be_cut_off_a_new_segment_is_begun(spool, make, monkeypatch, files):
    """Nothing is written behind it."""
    one = spool()
    make.kept(one, 1)
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:20], at))
    monkeypatch.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "no")))
    make.kept(one, 2)
    monkeypatch.undo()
    make.kept(one, 3)
    one.release()
    found = make.drained(spool())

    assert ([1, 3], 1) == (found.names, found.lost)


def test_what_is_deleted_under_us_is_begun_anew(spool, make, files):
    """What was in it is lost to a process that dies; what comes is not."""
    one = spool()
    make.kept(one, 1)
    files()[0].unlink()
    make.kept(one, 2)

    assert 1 == len(files())
    assert [1, 2] == make.drained(one).names


def test_what_cannot_be_read_is_counted(spool, make, monkeypatch):
    """Every record of it, and under what it is."""
    one = spool()
    make.kept(one, *range(5))
    monkeypatch.setattr(os, "pread", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "no")))
    loaded = one.load(orphans=False)

    assert ([], 5, "spool_io", False) == tuple(loaded)
    assert (0, None) == (one.behind, one.load(orphans=False))


def test_what_cannot_be_read_behind_what_could_is_counted_and_no_more(spool, make, monkeypatch):
    """Neither what memory had of the segment before nor what is written to it later."""
    one = spool()
    make.kept(one, *range(3), in_memory=True)
    make.kept(one, *range(3, 8))
    monkeypatch.setattr(os, "pread", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "no")))
    loaded = one.load(orphans=False)
    monkeypatch.undo()
    make.kept(one, 8, 9)

    assert ([], 5, "spool_io", False) == tuple(loaded)
    assert ([8, 9], 0) == (make.drained(one).names, make.drained(one).lost)


def test_a_cursor_that_cannot_be_written_has_records_sent_again(spool, make, monkeypatch):
    """Twice is better than not at all."""
    one = spool()
    kept = make.kept(one, *range(3), in_memory=True)
    monkeypatch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "no")))
    one.settle(kept[:2])
    monkeypatch.undo()
    one.release()

    assert [0, 1, 2] == make.drained(spool()).names


def test_damage_under_our_own_hands_is_counted_exactly(spool, make, files):
    """We know how many we wrote, also where the end is gone."""
    one = spool()
    kept = make.kept(one, *range(10))
    with files()[0].open("r+b") as file:
        file.truncate(kept[6].end - 1)
    loaded = one.load(orphans=False)

    assert (list(range(6)), 4, "spool_corrupt", 0) == ([int(p.record.id) for p in loaded.parcels], loaded.lost, loaded.reason, one.behind)


# --- what others left --------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.floats(0, 1, exclude_max=True), max_size=4),
    bits=st.integers(1, 255),
    cut=st.one_of(st.none(), st.floats(0, 1)),
    zeros=st.one_of(st.none(), st.tuples(st.floats(0, 1), st.integers(1, 4096))),
    more=st.binary(max_size=50),
)
def test_whatever_became_of_a_segment_the_rest_is_read(spool, make, files, places, bits, cut, zeros, more):
    """Bit flips, a page of zeros, a cut, a tail of something else: what is whole arrives once, in order, and nothing raises.

    That something is missing is counted wherever it shows: not where a file ends early, between two records.
    """
    one = spool()
    kept = make.kept(one, *range(30), size=50)
    one.release()
    path = files()[-1]
    sound = path.read_bytes()
    data = bytearray(sound)
    for place in places:
        data[int(place * len(data))] ^= bits
    if zeros:
        start = int(zeros[0] * len(data))
        data[start : start + zeros[1]] = bytes(len(data[start : start + zeros[1]]))
    if cut is not None:
        del data[int(cut * len(data)) :]
    data += more
    path.write_bytes(data)
    starts = [frames.START, *(one.end for one in kept)]
    whole = [n for n in range(30) if data[starts[n] : starts[n + 1]] == sound[starts[n] : starts[n + 1]]]
    last = max(whole, default=-1)
    shows = (frames.version(bytes(data[: frames.START])) is None and len(data) > 0) or len(whole) <= last or len(data) > starts[last + 1]

    found = make.drained(spool())
    leftover = files()

    assert whole == found.names
    assert shows == bool(found.lost)
    assert [] == leftover


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"nothing of ours", os.urandom(5000)], ids=["empty", "zeros", "text", "noise"])
def test_what_is_no_segment_at_all_is_swept_away(spool, make, files, content):
    """It holds no record; that there was something is counted."""
    one = spool()
    make.kept(one, 1)
    one.release()
    (one.directory / f"{0:020d}-1-1.spool").write_bytes(content)
    found = make.drained(spool())

    assert ([1], int(bool(content))) == (found.names, min(found.lost, 1))
    assert [] == files()


def test_another_versions_segments_are_left_alone(spool, make, files, monkeypatch):
    """They are counted once, and stay for whoever can read them."""
    one = spool()
    monkeypatch.setattr(frames, "VERSION", 2)
    make.kept(one, 1)
    one.release()
    monkeypatch.undo()
    other = spool()
    found, again = make.drained(other), make.drained(other)

    assert ([], 1, 0, 1) == (found.names, found.lost, again.lost, len(files()))


def test_a_record_that_no_longer_means_anything_is_counted(spool, make, files):
    """Whole by its checksum, and yet no record of this version."""
    one = spool()
    make.kept(one, 1, 2)
    one._own[-1].append([b'{"kind":"tomorrow"}', b"no JSON"])
    one.release()
    found = make.drained(spool())

    assert ([1, 2], 2, []) == (found.names, found.lost, files())


@pytest.mark.parametrize("kind", ["symlink", "directory", "fifo", "foreign"])
def test_what_is_not_to_be_touched_is_not(spool, make, tmp_path, kind, root, caplog):
    """A link, a directory, a pipe, another user's file: each is counted once, and left as it is."""
    one = spool()
    make.kept(one, 1)
    one.release()
    path, secret = one.directory / f"{0:020d}-1-1.spool", tmp_path / "secret"
    secret.write_bytes(b"mine")
    match kind:
        case "symlink":
            path.symlink_to(secret)
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "foreign":
            if not root:
                pytest.skip("it takes root to make another user's file")
            path.write_bytes(b"")
            os.chown(path, 12345, 12345)
    found = make.drained(spool())

    assert ([1], 1, b"mine", True) == (found.names, found.lost, secret.read_bytes(), os.path.lexists(path))
    assert f"{path.name}: " in caplog.text


def test_a_time_that_has_not_come_yet_means_nothing(spool, make, files):
    """Clocks are set back."""
    one = spool(wall=lambda: 9 * 10**18)
    make.kept(one, 1)
    one.release()
    os.utime(files()[0], (4e9, 4e9))

    assert [1] == make.drained(spool()).names


def test_what_is_deleted_while_we_reach_for_it_is_gone(spool, make, files, monkeypatch):
    """Another process was quicker: it has delivered it, and nothing of it is left to count."""
    one = spool()
    make.kept(one, 1)
    one.release()
    lock = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", lambda fd, how: (files() and files()[0].unlink(), lock(fd, how))[1])
    before = len(os.listdir("/proc/self/fd"))
    found = make.drained(spool())

    assert ([], 0, before) == (found.names, found.lost, len(os.listdir("/proc/self/fd")))


def test_a_name_that_is_taken_is_not_written_to(spool, make, files):
    """Another machine on the same directory may have a process of our number, at the same instant."""
    one = spool()
    make.kept(one, 1)
    one.release()
    taken = files()[0].read_bytes()
    number = int(files()[0].stem.rpartition("-")[2])
    files()[0].rename(one.directory / f"{5:020d}-{os.getpid()}-{number + 1}.spool")
    two = spool(wall=lambda: 5)
    make.kept(two, 2)

    assert (2, taken) == (len(files()), files()[0].read_bytes())


def test_too_many_open_files_today_is_no_reason_to_lose_it_tomorrow(spool, make, monkeypatch):
    """The next look finds it."""
    instant = [0.0]
    one, two = spool(), spool(now=lambda: instant[0])
    make.kept(one, 1)
    one.release()
    monkeypatch.setattr(make.segment, "orphaned", lambda *_: (_ for _ in ()).throw(OSError(errno.EMFILE, "too many")))
    first = two.load(orphans=True)
    monkeypatch.undo()
    instant[0] = spools.LOOK

    assert (None, [1]) == (first, make.drained(two).names)


# --- where it is -------------------------------------------------------------------------------------------------------


def test_the_spool_of_the_records_own_directory_is_inside_it(tmp_path):
    """`spool=True`."""
    root, within = spools.place(Settings(spool=True, directory=str(tmp_path / "x")))

    assert (tmp_path / "x" / "spool", [tmp_path / "x"]) == (root, within)


def test_a_directory_of_ones_own(tmp_path):
    """`spool="/var/spool/app"`."""
    assert (tmp_path, []) == spools.place(Settings(spool=str(tmp_path)))


def test_a_place_that_is_not_to_be_trusted_is_refused_at_the_start(tmp_path):
    """A symbolic link may be turned elsewhere by somebody else."""
    (tmp_path / "link").symlink_to(tmp_path)

    with pytest.raises(SettingsError, match=r"spool='.*link': .* symbolic link"):
        spools.place(Settings(spool=str(tmp_path / "link")))


def test_a_link_that_is_put_there_later_is_not_followed(spool, make, tmp_path):
    """Nothing is written to where it points; records wait in memory."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "spool" / "told").symlink_to(tmp_path / "elsewhere")
    one = spool()

    assert ([], "spool_io", []) == (make.kept(one, 1), one.trouble, list((tmp_path / "elsewhere").iterdir()))


def test_what_is_given_up_is_numbered_all_the_same(spool, make):
    """What comes after it has the number it would have had."""
    one = spool()
    make.kept(one, *range(5))
    (segment,) = one._own
    lost = segment.skip()
    make.kept(one, 5)

    assert (5, 5, [5]) == (lost, segment.number, make.drained(one).names)


def test_to_close_a_segment_again_is_no_error(spool, make, files):
    """Nor to close one whose descriptor somebody else has closed."""
    one = spool()
    make.kept(one, *range(5))
    (segment,) = one._own
    os.close(segment.fd)
    segment.close()

    assert 1 == len(files())


def test_what_cannot_be_read_is_said(spool, make, monkeypatch, caplog):
    """Which file it was, and why."""
    one = spool()
    make.kept(one, *range(5))
    monkeypatch.setattr(os, "pread", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    lost = one.load(orphans=False).lost

    assert (5, [f"spool {one._own[-1].path}: OSError: [Errno 5] Input/output error"]) == (lost, caplog.messages)


# --- to the byte -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "directory"), [("told", "told"), ("HTTP Sink/2", "HTTP_Sink_2"), ("..X.", "X"), ("...", "exporter"), ("ä", "_")]
)
def test_an_exporters_directory_is_called_like_it(spool, name, directory):
    """In letters that every file system has, and never like a way up."""
    one = spool(name=name)

    assert (directory, "spool", "spool_io") == (one.directory.name, one.directory.parent.name, one.trouble)


@pytest.mark.parametrize(("limit", "largest"), [(1600, 100), (1, 1), (2**40, spools.LARGEST)])
def test_a_segment_has_a_sixteenth_of_the_room(spool, limit, largest):
    """And 16 MiB at most."""
    assert largest == spool(limit=limit)._largest


def test_what_is_written_at_once_fills_a_slice_and_no_more(make):
    """To the byte; a record that is larger goes alone, and the sizes begin anew with each slice."""
    parcels = [make.parcel(n, size) for n, size in enumerate((10, 10, 10, 400, 10, 10))]
    weight = len(parcels[0].line) + frames.OVERHEAD

    assert [[0, 1], [2], [3], [4, 5]] == [[int(one.record.id) for one in some] for some in spools._slices(parcels, 2 * weight)]
    assert [6, 1] == [len(list(spools._slices(parcels, most))) for most in (2 * weight - 1, 10**6)]
    assert [] == list(spools._slices([], 10))


def test_all_files_together_stay_below_the_limit(spool, make, files):
    """Headers and frames included; there is no room left that another record would fit in."""
    one = spool(limit=8000)
    while make.kept(one, 1, size=50):
        pass
    record = len(make.parcel(1, 50).line) + frames.OVERHEAD

    assert 8000 - record - frames.START < sum(path.stat().st_size for path in files()) <= 8000


def test_a_full_spool_says_how_much_it_may_hold(spool, make, caplog):
    """Once a minute."""
    one = spool(limit=8000)
    while make.kept(one, 1, size=50):
        pass
    make.kept(one, 1)

    assert [f"spool {one.directory}: 8000 bytes are in use; records wait in memory meanwhile"] == caplog.messages


def test_what_was_kept_before_an_error_is_kept(spool, make, monkeypatch):
    """Of several slices the first may be on disk; all are returned in their order."""
    one = spool(limit=2**20)
    append = one._append
    monkeypatch.setattr(one, "_append", lambda some: append(some) if some[0].record.id == "0" else (_ for _ in ()).throw(OSError("no")))
    some = one.keep([make.parcel(n, 40_000) for n in range(3)])

    assert [(0, True), (1, False), (2, False)] == [(int(parcel.record.id), parcel.kept) for parcel in some]


def test_where_a_file_may_grow_no_further_another_is_begun(spool, make, monkeypatch, files):
    """With numbers of its own, so that what is settled there is not sent again."""
    one = spool()
    make.kept(one, 0, in_memory=True)
    segment = make.segment
    append = segment.append
    full = one._own[-1]
    monkeypatch.setattr(
        segment, "append", lambda self, lines: append(self, lines) if self is not full else (_ for _ in ()).throw(OSError())
    )
    kept = make.kept(one, 1, 2, 3, in_memory=True)
    two = len(files())
    one.settle(kept[:1])
    one.release()
    found = make.drained(spool())

    assert (2, [0, 1, 2], [0, 2, 3], 0) == (two, [parcel.number for parcel in kept], found.names, found.lost)


def test_a_segment_that_cannot_be_begun_is_not_left_behind(spool, make, monkeypatch, files):
    """Its header did not fit on the disk."""
    one = spool()
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:3], at))
    kept = make.kept(one, 1)

    assert ([], []) == (kept, files())


def test_a_segment_stays_until_all_that_was_read_of_it_has_arrived(spool, make, files):
    """In two hands: the first one's arrival is not the second's."""
    one = spool(limit=2**24)
    make.kept(one, *range(4), size=40_000)
    first, second = one.load(orphans=False), one.load(orphans=False)
    (segment,) = one._own
    out = segment.out
    one.settle(first.parcels)

    assert (len(first.parcels) + len(second.parcels), len(second.parcels)) == (out, segment.out)
    assert (True, 1) == (len(second.parcels) > 0, len(files()))


def test_one_that_cannot_be_opened_now_keeps_no_other_waiting(spool, make, monkeypatch):
    """Too many files are open, say: the next look may fare better."""
    for number in (1, 2):
        left = spool()
        make.kept(left, number)
        left.release()
    heir = spool()
    segment = make.segment
    orphaned, seen = segment.orphaned, []

    def once(*arguments):
        seen.append(arguments)
        if len(seen) == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return orphaned(*arguments)

    monkeypatch.setattr(segment, "orphaned", once)

    assert (True, ["2"]) == (heir.orphans(), [parcel.record.id for parcel in heir.load(orphans=True).parcels])


LEFT = {
    "another version's": (frames.MAGIC + b"\x63" + crc32(frames.MAGIC + b"\x63").to_bytes(4, "little") + b"x" * 100, (1, "spool_corrupt")),
    "a damaged header": (b"x" * 100, (1, "spool_corrupt")),
    "nothing in it": (frames.header(), (0, "")),
}


@pytest.mark.parametrize(("data", "expected"), LEFT.values(), ids=LEFT)
def test_what_is_taken_over_is_counted_as_others_and_with_its_reason(spool, data, expected):
    """Nobody knows how many records it had: it counts as one."""
    one = spool()
    one.directory.mkdir(parents=True)
    (one.directory / "00000000000000000001-1-1.spool").write_bytes(data)

    assert ([], *expected, True) == one.load(orphans=True)
