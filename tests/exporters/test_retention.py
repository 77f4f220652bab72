"""How long record files are kept."""

import os
import time

import pytest

from llm_observe.errors import SettingsError
from llm_observe.exporters import from_url
from llm_observe.exporters._files import file_name, record_files
from llm_observe.exporters.file import FileExporter
from llm_observe.settings import Settings

DAY = 86400.0


class Calendar:
    """A clock that stands still until it is moved. It begins now: the kernel stamps files by its own."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def calendar() -> Calendar:
    """What time it is."""
    return Calendar()


def written(path, instant) -> None:
    """Have *path* be there, last written to at *instant*."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"{}\n")
    os.utime(path, (instant, instant))


def names(directory) -> set[str]:
    """What is in *directory*."""
    return {path.name for path in directory.iterdir()}


def test_at_the_start_files_that_are_too_old_go(make, send, tmp_path, calendar):
    """Those that nothing was written to for longer than the days they are kept; a file that is just in time stays."""
    old, young = (tmp_path / file_name(calendar.now - days * DAY, 7, 1) for days in (50, 49))
    written(old, calendar.now - 30.1 * DAY)
    written(young, calendar.now - 29.9 * DAY)
    exporter = FileExporter(tmp_path, clock=calendar)

    send(exporter, make.batch(make.call()))

    assert [young, exporter.path] == record_files(tmp_path)


def test_what_is_not_ours_stays_however_old(make, send, tmp_path, calendar):
    """Only names that we give are ours, and only files, not what links to them."""
    others = ["records.jsonl", "records-20200101T000000-1-000001.jsonl.bak", "notes.txt", "records-of-2020.jsonl"]
    for name in others:
        written(tmp_path / name, 0)
    link = tmp_path / file_name(0, 1, 2)
    link.symlink_to(tmp_path / "notes.txt")

    send(FileExporter(tmp_path, clock=calendar), make.batch(make.call()))

    assert {*others, link.name} <= names(tmp_path)


def test_what_a_broken_off_rewriting_left_goes_as_well(make, send, tmp_path, calendar):
    """It holds records too."""
    left = tmp_path / f".{file_name(0, 1, 1)}.part"
    written(left, calendar.now - 31 * DAY)

    send(FileExporter(tmp_path, clock=calendar), make.batch(make.call()))

    assert not left.exists()


def test_while_records_come_it_is_looked_at_every_hour(make, send, tmp_path, calendar):
    """Not only when a file is full: it may never be."""
    exporter = FileExporter(tmp_path, keep_days=1, clock=calendar)
    send(exporter, make.batch(make.call()))
    other = tmp_path / file_name(0, 1, 1)
    written(other, calendar.now - DAY + 3000)
    calendar.now += 3500
    send(exporter, make.batch(make.call()))
    before = other.exists()
    calendar.now += 200

    send(exporter, make.batch(make.call()))

    assert (True, False) == (before, other.exists())


def test_a_file_is_closed_when_it_is_a_day_old(make, send, tmp_path, calendar):
    """So that a quiet app's records are not kept for as long as it takes to fill a file."""
    exporter = FileExporter(tmp_path, clock=calendar)
    send(exporter, make.batch(make.call(id="monday")))
    first = exporter.path
    calendar.now += DAY

    send(exporter, make.batch(make.call(id="tuesday")))

    assert [first, exporter.path] == record_files(tmp_path)


def test_a_clock_that_is_set_back_stops_nothing(make, send, tmp_path, calendar):
    """The day and the hour count in both directions."""
    exporter = FileExporter(tmp_path, clock=calendar)
    send(exporter, make.batch(make.call()))
    calendar.now -= 40 * DAY
    other = tmp_path / file_name(0, 1, 1)
    written(other, calendar.now - 31 * DAY)

    send(exporter, make.batch(make.call()))

    assert (False, 2) == (other.exists(), len(record_files(tmp_path)))


def test_a_file_that_a_living_process_writes_is_kept(make, send, tmp_path, calendar):
    """Also when it has been idle for long."""
    idle = FileExporter(tmp_path, clock=calendar)
    send(idle, make.batch(make.call()))
    os.utime(idle.path, (0, 0))

    send(FileExporter(tmp_path, clock=calendar), make.batch(make.call()))

    assert idle.path.exists()


@pytest.mark.parametrize("days", [0, -1, float("nan")])
def test_less_than_a_day_is_refused(tmp_path, days):
    """The message names what was given and what was expected."""
    with pytest.raises(SettingsError, match=rf"keep_days={days}.*at least 1"):
        FileExporter(tmp_path, keep_days=days)


def test_the_days_may_stand_in_the_url_or_in_the_settings(tmp_path):
    """The URL counts first."""
    settings = Settings(file_keep_days=3)

    assert [3, 7] == [from_url(f"file:{tmp_path}{query}", settings).keep_days for query in ("", "?keep_days=7")]
    with pytest.raises(SettingsError, match=r"keep_days='x': expected a number of days"):
        from_url(f"file:{tmp_path}?keep_days=x", settings)
