"""The gate before the scanner: what it keeps out has nothing in it, in recorded traffic too."""

import gzip
import os
import random
from pathlib import Path

import msgspec
import pytest

from llm_observe._runtime.encode import encode
from llm_observe.cli.decode import Recorded, exchange_of
from llm_observe.processors.redaction.gate import _WITHIN, HEX, LONG, MOST, Gate
from llm_observe.processors.redaction.kinds import ANYWHERE, AT_A_START, SECRETS
from llm_observe.processors.redaction.scan import built_in
from llm_observe.records import Text
from llm_observe.wire import decode

CORPUS = Path(os.environ.get("CORPUS_OF_EXCHANGES") or Path(__file__).resolve().parents[3] / "shared" / "corpus")
KEYS = [
    "sk-proj-abcdEFGH1234567890abcd",
    "Bearer a1B2c3D4a1B2c3D4a1B2",
    "https://joe:hunter2@host/",
    "AKIAQ7XD2MZP4RTB6KLN",
    "password: hunter2",
]
FINDERS = [built_in(kind) for kind in SECRETS]


def texts(value):
    """Every text in *value*."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from texts(name)
            yield from texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts(one)


def found(text):
    """What any detector finds in *text*, looked for everywhere."""
    data = text.encode("utf-8", "surrogatepass")
    return [(one.name, *span) for one in FINDERS if any(near in data for near in one.near) for span in one.spans(data)]


@pytest.mark.skipif(
    not CORPUS.is_dir() and "CI" not in os.environ, reason=f"no corpus at {CORPUS}; CORPUS_OF_EXCHANGES may name another place"
)
def test_what_is_kept_out_has_nothing_in_it_in_recorded_traffic():
    """One gate for all of it; and with a key put anywhere into a record it lets that in."""
    gate, rng = Gate(SECRETS), random.Random(7)
    with gzip.open(CORPUS / "exchanges.jsonl.gz") as lines:
        exchanges = [exchange_of(msgspec.json.decode(line, type=Recorded)) for line in lines]
    kept_out, done = 0, set()
    for exchange in exchanges:
        record = decode(exchange)
        if gate(encode(record)):
            continue
        kept_out += 1
        said = list(texts(msgspec.to_builtins(record, enc_hook=repr)))

        assert [] == [text for text in {*said} - done if found(text)]
        done.update(said)
        words, key = rng.choice(said or [""]).split(" "), rng.choice(KEYS)
        words.insert(rng.randint(0, len(words)), key)
        assert gate(encode(Text(content=" ".join(words))))

    assert kept_out > 0.95 * len(exchanges)


def test_what_is_remembered_is_bounded():
    """Runs that are no keys, a few thousand; none that is long, and one that is new is looked at all the same."""
    gate = Gate(SECRETS)
    for number in range(3 * MOST):
        assert not gate(encode(Text(content=f"a-run-that-is-no-key-{number} {'x' * (LONG + 1)}-{number}")))
        assert len(gate._known) <= MOST + 2

    assert max(map(len, gate._known)) <= LONG
    assert gate(encode(Text(content=f"a-run-that-is-no-key-1 {KEYS[0]}")))


def test_no_key_begins_with_what_ids_consist_of():
    """Runs of lower hexadecimal digits and dashes are not looked at: each beginning has something else in it."""
    assert [] == [begin for begin in {*ANYWHERE, *AT_A_START, *_WITHIN} if not begin.strip(HEX)]
