"""Token counts of Anthropic's.

A model may answer in several rounds (it compacts what came before, asks an adviser, gives way to another model): the counts at the top
are those of the answer's own, and ``iterations`` has every round. All of them are charged for: ``usage.billed`` has their sums, where they
come to more.
"""

from collections.abc import Iterable

from llm_observe.records import Billed, InputTokens, Usage
from llm_observe.wire.answer import usage
from llm_observe.wire.jsonio import Document, integer, items, mapping


def usage_of(counts: Document) -> Usage:
    """The counts, with the cached tokens in the input: here they are given beside it."""
    whole, answered = _input(counts), integer(counts.get("output_tokens"))
    return usage(
        input=whole,
        output=answered,
        cache_read=integer(counts.get("cache_read_input_tokens")),
        cache_write=integer(counts.get("cache_creation_input_tokens")),
        reasoning=integer(mapping(counts["output_tokens_details"]).get("thinking_tokens")) if "output_tokens_details" in counts else None,
        billed=_billed(counts, whole, answered) if "iterations" in counts or "server_tool_use" in counts else None,
    )


def _billed(counts: Document, whole: int | None, answered: int | None) -> Billed:
    """What is charged for beside the counts at the top."""
    rounds = [mapping(iteration) for iteration in items(counts.get("iterations"))]
    every_input, every_output = _sum(map(_input, rounds)), _sum(integer(one.get("output_tokens")) for one in rounds)
    if (every_input or 0) <= (whole or 0) and (every_output or 0) <= (answered or 0):
        rounds = []
    read = _sum(integer(one.get("cache_read_input_tokens")) for one in rounds)
    written = _sum(integer(one.get("cache_creation_input_tokens")) for one in rounds)
    return Billed(
        input_tokens=every_input if rounds else None,
        output_tokens=every_output if rounds else None,
        cache_read=None if read is None else InputTokens(input_tokens=read),
        cache_write=None if written is None else InputTokens(input_tokens=written),
        web_searches=integer(mapping(counts.get("server_tool_use")).get("web_search_requests")) or None,
    )


def _input(counts: Document) -> int | None:
    """All that went in, cached or not."""
    fresh = integer(counts.get("input_tokens"))
    if fresh is None:
        return None
    return fresh + (integer(counts.get("cache_read_input_tokens")) or 0) + (integer(counts.get("cache_creation_input_tokens")) or 0)


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
