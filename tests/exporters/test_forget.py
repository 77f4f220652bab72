"""Taking somebody out of a directory of records, and keeping him out."""

import json
import os
import random
import signal
import stat
import time
from collections import Counter

import anyio
import pytest

from llm_observe.errors import ObserveError, Rejected, RetryLater
from llm_observe.exporters import _forget
from llm_observe.exporters._directory import WAITING, leave, may_write, opened
from llm_observe.exporters._files import file_name, read_records, record_files
from llm_observe.exporters._forget import forget, lift
from llm_observe.exporters._forgotten import KEY, LIST, Joined, Sieve, Subject
from llm_observe.exporters.file import FileExporter
from llm_observe.records import ScopeInfo

ZOE = [Subject("user", "zoe")]
TRACE = {"zoe": "a" * 32, "bob": "b" * 32}


def scope(user=None, session=None) -> ScopeInfo:
    """A request's scope."""
    return ScopeInfo(name="POST /chat", user_id=user, session_id=session)


@pytest.fixture
def one(make):
    """Makes a request of a user, with a call that was made before the user was known, and a step."""

    def made(user, request_id, session=None):
        facts = {"trace_id": TRACE[user], "request_id": request_id}
        known = scope(user, session)
        return [
            make.call(id=f"call {request_id}", scope=scope(), name=f"canary of {user}", **facts),
            make.step(id=f"step {request_id}", scope=known, **facts),
            make.request(id=f"request {request_id}", scope=known, **facts),
        ]

    return made


def ids(directory) -> list[str]:
    """The records in *directory*."""
    return [record.id for record in read_records(directory)]


def all_bytes(directory) -> bytes:
    """All there is in *directory*, names as well."""
    return b"\n".join(path.name.encode() + b"\n" + path.read_bytes() for path in directory.iterdir())


def refusing(send, exporter, batch) -> Rejected:
    """What *exporter* says of a batch that it leaves something out of."""
    with pytest.raises(Rejected) as caught:
        send(exporter, batch)
    return caught.value


def written(directory, send, *batches, **options):
    """Write *batches* with an exporter that lets go of its file then."""
    exporter = FileExporter(directory, **options)
    send(exporter, *batches)
    anyio.run(exporter.aclose)


def test_with_a_users_requests_go_their_calls_and_steps(make, send, one, tmp_path):
    """Also a call that was made before its user was known. What is others' stays as it was, byte for byte."""
    written(tmp_path, send, make.batch(*one("zoe", "1"), *one("bob", "2")))
    others = record_files(tmp_path)[0].read_bytes().splitlines(keepends=True)[3:]

    [removed] = forget(tmp_path, ZOE)

    assert Counter(call=1, step=1, request=1) == removed.kinds
    assert b"".join(others) == record_files(tmp_path)[0].read_bytes()
    assert b"zoe" not in all_bytes(tmp_path)


def test_a_request_may_be_spread_over_files(make, send, one, tmp_path):
    """Its call may be in one file and what says whose it is in a later one. A file with nothing left is gone."""
    call, step, request = one("zoe", "1")
    for batch in (make.batch(call, *one("bob", "2")), make.batch(step), make.batch(request)):
        written(tmp_path, send, batch)

    removed = forget(tmp_path, ZOE)

    assert [Counter(call=1), Counter(step=1), Counter(request=1)] == [part.kinds for part in removed]
    assert (1, ["call 2", "step 2", "request 2"]) == (len(record_files(tmp_path)), ids(tmp_path))


def test_a_session_or_a_request_can_be_forgotten_as_well(make, send, one, tmp_path):
    """By their ids; several at a time."""
    written(tmp_path, send, make.batch(*one("zoe", "1", "s1"), *one("zoe", "2", "s2"), *one("zoe", "3", "s3")))

    forget(tmp_path, [Subject("session", "s1"), Subject("request", "3")])

    assert ["call 2", "step 2", "request 2"] == ids(tmp_path)


