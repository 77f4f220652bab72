"""Token counts as Google has them: what tools brought in stands beside the prompt, thoughts stand beside the answer."""

from typing import Any

import msgspec

from llm_observe.records import Billed, Usage
from llm_observe.wire.answer import modality, usage
from llm_observe.wire.gemini.fields import MODALITIES, member, several, word
from llm_observe.wire.jsonio import Document, integer, mapping

_KINDS = {"TEXT": "text", "IMAGE": "image", "DOCUMENT": "image", "AUDIO": "audio"}  # pages count as images; for video there is no name


def usage_of(counts: Any) -> Usage:
    """The counts of a ``usageMetadata``."""
    counts = mapping(counts)
    thoughts = integer(member(counts, "thoughtsTokenCount"))
    whole = usage(
        input=_sum(member(counts, "promptTokenCount"), member(counts, "toolUsePromptTokenCount")),
        output=_sum(member(counts, "candidatesTokenCount"), thoughts),
        cache_read=integer(member(counts, "cachedContentTokenCount")),
        reasoning=thoughts,
    )
    return _told_apart(
        whole,
        _by_kind(member(counts, "promptTokensDetails"), member(counts, "toolUsePromptTokensDetails")),
        _by_kind(member(counts, "candidatesTokensDetails")),
        _by_kind(member(counts, "cacheTokensDetails")),
    )


def embedding_usage(counts: Any) -> Usage:
    """The counts of an embeddings answer, where one of the two services misspells its details."""
    counts = mapping(counts)
    details = member(counts, "promptTokensDetails") or member(counts, "promptTokenDetails")
    return _told_apart(usage(input=integer(member(counts, "promptTokenCount")), output=None), _by_kind(details), {}, {})


def interaction_usage(counts: Any) -> Usage:
    """The counts of an interaction. Thoughts and tools' tokens are added where the total does not show that they are in already."""
    counts = mapping(counts)
    given, tools = integer(counts.get("total_input_tokens")), integer(counts.get("total_tool_use_tokens")) or 0
    got, thoughts = integer(counts.get("total_output_tokens")), integer(counts.get("total_thought_tokens"))
    total, both = integer(counts.get("total_tokens")), (given or 0) + (got or 0)
    with_thoughts = both + (thoughts or 0)
    whole = usage(
        input=given if total in {both, with_thoughts} else _sum(given, tools or None),
        output=got if total in {both, both + tools} - {with_thoughts} else _sum(got, thoughts),
        cache_read=integer(counts.get("total_cached_tokens")),
        reasoning=thoughts,
    )
    tools_used = [mapping(used) for used in several(counts.get("grounding_tool_count"))]
    searches = [count for used in tools_used if used.get("type") == "google_search" and (count := integer(used.get("count")))]
    return _told_apart(
        with_searches(whole, sum(searches)),
        _by_kind(counts.get("input_tokens_by_modality"), counts.get("tool_use_tokens_by_modality")),
        _by_kind(counts.get("output_tokens_by_modality")),
        _by_kind(counts.get("cached_tokens_by_modality")),
    )


def with_searches(whole: Usage, searches: int) -> Usage:
    """The counts, and how often the web was searched, which is charged for apart."""
    return msgspec.structs.replace(whole, billed=Billed(web_searches=searches)) if searches else whole


def _told_apart(whole: Usage, given: dict[str, int], got: dict[str, int], cached: dict[str, int]) -> Usage:
    """The counts by kind beside the whole."""
    kinds = {kind: modality(given.get(kind), got.get(kind), cached.get(kind)) for kind in given | got | cached}
    return msgspec.structs.replace(whole, **kinds) if kinds else whole


def _by_kind(*details: Any) -> dict[str, int]:
    """Tokens by kind: of ``[{"modality": "TEXT", "tokenCount": 7}]``, and of ``[{"modality": "text", "tokens": 7}]``."""
    found: dict[str, int] = {}
    for detail in (detail for some in details for detail in several(some)):
        if type(detail) is dict:
            kind = _KINDS.get((word(detail.get("modality"), MODALITIES) or "TEXT").upper())
            count = _count(detail)
            if kind is not None and count is not None:
                found[kind] = found.get(kind, 0) + count
    return found


def _count(detail: Document) -> int | None:
    count = integer(member(detail, "tokenCount"))
    return integer(detail.get("tokens")) if count is None else count


def _sum(*counts: Any) -> int | None:
    """Of the counts that are known; nothing where none is."""
    known = [count for value in counts if (count := integer(value)) is not None]
    return sum(known) if known else None
