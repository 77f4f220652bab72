"""Content-encoding undone, piece by piece and bounded.

A stream that was cut has no trailer, some recorders strip the encoding and leave the header, and a small body can unpack to
gigabytes: all three are ordinary here. Nothing raises; :attr:`Decoder.problem` says what went wrong, and the pieces before
it are kept.
"""

import zlib
from collections.abc import Iterable

MAX_DECODED = 32 * 1024 * 1024
"""Bytes that one body may unpack to. Far above any answer of a model, far below what hurts."""

_MAX_MEMBERS = 64  # each further gzip member copies what is left of the piece: a body of empty ones would be quadratic
_GZIP = 16 + zlib.MAX_WBITS
_IDENTITY = frozenset({"", "identity"})
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})
_MAX_LAYERS = 4


class Decoder:
    """Undoes one layer of gzip or deflate."""

    def __init__(self, *, gzip: bool, room: int = MAX_DECODED) -> None:
        self.problem: str | None = None
        self.full = False  # whether the rest was left out for want of room
        self._gzip, self._room = gzip, room
        self._head: bytes | None = b""  # the first bytes, until there are enough to see what they are
        self._inflate = zlib.decompressobj(_GZIP)
        self._plain = False
        self._members = 1

    def feed(self, data: bytes) -> bytes:
        """What *data* unpacks to, as far as it can be told yet."""
        if self._head is not None:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return b""
            self._head = None
            self._begin(data)
        if self.problem is not None:
            return b""
        return data if self._plain else self._unpack(data)

    def close(self) -> bytes:
        """What was too short to be seen through."""
        head, self._head = self._head, None
        return head or b""

    def _begin(self, data: bytes) -> None:
        """Look at the bytes, not at the header: they cannot be wrong about what they are."""
        if data.startswith(b"\x1f\x8b"):
            return
        if self._gzip:
            self._plain = True
        elif data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0:
            self._inflate = zlib.decompressobj()
        elif data[:1] in b"{[:" or data.startswith((b"da", b"ev")):
            self._plain = True
        else:
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)  # "deflate" without its header, as some servers send it

    def _unpack(self, data: bytes) -> bytes:
        found = []
        try:
            while data and self._members <= _MAX_MEMBERS:
                piece = self._inflate.decompress(data, self._room)
                found.append(piece)
                self._room -= len(piece)
                if self._room <= 0:
                    self.full = True
                    self.problem = "response too long once unpacked: the rest left out"
                    break
                data = self._inflate.unused_data
                if data:
                    self._members += 1 if data.startswith(b"\x1f") else _MAX_MEMBERS  # anything else is padding
                    self._inflate = zlib.decompressobj(_GZIP)
        except zlib.error as error:
            if self._members == 1:
                self.problem = f"response badly encoded: {error}"
            self._members = _MAX_MEMBERS + 1
        return b"".join(found)


class Chain:
    """Undoes the layers of a content-encoding header, the last one applied first. Falsy where there is nothing to undo."""

    def __init__(self, header: str) -> None:
        names = [name.strip() for name in header.lower().split(",")]
        self._unknown = next((name for name in names if name not in _KNOWN and name not in _IDENTITY), None)
        if len(names) > _MAX_LAYERS:
            self._unknown = f"of {len(names)} layers"
        self._layers = [Decoder(gzip="gzip" in name) for name in reversed(names) if name in _KNOWN]

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