def test_a_request_id_that_somebody_else_sent_again_does_him_no_harm(make, send, one, tmp_path):
    """Request ids come from clients: without the same trace, or with another user named, a record is not the subject's."""
    other_trace = make.call(id="other trace", request_id="1", trace_id="c" * 32, scope=scope())
    other_user = make.call(id="other user", request_id="1", trace_id=TRACE["zoe"], scope=scope("bob"))
    written(tmp_path, send, make.batch(*one("zoe", "1"), other_trace, other_user))

    forget(tmp_path, ZOE)

    assert ["other trace", "other user"] == ids(tmp_path)


def test_a_dry_run_changes_nothing(make, send, one, tmp_path):
    """It says what would go, and leaves no list."""
    written(tmp_path, send, make.batch(*one("zoe", "1"), *one("bob", "2")))
    before = all_bytes(tmp_path)

    [removed] = forget(tmp_path, ZOE, dry_run=True)

    assert (3, before) == (removed.kinds.total(), all_bytes(tmp_path))


def test_a_rewritten_file_is_as_old_and_as_closed_as_it_was(make, send, one, tmp_path):
    """Its age counts for how long it is kept, its rights for who may read it."""
    written(tmp_path, send, make.batch(*one("zoe", "1"), *one("bob", "2")))
    [path] = record_files(tmp_path)
    os.utime(path, ns=(5, 7_000_000_000))

    forget(tmp_path, ZOE)

    assert (7.0, 0o600) == (path.stat().st_mtime, stat.S_IMODE(path.stat().st_mode))
    assert {0o600} == {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (KEY, LIST)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can do it for another user")
def test_root_may_forget_for_the_user_whom_the_app_runs_as(make, send, one, tmp_path):
    """All that is new belongs to that user: the app reads the list."""
    written(tmp_path / "r", send, make.batch(*one("zoe", "1"), *one("bob", "2")))
    for path in [tmp_path / "r", *(tmp_path / "r").iterdir()]:
        os.chown(path, 12345, 12345)

    forget(tmp_path / "r", ZOE)

    assert {12345} == {path.stat().st_uid for path in (tmp_path / "r").iterdir()}


def test_a_torn_line_goes_when_it_names_the_subject_or_one_of_its_traces(make, send, one, tmp_path):
    """It is no record, but its words are there."""
    written(tmp_path, send, make.batch(*one("zoe", "1"), *one("bob", "2")))
    [path] = record_files(tmp_path)
    torn = [b'{"kind":"call","trace_id":"' + TRACE["zoe"].encode() + b'","input":"canary', b'{"kind":"call","trace_id":"other']
    with path.open("ab") as file:
        file.write(torn[0] + b"\n" + torn[1])

    [removed] = forget(tmp_path, ZOE)

    assert (1, torn[1]) == (removed.unreadable, path.read_bytes().splitlines()[-1])


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        (b'{"kind":"call","id":"\\ud800","scope":{"user_id":"zoe"}}', True),
        (b'{"kind":5,"scope":{"user_id":"zoe"}}', True),
        (b'{"kind":"later","scope":{"user_id":"zoe"}}', True),
        (b'{"kind":"call","scope":{"user_id":["zoe"]}}', False),
        (b'{"kind":"call","scope":"zoe"}', False),
        (b'["zoe"]', True),
    ],
)
def test_lines_that_are_not_quite_records_are_looked_at_leniently(tmp_path, line, gone):
    """What names the subject where a user stands goes; what is no record at all goes where it has the name in it."""
    path = tmp_path / file_name(0, 1, 1)
    path.write_bytes(line + b"\n" + b"{}\n")

    forget(tmp_path, ZOE)

    assert (b"" if gone else line + b"\n") + b"{}\n" == path.read_bytes()


@pytest.mark.parametrize("name", ['q"uo\\te', "größe", "line\nbreak", "\u2028", "*", "../..", "a\ud800"])
def test_an_id_may_be_any_text(make, send, tmp_path, name):
    """It is compared, never put into a pattern or a path."""
    lines = [make.call(id="theirs", scope=scope(name.encode("utf-8", "replace").decode())), make.call(id="mine", scope=scope("m"))]
    written(tmp_path, send, make.batch(*lines))

    forget(tmp_path, [Subject("user", name.encode("utf-8", "replace").decode()), Subject("user", name)])

    assert ["mine"] == ids(tmp_path)


