r"""Text that stays on its line: nothing in it can move a cursor, begin a line or turn the reading direction.

What comes from a model, a provider or a client is escaped as Python would write it (``\x1b``), so that it still can be seen.
"""

import re

# C0 and C1 controls, DEL, the Arabic letter mark, directional marks, line and paragraph separators, bidi embeddings, overrides and
# isolates, and lone surrogates, which no stream can encode. See Trojan Source (CVE-2021-42574) and reliability.md 4.3.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_WIDEST = 4096  # characters looked at for an excerpt, however long the text is


def plain(value: object) -> str:
    """*value* as text of one line, what is unsafe in it escaped."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], str(value))


def excerpt(text: str, limit: int) -> str:
    """The beginning of *text* in about *limit* characters of one line, white space folded."""
    folded = " ".join(text[:_WIDEST].split())
    cut = len(folded) > limit or len(text) > _WIDEST
    return plain(folded[: limit - 1] + "…" if cut else folded)


def json_line(line: bytes) -> str:
    """A record's JSON as text of one line: the same value, with what is unsafe in it escaped the JSON way."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode("utf-8", "replace"))
