"""A record as one line to read: when, how it went, how long, what, and a glimpse of what was said.

Every text on it goes through :mod:`._plain`: the only control codes are our own colours.
"""

import contextlib
from collections.abc import Iterable
from datetime import timedelta

from llm_observe.exporters._plain import excerpt, plain
from llm_observe.records import AnyRecord, Call, Message, Refusal, Request, Step, Text, ToolCall

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"
_STATUS = {"ok": GREEN, "error": RED, "cancelled": YELLOW, "truncated": YELLOW}
_FIELD, _SAID = 80, 60  # characters of a name or a route, and of what was said

Piece = tuple[str, str]  # a colour, or "", and a text


def line(record: AnyRecord, colour: bool = False) -> str:
    """*record* as one line without a line end, with colour codes (SGR) if *colour*.

    The time is when it finished, in the machine's time zone: the order of lines is the order of their times.
    """
    pieces = [(DIM, _finished(record)), (_STATUS.get(record.status, ""), f"{plain(record.status):<9}"), ("", _seconds(record.duration, 8))]
    match record:
        case Call():
            pieces += _call(record)
        case Request():
            pieces += _request(record)
        case Step():
            pieces += [("", f"step {_short(record.name)}"), *_error(record)]
            pieces = [(style if style == RED else DIM, text) for style, text in pieces]
    pieces += _belongs_to(record)
    if isinstance(record, Call):
        pieces.append(("", _said(record)))
    return " ".join(f"\x1b[{style}m{text}\x1b[0m" if colour and style else text for style, text in pieces if text)


def _call(call: Call) -> Iterable[Piece]:
    yield BOLD, _short(call.name)
    yield CYAN, _short(call.provider.name)
    if call.response.time_to_first_chunk is not None:
        yield "", f"first {_seconds(call.response.time_to_first_chunk)}"
    usage = call.usage
    if usage.input_tokens is not None or usage.output_tokens is not None:
        cached = f" ({_count(usage.cache_read.input_tokens)} cached)" if usage.cache_read and usage.cache_read.input_tokens else ""
        yield "", f"in {_count(usage.input_tokens)}{cached} out {_count(usage.output_tokens)}"
    if len(call.attempts) > 1:
        yield YELLOW, f"{len(call.attempts)} attempts"
    yield from _error(call)


def _request(request: Request) -> Iterable[Piece]:
    code = request.http.response.status_code if request.http and request.http.response else None
    yield "", _short(request.name) + (f" {plain(code)}" if code is not None else "")
    if request.disconnected:
        yield YELLOW, "client left"
    calls = request.calls
    if calls.count:
        yield "", f"{calls.count} call{'s' * (calls.count != 1)} in {_count(calls.input_tokens)} out {_count(calls.output_tokens)}"
    if calls.retries:
        yield YELLOW, f"{calls.retries} retr{'ies' if calls.retries != 1 else 'y'}"
    if calls.errors:
        yield RED, f"{calls.errors} failed"
    yield from _error(request)


def _error(record: AnyRecord) -> Iterable[Piece]:
    if record.error is not None:
        message = f": {excerpt(record.error.message, _SAID)}" if record.error.message else ""
        yield RED, _short(record.error.type) + message


def _belongs_to(record: AnyRecord) -> Iterable[Piece]:
    scope = record.scope
    if scope is not None and not isinstance(record, Request):
        yield DIM, _short(" ".join(text for text in (scope.method, scope.route or scope.name) if text))
    if record.request_id:
        yield DIM, f"[{_short(record.request_id)}]"


def _said(call: Call) -> str:
    """The last thing the user said, and the answer."""
    asked = next((_glimpse(m) for m in reversed(call.input.messages) if m.role == "user"), "")
    answer = _glimpse(call.output.messages[0]) if call.output.messages else ""
    return f"{asked} → {answer}".strip() if answer else asked


def _glimpse(message: Message) -> str:
    parts = reversed(message.parts) if message.role == "user" else message.parts  # what a user asks stands behind what he pastes
    for part in parts:
        match part:
            case Text() | Refusal() if part.content.strip():
                return f'"{excerpt(part.content, _SAID)}"'
            case ToolCall():
                return f"{_short(part.name)}()"
            case _:
                continue
    return ""


def _short(text: str) -> str:
    return excerpt(text, _FIELD)


def _count(tokens: int | None) -> str:
    if tokens is None:
        return "?"
    return str(tokens) if tokens < 10_000 else f"{tokens / 1000:.0f}k"


def _seconds(duration: float, width: int = 0) -> str:
    return (f"{duration * 1000:.0f}ms" if 0 <= duration < 0.1 else f"{duration:.2f}s").rjust(width)


def _finished(record: AnyRecord) -> str:
    """When it ended, as far as the calendar goes."""
    instant = record.started_at
    with contextlib.suppress(OverflowError, ValueError, OSError):
        instant = (instant + timedelta(seconds=record.duration)).astimezone()
    return f"{instant:%H:%M:%S}.{instant.microsecond // 1000:03d}"
