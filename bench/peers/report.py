"""The figures, to read: tables in the terminal, and in the docs."""

import shutil
from pathlib import Path
from typing import Any

HEADS = {
    "calls": ["p50 ms", "added µs", "quartiles", "p99 ms", "caller's CPU added µs", "quartiles", "CPU added µs", "quartiles"],
    "crowd": ["p50 ms", "CPU added µs", "quartiles", "streams/s", "kept"],
    "web": ["requests/s", "kept", "p50 ms", "p99 ms", "p99 of bare", "quartiles"],
    "counted": ["caller's thread, thousands", "added", "all threads, thousands", "added", "quartiles", "kept"],
    "memory": ["growth MiB", "peak MiB"],
    "import": ["ms", "added ms", "quartiles"],
}
WORDS = {
    "added_p50": "added to a call",
    "added_caller_us": "CPU added, the caller's thread",
    "added_cpu_us": "CPU added, all threads",
    "times_p99": "p99, of the bare app's",
    "times_per_s": "throughput, of the bare app's",
    "growth": "growth",
    "added_caller_k": "added, the caller's thread",
    "added_all_k": "added, all threads",
    "times_per_g": "throughput, if instructions alone decided",
}
BUSY = 0.8  # of a core: a provider as busy as that may be what is measured

Table = tuple[str, list[str], list[list[str]]]
"""A title, heads and lines."""


def median(figure: dict[str, float], digits: int = 2, times: float = 1) -> str:
    return f"{figure['median'] * times:,.{digits}f}"


def quartiles(figure: dict[str, float], digits: int = 0, times: float = 1) -> str:
    return f"{figure['q1'] * times:,.{digits}f} to {figure['q3'] * times:,.{digits}f}"


def cells(row: dict[str, Any]) -> list[str]:
    """One tool's line in the table of a scenario; empty where it failed."""
    if "rounds" not in row:
        return [""] * len(HEADS[row["kind"]])
    match row["kind"]:
        case "calls":
            added, own, cpu = row["added_p50"], row["added_caller_us"], row["added_cpu_us"]
            wall = [median(row["p50"]), median(added, 0, 1e3), quartiles(added, 0, 1e3), median(row["p99"])]
            return [*wall, median(own, 0), quartiles(own), median(cpu, 0), quartiles(cpu)]
        case "crowd":
            cpu, kept = row["added_cpu_us"], f"{row['times_per_s']['median']:.0%}"
            return [median(row["p50"], 0), median(cpu, 0), quartiles(cpu), median(row["per_s"], 0), kept]
        case "web":
            kept, of_bare = f"{row['times_per_s']['median']:.0%}", row["times_p99"]
            return [median(row["per_s"], 0), kept, median(row["p50"]), median(row["p99"]), median(of_bare), quartiles(of_bare, 2)]
        case "counted":
            own = [median(row["caller_k"], 0), median(row["added_caller_k"], 0)] if "caller_k" in row else ["", ""]
            every = [median(row["all_k"], 0), median(row["added_all_k"], 0), quartiles(row["added_all_k"])]
            return [*own, *every, f"{row['times_per_g']['median']:.0%}" if "per_g" in row else ""]
        case "memory":
            return [median(row["growth"], 1), median(row["peak"], 0)]
        case _:
            return [median(row["p50"], 0), median(row["added_p50"], 0), quartiles(row["added_p50"])]


