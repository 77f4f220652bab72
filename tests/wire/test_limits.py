"""What the headers say of the provider's limits and of its own time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe.records import RateLimit
from llm_observe.wire.limits import processing_time, rate_limits

DATE = "Tue, 24 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, (), id="none"),
        pytest.param(
            {
                "x-ratelimit-limit-requests": "14400", "x-ratelimit-remaining-requests": "14398", "x-ratelimit-reset-requests": "6s",
                "x-ratelimit-limit-tokens": "30000", "x-ratelimit-remaining-tokens": "29642", "x-ratelimit-reset-tokens": "716ms",
            },
            (
                RateLimit(name="requests", limit=14400, remaining=14398, reset=6.0),
                RateLimit(name="tokens", limit=30000, remaining=29642, reset=0.716),
            ),
            id="OpenAI, Groq",
        ),
        pytest.param(
            {
                "date": DATE, "anthropic-ratelimit-input-tokens-limit": "20000000", "anthropic-ratelimit-input-tokens-remaining": "19999000",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-24T12:00:30Z",
            },
            (RateLimit(name="input_tokens", limit=20_000_000, remaining=19_999_000, reset=30.0),),
            id="Anthropic",
        ),
        pytest.param(
            {"x-ratelimit-limit-tokens-minute": "250000", "x-ratelimit-remaining-tokens-minute": "249764"},
            (RateLimit(name="tokens_minute", limit=250_000, remaining=249_764),),
            id="Mistral",
        ),
        pytest.param(
            {"ratelimitbysize-limit": "500000", "ratelimitbysize-remaining": "401381", "x-ratelimitbysize-remaining-minute": "7"},
            (RateLimit(name="size", limit=500_000, remaining=401_381), RateLimit(name="size_minute", remaining=7)),
            id="Mistral, of old",
        ),
        pytest.param(
            {"x-ratelimit-limit": "2", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"},
            (RateLimit(name="requests", limit=2, remaining=0, reset=1.0),),
            id="Together",
        ),
        pytest.param(
            {"date": DATE, "ratelimit-remaining": "5", "ratelimit-reset": "1795521660"},
            (RateLimit(name="requests", remaining=5, reset=60.0),),
            id="an instant in seconds",
        ),
        pytest.param(
            {"date": DATE, "x-ratelimit-reset": "1795521660500"}, (RateLimit(name="requests", reset=60.5),), id="an instant in milliseconds"
        ),
        pytest.param({"x-ratelimit-reset-requests": "1h2m3.5s"}, (RateLimit(name="requests", reset=3723.5),), id="hours"),
        pytest.param({"x-ratelimit-reset-requests": "1m30s"}, (RateLimit(name="requests", reset=90.0),), id="minutes"),
        pytest.param(
            {"anthropic-ratelimit-tokens-reset": "2026-11-24T12:00:30Z"}, (RateLimit(name="tokens"),), id="an instant without a date beside it"
        ),
        pytest.param({"date": DATE, "x-ratelimit-reset": "2026-11-24T12:00:30"}, (RateLimit(name="requests"),), id="an instant without a zone"),
        pytest.param({"x-ratelimit-limit-requests": "many"}, (RateLimit(name="requests"),), id="no number"),
        pytest.param({"x-ratelimit-remaining-tokens": "9223372036854767616"}, (RateLimit(name="tokens", remaining=2**63 - 8192),), id="no limit"),
        pytest.param({"x-ratelimit-tokens-query-cost": "150", "x-ratelimit-renewalperiod-tokens": "60"}, (), id="no limits"),
    ],
)  # fmt: skip
def test_the_limits_that_headers_tell_of(headers, expected):
    """Each provider has its own names and its own way to say when."""
    assert expected == rate_limits(headers)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"openai-processing-ms": "2050"}, 2.05),
        ({"x-amzn-bedrock-invocation-latency": "311"}, 0.311),
        ({"x-envoy-upstream-service-time": "17"}, 0.017),
        ({"x-envoy-upstream-service-time": "17", "openai-processing-ms": "9"}, 0.009),
        ({"server-timing": "gfet4t7; dur=1684.5"}, 1.6845),
        ({"server-timing": "proxy"}, None),
        ({"openai-processing-ms": "soon"}, None),
    ],
)
def test_the_time_the_provider_says_to_have_worked(headers, expected):
    """In seconds; the provider's own word before its front's."""
    assert expected == processing_time(headers)


@given(
    st.dictionaries(
        st.sampled_from(["date", "server-timing", "x-ratelimit-reset", "x-ratelimit-limit-a", "anthropic-ratelimit-a-reset"]),
        st.text(max_size=20) | st.from_regex(r"-?[0-9]{0,30}(\.[0-9]+)?(e[0-9]+)?(h|m|s|ms)?", fullmatch=True),
    )
)
def test_no_header_raises(headers):
    """Anybody may send anything."""
    assert isinstance(rate_limits(headers), tuple)
    assert processing_time(headers) is None or processing_time(headers) >= 0
