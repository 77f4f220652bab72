"""Record files while the disk and others do to them what they do: rows 23 to 26. Every line that is there is a record, always."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

from llm_observe import Observer, scope
from llm_observe.exporters import FileExporter
from llm_observe.exporters._files import record_files

LONG = 60  # seconds that a busy machine may take
needs_namespaces = pytest.mark.skipif(
    shutil.which("unshare") is None or 0 != subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode,
    reason="a file system of our own needs user namespaces",
)

# What the programs below begin with: an observer of the directory that is named, jobs to record, and what is in the files.
BEGIN = """
import errno, json, logging, os, pathlib, resource, subprocess, sys, time
logging.getLogger("llm_observe").setLevel(logging.CRITICAL)
from llm_observe import Observer, scope
where = pathlib.Path(sys.argv[1])
def jobs(*numbers, pad=1500):
    for n in numbers:
        with scope(f"job {n}", observer=observer, pad="x" * pad):
            pass
def written():
    lines = [line for path in sorted(where.rglob("records-*.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line)["name"] for line in lines]
def mount(*options):
    subprocess.run(["mount", *options], check=True)
def refused():
    while not observer.stats().exporters["file"].failures:
        time.sleep(0.01)
def end():
    numbers = observer.shutdown(60).exporters["file"]
    assert numbers.balanced, numbers
    print(json.dumps({"captured": numbers.captured, "exported": numbers.exported, "dropped": numbers.dropped, "arrived": written()}))
"""


def told(code, *arguments, before=()):
    """What the program *code* says in its last line; what it leaves in a file system of its own it must read itself."""
    command = [*before, sys.executable, "-X", "faulthandler", "-c", BEGIN + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * LONG, check=False)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def put(found, said):
    """Fill what a program *said* into its row."""
    found.arrived(said["arrived"])(captured=said["captured"], dropped=said["dropped"])
    return said


def names(count, first=0):
    """What so many jobs are called."""
    return [f"job {n}" for n in range(first, first + count)]


def written(directory):
    """The names in all files of ours, renamed ones as well; every line must be a record."""
    lines = [line for path in sorted(directory.rglob("records-*")) if path.is_file() for line in path.read_bytes().splitlines()]
    return [json.loads(line)["name"] for line in lines]


def jobs(observer, *numbers):
    """Record jobs, and wait until they are out."""
    for n in numbers:
        with scope(f"job {n}", observer=observer):
            pass
    return observer.flush(LONG)


# --- 23 --------------------------------------------------------------------------------------------------------------


@needs_namespaces
def test_row_23_disk_full(row, tmp_path):
    """What does not fit waits; what was exported is what is there; with room again, all of it is written without being asked."""
    said = told(
        """
mount("-t", "tmpfs", "-o", "size=128k", "none", where)
(where / "ballast").write_bytes(b"x" * 60_000)
observer = Observer(exporters=[f"file:{where}/r"], batch_records=3, batch_age=0).start()
jobs(*range(50))
refused()
flushed = observer.flush(2)
numbers, there = observer.stats().exporters["file"], written()
assert not flushed and "disk is full" in numbers.last_error, numbers
assert numbers.exported == len(there) and numbers.queued + numbers.in_flight == 50 - len(there) > 0, numbers
(where / "ballast").unlink()
end()
""",
        tmp_path,
        before=["unshare", "-rm"],
    )

    assert (names(50), {}) == (put(row(23, "disk full (tmpfs), then free again"), said)["arrived"], said["dropped"])


def test_row_23_files_may_not_grow(row, tmp_path):
    """A limit on file sizes (EFBIG) costs what fits into no file at all, and that is counted."""
    said = told(
        """
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
observer = Observer(exporters=[f"file:{where}/r"], batch_records=1).start()
jobs(*range(30))
jobs("too large", pad=30_000)
jobs(30)
observer.flush(60)
resource.setrlimit(resource.RLIMIT_FSIZE, before)
end()
""",
        tmp_path,
    )

    assert (names(31), {"too_large": 1}) == (put(row(23, "files may not grow (RLIMIT_FSIZE)"), said)["arrived"], said["dropped"])


# --- 24 --------------------------------------------------------------------------------------------------------------

MOVES = {
    "deleted": lambda path: path.unlink(),
    "renamed": lambda path: path.rename(path.with_suffix(".1")),
    "truncated": lambda path: os.truncate(path, 0),
    "replaced by a link": lambda path: (path.unlink(), path.symlink_to("/dev/null")),
    "replaced by a directory": lambda path: (path.unlink(), path.mkdir()),
    "replaced by another file": lambda path: (path.unlink(), path.touch()),
    "removed with its directory": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("move", MOVES)
def test_row_24_file_moved_away(row, tmp_path, move):
    """What comes after is in a file that can be found; what was there before is lost only with the file itself."""
    exporter = FileExporter(tmp_path / "r")
    with Observer(exporters=[exporter], batch_age=0) as observer:
        jobs(observer, *range(10))
        MOVES[move](exporter.path)
        assert jobs(observer, *range(10, 20))
        numbers = observer.stats().exporters["file"]
    kept = names(20) if move == "renamed" else names(10, 10)
    row(24, f"file {move}, ten records in it").numbers(numbers).arrived(written(tmp_path))

    assert (kept, 20) == (sorted(written(tmp_path), key=lambda name: int(name[4:])), numbers.exported)


def test_row_24_directory_became_a_link(row, tmp_path):
    """Nothing is written through it; with the directory back, what waited is."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with Observer(exporters=[FileExporter(tmp_path / "r")], batch_age=0) as observer:
        jobs(observer, 0)
        shutil.rmtree(tmp_path / "r")
        (tmp_path / "r").symlink_to(elsewhere)
        for n in (1, 2):
            with scope(f"job {n}", observer=observer):
                pass
        flushed = observer.flush(0.5)
        through = list(elsewhere.iterdir())
        (tmp_path / "r").unlink()
        assert observer.flush(LONG)
        numbers = observer.stats().exporters["file"]
    row(24, "directory replaced by a link").numbers(numbers).arrived(written(tmp_path / "r"))

    assert (False, [], ["job 1", "job 2"]) == (flushed, through, written(tmp_path / "r"))


# --- 25 --------------------------------------------------------------------------------------------------------------

FAILURES = {
    "EIO": [-errno.EIO] * 3,
    "EINTR": [-errno.EINTR] * 3,
    "ENOSPC in the middle of a batch": [400, -errno.ENOSPC, 10, -errno.ENOSPC],
    "short writes": [1, 2, 3, 50, 1] * 5,
}


@pytest.mark.parametrize("failure", FAILURES)
def test_row_25_write_fails(row, tmp_path, monkeypatch, failure):
    """The batch is there once, whole, when the trouble is over."""
    real, todo = os.write, []

    def write(fd, data):
        if todo and os.path.realpath(f"/proc/self/fd/{fd}").startswith(str(tmp_path)):
            answer = todo.pop(0)
            if answer < 0:
                raise OSError(-answer, os.strerror(-answer))
            return real(fd, data[:answer])
        return real(fd, data)

    with Observer(exporters=[FileExporter(tmp_path)], batch_age=0) as observer:
        jobs(observer, *range(5))
        todo.extend(FAILURES[failure])
        monkeypatch.setattr(os, "write", write)
        assert jobs(observer, *range(5, 10))
        assert jobs(observer, *range(10, 15))
        numbers = observer.stats().exporters["file"]
    row(25, failure).numbers(numbers).arrived(written(tmp_path))

    assert (names(15), []) == (written(tmp_path), todo)


@needs_namespaces
def test_row_25_read_only(row, tmp_path):
    """Records wait while the file system takes none, and are written when it does again."""
    said = told(
        """
mount("-t", "tmpfs", "none", where)
mount("-o", "remount,ro", where)
observer = Observer(exporters=[f"file:{where}/r"], batch_age=0).start()
jobs(*range(5))
refused()
flushed = observer.flush(1)
numbers = observer.stats().exporters["file"]
assert not flushed and "read-only" in numbers.last_error, numbers
mount("-o", "remount,rw", where)
end()
""",
        tmp_path,
        before=["unshare", "-rm"],
    )
    put(row(25, "EROFS, then writable again"), said)

    assert (5, 5, names(5), {}) == (said["captured"], said["exported"], said["arrived"], said["dropped"])


def test_row_25_no_permission(row):
    """The directory may not be written to for a while: records wait."""
    with tempfile.TemporaryDirectory() as place:  # not pytest's, which nobody but root may enter
        said = told(
            """
user, home = os.geteuid(), os.getcwd()
observer = Observer(exporters=[]).start()  # every module is loaded as who we are
jobs(0)
observer.shutdown(60)
if user == 0:
    os.chown(where, 65534, 65534)
    os.seteuid(65534)
os.chdir(where)
os.chmod(".", 0o500)
observer = Observer(exporters=["file:r"], batch_age=0).start()
jobs(*range(5))
refused()
flushed = observer.flush(1)
numbers = observer.stats().exporters["file"]
assert not flushed and "Permission denied" in numbers.last_error, numbers
os.chmod(".", 0o700)
observer.flush(60)
where = pathlib.Path.cwd()
end()
os.seteuid(user)
os.chdir(home)
""",
            place,
        )
    put(row(25, "EACCES, then allowed"), said)

    assert (names(5), {}) == (said["arrived"], said["dropped"])


# --- 26 --------------------------------------------------------------------------------------------------------------


def test_row_26_four_processes_write_one_directory(row, tmp_path):
    """No line is interleaved with another's, none is missing, while files are closed and begun."""
    code = """
observer = Observer(exporters=[f"file:{where}?max_bytes=50000"], batch_records=7).start()
jobs(*(f"{sys.argv[2]}-{n}" for n in range(300)), pad=int(sys.argv[2]) * 300)
numbers = observer.shutdown(60).exporters["file"]
assert numbers.balanced and numbers.exported == 300, numbers
"""
    command = [sys.executable, "-c", BEGIN + code, tmp_path]
    processes = [subprocess.Popen([*command, str(n)]) for n in range(4)]
    ended = [process.wait(2 * LONG) for process in processes]
    found = written(tmp_path)
    row(26, "four processes, one directory, files of 50 kB").arrived(found)(captured=1200)

    assert ([0] * 4, sorted(f"job {p}-{n}" for p in range(4) for n in range(300))) == (ended, sorted(found))
    assert len(record_files(tmp_path)) > 20
