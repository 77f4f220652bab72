"""`llm-observe tail`."""

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from llm_observe.cli.tail import add_arguments, run
from llm_observe.exporters._files import file_name
from llm_observe.exporters._line import line
from llm_observe.records import Call, Operation, Provider, Step

NOW = datetime.now(UTC).replace(microsecond=0)


def a_record(id: str, ended: float = 0.0, **changes):
    """A call or a step that ended *ended* seconds from now."""
    facts = {"id": id, "trace_id": "0" * 32, "span_id": "1" * 16, "duration": 2.0, "name": id, "status": "ok"} | changes
    facts["started_at"] = NOW + timedelta(seconds=ended - facts["duration"])
    if facts.pop("kind", "step") == "step":
        return Step(**facts)
    return Call(operation=Operation(name="chat"), provider=Provider(name="openai"), **facts)


def write(directory, number: int, *records, pid: int = 1, end: bytes = b"\n"):
    """Append *records* to a record file."""
    directory.mkdir(exist_ok=True)
    path = directory / file_name(0, pid, number)
    with path.open("ab") as file:
        for record in records:
            file.write((record if isinstance(record, bytes) else msgspec.json.encode(record)) + end)
    return path


def tail(*arguments: object, then=()) -> tuple[int, list[str]]:
    """The exit code and the lines of `llm-observe tail`, doing what *then* says between two looks, and Ctrl-C in the end."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    todo = list(then)

    def sleep(seconds):
        if not todo:
            raise KeyboardInterrupt
        todo.pop(0)()

    out = io.StringIO()
    code = run(parser.parse_args([*map(str, arguments)]), out=out, sleep=sleep)
    return code, out.getvalue().splitlines()


def ids(lines: list[str]) -> list[str]:
    """The ids of JSON lines."""
    return [json.loads(text)["id"] for text in lines]


def test_the_last_records_are_shown_in_the_order_they_ended(tmp_path):
    """Whichever process wrote them, and in whatever order."""
    write(tmp_path, 1, a_record("b", 2), a_record("a", 1), a_record("e", 5), pid=1)
    write(tmp_path, 1, a_record("d", 4), a_record("c", 3), pid=2)

    code, lines = tail(tmp_path, "-n", 3, "--json", "--no-follow")

    assert (0, ["c", "d", "e"]) == (code, ids(lines))


def test_ten_are_shown_unless_told_otherwise(tmp_path):
    """A screen has room for more, a glance has not."""
    write(tmp_path, 1, *[a_record(f"{n:02d}", n) for n in range(30)])

    assert [f"{n:02d}" for n in range(20, 30)] == ids(tail(tmp_path, "--json", "--no-follow")[1])


def test_records_are_shown_as_the_terminal_shows_them(tmp_path):
    """The same line as the stdout exporter's."""
    record = a_record("a", kind="call", request_id="r")
    write(tmp_path, 1, record)

    assert [line(record)] == tail(tmp_path, "--no-follow")[1]


def test_nothing_in_a_record_reaches_the_terminal(tmp_path):
    """Neither as a line nor as JSON."""
    write(tmp_path, 1, a_record("a", name="\x1b[2J\x9b\u202e\x7f"))

    assert [] == [
        c
        for text in tail(tmp_path, "--no-follow")[1] + tail(tmp_path, "--no-follow", "--json")[1]
        for c in text
        if c in "\x1b\x9b\u202e\x7f"
    ]


def test_only_one_kind_may_be_asked_for(tmp_path):
    """Calls, without the steps around them."""
    write(tmp_path, 1, a_record("a"), a_record("b", kind="call"), a_record("c"))

    assert ["b"] == ids(tail(tmp_path, "--kind", "call", "--json", "--no-follow")[1])


def test_only_one_request_may_be_asked_for(tmp_path):
    """All that belongs to it, then and later."""
    write(tmp_path, 1, a_record("a", request_id="r1"), a_record("b", request_id="r2"))
    more = lambda: write(tmp_path, 1, a_record("c", request_id="r2"), a_record("d", request_id="r1"))  # noqa: E731

    assert ["b", "c"] == ids(tail(tmp_path, "--request-id", "r2", "--json", then=[more])[1])


def test_new_records_are_shown_as_they_come(tmp_path):
    """From every file, those of new processes and of a rotation too, each once."""
    write(tmp_path, 1, a_record("a"))
    then = [
        lambda: write(tmp_path, 1, a_record("b")),
        lambda: None,
        lambda: (write(tmp_path, 2, a_record("d", 2)), write(tmp_path, 1, a_record("c", 1), pid=7)),
        lambda: write(tmp_path, 2, a_record("e")),
    ]

    code, lines = tail(tmp_path, "--json", then=then)

    assert (0, list("abcde")) == (code, ids(lines))


def test_with_none_of_the_earlier_ones_only_new_records_are_shown(tmp_path):
    """`-n 0`."""
    write(tmp_path, 1, a_record("a"))

    assert ["b"] == ids(tail(tmp_path, "-n", 0, "--json", then=[lambda: write(tmp_path, 1, a_record("b"))])[1])


def test_half_a_line_is_waited_for(tmp_path):
    """A record is shown when it is whole."""
    encoded = msgspec.json.encode(a_record("a"))
    write(tmp_path, 1, encoded[:40], end=b"")

    assert ["a"] == ids(tail(tmp_path, "--json", then=[lambda: write(tmp_path, 1, encoded[40:])])[1])


def test_files_may_be_deleted_and_cut_meanwhile(tmp_path):
    """Rotation deletes the oldest; a batch that did not fit is taken back."""
    first, second = write(tmp_path, 1, a_record("a")), write(tmp_path, 2, a_record("b"))
    then = [first.unlink, lambda: os.truncate(second, 0), lambda: write(tmp_path, 2, a_record("c"))]

    assert ["a", "b", "c"] == ids(tail(tmp_path, "--json", then=then)[1])


