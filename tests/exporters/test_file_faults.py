"""The file exporter while the machine misbehaves: full disks, files that vanish, forks, kills. See reliability.md, rows 18 and 23 to 26."""

import errno
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile

import anyio
import pytest

from llm_observe.errors import Rejected, RetryLater
from llm_observe.exporters._files import read_records, record_files
from llm_observe.exporters.file import FileExporter

needs_namespaces = pytest.mark.skipif(
    0 != subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode if shutil.which("unshare") else True,
    reason="a small file system of our own needs user namespaces",
)


def ids(directory) -> list[str]:
    """The records in *directory*."""
    return [record.id for record in read_records(directory)]


def failing(monkeypatch, function, *answers):
    """Have os.*function* give *answers* first: an errno to raise, or how many bytes to write."""
    real, todo = getattr(os, function), list(answers)

    def stand_in(fd, data, *more):
        if todo:
            answer = todo.pop(0)
            if answer < 0:
                raise OSError(-answer, os.strerror(-answer))
            return real(fd, data[:answer], *more)
        return real(fd, data, *more)

    monkeypatch.setattr(os, function, stand_in)


# --- the disk --------------------------------------------------------------------------------------------------------

FULL = """
import sys, json, os, subprocess, pathlib, anyio
from llm_observe.errors import RetryLater
from llm_observe.exporters.file import FileExporter
from llm_observe.protocols import Batch
where = pathlib.Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", where], check=True)
exporter = FileExporter(where / "r")
written, refused = [], 0
async def main():
    global refused
    for n in range(40):
        lines = [json.dumps({"id": f"{n}-{m}", "pad": "x" * 1500}).encode() for m in range(3)]
        try:
            await exporter.export(Batch(str(n), lines, lines))
            written.extend(f"{n}-{m}" for m in range(3))
        except RetryLater as error:
            refused += 1
            assert "disk is full" in str(error), error
            if refused == 5:
                os.remove(ballast)
ballast = where / "ballast"
ballast.write_bytes(b"x" * 20_000)
anyio.run(main)
found = [json.loads(line)["id"] for path in sorted((where / "r").glob("*.jsonl")) for line in path.read_text().splitlines()]
print(json.dumps([written == found, refused, len(written)]))
"""


@needs_namespaces
def test_on_a_full_disk_a_batch_is_there_or_not_and_room_is_used_again(other, tmp_path):
    """What was reported written is what is in the file, every line whole, before and after there was room again."""
    exact, refused, written = json.loads(other.finished(other.python(FULL, tmp_path, before=["unshare", "-rm"])))

    assert (True, True) == (exact, refused > 5)
    assert 30 < written < 60


LIMITED = """
import resource, sys, json, anyio
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
from llm_observe.errors import Rejected
from llm_observe.exporters.file import FileExporter
from llm_observe.protocols import Batch
exporter = FileExporter(sys.argv[1])
def batch(n, pad):
    line = json.dumps({"id": n, "pad": "x" * pad}).encode()
    return Batch(str(n), [line], [line])
async def main():
    for n in range(30):
        await exporter.export(batch(n, 3000))
    try:
        await exporter.export(batch(30, 30_000))
    except Rejected as error:
        print(error.reason)
    await exporter.export(batch(31, 10))
anyio.run(main)
resource.setrlimit(resource.RLIMIT_FSIZE, before)
"""


def test_where_files_may_not_grow_the_next_one_is_begun(other, tmp_path):
    """With a limit on file sizes (EFBIG) nothing is lost but what fits into no file at all, and that is said."""
    out = other.finished(other.python(LIMITED, tmp_path / "r"))
    found = [json.loads(line)["id"] for path in record_files(tmp_path / "r") for line in path.read_text().splitlines()]

    assert ("too_large\n", [*range(30), 31]) == (out, found)


