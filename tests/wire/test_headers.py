"""What response headers say about an attempt."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from llm_observe.wire.headers import http_date, provider_request_id, retry_after

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-request-id": "req_1"}, "req_1"),
        ({"request-id": "req_2"}, "req_2"),
        ({"x-request-id": "a", "apim-request-id": "b"}, "b"),
        ({"x-request-id": "", "cf-ray": "c"}, "c"),
        ({}, None),
    ],
)
def test_the_providers_own_id(headers, expected):
    """The one its support asks for, where there are several."""
    assert expected == provider_request_id(headers)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({"retry-after": "2"}, 2.0, id="seconds"),
        pytest.param({"retry-after": "0.5"}, 0.5, id="a fraction"),
        pytest.param({"retry-after-ms": "1500", "retry-after": "9"}, 1.5, id="milliseconds are finer"),
        pytest.param({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": DATE}, 30.0, id="a date, from the response's own"),
        pytest.param({"retry-after": "Wed, 21 Oct 2026 07:00:00 GMT", "date": DATE}, 0.0, id="a date that has passed"),
        pytest.param({"retry-after": DATE}, None, id="a date with nothing to count from"),
        pytest.param({"retry-after": "soon"}, None, id="a word"),
        pytest.param({"retry-after": "-1"}, None, id="before now"),
        pytest.param({"retry-after": "nan"}, None, id="not a number"),
        pytest.param({"retry-after": "inf"}, None, id="for ever"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_how_long_to_stay_away(headers, expected):
    """In seconds; what cannot be told is nothing."""
    assert expected == retry_after(headers)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (DATE, datetime(2026, 10, 21, 7, 28, tzinfo=UTC)),
        ("Wed, 21 Oct 2026 07:28:00 -0230", datetime(2026, 10, 21, 7, 28, tzinfo=timezone(-timedelta(hours=2, minutes=30)))),
        ("Wed, 32 Oct 2026 07:28:00 GMT", None),
        ("Wed, 21 Okt 2026 07:28:00 GMT", None),
        ("Wed, 21 Oct 2026 07:28 GMT", None),
        ("Wed, 21 Oct 2026 07:28:00 EST", None),
        ("2026-10-21T07:28:00Z", None),
        ("", None),
        (None, None),
    ],
)
def test_http_dates(value, expected):
    """As HTTP writes them, or nothing."""
    assert expected == http_date(value)
