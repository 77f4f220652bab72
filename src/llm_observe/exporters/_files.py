"""The record files of a directory: their names, and how to read them while others write.

One file a process, whole lines only. The last line of a killed process may be torn: readers leave out what has no line end, and what
they do not understand.
"""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from llm_observe.records import AnyRecord

_NAME = re.compile(r"records-\d{8}T\d{6}-\d+-\d{6,}\.jsonl")
_LEFTOVER = re.compile(rf"\.{_NAME.pattern}\.part")
_decoder: msgspec.json.Decoder[AnyRecord] = msgspec.json.Decoder(AnyRecord)


def file_name(instant: float, pid: int, number: int) -> str:
    """What the process *pid* calls its file *number*, begun at *instant* (seconds since the epoch). Names sort by age."""
    return f"records-{datetime.fromtimestamp(instant, UTC):%Y%m%dT%H%M%S}-{pid}-{number:06d}.jsonl"


def part_name(name: str) -> str:
    """What the record file *name* is called while it is being rewritten. No reader takes that for a record file."""
    return f".{name}.part"


def record_files(directory: Path | str) -> list[Path]:
    """The record files in *directory*, oldest first; none where there is no such directory."""
    return _files(directory, _NAME)


def leftover_files(directory: Path | str) -> list[Path]:
    """What was left in *directory* when the rewriting of a record file was broken off, or what is being rewritten now."""
    return _files(directory, _LEFTOVER)


def _files(directory: Path | str, pattern: re.Pattern[str]) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            names = [e.name for e in entries if pattern.fullmatch(e.name) and e.is_file(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [Path(directory, name) for name in sorted(names)]


def new_lines(path: Path, offset: int = 0) -> tuple[list[bytes], int]:
    """The whole lines of *path* from byte *offset* on, without their line ends, and where the next one will begin.

    :raises OSError: when the file cannot be read.
    """
    with path.open("rb") as file:
        file.seek(offset)
        *lines, rest = file.read().split(b"\n")
        return lines, file.tell() - len(rest)


def decode(line: bytes) -> AnyRecord | None:
    """The record *line* holds; None when it is no record, or of a kind this version does not know."""
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    try:  # a lone surrogate is valid JSON to the standard library only
        return msgspec.convert(json.loads(line), AnyRecord)  # type: ignore[no-any-return]
    except (msgspec.ValidationError, ValueError, RecursionError):
        return None


def read_records(directory: Path | str = ".llm-observe") -> Iterator[AnyRecord]:
    """All records in *directory*, file after file from the oldest on; within a file in the order they were written.

    May be used while processes write: what is not a whole line yet, not a record, or of an unknown kind is left out.

    :raises OSError: when a file cannot be read; one that is deleted in the meantime is left out.
    """
    for path in record_files(directory):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue
        with file:
            for line in file:
                record = decode(line) if line.endswith(b"\n") else None
                if record is not None:
                    yield record
