"""Token counts of the OpenAI kind. Every vendor has its own place for cached and reasoning tokens."""

from llm_observe.records import Billed, Modality, Usage
from llm_observe.wire.answer import modality, usage
from llm_observe.wire.jsonio import Document, integer, mapping, number

_EMPTY = Usage()
_USUAL = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})  # where there are no others, there is nothing to look for


def usage_of(document: Document) -> Usage:
    """The counts in an answer's or chunk's ``usage``, or in one of the places that stand in for it."""
    counts = mapping(document.get("usage")) or mapping(mapping(document.get("x_groq")).get("usage"))
    if not counts:
        return _timed(mapping(document.get("timings")))
    if counts.keys() <= _USUAL:
        return Usage(input_tokens=integer(counts.get("prompt_tokens")), output_tokens=integer(counts.get("completion_tokens")))
    searches = _first(counts.get("num_search_queries"), mapping(counts.get("server_tool_use_details")).get("web_search_requests"))
    return _usage(counts, "prompt", "completion", searches)


def response_usage(response: Document) -> Usage:
    """The counts of a response, and the searches beside them."""
    counts = mapping(response.get("usage"))
    searches = integer(mapping(mapping(response.get("tool_usage")).get("web_search")).get("num_requests"))
    return _usage(counts, "input", "output", searches) if counts else _EMPTY


def embeddings_usage(counts: Document) -> Usage:
    """The counts of an embeddings answer: there is no output. Voyage has no more than the total."""
    return usage(input=_first(counts.get("prompt_tokens"), counts.get("total_tokens")), output=None)


def time_of(document: Document) -> float | None:
    """The seconds that Groq and llama.cpp say to have worked."""
    counts = mapping(document.get("usage")) or mapping(mapping(document.get("x_groq")).get("usage"))
    if "total_time" in counts and (total := number(counts["total_time"])) is not None:
        return total
    if "timings" not in document:
        return None
    timings = mapping(document["timings"])
    prompt, predicted = number(timings.get("prompt_ms")), number(timings.get("predicted_ms"))
    return None if prompt is None or predicted is None else (prompt + predicted) / 1000


def _usage(counts: Document, into: str, out: str, searches: int | None) -> Usage:
    prompt_details = mapping(counts.get(f"{into}_tokens_details")) or mapping(counts.get(f"{into}_token_details"))  # Writer
    output_details = mapping(counts.get(f"{out}_tokens_details")) or mapping(counts.get(f"{out}_token_details"))
    prompt, completion = integer(counts.get(f"{into}_tokens")), integer(counts.get(f"{out}_tokens"))
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
        billed=Billed(web_searches=searches) if searches else None,
        text=_modality("text_tokens", prompt_details, output_details),
        image=_modality("image_tokens", prompt_details, output_details),
        audio=_modality("audio_tokens", prompt_details, output_details),
    )


def _modality(member: str, prompt_details: Document, output_details: Document) -> Modality | None:
    read, said = prompt_details.get(member), output_details.get(member)
    if not read and not said:
        return None  # most kinds of most calls
    cached = mapping(prompt_details.get("cached_tokens_details")).get(member)
    return modality(integer(read), integer(said), integer(cached))


def _timed(timings: Document) -> Usage:
    """What llama.cpp counted while it took the time: the cached part of the prompt is beside what it read."""
    read, cached, said = integer(timings.get("prompt_n")), integer(timings.get("cache_n")), integer(timings.get("predicted_n"))
    if read is None and said is None:
        return _EMPTY
    return usage(input=None if read is None else read + (cached or 0), output=said, cache_read=cached)


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
    for value in values:
        if value is not None and (count := integer(value)) is not None:
            return count
    return None
