"""Content-encoding undone, piece by piece and bounded.

A stream that was cut has no trailer, some recorders strip the encoding and leave the header, and a small body can unpack to
gigabytes: all three are ordinary here. Nothing raises; :attr:`Decoder.problem` says what went wrong, and the pieces before
it are kept.
"""

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from llm_observe.wire._codecs import GZIP, RAW_DEFLATE, ZLIB, Codec, Member, brotli, zstd

MAX_DECODED = 32 * 1024 * 1024
"""Bytes that one body may unpack to. Far above any answer of a model, far below what hurts."""

_MAX_MEMBERS = 4096  # some servers pack each event by itself; a body of more is one of empty members
_MAX_LAYERS = 4
_IDENTITY = frozenset({"", "identity"})
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")  # of a frame, or of one that is to be skipped
_TEXT = re.compile(rb"\s*(?:[\[{<:]|data|event|id:|retry)[\x20-\x7e\s]*")


class Coding(msgspec.Struct, frozen=True, kw_only=True):
    """A content-encoding. The bytes themselves say whether they are packed: they cannot be wrong about what they are."""

    head: int  # bytes it takes to see it
    codec: Callable[[bytes], Codec | None]  # by the first bytes; None where they are as they should be already
    again: Callable[[bytes], bool] = lambda _: False  # whether what comes behind a member's end is a further one
    readable: Callable[[], bool] = lambda: True  # whether there is a library for it


def _deflate(head: bytes) -> Codec | None:
    if head.startswith(_GZIP_MAGIC):
        return GZIP
    if len(head) > 1 and head[0] & 0x0F == 8 and (head[0] << 8 | head[1]) % 31 == 0:
        return ZLIB
    if len(head) < 2 or head[:1] in b"{[:" or head.startswith((b"da", b"ev")):
        return None
    return RAW_DEFLATE  # without its header, as some servers send it


_GZIP_CODING = Coding(
    head=2, codec=lambda head: GZIP if head.startswith(_GZIP_MAGIC) else None, again=lambda data: data.startswith(b"\x1f")
)
_CODINGS = {
    "gzip": _GZIP_CODING,
    "x-gzip": _GZIP_CODING,
    "deflate": Coding(head=2, codec=_deflate),
    "br": Coding(  # it has no mark: nothing but text begins with sixteen bytes of it
        head=16, codec=lambda head: None if _TEXT.fullmatch(head[:16]) else brotli(), readable=lambda: brotli() is not None
    ),
    "zstd": Coding(
        head=4,
        codec=lambda head: zstd() if _ZSTD_MAGIC.match(head) else None,
        again=lambda data: data[0] == 0x28 or 0x50 <= data[0] < 0x60,
        readable=lambda: zstd() is not None,
    ),
}


class Decoder:
    """Undoes one layer."""

    def __init__(self, coding: Coding, room: int = MAX_DECODED) -> None:
        self.problem: str | None = None
        self.full = False  # whether the rest was left out for want of room
        self._coding, self._room = coding, room
        self._head: bytes | None = b""  # the first bytes, until there are enough to see what they are
        self._codec: Codec | None = None  # None: there is nothing to undo
        self._member: Member
        self._members = 1
        self._over = False  # whatever comes now is not looked at

    def feed(self, data: bytes) -> bytes:
        """What *data* unpacks to, as far as it can be told yet."""
        if self._head is None:
            return self._unpacked(data)
        self._head += data
        return self._begun() if len(self._head) >= self._coding.head else b""

    def close(self) -> bytes:
        """What was too short to be seen through."""
        return self._begun() if self._head else b""

    def _begun(self) -> bytes:
        head, self._head = self._head or b"", None
        self._codec = self._coding.codec(head)
        if self._codec is not None:
            self._member = self._codec.member()
        return self._unpacked(head)

    def _unpacked(self, data: bytes) -> bytes:
        codec = self._codec
        if codec is None:
            return data
        found: list[bytes] = []
        try:
            for start in range(0, len(data), codec.step):
                if self._over:
                    break
                found += self._pieces(data[start : start + codec.step], codec)
        except Exception as error:  # each library has a class of its own
            self._over = True
            if self._members == 1:  # else it is padding that begins like a member
                self.problem = f"response badly encoded: {error}"
        return b"".join(found)

    def _pieces(self, data: bytes, codec: Codec) -> Iterator[bytes]:
        """What one step of *data* unpacks to, member by member."""
        while data and not self._over:
            if self._member.eof:
                if not self._coding.again(data):
                    self._over = True  # padding
                elif self._members == _MAX_MEMBERS:
                    self._fill()
                else:
                    self._members += 1
                    self._member = codec.member()
                continue
            piece = self._member.decompress(data, self._room)[: self._room]
            data = self._member.unused_data
            yield piece
            self._room -= len(piece)
            if self._room <= 0:
                self._fill()

    def _fill(self) -> None:
        self._over = self.full = True
        self.problem = "response too long once unpacked: the rest left out"


class Chain:
    """Undoes the layers of a content-encoding header, the last one applied first. Falsy where there is nothing to undo."""

    def __init__(self, header: str) -> None:
        names = [name for name in map(str.strip, header.lower().split(",")) if name not in _IDENTITY]
        self._unknown = next((name for name in names if name not in _CODINGS), None)
        if len(names) > _MAX_LAYERS:
            self._unknown = f"of {len(names)} layers"
        if self._unknown is None:
            self._unknown = next((name for name in names if not _CODINGS[name].readable()), None)
        self._layers = [Decoder(_CODINGS[name]) for name in reversed(names)] if self._unknown is None else []

    def __bool__(self) -> bool:
        return bool(self._layers or self._unknown)

    @property
    def to_the_end(self) -> bool:
        """Whether all that came was looked at: we know the encoding and had room."""
        return self._unknown is None and not any(layer.full for layer in self._layers)

    @property
    def problem(self) -> str | None:
        """What kept the body from being unpacked whole."""
        if self._unknown is not None:
            return f"content-encoding {self._unknown[:20]} is not read"
        return next((layer.problem for layer in self._layers if layer.problem), None)

    def pieces(self, chunks: Iterable[bytes]) -> list[bytes]:
        """What each chunk unpacks to, one piece a chunk, and one more for what was held back."""
        if self._unknown is not None:
            return []
        found = [self._through(chunk) for chunk in chunks]
        found.append(self._flush())
        return found

    def _through(self, data: bytes) -> bytes:
        for layer in self._layers:
            data = layer.feed(data)
        return data

    def _flush(self) -> bytes:
        data = b""
        for layer in self._layers:
            data = layer.feed(data) + layer.close()
        return data
