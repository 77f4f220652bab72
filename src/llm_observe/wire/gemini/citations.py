"""What an answer stands on: the sources that grounded it, the pages that were read for it, the texts it repeats.

The sources come as the provider has them, each with the places of the text that lean on it. What is there to be shown beside the
answer (a rendered search box, a token for a map) is left out.
"""

from typing import Any

from llm_observe.wire.gemini.fields import member, several
from llm_observe.wire.jsonio import Document, integer, items, mapping
from llm_observe.wire.media import scrubbed

MOST = 200
"""Sources that are kept of one answer."""

_LONGEST = 1000  # characters of one text of a source: an excerpt, not the page
_QUERIES = ("webSearchQueries", "imageSearchQueries", "retrievalQueries")
_SEARCHES = _QUERIES[:2]
_PLACE = ("partIndex", "startIndex", "endIndex")


class Cited:
    """The sources of one candidate, gathered from its chunks or its one answer."""

    __slots__ = ("_grounding", "_pages", "_quoted")

    def __init__(self) -> None:
        self._grounding: Document = {}
        self._pages: list[Any] = []
        self._quoted: list[Any] = []

    def add(self, candidate: Document) -> None:
        """What one more chunk says of it. Of the grounding, each member counts the last time that it says something."""
        for name, value in mapping(member(candidate, "groundingMetadata")).items():
            if value:
                self._grounding[name] = value
        pages = mapping(member(candidate, "urlContextMetadata"))
        _gather(self._pages, member(pages, "urlMetadata"))
        quoted = mapping(member(candidate, "citationMetadata"))
        _gather(self._quoted, member(quoted, "citations") or member(quoted, "citationSources"))

    @property
    def searches(self) -> int:
        """How often the web was searched for it."""
        return sum(len(items(member(self._grounding, name))) for name in _SEARCHES)

    def citations(self) -> tuple[object, ...]:
        """All of them."""
        if not (self._grounding or self._pages or self._quoted):
            return ()
        chunks = [chunk for chunk in several(member(self._grounding, "groundingChunks"))[:MOST] if type(chunk) is dict]
        places = _places(several(member(self._grounding, "groundingSupports")), len(chunks))
        sources = [chunk | {"segments": leaning} if leaning else chunk for chunk, leaning in zip(chunks, places, strict=True)]
        found = [*sources, *self._pages, *self._quoted][:MOST]
        if queries := {name: value for name in _QUERIES if (value := member(self._grounding, name))}:
            found.append(queries)
        return tuple(_shortened(scrubbed(source)) for source in found)


def _places(supports: list[Any], sources: int) -> list[list[Document]]:
    """For each source, which places of the text lean on it."""
    places: list[list[Document]] = [[] for _ in range(sources)]
    for support in map(mapping, supports):
        segment = mapping(member(support, "segment"))
        place = {name: value for name in _PLACE if (value := integer(member(segment, name))) is not None}
        for index in items(member(support, "groundingChunkIndices")):
            if type(index) is int and 0 <= index < sources:
                places[index].append(place)
    return places


def _gather(kept: list[Any], found: Any) -> None:
    """Keep what is new: chunks repeat what earlier ones said."""
    for item in several(found):
        if len(kept) < MOST and type(item) is dict and item not in kept:
            kept.append(item)


def _shortened(value: Any) -> Any:
    if type(value) is str:
        return value if len(value) <= _LONGEST else value[:_LONGEST] + "…"
    if type(value) is dict:
        return {key: _shortened(inner) for key, inner in value.items()}
    return [_shortened(inner) for inner in value] if type(value) is list else value
