"""How Google's servers read and write JSON, as Protocol Buffers have it.

A member goes by two names (``generationConfig``, ``generation_config``), one item may stand where a list is meant, and an enumeration
may come as a number. What every reader here needs of that.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from llm_observe.wire.jsonio import Document, encodable, integer, items
from llm_observe.wire.media import scrubbed

_CAPITAL = re.compile("[A-Z]")
_PLACES = (("/models/", ""), ("/tunedModels/", "tunedModels/"), ("/endpoints/", "endpoints/"))

_SHOWN = frozenset({"search_suggestions", "searchSuggestions", "rendered_content", "renderedContent"})

MODALITIES = ("", "TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT")
"""Of what a token count is, by its number."""


def member(document: Document, name: str) -> Any:
    """The member of that name in camel case, or of the same in snake case."""
    value = document.get(name)
    return document.get(_snake(name)) if value is None else value


def several(value: Any) -> list[Any]:
    """The list, or the one object that stands for a list of one."""
    return [value] if type(value) is dict else items(value)


def word(value: Any, words: Sequence[str]) -> str | None:
    """An enumeration's word. With ``enum-encoding=int`` it is its place among *words*; the first place is for "not said"."""
    if type(value) is str:
        return None if value.endswith("_UNSPECIFIED") else value or None
    number = integer(value)
    if not number:
        return None
    return words[number] if 0 < number < len(words) else str(number)


def others(document: Document, named: frozenset[str]) -> Document:
    """The members beside those *named*, without what is opaque, and without pages of markup that are there to be shown beside an answer."""
    members: Document = _unshown(scrubbed({name: value for name, value in document.items() if name not in named}))
    return members


def model_of(path: str) -> str | None:
    """The model, which stands in the path: ``/v1beta/models/{model}:generateContent``. Tuned ones keep the name of their kind."""
    name = path.partition("?")[0].partition("#")[0].rpartition(":")[0]
    for place, kind in _PLACES:
        _, found, model = name.rpartition(place)
        if found:
            return encodable(kind + unquote(model)) if model else None
    return None


@lru_cache(maxsize=512)
def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda capital: f"_{capital[0].lower()}", name)


def _unshown(value: Any) -> Any:
    if type(value) is dict:
        return {name: _unshown(inner) for name, inner in value.items() if name not in _SHOWN}
    return [_unshown(inner) for inner in value] if type(value) is list else value
