"""What a run left on record, as tables: read back from the files, not from memory."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llm_observe.exporters import read_records
from llm_observe.records import Call, Request

if TYPE_CHECKING:
    from llm_observe._runtime.stats import Stats


def show(console: Console, directory: Path, *, since: float, requests: int, attempts: int, stats: "Stats") -> None:
    """Print the summary of what was recorded in *directory* since *since* (seconds since the epoch)."""
    records = [record for record in read_records(directory) if record.started_at.timestamp() >= since]
    calls = [record for record in records if isinstance(record, Call)]
    seen = [record for record in records if isinstance(record, Request)]
    console.print(_by_model(calls))
    console.print(_by_route(seen))
    tries = sum(len(call.attempts) for call in calls)
    console.print(
        f"\n{requests} requests sent, [bold]{len(seen)}[/] on record; {attempts} HTTP attempts reached the provider, [bold]{tries}[/] on record in {len(calls)} calls."
    )
    for name, exporter in stats.exporters.items():
        console.print(
            f"exporter {name}: {exporter.captured} captured = {exporter.exported} exported + {sum(exporter.dropped.values())} dropped"
        )
    console.print(f"\nThe records are in [bold]{directory}[/]. Look at them with")
    console.print(f"    llm-observe tail {directory} --no-follow -n 20", highlight=False)
    console.print(f"    cat {directory}/*.jsonl | python -m json.tool --json-lines", highlight=False)


def _by_model(calls: Sequence[Call]) -> Table:
    table = Table(title="Calls by model", title_justify="left", title_style="bold")
    for heading in ("model", "provider", "calls", "p50", "p95", "first chunk", "retries", "errors", "truncated", "tokens in", "tokens out"):
        table.add_column(heading, justify="left" if heading in {"model", "provider"} else "right")
    groups: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        groups[call.request.model or "?", call.provider.name].append(call)
    for (model, provider), group in sorted(groups.items()):
        table.add_row(Text(model), Text(provider), *_numbers(group))
    if len(groups) > 1:
        table.add_section()
        table.add_row("all", "", *_numbers(calls))
    return table


def _numbers(calls: Sequence[Call]) -> list[str]:
    firsts = [call.response.time_to_first_chunk for call in calls if call.response.time_to_first_chunk is not None]
    return [
        str(len(calls)),
        seconds(quantile([call.duration for call in calls], 0.5)),
        seconds(quantile([call.duration for call in calls], 0.95)),
        seconds(quantile(firsts, 0.5)) if firsts else "",
        count(len(call.attempts) - 1 for call in calls if call.attempts),
        count(call.status == "error" for call in calls),
        count(call.status == "truncated" for call in calls),
        count(call.usage.input_tokens or 0 for call in calls),
        count(call.usage.output_tokens or 0 for call in calls),
    ]


def _by_route(requests: Sequence[Request]) -> Table:
    table = Table(title="Requests by route", title_justify="left", title_style="bold")
    for heading in ("route", "requests", "p50", "p95", "5xx or broken", "calls", "in models", "parallel"):
        table.add_column(heading, justify="left" if heading == "route" else "right")
    groups: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        groups[request.name].append(request)
    for name, group in sorted(groups.items()):
        wall, added = sum(r.calls.wall for r in group), sum(r.calls.sum for r in group)
        total = sum(r.duration for r in group)
        table.add_row(
            Text(name),
            str(len(group)),
            seconds(quantile([r.duration for r in group], 0.5)),
            seconds(quantile([r.duration for r in group], 0.95)),
            count(r.status == "error" for r in group),
            count(r.calls.count for r in group),
            f"{100 * wall / total:.0f} %" if total else "",
            f"{added / wall:.1f}x" if wall else "",
        )
    return table


def quantile(values: Sequence[float], q: float) -> float:
    """The *q* quantile of *values*, which are at least one."""
    return values[0] if len(values) == 1 else statistics.quantiles(values, n=100, method="inclusive")[round(q * 100) - 1]


def seconds(value: float) -> str:
    """A duration to read."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def count(values: Iterable[int]) -> str:
    """A sum to read; nothing for none."""
    total = sum(values)
    return f"{total:,}" if total else ""
