"""Spools in a directory of the test's own, records to put there, and observers that keep them."""

import itertools
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_observe._runtime.encode import encode
from llm_observe._runtime.guard import Guard
from llm_observe._runtime.items import StepEnded
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.parcel import Kept, Parcel
from llm_observe._runtime.segment import Segment
from llm_observe._runtime.spool import Spool
from llm_observe.records import Step

_numbers = itertools.count(1)


def parcel(n: int, size: int = 0) -> Parcel:
    """A record called *n*."""
    at = datetime(2027, 1, 1, tzinfo=UTC)
    record = Step(id=str(n), trace_id="1" * 32, span_id="2" * 16, started_at=at, duration=0.0, name=f"{n}" + "x" * size, status="ok")
    return Parcel(record, encode(record))


def ended(n: int, size: int = 0) -> StepEnded:
    """A step called *n* as the request side hands it over."""
    return StepEnded(
        name=str(n),
        span_id=f"{n:016x}",
        parent_id=None,
        scope=None,
        started_ns=1_800_000_000 * 10**9,
        began=0,
        ended=1,
        attributes={"text": "x" * size},
        size=1024 + size,
    )


def drained(spool: Spool) -> SimpleNamespace:
    """All that *spool* has on disk only, its own and orphans, settled as it comes: names, and what was lost."""
    names, lost = [], 0
    while (loaded := spool.load(orphans=True)) is not None:
        names += [int(one.record.id) for one in loaded.parcels]
        lost += loaded.lost
        spool.settle(loaded.parcels)
    return SimpleNamespace(names=names, lost=lost)


class Told:
    """An exporter that keeps the ids it is given while it is *up*."""

    def __init__(self) -> None:
        self.up, self.names, self.batches = True, [], []

    def export(self, batch: Any) -> None:
        """Take *batch*."""
        if not self.up:
            raise OSError("down")
        self.names += [int(record.name) for record in batch]
        self.batches.append(batch.id)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Callable[..., Spool]]:
    """A maker of spools that share a directory, as processes do."""
    made: list[Spool] = []

    def one(limit: int = 2**20, name: str = "told", **changes: Any) -> Spool:
        facts = {"guard": Guard(), "wall": lambda: 1_800_000_000 * 10**9 + next(_numbers), **changes}
        made.append(Spool(tmp_path / "spool", name, limit, **facts))
        return made[-1]

    yield one
    for each in made:
        each.release()


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Makers of records, and what drains a spool."""

    def kept(spool: Spool, *numbers: int, size: int = 0, in_memory: bool = False) -> list[Kept]:
        found = [one for one in spool.keep([parcel(n, size) for n in numbers]) if isinstance(one, Kept)]
        for one in found:
            if in_memory:
                spool.took(one)
            else:
                spool.behind += 1
        return found

    return SimpleNamespace(parcel=parcel, ended=ended, drained=drained, kept=kept, segment=Segment, told=Told)


@pytest.fixture
def files(tmp_path: Path) -> Callable[[], list[Path]]:
    """The segments there are, oldest first."""
    return lambda: sorted((tmp_path / "spool").rglob("*.spool"))


@pytest.fixture
def observe(tmp_path: Path) -> Iterator[Callable[..., Observer]]:
    """A maker of observers with a spool, which are closed with the test."""
    made: list[Observer] = []

    def one(*exporters: Any, **settings: Any) -> Observer:
        facts = {"batch_age": 0.01, "spool": str(tmp_path / "spool"), **settings}
        made.append(Observer(exporters=exporters, **facts))
        return made[-1]

    yield one
    for observer in made:
        observer.shutdown(2)


@pytest.fixture(scope="session")
def root() -> bool:
    """Whether the tests may do anything to any file."""
    return os.geteuid() == 0
