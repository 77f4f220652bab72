"""`llm-observe forget`."""

import argparse
import io

import pytest

from llm_observe import Observer, cli, record_call, scope, step, tag
from llm_observe.cli.forget import add_arguments, run
from llm_observe.exporters import FileExporter, read_records
from llm_observe.exporters._files import file_name


def recorded(directory, *users, session=None):
    """Have an app write of *users* to *directory*: of each a request with a step and a call in it."""
    with Observer(exporters=[FileExporter(directory)], strict=True) as observer:
        for user in users:
            with scope("POST /chat", observer=observer):
                with step("retrieval"), record_call("small", provider="local", input=f"canary of {user}") as call:
                    call.output = "Hello"
                tag(user=user, session=session)


def forget(*arguments: object) -> tuple[int, list[str]]:
    """The exit code and the lines of `llm-observe forget`."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    out = io.StringIO()
    code = run(parser.parse_args([*map(str, arguments)]), out=out)
    return code, out.getvalue().splitlines()


def refused(capsys, *arguments: object) -> str:
    """What `llm-observe forget` complains of, in one line."""
    assert 2 == cli.main(["forget", *map(str, arguments)])
    said = capsys.readouterr()
    assert ("", 1) == (said.out, said.err.count("\n"))
    return said.err


def everything(directory) -> bytes:
    """All bytes of all files in *directory*."""
    return b"\n".join(path.read_bytes() for path in directory.iterdir())


def test_a_user_is_removed_and_it_is_said_what_went(tmp_path):
    """By file and kind; the canary is in no byte any more, and the other user's records are there."""
    recorded(tmp_path, "ada", "bob", "ada")
    [path] = tmp_path.glob("*.jsonl")
    before = path.stat().st_size

    code, lines = forget(tmp_path, "--user", "ada")

    assert (0, 3) == (code, len(lines))
    assert ["file", "requests", "calls", "steps", "bytes"] == lines[0].split()
    assert [path.name, "2", "2", "2", f"{before - path.stat().st_size:,}"] == lines[1].split()
    assert f"6 records in 1 file of {tmp_path} removed; none will be written there again." == lines[2]
    assert b"canary of ada" not in everything(tmp_path)
    assert {"bob"} == {record.scope.user_id for record in read_records(tmp_path) if record.scope.user_id}
    assert 3 == len(list(read_records(tmp_path)))


def test_a_dry_run_says_the_same_and_removes_nothing(tmp_path):
    """To look before one leaps."""
    recorded(tmp_path, "ada")
    before = everything(tmp_path)

    code, lines = forget(tmp_path, "--user", "ada", "--dry-run")

    assert (0, f"3 records in 1 file of {tmp_path} would be removed.", before) == (code, lines[-1], everything(tmp_path))


def test_nothing_found_is_said_and_is_no_failure(tmp_path):
    """Who asks in several places is not stopped by one that has nothing."""
    code, lines = forget(tmp_path, "--user", "nobody")

    assert (0, [f"0 records in 0 files of {tmp_path} removed; none will be written there again."]) == (code, lines)


def test_sessions_requests_and_several_at_once(tmp_path):
    """Each option may be given more than once."""
    recorded(tmp_path, "ada", session="s1")
    recorded(tmp_path, "bob", "eve")
    asked = {record.scope.user_id: record.request_id for record in read_records(tmp_path)}

    forget(tmp_path, "--session", "s1", "--request", asked["bob"], "--request", asked["eve"])

    assert [] == list(read_records(tmp_path))


