"""The figures, to read: a table in the terminal, one in the docs, and a plot."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from rich.console import Console
from rich.table import Table

mpl.use("Agg")  # before pyplot looks for a display
from matplotlib import pyplot as plt

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
COLOURS = {"control": "#9aa0a6", "ours": "#1a73e8", "peer": "#e8a33d"}

HEADS = {
    "calls": ["p50 ms", "added µs", "quartiles", "of best peer", "p99 ms", "CPU added µs"],
    "crowd": ["p50 ms", "streams/s", "kept", "CPU added µs", "quartiles", "of best peer"],
    "web": ["requests/s", "kept", "p50 ms", "p99 ms", "p99 of bare", "of best peer"],
    "memory": ["growth MiB", "peak MiB"],
    "import": ["ms", "added ms", "quartiles", "of best peer"],
}


def cells(row: dict[str, Any]) -> list[str]:
    """One tool's line in the table of a scenario."""

    def median(name: str, digits: int = 2, times: float = 1) -> str:
        return f"{row[name]['median'] * times:,.{digits}f}" if name in row else ""

    def quartiles(name: str, times: float = 1) -> str:
        return f"{row[name]['q1'] * times:,.0f} to {row[name]['q3'] * times:,.0f}"

    best = f"{row['of_best_peer']:.2f}" if "of_best_peer" in row else ""
    kept = f"{row['times_per_s']['median']:.0%}" if "times_per_s" in row else ""
    match row["kind"]:
        case "calls":
            added = [median("added_p50", 0, 1e3), quartiles("added_p50", 1e3)]
            return [median("p50"), *added, best, median("p99"), median("added_cpu_us", 0)]
        case "crowd":
            return [median("p50", 0), median("per_s", 0), kept, median("added_cpu_us", 0), quartiles("added_cpu_us"), best]
        case "web":
            return [median("per_s", 0), kept, median("p50"), median("p99"), median("times_p99"), best]
        case "memory":
            return [median("growth", 1), median("peak", 0)]
        case _:
            return [median("p50", 0), median("added_p50", 0), quartiles("added_p50"), best]


def scenarios(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["title"], []).append(row)
    return found


def notes(rows: list[dict[str, Any]]) -> list[str]:
    """Which figures are void, and why; and who answered with an error."""
    void = [f"{row['tool']}, {row['title']}: VOID, exported {row['void']}" for row in rows if row["void"]]
    return void + [f"{row['tool']}, {row['title']}: {row['failed']:.0f} requests failed" for row in rows if row["failed"]]


def printed(rows: list[dict[str, Any]], console: Console) -> None:
    for title, of_scenario in scenarios(rows).items():
        table = Table(title=title, title_justify="left", title_style="bold")
        table.add_column("")
        for head in HEADS[of_scenario[0]["kind"]]:
            table.add_column(head, justify="right")
        for row in of_scenario:
            style = "dim" if row["void"] else {"ours": "bold", "control": "cyan"}.get(row["is"], "")
            table.add_row(row["tool"] + (" (void)" if row["void"] else ""), *cells(row), style=style)
        console.print(table)
    for note in notes(rows):
        console.print(note, style="bold red")


def page(result: dict[str, Any]) -> str:
    """The tables as Markdown."""
    where = result["machine"]
    lines = [
        f"Run of {result['at'][:10]}: {where['processor']}, {where['cores']} cores, Python {where['python']}, {result['rounds']} rounds.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(all_versions(result).items())) + ".",
    ]
    for title, rows in scenarios(result["rows"]).items():
        heads = HEADS[rows[0]["kind"]]
        lines += ["", f"### {title[0].upper()}{title[1:]}", "", f"| | {' | '.join(heads)} |", "| --- |" + " ---: |" * len(heads)]
        lines += [f"| {row['tool']}{' (void)' if row['void'] else ''} | {' | '.join(cells(row))} |" for row in rows]
    if said := notes(result["rows"]):
        lines += ["", *(f"- {note}" for note in said)]
    return "\n".join(lines)


def all_versions(result: dict[str, Any]) -> dict[str, str]:
    return {name: version for packages in result["versions"].values() for name, version in packages.items()}


def into_docs(result: dict[str, Any], path: Path) -> None:
    """Puts the tables between the marks of the page at *path*."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{path} has no {BEGIN} and {END} to put the tables between")
    path.write_text(f"{before}{BEGIN}\n{page(result)}\n{END}{after}")


PLOTTED = {"calls": ("added_p50", 1e3, "added, µs"), "crowd": ("added_cpu_us", 1, "CPU added, µs"), "web": ("p99", 1, "p99, ms")} | {
    "memory": ("growth", 1, "growth, MiB"),
    "import": ("added_p50", 1, "added, ms"),
}


def plotted(rows: list[dict[str, Any]], path: Path) -> list[Path]:
    """Draws a panel for each scenario, bars with quartiles, to *path* as PNG and SVG."""
    panels = scenarios(rows)
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    tallest = max(len(of_scenario) for of_scenario in panels.values())
    figure, axes = plt.subplots(lines, columns, figsize=(5.2 * columns, (0.26 * tallest + 1) * lines), squeeze=False, layout="constrained")
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, (title, of_scenario) in zip(axes.flat, panels.items(), strict=False):
        name, times, words = PLOTTED[of_scenario[0]["kind"]]
        shown = [row for row in of_scenario if not (name.startswith("added") and row["tool"] == "bare")]
        middles = [row[name]["median"] * times for row in shown]
        low = [max(0.0, middle - row[name]["q1"] * times) for middle, row in zip(middles, shown, strict=True)]
        high = [max(0.0, row[name]["q3"] * times - middle) for middle, row in zip(middles, shown, strict=True)]
        bars = axis.barh(
            [row["tool"] for row in shown], middles, xerr=[low, high], color=[COLOURS[row["is"]] for row in shown], ecolor="#5f6368"
        )
        for bar, row in zip(bars, shown, strict=True):
            bar.set_hatch("///" if row["void"] else "")
        axis.invert_yaxis()
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_xlabel(words, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    written = [path.with_suffix(suffix) for suffix in (".png", ".svg")]
    for file in written:
        figure.savefig(file, dpi=150)
    plt.close(figure)
    return written
