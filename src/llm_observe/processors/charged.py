"""Which of a provider's counts are paid for."""

import msgspec

from llm_observe.records import Usage


def charged(usage: Usage) -> Usage:
    """The counts that are paid for, where the provider tells them apart (Cohere's, Anthropic's over all rounds)."""
    billed = usage.billed
    if billed is None or (billed.input_tokens is None and billed.output_tokens is None):
        return usage
    return msgspec.structs.replace(
        usage,
        input_tokens=billed.input_tokens,
        output_tokens=billed.output_tokens,
        cache_read=billed.cache_read,
        cache_write=billed.cache_write,
    )
