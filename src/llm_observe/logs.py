"""The application's own log lines, with the request and the call that they belong to: for structlog and for the standard library.

::

    structlog.configure(processors=[add_ids, ...])
    logging.getLogger().handlers[0].addFilter(IdFilter())   # then "%(request_id)s %(call_id)s" in its format
"""

import logging
from collections.abc import MutableMapping
from typing import Any

from llm_observe._runtime.items import last_attempt
from llm_observe._runtime.scope import frame

NAMES = ("request_id", "trace_id", "span_id", "call_id")


def ids() -> dict[str, str]:
    """Request id, trace id and the id of the span under which a call would be recorded now; nothing of these outside of a request or job.

    And, from the first call on that is made in this context, the id of the last one's record: made up of what its first attempt is known
    by, so that nobody has to wait for the record.
    """
    here = frame.get()
    scope = here.scope if here is not None else None
    found = {}
    if here is not None and scope is not None:
        found = {"request_id": scope.request_id, "trace_id": scope.trace_id, "span_id": here.span_id or scope.span_id}
    last = last_attempt.get()
    if last.scope is scope and (call_id := last.record_id()):  # a thread may have made its last call in the request before
        found["call_id"] = call_id
    return found


def add_ids(logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: puts the ids on the event. What the event has under these names already, it keeps."""
    for name, value in ids().items():
        event_dict.setdefault(name, value)
    return event_dict


class IdFilter(logging.Filter):
    """A filter that lets everything pass, with the ids on it; empty where there is no request, so that formats may name them.

    On a handler it sees the lines of all loggers; on a logger only those that are logged with it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the ids on *record*."""
        found = ids()
        for name in NAMES:
            if not hasattr(record, name):
                setattr(record, name, found.get(name, ""))
        return True