def test_a_short_write_is_completed(make, send, tmp_path, monkeypatch):
    """The kernel may take less than it was given; the rest follows."""
    failing(monkeypatch, "write", *[3] * 10)

    send(FileExporter(tmp_path), make.batch(make.call(), make.step()))

    assert ["call-1", "step-1"] == ids(tmp_path)


def test_after_an_error_in_the_middle_of_a_batch_none_of_it_is_there(make, send, tmp_path, monkeypatch):
    """The batch comes back, so its first lines must not stay."""
    exporter = FileExporter(tmp_path)
    send(exporter, make.batch(make.call(id="before")))
    failing(monkeypatch, "write", len(make.batch(make.call()).lines[0]) + 20, -errno.EIO)

    with pytest.raises(RetryLater, match="Input/output error"):
        send(exporter, make.batch(make.call(), make.step()))
    after_failure = exporter.path.read_bytes()
    send(exporter, make.batch(make.call(), make.step()))

    assert 1 == after_failure.count(b"\n")
    assert ["before", "call-1", "step-1"] == ids(tmp_path)


def test_a_file_that_cannot_be_repaired_is_left_behind(make, send, tmp_path, monkeypatch):
    """Nothing is appended to a torn line: the next batch begins a new file."""
    exporter = FileExporter(tmp_path)
    send(exporter, make.batch(make.call(id="before")))
    failing(monkeypatch, "write", 5, -errno.EIO)
    failing(monkeypatch, "ftruncate", -errno.EIO)

    with pytest.raises(RetryLater):
        send(exporter, make.batch(make.step()))
    send(exporter, make.batch(make.step()))

    assert (2, ["before", "step-1"]) == (len(record_files(tmp_path)), ids(tmp_path))


def test_the_ignore_file_is_made_up_for(make, send, tmp_path, monkeypatch):
    """When the disk is full just then, no records go where git would take them."""
    exporter = FileExporter(tmp_path / "r")
    failing(monkeypatch, "write", -errno.ENOSPC)

    with pytest.raises(RetryLater, match="disk is full"):
        send(exporter, make.batch(make.call()))
    without = (tmp_path / "r" / ".gitignore").exists()
    send(exporter, make.batch(make.call()))

    assert (False, "*\n") == (without, (tmp_path / "r" / ".gitignore").read_text())


def test_a_big_batch_is_whole_however_it_is_sliced(make, send, tmp_path):
    """More than one slice of whole lines."""
    records = [make.call(id=f"{n}", name="x" * 50_000) for n in range(20)]

    send(FileExporter(tmp_path), make.batch(*records))

    assert records == list(read_records(tmp_path))


