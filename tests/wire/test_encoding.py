"""Content-encoding undone: cut anywhere, bounded, and tolerant of headers that lie."""

import gzip
import hashlib
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe.wire.encoding import MAX_DECODED, Chain

TEXT = b'{"text": "' + b"hello " * 500 + b'"}'
RAW = zlib.compressobj(wbits=-zlib.MAX_WBITS)
RAW_DEFLATE = RAW.compress(TEXT) + RAW.flush()


def unpacked(header: str, *chunks: bytes) -> bytes:
    """All chunks through a chain that has nothing to complain of."""
    chain = Chain(header)
    whole = b"".join(chain.pieces(chunks))
    assert None is chain.problem
    return whole


@pytest.mark.parametrize(
    ("header", "data"),
    [
        pytest.param("gzip", gzip.compress(TEXT), id="gzip"),
        pytest.param("GZip ", gzip.compress(TEXT), id="in any case"),
        pytest.param("x-gzip", gzip.compress(TEXT), id="by its old name"),
        pytest.param("deflate", zlib.compress(TEXT), id="deflate"),
        pytest.param("deflate", RAW_DEFLATE, id="deflate without its header"),
        pytest.param("deflate, gzip", gzip.compress(zlib.compress(TEXT)), id="two layers"),
        pytest.param("identity, gzip", gzip.compress(TEXT), id="identity is none"),
        pytest.param("gzip", TEXT, id="the header says gzip, the bytes do not"),
        pytest.param("deflate", TEXT, id="the header says deflate, the bytes do not"),
        pytest.param("deflate", gzip.compress(TEXT), id="the header says deflate, the bytes say gzip"),
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


@given(st.integers(0, len(gzip.compress(TEXT))))
def test_a_cut_stream_gives_what_came(cut):
    """A beginning of the text, and no complaint: the end is a matter of the format."""
    assert TEXT.startswith(unpacked("gzip", gzip.compress(TEXT)[:cut])) or cut == 1


def test_a_single_byte_is_given_back():
    """Too short to be seen through."""
    assert b"{" == unpacked("gzip", b"{")


def test_each_chunk_has_its_piece():
    """So that the time of a read is the time of what it held; one more holds what was left."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    chunks = [packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH) for text in (b"one", b"two", b"three")]

    assert [b"one", b"two", b"three", b""] == Chain("gzip").pieces(chunks)


def test_a_bomb_is_stopped():
    """Two hundred MiB of nothing in two hundred KiB."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    chain = Chain("gzip")

    assert MAX_DECODED == len(b"".join(chain.pieces([bomb, bomb])))
    assert "response too long once unpacked: the rest left out" == chain.problem
    assert not chain.to_the_end


def test_a_body_of_empty_members_is_not_quadratic():
    """Each member would copy what is left of the body."""
    start = time.thread_time()
    Chain("gzip").pieces([gzip.compress(b"") * 50_000])

    assert time.thread_time() - start < 1


def test_damage_is_told_and_what_came_before_it_is_kept():
    """Nothing raises."""
    noise = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(200))
    data = gzip.compress(noise)
    chain = Chain("gzip")
    begun, *later = chain.pieces([data[:3000], b"\xff" * 60, data[3000:]])

    assert noise.startswith(begun)
    assert b"" != begun
    assert noise != begun + b"".join(later)
    assert chain.problem.startswith("response badly encoded: ")


def test_an_encoding_we_do_not_read_is_named():
    """The header's own word, in reason."""
    chain = Chain("br")

    assert [] == chain.pieces([b"\x0b\x02"])
    assert "content-encoding br is not read" == chain.problem
    assert chain
    assert not chain.to_the_end


def test_there_are_no_towers_of_layers():
    """A header may name a thousand; each would be undone in turn."""
    chain = Chain(", ".join(["gzip"] * 1000))

    assert [] == chain.pieces([b"\x1f\x8b"])
    assert "content-encoding of 1000 layers is not read" == chain.problem


def test_no_encoding_is_nothing_to_do():
    """Falsy."""
    assert not Chain("identity")
    assert not Chain("")
