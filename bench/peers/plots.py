"""The figures, to look at: a panel for each scenario, and one for each curve. As PNG and as SVG."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # before pyplot looks for a display
from matplotlib import pyplot as plt

mpl.rcParams.update(
    {"svg.fonttype": "none", "svg.hashsalt": "llm-observe", "font.size": 8, "axes.titlesize": 9, "axes.titlelocation": "left"}
)
COLOURS = {"control": "#9aa0a6", "ours": "#1a73e8", "peer": "#e8a33d"}
BARS = {
    "calls": ("added_p50", 1e3, "added to a call, µs"),
    "crowd": ("added_cpu_us", 1, "CPU added to a stream, µs"),
    "web": ("p99", 1, "p99, ms"),
    "counted": ("added_all_k", 1, "thousand instructions added, all threads"),
    "memory": ("growth", 1, "growth, MiB"),
    "import": ("added_p50", 1, "added, ms"),
}
LINES = {
    "chunks": ("chunks in the stream", [("path_ns", "caller"), ("sink_ns", "background")], "ns for each chunk", "log"),
    "bytes": ("bytes of the prompt", [("path_us", "caller"), ("sink_us", "background")], "µs for a call", "log"),
    "waiting": ("records waiting", [("records_per_s", "records/s")], "records a second", "linear"),
    "in_flight": (
        "web requests under way",
        [("path_us", "added"), ("path_us_gc_off", "added, without Python's garbage collector")],
        "µs added to a request",
        "linear",
    ),
}


def saved(figure: Any, path: Path) -> list[Path]:
    written = [path.with_suffix(suffix) for suffix in (".png", ".svg")]
    figure.savefig(written[0], dpi=150)
    figure.savefig(written[1], metadata={"Date": None})
    plt.close(figure)
    return written


def bars(rows: list[dict[str, Any]], path: Path) -> list[Path]:
    """A panel for each scenario, with quartiles. What is void is hatched; what failed is not there."""
    panels: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        name = BARS[row["kind"]][0]
        if name in row and not (name.startswith("added") and row["tool"] == "bare"):
            panels.setdefault(row["title"], []).append(row)
    if not panels:
        return []
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    tallest = max(len(shown) for shown in panels.values())
    figure, axes = plt.subplots(lines, columns, figsize=(5.2 * columns, (0.24 * tallest + 1) * lines), squeeze=False, layout="constrained")
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, (title, shown) in zip(axes.flat, panels.items(), strict=False):
        name, times, words = BARS[shown[0]["kind"]]
        middles = [row[name]["median"] * times for row in shown]
        low = [max(0.0, middle - row[name]["q1"] * times) for middle, row in zip(middles, shown, strict=True)]
        high = [max(0.0, row[name]["q3"] * times - middle) for middle, row in zip(middles, shown, strict=True)]
        colours = [COLOURS[row["is"]] for row in shown]
        drawn = axis.barh([row["tool"] for row in shown], middles, xerr=[low, high], color=colours, ecolor="#5f6368")
        for bar, row in zip(drawn, shown, strict=True):
            bar.set_hatch("///" if row["void"] else "")
        clipped(axis, middles, high, [row["tool"] == "naive" for row in shown])
        axis.invert_yaxis()
        axis.set_title(title)
        axis.set_xlabel(words)
        axis.spines[["top", "right"]].set_visible(False)
    return saved(figure, path)


def clipped(axis: Any, middles: list[float], high: list[float], apart: list[bool]) -> None:
    """End the axis where the others end, if one that stands *apart* goes far beyond: a commit to a slow disk would hide all the rest."""
    ends = [middle + more for middle, more in zip(middles, high, strict=True)]
    most = max((end for end, alone in zip(ends, apart, strict=True) if not alone), default=0.0)
    if most > 0 and max(ends) > 2 * most:
        left = axis.get_xlim()[0]
        axis.set_xlim(max(left, -1.25 * most), 1.25 * most)
        for number, (middle, end) in enumerate(zip(middles, ends, strict=True)):
            if end > 1.25 * most:
                axis.text(1.24 * most, number, f"{middle:,.0f} →", ha="right", va="center", color="white")


def lines(curves: dict[str, list[dict[str, Any]]], path: Path) -> list[Path]:
    """A panel for each curve: medians, and quartiles as a band."""
    figure, axes = plt.subplots(2, 2, figsize=(10.4, 6.4), layout="constrained")
    for axis, (title, rows) in zip(axes.flat, curves.items(), strict=True):
        over = next(iter(rows[0]))
        words, shown, unit, scale = LINES[over]
        at = [row[over] for row in rows]
        for (name, label), colour in zip(shown, (COLOURS["ours"], COLOURS["peer"]), strict=False):
            axis.plot(at, [row[name]["median"] for row in rows], marker="o", markersize=3, label=label, color=colour)
            low, high = ([row[name][quartile] for row in rows] for quartile in ("q1", "q3"))
            axis.fill_between(at, low, high, alpha=0.2, color=colour, linewidth=0)
        axis.set_xscale("log")
        axis.set_yscale(scale)
        if scale == "linear":
            axis.set_ylim(bottom=0)
        axis.set_title(title)
        axis.set_xlabel(words)
        axis.set_ylabel(unit)
        axis.spines[["top", "right"]].set_visible(False)
        if len(shown) > 1:
            axis.legend(frameon=False)
    return saved(figure, path)
