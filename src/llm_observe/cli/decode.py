"""``llm-observe decode``: recorded exchanges in, call records out, one a line and in order.

Reads one JSON object a line (``id``, ``request``, ``response``, bodies in base64), plain or gzipped. What is no model call gives
``{"id": ..., "kind": "unknown", "reason": ...}``, and so does a line that cannot be read; that one is also named on stderr, and the
exit code is 2 at the end. One line is in memory at a time.
"""

import argparse
import gzip
import hashlib
import os
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urlsplit

import msgspec

from llm_observe._runtime.encode import encode
from llm_observe.cli._decoded import Summary
from llm_observe.errors import missing
from llm_observe.exporters._plain import json_line, plain
from llm_observe.records import Attempt, Call, Decoded, Exchange, call_of
from llm_observe.settings import resolve
from llm_observe.wire import FORMATS, Endpoints, Unknown, decode
from llm_observe.wire.headers import http_date

if TYPE_CHECKING:
    from rich.console import Console

_EPOCH = datetime.fromtimestamp(0, UTC)
_UNREADABLE = (ValueError, msgspec.MsgspecError, RecursionError)
_PORTS = {"https": 443, "http": 80}


class RecordedRequest(msgspec.Struct):
    """The request of one line. Bodies are base64 there, bytes here."""

    url: str
    method: str = "POST"
    headers: list[tuple[str, str]] = []
    body_b64: bytes = b""


class RecordedResponse(msgspec.Struct):
    """The response of one line."""

    status: int
    headers: list[tuple[str, str]] = []
    body_b64: bytes = b""
    content_encoding_removed: bool = False


class Recorded(msgspec.Struct):
    """One line of the input."""

    id: str
    request: RecordedRequest
    response: RecordedResponse | None = None
    response_is_stream: bool = False


class _Named(msgspec.Struct):
    """What is still read of a line that is otherwise wrong."""

    id: str


