"""What providers serve beside models that answer: recognised so that it can be named, never counted as inference."""

import re

from llm_observe.records import Exchange
from llm_observe.wire.provider import known_host

_OTHERS = [
    (re.compile(r"/count_tokens$|[:/]count-?[tT]okens$|/count-tokens:rawPredict$|/responses/input_tokens$|/tokenize$"), "counts tokens"),
    (re.compile(r"/batches(/|$)|[:/]batch[A-Z]\w*$|/async-invoke(/|$)|/batchPredictionJobs(/|$)|/jobs(/|$)"), "is a batch"),
    (re.compile(r"/files(/|$)|/uploads?(/|$)|/(fileSearchStores|vector_stores)(/|$)"), "keeps files"),
    (re.compile(r"/responses/compact$|/cachedContents(/|$)"), "keeps a context"),
    (re.compile(r"/responses/[^/]+(/\w+)?$|/interactions/[^/]+(/\w+)?$|/conversations(/|$)"), "keeps answers"),
    (re.compile(r"/threads(/|$)|/assistants(/|$)|/agents/|/knowledgebases/"), "is an agent's"),
    (re.compile(r"/(available-)?models(/[^/:]+)?$"), "lists models"),
    (re.compile(r"/moderations$|/guardrail/"), "moderates"),
    (re.compile(r"/images/|/audio/|/videos?(/|$)|/ocr$|/fine_tun\w+(/|$)|/predictions(/|$)"), "is of a kind that is not decoded"),
]


def other(exchange: Exchange) -> str | None:
    """What the exchange does instead of asking a model, by its path at a provider's host; None where that is not known."""
    path = exchange.path.partition("?")[0].partition("#")[0]
    found = next((what for pattern, what in _OTHERS if pattern.search(path)), None)
    return found if found is not None and known_host(exchange) else None
