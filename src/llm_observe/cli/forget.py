"""Remove the records of a user, a session or a request from the files, and have none of them written there again.

With a request go all its records: its calls and steps too. Works while apps write. What was sent to other places has to be removed
there.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from llm_observe.errors import ObserveError, SettingsError
from llm_observe.exporters import from_url
from llm_observe.exporters._forget import Choice, Removed, forget, lift
from llm_observe.exporters._forget_spool import blank, look
from llm_observe.exporters._forgotten import KINDS, Subject
from llm_observe.exporters._plain import plain
from llm_observe.exporters._stream import LineWriter
from llm_observe.settings import Settings, resolve

_COLUMNS = ("request", "call", "step", "other")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``llm-observe forget`` can be told."""
    parser.add_argument(
        "directory", nargs="*", metavar="DIR", help="where the records are (default: where the environment's settings put them)"
    )
    for kind in KINDS:
        parser.add_argument(f"--{kind}", action="append", default=[], metavar="ID", help=f"forget this {kind}; may be given several times")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--lift", action="store_true", help="remove nothing, and have their records written again from now on")


def run(arguments: argparse.Namespace, *, out: TextIO | None = None) -> int:
    """Forget, and say on *out* (stdout when None) what was removed; the exit code.

    :raises ObserveError: when nobody is named, there is no such directory, or others are in the way.
    """
    subjects = [Subject(kind, name) for kind in KINDS for name in getattr(arguments, kind)]
    if not subjects or not all(subject.id for subject in subjects):
        raise ObserveError("expected whom to forget: --user ID, --session ID or --request ID.")
    if arguments.lift and arguments.dry_run:
        raise ObserveError("--lift removes nothing: leave --dry-run out.")
    say = LineWriter(out).msg
    directories, spools = _places(arguments.directory)
    choice, dry_run = Choice(subjects), arguments.dry_run
    here = directories[0] if directories else spools[0]
    try:
        for here in () if arguments.lift else spools:
            look(here, choice)
        for here in directories:
            if arguments.lift:
                say(_lifted(lift(here, subjects), here))
            else:
                _report(say, here, forget(here, subjects, dry_run=dry_run, choice=choice), dry_run=dry_run)
        for here in () if arguments.lift else spools:
            _report(say, here, blank(here, choice, dry_run=dry_run), dry_run=dry_run, spool=True)
    except FileNotFoundError:
        raise ObserveError(f"there is no directory {plain(here)}. Name the one your app writes to.") from None
    except OSError as error:
        what = error.filename if isinstance(error.filename, str) else here
        raise ObserveError(f"{plain(what)}: {plain(error.strerror or error)}") from error
    return 0


def _places(named: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Directories of record files and of spools: those that are *named*, else those of the environment's settings that are there."""
    if named:
        directories = [Path(name) for name in named]
        return directories, [path for path in (directory / "spool" for directory in directories) if path.is_dir()]
    settings = resolve({})[0]
    wanted = list(dict.fromkeys(_written(settings)))
    directories = [path for path in wanted if path.is_dir()]
    spools = [path for path in (Path(settings.directory, "spool"), _own_spool(settings)) if path is not None and path.is_dir()]
    if not directories and not spools:
        where = " or ".join(plain(path) for path in wanted) or "this environment's settings write to"
        raise SettingsError(f"there is no directory {where}. Name the one your app writes to.")
    return directories, spools


def _own_spool(settings: Settings) -> Path | None:
    return None if isinstance(settings.spool, bool) else Path(settings.spool).expanduser()


def _written(settings: Settings) -> list[Path]:
    if settings.exporters is None:
        return [Path(settings.directory)]
    files = [one for one in settings.exporters if isinstance(one, str) and one.strip().partition(":")[0].lower() == "file"]
    return [Path(from_url(one, settings).directory) for one in files]  # type: ignore[attr-defined]  # these are file exporters


def _lifted(count: int, directory: Path) -> str:
    if not count:
        return f"Nobody of that name was forgotten in {plain(directory)}."
    return f"{count} taken off the list of {plain(directory)}: records are written again. What was removed does not come back."


def _report(say: Callable[[str], object], directory: Path, removed: Sequence[Removed], *, dry_run: bool, spool: bool = False) -> None:
    total: Counter[str] = sum((one.kinds for one in removed), Counter())
    shown = [kind for kind in _COLUMNS if total[kind]]
    unreadable = any(one.unreadable for one in removed)
    heading = [f"{kind}s" if kind != "other" else kind for kind in shown]
    rows = [["file", *heading, *(["unreadable"] if unreadable else []), "bytes"]]
    for one in removed:
        lines = [f"{one.unreadable:,}"] if unreadable else []
        rows.append([plain(one.name), *(f"{one.kinds[kind]:,}" for kind in shown), *lines, f"{one.size:,}"])
    if removed:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for name, *numbers in rows:
            say("  ".join([name.ljust(widths[0]), *(text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True))]))
    count = total.total() + sum(one.unreadable for one in removed)
    what = f"{count:,} record{'s' * (count != 1)} in {len(removed):,} file{'s' * (len(removed) != 1)} of {plain(directory)}"
    if dry_run:
        say(f"{what} would be removed.")
    else:
        say(f"{what} removed{'' if spool else '; none will be written there again'}.")
