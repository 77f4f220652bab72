"""An observer's own numbers as measurements."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from llm_observe.processors import instruments
from llm_observe.processors.instruments import Instrument
from llm_observe.processors.measures import Measurement


class Deltas:
    """Totals to what was added since the last look. A counter that fell began anew: a forked child's."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, tuple[tuple[str, Any], ...]], float] = {}

    def of(self, measurement: Measurement) -> float:
        """What came since *measurement* was looked at before."""
        key = (measurement.instrument.name, tuple(measurement.attributes.items()))
        before, self._last[key] = self._last.get(key, 0.0), measurement.value
        anew = measurement.instrument.kind == "counter" and measurement.value < before
        return measurement.value if anew else measurement.value - before


def health(stats: Any) -> Iterator[Measurement]:
    """Everything in *stats* (an observer's) that is worth a look. Counters have their totals."""
    yield Measurement(instruments.IN_FLIGHT, stats.calls_in_flight, {})
    yield Measurement(instruments.QUEUED_BYTES, stats.waiting_bytes, {})
    yield Measurement(instruments.PENDING, stats.pending, {})
    yield Measurement(instruments.SHED, stats.shed, {})
    yield Measurement(instruments.FAULTS, stats.errors, {})
    yield Measurement(instruments.UNPRICED, stats.unpriced, {})
    for name, one in stats.exporters.items():
        here: dict[str, str | int] = {"llm_observe.exporter": name}
        figures: list[tuple[Instrument, float]] = [
            (instruments.QUEUED, one.queued),
            (instruments.SPOOLED, one.spooled),
            (instruments.SPOOLED_BYTES, one.spooled_bytes),
            (instruments.EXPORTED, one.exported + one.adopted_exported),
            (instruments.ADOPTED, one.adopted),
            (instruments.FAILURES, one.failures),
            (instruments.BATCHES, one.batches),
        ]
        for instrument, value in figures:
            yield Measurement(instrument, value, here)
        for reason, count in (Counter(one.dropped) + Counter(one.adopted_dropped)).items():
            yield Measurement(instruments.DROPPED, count, {**here, "llm_observe.reason": reason})


def exported(exporter: str, seconds: float) -> Measurement:
    """An attempt of *exporter* to deliver a batch."""
    return Measurement(instruments.EXPORTING, seconds, {"llm_observe.exporter": exporter})
