"""Which headers are kept: an allow-list, never a deny-list, for users and gateways add their own (wire.md, 7 and 9).

What is not on it is never queued, let alone recorded: keys and cookies, and whose account it is.
"""

import operator
from collections.abc import Callable, Iterable

from llm_observe.wire.headers import REQUEST_IDS
from llm_observe.wire.limits import LIMIT_PREFIXES

Listed = tuple[bytes, bytes, bytes]
"""A header as httpx lists it: the name as written and in lower case, and the value."""

Held = tuple[tuple[str, ...], tuple[Listed, ...]]
"""Headers that are allowed, by the names we keep them under, not read yet."""

_name_of: Callable[[Listed], bytes] = operator.itemgetter(1)
_value_of: Callable[[Listed], bytes] = operator.itemgetter(2)

LONGEST = 512  # characters of a value that are kept; what is read of headers is shorter


class AllowedHeaders(dict[bytes | str, str]):
    """Names of headers as they are written to the names we keep them under, "" for what is not kept. Each spelling is looked at once.

    A walk over twenty headers costs 1 us this way, 2 us with `name.lower()`, and prefixes cost nothing.
    """

    MOST = 4096  # spellings remembered; names a peer makes up must not fill the memory
    MOST_LAYOUTS = 256  # and orders of names

    def __init__(self, *names: str, prefixes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._allowed, self._prefixes = frozenset(names), prefixes
        self.layouts: dict[tuple[bytes, ...], tuple[tuple[str, ...], Callable[[list[Listed]], tuple[Listed, ...]]]] = {}

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
        """:meth:`pick` from the list that httpx' headers are, but for reading them: :func:`read` does, in the sink.

        A client sends the same names each time, and so does a server: who has seen them before knows where the allowed ones stand.
        Twenty headers cost 1 us this way. What is not allowed is not held.
        """
        names = tuple(map(_name_of, headers))
        layout = self.layouts.get(names) or self._layout(names)
        return layout[0], layout[1](headers)

    def _layout(self, names: tuple[bytes, ...]) -> tuple[tuple[str, ...], Callable[[list[Listed]], tuple[Listed, ...]]]:
        places = [place for place, raw in enumerate(names) if self[raw]]
        take = operator.itemgetter(*places) if len(places) > 1 else lambda headers: tuple(headers[place] for place in places)
        layout = tuple(self[names[place]] for place in places), take
        if len(self.layouts) < self.MOST_LAYOUTS:
            self.layouts[names] = layout
        return layout

    def pick_text(self, headers: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
        """:meth:`pick` from the dict that a library makes of them."""
        return {name: value[:LONGEST] if type(value) is str else _text(value) for raw, value in headers if (name := self[raw])}


def read(held: Held) -> dict[str, str]:
    """What was held, as :meth:`AllowedHeaders.pick` would have picked it."""
    names, headers = held
    values = list(map(_value_of, headers))
    joined = b"\n".join(values)
    if len(joined) <= LONGEST or max(map(len, values)) <= LONGEST:
        texts = joined.decode("latin-1").split("\n")  # all at once: a line end is in no value that came over HTTP
        if len(texts) == len(names):
            return dict(zip(names, texts, strict=True))
    return {name: value[:LONGEST].decode("latin-1") for name, value in zip(names, values, strict=True)}


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