def test_without_locks_files_are_written_all_the_same(make, send, tmp_path, monkeypatch):
    """Some network file systems have none."""

    def flock(fd, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    exporter = FileExporter(tmp_path, max_bytes=500, total_bytes=1000)

    send(exporter, *[make.batch(make.call()) for _ in range(10)])

    assert 10 == len(ids(tmp_path))


def test_a_file_somebody_locks_before_we_can_is_left_to_him(make, send, tmp_path, monkeypatch):
    """A process that makes room may try every file, even one that has just been made."""
    real, todo = fcntl.flock, [BlockingIOError(errno.EWOULDBLOCK, "locked")]

    def flock(fd, operation):
        if todo and operation & fcntl.LOCK_EX:
            raise todo.pop()
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    exporter = FileExporter(tmp_path)

    send(exporter, make.batch(make.call()))

    assert ("000002", ["call-1"]) == (exporter.path.stem[-6:], ids(tmp_path))


def test_room_is_made_although_a_file_vanishes_meanwhile(make, send, tmp_path, monkeypatch):
    """Two processes may delete the same oldest file."""
    import llm_observe.exporters.file as module

    exporter = FileExporter(tmp_path, max_bytes=500, total_bytes=1000)
    gone = tmp_path / "records-20200101T000000-1-000001.jsonl"
    monkeypatch.setattr(module, "record_files", lambda directory: [gone, *record_files(directory)])

    send(exporter, *[make.batch(make.call(id=f"{n}")) for n in range(10)])

    assert "9" == ids(tmp_path)[-1]


# --- the directory ---------------------------------------------------------------------------------------------------

MOVES = {
    "deleted": lambda path: path.unlink(),
    "renamed": lambda path: path.rename(path.with_suffix(".old")),
    "replaced by a directory": lambda path: (path.unlink(), path.mkdir()),
    "replaced by a link": lambda path: (path.unlink(), path.symlink_to("/dev/null")),
    "replaced by a file": lambda path: (path.unlink(), path.write_text("")),
    "gone with its directory": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_when_its_file_is_no_more_a_new_one_is_begun(make, send, tmp_path, move):
    """At the next batch, which is in the new file, in the directory, to be found."""
    exporter = FileExporter(tmp_path / "r")
    send(exporter, make.batch(make.call(id="before")))
    first = exporter.path
    move(first)

    send(exporter, make.batch(make.call(id="after")))

    assert exporter.path != first
    assert ["after"] == ids(tmp_path / "r")


def test_a_file_that_was_emptied_is_written_on(make, send, tmp_path):
    """`> records.jsonl` leaves no hole at its beginning."""
    exporter = FileExporter(tmp_path)
    send(exporter, make.batch(make.call(id="before")))
    os.truncate(exporter.path, 0)

    send(exporter, make.batch(make.call(id="after")))

    assert ["after"] == ids(tmp_path)


def test_a_directory_that_became_a_link_gets_no_records(make, send, tmp_path):
    """What was checked at the start is checked again for every new file; the batch waits."""
    exporter = FileExporter(tmp_path / "r")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "r").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(RetryLater, match="symbolic link"):
        send(exporter, make.batch(make.call()))

    assert [] == list((tmp_path / "elsewhere").iterdir())


def test_a_path_through_a_file_is_tried_again(make, send, tmp_path):
    """The message says what is in the way; once it is gone, records are written."""
    (tmp_path / "a").write_text("in the way")
    exporter = FileExporter(tmp_path / "a" / "b" / "r")

    with pytest.raises(RetryLater, match="part of that path is a file"):
        send(exporter, make.batch(make.call()))
    (tmp_path / "a").unlink()
    send(exporter, make.batch(make.call()))

    assert ["call-1"] == ids(tmp_path / "a" / "b" / "r")


FORBIDDEN = """
import os, sys, anyio, anyio._backends._asyncio
from llm_observe.errors import RetryLater
from llm_observe.exporters.file import FileExporter
from llm_observe.protocols import Batch
user, home = os.geteuid(), os.getcwd()
if user == 0:
    os.chown(sys.argv[1], 65534, 65534)
    os.seteuid(65534)
os.chdir(sys.argv[1])
exporter, batch = FileExporter("r"), Batch("1", [b"{}"], [b"{}"])
os.chmod(".", 0o500)
try:
    anyio.run(exporter.export, batch)
except RetryLater as error:
    print(error)
os.chmod(".", 0o700)
anyio.run(exporter.export, batch)
print(exporter.path.read_text())
os.seteuid(user)
os.chdir(home)
"""


def test_without_permission_records_wait(other):
    """The message says what to do; once it is done, records are written."""
    with tempfile.TemporaryDirectory() as place:  # not pytest's, which nobody but root may enter
        message, written = other.finished(other.python(FORBIDDEN, place)).strip().split("\n")

    assert "Permission denied. Give this process's user write access" in message
    assert "{}" == written


# --- processes -------------------------------------------------------------------------------------------------------


def in_a_child(work) -> int:
    """Run *work* in a forked child; its exit code."""
    pid = os.fork()
    if pid == 0:  # pragma: no cover - coverage does not survive os._exit
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_forked_child_writes_a_file_of_its_own(make, send, tmp_path):
    """The parent's file has the parent's records only, also those written after the fork."""
    exporter = FileExporter(tmp_path)
    send(exporter, make.batch(make.call(id="parent-1")))

    code = in_a_child(lambda: send(exporter, make.batch(make.call(id="child"))))
    send(exporter, make.batch(make.call(id="parent-2")))

    assert 0 == code
    assert [["child"], ["parent-1", "parent-2"]] == sorted(
        [json.loads(t)["id"] for t in p.read_text().splitlines()] for p in record_files(tmp_path)
    )


def test_a_forked_child_does_not_give_the_parents_lock_away(make, send, tmp_path):
    """Neither by exporting, nor by closing, nor by ending."""
    exporter = FileExporter(tmp_path)
    send(exporter, make.batch(make.call()))
    held = exporter.path

    def child():
        send(exporter, make.batch(make.step()))
        anyio.run(exporter.aclose)

    code = in_a_child(child)

    assert 0 == code
    with held.open("ab") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_forked_child_lets_go_of_the_parents_file(make, send, tmp_path):
    """With its first record the child has only its own file open."""
    exporter = FileExporter(tmp_path)
    send(exporter, make.batch(make.call()))
    parents = exporter.path

    def child():
        send(exporter, make.batch(make.step()))
        opened = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        assert str(parents) not in opened
        assert str(exporter.path) in opened

    assert 0 == in_a_child(child)


def test_a_parent_that_moves_on_frees_its_old_file_although_a_child_has_it_open(make, send, tmp_path):
    """The lock goes with the parent's file, not with the last copy of its number."""
    exporter = FileExporter(tmp_path)
    send(exporter, make.batch(make.call()))
    first = exporter.path
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[exporter._file._fd])

    anyio.run(exporter.aclose)
    with first.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    process.communicate(b"\n")

    assert 0 == process.returncode


