"""``llm-observe decode``: recorded exchanges in, records out, and no traceback whatever comes."""

import argparse
import base64
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from llm_observe.cli.decode import add_arguments, run
from llm_observe.errors import MissingExtra

ANSWER = {"id": "c", "model": "gpt-x-1", "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}]}


def recorded(
    id: str = "x1", *, url: str = "https://api.openai.com/v1/chat/completions", answer: object = ANSWER, **response: object
) -> bytes:
    """One line of input."""
    row = {
        "id": id,
        "source": "unknown members are passed over",
        "request": {
            "method": "POST",
            "url": url,
            "headers": [["Content-Type", "application/json"]],
            "body_b64": base64.b64encode(json.dumps({"model": "gpt-x", "messages": []}).encode()).decode(),
        },
        "response": {
            "status": 200,
            "headers": [["Date", "Wed, 21 Oct 2026 07:28:00 GMT"], ["X-Request-Id", "req_1"]],
            "body_b64": base64.b64encode(json.dumps(answer).encode()).decode(),
        }
        | response,
    }
    return json.dumps(row).encode() + b"\n"


@pytest.fixture
def decoded(tmp_path) -> Callable[..., tuple[int, list[dict]]]:
    """The exit code and the records of some input."""

    def run_on(data: bytes) -> tuple[int, list[dict]]:
        source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
        source.write_bytes(data)
        code = run(arguments(str(source), "--output", str(output)))
        return code, [json.loads(line) for line in output.read_bytes().splitlines()]

    return run_on


def arguments(*words: str) -> argparse.Namespace:
    """The command line, parsed."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_an_exchange_becomes_a_call(decoded):
    """With the exchange's id, and a trace and span that follow from it."""
    code, [record] = decoded(recorded())

    assert 0 == code
    assert {
        "schema": "llm-observe/1",
        "kind": "call",
        "id": "x1",
        "name": "chat gpt-x",
        "started_at": "2026-10-21T07:28:00Z",
        "duration": 0.0,
        "status": "ok",
        "provider": {"name": "openai"},
        "server": {"address": "api.openai.com", "port": 443},
        "output": {"messages": [{"role": "assistant", "parts": [{"type": "text", "content": "hello"}], "finish_reason": "stop"}]},
        "attempts": [{"started_at": "2026-10-21T07:28:00Z", "duration": 0.0, "status_code": 200, "provider_request_id": "req_1"}],
    }.items() <= record.items()
    assert (32, 16) == (len(record["trace_id"]), len(record["span_id"]))
    assert record == decoded(recorded())[1][0]


def test_records_come_in_the_order_of_the_exchanges(decoded):
    """What is no call among them; blank lines are none."""
    lines = recorded("a") + b"\n" + recorded("b", url="https://api.openai.com/v1/images") + recorded("c")
    code, records = decoded(lines)

    assert (0, ["a", "b", "c"]) == (code, [record["id"] for record in records])
    assert {"id": "b", "kind": "unknown", "reason": "no known format: POST /v1/images"} == records[1]


def test_an_error_is_told_in_its_attempt(decoded):
    """The provider's type."""
    _, [record] = decoded(recorded(answer={"error": {"type": "rate_limit_error", "message": "m"}}, status=429))

    assert ("rate_limit_error", 429, "error") == (
        record["attempts"][0]["error_type"],
        record["attempts"][0]["status_code"],
        record["status"],
    )


@pytest.mark.parametrize(
    ("line", "id", "reason"),
    [
        (b"{broken\n", "line 2", "JSON is malformed"),
        (b'{"id": "y"}\n', "y", "missing required field `request`"),
        (b'{"id": "y", "request": {"url": "https://x.y/", "body_b64": "%%"}}\n', "y", "base64"),
        (b'{"id": "y", "request": {"url": "https://x.y:port/v1/chat/completions"}}\n', "y", "Port could not be cast"),
        (b"[" * 5000 + b"\n", "line 2", "line 2 is no recorded exchange"),
        (b'{"id": "\xff"}\n', "line 2", "line 2 is no recorded exchange"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_goes_on(decoded, capsys, line, id, reason):
    """On stderr, in the output, and in the exit code."""
    code, records = decoded(recorded("a") + line + recorded("c"))
    said = capsys.readouterr().err

    assert (2, ["a", id, "c"]) == (code, [record["id"] for record in records])
    assert "unknown" == records[1]["kind"]
    assert reason in records[1]["reason"]
    assert said.startswith("llm-observe decode: line 2 is no recorded exchange: ")
    assert 1 == said.count("\n")


def test_an_exchange_without_a_response(decoded):
    """It was asked, nobody answered."""
    row = json.loads(recorded())
    del row["response"]
    code, [record] = decoded(json.dumps(row).encode())

    assert (0, "truncated", "1970-01-01T00:00:00Z") == (code, record["status"], record["started_at"])


def test_gzip_is_told_by_its_bytes(decoded):
    """Whatever the name of the file."""
    assert "x1" == decoded(gzip.compress(recorded()))[1][0]["id"]


def test_damaged_gzip_is_one_line(decoded, capsys):
    """And exit code 2."""
    code, _ = decoded(gzip.compress(recorded())[:-12])

    assert 2 == code
    assert "damaged gzip" in capsys.readouterr().err


def test_a_missing_file_is_one_line(tmp_path, capsys):
    """Its name and what is wrong."""
    assert 2 == run(arguments(str(tmp_path / "nowhere.jsonl")))
    assert f"llm-observe decode: {tmp_path}/nowhere.jsonl: No such file or directory\n" == capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, capsys):
    """It is the output that is named."""
    (tmp_path / "in").write_bytes(recorded())

    assert 2 == run(arguments(str(tmp_path / "in"), "--output", str(tmp_path)))
    assert f"{tmp_path}: Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_without_a_file_stdin_is_read_and_stdout_written(monkeypatch, capsysbinary, pack):
    """Plain or gzipped."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(pack(recorded())))))

    assert 0 == run(arguments())
    assert "x1" == json.loads(capsysbinary.readouterr().out)["id"]


def test_a_reader_that_goes_away_is_no_news(tmp_path):
    """As in ``llm-observe decode big.jsonl | head -1``."""
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"".join(recorded(str(n)) for n in range(3000)))
    code = "import argparse, sys; from llm_observe.cli.decode import *; p = argparse.ArgumentParser(); add_arguments(p); sys.exit(run(p.parse_args()))"
    with subprocess.Popen([sys.executable, "-c", code, str(source)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()

    assert (0, b"") == (process.returncode, said)


def test_an_interrupt_is_quiet(decoded, monkeypatch, capsys):
    """The shell's code for it."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("llm_observe.cli.decode.decode", interrupted)

    assert (130, []) == decoded(recorded())
    assert "" == capsys.readouterr().err


def test_a_terminal_sees_progress(decoded, monkeypatch):
    """On stderr; the records are the same."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")

    assert "x1" == decoded(recorded())[1][0]["id"]
    assert "decode" in terminal.getvalue()


def test_without_rich_there_is_no_progress(decoded, monkeypatch):
    """It is an extra."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setitem(sys.modules, "rich.console", None)

    assert "x1" == decoded(recorded())[1][0]["id"]
    assert "" == terminal.getvalue()


def test_memory_does_not_grow_with_the_input(tmp_path):
    """One line at a time: forty times the lines in the same memory."""
    resource = pytest.importorskip("resource")
    line = recorded(answer=ANSWER | {"padding": "x" * 100_000})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    source = tmp_path / "in.jsonl"
    with source.open("wb") as file:
        for _ in range(800):
            file.write(line)

    assert 0 == run(arguments(str(source), "--output", os.devnull))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.fixture
def summed(tmp_path, capsys, monkeypatch) -> Callable[..., str]:
    """What the summary of some input says, on a wide terminal."""
    monkeypatch.setenv("COLUMNS", "200")

    def run_on(*lines: bytes, words: tuple[str, ...] = ()) -> str:
        source = tmp_path / "in.jsonl"
        source.write_bytes(b"".join(lines))
        assert 0 == run(arguments(str(source), "--summary", *words))
        return capsys.readouterr().out

    return run_on


def cells(text: str, *first: str) -> list[str]:
    """The words of the row that begins with these."""
    (row,) = [words for line in text.splitlines() if (words := line.split())[: len(first)] == list(first)]
    return row[len(first) :]


def test_a_summary_counts_by_format_and_provider(summed):
    """Calls, errors, tokens; and why the rest was no call."""
    counted = ANSWER | {"usage": {"prompt_tokens": 1200, "completion_tokens": 3}}
    text = summed(
        recorded("a", answer=counted),
        recorded("b", answer=counted),
        recorded("c", answer={"error": {"type": "x", "message": "m"}}, status=429),
        recorded("d", url="https://api.groq.com/openai/v1/chat/completions"),
        recorded("e", url="https://api.openai.com/v1/moderations"),
        recorded("f", url="https://shop.example/cart"),
    )

    assert ["3", "1", "2,400", "6"] == cells(text, "openai.chat", "openai")
    assert ["1"] == cells(text, "groq.chat", "groq")
    assert ["4", "1", "2,400", "6"] == cells(text, "all")
    assert [] == cells(text, "1", "no", "inference:", "it", "moderates")
    assert ["exchanges,", "4", "calls,"] == cells(text, "6")[:3]


def test_beside_a_summary_records_go_to_a_file(summed, tmp_path):
    """And nowhere without one: the terminal is for the tables."""
    output = tmp_path / "out.jsonl"
    text = summed(recorded("a"), words=("--output", str(output)))

    assert "a" == json.loads(output.read_bytes())["id"]
    assert '"id"' not in text


def test_a_summary_of_nothing(summed):
    """No empty tables."""
    assert summed().startswith("0 exchanges, 0 calls")


def test_a_summary_needs_rich(monkeypatch, tmp_path):
    """One line says which extra brings it."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(MissingExtra, match=r"llm-observe\[cli\]"):
        run(arguments(str(tmp_path), "--summary"))


def test_the_users_own_addresses_count_here_too(decoded, monkeypatch):
    """`LLM_OBSERVE_ENDPOINTS`."""
    monkeypatch.setenv("LLM_OBSERVE_ENDPOINTS", "gw.example/ask=openai.chat mine")
    (record,) = decoded(recorded(url="https://gw.example/ask"))[1]

    assert ("call", "mine") == (record["kind"], record["provider"]["name"])
