"""How it is known that a tool exported what was said: each call's prompt begins and ends with its own id, and so does its answer's end."""

import re
import zlib
from collections.abc import Iterable

MARK = re.compile(rb"(head|tail|said)-([0-9a-f]{12})")


def prompt(call: str, size: int) -> str:
    """A prompt of about *size* bytes that says *call*, at its beginning and at its end."""
    return f"head-{call} " + "lorem ipsum " * ((size - 40) // 12) + f"tail-{call}"


class Found:
    """The ids that were seen, by the place where they stood."""

    def __init__(self) -> None:
        self.seen: dict[bytes, set[bytes]] = {b"head": set(), b"tail": set(), b"said": set()}

    def read(self, pieces: Iterable[bytes]) -> "Found":
        for piece in pieces:
            for place, call in MARK.findall(piece):
                self.seen[place].add(call)
        return self

    def counts(self) -> dict[str, int]:
        """Calls whose prompt is there, whose prompt is there to its end, and whose answer is."""
        heads, tails, said = (len(self.seen[place]) for place in (b"head", b"tail", b"said"))
        return {"prompts": heads, "whole_prompts": tails, "answers": said}


def unpacked(body: bytes, encoding: bytes) -> bytes:
    """A *body* as it was before its content *encoding*."""
    match encoding:
        case b"gzip" | b"deflate":
            return zlib.decompress(body, zlib.MAX_WBITS | 32)
        case b"" | b"identity":
            return body
        case _:
            raise ValueError(f"content-encoding {encoding!r}: the sink cannot read what it was sent")
