"""Token counts of the OpenAI kind. Every vendor has its own place for cached and reasoning tokens."""

from llm_observe.records import Usage
from llm_observe.wire.answer import usage
from llm_observe.wire.jsonio import Document, integer, mapping

_EMPTY = Usage()


def usage_of(document: Document) -> Usage:
    """The counts in an answer's or chunk's ``usage``, or in Groq's ``x_groq.usage``."""
    counts = mapping(document.get("usage")) or mapping(mapping(document.get("x_groq")).get("usage"))
    if not counts:
        return _EMPTY
    prompt_details = mapping(counts.get("prompt_tokens_details"))
    output_details = mapping(counts.get("completion_tokens_details"))
    prompt, completion = integer(counts.get("prompt_tokens")), integer(counts.get("completion_tokens"))
    reasoning = _first(output_details.get("reasoning_tokens"), counts.get("reasoning_tokens"))
    return usage(
        input=prompt,
        output=_whole_output(counts, prompt, completion, reasoning),
        cache_read=_first(
            prompt_details.get("cached_tokens"),
            counts.get("prompt_cache_hit_tokens"),  # DeepSeek
            counts.get("cached_tokens"),  # Together
            counts.get("cache_read_input_tokens"),  # Databricks, LiteLLM
            counts.get("num_cached_tokens"),  # Mistral
        ),
        cache_write=_first(prompt_details.get("cache_write_tokens"), counts.get("cache_creation_input_tokens")),
        reasoning=reasoning,
    )


def _whole_output(counts: Document, prompt: int | None, completion: int | None, reasoning: int | None) -> int | None:
    """Completion tokens with the reasoning in them.

    xAI and some others leave it out: then the total shows it. Perplexity counts reasoning and citations beside the completion and has
    neither in the total.
    """
    if completion is None:
        return None
    if (citations := integer(counts.get("citation_tokens"))) is not None:
        return completion + (reasoning or 0) + citations
    if reasoning and prompt is not None and integer(counts.get("total_tokens")) == prompt + completion + reasoning:
        return completion + reasoning
    return completion


def _first(*values: object) -> int | None:
    return next((count for value in values if (count := integer(value)) is not None), None)
