"""`llm-observe demo`: what it prints, what it leaves, how it ends."""

import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from llm_observe import Observer
from llm_observe.cli import main
from llm_observe.cli._summary import Sent, milliseconds, show
from llm_observe.cli.demo import served
from llm_observe.errors import ObserveError, Rejected
from llm_observe.exporters import read_records
from llm_observe.exporters.file import FileExporter
from llm_observe.exporters.memory import MemoryExporter
from llm_observe.records import Attempt, Call, CallRequest, CallResponse, CallTotals, Error, Operation, Provider, Request, Usage, Wire

COMMAND = [sys.executable, "-m", "llm_observe", "demo"]
CALM = {name: value for name, value in os.environ.items() if not name.startswith("LLM_OBSERVE_")} | {
    "PYTHONUNBUFFERED": "1",
    "TERM": "xterm",
}


@pytest.fixture(autouse=True)
def a_folder_of_its_own(monkeypatch, tmp_path):
    """The demo's default directory is below the working directory, and it sets NO_PROXY."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")


@pytest.fixture(scope="module", autouse=True)
def interruptible():
    """Have Ctrl-C mean what it means in a terminal: whatever started these tests may have it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def piped(tmp_path_factory):
    """A run in a process of its own, its output piped: the folder, and how it ended."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [*COMMAND, "--requests", "60"],
        cwd=folder,
        env=CALM | {"COLUMNS": "80", "HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return folder, done


# --- what it prints --------------------------------------------------------------------------------------------------


def test_it_ends_well(piped):
    """With everything on record the exit code is 0, and stderr is empty; a proxy in the environment is not asked."""
    _, done = piped

    assert (0, "") == (done.returncode, done.stderr)


def test_it_says_that_nothing_is_missing(piped):
    """What the client sent and the provider saw is held against what is on record."""
    folder, done = piped
    records = list(read_records(folder / ".llm-observe"))
    calls = [record for record in records if isinstance(record, Call)]
    attempts = sum(len(call.attempts) for call in calls)

    assert "60 requests sent to the app, 60 on record.\n" in done.stdout
    assert f"{attempts} HTTP attempts seen by the provider, {attempts} on record, in {len(calls)} calls.\n" in done.stdout
    assert f"Exporter file: {len(records)} of {len(records)} records written, lost: none.\n" in done.stdout


@pytest.mark.parametrize(
    "model", ["fake-broken-stream", "fake-cached", "fake-echo", "fake-flaky-429", "fake-invalid-key", "fake-thinking", "fake-tools"]
)
def test_it_names_each_model_in_full(piped, model):
    """In 80 columns no model's name is cut off."""
    assert re.search(rf"^{model} +(openai|anthropic) ", piped[1].stdout, re.MULTILINE)


def test_it_shows_what_went_wrong(piped):
    """Errors are listed by model, with the status and the word the provider or the client has for them."""
    said = piped[1].stdout

    assert re.search(r"^fake-invalid-key +\d+ +401 +[a-z_]+ *$", said, re.MULTILINE), said
    assert re.search(r"^fake-broken-stream +\d+ +200 +RemoteProtocolError *$", said, re.MULTILINE), said


def test_it_is_plain_where_it_is_piped(piped):
    """A file or a pipe gets no escape sequences and no progress bar, and no line but commands is wider than 80."""
    said = piped[1].stdout

    assert "\x1b" not in said
    assert [] == [line for line in said.splitlines() if len(line) > 80 and not line.startswith("    llm-observe")]


def test_each_command_it_names_works(piped, monkeypatch, capsys):
    """The hints at the end can be pasted as they are."""
    folder, done = piped
    monkeypatch.chdir(folder)
    hints = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("    llm-observe ")]

    assert 3 == len(hints)
    for _, *arguments in hints:
        assert 0 == main(arguments)
        assert capsys.readouterr().out


def test_its_example_of_a_request_has_a_retry(piped, monkeypatch, capsys):
    """The request it names is one whose call took more than one attempt."""
    folder, done = piped
    monkeypatch.chdir(folder)
    main(["tail", "--no-follow", "--request-id", re.search(r"--request-id (\S+)", done.stdout)[1]])

    assert "2 attempts" in capsys.readouterr().out


