"""Bytes to records. Pure: no clock, no loop, no I/O; it runs in the sink and may be slow, and may fail without harm.

:func:`may_be_call` and :func:`leads_to_call` are all that runs in the application's request path here. :func:`recognise` and :func:`decode` run in
the sink. Formats are rows of a table in :mod:`llm_observe.wire.formats`.
"""

from llm_observe.wire.decoding import Unknown, decode
from llm_observe.wire.endpoints import Endpoints
from llm_observe.wire.format import Format
from llm_observe.wire.formats import FORMATS, NO_ENDPOINTS, leads_to_call, look_for, may_be_call, recognise

__all__ = ["FORMATS", "NO_ENDPOINTS", "Endpoints", "Format", "Unknown", "decode", "leads_to_call", "look_for", "may_be_call", "recognise"]
