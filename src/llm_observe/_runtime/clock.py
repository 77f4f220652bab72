"""Time and chance, injected: tests hand in their own."""

import itertools
import random
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

_random = random.Random()  # noqa: S311 - ids and jitter, no secrets
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_halves = struct.Struct(">QQ").pack


class Serials:
    """Numbers for attempts, rising by one from a random beginning: no two processes have one in common, as little as two ids."""

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin anew, elsewhere."""
        self.next = itertools.count(_random.getrandbits(60) + 1).__next__


serials = Serials()


def reseed() -> None:
    """A forked child must not draw its parent's ids again."""
    _random.seed()
    serials.begin()


class Clock(msgspec.Struct, frozen=True):
    """``wall`` is nanoseconds since the epoch; ``now`` is nanoseconds that never go back."""

    wall: Callable[[], int] = time.time_ns
    now: Callable[[], int] = time.perf_counter_ns


class Ids(msgspec.Struct, frozen=True):
    """Trace and span ids by W3C Trace Context, record ids by RFC 9562 (UUIDv7: they sort by time)."""

    bits: Callable[[int], int] = _random.getrandbits

    def trace(self) -> str:
        """A trace id, 32 hex digits, never all zero."""
        return (self.bits(128) or 1).to_bytes(16, "big").hex()

    def span(self) -> str:
        """A span id, 16 hex digits, never all zero."""
        return (self.bits(64) or 1).to_bytes(8, "big").hex()

    def record(self, wall_ns: int) -> str:
        """A record id for something that began at *wall_ns*; ids of one process sort to a fraction of a microsecond (RFC 9562, 6.2)."""
        return _uuid7(wall_ns, self.bits(60))


def call_id(wall_ns: int, serial: int) -> str:
    """The record id of the call whose first attempt has this *serial*: the same for who asks on the request side and in the sink.

    The serial is spread over all digits, so that two calls in a row do not look alike.
    """
    return _uuid7(wall_ns, serial * 0x9E3779B97F4A7C15 & (1 << 60) - 1)


def _uuid7(wall_ns: int, rest: int) -> str:
    milliseconds, nanoseconds = divmod(wall_ns, 1_000_000)
    text = _halves(milliseconds << 16 | 0x7000 | (nanoseconds << 12) // 1_000_000, 0x8 << 60 | rest).hex("-", 2)
    return f"{text[:4]}{text[5:29]}{text[30:34]}{text[35:]}"


def instant(wall_ns: int) -> datetime:
    """*wall_ns* nanoseconds since the epoch as UTC, to the microsecond."""
    return EPOCH + MICROSECOND * (wall_ns // 1000)