def test_it_shows_progress_on_a_terminal():
    """On a terminal there is a bar while the requests are sent."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--requests", "3"], env=CALM | {"COLUMNS": "100"}, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    try:
        while data := os.read(ours, 65536):
            said += data
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)

    assert 0 == process.wait(60), said.decode()
    assert b"Sending 3 requests, 8 at a time" in said
    assert b"3/3" in said


# --- what it leaves --------------------------------------------------------------------------------------------------


def test_a_second_run_sums_up_itself(capsys):
    """The directory keeps what it had, and only what is new is counted."""
    assert 0 == main(["demo", "--requests", "3", "--directory", "kept"])
    first = list(read_records("kept"))
    capsys.readouterr()

    assert 0 == main(["demo", "--requests", "2", "--directory", "kept"])
    assert "2 requests sent to the app, 2 on record.\n" in capsys.readouterr().out
    assert first == list(read_records("kept"))[: len(first)]


def test_the_directory_is_the_settings(monkeypatch):
    """Without `--directory` the records go where the environment says."""
    monkeypatch.setenv("LLM_OBSERVE_DIRECTORY", "elsewhere")

    assert 0 == main(["demo", "--requests", "1"])
    assert [Path("elsewhere")] == list(Path().iterdir())


def test_it_records_where_recording_is_off(monkeypatch):
    """Who asks for a demo gets one, also with LLM_OBSERVE_ENABLED=0."""
    monkeypatch.setenv("LLM_OBSERVE_ENABLED", "0")

    assert 0 == main(["demo", "--requests", "1"])
    assert list(read_records())


def test_it_leaves_no_thread_and_no_port(capsys):
    """Afterwards the app and the provider are gone."""
    main(["demo", "--requests", "2"])
    ports = [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", capsys.readouterr().out)]

    assert 2 == len(ports)
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    assert [] == [thread.name for thread in threading.enumerate() if thread.name.startswith(("demo-app", "fake-provider", "llm-observe"))]


def test_a_loss_is_said_and_fails(monkeypatch, capsys):
    """Records that could not be written are counted with their reason, and the exit code is 1."""

    async def refuse(self, batch):
        raise Rejected("no", reason="disk_on_fire")

    monkeypatch.setattr(FileExporter, "export", refuse)

    assert 1 == main(["demo", "--requests", "1"])
    said = capsys.readouterr().out
    assert "1 requests sent to the app, 0 on record." in said
    assert re.search(r"^Exporter file: 0 of \d+ records written, lost: \d+ disk_on_fire\.$", said, re.MULTILINE)


# --- how it ends -----------------------------------------------------------------------------------------------------


def test_an_interrupt_ends_it_cleanly(tmp_path):
    """Ctrl-C in the midst is exit code 130 and one line; what was recorded is kept."""
    process = subprocess.Popen(
        [*COMMAND, "--requests", "100000"], cwd=tmp_path, env=CALM, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        for line in process.stdout:
            if line.startswith("Sending"):
                break
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()

    assert (130, f"llm-observe demo: stopped; what was recorded until then is in {tmp_path}/.llm-observe\n") == (process.returncode, said)


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", ""])
@pytest.mark.parametrize("option", ["--requests", "--concurrency"])
def test_a_bad_number_is_one_line(option, value, capsys):
    """A number that is none, or too small, is named with its option."""
    with pytest.raises(SystemExit) as end:
        main(["demo", f"{option}={value}"])

    assert 2 == end.value.code
    (line,) = capsys.readouterr().err.splitlines()
    assert f"llm-observe demo: argument {option}: expected a whole number of at least 1, not {value!r}. See" in line


@pytest.mark.parametrize(
    ("directory", "why"),
    [
        pytest.param("", "expected the name of a directory", id="no name"),
        pytest.param("file", "file is not a directory", id="a file"),
        pytest.param("file/below", "file is not a directory", id="below a file"),
        pytest.param("link", "symbolic link", id="a symbolic link"),
    ],
)
def test_a_bad_directory_is_one_line(directory, why, capsys):
    """Where no records can be written the demo does not start, and says why."""
    Path("file").touch()
    Path("link").symlink_to(".")

    assert 2 == main(["demo", "--directory", directory])
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line


def test_a_directory_without_permission_is_one_line(monkeypatch, capsys):
    """A directory that belongs to others is refused before anything starts."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)

    assert 2 == main(["demo"])
    assert "cannot be written to" in capsys.readouterr().err


def test_an_app_that_does_not_start_is_told():
    """A lifespan that fails is an error of ours, not a wait without end."""

    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed"})

    with pytest.raises(ObserveError, match="did not start"), served(app):
        pass


# --- the summary by itself -------------------------------------------------------------------------------------------


