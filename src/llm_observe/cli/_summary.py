"""What a run left on record, as tables: read back from the files, not from memory."""

import shlex
import statistics
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llm_observe.cli._tables import Column, number, table_of
from llm_observe.exporters._plain import plain
from llm_observe.records import AnyRecord, Call, Request

if TYPE_CHECKING:
    from llm_observe._runtime.stats import Stats

R = TypeVar("R", bound=AnyRecord)


class Sent(NamedTuple):
    """What the other side knows: requests sent by the client, HTTP attempts that reached the provider."""

    requests: int
    attempts: int


def show(console: Console, directory: Path, records: Sequence[AnyRecord], *, sent: Sent, stats: "Stats") -> bool:
    """Print the summary of *records*, which were written to *directory*; whether all that was *sent* is on record."""
    calls = [record for record in records if isinstance(record, Call)]
    requests = [record for record in records if isinstance(record, Request)]
    tries = sum(len(call.attempts) for call in calls)
    for table in (_by_model(calls, console.width), _by_route(requests, console.width), _wrong(calls, console.width)):
        if table.rows:
            console.print(table)
            console.print()
    console.print(f"{sent.requests:,} requests sent to the app, [bold]{len(requests):,}[/] on record.", highlight=False)
    console.print(
        f"{sent.attempts:,} HTTP attempts seen by the provider, [bold]{tries:,}[/] on record, in {len(calls):,} calls.", highlight=False
    )
    for name, one in stats.exporters.items():
        lost = ", ".join(f"{count:,} {reason}" for reason, count in one.dropped.items() if count) or "none"
        console.print(f"Exporter {name}: {one.exported:,} of {one.captured:,} records written, lost: {lost}.", highlight=False)
    _hints(console, directory, calls)
    return (len(requests), tries) == (sent.requests, sent.attempts)


def _hints(console: Console, directory: Path, calls: Sequence[Call]) -> None:
    """Where to go from here. Commands are not wrapped: they are there to be copied."""
    where = escape(plain(shlex.quote(str(directory))))
    lines = [f"The records are in [bold]{where}[/]. Look at them:", f"    llm-observe tail {where} --no-follow -n 20"]
    retried = max(calls, key=lambda call: len(call.attempts), default=None)
    if retried is not None and len(retried.attempts) > 1 and retried.request_id:
        lines += [
            "One request with its retry:",
            f"    llm-observe tail {where} --no-follow --request-id {escape(plain(shlex.quote(retried.request_id)))}",
        ]
    lines += ["As JSON, one record a line:", f"    llm-observe tail {where} --no-follow --json"]
    lines += ["In your own app:", "    app.add_middleware(LLMObserveMiddleware)  # from llm_observe.fastapi"]
    console.print()
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


# --- tables ----------------------------------------------------------------------------------------------------------


def _by_model(calls: Sequence[Call], width: int) -> Table:
    groups = _grouped(calls, lambda call: (call.request.model or "?", call.provider.name))
    total = len(groups) > 1
    if total:
        groups["all", ""] = list(calls)
    each = list(groups.values())
    columns = [
        Column("model", [key[0] for key in groups], words=True),
        Column("provider", [key[1] for key in groups], rank=3, words=True),
        Column("calls", [str(len(group)) for group in each]),
        Column("p50", [milliseconds([c.duration for c in group], 0.5) for group in each]),
        Column("p95", [milliseconds([c.duration for c in group], 0.95) for group in each], rank=6),
        Column("first\nchunk", [milliseconds(_firsts(group), 0.5) for group in each], rank=7),
        Column("retries", [number(len(c.attempts) - 1 for c in group if c.attempts) for group in each], rank=1),
        Column("errors", [number(c.status == "error" for c in group) for group in each], rank=2),
        Column("cut\nshort", [number(c.status in {"truncated", "cancelled"} for c in group) for group in each], rank=8),
        Column("tokens\nin", [number(c.usage.input_tokens or 0 for c in group) for group in each], rank=5),
        Column("tokens\nout", [number(c.usage.output_tokens or 0 for c in group) for group in each], rank=4),
    ]
    return table_of("Model calls, times in milliseconds", columns, width, total=total)


def _by_route(requests: Sequence[Request], width: int) -> Table:
    groups = _grouped(requests, lambda request: (request.name,))
    each = list(groups.values())
    wall = [sum(r.calls.wall for r in group) for group in each]
    added = [sum(r.calls.sum for r in group) for group in each]
    whole = [sum(r.duration for r in group) for group in each]
    columns = [
        Column("route", [key[0] for key in groups], words=True),
        Column("requests", [str(len(group)) for group in each]),
        Column("p50", [milliseconds([r.duration for r in group], 0.5) for group in each]),
        Column("p95", [milliseconds([r.duration for r in group], 0.95) for group in each], rank=4),
        Column("failed", [number(r.status == "error" for r in group) for group in each], rank=1),
        Column("calls", [number(r.calls.count for r in group) for group in each], rank=2),
        Column("in models", [f"{100 * w / t:.0f} %" if t else "" for w, t in zip(wall, whole, strict=True)], rank=3),
        Column("at a time", [f"{a / w:.1f}" if w else "" for a, w in zip(added, wall, strict=True)], rank=5),
    ]
    return table_of("Requests to the app, times in milliseconds", columns, width)


def _wrong(calls: Sequence[Call], width: int) -> Table:
    failed = [call for call in calls if call.error is not None]
    groups = _grouped(failed, lambda call: (call.request.model or "?", _code(call), call.error.type if call.error else ""))
    columns = [
        Column("model", [key[0] for key in groups], words=True),
        Column("calls", [str(len(group)) for group in groups.values()]),
        Column("HTTP", [key[1] for key in groups], rank=1),
        Column("error", [key[2] for key in groups], words=True),
        Column("message", [_words(group[0], width - 58) for group in groups.values()], rank=2, words=True),
    ]
    return table_of("What went wrong", columns, width)


def _grouped(records: Iterable[R], key: Callable[[R], tuple[str, ...]]) -> dict[tuple[str, ...], list[R]]:
    groups: dict[tuple[str, ...], list[R]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return dict(sorted(groups.items()))


def _code(call: Call) -> str:
    return "" if call.wire is None or call.wire.status_code is None else str(call.wire.status_code)


def _words(call: Call, room: int) -> str:
    """The beginning of what the error says; nothing where there is no room for more than a word."""
    text = (call.error.message if call.error is not None else None) or ""
    return textwrap.shorten(text, room, placeholder="…") if room > 30 else ""


def _firsts(calls: Iterable[Call]) -> list[float]:
    return [call.response.time_to_first_chunk for call in calls if call.response.time_to_first_chunk is not None]


def quantile(values: Sequence[float], q: float) -> float:
    """The *q* quantile of *values*, which are at least one."""
    return values[0] if len(values) == 1 else statistics.quantiles(values, n=100, method="inclusive")[round(q * 100) - 1]


def milliseconds(seconds: Sequence[float], q: float) -> str:
    """The *q* quantile of *seconds*, to read; nothing for none."""
    if not seconds:
        return ""
    value = quantile(seconds, q) * 1000
    return f"{value:,.0f}" if value >= 1 else "<1"
