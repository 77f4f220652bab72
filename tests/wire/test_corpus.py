"""Recorded traffic of real providers, where it is at hand: beside the repository, or where CORPUS_OF_EXCHANGES says.

Without it these tests are skipped, but not in CI.
"""

import collections
import copy
import gzip
import importlib.util
import json
import os
import random
import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_observe.cli.decode import Recorded, exchange_of
from llm_observe.records import Decoded, Exchange, Text
from llm_observe.wire import FORMATS, decode

CORPUS = Path(os.environ.get("CORPUS_OF_EXCHANGES") or Path(__file__).resolve().parents[3] / "shared" / "corpus")
NAMES = sorted({name for form in FORMATS for name in (form.name, *form.dialects.values())})
LEAST, PERFECT = 99.8, 98.0  # percent of fields, and of exchanges with every field right

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir() and "CI" not in os.environ, reason=f"no corpus at {CORPUS}; CORPUS_OF_EXCHANGES may name another place"
)


@pytest.fixture(scope="module")
def scorer():
    """The fields of a record that are compared, and how: the corpus's own."""
    spec = importlib.util.spec_from_file_location("score_corpus", CORPUS.parent / "tools" / "score_corpus.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def expected() -> dict[str, dict]:
    """What each exchange should give, by its id."""
    with (CORPUS / "expected.jsonl").open("rb") as lines:
        return {row["id"]: row for row in map(json.loads, lines)}


@pytest.fixture(scope="module")
def recorded() -> list[Recorded]:
    """All exchanges."""
    with gzip.open(CORPUS / "exchanges.jsonl.gz") as lines:
        return [msgspec.json.decode(line, type=Recorded) for line in lines]


@pytest.fixture(scope="module")
def known(expected) -> dict[str, str]:
    """The format of each exchange whose format is one of ours, by its id."""
    return {name: row["expected"]["api"] for name, row in expected.items() if row["expected"]["api"] in NAMES}


@pytest.fixture(scope="module")
def streams(recorded, known) -> list[Exchange]:
    """All streams, their content-encoding still on."""
    return [exchange_of(row) for row in recorded if row.response_is_stream and row.id in known]


def sound(decoded: object) -> object:
    """What the sink can encode."""
    assert msgspec.json.encode(decoded)
    return decoded


def cut(exchange: Exchange, chunks: list[bytes], **changes: object) -> Exchange:
    """The same, its body in these reads."""
    return msgspec.structs.replace(exchange, chunks=chunks, **changes)


def text_of(decoded: Decoded) -> str:
    """What the model said."""
    return "".join(part.content for message in decoded.output.messages for part in message.parts if isinstance(part, Text))


def pieces(body: bytes, dice: random.Random, most: int) -> list[bytes]:
    """*body* in up to so many pieces, some of them empty."""
    edges = [0, *sorted(dice.randrange(len(body) + 1) for _ in range(dice.randint(1, most))), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


def test_every_recording_decodes(recorded):
    """To a Decoded or an Unknown, without raising and without a fault of ours inside."""
    for row in recorded:
        decoded = sound(decode(exchange_of(row)))
        assert "not read" not in ((decoded.wire.reason if isinstance(decoded, Decoded) else decoded.reason) or ""), row.id


def test_every_format_of_the_recordings_is_one_of_ours(expected):
    """But for what is no inference, or of a kind that nobody reads."""
    assert set() == {row["expected"]["api"] for row in expected.values() if not row["expected"]["api"].startswith("other:")} - set(NAMES)


def test_fields_are_right(recorded, expected, known, scorer):
    """Against expectations derived by others; what has more than one defensible value is not scored."""
    right, perfect = 0, 0
    wrong: collections.Counter[str] = collections.Counter()
    for row in recorded:
        if row.id not in known:
            continue
        want, ambiguous = expected[row.id]["expected"], expected[row.id].get("ambiguous") or {}
        have = scorer.flatten(json.loads(msgspec.json.encode(decode(exchange_of(row)))))
        scored = [field for field in scorer.FIELDS if field in want and field not in ambiguous]
        missed = [field for field in scored if not scorer.same(field, have[field], want[field])]
        right, perfect = right + len(scored) - len(missed), perfect + (not missed)
        wrong.update(f"{row.id} {known[row.id]} {field}" for field in missed)

    assert len(known) > 2000
    assert 100 * right / (right + wrong.total()) >= LEAST, dict(wrong)
    assert 100 * perfect / len(known) >= PERFECT, dict(wrong)


def test_streams_decode_the_same_however_they_are_cut(streams):
    """Four ways to cut each, one of them fine."""
    dice = random.Random(1)
    for exchange in streams:
        whole = decode(exchange)
        for most in (1, 5, 60, 300):
            decoded = decode(cut(exchange, pieces(exchange.chunks[0], dice, most)))
            assert whole == msgspec.structs.replace(decoded, wire=msgspec.structs.replace(decoded.wire, chunk_count=1))


@settings(max_examples=300)
@given(which=st.integers(0, 10**9), cuts=st.lists(st.floats(0, 1), max_size=40))
def test_any_cut_of_any_stream_gives_the_same(streams, which, cuts):
    """Wherever it falls: through events, frames, lines, characters and packed blocks."""
    exchange = streams[which % len(streams)]
    body = exchange.chunks[0]
    edges = [0, *sorted(int(part * len(body)) for part in cuts), len(body)]
    decoded = decode(cut(exchange, [body[a:b] for a, b in pairwise(edges)]))

    assert decode(exchange) == msgspec.structs.replace(decoded, wire=msgspec.structs.replace(decoded.wire, chunk_count=1))


def test_chunks_have_their_times_however_they_are_cut(streams):
    """Within the reads, in their order; the first content is not before the first chunk."""
    dice = random.Random(4)
    for exchange in streams:
        reads = pieces(exchange.chunks[0], dice, 40)
        times = [1_000_000 * (n + 1) for n in range(len(reads))]
        decoded = decode(cut(exchange, reads, chunk_times=times))
        first, content, gaps = decoded.first_chunk_at, decoded.first_content_at, decoded.response.chunk_gaps
        assert first in times
        assert content is None or times[0] <= first <= content <= times[-1]
        assert all(gap >= 0 for gap in gaps)
        assert first + sum(gaps) * 1000 <= times[-1]
        assert (content is None) <= (not text_of(decoded)), exchange.path


def test_truncated_streams_decode(streams):
    """At any place: what comes out is a beginning of the text, and said to be no more unless the end had come."""
    dice = random.Random(2)
    for exchange in streams:
        body, whole = exchange.chunks[0], decode(exchange)
        for _ in range(10):
            decoded = sound(decode(cut(exchange, [body[: dice.randrange(len(body))]])))
            assert decoded.status in {"truncated", "ok", "error"}
            assert (decoded.wire.complete is False) == (decoded.status == "truncated") or decoded.error
            if len(whole.output.messages) < 2:  # several choices grow side by side
                assert text_of(whole).startswith(text_of(decoded))


def test_no_first_half_of_a_stream_is_taken_for_the_whole(streams):
    """Unless all that it says had come, reasons too. (Writer's completions end without either a mark or a reason.)"""
    dice = random.Random(6)
    for exchange in streams:
        whole = decode(exchange)
        if whole.status == "ok" and whole.wire.format != "writer.completions":
            for _ in range(5):
                half = decode(cut(exchange, [exchange.chunks[0][: dice.randrange(len(exchange.chunks[0]) // 2)]]))
                came = (half.output, half.wire.finish_reasons) == (whole.output, whole.wire.finish_reasons)
                assert came or "truncated" == half.status, (whole.wire.format, half.wire)


def test_damaged_streams_decode(streams):
    """A few bytes turned into something else."""
    dice = random.Random(3)
    for exchange in streams:
        for _ in range(10):
            body = bytearray(exchange.chunks[0])
            for _ in range(dice.choice([1, 3])):
                body[dice.randrange(len(body))] = dice.randrange(256)
            sound(decode(cut(exchange, [bytes(body)])))


BOMB = json.loads("[" * 150 + "]" * 150)
HOSTILE = [
    None,
    True,
    -1,
    1e300,
    10**25,
    "",
    "x",
    "data:image/png;base64,%%%",
    "\u2028",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"type": "?"},
    {"": None},
    BOMB,
]


def mutated(document: object, dice: random.Random) -> object:
    """*document* with one of its values turned into something that nobody expects there, or doubled, or taken away."""
    places = [(document, key) for key in keys_of(document)]
    for holder, key in places:  # grows as it is walked
        places += [(holder[key], inner) for inner in keys_of(holder[key])]
        if len(places) > 400:
            break
    if not places:
        return document
    holder, key = dice.choice(places)
    what = dice.randrange(4)
    if what == 0 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif what == 1:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(dice.choice(HOSTILE))
    return document


def keys_of(value: object) -> list:
    """The keys or indices of what holds others."""
    return list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []


def test_anything_in_the_place_of_anything_decodes(recorded, known):
    """Each plain exchange, some of its values turned into hostile ones: our readers stand it, and none hides a fault of its own."""
    dice = random.Random(5)
    tried = 0
    for row in recorded:
        if row.id not in known or row.response_is_stream or len(row.request.body_b64) + len(row.response.body_b64) > 60_000:
            continue
        exchange = exchange_of(row)
        try:
            asked, answered = json.loads(row.request.body_b64 or b"null"), json.loads(row.response.body_b64 or b"null")
        except ValueError:
            continue
        for _ in range(3):
            asked, answered = mutated(asked, dice), mutated(answered, dice)
            decoded = sound(decode(cut(exchange, [json.dumps(answered).encode()], request_body=json.dumps(asked).encode())))
            reason = decoded.wire.reason if isinstance(decoded, Decoded) else decoded.reason
            assert "not read" not in (reason or ""), (row.id, reason)
            tried += 1

    assert tried > 3000


def units(body: bytes) -> tuple[list[bytes], bytes]:
    """The frames, events, elements or lines of a stream, and what stands between them."""
    if body[:1] == b"\0":  # an event stream of AWS's: each frame says how long it is
        found, at = [], 0
        while at < len(body):
            size = int.from_bytes(body[at : at + 4], "big")
            found.append(body[at : at + size])
            at += size
        return found, b""
    for between in (b"\r\n\r\n", b"\n\n", b"\n,\r\n", b",\r\n", b"\n,", b"\n"):
        if len(found := body.split(between)) > 2:
            return found, between
    return [body], b""


def grown(body: bytes, times: int) -> bytes:
    """The stream with each of its units but the first and the last so many times in a row."""
    found, between = units(body)
    return between.join([found[0], *[unit for unit in found[1:-1] for _ in range(times)], found[-1]])


def swollen(value: object, times: int, depth: int = 2) -> object:
    """*value* with what its outer lists hold so many times over."""
    if isinstance(value, dict) and depth:
        return {key: swollen(member, times, depth - 1) for key, member in value.items()}
    return value * times if isinstance(value, list) and depth else value


def work(exchange: Exchange) -> int:
    """Functions that are called to decode it, Python's own included: the same on any machine."""
    count = 0

    def seen(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(seen)
    try:
        decode(exchange)
    finally:
        sys.setprofile(None)
    return count


def test_four_times_the_stream_is_four_times_the_work(recorded, known):
    """Of each format, its longest stream but those that take long to grow."""
    longest: dict[str, Exchange] = {}
    for row in recorded:
        exchange = exchange_of(row)
        packed = exchange.response_headers.get("content-encoding") and not exchange.content_decoded
        if row.response_is_stream and row.id in known and not packed and exchange.response_size < 30_000:
            before = longest.get(known[row.id])
            if before is None or before.response_size < exchange.response_size:
                longest[known[row.id]] = exchange

    assert len(longest) > 12
    for name, exchange in longest.items():
        some, more = (work(cut(exchange, [grown(exchange.chunks[0], times)])) for times in (8, 32))
        assert more < 4.4 * some, (name, some, more)


def test_four_times_the_document_is_four_times_the_work(recorded, known):
    """Of each format, the longest plain answer and its request, with four times as many messages, tools, choices and parts."""
    longest: dict[str, Exchange] = {}
    for row in recorded:
        exchange = exchange_of(row)
        if not row.response_is_stream and row.id in known and row.response.status == 200 and exchange.response_size < 30_000:
            before = longest.get(known[row.id])
            if before is None or before.request_size + before.response_size < exchange.request_size + exchange.response_size:
                longest[known[row.id]] = exchange

    assert len(longest) > 15
    for name, exchange in longest.items():
        try:
            asked, answered = json.loads(exchange.request_body or b"null"), json.loads(exchange.chunks[0])
        except ValueError:
            continue
        some, more = (
            work(
                cut(
                    exchange,
                    [json.dumps(swollen(answered, times)).encode()],
                    request_body=json.dumps(swollen(asked, times)).encode(),
                    content_decoded=True,
                )
            )
            for times in (8, 32)
        )
        assert more < 4.4 * some, (name, some, more)
