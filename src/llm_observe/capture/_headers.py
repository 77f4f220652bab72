"""Which headers are kept: an allow-list, never a deny-list, for users and gateways add their own (wire.md, 7 and 9).

What is not on it is never queued, let alone recorded: keys and cookies, and whose account it is.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from llm_observe.wire.headers import REQUEST_IDS
from llm_observe.wire.limits import LIMIT_PREFIXES

Listed = tuple[bytes, bytes, bytes]
"""A header as httpx lists it: the name as written and in lower case, and the value."""

_name_of: Callable[[Listed], bytes] = operator.itemgetter(1)

LONGEST = 512  # characters of a value that are kept; what is read of headers is shorter


class Held(Mapping[str, str]):
    """Headers that are allowed, under the names we keep them by. A value is read when it is asked for: of twenty, few are.

    *places* tells where in *headers* each name stands; where one comes twice, the last.
    """

    __slots__ = ("_headers", "_places")

    def __init__(self, places: dict[str, int], headers: tuple[Listed, ...]) -> None:
        self._places, self._headers = places, headers

    def __getitem__(self, name: str) -> str:
        return self._headers[self._places[name]][2][:LONGEST].decode("latin-1")

    def get(self, name: str, default: Any = None) -> Any:
        """The value of *name*."""
        place = self._places.get(name)  # most of what is asked for is not there: an exception would cost more than all the rest
        return default if place is None else self._headers[place][2][:LONGEST].decode("latin-1")

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class _Layout(NamedTuple):
    """Where the allowed ones stand among *width* headers: what takes them, and the place of each name in what is taken."""

    width: int
    places: dict[str, int]
    take: Callable[[list[Listed]], tuple[Listed, ...]]


class AllowedHeaders(dict[bytes | str, str]):
    """Names of headers as they are written to the names we keep them under, "" for what is not kept. Each spelling is looked at once.

    A walk over twenty headers costs 1 us this way, 2 us with `name.lower()`, and prefixes cost nothing.
    """

    MOST = 4096  # spellings remembered; names a peer makes up must not fill the memory
    MOST_LAYOUTS = 256  # and orders of names

    def __init__(self, *names: str, prefixes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._allowed, self._prefixes = frozenset(names), prefixes
        self.layouts: dict[bytes, _Layout] = {}

    def __missing__(self, raw: bytes | str) -> str:
        name = (raw.decode("latin-1") if isinstance(raw, bytes) else raw).lower()
        kept = name if name in self._allowed or name.startswith(self._prefixes) else ""
        if len(self) < self.MOST:
            self[raw] = kept
        return kept

    def pick(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
        """The allowed ones of *headers*, as they came over the wire."""
        return {name: value[:LONGEST].decode("latin-1") for raw, value in headers if (name := self[raw])}

    def hold(self, headers: list[Listed]) -> Held:
        """:meth:`pick` from the list that httpx' headers are, but for reading them.

        A client sends the same names each time, and so does a server: who has seen them before knows where the allowed ones stand.
        Fifteen headers are 12,000 instructions this way. What is not allowed is not held.
        """
        names = b"\n".join(map(_name_of, headers))
        layout = self.layouts.get(names)
        if layout is None or layout.width != len(headers):
            layout = self._layout(names, headers)
        return Held(layout.places, layout.take(headers))

    def _layout(self, names: bytes, headers: list[Listed]) -> _Layout:
        kept = [(place, name) for place, header in enumerate(headers) if (name := self[header[1]])]
        at = [place for place, _ in kept]
        take = operator.itemgetter(*at) if len(at) > 1 else lambda headers: tuple(headers[place] for place in at)
        layout = _Layout(len(headers), {name: number for number, (_, name) in enumerate(kept)}, take)
        # With a line end inside a name, which HTTP does not know, others could be written the same.
        if names.count(b"\n") + 1 == len(headers) and len(self.layouts) < self.MOST_LAYOUTS:
            self.layouts[names] = layout
        return layout

    def pick_text(self, headers: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
        """:meth:`pick` from the dict that a library makes of them."""
        return {name: value[:LONGEST] if type(value) is str else _text(value) for raw, value in headers if (name := self[raw])}


def _text(value: object) -> str:
    """A value that a library, or its user, did not give as text."""
    return value[:LONGEST].decode("latin-1") if isinstance(value, bytes) else str(value)[:LONGEST]


REQUEST_HEADERS = AllowedHeaders(
    "content-type",
    "content-encoding",
    "user-agent",  # Ollama's and Cohere's paths are anybody's: their clients tell
    "x-fern-sdk-name",
    "x-stainless-retry-count",
    "anthropic-version",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "x-amzn-bedrock-guardrailidentifier",
)
RESPONSE_HEADERS = AllowedHeaders(
    *("content-type", "content-encoding", "date", "retry-after", "retry-after-ms", "x-should-retry"),
    *REQUEST_IDS,
    *("openai-processing-ms", "openai-version", "openai-model", "x-envoy-upstream-service-time", "server-timing"),
    *("x-ms-client-request-id", "x-ms-region", "x-ms-deployment-name", "x-ms-rai-invoked", "x-ms-is-spilled-over"),
    *("azureml-model-session", "cmp-upstream-response-duration"),
    *("x-amzn-errortype",),
    *("x-endpoint-monthly-call-limit", "x-trial-endpoint-call-limit", "x-trial-endpoint-call-remaining"),
    *("num_tokens", "num_chars", "x-api-warning"),
    *("x-kong-upstream-latency", "x-kong-proxy-latency"),
    *("x-groq-region",),
    *("x-total-time", "x-inference-time", "x-queue-time", "x-time-per-token"),
    *("x-api-received", "x-api-call-start", "x-api-call-end"),
    prefixes=(*LIMIT_PREFIXES, "anthropic-priority-", "anthropic-fast-", "x-amzn-bedrock-"),
)
