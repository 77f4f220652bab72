"""What became of everything, in numbers."""

import msgspec


class ExporterStats(msgspec.Struct, frozen=True, kw_only=True):
    """One exporter's side of the conservation law: ``captured == exported + spooled + queued + in_flight + sum(dropped)``.

    ``captured`` and ``queued`` reach back to the hand-over: what waits there is still to come to this exporter, what was refused
    there never will. ``spooled`` is on disk and not in memory: too much to be held, or left for the next process at the end.
    ``spooled_bytes`` is the size of the segments that this process holds, with all that is in them.

    What processes left in the spool that are gone is none of that, it was captured elsewhere: ``adopted`` of their records were taken over,
    of which ``adopted_exported`` have arrived and ``adopted_dropped`` were lost; the others are under way.
    """

    captured: int
    exported: int
    spooled: int
    spooled_bytes: int = 0
    queued: int
    in_flight: int
    dropped: dict[str, int]
    adopted: int = 0
    adopted_exported: int = 0
    adopted_dropped: dict[str, int] = {}
    batches: int
    failures: int
    seconds: float  # spent exporting, failed attempts included
    last_error: str | None = None

    @property
    def balanced(self) -> bool:
        """Whether the law holds: always, while nothing is on the move."""
        own = self.exported + self.spooled + self.queued + self.in_flight + sum(self.dropped.values())
        return self.captured == own and self.adopted >= self.adopted_exported + sum(self.adopted_dropped.values())


def settled(stats: ExporterStats) -> ExporterStats:
    """*stats* where nothing more will come: whatever is not out and not dropped has missed the deadline."""
    lost = stats.captured - stats.exported - stats.spooled - sum(stats.dropped.values())
    reason = "shutdown_deadline"
    dropped = {**stats.dropped, reason: stats.dropped.get(reason, 0) + lost} if lost else stats.dropped
    return msgspec.structs.replace(stats, queued=0, in_flight=0, dropped=dropped)


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """An observer in numbers.

    ``waiting`` and ``waiting_bytes`` stand at the hand-over, ``calls_in_flight`` are attempts whose answer has not come to its end, and
    calls told by hand that are still open, ``bytes_in_flight`` what is kept of those answers beyond the first bytes of each,
    ``pending`` are failed attempts that may still be retried, ``folded`` retries that joined a call, ``ignored`` traffic that turned out to be no model call, ``unpriced`` calls with tokens whose
    price is not known, ``redacted`` secrets and the like that were taken out, ``withheld`` texts and records left out because they could
    not be gone through, ``shed`` items accepted without their content, ``saved_bytes`` bytes of prompts that wait once although records
    repeat them, ``errors`` failures of our own that the application never saw, ``restarts`` how often the background loop had to begin
    anew after one.
    """

    accepted: int
    waiting: int
    waiting_bytes: int
    calls_in_flight: int
    bytes_in_flight: int
    pending: int
    folded: int
    ignored: int
    unpriced: int
    redacted: int
    withheld: int
    filtered: int
    shed: int
    saved_bytes: int
    errors: int
    restarts: int
    running: bool
    exporters: dict[str, ExporterStats]
