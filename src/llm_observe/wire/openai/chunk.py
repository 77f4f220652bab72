"""The chunk that nearly all of most Chat Completions streams are made of, read by shape instead of by inspection.

Such a chunk adds text or a thought to one choice and says nothing else. Reading it straight into its shape costs half of what a
dictionary does, and leaves nothing to look for. Whatever has one member more, or one of another type, is not this chunk.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec


class _Delta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    role: Literal["assistant"] | None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None


class _Choice(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    index: int
    delta: _Delta
    finish_reason: None = None
    native_finish_reason: None = None  # OpenRouter
    logprobs: None = None
    content_filter_results: dict[str, dict[str, bool | str]] | None = None  # Azure


class Chunk(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One of a stream's many: ``choices`` has one. Names are the wire's."""

    choices: tuple[_Choice]
    id: str | None = None
    object: Literal["chat.completion.chunk"] | None = None
    created: int | None = None
    model: str | None = None
    provider: str | None = None  # OpenRouter
    service_tier: str | None = None
    system_fingerprint: str | None = None
    obfuscation: str | None = None
    p: str | None = None  # Mistral's padding
    usage: None = None


_decoder = msgspec.json.Decoder(Chunk)
_decode, _decode_lines = _decoder.decode, _decoder.decode_lines


def usual(event: bytes) -> Chunk | None:
    """The chunk in *event*, if it is one of the many."""
    try:
        return _decode(event)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def all_usual(events: Sequence[bytes]) -> list[Chunk]:
    """The chunks in *events*, if each is one of the many; else none. It costs a third of asking one by one."""
    try:
        chunks = _decode_lines(b"\n".join(events))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []
    return chunks if len(chunks) == len(events) else []
