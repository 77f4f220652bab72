"""Follow the records that an app writes.

Shows the last records of a directory in the order they finished, then each new one as it comes, from every process that writes there.
"""

import argparse
import contextlib
import heapq
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TextIO

import msgspec

from llm_observe.exporters._files import decode, new_lines, record_files
from llm_observe.exporters._line import line as readable
from llm_observe.exporters._plain import json_line, plain
from llm_observe.exporters._stream import LineWriter, wants_colour
from llm_observe.settings import resolve

POLL = 0.2  # seconds between two looks at the directory
MARGIN = 1.0  # seconds a file's own time may be behind the clock of the records in it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``llm-observe tail`` can be told."""
    parser.add_argument("directory", nargs="?", metavar="DIR", help="where the records are (default: LLM_OBSERVE_DIRECTORY, .llm-observe)")
    parser.add_argument("-n", "--lines", type=_count, default=10, metavar="N", help="how many earlier records to show first (default: 10)")
    parser.add_argument("--no-follow", dest="follow", action="store_false", help="stop after those")
    parser.add_argument("--json", action="store_true", help="show the records as JSON, one a line")
    parser.add_argument("--kind", choices=["call", "request", "step"], help="only records of this kind")
    parser.add_argument("--request-id", metavar="ID", help="only what belongs to this request")


def run(arguments: argparse.Namespace, *, out: TextIO | None = None, sleep: Callable[[float], object] = time.sleep) -> int:
    """Show records on *out* (stdout when None), waiting with *sleep*; the exit code.

    :raises SettingsError: when no directory is named and the environment's settings make no sense.
    """
    directory = Path(arguments.directory or resolve({})[0].directory)
    watch = Watch(directory, kind=arguments.kind, request_id=arguments.request_id)
    show = _show(out, as_json=arguments.json)
    try:
        if not directory.is_dir():
            if not arguments.follow:
                return _complain(f"there is no directory {directory}. Name the one your app writes to, or start the app.")
            print(f"llm-observe tail: waiting for {plain(directory)}", file=sys.stderr)
        shown = show(watch.last(arguments.lines))
        if not shown and not arguments.follow and arguments.lines:
            print(f"llm-observe tail: nothing to show in {plain(directory)}", file=sys.stderr)
        while arguments.follow:
            sleep(POLL)
            show(watch.new())
    except (KeyboardInterrupt, BrokenPipeError):  # whoever read it has read enough
        return 0
    except OSError as error:
        return _complain(f"cannot read {error.filename or directory}: {error.strerror}.")
    return 0


class Watch:
    """The record files of *directory*, and how far each has been read."""

    def __init__(self, directory: Path, *, kind: str | None = None, request_id: str | None = None) -> None:
        self._directory, self._kind, self._request_id = directory, kind, request_id
        self._offsets: dict[Path, int] = {}

    def last(self, count: int) -> list[bytes]:
        """The *count* matching records that finished last, in that order. What comes later is :meth:`new`.

        Files are read from the latest on, and no further than something in them can still count.
        """
        best: list[tuple[float, str, int, bytes]] = []
        turn = 0
        for changed, size, path in sorted(self._files(), reverse=True):
            if len(best) >= count and (not best or changed + MARGIN < best[0][0]):
                self._offsets[path] = size
                continue
            for instant, text in self._read(path, 0):
                turn += 1
                entry = (instant, path.name, turn, text)
                heapq.heappush(best, entry) if len(best) < count else heapq.heappushpop(best, entry)
        return [text for *_, text in sorted(best)]

    def new(self) -> list[bytes]:
        """The matching records that were written since the last look, in the order they finished."""
        found: list[tuple[float, bytes]] = []
        files = {path: size for _, size, path in self._files()}
        for path, size in files.items():
            offset = self._offsets.get(path, 0)
            if size < offset:  # a batch did not fit and was taken back
                self._offsets[path] = size
            elif size > offset:
                found += self._read(path, offset)
        self._offsets = {path: offset for path, offset in self._offsets.items() if path in files}
        return [text for _, text in sorted(found, key=lambda pair: pair[0])]

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in record_files(self._directory):
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                yield found.st_mtime, found.st_size, path

    def _read(self, path: Path, offset: int) -> Iterator[tuple[float, bytes]]:
        with contextlib.suppress(FileNotFoundError):
            lines, self._offsets[path] = new_lines(path, offset)
            for text in lines:
                facts = _facts(text)
                if facts is not None and self._matches(facts):
                    yield facts.started_at.timestamp() + facts.duration, text

    def _matches(self, facts: "Facts") -> bool:
        return self._kind in {None, facts.kind} and self._request_id in {None, facts.request_id}


class Facts(msgspec.Struct):
    """As much of a record as it takes to choose and to order it, whatever its kind."""

    kind: str
    started_at: datetime
    duration: float = 0.0
    request_id: str | None = None


_facts_of = msgspec.json.Decoder(Facts)


def _facts(text: bytes) -> Facts | None:
    try:
        facts = _facts_of.decode(text)
        facts.started_at.timestamp()
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
        return None
    return facts


def _show(out: TextIO | None, *, as_json: bool) -> Callable[[Iterable[bytes]], int]:
    """What writes records, and says how many."""
    write, colour = LineWriter(out).msg, wants_colour(out)

    def show(lines: Iterable[bytes]) -> int:
        count = 0
        for text in lines:
            record = None if as_json else decode(text)
            if as_json or record is not None:
                write(json_line(text) if record is None else readable(record, colour))
                count += 1
        return count

    return show


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number of records, not {text!r}")
    return int(text)


def _complain(text: str) -> int:
    print(f"llm-observe tail: {plain(text)}", file=sys.stderr)
    return 2
