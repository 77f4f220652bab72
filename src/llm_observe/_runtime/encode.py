"""A record to one line of JSON, once for all exporters."""

import re

import msgspec

from llm_observe._runtime.given import plain

# What begins a line for some readers (U+0085, U+2028, U+2029), and what is a command to some terminals (the other C1 controls).
# JSON itself escapes all below U+0020. Two expressions with a literal beginning are four times as fast as one without, and to ask for
# single bytes costs next to nothing: curly quotes, dashes and accents have one of them, and rarely both.
_SEPARATORS, _CONTROLS = re.compile(b"\xe2\x80[\xa8\xa9]"), re.compile(b"\xc2[\x80-\x9f]")

_encoder = msgspec.json.Encoder()


def encode(record: msgspec.Struct) -> bytes:
    """*record* as one compact JSON object, on one line for whoever counts lines.

    What JSON does not know becomes its ``repr``. What cannot be written at all (a lone surrogate, a dict inside itself, a ``repr`` that
    raises, a number of five thousand digits) is replaced by what can, so that the rest of the record is not lost with it.
    """
    try:
        line = _encoder.encode(record)
    except Exception:  # a user's processor, or half a character of a provider's: rare, and may take its time
        line = _encoder.encode(plain(record))
    if 0xE2 in line and (0xA8 in line or 0xA9 in line):
        line = _SEPARATORS.sub(_escaped, line)
    if 0xC2 in line:
        line = _CONTROLS.sub(_escaped, line)
    return line


def _escaped(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())
