"""Lines to a stream that may be a terminal, a pipe nobody reads, closed, or no real file at all.

A real file is written by its descriptor: a thread that is stuck in Python's own buffer holds that buffer's lock, and the interpreter
cannot end while it does. Anything else (a notebook, a test's capture) has to be written by its own ``write``.
"""

import errno
import io
import os
import select
import sys
from collections.abc import Mapping
from typing import TextIO


class LineWriter:
    """What structlog calls a logger: writes a text and a line end to *stream*, or to what ``sys.stdout`` is at that moment."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return "stdout" if self._stream is None else str(getattr(self._stream, "name", "the stream"))

    def msg(self, text: str) -> None:
        """Write *text* and a line end, at once. What the stream's encoding does not have is escaped.

        :raises BrokenPipeError: when nobody can read it any more.
        :raises OSError: when it cannot be written for another reason.
        """
        stream = self._stream if self._stream is not None else sys.stdout
        if stream is None or stream.closed:
            raise BrokenPipeError(errno.EPIPE, "closed")
        encoding = getattr(stream, "encoding", None) or "utf-8"
        data = f"{text}\n".encode(encoding, "backslashreplace")
        fd = _descriptor(stream)
        if fd is not None:
            _write_all(fd, data)
        else:
            stream.write(data.decode(encoding))
            stream.flush()


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether a person looks at *stream* (``sys.stdout`` when None)."""
    stream = stream if stream is not None else sys.stdout
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # no stream, no such method, or closed
        return False


def wants_colour(stream: TextIO | None = None, env: Mapping[str, str] = os.environ) -> bool:
    """Whether *stream* is a terminal that shows colours; see https://no-color.org."""
    return is_terminal(stream) and not env.get("NO_COLOR") and env.get("TERM") != "dumb"


def _descriptor(stream: TextIO) -> int | None:
    if not isinstance(stream, io.TextIOWrapper):
        return None  # ipykernel's stream has a descriptor too: the server's terminal
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # somebody made the descriptor non-blocking
            waiting = select.poll()
            waiting.register(fd, select.POLLOUT)
            waiting.poll()
