"""What the response's headers say about the provider's limits and its own work. Names come in lower case."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from llm_observe.records import RateLimit
from llm_observe.wire.headers import http_date, seconds_of

_LIMIT = re.compile(
    r"(?:x-|anthropic-)?ratelimit(?P<size>bysize)?-"
    r"(?:(?P<first>limit|remaining|reset)(?:-(?P<after>[a-z0-9_-]+))?|(?P<before>[a-z0-9_-]+)-(?P<last>limit|remaining|reset))"
)
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_DUR = re.compile(r";\s*dur=(\d+(?:\.\d+)?)")
_MILLISECONDS = (
    "openai-processing-ms",
    "x-amzn-bedrock-invocation-latency",
    "cmp-upstream-response-duration",
    "x-envoy-upstream-service-time",
    "x-kong-upstream-latency",
)
_EPOCH = 1e9  # a number from here on is an instant, not a duration

LIMIT_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-", "ratelimit-", "ratelimitbysize-", "x-ratelimitbysize-")
"""What the names of these headers begin with."""


@lru_cache(maxsize=256)  # a server sends the same names each time
def _places(headers: tuple[str, ...]) -> tuple[tuple[str, dict[str, str]], ...]:
    """The limits that headers of these names tell of, and what of each stands in which."""
    found: dict[str, dict[str, str]] = {}
    for header in headers:
        if match := _LIMIT.fullmatch(header):
            name = match["after"] or match["before"] or ""
            if match["size"]:
                name = f"size_{name}" if name else "size"
            found.setdefault((name or "requests").replace("-", "_"), {})[match["first"] or match["last"]] = header
    return tuple(found.items())


def rate_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """Each limit that the headers tell of, in the order they do: ``requests``, ``tokens``, ``input_tokens``, ``tokens_minute`` ..."""
    places = _places(tuple(headers))
    if not places:
        return ()
    return tuple(
        RateLimit(
            name=name,
            limit=_whole(headers.get(told.get("limit", ""))),
            remaining=_whole(headers.get(told.get("remaining", ""))),
            reset=_until(headers.get(told.get("reset", "")), headers),
        )
        for name, told in places
    )


def processing_time(headers: Mapping[str, str]) -> float | None:
    """How long the provider says to have worked, in seconds."""
    for name in _MILLISECONDS:
        if name in headers and (milliseconds := seconds_of(headers[name])) is not None:
            return milliseconds / 1000
    if "server-timing" not in headers:
        return None
    match = _DUR.search(headers["server-timing"])
    return float(match[1]) / 1000 if match else None


def _whole(value: str | None) -> int | None:
    if value is not None and value.isdecimal() and len(value) < 20:
        return int(value)
    number = seconds_of(value, most=1e19)
    return None if number is None else int(number)


def _until(value: str | None, headers: Mapping[str, str]) -> float | None:
    """Seconds until the limit is whole again: ``6ms``, ``1m30s``, ``12``, an instant of RFC 3339 or one in seconds or milliseconds."""
    if not value:
        return None
    if value[-1] in "smh" and (match := _DURATION.fullmatch(value)):
        hours, minutes, seconds, milliseconds = match.groups()
        return float(hours or 0) * 3600 + float(minutes or 0) * 60 + float(seconds or 0) + float(milliseconds or 0) / 1000
    number = seconds_of(value, most=1e14)
    if number is not None and number < _EPOCH:
        return number
    answered = http_date(headers.get("date"))
    if answered is None:
        return None
    try:
        until = datetime.fromisoformat(value) if number is None else datetime.fromtimestamp(number / (1000 if number > 1e11 else 1), UTC)
        return max((until - answered).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError, OSError):  # TypeError: an instant without a zone
        return None
