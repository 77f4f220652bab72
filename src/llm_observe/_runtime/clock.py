"""Time and chance, injected: tests hand in their own."""

import random
import time
from collections.abc import Callable

import msgspec

_random = random.Random()  # noqa: S311 - ids and jitter, no secrets


def reseed() -> None:
    """A forked child must not draw its parent's ids again."""
    _random.seed()


class Clock(msgspec.Struct, frozen=True):
    """``wall`` is nanoseconds since the epoch; ``now`` is nanoseconds that never go back."""

    wall: Callable[[], int] = time.time_ns
    now: Callable[[], int] = time.perf_counter_ns


class Ids(msgspec.Struct, frozen=True):
    """Trace and span ids by W3C Trace Context, record ids by RFC 9562 (UUIDv7: they sort by time)."""

    bits: Callable[[int], int] = _random.getrandbits

    def trace(self) -> str:
        """A trace id, 32 hex digits, never all zero."""
        return f"{self.bits(128) or 1:032x}"

    def span(self) -> str:
        """A span id, 16 hex digits, never all zero."""
        return f"{self.bits(64) or 1:016x}"

    def record(self, wall_ns: int) -> str:
        """A record id for something that began at *wall_ns*; ids of one process sort to a fraction of a microsecond (RFC 9562, 6.2)."""
        milliseconds, rest = divmod(wall_ns, 1_000_000)
        value = (milliseconds << 80) | (0x7000 | (rest << 12) // 1_000_000) << 64 | 0x8 << 60 | self.bits(60)
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
