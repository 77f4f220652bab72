"""What the response's headers say about the attempt itself. Names come in lower case."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

REQUEST_IDS = (
    "apim-request-id",  # before x-request-id: it is the one Azure's support asks for
    "request-id",
    "x-request-id",
    "x-amzn-requestid",
    "x-ds-trace-id",
    "x-debug-trace-id",
    "mistral-correlation-id",
    "x-kong-request-id",
    "cf-ray",
)
_MONTHS = {name: n for n, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)}


def provider_request_id(headers: Mapping[str, str]) -> str | None:
    """The id under which the provider knows this attempt."""
    for name in REQUEST_IDS:
        if value := headers.get(name):
            return value
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How long the provider asks to be left alone, in seconds. A date counts from the response's own ``date``: no clock here."""
    if "retry-after" not in headers and "retry-after-ms" not in headers:
        return None
    milliseconds = seconds_of(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = seconds_of(value)
    if seconds is None and (until := http_date(value)) and (now := http_date(headers.get("date"))):
        return max((until - now).total_seconds(), 0.0)
    return seconds


def http_date(value: str | None) -> datetime | None:
    """``Wed, 21 Oct 2026 07:28:00 GMT``, or nothing. (``email.utils`` would bring ``socket``, ``strptime`` the locale.)"""
    try:
        day, month, year, clock, zone = (value or "").partition(",")[2].split()
        hour, minute, second = clock.split(":")
        offset = UTC if zone in {"GMT", "UTC", "Z"} else timezone(timedelta(hours=int(zone[:-2]), minutes=int(zone[0] + zone[-2:])))
        return datetime(int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), tzinfo=offset)
    except (ValueError, KeyError, OverflowError):
        return None


def seconds_of(value: str | None, *, most: float = 1e9) -> float | None:
    """*value* as a number that is not negative and under *most*."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < most else None
