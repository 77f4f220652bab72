"""What a model, a provider or a client says stays words: no command ever shows a terminal a command. See reliability.md, 4.3."""

import argparse
import base64
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import anyio
import msgspec
import pytest
from rich.console import Console

from llm_observe import cli
from llm_observe._runtime.encode import encode
from llm_observe.cli import _summary, decode, doctor, forget, tail
from llm_observe.cli._report import Finding
from llm_observe.exporters import StdoutExporter
from llm_observe.exporters._files import file_name
from llm_observe.protocols import Batch
from llm_observe.records import (
    Attempt,
    Call,
    CallRequest,
    CallResponse,
    CallTotals,
    Error,
    Input,
    Message,
    Operation,
    Output,
    Provider,
    Request,
    ScopeInfo,
    Step,
    Text,
    ToolCall,
    Wire,
)

PAYLOADS = {
    "OSC 8, a link to elsewhere": "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "OSC 52, the clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "a title": "\x1b]0;pwned\x07",
    "CSI, the cursor": "\x1b[2J\x1b[1;1H\x1b[8m",
    "C1": "\x9b2J\x9d52;c;eA==\x9c\x90q\x85",
    "bidi": "\u202agpj\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "lines": "a\rb\nc\x0bd\x0ce\u2028f\u2029g\x85h",
    "the rest": "\x00\x08\x7f\x1b",
    "markup": "[bold red]x[/]\x1b[link=https://evil.example]y[/link]",
}
# By their numbers, not by our own expression: all that is no newline and below a space, DEL and C1, bidi marks and controls, separators.
COMMANDS = {*(set(range(0x20)) - {0x0A}), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)}
EACH = pytest.mark.parametrize("text", PAYLOADS.values(), ids=PAYLOADS)


def records(text):
    """A record of each kind with *text* in every place that has one."""
    base = {"trace_id": "0" * 32, "span_id": "1" * 16, "started_at": datetime.now(UTC), "duration": 1.0, "name": text, "request_id": text}
    base |= {"error": Error(type=text, message=text), "service": text, "status": "error"}
    base |= {"scope": ScopeInfo(name=text, method=text, route=text, user_id=text, session_id=text, tags={text: text})}
    attempt = Attempt(started_at=base["started_at"], duration=0.1, error_type=text, provider_request_id=text)
    said = (Message(role="assistant", parts=(Text(content=text), ToolCall(name=text, arguments={text: text}))),)
    return [
        Call(
            id=f"call {text}",
            operation=Operation(name=text),
            provider=Provider(name=text),
            request=CallRequest(model=text),
            response=CallResponse(id=text, model=text, finish_reasons=(text,)),
            input=Input(messages=(Message(role="user", parts=(Text(content=text),)),)),
            output=Output(messages=said),
            attempts=(attempt, attempt),
            wire=Wire(format=text, client=text),
            **base,
        ),
        Step(id=f"step {text}", attributes={text: text}, **base),
        Request(id=f"request {text}", calls=totals(), **base),
    ]


def totals():
    """The roll-up of one call."""
    return CallTotals(**dict.fromkeys(["count", "errors", "retries", "running", "input_tokens", "output_tokens"], 1), wall=0.1, sum=0.1)


def files(directory, text):
    """A record file with those records."""
    directory.mkdir(exist_ok=True)
    path = directory / file_name(0, 1, 1)
    path.write_bytes(b"".join(encode(record) + b"\n" for record in records(text)))
    return path


def harmless(shown: str) -> list[str]:
    """The lines of *shown*, in which there is nothing that a terminal would obey."""
    assert set() == {hex(ord(sign)) for sign in shown if ord(sign) in COMMANDS}
    return shown.splitlines()


def asked(command, *words, **options):
    """What *command* shows, asked with *words*."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    out = io.StringIO()
    command.run(parser.parse_args([*map(str, words)]), out=out, **options)
    return out.getvalue()


@EACH
@pytest.mark.parametrize("form", ["line", "json"])
def test_on_standard_output(text, form):
    """A line a record, and the record's own words in it."""
    out, found = io.StringIO(), records(text)

    anyio.run(StdoutExporter(out, format=form).export, Batch("1", found, [encode(one) for one in found]))

    assert 3 == len(harmless(out.getvalue()))
    if form == "json":
        assert [text] * 3 == [json.loads(line)["name"] for line in out.getvalue().splitlines()]


