"""Code of others that we call misbehaves: redactors, exporters, log handlers. The records are there, their secrets are not, and the application notices nothing."""

import gc
import json
import logging

import pytest

from llm_observe import Observer
from llm_observe._runtime.items import StepEnded

RECORDS = 100
CANARY = "canary-3fa9c1d2"


def step(name="x", **attributes):
    """A step on record."""
    return StepEnded(name=name, span_id="1" * 16, parent_id=None, scope=None, started_ns=10**18, began=0, ended=1, attributes=attributes)


def raises(record):
    """A redactor that fails."""
    raise ValueError(f"cannot redact {record}")


def recurses(record):
    """A redactor that calls itself for ever."""
    return recurses(record)


def exits(record):
    """A redactor that wants the process to end."""
    raise SystemExit(3)


def no_record(record):
    """A redactor that returns a text."""
    return str(record)


def mutates(record):
    """A redactor that changes a record, which cannot be changed."""
    record.attributes = {}
    return record


REDACTORS = {
    "raises": raises,
    "recurses": recurses,
    "raises SystemExit": exits,
    "returns a text": no_record,
    "changes the record in place": mutates,
}


@pytest.mark.parametrize("fault", REDACTORS)
def test_a_redactor_that_fails_lets_no_secret_through(row, tmp_path, caplog, fault):
    """Each record is there without its content: the canary is in no byte of any file, and in no log line."""
    observer = Observer(exporters=[f"file:{tmp_path}"], processors=[REDACTORS[fault]])
    with caplog.at_level(logging.DEBUG):
        for number in range(RECORDS):
            observer.hand_over(step(str(number), text=CANARY))
        settled = observer.flush(60)
        numbers = observer.shutdown()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    names = [json.loads(line)["name"] for line in written.splitlines() if line.startswith(b"{")]

    row(29, f"a redactor {fault}").numbers(numbers.exporters["file"], arrived=names)
    assert (True, [str(n) for n in range(RECORDS)], {}) == (settled, names, numbers.exporters["file"].dropped)
    assert (RECORDS, False, False) == (numbers.errors, CANARY.encode() in written, CANARY in caplog.text)
    assert 1 == len([line for line in caplog.records if line.name == "llm_observe"])  # a minute


class Once:
    """An exporter that fails in its own way, once, and is well again."""

    def __init__(self, error):
        self.error, self.batches, self.names = error, [], []

    def __call__(self, batch):
        self.batches.append(batch.id)
        if len(self.batches) == 1:
            raise self.error
        self.names += [record.name for record in batch]


class OnceLater(Once):
    """The same, in the sink's own loop."""

    __name__ = "Once"

    async def export(self, batch):
        """Take *batch*."""
        self(batch)


@pytest.mark.parametrize("kind", [Once, OnceLater], ids=["sync", "async"])
@pytest.mark.parametrize(
    "error", [MemoryError, RecursionError, SystemExit, KeyboardInterrupt, GeneratorExit], ids=lambda error: error.__name__
)
def test_an_exporter_that_raises_what_ends_threads(row, kind, error):
    """The batch comes again under its id, once; the books are right, what comes later arrives too, and no coroutine is left that never began."""
    exporter = kind(error())
    observer = Observer(exporters=[exporter], batch_age=0)
    for number in range(RECORDS):
        observer.hand_over(step(str(number)))
    first = observer.flush(60)
    observer.hand_over(step("last"))
    settled = observer.flush(60)
    stats = observer.shutdown()
    (numbers,) = stats.exporters.values()

    row(38, f"{'an async' if kind is OnceLater else 'an'} exporter raises {error.__name__}").numbers(numbers, arrived=exporter.names)
    assert (True, True, {}) == (first, settled, numbers.dropped)
    assert [*map(str, range(RECORDS)), "last"] == exporter.names
    assert exporter.batches[0] == exporter.batches[1]
    assert (error is GeneratorExit) == stats.restarts  # to a coroutine it says that it is to end, whoever raised it
    gc.collect()


def test_log_lines_about_us_that_are_recorded_themselves(row, run):
    """A handler on the root logger makes a step of each line while the exporter fails: we say one line a minute, and nothing of our own is recorded."""
    done = run(
        """
import json, logging, os
import llm_observe
lines, tries = [], []
class Handler(logging.Handler):
    def emit(self, record):
        lines.append(record.name)
        with llm_observe.step("line"):
            pass
logging.getLogger().addHandler(Handler())
logging.getLogger().setLevel(logging.INFO)
def out(batch):
    tries.append(len(batch))
    if len(tries) <= 3:
        raise OSError("down")
    os.write(1, "".join(record.id + "\\n" for record in batch).encode())
observer = llm_observe.configure(exporters=[out], batch_age=0, batch_records=10)
for _ in range(100):
    with llm_observe.step("x"):
        pass
for _ in range(5):
    assert observer.flush(60)
numbers = observer.stats().exporters["out"]
os.write(1, json.dumps([lines.count("llm_observe"), numbers.captured, numbers.exported, numbers.balanced]).encode())
""",
        timeout=100,
    )
    *ids, said = done.lines

    row(31, "a log handler of the app's makes records, the exporter fails")(captured=100).arrived(ids)
    assert ([1, 100, 100, True], 100, "") == (json.loads(said), len(set(ids)), done.err)


def test_an_exporter_whose_client_is_instrumented(row, run):
    """It asks with a client that we hook, at an address that looks like a model's: not one record of its own requests."""
    done = run(
        """
import json, os, time
import httpx2, llm_observe
from llm_observe.testing.provider import FakeProvider
with FakeProvider() as provider:
    client = httpx2.Client()
    def out(batch):
        body = {"model": "m", "messages": [{"role": "user", "content": " ".join(record.id for record in batch)}]}
        assert client.post(provider.openai_base_url + "/chat/completions", json=body).status_code == 200
        os.write(1, "".join(record.id + "\\n" for record in batch).encode())
    observer = llm_observe.configure(exporters=[out], batch_age=0, batch_records=10)
    out([])  # it is seen where it is the application that asks
    for _ in range(99):
        with llm_observe.step("x"):
            pass
    for _ in range(5):
        assert observer.flush(60)
    numbers = observer.stats().exporters["out"]
    os.write(1, json.dumps([len(provider.requests) > 10, numbers.captured, numbers.exported, numbers.balanced]).encode())
""",
        timeout=100,
    )
    *ids, said = done.lines

    row(31, "the exporter's HTTP client is hooked")(captured=100).arrived(ids)
    assert ([True, 100, 100, True], 100, "") == (json.loads(said), len(set(ids)), done.err)