# --- later -----------------------------------------------------------------------------------------------------------


def test_what_comes_late_is_not_written_and_counted(make, send, one, tmp_path):
    """With all that belongs to the request, whichever part comes first; others' records of the batch are written."""
    exporter = FileExporter(tmp_path)
    send(exporter, make.batch(*one("bob", "1")))
    forget(tmp_path, ZOE)

    said = refusing(send, exporter, make.batch(*one("zoe", "2"), *one("bob", "3")))
    call, step, _ = one("zoe", "4")
    refusing(send, exporter, make.batch(step))
    refusing(send, exporter, make.batch(call))

    assert ("forgotten", 3) == (said.reason, said.count)
    assert [f"{kind} {n}" for n in (1, 3) for kind in ("call", "step", "request")] == ids(tmp_path)
    assert b"zoe" not in all_bytes(tmp_path)


def test_the_list_says_nothing_about_whom_it_names(make, send, tmp_path):
    """Hashes with a key: the same subject stands differently in every directory."""
    lists = []
    for name in "ab":
        (tmp_path / name).mkdir()
        forget(tmp_path / name, ZOE)
        lists.append((tmp_path / name / LIST).read_text())

    assert lists[0] != lists[1]
    assert [33, 33] == [len(text) for text in lists]
    assert "zoe" not in "".join(lists)


def test_who_is_lifted_off_the_list_is_written_again(make, send, one, tmp_path):
    """What was removed stays removed; the others on the list stay there."""
    exporter = FileExporter(tmp_path)
    send(exporter, make.batch(*one("zoe", "1")))
    forget(tmp_path, [*ZOE, Subject("user", "bob")])

    counts = [lift(tmp_path, ZOE), lift(tmp_path, ZOE)]
    send(exporter, make.batch(*one("zoe", "2")))
    refusing(send, exporter, make.batch(*one("bob", "3")))

    assert ([1, 0], ["call 2", "step 2", "request 2"]) == (counts, ids(tmp_path))


def test_a_list_that_cannot_be_read_lets_nothing_be_written(make, send, one, tmp_path):
    """Without its key nobody knows who is on it: records wait."""
    forget(tmp_path, ZOE)
    key = (tmp_path / KEY).read_bytes()
    (tmp_path / KEY).unlink()
    exporter = FileExporter(tmp_path)

    with pytest.raises(RetryLater, match="No such file"):
        send(exporter, make.batch(*one("bob", "1")))
    (tmp_path / KEY).write_bytes(key)
    send(exporter, make.batch(*one("bob", "1")))

    assert 3 == len(ids(tmp_path))


def test_without_a_list_everything_is_written(make, one, tmp_path):
    """Also when there was one."""
    forget(tmp_path, ZOE)
    sieve, fd, batch = Sieve(), opened(tmp_path), make.batch(*one("zoe", "1"))
    with_it = list(sieve.kept(fd, batch))
    (tmp_path / LIST).unlink()

    assert ([], batch.lines) == (with_it, sieve.kept(fd, batch))
    os.close(fd)


def test_the_requests_that_are_remembered_are_bounded():
    """The longest known goes first."""
    joined = Joined(2)
    records = [_forget.belonging(b'{"kind":"call","trace_id":"t","request_id":"%d"}' % n) for n in range(3)]
    for record in records:
        joined.add(record)

    assert [False, True, True] == [record in joined for record in records]


# --- beside others ---------------------------------------------------------------------------------------------------


def test_a_file_that_is_being_written_is_taken_over(make, send, one, tmp_path):
    """Its writer goes on in a new file, and what he still has open of the old one is empty."""
    exporter = FileExporter(tmp_path)
    send(exporter, make.batch(*one("zoe", "1"), *one("bob", "2")))
    first, number = exporter.path, exporter._file._fd

    forget(tmp_path, ZOE)
    still_open = os.fstat(number).st_size
    send(exporter, make.batch(*one("bob", "3")))

    assert (0, False) == (still_open, first.exists())
    assert [f"{kind} {n}" for n in (2, 3) for kind in ("call", "step", "request")] == ids(tmp_path)


