"""What a web request brings along: its id and its trace. One function for ASGI and WSGI."""

import operator
import re

from llm_observe._runtime.around import place
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.scope import Scope

WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}").fullmatch
# W3C Trace Context, 3.2: ff is no version, and version 00 has nothing after its flags.
TRACEPARENT = re.compile(r"(?!ff|00.{54})[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?").fullmatch

_ODD = "13579bdf"  # the lowest bit of the flags: sampled
# The same, 3.3: a vendor's own word on the trace, `key=value`, of which there are 32 at the most.
MEMBER = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]").fullmatch
MEMBERS, LONGEST = 32, 512  # and characters that have to be passed on

name_of, lower = operator.itemgetter(0), operator.methodcaller("lower")  # of a header, by `map`: a generator would cost each request 1 us


def web_scope(
    observer: Observer,
    method: str,
    path: str,
    request_id: str | None,
    traceparent: str | None,
    size: str | None,
    tracestate: str | None = None,
) -> Scope:
    """The scope of a web request. An id or a trace that is not well-formed is not honoured: a new one takes its place."""
    if request_id is not None and not WELL_FORMED(request_id):
        request_id = None
    trace_id = parent_id = sampled = None
    if traceparent is not None and (found := TRACEPARENT(traceparent)):
        trace_id, parent_id, flags = found.groups()
        sampled = flags[1] in _ODD
        if not trace_id.strip("0") or not parent_id.strip("0"):
            trace_id = parent_id = sampled = None
    scope = Scope(observer, method=method, path=path, request_id=request_id, trace_id=trace_id, parent_id=parent_id)
    scope.sampled = sampled
    if tracestate is not None and trace_id is not None:
        scope.trace_state = state(tracestate)
    if observer.around is not None and (span := observer.around.span()) is not None:
        scope.look()
        if scope.instrumentation is None:  # somebody's, but no server's: what called us, in this very process
            where = place(span)
            scope.trace_id, scope.parent_id, scope.sampled, scope.around = where.trace_id, where.span_id, where.sampled, span
            scope.trace_state = where.trace_state
    if size is not None and size.isascii() and size.isdecimal():
        scope.request_size = int(size[:15])
    return scope


def state(text: str) -> str | None:
    """A ``tracestate`` header as it goes on: as it came, without what is too much of it. One that is not well-formed is not honoured."""
    members = [member for one in text.split(",") if (member := one.strip(" \t"))]
    if len(members) > MEMBERS or not all(map(MEMBER, members)):
        return None
    while members and sum(map(len, members)) + len(members) - 1 > LONGEST:
        members.pop()  # the oldest word is the last
    return ",".join(members) or None
