"""Errors of AWS's: the type in a header or in the body, a message. Inside a stream an exception is an event of its own."""

from typing import Any

from llm_observe.records import Error, Exchange
from llm_observe.wire.answer import UNKNOWN_ERROR, error_of
from llm_observe.wire.jsonio import Document, encodable, integer, mapping, text

_EXCEPTION = "Exception"


def failed(document: Any, exchange: Exchange) -> Error | None:
    """The error of an answer of 400 or more: ``x-amzn-errortype`` up to its colon, else the body's ``__type`` or ``code``."""
    document = mapping(document)
    told = mapping(document.get("Output")) or document  # an operation that is not known at all is answered so
    named = encodable(exchange.response_headers.get("x-amzn-errortype")) or text(told.get("__type")) or text(told.get("code"))
    message = _message(told)
    if named is None and message is None:
        return error_of(document)
    return Error(type=(named or "").partition(":")[0].rpartition("#")[2].strip() or UNKNOWN_ERROR, message=message)


def exception_in(event: Document) -> Error | None:
    """The exception that an event is, or nothing. Its type is as it is outside of streams: with a capital."""
    for name, told in event.items():
        if name.endswith(_EXCEPTION):
            status = integer(mapping(told).get("originalStatusCode"))  # what the model itself answered with
            return Error(type=name[0].upper() + name[1:], message=_message(mapping(told)), code=None if status is None else str(status))
    return error_of(event) if "error" in event else None


def _message(told: Document) -> str | None:
    return text(told.get("message")) or text(told.get("Message")) or text(told.get("originalMessage"))
