"""Somebody is taken out of a spool, whether the process that writes it lives or not."""

from collections import Counter
from types import SimpleNamespace

import msgspec
import pytest

from llm_observe import cli, scope, tag
from llm_observe._runtime import frames
from llm_observe._runtime.encode import encode
from llm_observe._runtime.parcel import Parcel
from llm_observe._runtime.spool import segments
from llm_observe.errors import ObserveError
from llm_observe.exporters import read_records
from llm_observe.exporters._forget import Choice
from llm_observe.exporters._forget_spool import blank, look
from llm_observe.exporters._forgotten import Subject
from llm_observe.records import ScopeInfo

ZOE = [Subject("user", "zoe")]


@pytest.fixture
def of(make):
    """Makes a record of a user's request, the user being known or not."""

    def parcel(n, user, *, known=True):
        record = make.parcel(n).record
        info = ScopeInfo(user_id=user if known else None, tags={"canary": f"canary of {user}"})
        record = msgspec.structs.replace(record, scope=info, request_id=f"r-{user}")
        return Parcel(record, encode(record))

    return parcel


@pytest.fixture
def everything(files):
    """All bytes of all segments."""
    return lambda: b"".join(path.read_bytes() for path in files())


def keep(spool, *parcels):
    """Have *spool* hold *parcels*, on disk only."""
    kept = spool.keep(parcels)
    spool.behind += len(kept)
    return kept


def forget(root, **options):
    """Blank what is zoe's."""
    choice = Choice(ZOE)
    look(root, choice)
    return blank(root, choice, **options)


def test_of_a_process_that_is_gone_the_others_records_are_taken_over(spool, make, of, files, everything):
    """In their order; of the subject no byte is left, and what went is counted as forgotten."""
    dead = spool()
    keep(dead, of(1, "zoe", known=False), of(2, "bob"), of(3, "zoe"), of(4, "bob"))
    dead.release()
    size = files()[0].stat().st_size

    [removed] = forget(spool().root)
    loaded = (after := spool()).load(orphans=True)

    assert (Counter(step=2), f"told/{files()[0].name}") == (removed.kinds, removed.name)
    assert (["2", "4"], 2, "forgotten") == ([one.record.id for one in loaded.parcels], loaded.lost, loaded.reason)
    assert (size, True) == (files()[0].stat().st_size, b"canary of bob" in everything())
    assert b"zoe" not in everything()
    after.settle(loaded.parcels)
    assert [] == files()


def test_while_its_process_lives_a_spool_goes_on(spool, make, of, everything):
    """Its writer knows records by their place: what is written later is found, and arrives."""
    alive = spool()
    keep(alive, of(1, "zoe"), of(2, "bob"))

    forget(alive.root)
    keep(alive, of(3, "bob"))
    found = make.drained(alive)

    assert ([2, 3], 1) == (found.names, found.lost)
    assert b"zoe" not in everything()


def test_a_dry_run_changes_nothing(spool, of, everything):
    """It says the same."""
    one = spool()
    keep(one, of(1, "zoe"), of(2, "bob"))
    before = everything()

    [removed] = forget(one.root, dry_run=True)

    assert (1, before) == (removed.kinds.total(), everything())


def test_twice_is_once(spool, of):
    """What is blank is nobody's."""
    one = spool()
    keep(one, of(1, "zoe"))
    forget(one.root)

    assert [] == forget(one.root)


@pytest.mark.parametrize("place", ["between", "at the end"])
def test_what_is_damaged_goes_when_it_names_the_subject(spool, make, of, files, everything, place):
    """It is no record any more, but its words are there. What is behind it is found as before."""
    dead = spool()
    keep(dead, *[of(n, "zoe" if n == 2 else "bob") for n in (1, 2, *([3] if place == "between" else []))])
    dead.release()
    [path] = files()
    data = bytearray(path.read_bytes())
    data[data.index(b'"id":"2"')] ^= 1
    path.write_bytes(data)

    [removed] = forget(dead.root)
    found = make.drained(spool())

    assert (1, [1, 3] if place == "between" else [1], 1) == (removed.unreadable, found.names, found.lost)
    assert b"zoe" not in everything()


def test_the_end_of_what_is_being_written_is_left_alone(spool, of, files):
    """It may be half a record that will be whole in a moment."""
    alive = spool()
    keep(alive, of(1, "bob"))
    torn = frames.frame(of(2, "zoe").line, 1)[:-5]
    with files()[0].open("ab") as file:
        file.write(torn)

    assert [] == forget(alive.root)
    assert files()[0].read_bytes().endswith(torn)


def test_another_versions_segments_are_named(spool, of, files):
    """They cannot be looked into: whoever asks has to know. All others are seen to."""
    for n in (1, 2):
        one = spool()
        keep(one, of(n, "zoe"))
        one.release()
    head = frames.MAGIC + bytes([9])
    first, second = files()
    first.write_bytes(head + frames.crc32(head).to_bytes(4, "little") + bytes(40))

    with pytest.raises(ObserveError, match=f"{first.name} is another version's and was left alone"):
        forget(one.root)

    assert b"zoe" not in second.read_bytes()


def test_what_is_no_segment_is_passed_over(spool, of, files, tmp_path):
    """A file that has just been made, a directory, a link, a file of another name."""
    one = spool()
    keep(one, of(1, "zoe"))
    (one.directory / "00000000000000000000-1-1.spool").touch()
    (one.directory / "00000000000000000000-1-2.spool").mkdir()
    (one.directory / "00000000000000000000-1-3.spool").symlink_to(tmp_path / "notes.txt")
    (tmp_path / "notes.txt").write_text("zoe")

    assert 4 == len(segments(one.root))
    assert 1 == len(forget(one.root))
    assert "zoe" == (tmp_path / "notes.txt").read_text()
    assert [] == blank(tmp_path / "none", Choice(ZOE))


def test_the_command_looks_into_files_and_spools_alike(observe, tmp_path, monkeypatch, capsys):
    """An exporter that is down keeps its records in the spool: they go with those in the files, and do not come back."""
    down = SimpleNamespace(__name__="down", export=lambda batch: 1 / 0)
    monkeypatch.chdir(tmp_path)
    observer = observe("file", down, spool=True)
    with observer:
        for user in ("zoe", "bob"):
            with scope("job", observer=observer, canary=f"canary of {user}"):
                tag(user=user)
        observer.flush(0.5)
    monkeypatch.setenv("LLM_OBSERVE_SPOOL", "true")

    code = cli.main(["forget", "--user", "zoe"])
    lines = capsys.readouterr().out.splitlines()

    assert (0, 6) == (code, len(lines))
    assert "1 record in 1 file of .llm-observe removed; none will be written there again." == lines[2]
    assert "1 record in 1 file of .llm-observe/spool removed." == lines[5]
    assert b"zoe" not in b"".join(path.read_bytes() for path in (tmp_path / ".llm-observe").rglob("*") if path.is_file())
    assert ["bob"] == [record.scope.user_id for record in read_records()]
    came = []
    again = observe("file", SimpleNamespace(__name__="down", export=came.extend), spool=True)
    with again:
        with scope("later", observer=again):
            pass
        assert again.flush(60)
    assert "zoe" not in {record.scope.user_id for record in came}
