"""Those who keep sums, as the sink tells them: one that fails keeps the others from nothing."""

from collections.abc import Callable, Sequence

from llm_observe._runtime.guard import Guard
from llm_observe.protocols import Meter
from llm_observe.records import AnyRecord


class Meters:
    """Several meters as one. What they raise is caught; its words may quote what they were told of."""

    def __init__(self, several: Sequence[Meter], guard: Guard) -> None:
        self._several, self._guard = several, guard

    def __bool__(self) -> bool:
        return bool(self._several)

    def record(self, record: AnyRecord) -> None:
        """Tell them of *record*."""
        for meter in self._several:
            try:
                meter.record(record)
            except Exception as error:
                self._failed(error, meter)

    def health(self, numbers: Callable[[], object]) -> None:
        """Tell them how we are."""
        for meter in self._several:
            try:
                meter.health(numbers())
            except Exception as error:
                self._failed(error, meter)

    def exported(self, name: str, seconds: float) -> None:
        """Tell them of an attempt of the exporter *name* to deliver a batch, those who want to know."""
        for meter in self._several:
            try:
                getattr(meter, "exported", lambda *_: None)(name, seconds)
            except Exception as error:
                self._failed(error, meter)

    def close(self) -> None:
        """Close those who have something to close."""
        for meter in self._several:
            try:
                getattr(meter, "close", lambda: None)()
            except Exception as error:
                self._guard.caught(error, f"closing the meter {type(meter).__name__}")

    def _failed(self, error: Exception, meter: Meter) -> None:
        self._guard.caught(error, f"the meter {type(meter).__name__}", quoted=False)
