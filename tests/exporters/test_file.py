"""The file exporter while the machine behaves: names, rights, rotation, the total, several processes."""

import fcntl
import json
import os
import re
import stat

import pytest

from llm_observe.errors import SettingsError
from llm_observe.exporters._files import read_records, record_files
from llm_observe.exporters.file import FileExporter

# A process that appends batches of records with its own ids, then says how many.
WRITER = """
import sys, anyio, json
from llm_observe.exporters.file import FileExporter
from llm_observe.protocols import Batch
directory, name, batches, max_bytes, total_bytes = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
exporter = FileExporter(directory, max_bytes=max_bytes, total_bytes=total_bytes)
async def main():
    for n in range(batches):
        lines = [json.dumps({"id": f"{name}-{n}-{m}", "pad": "x" * (n * 37 % 3000)}).encode() for m in range(5)]
        await exporter.export(Batch(f"{name}-{n}", lines, lines))
anyio.run(main)
print("done", flush=True)
sys.stdin.read()
"""


def sized(directory) -> list[int]:
    """The size of each file in *directory*."""
    return [path.stat().st_size for path in record_files(directory)]


def ids(directory) -> list[str]:
    """The records in *directory*."""
    return [json.loads(line)["id"] for path in record_files(directory) for line in path.read_text().splitlines()]


def test_what_was_exported_can_be_read_back(make, send, tmp_path):
    """Records come back equal, in order."""
    records = [make.call(), make.step(), make.request()]

    send(FileExporter(tmp_path / "r"), make.batch(*records[:2]), make.batch(records[2]))

    assert records == list(read_records(tmp_path / "r"))


def test_nothing_is_made_before_the_first_record(make, send, tmp_path):
    """An exporter that never exports, or exports nothing, leaves no trace."""
    exporter = FileExporter(tmp_path / "r")
    send(exporter, make.batch())

    assert (None, False) == (exporter.path, (tmp_path / "r").exists())


def test_only_their_owner_may_read_records(make, send, tmp_path):
    """The directory is 0700, files are 0600, whatever the umask."""
    before = os.umask(0)
    try:
        exporter = FileExporter(tmp_path / "a" / "r")
        send(exporter, make.batch(make.call()))
    finally:
        os.umask(before)

    assert (0o700, 0o600) == (stat.S_IMODE(exporter.directory.stat().st_mode), stat.S_IMODE(exporter.path.stat().st_mode))


def test_git_is_told_to_ignore_the_directory(make, send, tmp_path):
    """Prompts are not committed by accident."""
    send(FileExporter(tmp_path / "r"), make.batch(make.call()))

    assert "*\n" == (tmp_path / "r" / ".gitignore").read_text()


def test_a_directory_that_was_there_is_left_as_it_is(make, send, tmp_path):
    """No ignore file in somebody's project, no change of rights."""
    tmp_path.chmod(0o755)

    send(FileExporter(tmp_path), make.batch(make.call()))

    assert (0o755, False) == (stat.S_IMODE(tmp_path.stat().st_mode), (tmp_path / ".gitignore").exists())


def test_a_file_is_named_by_time_process_and_number(make, send, tmp_path):
    """Names sort by age; the time is UTC."""
    exporter = FileExporter(tmp_path / "r", clock=lambda: 1_800_000_000.9)

    send(exporter, make.batch(make.call()))

    assert f"records-20270115T080000-{os.getpid()}-000001.jsonl" == exporter.path.name


def test_two_exporters_of_a_process_do_not_share_a_file(make, send, tmp_path):
    """A name that is taken leads to the next number."""
    one, two = (FileExporter(tmp_path / "r", clock=lambda: 0.0) for _ in range(2))

    send(one, make.batch(make.call()))
    send(two, make.batch(make.step()))

    assert ["000001", "000002"] == [path.stem[-6:] for path in (one.path, two.path)]


def test_the_directory_stays_the_same_when_the_process_moves(make, send, tmp_path, monkeypatch):
    """A relative directory is taken from where the exporter was made."""
    monkeypatch.chdir(tmp_path)
    exporter = FileExporter()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    send(exporter, make.batch(make.call()))

    assert tmp_path / ".llm-observe" == exporter.path.parent


