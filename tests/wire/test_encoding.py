"""Content-encoding undone: cut anywhere, bounded, and tolerant of headers that lie."""

import contextlib
import gzip
import hashlib
import importlib
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from llm_observe.wire import _codecs
from llm_observe.wire.encoding import MAX_DECODED, Chain

TEXT = b'{"text": "' + b"hello " * 500 + b'"}'
NOISE = "".join(hashlib.sha256(n.to_bytes(2)).hexdigest() for n in range(600)).encode()  # does not pack to nothing
BOMBS = {"br": brotli.compress(bytes(64 << 20), quality=5), "zstd": zstandard.compress(bytes(200 << 20))}
RAW = zlib.compressobj(wbits=-zlib.MAX_WBITS)
RAW_DEFLATE = RAW.compress(TEXT) + RAW.flush()
SKIPPED = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"ours"
LIBRARIES = ["br by brotli", "br by brotlicffi", "zstd by compression.zstd", "zstd by backports.zstd", "zstd by zstandard"]


def packed(header: str, text: bytes) -> bytes:
    """*text* as that coding has it."""
    return {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}[header](text)


def unpacked(header: str, *chunks: bytes) -> bytes:
    """All chunks through a chain that has nothing to complain of."""
    chain = Chain(header)
    whole = b"".join(chain.pieces(chunks))
    assert None is chain.problem
    return whole


@contextlib.contextmanager
def only(monkeypatch, *names: str) -> Iterator[None]:
    """With no other optional libraries than these."""
    _codecs.brotli.cache_clear()
    _codecs.zstd.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(_codecs, "_BROTLI", tuple(name for name in names if name in _codecs._BROTLI))
        patch.setattr(_codecs, "_ZSTD", tuple(name for name in names if name in _codecs._ZSTD))
        yield
    _codecs.brotli.cache_clear()
    _codecs.zstd.cache_clear()


@pytest.fixture(params=LIBRARIES)
def coding(request, monkeypatch) -> Iterator[str]:
    """A coding, with one library for it that is installed."""
    header, _, library = request.param.partition(" by ")
    pytest.importorskip(library)
    with only(monkeypatch, library):
        yield header


@pytest.mark.parametrize(
    ("header", "data"),
    [
        pytest.param("gzip", gzip.compress(TEXT), id="gzip"),
        pytest.param("GZip ", gzip.compress(TEXT), id="in any case"),
        pytest.param("x-gzip", gzip.compress(TEXT), id="by its old name"),
        pytest.param("deflate", zlib.compress(TEXT), id="deflate"),
        pytest.param("deflate", RAW_DEFLATE, id="deflate without its header"),
        pytest.param("deflate, gzip", gzip.compress(zlib.compress(TEXT)), id="two layers"),
        pytest.param("br, zstd", zstandard.compress(brotli.compress(TEXT)), id="two newer layers"),
        pytest.param("identity, gzip", gzip.compress(TEXT), id="identity is none"),
        pytest.param("gzip", TEXT, id="the header says gzip, the bytes do not"),
        pytest.param("deflate", TEXT, id="the header says deflate, the bytes do not"),
        pytest.param("deflate", gzip.compress(TEXT), id="the header says deflate, the bytes say gzip"),
        pytest.param("br", TEXT, id="the header says br, the bytes do not"),
        pytest.param("zstd", TEXT, id="the header says zstd, the bytes do not"),
        pytest.param("gzip", gzip.compress(TEXT[:99]) + gzip.compress(TEXT[99:]), id="two members"),
        pytest.param("gzip", gzip.compress(TEXT) + b"\0" * 99, id="padding after the end"),
        pytest.param("gzip", gzip.compress(TEXT) + b"\x1f junk", id="junk after the end that begins like a member"),
        pytest.param("gzip", gzip.compress(TEXT)[:-8], id="the trailer is missing"),
    ],
)
def test_the_body_is_unpacked_however_it_arrives(header, data):
    """At once, or byte by byte."""
    assert TEXT == unpacked(header, data)
    assert TEXT == unpacked(header, *(data[i : i + 1] for i in range(len(data))))


