"""When a client repeats an attempt. The sink folds attempts by it, and a log line that cannot wait for the sink finds its call by it."""

from llm_observe.records import Exchange

RETRYABLE = frozenset({408, 409, 425, 429})  # and every 5xx: what openai and anthropic retry (wire.md, 8)
THROTTLED = frozenset(  # AWS's words for "slow down", which its SDK retries although some of them come with a 400
    {"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException", "TooManyRequestsException"}
    | {"RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException", "SlowDown", "PriorRequestNotComplete"}
)


def retryable(exchange: Exchange, error_type: str | None) -> bool:
    """Whether clients retry such a failure. One that broke off mid-answer is not retried by any of them."""
    code = exchange.status_code
    if code is None:
        return exchange.end == "error"
    told = exchange.response_headers.get("x-should-retry")
    if told in {"true", "false"}:
        return told == "true"
    return code >= 500 or code in RETRYABLE or (code == 400 and error_type in THROTTLED)


def repeats(was: Exchange, now: Exchange) -> bool:
    """Whether *now* is the retry of *was*: by the client's own count where it sends one, else by the same bytes to the same place."""
    if (was.host, was.path, was.client) != (now.host, now.path, now.client):
        return False
    invocation = now.request_headers.get("amz-sdk-invocation-id")
    if invocation is not None:
        return invocation == was.request_headers.get("amz-sdk-invocation-id")
    count = now.request_headers.get("x-stainless-retry-count")
    if count is not None:
        return count.isdecimal() and int(count) == _count(was) + 1
    return (was.request_size, was.request_body) == (now.request_size, now.request_body)


def probably_repeats(was: Exchange, now: Exchange) -> bool:
    """What the sink will say, as far as headers tell: nothing is decoded here."""
    if was.status_code is not None and was.status_code < 400:
        return False
    return retryable(was, was.response_headers.get("x-amzn-errortype", "").partition(":")[0]) and repeats(was, now)


def _count(exchange: Exchange) -> int:
    count = exchange.request_headers.get("x-stainless-retry-count", "0")
    return int(count) if count.isdecimal() else 0