def test_a_file_that_vanishes_between_two_looks_is_no_error(tmp_path, monkeypatch):
    """It was there in the listing, and is not when it is opened."""
    import llm_observe.cli.tail as module

    gone = write(tmp_path, 1, a_record("a"))
    write(tmp_path, 2, a_record("b"))
    real = module.new_lines

    def vanishing(path, offset):
        if path == gone:
            gone.unlink()
        return real(path, offset)

    monkeypatch.setattr(module, "new_lines", vanishing)

    assert ["b"] == ids(tail(tmp_path, "--json", "--no-follow")[1])


def test_old_files_are_not_read_without_need(tmp_path, monkeypatch):
    """What was written long before the tenth last record cannot be among the last ten; what comes to it later is shown."""
    import llm_observe.cli.tail as module

    old = write(tmp_path, 1, a_record("old", -3000))
    os.utime(old, (time.time() - 3000,) * 2)
    write(tmp_path, 2, *[a_record(f"{n}", n) for n in range(10)])
    read, real = [], module.new_lines
    monkeypatch.setattr(module, "new_lines", lambda path, offset: read.append((path, offset > 0)) or real(path, offset))

    lines = tail(tmp_path, "--json", then=[lambda: write(tmp_path, 1, a_record("late"))])[1]

    assert ("late", [(old, True)]) == (ids(lines)[-1], [one for one in read if one[0] == old])


def test_what_is_no_record_is_passed_over(tmp_path):
    """Torn lines, other JSON, dates beyond the calendar."""
    odd = [b"{", b"[]", b'{"kind":"call"}', b"[" * 100_000, b'{"kind":"call","started_at":"0001-01-01T00:00:00"}']
    write(tmp_path, 1, *odd, a_record("a"))

    assert ["a"] == ids(tail(tmp_path, "--json", "--no-follow")[1])


def test_kinds_of_a_later_version_are_shown_as_json_only(tmp_path):
    """They can be passed on, if not read."""
    write(tmp_path, 1, b'{"kind":"session","id":"s","started_at":"2026-11-24T12:00:00Z"}')

    assert (["s"], []) == (ids(tail(tmp_path, "--json", "--no-follow")[1]), tail(tmp_path, "--no-follow")[1])


def test_without_a_directory_there_is_nothing_to_show(tmp_path, capsys):
    """One clear line, exit code 2."""
    code, _ = tail(tmp_path / "none", "--no-follow")

    assert (2, 1) == (code, len(capsys.readouterr().err.splitlines()))


def test_a_directory_that_is_not_there_yet_is_waited_for(tmp_path, capsys):
    """The app may be started afterwards."""
    code, lines = tail(tmp_path / "r", "--json", then=[lambda: write(tmp_path / "r", 1, a_record("a"))])

    assert (0, ["a"]) == (code, ids(lines))
    assert f"waiting for {tmp_path / 'r'}" in capsys.readouterr().err


def test_an_empty_directory_says_so(tmp_path, capsys):
    """Rather than nothing at all."""
    code, lines = tail(tmp_path, "--no-follow")

    assert (0, [], f"llm-observe tail: nothing to show in {tmp_path}\n") == (code, lines, capsys.readouterr().err)


def test_the_directory_of_the_settings_is_the_default(tmp_path, monkeypatch):
    """Where the app of the same environment writes."""
    monkeypatch.setenv("LLM_OBSERVE_DIRECTORY", str(tmp_path))
    write(tmp_path, 1, a_record("a"))

    assert ["a"] == ids(tail("--json", "--no-follow")[1])


def test_what_cannot_be_read_is_said(tmp_path, capsys, monkeypatch):
    """Another user's records: one line, exit code 2."""
    import llm_observe.cli.tail as module

    def denied(path, offset):
        raise PermissionError(13, "Permission denied", str(path))

    path = write(tmp_path, 1, a_record("a"))
    monkeypatch.setattr(module, "new_lines", denied)
    code, _ = tail(tmp_path, "--no-follow")

    assert (2, f"llm-observe tail: cannot read {path}: Permission denied.\n") == (code, capsys.readouterr().err)


@pytest.mark.parametrize("number", ["-1", "many", "1.5"])
def test_a_number_that_is_none_is_refused(tmp_path, capsys, number):
    """By the command line itself."""
    with pytest.raises(SystemExit):
        tail(tmp_path, f"--lines={number}")

    assert "expected a number of records" in capsys.readouterr().err


PROGRAM = "import sys, argparse; from llm_observe.cli.tail import *; p = argparse.ArgumentParser(); add_arguments(p); sys.exit(run(p.parse_args()))"


@pytest.fixture
def program(tmp_path):
    """`llm-observe tail` as a process of its own that follows a directory with one record in it."""
    write(tmp_path, 1, a_record("a"))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process


def test_ctrl_c_is_the_way_to_end_it(program, tmp_path):
    """Exit code 0, not a word on stderr, and all that came is shown."""
    first = program.stdout.readline()
    write(tmp_path, 1, a_record("b"))
    second = program.stdout.readline()
    program.send_signal(signal.SIGINT)

    assert ["a", "b"] == ids([first, second])
    assert (0, "") == (program.wait(20), program.stderr.read())


def test_a_reader_that_has_read_enough_is_the_other_way(program, tmp_path):
    """`| head -1`."""
    program.stdout.readline()
    program.stdout.close()
    write(tmp_path, 1, a_record("b"))

    assert (0, "") == (program.wait(20), program.stderr.read())
