"""The fault matrix: each test injects one fault, and the run ends with a table of what became of the records.

A test says in its ``row`` what it injects and fills in what it found::

    def test_the_disk_is_full(row, observe):
        found = row(23, "disk full, then free again")
        ...
        found.numbers(observer.stats().exporters["file"], arrived=ids)

With ``FAULTS_TABLE=docs/reliability.md`` the table is put on that page, beside the figures of others.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from llm_observe._runtime.stats import ExporterStats

BEGIN, END = "<!-- the fault matrix, as run -->", "<!-- the end of the fault matrix -->"
COLUMNS = ("row", "injected", "captured", "exported", "duplicates", "dropped", "deadline", "verdict")

# What others lose by the same fault, measured on this kind of machine with the versions that the page names.
PEERS = {
    "1": "OpenTelemetry, Langfuse, Logfire 0 of 100; Sentry 16",
    "2": "of 800: OpenTelemetry 340, Sentry 587, Langfuse 431, Logfire 0",
    "4": "of 600, hung for 15 s: OpenTelemetry 100, Sentry 500, Langfuse 100, Logfire 0",
    "5": "of 200, all; exit after: OpenTelemetry 10.1 s, Sentry 2.1 s, Langfuse 5.1 s, Logfire 10.2 s",
    "6": "503, of 400: OpenTelemetry 0, Sentry 225, Langfuse 100, Logfire 0; 500: 201, 233, 201, 0",
    "7": "429, of 400: OpenTelemetry 101, Sentry 350, Langfuse 201, Logfire 0",
    "8": "401, of 400: OpenTelemetry 201, Sentry 221, Langfuse 201, Logfire 212",
    "10": "body read, then reset: extra copies of 400: OpenTelemetry 606, Langfuse 500, Logfire 404; Sentry 234 lost",
    "12": "of 100,000: OpenTelemetry 37,664, Sentry 90,159, Langfuse 44,234, Logfire 11,023; only Sentry counts them",
    "13": "10 MB x 1,000: OpenTelemetry all, 5.9 GB, MemoryError; Langfuse 941; Sentry 901; Logfire 995 in 100 s",
    "14": "of 1,000: OpenTelemetry 1,000, Sentry 685, Langfuse 1,000, Logfire 488",
    "15": "uvicorn, of 200: OpenTelemetry 200, Sentry 0, Langfuse 200, Logfire 170",
    "16": "of 200: OpenTelemetry, Langfuse, Logfire 0; Sentry's logs 97",
    "17": "of 1,000: OpenTelemetry 488, Sentry 828, Langfuse 1,000, Logfire 488",
    "19": "os._exit, of 1,000: OpenTelemetry 1,000, Sentry 792, Langfuse 1,000, Logfire 0",
    "20": "clean exit with 50 records on Python 3.12.1: Sentry's logs 50 of 50",
    "21": "multiprocessing, of 200: OpenTelemetry 100, Sentry 100 and 23 twice, Langfuse 100, Logfire 0",
    "29": "the redactor raises: OpenTelemetry raises into the app, Sentry loses the record, Langfuse masks, Logfire sends the secret",
    "32": "100 abandoned generators, lines on stderr: OpenTelemetry 900, Sentry 0, Langfuse 1,050, Logfire 700",
    "34": "a greenlet computes for 8 s: OpenTelemetry has delivered 0 of 500 after 7 s",
}


class Row:
    """What one fault did. Numbers that a test does not fill in stay open."""

    def __init__(self, number: object, injected: str) -> None:
        self.facts: dict[str, Any] = {"row": str(number), "injected": injected, "dropped": {}}

    def __call__(self, **facts: Any) -> "Row":
        """Fill in *facts*: ``captured``, ``exported``, ``duplicates``, ``dropped`` (by reason), ``deadline`` (a text)."""
        self.facts.update(facts)
        return self

    def numbers(self, stats: ExporterStats, *, arrived: Iterable[str] | None = None) -> "Row":
        """Fill in an exporter's *stats*, and the duplicates among the ids that *arrived* downstream. The law must hold."""
        assert stats.balanced, stats
        self(captured=stats.captured, exported=stats.exported, dropped=stats.dropped)
        return self if arrived is None else self.arrived(arrived, exported=None)

    def arrived(self, ids: Iterable[str], *, exported: bool | None = True) -> "Row":
        """Fill in what *ids* came out at the other end: how many different ones, and how many copies too many."""
        every = list(ids)
        if exported:
            self(exported=len(set(every)))
        return self(duplicates=len(every) - len(set(every)))


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Callable[..., Row]:
    """Begin a row of the table: ``row(number of the matrix, what is injected)``."""

    def begin(number: object, injected: str) -> Row:
        made = Row(number, injected)
        request.node.user_properties.append(("row", made.facts))  # which xdist brings to where the table is printed
        return made

    return begin


found: list[dict[str, Any]] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take the rows of a test that has run."""
    if report.when == "call":
        verdict = {"passed": "holds", "failed": "FAILS", "skipped": "MAY LOSE"}.get(report.outcome, report.outcome)
        found.extend({**facts, "verdict": verdict} for name, facts in report.user_properties if name == "row")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table; put it on the page that ``FAULTS_TABLE`` names."""
    if not found:
        return
    found.sort(key=lambda facts: ([int(n) for n in facts["row"].split("-")], facts["injected"]))
    lines = [COLUMNS, *(cells(facts) for facts in found)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(COLUMNS))]
    terminalreporter.section("fault matrix")
    for line in lines:
        terminalreporter.line("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if page := os.environ.get("FAULTS_TABLE"):
        put(Path(page))


def cells(facts: dict[str, Any]) -> tuple[str, ...]:
    """One row's cells, as text."""
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in sorted(facts["dropped"].items())) or "0"
    return tuple(dropped if name == "dropped" else told(facts.get(name)) for name in COLUMNS)


def told(value: object) -> str:
    """*value* as it stands in a cell."""
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def put(page: Path) -> None:
    """Put the table between the marks on *page*, what others lose in the last column, once for each row of the matrix."""
    lines = [(*COLUMNS, "others lose"), ("---",) * (len(COLUMNS) + 1)]
    seen: set[str] = set()
    for facts in found:
        number = facts["row"]
        lines.append((*cells(facts), "" if number in seen else PEERS.get(number, "")))
        seen.add(number)
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
