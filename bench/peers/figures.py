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
    """A row for each scenario and tool, in their order."""
    found = []
    for scenario in run.scenarios:
        of_scenario = [row(run, scenario, tool) for tool in run.tools if run.blocks.get((scenario.name, tool.name))]
        found += [each | beside(each, of_scenario) for each in of_scenario]
    return found


def row(run: Run, scenario: Scenario, tool: Tool) -> dict[str, Any]:
    """One tool's: each figure that its blocks have, and what it adds to the bare client's of the same round."""
    blocks, bare = run.blocks[scenario.name, tool.name], run.blocks[scenario.name, "bare"]
    found: dict[str, Any] = {"scenario": scenario.name, "title": scenario.title, "kind": scenario.kind, "tool": tool.name, "is": tool.kind}
    for name in ("p50", "p99", "max", "cpu_us", "per_s", "growth", "peak"):
        if name in blocks[0]:
            found[name] = spread([block[name] for block in blocks])
            found[f"added_{name}"] = spread([block[name] - other[name] for block, other in zip(blocks, bare, strict=True)])
            found[f"times_{name}"] = spread(
                [block[name] / other[name] if other[name] else 1.0 for block, other in zip(blocks, bare, strict=True)]
            )
    exported = run.exported.get((scenario.name, tool.name))
    return found | {
        "failed": sum(block.get("failed", 0) for block in blocks),
        "exported": dict(exported or {}),
        "void": void(tool, exported or {}),
    }


def void(tool: Tool, exported: dict[str, int]) -> str:
    """Why nothing can be compared with what *tool* took: it left something undone. Empty as a rule."""
    if tool.exports == "nothing" or not exported:
        return ""
    lacking = [
        f"{exported.get(what, 0)} {words} of {exported['asked']}"
        for what, words in (("prompts", "prompts"), ("whole_prompts", "whole prompts"), ("answers", "answers"))
        if exported.get(what, 0) != exported["asked"]
    ]
    return ", ".join(lacking)


MEASURE = {"calls": "p50", "crowd": "cpu_us", "web": "p99", "memory": "growth", "import": "p50"}
"""What tools are ordered by in a scenario of each kind."""


def beside(row: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    """What *row*'s tool adds, over what the best peer adds that did the whole work."""
    name = f"added_{MEASURE[row['kind']]}"
    peers = [other for other in others if other["is"] == "peer" and not other["void"]]
    if not peers or row["is"] == "peer":
        return {}
    best = min(peers, key=lambda other: other[name]["median"])
    added = best[name]["median"]
    return {"best_peer": best["tool"], "of_best_peer": row[name]["median"] / added} if added > 0 else {}