@EACH
@pytest.mark.parametrize("option", [[], ["--json"]], ids=["line", "json"])
def test_when_records_are_followed(tmp_path, text, option):
    """Whatever is in the file."""
    files(tmp_path, text)

    assert 3 == len(harmless(asked(tail, tmp_path, "--no-follow", *option)))


@EACH
def test_when_somebody_is_forgotten(tmp_path, text):
    """His id may be anything, and so may what is in the file."""
    path = files(tmp_path, text)

    lines = harmless(asked(forget, tmp_path, "--user", text))

    assert ["1", "1", "1"] == lines[1].split()[1:4]
    assert not path.exists()


@EACH
def test_in_the_summary_of_what_was_decoded(tmp_path, text, capsys):
    """Models, providers and reasons come from the recording."""
    body = base64.b64encode(json.dumps({"model": text, "messages": []}).encode()).decode()
    answer = base64.b64encode(json.dumps({"error": {"type": text, "message": text}}).encode()).decode()
    request = {"url": "https://api.openai.com/v1/chat/completions", "body_b64": body}
    lines = [
        {"id": text, "request": request, "response": {"status": 400, "body_b64": answer}},
        {"id": text, "request": {"url": f"https://host/{text.encode().hex()}", "method": text}},
        {"id": text, "request": text},
    ]
    (tmp_path / "in").write_text("\n".join(json.dumps(line) for line in lines) + "\n{" + json.dumps(text))

    cli.main(["decode", str(tmp_path / "in"), "--summary"])
    cli.main(["decode", f"{tmp_path}/none{text}".replace("\0", "")])
    said = capsys.readouterr()

    assert harmless(said.out)
    assert harmless(said.err)


def test_decoded_records_are_harmless_on_a_terminal(terminal):
    """In a file they are JSON; on a terminal what JSON may hold as it is would still be obeyed."""
    text = "".join(PAYLOADS.values())
    request = {"url": "https://api.openai.com/v1/chat/completions"}
    request["body_b64"] = base64.b64encode(json.dumps({"model": text, "messages": []}).encode()).decode()
    recorded = json.dumps({"id": text, "request": request}).encode()
    stream, shown = terminal

    decode._decode_lines(iter([recorded]), stream.buffer, decode.Endpoints({}, decode.FORMATS), decode.Summary())

    [line] = harmless(shown())
    assert text == json.loads(line)["id"]


@EACH
def test_in_the_summary_of_the_demo(text):
    """Which is read back from files that anybody may have written."""
    out = io.StringIO()
    stats = SimpleNamespace(exporters={"file": SimpleNamespace(exported=3, captured=3, dropped={})})

    _summary.show(Console(file=out, width=200), Path(f"/tmp/{text}"), records(text), sent=_summary.Sent(1, 2), stats=stats)

    assert harmless(out.getvalue())


@EACH
def test_in_the_doctors_report(text, monkeypatch, capsys):
    """Settings and names of modules come from wherever."""
    monkeypatch.setattr(doctor, "findings", lambda target: iter([Finding("topic", "note", text)]))

    cli.main(["doctor"])
    cli.main(["doctor", "--app", text])
    cli.main(["tail", text.replace("\0", ""), "--no-follow"])
    with pytest.raises(SystemExit):
        cli.main(["tail", "--lines", text])
    said = capsys.readouterr()

    assert harmless(said.out + said.err)


@EACH
def test_a_line_of_a_file_is_a_record(tmp_path, text):
    """However one counts lines."""
    path = files(tmp_path, text)

    assert [3, 3, 3] == [len(path.read_bytes().splitlines()), len(path.read_bytes().decode().splitlines()), path.read_bytes().count(b"\n")]
    assert records(text)[1].attributes == msgspec.json.decode(path.read_bytes().splitlines()[1])["attributes"]
