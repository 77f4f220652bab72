"""Token counts of the OpenAI kind. Every vendor has its own place for cached and reasoning tokens."""

from llm_observe.records import Billed, InputTokens, Modality, OutputTokens, Usage
from llm_observe.wire.answer import modality, usage
from llm_observe.wire.jsonio import Document, integer, mapping, number

_EMPTY = Usage()
_KINDS = ("text", "image", "audio")
_USUAL = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})  # where there are no others, there is nothing to look for
_ELSEWHERE = frozenset(  # what vendors count beside the details, or in others
    {"reasoning_tokens", "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens", "num_cached_tokens"}
    | {"cache_creation_input_tokens", "citation_tokens", "num_search_queries", "server_tool_use_details"}
    | {"prompt_token_details", "completion_token_details", "input_token_details", "output_token_details"}
)


def counts_of(document: Document) -> Document:
    """An answer's or chunk's ``usage``, or what stands in for it."""
    counts = document.get("usage")
    return counts if type(counts) is dict and counts else mapping(mapping(document.get("x_groq")).get("usage"))


def usage_of(document: Document, counts: Document) -> Usage:
    """What the counts of an answer or a stream come to, or what llama.cpp has in their place."""
    if not counts:
        return _timed(mapping(document["timings"])) if "timings" in document else _EMPTY
    if counts.keys() <= _USUAL:
        return Usage(input_tokens=integer(counts.get("prompt_tokens")), output_tokens=integer(counts.get("completion_tokens")))
    return _usage(counts, "prompt", "completion")


def response_usage(response: Document) -> Usage:
    """The counts of a response, and the searches beside them."""
    counts = mapping(response.get("usage"))
    searches = integer(mapping(mapping(response.get("tool_usage")).get("web_search")).get("num_requests"))
    return _usage(counts, "input", "output", searches) if counts else _EMPTY


def embeddings_usage(counts: Document) -> Usage:
    """The counts of an embeddings answer: there is no output. Voyage has no more than the total."""
    return usage(input=_first(counts.get("prompt_tokens"), counts.get("total_tokens")), output=None)


def time_of(document: Document, counts: Document) -> float | None:
    """The seconds that Groq and llama.cpp say to have worked."""
    if "total_time" in counts and (total := number(counts["total_time"])) is not None:
        return total
    if "timings" not in document:
        return None
    timings = mapping(document["timings"])
    prompt, predicted = number(timings.get("prompt_ms")), number(timings.get("predicted_ms"))
    return None if prompt is None or predicted is None else (prompt + predicted) / 1000


def _usage(counts: Document, into: str, out: str, searches: int | None = None) -> Usage:
    prompt, completion = integer(counts.get(f"{into}_tokens")), integer(counts.get(f"{out}_tokens"))
    prompt_details, output_details = mapping(counts.get(f"{into}_tokens_details")), mapping(counts.get(f"{out}_tokens_details"))
    if _ELSEWHERE.isdisjoint(counts):
        read, written = integer(prompt_details.get("cached_tokens")), integer(prompt_details.get("cache_write_tokens"))
        reasoning = integer(output_details.get("reasoning_tokens"))
    else:
        prompt_details = prompt_details or mapping(counts.get(f"{into}_token_details"))  # Writer
        output_details = output_details or mapping(counts.get(f"{out}_token_details"))
        read = _first(
            prompt_details.get("cached_tokens"),
            counts.get("prompt_cache_hit_tokens"),  # DeepSeek
            counts.get("cached_tokens"),  # Together
            counts.get("cache_read_input_tokens"),  # Databricks, LiteLLM
            counts.get("num_cached_tokens"),  # Mistral
        )
        written = _first(prompt_details.get("cache_write_tokens"), counts.get("cache_creation_input_tokens"))
        reasoning = _first(output_details.get("reasoning_tokens"), counts.get("reasoning_tokens"))
        if searches is None:
            searches = _first(counts.get("num_search_queries"), mapping(counts.get("server_tool_use_details")).get("web_search_requests"))
    kinds = {}
    if any(prompt_details.values()) or any(output_details.values()):
        kinds = {kind: _modality(f"{kind}_tokens", prompt_details, output_details) for kind in _KINDS}
    return Usage(
        input_tokens=prompt,
        output_tokens=_whole_output(counts, prompt, completion, reasoning),
        cache_read=None if read is None else InputTokens(input_tokens=read),
        cache_write=None if written is None else InputTokens(input_tokens=written),
        reasoning=None if reasoning is None else OutputTokens(output_tokens=reasoning),
        billed=Billed(web_searches=searches) if searches else None,
        **kinds,
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
    if "citation_tokens" in counts and (citations := integer(counts["citation_tokens"])) is not None:
        return completion + (reasoning or 0) + citations
    if reasoning and prompt is not None and integer(counts.get("total_tokens")) == prompt + completion + reasoning:
        return completion + reasoning
    return completion


def _first(*values: object) -> int | None:
    for value in values:
        if value is not None and (count := integer(value)) is not None:
            return count
    return None
