"""The stdout exporter: where it writes, how, and what happens when nobody reads."""

import io
import json
import os
import signal
import sys
import threading
import time

import anyio
import pytest
import structlog

from llm_observe.errors import Rejected, RetryLater, SettingsError
from llm_observe.exporters._stream import is_terminal, wants_colour
from llm_observe.exporters.stdout import StdoutExporter, line


@pytest.fixture
def pipe():
    """Both ends of a pipe, as text files."""
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as reader, os.fdopen(writing, "w", encoding="utf-8") as writer:
        yield reader, writer


def test_on_a_terminal_lines_are_to_be_read(make, send, terminal, monkeypatch):
    """One coloured line a record."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream, shown = terminal

    send(StdoutExporter(stream), make.batch(make.call(), make.step()))

    assert f"{line(make.call(), True)}\n{line(make.step(), True)}\n" == shown()


def test_elsewhere_lines_are_to_be_parsed(make, send):
    """One JSON object a record, as the file exporter writes it."""
    out = io.StringIO()

    send(StdoutExporter(out), make.batch(make.call(), make.step()))

    assert [json.loads(text) for text in make.batch(make.call(), make.step()).lines] == [
        json.loads(text) for text in out.getvalue().splitlines()
    ]


def test_readable_lines_may_be_asked_for_anywhere(make, send):
    """In a file they have no colours."""
    out = io.StringIO()

    send(StdoutExporter(out, format="line"), make.batch(make.call()))

    assert line(make.call()) + "\n" == out.getvalue()


def test_json_may_be_asked_for_on_a_terminal(make, send, terminal):
    """For those who pipe later."""
    stream, shown = terminal

    send(StdoutExporter(stream, format="json"), make.batch(make.call()))

    assert "call-1" == json.loads(shown())["id"]


def test_only_the_kinds_that_are_wanted_are_written(make, send):
    """Calls only, for example."""
    out = io.StringIO()

    send(StdoutExporter(out, kinds=["call"]), make.batch(make.step(), make.call(), make.request()))

    assert ["call"] == [json.loads(text)["kind"] for text in out.getvalue().splitlines()]


def test_stdout_is_what_it_is_at_that_moment(make, send, capsys):
    """A test's capture, a notebook's cell: whatever stands there when the record comes."""
    exporter = StdoutExporter(format="line")

    send(exporter, make.batch(make.call()))

    assert line(make.call()) + "\n" == capsys.readouterr().out


@pytest.mark.parametrize(("env", "wanted"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)])
def test_colours_can_be_declined(terminal, env, wanted):
    """By NO_COLOR, unless it is empty, and by a terminal that has none."""
    assert wanted is wants_colour(terminal[0], env)


def test_what_is_no_stream_is_no_terminal(monkeypatch):
    """No stdout at all (pythonw), a closed one, one that cannot tell."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", None)

    assert [False, False, False] == [is_terminal(), is_terminal(closed), is_terminal(object())]


def test_the_applications_structlog_is_left_alone(make, send):
    """Its configuration neither changes our lines, nor do we change it."""
    before = structlog.get_config()
    try:
        structlog.configure(processors=[lambda *_: 1 / 0], wrapper_class=object, logger_factory=lambda: 1 / 0)
        out = io.StringIO()
        send(StdoutExporter(out, format="line"), make.batch(make.call()))
    finally:
        structlog.configure(**before)

    assert line(make.call()) + "\n" == out.getvalue()


def test_what_an_encoding_has_not_is_escaped(make, send, tmp_path):
    """LANG=C must not cost a record."""
    with (tmp_path / "out").open("w", encoding="ascii") as out:
        send(StdoutExporter(out, format="line"), make.batch(make.call(name="chat größe 你")))

    assert r"chat gr\xf6\xdfe \u4f60" in (tmp_path / "out").read_text()


def test_a_broken_pipe_is_the_end(make, send, pipe):
    """Nobody reads: records are not kept for nobody."""
    reader, writer = pipe
    reader.close()

    with pytest.raises(Rejected, match="nobody reads") as caught:
        send(StdoutExporter(writer), make.batch(make.call()))

    assert "stream_closed" == caught.value.reason


@pytest.mark.parametrize("stream", [io.StringIO, lambda: None])
def test_a_closed_stream_is_the_end(make, send, stream, monkeypatch):
    """As is a process without stdout."""
    out = stream()
    monkeypatch.setattr(sys, "stdout", None)
    exporter = StdoutExporter(out)
    if out is not None:
        out.close()

    with pytest.raises(Rejected, match="is closed"):
        send(exporter, make.batch(make.call()))


def test_a_stream_that_fails_may_recover(make, send):
    """A full disk behind a redirection: the batch comes back."""
    with open("/dev/full", "w") as full, pytest.raises(RetryLater, match="cannot write to /dev/full: No space left"):
        send(StdoutExporter(full), make.batch(make.call()))