@pytest.mark.parametrize("text", [TEXT, NOISE, b"{}", b""], ids=["long", "of many steps", "short", "empty"])
def test_each_library_unpacks(coding, text):
    """Whichever is installed, the text is the same."""
    data = packed(coding, text)

    assert text == unpacked(coding, data)
    assert text == unpacked(coding, *(data[i : i + 1] for i in range(len(data))))


def test_each_library_keeps_what_came_before_the_cut(coding):
    """A beginning of the text, and no complaint: the end is a matter of the format."""
    data = packed(coding, NOISE)
    for cut in range(0, len(data), 97):
        assert NOISE.startswith(unpacked(coding, data[:cut]))


def test_each_library_stops_at_a_bomb(coding):
    """Much nothing in a few bytes."""
    bomb, chain = BOMBS[coding], Chain(coding)
    start = time.thread_time()

    assert MAX_DECODED == len(b"".join(chain.pieces([bomb, bomb])))
    assert "response too long once unpacked: the rest left out" == chain.problem
    assert not chain.to_the_end
    assert time.thread_time() - start < 1


def test_no_library_lets_an_error_out(coding):
    """Damage is told."""
    data, chain = packed(coding, NOISE), Chain(coding)
    chain.pieces([data[:9] + b"\xff" * len(data), b"more"])

    assert chain.problem.startswith("response badly encoded: ")


def test_libraries_without_a_bound_are_fed_little_at_a_time(monkeypatch):
    """Brotli before 1.2 gives all that it can at once; the oldest knows no end either."""
    new, step = brotli.Decompressor, 16

    class Oldest:
        def __init__(self):
            self.decompress = new().process

    monkeypatch.setattr(brotli, "Decompressor", Oldest)
    with only(monkeypatch, "brotli"):
        assert TEXT == unpacked("br", brotli.compress(TEXT))
        assert step == _codecs.brotli().step
        assert MAX_DECODED == len(b"".join(Chain("br").pieces([BOMBS["br"]])))


def test_zstd_may_come_in_several_frames():
    """One after another, some of them to be skipped, and padding after the last."""
    frames = SKIPPED + zstandard.compress(TEXT[:99]) + SKIPPED + zstandard.compress(TEXT[99:])

    assert TEXT == unpacked("zstd", frames + b"\0padding")
    assert TEXT == unpacked("zstd", *(frames[i : i + 1] for i in range(len(frames))), b"\0padding")


def test_zstd_may_not_ask_for_a_large_window():
    """It would be allocated at once: 8 MiB is the most on the web."""
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    chain = Chain("zstd")
    chain.pieces([packer.compress(NOISE) + packer.flush()])

    assert "memory" in chain.problem


@given(st.sampled_from(["gzip", "deflate", "br", "zstd"]), st.data())
def test_a_cut_stream_gives_what_came(header, data):
    """A beginning of the text, and no complaint: the end is a matter of the format."""
    whole = packed(header, TEXT)
    cut = data.draw(st.integers(4, len(whole)))

    assert TEXT.startswith(unpacked(header, whole[:cut]))


@given(st.sampled_from(["gzip", "deflate", "br", "zstd", "br, gzip", "zstd, br"]), st.lists(st.binary(max_size=40), max_size=5))
def test_no_bytes_raise(header, chunks):
    """Whatever comes, there is a piece for each chunk and one for the rest."""
    assert len(chunks) + 1 == len(Chain(header).pieces(chunks))


@given(st.sampled_from(["gzip", "deflate", "br", "zstd"]), st.data())
def test_no_flipped_byte_raises(header, data):
    """A packed body with one byte turned into something else."""
    whole = bytearray(packed(header, NOISE[:900]))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))

    assert 2 == len(Chain(header).pieces([bytes(whole)]))


def test_a_single_byte_is_given_back():
    """Too short to be seen through."""
    assert b"{" == unpacked("gzip", b"{")


