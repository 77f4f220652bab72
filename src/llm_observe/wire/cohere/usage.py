"""Token counts of Cohere's.

It counts twice: ``tokens`` are what the model read and wrote, with the template around the messages in it, and ``billed_units`` what is
charged for, without. A record's totals are the former, for the cached tokens are a part of those: a greeting is billed as one token where
nearly five hundred were read and most of them from the cache. What is charged for is told beside (``usage.billed``). Where there are
billed units only, as for embeddings, they are the totals.
"""

from llm_observe.records import Billed, Usage
from llm_observe.wire.answer import modality, usage
from llm_observe.wire.jsonio import Document, integer, mapping


def usage_of(counts: Document) -> Usage:
    """The counts in an answer's ``usage``, or in the older ``meta``. The tokens of pictures stand beside those of the text."""
    tokens, units = mapping(counts.get("tokens")), mapping(counts.get("billed_units"))
    read, written = _together(tokens), integer(tokens.get("output_tokens"))
    billed_input = integer(units.get("input_tokens"))  # pictures are in it
    billed_input = _together(units) if billed_input is None else billed_input
    billed_output = integer(units.get("output_tokens"))
    pictures = integer(tokens.get("image_tokens")) or integer(units.get("image_tokens"))
    apart = read is not None and (billed_input, billed_output) != (read, written)
    return usage(
        input=billed_input if read is None else read,
        output=billed_output if written is None else written,
        cache_read=integer(counts.get("cached_tokens")),
        image=modality(pictures, None),
        billed=Billed(
            input_tokens=billed_input if apart else None,
            output_tokens=billed_output if apart else None,
            images=integer(units.get("images")),
            search_units=integer(units.get("search_units")),
        ),
    )


def _together(counts: Document) -> int | None:
    """Text and pictures together."""
    known = [count for name in ("input_tokens", "image_tokens") if (count := integer(counts.get(name))) is not None]
    return sum(known) if known else None