def test_lines_that_are_out_are_not_written_again(make, send):
    """When the second of three fails, the retry goes on with it."""

    class Sometimes(io.StringIO):
        trouble = 1

        def write(self, text):
            if "step-1" in text and self.trouble:
                self.trouble = 0
                raise OSError(28, "No space left on device")
            return super().write(text)

    out = Sometimes()
    exporter, batch = StdoutExporter(out), make.batch(make.call(), make.step(), make.request())
    with pytest.raises(RetryLater):
        send(exporter, batch)

    send(exporter, batch)
    send(exporter, make.batch(make.call(id="next"), id="batch-2"))

    assert ["call-1", "step-1", "request-1", "next"] == [json.loads(text)["id"] for text in out.getvalue().splitlines()]


def test_a_stalled_pipe_does_not_stop_the_loop(make, pipe):
    """The loop goes on while the pipe is full, and the wait can be given up; once it is read, all is there."""
    reader, writer = pipe
    batch = make.batch(*[make.call(name="x" * 10_000) for _ in range(30)])

    async def main():
        with anyio.move_on_after(0.2) as waited:
            await StdoutExporter(writer).export(batch)
        return waited.cancelled_caught

    before = time.monotonic()
    given_up = anyio.run(main)
    took = time.monotonic() - before
    lines = [reader.readline() for _ in range(30)]

    assert (True, True) == (given_up, took < 5)
    assert 30 == len([json.loads(text) for text in lines])


def test_a_stalled_pipe_does_not_hold_up_the_end(other):
    """A process whose output nobody reads ends in time, without a word from the interpreter."""
    code = """
import threading, anyio, sys
from llm_observe.exporters.stdout import StdoutExporter
from llm_observe.protocols import Batch
from llm_observe.records import Step
import datetime
step = Step(id="1", trace_id="1", span_id="1", started_at=datetime.datetime.now(datetime.UTC), duration=1, name="x", status="ok")
async def main():
    with anyio.move_on_after(0.2):
        await StdoutExporter().export(Batch("1", [step] * 100, [b"x" * 10_000] * 100))
sink = threading.Thread(target=anyio.run, args=[main], daemon=True)
sink.start()
sink.join()
"""
    process = other.python(code)

    assert 0 == process.wait(20)
    assert "" == process.communicate()[1]


def test_a_pipe_that_does_not_block_is_waited_for(make, send, pipe):
    """Somebody else made the descriptor non-blocking; lines are whole all the same."""
    reader, writer = pipe
    os.set_blocking(writer.fileno(), False)
    texts = []
    reading = threading.Thread(target=lambda: texts.extend(reader.readline() for _ in range(60)))
    exporter, batch = StdoutExporter(writer), make.batch(*[make.call(name="x" * 10_000) for _ in range(60)])
    threading.Timer(0.1, reading.start).start()

    send(exporter, batch)
    while len(texts) < 60:
        time.sleep(0.01)

    assert 60 == len([json.loads(text) for text in texts])


def test_without_threads_lines_are_written_all_the_same(make, send, monkeypatch):
    """At the end of the interpreter no thread can be started any more."""

    def start(self):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)
    out = io.StringIO()

    send(StdoutExporter(out), make.batch(make.call()))

    assert "call-1" == json.loads(out.getvalue())["id"]


def test_an_error_of_its_own_is_not_taken_for_a_missing_thread(make, send):
    """Else the lines would be written twice."""

    class Odd(io.StringIO):
        def write(self, text):
            raise RuntimeError("reentrant call")

    with pytest.raises(RuntimeError, match="reentrant"):
        send(StdoutExporter(Odd()), make.batch(make.call()))


def test_a_reader_that_goes_away_ends_no_process(other):
    """`app | head -1`: the app goes on, whatever it would do about SIGPIPE."""
    code = """
import anyio, datetime, sys
from llm_observe.errors import Rejected
from llm_observe.exporters.stdout import StdoutExporter
from llm_observe.protocols import Batch
from llm_observe.records import Step
step = Step(id="1", trace_id="1", span_id="1", started_at=datetime.datetime.now(datetime.UTC), duration=1, name="x", status="ok")
batch = Batch("1", [step] * 1000, [b"{}" * 1000] * 1000)
try:
    anyio.run(StdoutExporter().export, batch)
except Rejected as error:
    print(error.reason, file=sys.stderr)
"""
    process = other.python(code, preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN))
    process.stdout.close()

    assert "stream_closed" == process.stderr.read().strip()
    process.stderr.close()
    assert 0 == process.wait(20)


@pytest.mark.parametrize("wrong", [{"format": "xml"}, {"kinds": ["span"]}, {"kinds": "call"}])
def test_what_makes_no_sense_is_refused(wrong):
    """The message says what was expected."""
    with pytest.raises(SettingsError, match=r"StdoutExporter.*expected"):
        StdoutExporter(**wrong)


def test_it_says_how_it_writes():
    """The repr names the format."""
    assert "StdoutExporter(format='json')" == repr(StdoutExporter(io.StringIO()))