@pytest.mark.parametrize("header", ["gzip", "br", "zstd"])
def test_each_chunk_has_its_piece(header):
    """So that the time of a read is the time of what it held; one more holds what was left."""
    texts = [b"data: the first event\n\n", b"data: two\n\n", b"data: three\n\n"]
    if header == "gzip":
        packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
        chunks = [packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH) for text in texts]
    elif header == "br":
        packer = brotli.Compressor()
        chunks = [packer.process(text) + packer.flush() for text in texts]
    else:
        packer = zstandard.ZstdCompressor().compressobj()
        chunks = [packer.compress(text) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for text in texts]

    assert [*texts, b""] == Chain(header).pieces(chunks)


def test_a_bomb_is_stopped():
    """Two hundred MiB of nothing in two hundred KiB."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    chain = Chain("gzip")

    assert MAX_DECODED == len(b"".join(chain.pieces([bomb, bomb])))
    assert "response too long once unpacked: the rest left out" == chain.problem
    assert not chain.to_the_end


@pytest.mark.parametrize("member", [gzip.compress(b""), zstandard.compress(b"")], ids=["gzip", "zstd"])
def test_a_body_of_empty_members_is_left_soon(member):
    """Each costs a decompressor; and it is said that the rest was left out."""
    chain = Chain("gzip" if member.startswith(b"\x1f") else "zstd")
    start = time.thread_time()
    chain.pieces([member * 50_000])

    assert time.thread_time() - start < 1
    assert not chain.to_the_end


def test_a_server_may_pack_each_event_by_itself():
    """Hundreds of members are still a body."""
    assert TEXT * 500 == unpacked("gzip", gzip.compress(TEXT) * 500)


def test_damage_is_told_and_what_came_before_it_is_kept():
    """Nothing raises, and a body that came at once loses no more than a few KiB before the damage."""
    data = gzip.compress(NOISE)
    whole = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(data[:8192])
    chain = Chain("gzip")
    begun, later = chain.pieces([data[:9000] + b"\xff" * 60 + data[9060:]])

    assert begun.startswith(whole)
    assert b"" == later
    assert chain.problem.startswith("response badly encoded: ")


def test_an_encoding_we_do_not_read_is_named():
    """The header's own word, in reason."""
    chain = Chain("compress")

    assert [] == chain.pieces([b"\x1f\x9d"])
    assert "content-encoding compress is not read" == chain.problem
    assert chain
    assert not chain.to_the_end


@pytest.mark.parametrize("header", ["br", "zstd"])
def test_an_encoding_without_a_library_is_named(monkeypatch, header):
    """As one that is not known at all."""
    with only(monkeypatch):
        chain = Chain(header)

        assert [] == chain.pieces([b"\x0b\x02"])
        assert f"content-encoding {header} is not read" == chain.problem


def test_a_library_that_cannot_be_imported_is_none(monkeypatch):
    """Built for another Python, say: the next one is taken."""

    def broken(name):
        raise OSError(name)

    with only(monkeypatch, "brotli"):
        monkeypatch.setattr(importlib, "import_module", broken)

        assert None is _codecs.brotli()


def test_the_libraries_are_imported_when_they_are_needed():
    """Not before a body is packed that way."""
    code = """
import sys
from llm_observe.wire.encoding import Chain
Chain("gzip").pieces([b"{}"])
print(*sys.modules)
Chain("br, zstd").pieces([b"{}"])
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(set, map(str.split, done.stdout.splitlines()))

    assert not {"brotli", "zstandard", "brotlicffi", "backports.zstd"} & before
    assert "brotli" in after


def test_there_are_no_towers_of_layers():
    """A header may name a thousand; each would be undone in turn."""
    chain = Chain(", ".join(["gzip"] * 1000))

    assert [] == chain.pieces([b"\x1f\x8b"])
    assert "content-encoding of 1000 layers is not read" == chain.problem


def test_no_encoding_is_nothing_to_do():
    """Falsy."""
    assert not Chain("identity")
    assert not Chain("")
