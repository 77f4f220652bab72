"""What a wire format is: a row of the table in :mod:`llm_observe.wire.formats`."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from llm_observe.records import Error, Exchange
from llm_observe.wire.answer import Answer, Asked, error_of


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One wire format: where it is met and who reads it.

    ``paths`` are what the request's path ends in, ``{}`` standing for whatever names a model or an id: ``/chat/completions``,
    ``/model/{}/converse``. The readers are given the exchange too, for what stands in its path or headers.
    """

    name: str
    operation: str
    home: str  # the provider the format comes from
    paths: tuple[str, ...]
    asked: Callable[[Any, Exchange], Asked]  # the request's document
    answered: Callable[[Any, Exchange], Answer]  # the response's document
    streamed: Callable[[Sequence[bytes], Exchange], Answer]  # the data of the response's events
    failed: Callable[[Any, Exchange], Error | None] = lambda document, _: error_of(document)  # the document of an answer of 400 or more
    agrees: Callable[[Any, Exchange], bool] | None = None  # whether the request's body fits, where the path alone does not tell
    dialects: Mapping[str, str] = {}  # provider: the name its own brand of the format goes by
    method: str = "POST"
    arrays: bool = False  # an answer that is a JSON array is a stream of its elements

    def at(self, path: str) -> bool:
        """Whether *path*, without query and fragment, is one of this format's."""
        return _pattern(self.paths).search(path) is not None


@lru_cache(maxsize=256)
def _pattern(paths: tuple[str, ...]) -> re.Pattern[str]:
    endings = (re.escape(path).replace(r"\{\}", ".+") for path in paths)
    return re.compile(f"(?:{'|'.join(endings)})$")