def test_a_file_number_that_became_somebody_elses_is_not_touched(make, send, tmp_path):
    """Daemons close all files; the number may be anybody's afterwards."""
    exporter = FileExporter(tmp_path / "r")
    send(exporter, make.batch(make.call(id="before")))
    number = exporter._file._fd
    with (tmp_path / "theirs").open("wb") as theirs:
        os.dup2(theirs.fileno(), number)

        send(exporter, make.batch(make.call(id="after")))

        os.fstat(number)  # and it is still open
        os.close(number)
    assert (0, ["before", "after"]) == ((tmp_path / "theirs").stat().st_size, ids(tmp_path / "r"))


DOOMED = """
import sys, json, os, anyio
from llm_observe.exporters.file import FileExporter
from llm_observe.protocols import Batch
exporter = FileExporter(sys.argv[1], max_bytes=3_000_000)
async def main():
    n = 0
    while True:
        lines = [json.dumps({"id": f"{n}-{m}", "pad": "x" * 60_000}).encode() for m in range(10)]
        await exporter.export(Batch(str(n), lines, lines))
        os.write(1, f"{n}\\n".encode())
        n += 1
anyio.run(main)
"""


def test_what_was_exported_outlives_a_kill(other, tmp_path):
    """Killed at any instant, every batch that was reported is there, and every whole line is a record."""
    for turn in range(12):
        directory = tmp_path / str(turn)
        process = other.python(DOOMED, directory)
        process.stdout.readline()
        anyio.run(anyio.sleep, random.uniform(0.0, 0.1))
        process.send_signal(signal.SIGKILL)
        reported = [0, *map(int, process.stdout.read().split())]
        process.communicate()
        lines = [line for path in record_files(directory) for line in path.read_bytes().split(b"\n")[:-1]]
        found = [json.loads(line)["id"] for line in lines]

        assert [f"{n}-{m}" for n in reported for m in range(10)] == found[: len(reported) * 10]


def test_a_rejected_batch_is_never_half_there(make, tmp_path, monkeypatch):
    """Too large for any file here: nothing of it stays."""
    failing(monkeypatch, "write", 100, -errno.EFBIG)
    exporter = FileExporter(tmp_path)

    with pytest.raises(Rejected, match="ulimit"):
        anyio.run(exporter.export, make.batch(make.call()))

    assert 0 == exporter.path.stat().st_size
