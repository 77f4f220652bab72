"""Bytes to records. Pure: no clock, no loop, no I/O; it runs in the sink and may be slow, and may fail without harm.

:func:`may_be_call` is the one thing here that runs in the application's request path. :func:`recognise` and :func:`decode` run in
the sink. Formats are rows of a table in :mod:`llm_observe.wire.formats`.
"""

from llm_observe.wire.decoding import Unknown, decode
from llm_observe.wire.format import Format
from llm_observe.wire.formats import may_be_call, recognise

__all__ = ["Format", "Unknown", "decode", "may_be_call", "recognise"]
