"""The processors, one after the other."""

from collections.abc import Iterable
from typing import cast

from llm_observe._runtime.guard import Guard
from llm_observe.processors.content import stripped
from llm_observe.protocols import Processor
from llm_observe.records import AnyRecord, Record


def through(record: AnyRecord, steps: Iterable[Processor], guard: Guard) -> AnyRecord | None:
    """Walk *record* past the *steps*; None as soon as one lets it go.

    A step that fails must not let through what it was to take away: the record goes on without its content, and past no other step.
    """
    for step in steps:
        try:
            seen: object = step(record)
        except (Exception, SystemExit) as error:  # its words may quote the prompt
            guard.caught(error, f"the processor {_name(step)}", quoted=False)
            return stripped(record)
        if seen is record:  # as nearly always
            continue
        if seen is None:
            return None
        if not isinstance(seen, Record):
            guard.caught(TypeError(f"it returned {type(seen).__name__}, not a record and not None"), f"the processor {_name(step)}")
            return stripped(record)
        record = cast("AnyRecord", seen)
    return record


def _name(step: Processor) -> str:
    return getattr(step, "__name__", type(step).__name__)
