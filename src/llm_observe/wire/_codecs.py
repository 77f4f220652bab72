"""The decompressors: zlib's, and whichever of the optional ones is installed.

Clients ask for ``br`` and ``zstd`` only where they can undo them themselves, so that what they use is here as well: none of these is
a dependency of ours. They are imported when the first body needs them. All are seen through the eyes of zlib's objects.
"""

import importlib
import zlib
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any, Protocol

import msgspec

_GZIP = 16 + zlib.MAX_WBITS
_WINDOW_LOG = 23  # 8 MiB, the most that zstd may ask for on the web (RFC 9659); 31 are possible, and are allocated at once
_BROTLI = ("brotli", "brotlicffi")
_ZSTD = ("compression.zstd", "backports.zstd", "zstandard")
_STEP = 4096
_BUFFER = 64 * 1024  # brotlicffi makes one of the size of the limit, and wipes it, each time


class Member(Protocol):
    """One packed member, undone piece by piece."""

    @property
    def eof(self) -> bool:
        """Whether its end has come."""

    @property
    def unused_data(self) -> bytes:
        """What came behind its end."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """What *data* unpacks to. It may be more than *max_length* by what one step can unpack to; then no more may be fed."""


class Codec(msgspec.Struct, frozen=True):
    """How a coding is undone: what begins a member, and how many bytes may be fed at once, so that little is lost and memory is bounded."""

    member: Callable[[], Member]
    step: int = _STEP


GZIP = Codec(lambda: zlib.decompressobj(_GZIP))
ZLIB = Codec(zlib.decompressobj)
RAW_DEFLATE = Codec(lambda: zlib.decompressobj(-zlib.MAX_WBITS))


@lru_cache(maxsize=1)
def brotli() -> Codec | None:
    """Brotli's, where a library for it is installed."""
    library = _installed(_BROTLI, "Decompressor")
    if library is None:
        return None
    if hasattr(library.Decompressor, "can_accept_more_data"):
        return Codec(lambda: _Brotli(library.Decompressor()))
    # Before 1.2 the libraries know no bound: twelve bytes may unpack to 16 MiB.
    return Codec(lambda: _BoundlessBrotli(library.Decompressor()), step=16)


@lru_cache(maxsize=1)
def zstd() -> Codec | None:
    """Zstandard's, where a library for it is installed: Python's own from 3.14 on."""
    library = _installed(_ZSTD, "ZstdDecompressor")
    if library is None:
        return None
    if hasattr(library, "DecompressionParameter"):
        options = {library.DecompressionParameter.window_log_max: _WINDOW_LOG}
        return Codec(lambda: library.ZstdDecompressor(options=options))
    # `zstandard` knows no bound: four bytes may unpack to 128 KiB.
    return Codec(lambda: _Zstandard(library.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG).decompressobj()), step=256)


def _installed(names: tuple[str, ...], what: str) -> Any:
    """The first of these modules that is there and has *what*, or nothing."""
    return next((module for module in map(_imported, names) if hasattr(module, what)), None)


def _imported(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except Exception:  # absent, or built for another Python: whatever the import raises, it is not there for us
        return None


class _Brotli:
    """Brotli has one member, and refuses what comes behind its end."""

    unused_data = b""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def eof(self) -> bool:
        finished: bool = self._inner.is_finished()
        return finished

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        found: list[bytes] = []
        while True:
            piece = self._inner.process(data, output_buffer_limit=min(max_length, _BUFFER))
            found.append(piece)
            max_length -= len(piece)
            if max_length <= 0 or self._inner.can_accept_more_data():
                return b"".join(found)
            data = b""


class _BoundlessBrotli:
    """The same of older libraries, one of which knows no end either."""

    unused_data = b""

    def __init__(self, inner: Any) -> None:
        self._undo: Callable[[bytes], bytes] = getattr(inner, "process", None) or inner.decompress
        self._finished: Callable[[], bool] = getattr(inner, "is_finished", lambda: False)

    @property
    def eof(self) -> bool:
        return self._finished()

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._undo(data)


class _Zstandard:
    """What `zstandard` has, which takes no bound."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def eof(self) -> bool:
        ended: bool = self._inner.eof
        return ended

    @property
    def unused_data(self) -> bytes:
        unused: bytes = self._inner.unused_data
        return unused

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        unpacked: bytes = self._inner.decompress(data)
        return unpacked
