"""A record's way from the assembler to the exporters' channels: sampled, measured, processed, redacted, packed, offered."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from llm_observe._runtime.channel import Channel
from llm_observe._runtime.guard import Guard
from llm_observe._runtime.handover import Handover
from llm_observe._runtime.lean import crowded, lean
from llm_observe._runtime.meters import Meters
from llm_observe._runtime.once import REMEMBERED, Once, behind
from llm_observe._runtime.parcel import Parcel
from llm_observe._runtime.through import through
from llm_observe.protocols import Processor
from llm_observe.records import AnyRecord


class Outlet:
    """Runs in the sink's thread. What it takes in arrives at every channel, or is counted: as ``filtered``, or as ``lost`` by reason.

    *handover* is told how many bytes exporters hold back.
    """

    def __init__(
        self,
        handover: Handover,
        channels: Sequence[Channel],
        processors: Sequence[Processor],
        guard: Guard,
        meters: Meters,
        *,
        sampler: Processor | None,
        redact: Callable[[AnyRecord], tuple[AnyRecord, bytes]],
    ) -> None:
        self.channels, self.processors = channels, processors
        self._handover, self._guard, self._meters, self._sampler, self._redact = handover, guard, meters, sampler, redact
        self.once = Once(handover.room_bytes // REMEMBERED)
        self.shed = 0  # records that an exporter far behind gets without their content
        self.filtered = 0  # records a processor let go
        self.lost = {"serialize_error": 0, "sampled_out": 0}

    def send(self, records: Iterable[AnyRecord]) -> None:
        """Bring *records* on their way."""
        parcels: list[Parcel] = []
        try:
            for record in records:
                parcel = self._packed(record)
                if parcel is not None:
                    parcels.append(parcel)
        except BaseException as error:
            self.lost["serialize_error"] += not isinstance(error, Exception)  # a user's, that ends threads
            raise
        finally:
            if parcels:
                self._offer(parcels)

    def weigh(self) -> None:
        """What exporters hold back counts: the hand-over and the fullest channel share one bound. (Channels share their parcels.)"""
        self._handover.held = max([channel.waiting_bytes for channel in self.channels], default=0) + self.once.bytes

    def _packed(self, record: AnyRecord) -> Parcel | None:
        """*record* as channels take it; None where it is not to go out, or cannot."""
        kept = record if self._sampler is None else self._sampler(record)
        if self._meters:
            self._meters.record(kept or msgspec.structs.replace(record, sampled=False))  # there will be nothing for an exemplar to lead to
        if kept is None:
            self.lost["sampled_out"] += 1
            return None
        seen = through(kept, self.processors, self._guard)
        if seen is None:
            self.filtered += 1
            return None
        try:
            return Parcel(*self._redact(seen))
        except Exception as error:
            self.lost["serialize_error"] += 1
            self._guard.caught(error, "encoding")
            return None

    def _offer(self, parcels: list[Parcel]) -> None:
        """Offer *parcels* to each channel: whole, or as what they are to one that is behind."""
        less: list[Parcel] = []
        slim: list[Parcel] = []
        for channel in self.channels:
            if not behind(channel):
                channel.offer(parcels)
            elif crowded(channel):
                less = less or lean(parcels)
                self.shed += sum(one is not other for one, other in zip(less, parcels, strict=True))
                channel.offer(less)
            else:
                slim = slim or self.once.slim(parcels)
                channel.offer(slim)
        if not (slim or less):
            self.once.forget()
        self.weigh()