class _NoCall(msgspec.Struct, kw_only=True):
    """What is written where there is no call."""

    id: str
    kind: str = "unknown"
    reason: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``llm-observe decode``."""
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help="exchanges, one JSON object a line, plain or .gz; - is stdin (default)"
    )
    parser.add_argument("--output", metavar="FILE", help="where the records go; stdout by default")
    parser.add_argument("--summary", action="store_true", help="print what there was, by format and provider; records go to --output alone")


def run(arguments: argparse.Namespace) -> int:
    """Decode every line of the input. The exit code: 0, or 2 where something could not be read.

    :raises MissingExtra: when a summary is asked for and rich is not installed.
    :raises SettingsError: when ``LLM_OBSERVE_ENDPOINTS`` cannot be read.
    """
    endpoints = Endpoints(resolve({})[0].endpoints, FORMATS)
    console, summary = _console() if arguments.summary else None, Summary()
    try:
        with ExitStack() as stack:
            lines = stack.enter_context(_lines(arguments.file))
            output = _output(arguments, stack)
            begun = time.perf_counter()
            bad = _decode_lines(lines, output, endpoints, summary)
            seconds = time.perf_counter() - begun
            if output is not None:
                output.flush()
        if console is not None:
            summary.show(console, seconds)
    except BrokenPipeError:
        _silence_stdout()
        return 0
    except (EOFError, zlib.error) as error:
        return _complain(f"{arguments.file}: damaged gzip: {error}")
    except OSError as error:
        return _complain(f"{error.filename or arguments.file}: {error.strerror or error}")
    except KeyboardInterrupt:
        return 130
    return 2 if bad else 0


def _output(arguments: argparse.Namespace, stack: ExitStack) -> BinaryIO | None:
    """Where the records go: nowhere, where a summary alone is asked for."""
    if arguments.output:
        return stack.enter_context(Path(arguments.output).open("wb"))
    return None if arguments.summary else sys.stdout.buffer


def _console() -> "Console":
    try:
        from rich.console import Console
    except ModuleNotFoundError as error:
        raise missing(error, extra="cli") from None
    return Console(highlight=False)


def _decode_lines(lines: Iterator[bytes], output: BinaryIO | None, endpoints: Endpoints, summary: Summary) -> int:
    bad = 0
    shown = output is not None and output.isatty()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            recorded = msgspec.json.decode(line, type=Recorded)
            summary.bytes += len(recorded.request.body_b64) + (len(recorded.response.body_b64) if recorded.response else 0)
            record = _record(recorded, endpoints)
        except _UNREADABLE as error:
            bad += 1
            reason = f"line {number} is no recorded exchange: {str(error) or type(error).__name__}"
            _complain(reason)
            record = _NoCall(id=_id_of(line, number), reason=reason)
        if isinstance(record, Call):
            summary.call(record)
        else:
            summary.none(record.reason)
        if output is not None:
            written = encode(record)
            output.write((json_line(written).encode() if shown else written) + b"\n")
    return bad


def _record(recorded: Recorded, endpoints: Endpoints) -> Call | _NoCall:
    exchange = exchange_of(recorded)
    decoded = decode(exchange, endpoints)
    return _NoCall(id=recorded.id, reason=decoded.reason) if isinstance(decoded, Unknown) else recorded_call(recorded.id, exchange, decoded)


def exchange_of(recorded: Recorded) -> Exchange:
    """The recording as the capture would have seen it, its body in one read."""
    request, response = recorded.request, recorded.response
    url = urlsplit(request.url)
    exchange = Exchange(
        client="recorded",
        method=request.method.upper(),
        host=url.hostname or "",
        port=url.port or _PORTS.get(url.scheme),
        path=url.path,
        request_headers=_lowered(request.headers),
        request_body=request.body_b64,
        request_size=len(request.body_b64),
        streamed=recorded.response_is_stream,
        end="eof",
    )
    if response is not None:
        exchange.status_code = response.status
        exchange.response_headers = _lowered(response.headers)
        exchange.chunks = [response.body_b64]
        exchange.response_size = len(response.body_b64)
        exchange.content_decoded = response.content_encoding_removed
    return exchange


def recorded_call(id: str, exchange: Exchange, decoded: Decoded) -> Call:
    """The record of a recording: when it was made is known from the provider's own clock at best, how long it took is not."""
    started_at = http_date(exchange.response_headers.get("date")) or _EPOCH
    digest = hashlib.sha256(id.encode("utf-8", "replace")).hexdigest()
    attempt = Attempt(
        started_at=started_at,
        duration=0.0,
        status_code=exchange.status_code,
        error_type=decoded.error.type if decoded.error else None,
        provider_request_id=decoded.provider_request_id,
        retry_after=decoded.retry_after,
        processing_time=decoded.processing_time,
        rate_limits=decoded.rate_limits,
    )
    return call_of(decoded, id=id, trace_id=digest[:32], span_id=digest[32:48], started_at=started_at, duration=0.0, attempts=(attempt,))


def _lowered(headers: list[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def _id_of(line: bytes, number: int) -> str:
    try:
        return msgspec.json.decode(line, type=_Named).id
    except _UNREADABLE:
        return f"line {number}"


@contextmanager
def _lines(file: str) -> Iterator[Iterator[bytes]]:
    """The lines of *file*, unzipped where they are zipped, whatever the name says."""
    with ExitStack() as stack:
        source = cast("BinaryIO", sys.stdin.buffer) if file == "-" else stack.enter_context(Path(file).open("rb"))
        zipped = source.peek(2)[:2] == b"\x1f\x8b"  # type: ignore[attr-defined]
        if file != "-":
            source = _with_progress(source, file, stack)
        yield iter(cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=source))) if zipped else source)


def _with_progress(source: BinaryIO, file: str, stack: ExitStack) -> BinaryIO:
    """A bar on stderr while somebody is looking and rich is there to draw it."""
    if not sys.stderr.isatty():
        return source
    try:
        from rich.console import Console
        from rich.progress import wrap_file
    except ModuleNotFoundError:
        return source
    size = Path(file).stat().st_size
    return stack.enter_context(wrap_file(source, total=size, description="decode", console=Console(stderr=True), transient=True))


def _complain(message: str) -> int:
    with suppress(OSError):
        print(f"llm-observe decode: {plain(message)}", file=sys.stderr)
    return 2


def _silence_stdout() -> None:
    """Whoever read our output has gone: let the interpreter's last flush go nowhere, without a word."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
