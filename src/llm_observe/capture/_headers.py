"""Which headers are kept: an allow-list, never a deny-list, for users and gateways add their own (wire.md, 7 and 9).

What is not on it is never queued, let alone recorded: keys and cookies, and whose account it is.
"""

from collections.abc import Iterable

from llm_observe.wire.headers import REQUEST_IDS
from llm_observe.wire.limits import LIMIT_PREFIXES

LONGEST = 512  # characters of a value that are kept; what is read of headers is shorter


class AllowedHeaders(dict[bytes | str, str]):
    """Names of headers as they are written to the names we keep them under, "" for what is not kept. Each spelling is looked at once.

    A walk over twenty headers costs 1 us this way, 2 us with `name.lower()`, and prefixes cost nothing.
    """

    MOST = 4096  # spellings remembered; names a peer makes up must not fill the memory

    def __init__(self, *names: str, prefixes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._allowed, self._prefixes = frozenset(names), prefixes

    def __missing__(self, raw: bytes | str) -> str:
        name = (raw.decode("latin-1") if isinstance(raw, bytes) else raw).lower()
        kept = name if name in self._allowed or name.startswith(self._prefixes) else ""
        if len(self) < self.MOST:
            self[raw] = kept
        return kept

    def pick(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
        """The allowed ones of *headers*, as they came over the wire."""
        return {name: value[:LONGEST].decode("latin-1") for raw, value in headers if (name := self[raw])}

    def pick_listed(self, headers: Iterable[tuple[bytes, bytes, bytes]]) -> dict[str, str]:
        """:meth:`pick` from the list that httpx' headers are: the name as written and in lower case, and the value."""
        return {name: value[:LONGEST].decode("latin-1") for _, raw, value in headers if (name := self[raw])}

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