def scenarios(rows: list[dict[str, Any]]) -> list[Table]:
    """A table for each scenario, a line for each tool."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["title"], []).append(row)
    tables = []
    for title, shown in found.items():
        rounds = max(row.get("rounds", 0) for row in shown)
        about = f"{title} ({rounds} rounds)" if rounds > 1 else title
        tables.append((about, ["", *HEADS[shown[0]["kind"]]], [[name(row), *cells(row)] for row in shown]))
    return tables


def name(row: dict[str, Any]) -> str:
    return f"{row['tool']} (void)" if row["void"] else row["tool"]


def against_best(rows: list[dict[str, Any]]) -> list[Table]:
    """Ourselves beside the best of the peers that did the whole work, by each measure."""
    lines = []
    for row in rows:
        for measure, best in row.get("best_peer", {}).items() if row["tool"] == "llm-observe" else ():
            part = f"{best['part']:.2f}" if "part" in best else ""
            ours = shown(measure, row["kind"], row[measure]["median"])
            words = "added" if row["kind"] == "import" else WORDS[measure]
            lines.append([row["title"], words, ours, shown(measure, row["kind"], best["figure"]), best["tool"], part])
    return [("Beside the best peer", ["", "measure", "llm-observe", "best peer", "which", "part of it"], lines)] if lines else []


def shown(measure: str, kind: str, value: float) -> str:
    match measure:
        case "added_p50":
            return f"{value:,.0f} ms" if kind == "import" else f"{value * 1e3:,.0f} µs"
        case "added_cpu_us" | "added_caller_us":
            return f"{value:,.0f} µs"
        case "added_caller_k" | "added_all_k":
            return f"{value:,.0f} k"
        case "growth":
            return f"{value:,.1f} MiB"
        case _:
            return f"{value:.0%}"


def alone(own: dict[str, Any]) -> list[Table]:
    """What is measured of ourselves: the budget, the sink, the curves."""
    tables: list[Table] = []
    if "budget" in own:
        lines = []
        for row in own["budget"]["rows"]:
            cpu, most = f"{row['cpu_added_us']:.0f}", f"{row['cpu_budget_us'] or ''}"
            path = [f"{row['bare_us']:.1f}", f"{row['added_us']:.1f}", f"{row['budget_us']}", f"{row['of_bare']:.0%}"]
            lines.append([row["scenario"], *path, cpu, most])
        heads = ["", "bare µs", "added µs", "at most", "of bare", "CPU of all threads µs", "at most"]
        tables.append(("The budget, over a transport in memory", heads, lines))
        process = own["budget"]["process"]
        hold, memory, imported = process["hold"], process["memory"], process["import"]
        lines = [
            ["held by the background thread, CPU between two rests, p99.9", f"{hold['p999_held_ms']:.2f} ms", "", "1 ms"],
            ["held by the background thread, longest", f"{hold['max_held_ms']:.2f} ms", "", "1 ms"],
            ["wait for the interpreter, p99.9", f"{hold['p999_observed_ms']:.2f} ms", f"{hold['p999_bare_ms']:.2f} ms", ""],
            ["wait for the interpreter, longest", f"{hold['max_observed_ms']:.2f} ms", f"{hold['max_bare_ms']:.2f} ms", ""],
            ["memory, every exporter dead: growth", f"{memory['growth_mib']:.0f} MiB", "", "100 MiB"],
            ["`import llm_observe`", f"{imported['import_ms']:.0f} ms", "", "60 ms"],
        ]
        tables.append(("The budget, whole process", ["", "observed", "bare", "at most"], lines))
    if "sink" in own:
        heads = ["", "exporter", "records/s", "quartiles", "MB/s", "CPU µs a record", "of nothing's CPU"]
        lines = []
        for row in own["sink"]["rows"]:
            rate, more = row["records_per_s"], [median(row["mb_per_s"], 1), median(row["cpu_us"], 0), median(row["times_nothing"])]
            lines.append([row["load"], row["exporter"], median(rate, 0), quartiles(rate), *more])
        tables.append(("How fast the background thread gets rid of what waits, by exporter", heads, lines))
    for title, rows in own.get("curves", {}).get("curves", {}).items():
        heads = [head.replace("_", " ") for head in rows[0]]
        lines = [[median(value) if isinstance(value, dict) else f"{value:,}" for value in row.values()] for row in rows]
        tables.append((f"{title[0].upper()}{title[1:]}", heads, lines))
    return tables


def notes(result: dict[str, Any]) -> list[str]:
    """Which figures are void, and why; who answered with an error; what the machine did besides."""
    found = [f"{row['tool']}, {row['title']}: void, {row['void'].splitlines()[0]}" for row in result["rows"] if row["void"]]
    found += [f"{row['tool']}, {row['title']}: {row['failed']:.0f} requests failed" for row in result["rows"] if row["failed"]]
    found += [f"{tool}, all scenarios: void, {reason.splitlines()[0]}" for tool, reason in result["absent"].items()]
    found += [f"{scenario}: void, {reason.splitlines()[0]}" for scenario, reason in result["own_failed"].items()]
    for row in result["rows"]:
        if row["tool"] == "bare" and row.get("provider", {}).get("median", 0) > BUSY:
            found.append(f"{row['title']}: the provider was busy for {row['provider']['median']:.0%} of the bare client's time")
    return found


def tables(result: dict[str, Any]) -> list[Table]:
    return [*against_best(result["rows"]), *alone(result["own"]), *scenarios(result["rows"])]


def printed(result: dict[str, Any], console: Any) -> None:
    from rich.table import Table as Drawn

    for title, heads, lines in tables(result):
        table = Drawn(title=title, title_justify="left", title_style="bold")
        for number, head in enumerate(heads):
            table.add_column(head, justify="right" if number else "left", no_wrap=not number)
        for line in lines:
            style = "dim" if line[0].endswith("(void)") else "bold" if line[0].startswith("llm-observe") else ""
            table.add_row(*line, style=style)
        console.print(table)
    for note in notes(result):
        console.print(note, style="bold red")


def page(result: dict[str, Any], pictures: dict[str, str]) -> str:
    """The tables as Markdown, with *pictures* by what they show."""
    where = result["machine"]
    lines = [
        f"Run of {result['at'][:10]}: {where['processor']}, {where['cores']} cores, Python {where['python']}, {result['minutes']:.0f} minutes.",
        "Versions: " + ", ".join(f"{package} {version}" for package, version in sorted(versions(result).items())) + ".",
    ]
    for words, path in pictures.items():
        lines += ["", f"![{words}]({path})"]
    for title, heads, rows in tables(result):
        lines += ["", f"### {title[0].upper()}{title[1:]}", "", f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    if said := notes(result):
        lines += ["", "### What is void, and what else to know", "", *(f"- {note}" for note in said)]
    return "\n".join(lines)


def versions(result: dict[str, Any]) -> dict[str, str]:
    return {package: version for packages in result["versions"].values() for package, version in packages.items()}


def into_docs(result: dict[str, Any], drawn: dict[str, Path], path: Path, part: str) -> list[Path]:
    """Puts the tables and the pictures *drawn* between the marks that the page at *path* has for that *part*."""
    begin, end = f"<!-- {part}:begin -->", f"<!-- {part}:end -->"
    before, _, rest = path.read_text().partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise SystemExit(f"{path} has no {begin} and {end} to put the tables between")
    home = path.parent / "img"
    home.mkdir(exist_ok=True)
    pictures = {words: Path(shutil.copy(picture, home / f"performance-{picture.name}")) for words, picture in drawn.items()}
    shown = {words: f"img/{picture.name}" for words, picture in pictures.items()}
    path.write_text(f"{before}{begin}\n{page(result, shown)}\n{end}{after}")
    return [path, *pictures.values()]