def test_records_wait_while_files_change_hands(make, send, one, tmp_path, monkeypatch):
    """For a moment as a rule; when it takes longer, the batch comes back."""
    import llm_observe.exporters.file as module

    monkeypatch.setattr(module, "_TURNS", 2)
    exporter = FileExporter(tmp_path)
    fd = opened(tmp_path)
    with _forget._writers_waiting(fd, tmp_path), pytest.raises(RetryLater, match=r"another process changes files.*forget"):
        send(exporter, make.batch(make.call()))

    send(exporter, make.batch(make.call()))

    assert ["call-1"] == ids(tmp_path)
    os.close(fd)


def test_writers_are_waited_for(tmp_path):
    """Who writes a batch finishes it first; if he never does, that is said."""
    writer, other = opened(tmp_path), opened(tmp_path)
    assert may_write(writer)
    instants = iter([0.0, 1.0, 11.0])

    with pytest.raises(ObserveError, match="without a pause"), _forget._writers_waiting(other, tmp_path, now=lambda: next(instants)):
        pass

    leave(writer)
    with _forget._writers_waiting(other, tmp_path):
        pass
    leave(other)


def test_two_do_not_forget_at_the_same_time(tmp_path):
    """One would put back what the other removes."""
    fd = opened(tmp_path)
    with _forget._alone(fd, tmp_path), pytest.raises(ObserveError, match="try again when it has finished"):
        forget(tmp_path, ZOE)
    os.close(fd)


def test_without_locks_nothing_is_touched(make, send, one, tmp_path, monkeypatch):
    """Nobody could keep writers away meanwhile."""
    written(tmp_path, send, make.batch(*one("zoe", "1")))

    def flock(fd, operation):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(_forget.fcntl, "flock", flock)
    with pytest.raises(ObserveError, match="has no locks"):
        forget(tmp_path, ZOE)

    assert 3 == len(ids(tmp_path))


def test_a_file_that_vanishes_meanwhile_is_no_matter(make, send, one, tmp_path, monkeypatch):
    """A writer may make room, also between counting and rewriting."""
    written(tmp_path, send, make.batch(*one("zoe", "1")))
    gone = tmp_path / file_name(0, 1, 1)
    monkeypatch.setattr(_forget, "record_files", lambda directory: [gone, *record_files(directory)])
    count = _forget._count

    def and_away(path, choice):
        removed = count(path, choice)
        path.unlink(missing_ok=True)
        return removed

    monkeypatch.setattr(_forget, "_count", and_away)

    assert 1 == len(forget(tmp_path, ZOE))