def test_the_home_directory_may_be_abbreviated(tmp_path, monkeypatch):
    """`~` is the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path))

    assert tmp_path / "r" == FileExporter("~/r").directory


def test_a_full_file_is_followed_by_the_next(make, send, tmp_path):
    """No file passes its size, and no record is lost between two."""
    exporter = FileExporter(tmp_path / "r", max_bytes=2000)

    send(exporter, *[make.batch(make.call(id=f"{n}"), make.call(id=f"{n}b")) for n in range(20)])

    assert max(sized(tmp_path / "r")) <= 2000
    assert [f"{n}{x}" for n in range(20) for x in ("", "b")] == ids(tmp_path / "r")


def test_a_batch_is_in_one_file(make, send, tmp_path):
    """A batch that does not fit into the rest of a file begins the next; both of its records are there."""
    send(FileExporter(tmp_path / "r", max_bytes=1000), *[make.batch(make.call(), make.step()) for _ in range(9)])

    assert {0} == {len(path.read_text().splitlines()) % 2 for path in record_files(tmp_path / "r")}


def test_a_batch_larger_than_a_file_has_one_to_itself(make, send, tmp_path):
    """The size is a limit for going on, not for what comes at once."""
    big = make.batch(*[make.call() for _ in range(50)])

    send(FileExporter(tmp_path / "r", max_bytes=1000), make.batch(make.call()), big, make.batch(make.call()))

    assert [1, 50, 1] == [len(path.read_text().splitlines()) for path in record_files(tmp_path / "r")]


def test_the_total_is_never_passed_and_the_oldest_go_first(make, send, tmp_path):
    """After every batch the directory is within its bound, and what is left is the latest, without a gap."""
    exporter, biggest = FileExporter(tmp_path / "r", max_bytes=2000, total_bytes=10_000), 0
    for n in range(200):
        send(exporter, make.batch(make.call(id=f"{n:03d}")))
        biggest = max(biggest, sum(sized(tmp_path / "r")))
    left = ids(tmp_path / "r")

    assert 5000 < biggest <= 10_000
    assert [f"{n:03d}" for n in range(200 - len(left), 200)] == left


def test_a_file_takes_at_most_half_of_the_total(tmp_path):
    """Else the newest would be all there is."""
    assert 500 == FileExporter(tmp_path / "r", max_bytes=2000, total_bytes=1000).max_bytes


def test_what_is_not_a_record_file_is_never_deleted(make, send, tmp_path):
    """Making room touches our own files only."""
    (tmp_path / "records-of-the-state.jsonl").write_bytes(b"x" * 20_000)

    send(FileExporter(tmp_path, max_bytes=1000, total_bytes=4000), *[make.batch(make.call()) for _ in range(50)])

    assert 20_000 == (tmp_path / "records-of-the-state.jsonl").stat().st_size


def test_a_file_a_living_process_writes_is_never_deleted(make, send, other, tmp_path):
    """It is skipped while its process lives, and goes when the process is gone."""
    process = other.python(WRITER, tmp_path / "r", "w", 20, 10**6, 10**7, stdin=-1)
    assert "done\n" == process.stdout.readline()
    [theirs] = record_files(tmp_path / "r")
    exporter = FileExporter(tmp_path / "r", max_bytes=500, total_bytes=1000)

    send(exporter, *[make.batch(make.call()) for _ in range(20)])
    while_alive = theirs.exists()
    other.finished(process)
    send(exporter, *[make.batch(make.call()) for _ in range(20)])

    assert (True, False) == (while_alive, theirs.exists())


def test_four_processes_write_whole_lines(other, tmp_path):
    """Every line of every process parses, and none is missing."""
    writers = [other.python(WRITER, tmp_path / "r", name, 200, 50_000, 2**30, stdin=-1) for name in "abcd"]
    for writer in writers:
        other.finished(writer)

    assert sorted(f"{name}-{n}-{m}" for name in "abcd" for n in range(200) for m in range(5)) == sorted(ids(tmp_path / "r"))


def test_four_processes_keep_to_one_total(other, tmp_path):
    """The bound holds for the directory, up to an eighth of a file a process, and what is left parses."""
    writers = [other.python(WRITER, tmp_path / "r", name, 200, 40_000, 400_000, stdin=-1) for name in "abcd"]
    for writer in writers:
        other.finished(writer)

    assert 200_000 < sum(sized(tmp_path / "r")) <= 400_000 + 3 * 40_000
    assert len(ids(tmp_path / "r")) == len(set(ids(tmp_path / "r")))


def test_closing_gives_the_lock_back_and_exporting_again_begins_a_file(make, send, tmp_path):
    """A closed exporter holds nothing, and still works."""
    import anyio

    exporter = FileExporter(tmp_path / "r")
    send(exporter, make.batch(make.call()))
    first = exporter.path
    anyio.run(exporter.aclose)
    with first.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    send(exporter, make.batch(make.step()))

    assert (1, 2) == (len(first.read_text().splitlines()), len(record_files(tmp_path / "r")))


@pytest.mark.parametrize("sizes", [{"max_bytes": 0}, {"total_bytes": -1}])
def test_sizes_below_one_are_refused(sizes, tmp_path):
    """The message names the size and what was expected."""
    [(name, value)] = sizes.items()
    with pytest.raises(SettingsError, match=rf"{name}={value}.*at least 1"):
        FileExporter(tmp_path, **sizes)


def test_a_symbolic_link_is_refused(tmp_path):
    """Records hold prompts: they do not follow a link. The message names the way out."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(SettingsError, match=rf"symbolic link.*Name the directory itself: {re.escape(str(tmp_path / 'real'))}"):
        FileExporter(tmp_path / "link")


def test_something_that_is_no_directory_is_refused(tmp_path):
    """A file of that name is somebody's, and stays."""
    (tmp_path / "r").write_text("mine")

    with pytest.raises(SettingsError, match="not a directory"):
        FileExporter(tmp_path / "r")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
def test_another_users_directory_is_refused(tmp_path):
    """Its owner could read and replace what is in it."""
    (tmp_path / "r").mkdir()
    os.chown(tmp_path / "r", 12345, -1)

    with pytest.raises(SettingsError, match=r"another user .uid 12345"):
        FileExporter(tmp_path / "r")


def test_it_says_where_it_writes(tmp_path):
    """The repr names the directory."""
    assert f"FileExporter('{tmp_path}')" == repr(FileExporter(tmp_path))
