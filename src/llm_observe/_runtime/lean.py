"""Parcels for an exporter that is far behind: without their content, so that there is room for the records themselves."""

from collections.abc import Sequence

import msgspec

from llm_observe._runtime.channel import Channel
from llm_observe._runtime.encode import encode
from llm_observe._runtime.parcel import Parcel
from llm_observe.processors.content import bare
from llm_observe.records import AnyRecord, Call, Cut

FULL = 0.75  # of a channel's bytes: what comes from here on comes without its content


def crowded(channel: Channel) -> bool:
    """Whether the content of what comes now would take the room of records that are to come. A spool has room of another kind."""
    spooling = channel._spool is not None  # noqa: SLF001 - its own affair, but for this
    return not spooling and channel.waiting_bytes > FULL * channel.limits.queue_bytes


def lean(parcels: Sequence[Parcel]) -> list[Parcel]:
    """*parcels* without content; those that have none as they are."""
    return [parcel if (record := _lean(parcel.record)) is parcel.record else Parcel(record, encode(record)) for parcel in parcels]


def _lean(record: AnyRecord) -> AnyRecord:
    if not isinstance(record, Call):
        return record
    wire = record.wire
    asked, answered = bool(record.input.messages or record.system_instructions), bool(record.output.messages)
    if not (asked or answered):
        return record
    cuts = dict(record.truncated)
    if asked:
        cuts.setdefault("input.messages", Cut(bytes=(wire and wire.request_size) or 0))
    if answered:
        cuts.setdefault("output.messages", Cut(bytes=(wire and wire.response_size) or 0))
    less = bare(record)
    assert isinstance(less, Call)
    return msgspec.structs.replace(less, error=record.error, truncated=cuts)
