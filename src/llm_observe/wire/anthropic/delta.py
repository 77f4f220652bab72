"""The event that nearly all of most streams are made of, read by shape instead of by inspection: a piece of one block and nothing else."""

from typing import ClassVar, Literal

import msgspec


class _Text(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag="text_delta"):
    text: str
    kind: ClassVar = "text_delta"


class _Thinking(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag="thinking_delta"):
    text: str = msgspec.field(name="thinking")
    kind: ClassVar = "thinking_delta"


class _Arguments(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag="input_json_delta"):
    text: str = msgspec.field(name="partial_json")
    kind: ClassVar = "input_json_delta"


class Delta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One of a stream's many. Names are the wire's."""

    type: Literal["content_block_delta"]
    index: int
    delta: _Text | _Thinking | _Arguments
    p: str | None = None  # padding


_decode = msgspec.json.Decoder(Delta).decode


def usual(event: bytes) -> Delta | None:
    """The piece in *event*, if it is one of the many."""
    try:
        return _decode(event)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
