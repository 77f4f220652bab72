"""The documents of failed answers, where a vendor of the OpenAI kind does not write them as OpenAI does."""

from typing import Any

from llm_observe.records import Error, Exchange
from llm_observe.wire.answer import UNKNOWN_ERROR, error_of
from llm_observe.wire.jsonio import Document, integer, items, mapping, text


def failed(document: Any, exchange: Exchange) -> Error | None:
    """OpenAI's ``error``; else Databricks' ``error_code``, Cloudflare's ``errors``, what a validator (FastAPI's) says, a bare ``code``."""
    error = error_of(document)
    if error is not None:
        return error
    document = mapping(document)
    if code := text(document.get("error_code")):
        return Error(type=code, message=text(document.get("message")))
    if listed := [mapping(item) for item in items(document.get("errors")) or items(document.get("detail"))]:
        return _first(listed)
    if code := text(document.get("code")):
        return Error(type=code, message=text(document.get("message")))
    return None


def _first(errors: list[Document]) -> Error:
    """The first of several: its number or word, what it says, and of what."""
    error = errors[0]
    code = integer(error.get("code"))
    kind = text(error.get("code")) or (UNKNOWN_ERROR if code is None else str(code))
    said = text(error.get("message")) or text(error.get("msg"))
    where = ".".join(str(step) for step in items(error.get("loc")) if type(step) in {str, int})
    return Error(type=kind, message=f"{where}: {said}" if where and said else said)