def test_what_was_broken_off_is_finished_the_next_time(make, send, one, tmp_path, monkeypatch):
    """Every file is there, old or new, and what was begun leaves nothing."""
    for batch in (one("zoe", "1"), one("bob", "2") + one("zoe", "3")):
        written(tmp_path, send, make.batch(*batch))
    with monkeypatch.context() as patched:
        patched.setattr(_forget.os, "utime", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            forget(tmp_path, ZOE)
    between = len(ids(tmp_path))

    forget(tmp_path, ZOE)

    assert (9, ["call 2", "step 2", "request 2"]) == (between, ids(tmp_path))
    assert not [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize("name", [LIST, KEY])
def test_a_link_in_place_of_the_list_is_not_followed(make, send, one, tmp_path, name):
    """Nor the key's: neither read from elsewhere nor written to there."""
    directory = tmp_path / "r"
    directory.mkdir()
    forget(directory, ZOE)
    (directory / name).unlink()
    (tmp_path / "elsewhere").write_bytes(b"")
    (directory / name).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic links"):
        forget(directory, [Subject("user", "bob")])

    assert b"" == (tmp_path / "elsewhere").read_bytes()


WRITER = """
import sys, anyio, json
from datetime import UTC, datetime
from pathlib import Path
from llm_observe.errors import Rejected, RetryLater
from llm_observe.exporters.file import FileExporter
from llm_observe.protocols import Batch
from llm_observe.records import Step, ScopeInfo
import msgspec
exporter = FileExporter(sys.argv[1], max_bytes=30_000)
async def main():
    kept = left_out = n = 0
    going = False
    while n < 50 or not stop.exists():
        records = [
            Step(id=f"{sys.argv[2]}-{n}-{user}", trace_id=user * 8, span_id="1" * 16, started_at=datetime.now(UTC), duration=0.1, name="x" * 50,
                 status="ok", request_id=f"{n}", scope=ScopeInfo(user_id=user))
            for user in ("zoe1", "bob2")
        ]
        batch = Batch(str(n), records, [msgspec.json.encode(record) for record in records])
        try:
            await exporter.export(batch)
            kept += 2
            n += 1
        except Rejected as error:
            kept += 2 - error.count
            left_out += error.count
            n += 1
        except RetryLater:
            await anyio.sleep(0.01)
        if n == 20 and not going:
            going = True
            print("going", flush=True)
    print(json.dumps([n, kept, left_out]))
stop = Path(sys.argv[1] + ".stop")
anyio.run(main)
"""


def test_while_others_write_nothing_of_anybody_else_is_lost(other, tmp_path):
    """Two processes write of two users when one user is forgotten, and go on: all of the other is there once, of him no byte."""
    writers = [other.python(WRITER, tmp_path / "r", name) for name in "xy"]
    for writer in writers:
        assert "going\n" == writer.stdout.readline()

    removed = forget(tmp_path / "r", [Subject("user", "zoe1")])
    again = forget(tmp_path / "r", [Subject("user", "zoe1")])
    (tmp_path / "r.stop").touch()
    done = [json.loads(other.finished(writer).split("\n")[-2]) for writer in writers]

    assert sorted(f"{name}-{n}-bob2" for name, (count, _, _) in zip("xy", done, strict=True) for n in range(count)) == sorted(
        ids(tmp_path / "r")
    )
    assert b"zoe1" not in all_bytes(tmp_path / "r")
    assert [] == again
    assert sum(count for count, _, _ in done) == sum(part.kinds.total() for part in removed) + sum(left for _, _, left in done)


@pytest.mark.parametrize(("age", "expected"), [(0, False), (60, True), (-60, True)], ids=["now", "long ago", "in the future"])
def test_a_writer_waits_for_who_waits_for_writers(tmp_path, age, expected):
    """Else two writers that never pause at once would keep him out. One who was killed is waited for no longer than half a minute."""
    (tmp_path / WAITING).touch()
    then = time.time() - age
    os.utime(tmp_path / WAITING, (then, then))
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert expected == may_write(fd)
    finally:
        leave(fd)


def test_killed_at_any_moment_it_can_be_done_again(make, send, one, other, tmp_path):
    """Nothing of anybody else is lost, whenever it was; the second time all of the subject is gone."""
    code = (
        "import sys; from pathlib import Path; from llm_observe.exporters._forget import forget; from llm_observe.exporters._forgotten import Subject\n"
        "print('go', flush=True); forget(Path(sys.argv[1]), [Subject('user', 'zoe')])"
    )
    for turn in range(6):
        directory = tmp_path / str(turn)
        for n in range(30):
            written(directory, send, make.batch(*one("zoe", f"{n}"), *one("bob", f"b{n}")))
        process = other.python(code, directory)
        process.stdout.readline()
        anyio.run(anyio.sleep, random.uniform(0.0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        between = {name for name in ids(directory) if " b" in name}

        forget(directory, ZOE)

        wanted = sorted(f"{kind} b{n}" for n in range(30) for kind in ("call", "step", "request"))
        assert (wanted, wanted) == (sorted(between), sorted(ids(directory)))
        assert b"zoe" not in all_bytes(directory)