def test_an_apps_later_records_of_the_user_are_counted_and_not_written(tmp_path):
    """Until that is lifted; the law holds."""
    recorded(tmp_path, "ada")
    forget(tmp_path, "--user", "ada")
    with Observer(exporters=[FileExporter(tmp_path)]) as observer:
        for user in ("ada", "bob"):
            with scope("job", observer=observer):
                tag(user=user)
    stats = observer.stats().exporters["file"]
    with_it = [record.scope.user_id for record in read_records(tmp_path)]

    said = [forget(tmp_path, "--user", "ada", "--lift")[1] for _ in range(2)]
    recorded(tmp_path, "ada")

    assert ({"forgotten": 1}, 1, True) == (stats.dropped, stats.exported, stats.balanced)
    assert ["bob"] == with_it
    assert [
        [f"1 taken off the list of {tmp_path}: records are written again. What was removed does not come back."],
        [f"Nobody of that name was forgotten in {tmp_path}."],
    ] == said
    assert 4 == len(list(read_records(tmp_path)))


def test_lines_that_are_no_records_are_counted_apart(tmp_path):
    """With what a later version may have written under a name we do not know."""
    lines = [b'{"kind":"later","scope":{"user_id":"ada"}}', b'{"kind":"call","scope":{"user_id":"ada"', b"{}"]
    (tmp_path / file_name(0, 1, 1)).write_bytes(b"\n".join(lines))

    _, said = forget(tmp_path, "--user", "ada")

    assert ["file", "other", "unreadable", "bytes"] == said[0].split()
    assert ["1", "1"] == said[1].split()[1:3]
    assert said[2].startswith("2 records in 1 file")


def test_without_a_directory_it_looks_where_the_settings_write(tmp_path, monkeypatch):
    """In all the places that the environment names; only those that are there."""
    monkeypatch.chdir(tmp_path)
    for name in (".llm-observe", "a", "b"):
        recorded(tmp_path / name, "ada")

    by_default = forget("--user", "ada", "--dry-run")[1]
    monkeypatch.setenv("LLM_OBSERVE_EXPORTERS", "file:./a,stdout, file:./b?max_bytes=5000,file:./c,file:./a")
    named = forget("--user", "ada", "--dry-run")[1]

    assert [".llm-observe"] == [line.split()[6] for line in by_default if " would be removed" in line]
    assert [str(tmp_path / name) for name in "ab"] == [line.split()[6] for line in named if " would be removed" in line]


@pytest.mark.parametrize(
    "arguments", [[], ["--user", ""], ["--dry-run"], ["--user", "ada", "--session", ""]], ids=["nothing", "empty", "nobody", "half"]
)
def test_nobody_is_not_somebody(capsys, tmp_path, arguments):
    """One line, exit code 2, and no file is touched."""
    assert "expected whom to forget: --user ID, --session ID or --request ID." in refused(capsys, tmp_path, *arguments)
    assert [] == list(tmp_path.iterdir())


def test_what_cannot_be_done_is_said_in_a_line(capsys, tmp_path, monkeypatch):
    """No directory, a file, a link, two options that do not go together, no such option."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    asked = ["--user", "ada"]

    assert f"there is no directory {tmp_path / 'none'}. Name the one" in refused(capsys, tmp_path / "none", *asked)
    assert "not a directory" in refused(capsys, tmp_path / "file", *asked)
    assert "symbolic link" in refused(capsys, tmp_path / "link", *asked)
    assert "there is no directory .llm-observe. Name the one" in refused(capsys, *asked)
    assert "leave --dry-run out" in refused(capsys, tmp_path, *asked, "--lift", "--dry-run")
    monkeypatch.setenv("LLM_OBSERVE_EXPORTERS", "stdout")
    assert "there is no directory this environment's settings write to." in refused(capsys, *asked)


def test_no_name_can_move_the_cursor(capsys, tmp_path):
    """Neither a directory's nor an option's."""
    (tmp_path / "\x1b]0;x\x07\u202e").mkdir()

    [line] = forget(tmp_path / "\x1b]0;x\x07\u202e", "--user", "\x1b[2J")[1]
    said = refused(capsys, tmp_path / "\x9b1A", "--user", "\x1b[2J")

    assert r"\x1b]0;x\x07\u202e" in line
    assert r"\x9b1A" in said
    assert {"\n"} >= {sign for sign in line + said if not sign.isprintable()}