def call(**facts):
    """A call, by default a plain one that went well."""
    base = {
        "id": "1",
        "trace_id": "2",
        "span_id": "3",
        "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "duration": 0.25,
        "name": "chat m",
        "status": "ok",
        "operation": Operation(name="chat"),
        "provider": Provider(name="openai"),
        "request": CallRequest(model="a-model"),
        "attempts": (Attempt(started_at=datetime(2026, 1, 1, tzinfo=UTC), duration=0.25, status_code=200),),
    }
    return Call(**base | facts)


def request(**facts):
    """A request with one call."""
    totals = CallTotals(count=1, errors=0, retries=0, running=0, input_tokens=1, output_tokens=1, wall=0.25, sum=0.25)
    base = {
        "id": "1",
        "trace_id": "2",
        "span_id": "4",
        "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "duration": 0.5,
        "name": "GET /a",
        "status": "ok",
        "calls": totals,
    }
    return Request(**base | facts)


def summary(*records, width=80, sent=Sent(1, 1), directory="d"):
    """What is printed, and the verdict."""
    out = StringIO()
    with Observer(exporters=[MemoryExporter()]) as observer:
        verdict = show(Console(file=out, width=width), Path(directory), records, sent=sent, stats=observer.stats())
    return out.getvalue(), verdict


EVERYTHING = [
    call(
        duration=123.4,
        request=CallRequest(model="a-model-with-quite-a-long-name"),
        response=CallResponse(time_to_first_chunk=1.5),
        usage=Usage(input_tokens=1234567, output_tokens=7654321),
    ),
    call(
        status="error",
        error=Error(type="an_error_of_some_kind", message="It went wrong because of the weather. " * 9),
        wire=Wire(format="x"),
    ),
    call(status="error", error=Error(type="TimeoutError")),
    call(status="truncated", duration=0.0001, attempts=()),
    call(status="cancelled"),
    request(),
    request(duration=0.0, calls=CallTotals(count=0, errors=0, retries=0, running=0, input_tokens=0, output_tokens=0, wall=0.0, sum=0.0)),
]


@pytest.mark.parametrize("width", [60, 70, 80, 100, 140])
def test_a_table_fits_the_terminal(width):
    """Where there is no room for all columns there are fewer, and nothing is wrapped."""
    said, _ = summary(*EVERYTHING, width=width)
    tables = said.partition("\n1 requests sent")[0]

    assert [] == [line for line in tables.splitlines() if len(line) > width]
    assert "a-model-with-quite-a-long-name " in tables


def test_a_table_wider_than_any_terminal_is_cut():
    """In 30 columns it still prints something: the columns that matter most."""
    said, _ = summary(*EVERYTHING, width=30)

    assert "calls" in said


def test_a_wide_terminal_shows_every_column():
    """With room for it all, everything there is to say is a column."""
    said, _ = summary(*EVERYTHING, width=160)

    for heading in ("provider", "p50", "p95", "first", "errors", "cut", "tokens", "at a time", "message"):
        assert heading in said
    assert "It went wrong because of the weather." in said


def test_a_column_without_a_word_in_it_is_left_out():
    """Where nothing was retried and nothing failed there is no column for it."""
    said, _ = summary(call(), request(), width=160)

    assert "retries" not in said
    assert "What went wrong" not in said


@pytest.mark.parametrize(
    ("sent", "expected"), [(Sent(1, 1), True), (Sent(2, 1), False), (Sent(1, 2), False)], ids=["all", "a request lost", "an attempt lost"]
)
def test_the_verdict_counts_both_ends(sent, expected):
    """All is well only when each request and each attempt is on record."""
    assert expected == summary(call(), request(), sent=sent)[1]


def test_nothing_recorded_is_no_traceback():
    """With no records at all the summary still says so."""
    said, verdict = summary()

    assert "0 on record" in said
    assert not verdict


def test_a_strange_directory_is_quoted():
    """The commands can be pasted whatever the directory is called."""
    said, _ = summary(directory="my [bold] records")

    assert "llm-observe tail 'my [bold] records' --no-follow -n 20\n" in said


@pytest.mark.parametrize(
    ("seconds", "expected"), [([], ""), ([0.0002], "<1"), ([0.25], "250"), ([61.5], "61,500"), ([0.1, 0.2, 0.3], "200")], ids=str
)
def test_a_duration_is_in_milliseconds(seconds, expected):
    """Whole milliseconds, and the middle of several."""
    assert expected == milliseconds(seconds, 0.5)
