"""What an HTTP answer says about a batch: it arrived, it is too large, it may come back, it never will."""

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from llm_observe.errors import Rejected, RetryLater

LONGEST = 300.0  # seconds we let ourselves be sent away for
LOCKED_OUT = 30.0  # seconds between two tries where the key is refused, or nobody lives: either may be put right meanwhile

DIVISIBLE = {400, 413}  # may be the fault of a single record, or of too many at once: halves are tried
_PASSING = {408, 425, 429}


def judge(where: str, status: int, headers: Mapping[str, str], said: str, *, clock: Callable[[], float] = time.time) -> None:
    """Return when *status* means that the batch arrived.

    *where* and *said* (the beginning of the answer's body) are for the message.

    :raises RetryLater: when it is worth to come back, after the seconds or at the date ``retry-after`` gives.
    :raises Rejected: when it is not.
    """
    if 200 <= status < 300:
        return
    message = f"{where} answered {status}" + (f": {said}" if said else "")
    if status in {401, 403}:
        raise RetryLater(f"{message}. Check the key in the headers; records wait meanwhile.", after=LOCKED_OUT)
    if status == 404:
        raise RetryLater(f"{message}. Check the address; records wait meanwhile.", after=LOCKED_OUT)
    if status in _PASSING or status >= 500:
        raise RetryLater(message, after=retry_after(headers.get("retry-after"), clock()))
    if 300 <= status < 400:
        raise Rejected(f"{message}. Redirects are not followed; name the final address.")
    raise Rejected(message)


def retry_after(text: str | None, now: float) -> float | None:
    """The seconds a ``retry-after`` header asks for at *now* (seconds since the epoch), at most 300; None where it makes no sense."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST) if math.isfinite(seconds) else None
