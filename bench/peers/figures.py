"""What the blocks of a run say: medians over rounds, quartiles, differences within a round, ratios."""

import statistics
from typing import Any

from peers.driver import Run
from peers.scenarios import Scenario
from peers.tools import Tool


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": statistics.median(values), "q1": low, "q3": high}


def rows(run: Run) -> list[dict[str, Any]]:
    """A row for each scenario and tool, in their order; one that failed has no figures."""
    found = []
    for scenario in run.scenarios:
        if scenario.kind == "own":
            continue
        blocks, failed = run.blocks.get(scenario.name, {}), run.failed.get(scenario.name, {})
        for_nothing = failed.get("bare", "")  # what a tool adds is not known then
        of_scenario = []
        for tool in run.tools:
            about = {"scenario": scenario.name, "title": scenario.title, "kind": scenario.kind, "tool": tool.name, "is": tool.kind}
            if reason := failed.get(tool.name) or for_nothing:
                of_scenario.append(about | {"failed": 0, "void": f"failed: {reason}"})
            elif tool.name in blocks:
                of_scenario.append(about | row(run, scenario, tool))
        found += [each | beside(each, of_scenario) for each in of_scenario]
    return found


def row(run: Run, scenario: Scenario, tool: Tool) -> dict[str, Any]:
    """One tool's: each figure that its blocks have, and what it adds to the bare client's of the same round."""
    blocks, bare = (run.blocks[scenario.name][name] for name in (tool.name, "bare"))
    found: dict[str, Any] = {"rounds": len(blocks)}
    for name in ("p50", "p99", "max", "caller_us", "cpu_us", "per_s", "provider", "growth", "peak", "caller_k", "all_k", "per_g"):
        if name in blocks[0]:
            found[name] = spread([block[name] for block in blocks])
            found[f"added_{name}"] = spread([block[name] - other[name] for block, other in zip(blocks, bare, strict=True)])
            found[f"times_{name}"] = spread(
                [block[name] / other[name] if other[name] else 1.0 for block, other in zip(blocks, bare, strict=True)]
            )
    exported = run.exported.get(scenario.name, {}).get(tool.name, {})
    failed = sum(block.get("failed", 0) for block in blocks)
    return found | {"failed": failed, "exported": exported, "void": void(tool, exported)}


def void(tool: Tool, exported: dict[str, int]) -> str:
    """Why nothing can be compared with what *tool* took: it left something undone. Empty as a rule."""
    if tool.exports == "nothing" or not exported:
        return ""
    lacking = [
        f"{exported.get(what, 0)} {words} of {exported['asked']}"
        for what, words in (("prompts", "prompts"), ("whole_prompts", "whole prompts"), ("answers", "answers"))
        if exported.get(what, 0) != exported["asked"]
    ]
    return f"exported {', '.join(lacking)}" if lacking else ""


COMPARED = {
    "calls": ("added_p50", "added_caller_us", "added_cpu_us"),
    "crowd": ("added_cpu_us",),
    "web": ("times_p99", "times_per_s"),
    "counted": ("added_caller_k", "added_all_k", "times_per_g"),
    "memory": ("growth",),
    "import": ("added_p50",),
}
"""What tools are compared by in a scenario of each kind."""


def beside(row: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    """By each measure: the best peer that did the whole work, its figure, and what part of it *row*'s is where both are additions."""
    peers = [other for other in others if other["is"] == "peer" and not other["void"]]
    if not peers or row["is"] == "peer" or row["void"] or row["scenario"].endswith("other-sync"):  # which no peer touches
        return {}
    found = {}
    for name in (name for name in COMPARED[row["kind"]] if name in row):
        best = (max if name.startswith("times_per_") else min)(peers, key=lambda other: other[name]["median"])
        figure = best[name]["median"]
        found[name] = {"tool": best["tool"], "figure": figure}
        if name.startswith("added") and figure > 0:
            found[name]["part"] = row[name]["median"] / figure
    return {"best_peer": found}
