"""Chunks in a row that are the same but for a piece of text, made into one.

Most of most Chat Completions streams is made of them: a token each, and around it two hundred bytes that are the same every time.
Where that is so, there are only strings to read, and one chunk with all of the text in it says what the many do. It costs a fifth of
reading each of them.
"""

import re
from collections.abc import Sequence
from operator import itemgetter
from typing import Literal

import msgspec

FEW = 8
"""For fewer it does not pay."""

_RIM = 4  # chunks behind a run that are something else: why the model stopped, what was used, the end
_TEXT = re.compile(rb'"(?:content|reasoning_content|reasoning|arguments)": ?("(?:[^"\\]++|\\.)++")')
_PADDING = re.compile(rb'"(?:obfuscation|p)": ?("[^"\\]*+")')  # OpenAI's and Mistral's, of any length
_PROBE = "?"


class _Function(msgspec.Struct, forbid_unknown_fields=True):
    arguments: str
    name: None = None


class _Fragment(msgspec.Struct, forbid_unknown_fields=True):
    """More of a tool call that was begun before: where one begins there is an id."""

    index: int
    function: _Function
    id: None = None
    type: Literal["function"] | None = None


class _Delta(msgspec.Struct, forbid_unknown_fields=True):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    role: Literal["assistant"] | None = None
    refusal: None = None
    tool_calls: tuple[_Fragment] | None = None
    function_call: None = None


class _Choice(msgspec.Struct, forbid_unknown_fields=True):
    index: int
    delta: _Delta
    finish_reason: None = None
    native_finish_reason: None = None  # OpenRouter
    logprobs: None = None
    content_filter_results: dict[str, dict[str, bool | str]] | None = None  # Azure


class _Chunk(msgspec.Struct, forbid_unknown_fields=True):
    """What may be made into one: nothing in it counts how often it is said, but the text. Names are the wire's."""

    choices: tuple[_Choice]
    id: str | None = None
    object: Literal["chat.completion.chunk"] | None = None
    created: int | None = None
    model: str | None = None
    provider: str | None = None  # OpenRouter
    service_tier: str | None = None
    system_fingerprint: str | None = None
    obfuscation: str | None = None
    p: str | None = None
    usage: None = None


_chunk = msgspec.json.Decoder(_Chunk).decode
_strings = msgspec.json.Decoder(str).decode_lines


def joined(events: Sequence[bytes]) -> tuple[bytes, int] | None:
    """The chunk that says what the first of *events* says and those behind it that are like it, and how many these are."""
    first, count = events[0], len(events)
    found = _TEXT.search(first)
    if found is None:
        return None
    begin, end = found.span(1)
    front, back = first[:begin], first[end:]
    if not _is_text(front + b'"?"' + back):
        return None
    padding = _PADDING.search(back)
    between, behind = (back[: padding.start(1)], back[padding.end(1) :]) if padding else (b"", back)
    while count >= FEW:
        last = events[count - 1]
        if last.startswith(front) and last.endswith(behind) and (texts := _texts(events[:count], front, between, behind)):
            return front + msgspec.json.encode("".join(texts)) + back, count
        count = count - 1 if len(events) - count < _RIM else count // 2
    return None


def _is_text(probe: bytes) -> bool:
    """Whether the probe is all that a chunk says, and says it where pieces are put together."""
    try:
        delta = _chunk(probe).choices[0].delta
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    said = [text for text in (delta.content, delta.reasoning_content, delta.reasoning) if text]
    if delta.tool_calls:
        said.append(delta.tool_calls[0].function.arguments)
    return said == [_PROBE]


def _texts(events: Sequence[bytes], front: bytes, between: bytes, back: bytes) -> list[str]:
    """The strings that *events* have between *front* and *back*, in front of what is *between* and another string. Nothing where one has anything else."""
    cut = itemgetter(slice(len(front), -len(back)))
    pieces = list(map(cut, events))
    if (back + b"\n" + front).join(pieces) != cut(b"\n".join(events)):
        return []
    rest = b"\n".join(pieces)
    if between:
        rest = b"\n".join(rest.rsplit(between))  # from the end it is a third faster
    try:
        strings = _strings(rest)
    except (msgspec.DecodeError, UnicodeError):
        return []
    if between:
        return strings[::2] if len(strings) == 2 * len(events) else []
    return strings if len(strings) == len(events) else []
