"""Recorded traffic of real providers, where it is at hand: beside the repository, or where CORPUS_OF_EXCHANGES says.

Without it these tests are skipped, but not in CI.
"""

import collections
import gzip
import importlib.util
import json
import os
import random
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from llm_observe.cli.decode import Recorded, exchange_of
from llm_observe.records import Decoded, Exchange
from llm_observe.wire import decode

CORPUS = Path(os.environ.get("CORPUS_OF_EXCHANGES") or Path(__file__).resolve().parents[3] / "shared" / "corpus")
FORMATS = ["openai.chat", "anthropic.messages"]
LEAST = 99.5  # percent of fields

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
def streams(recorded, expected) -> list[Exchange]:
    """The streams of the formats that are read, their content-encoding still on."""
    return [exchange_of(row) for row in recorded if row.response_is_stream and expected[row.id]["expected"]["api"] in FORMATS]


def sound(decoded: object) -> object:
    """What the sink can encode."""
    assert msgspec.json.encode(decoded)
    return decoded


def cut(exchange: Exchange, chunks: list[bytes]) -> Exchange:
    """The same, its body in these reads."""
    return msgspec.structs.replace(exchange, chunks=chunks)


def test_every_recording_decodes(recorded):
    """To a Decoded or an Unknown, without raising and without a fault of ours inside."""
    for row in recorded:
        decoded = sound(decode(exchange_of(row)))
        assert "not read" not in ((decoded.wire.reason if isinstance(decoded, Decoded) else decoded.reason) or ""), row.id


@pytest.mark.parametrize("name", FORMATS)
def test_fields_are_right(name, recorded, expected, scorer):
    """Against expectations derived by others; what has more than one defensible value is not scored."""
    wrong, right = collections.Counter(), 0
    for row in recorded:
        want, ambiguous = expected[row.id]["expected"], expected[row.id].get("ambiguous") or {}
        if want["api"] == name:
            have = scorer.flatten(json.loads(msgspec.json.encode(decode(exchange_of(row)))))
            for field in scorer.FIELDS:
                if field in want and field not in ambiguous:
                    good = scorer.same(field, have[field], want[field])
                    right += good
                    wrong[field] += not good

    assert right > 1000
    assert 100 * right / (right + wrong.total()) >= LEAST, dict(+wrong)


def test_streams_decode_the_same_however_they_are_cut(streams):
    """Three ways to cut each."""
    dice = random.Random(1)
    for exchange in streams:
        body = exchange.chunks[0]
        whole = decode(exchange)
        for _ in range(3):
            edges = [0, *sorted(dice.randrange(len(body) + 1) for _ in range(dice.choice([1, 5, 60]))), len(body)]
            decoded = decode(cut(exchange, [body[a:b] for a, b in pairwise(edges)]))
            assert whole == msgspec.structs.replace(decoded, wire=msgspec.structs.replace(decoded.wire, chunk_count=1))


def test_truncated_streams_decode(streams):
    """What comes out is never more text than there was."""
    dice = random.Random(2)
    for exchange in streams:
        body = exchange.chunks[0]
        for _ in range(10):
            decoded = sound(decode(cut(exchange, [body[: dice.randrange(len(body))]])))
            assert decoded.status in {"truncated", "ok", "error"}
            assert decoded.wire.complete == (decoded.status == "ok") or decoded.error


def test_damaged_streams_decode(streams):
    """A few bytes turned into something else."""
    dice = random.Random(3)
    for exchange in streams:
        for _ in range(10):
            body = bytearray(exchange.chunks[0])
            for _ in range(dice.choice([1, 3])):
                body[dice.randrange(len(body))] = dice.randrange(256)
            sound(decode(cut(exchange, [bytes(body)])))
