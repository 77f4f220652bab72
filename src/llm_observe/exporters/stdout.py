"""Records to a stream: a readable line each on a terminal, JSON lines anywhere else.

A structlog pipeline of our own, which knows nothing of the application's structlog configuration and leaves it alone: choose the kinds,
render, write. Writing happens in a worker thread, because a pipe that nobody reads would stop the sink.
"""

import errno
from collections.abc import Collection
from typing import Any, Literal, TextIO, get_args

import anyio.to_thread
import structlog
from structlog.typing import EventDict

from llm_observe.errors import Rejected, RetryLater, SettingsError
from llm_observe.exporters._line import line
from llm_observe.exporters._plain import json_line
from llm_observe.exporters._stream import LineWriter, is_terminal, wants_colour
from llm_observe.protocols import Batch
from llm_observe.records import AnyRecord

__all__ = ["Format", "Kind", "StdoutExporter", "json_line", "line"]

Format = Literal["auto", "line", "json"]
Kind = Literal["call", "request", "step"]
_FORMATS, _KINDS = get_args(Format), get_args(Kind)
_GONE = {errno.EPIPE, errno.EBADF, errno.EIO}  # EIO: the terminal hung up


class StdoutExporter:
    """Writes one line a record to *stream*, or to what ``sys.stdout`` is at that moment.

    *format* ``auto`` is ``line`` on a terminal and ``json`` elsewhere; *kinds* are the kinds of records to write, all when None. Lines are
    coloured on a terminal unless ``NO_COLOR`` is set. No text in a record can begin a line, move the cursor or turn the reading direction.

    :raises SettingsError: for a format or a kind that does not exist.
    """

    def __init__(self, stream: TextIO | None = None, *, format: Format = "auto", kinds: Collection[Kind] | None = None) -> None:
        if format not in _FORMATS:
            raise SettingsError(f"StdoutExporter(format={format!r}): expected one of {', '.join(_FORMATS)}.")
        wanted = frozenset(_KINDS if kinds is None else kinds)
        if isinstance(kinds, str) or not wanted <= set(_KINDS):
            raise SettingsError(f"StdoutExporter(kinds={kinds!r}): expected a list with some of {', '.join(_KINDS)}.")
        self.format: Format = format if format != "auto" else "line" if is_terminal(stream) else "json"
        self._out = LineWriter(stream)
        self._written = ("", 0)  # a batch, and how many of its records are out
        render = _Readable(wants_colour(stream)) if self.format == "line" else _as_json
        self._log: Any = structlog.wrap_logger(
            self._out, processors=[_Only(wanted), render], wrapper_class=structlog.BoundLogger, context_class=dict
        ).bind()

    def __repr__(self) -> str:
        return f"StdoutExporter(format={self.format!r})"

    async def export(self, batch: Batch, /) -> None:
        """Write the lines of *batch*.

        :raises Rejected: when nobody reads any more: the stream is closed, the pipe broken.
        :raises RetryLater: when it cannot be written now. Lines that are out are not written again when the batch comes back.
        """
        started = False

        def write() -> None:
            nonlocal started
            started = True
            self._write(batch)

        try:
            await anyio.to_thread.run_sync(write, abandon_on_cancel=True)
        except RuntimeError:
            if started:
                raise
            write()  # no thread can be started while the interpreter ends

    def _write(self, batch: Batch) -> None:
        done = self._written[1] if self._written[0] == batch.id else 0
        try:
            for number in range(done, len(batch)):
                self._log.msg(record=batch[number], line=batch.lines[number])
                self._written = (batch.id, number + 1)
        except OSError as error:
            if error.errno in _GONE:
                raise Rejected(f"{self._out.name} is closed: nobody reads it any more.", reason="stream_closed") from error
            raise RetryLater(f"cannot write to {self._out.name}: {error.strerror}. Records wait meanwhile.") from error


# --- the pipeline ----------------------------------------------------------------------------------------------------


def _kind(record: AnyRecord) -> str:
    return str(record.__struct_config__.tag)


class _Only:
    """Lets pass records of some kinds."""

    def __init__(self, kinds: frozenset[str]) -> None:
        self._kinds = kinds

    def __call__(self, _: object, __: str, event: EventDict) -> EventDict:
        if _kind(event["record"]) not in self._kinds:
            raise structlog.DropEvent
        return event


class _Readable:
    """Renders the line to read."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, _: object, __: str, event: EventDict) -> str:
        return line(event["record"], self._colour)


def _as_json(_: object, __: str, event: EventDict) -> str:
    """Renders the line to parse."""
    return json_line(event["line"])
