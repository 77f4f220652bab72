"""What redaction costs the background thread: `python bench/redact.py [--quick]`.

For texts of several makes and sizes, with nothing to be found in them and with something, and for each set of kinds: the microseconds of
processor time that redaction adds to a record's encoding, and the megabytes a second that this makes. A line that says *new* has texts
that were never seen; *again* has the same conversation with one turn more each time, as an agent sends it. Where google-re2 is installed
the kinds that it is used for are measured with it too. Absolute figures are this machine's; compare ratios.
"""

import argparse
import itertools
import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from llm_observe._runtime.encode import encode
from llm_observe.processors import redaction
from llm_observe.processors.redaction import Redactor
from llm_observe.records import (
    Attempt,
    Call,
    CallResponse,
    Input,
    Message,
    Operation,
    Output,
    Provider,
    ScopeInfo,
    Server,
    Text,
    Usage,
    Wire,
)
from llm_observe.records.facts import CallRequest
from llm_observe.settings import resolve

WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "for",
    "it",
    "with",
    "as",
    "was",
    "on",
    "be",
    "at",
    "by",
    "this",
    "have",
    "from",
    "or",
    "had",
    "not",
    "are",
    "but",
    "what",
    "all",
    "were",
    "when",
    "we",
    "there",
    "can",
    "an",
    "your",
    "which",
    "their",
    "said",
    "if",
    "do",
    "will",
    "each",
    "about",
    "how",
    "up",
    "out",
    "them",
    "then",
    "she",
    "many",
    "some",
    "so",
    "these",
    "would",
    "other",
    "into",
    "has",
    "more",
    "her",
    "two",
    "like",
    "him",
    "see",
    "time",
    "could",
    "no",
    "make",
    "than",
    "first",
    "been",
    "its",
    "who",
    "now",
    "people",
    "my",
    "made",
    "over",
    "did",
    "down",
    "only",
    "way",
    "find",
    "use",
    "may",
    "water",
    "long",
    "little",
    "very",
    "after",
    "words",
    "called",
    "just",
    "where",
    "most",
    "know",
    "keep",
    "question",
    "answer",
    "model",
    "context",
]
RARE = [
    "Paris",
    "London",
    "Retrieval",
    "2024",
    "12",
    "3.5",
    "password",
    "state-of-the-art",
    "https://example.com/docs/page.html",
    "pdf_file_name",
]
NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
SECRET = "Use sk-proj-Zk3v9Qm2Lx8Rt5Wp1Yb7 for it, and write to joe@example.com or +49 170 1234567."
SETS = ["secrets", "email", "secrets email", "secrets pii"]
numbers = itertools.count()


def prose(size: int, rng: random.Random) -> str:
    """Words, with what stands between them in English."""
    return " ".join(rng.choices(WORDS + RARE, [10] * len(WORDS) + [1] * len(RARE), k=size // 4))[:size]


def code(size: int, rng: random.Random) -> str:
    """This repository's own source: long names, paths, many signs."""
    files = sorted(Path(redaction.__file__).parents[2].rglob("*.py"))
    rng.shuffle(files)
    return "".join(path.read_text() for path in files[:60])[:size]


def base64(size: int, rng: random.Random) -> str:
    """One run without an end."""
    return "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=size))


def call(*texts: str) -> Call:
    """A call as OpenAI's SDK makes it, that asked *texts*."""
    n = next(numbers)
    return Call(
        id=f"01a3185c-5000-7000-867f-{n:012x}", trace_id=f"{n:032x}", span_id=f"{n:016x}", parent_id=f"{n:016x}",
        request_id=f"01a3185c-5000-7000-867f-{n:012x}", started_at=NOON, duration=1.0, name="chat gpt-x", status="ok",
        operation=Operation(name="chat"), provider=Provider(name="openai"), server=Server(address="api.openai.com", port=443),
        wire=Wire(format="openai.chat", client="httpx2", status_code=200, complete=True), request=CallRequest(model="gpt-x"),
        response=CallResponse(id=f"chatcmpl-9aBcDeFgHiJkLmNoPqRs{n}", model="gpt-x-2026", finish_reasons=("stop",)),
        usage=Usage(input_tokens=200, output_tokens=100), scope=ScopeInfo(method="POST", route="/chat/{id}", user_id="u-17"),
        input=Input(messages=tuple(Message(role="user", parts=(Text(content=text),)) for text in texts), count=len(texts)),
        output=Output(messages=(Message(role="assistant", parts=(Text(content="word " * 100),)),)),
        attempts=(Attempt(started_at=NOON, duration=1.0, status_code=200, provider_request_id=f"req_011CQ8f3a9d4b5e6c7{n}"),),
    )  # fmt: skip


def spent(work: Callable[[Call], object], records: list[Call]) -> float:
    """Microseconds of this thread's processor time for one record."""
    began = time.thread_time_ns()
    for record in records:
        work(record)
    return (time.thread_time_ns() - began) / len(records) / 1000


def best(kinds: str, make: Callable[[], list[Call]], rounds: int, linear: bool) -> float:
    """What redaction adds to encoding: the least of *rounds*, in each of which both take their turn."""
    redactor = Redactor(resolve({"redact": kinds}, {})[0], default_key=b"k")
    if not linear:
        redactor = without_re2(kinds)
    costs = []
    for first, *records in (make() for _ in range(rounds)):
        redactor(first, encode)  # of a conversation: what was seen before
        costs.append(spent(lambda record: redactor(record, encode), records) - spent(encode, records))
    return min(costs)


def without_re2(kinds: str) -> Redactor:
    """A redactor as it is where google-re2 is not installed."""
    found, redaction.re2 = redaction.re2, lambda: None
    try:
        return Redactor(resolve({"redact": kinds}, {})[0], default_key=b"k")
    finally:
        redaction.re2 = found


def rows(quick: bool) -> Iterator[tuple[str, int, Callable[[], list[Call]]]]:
    """What is measured: its name, the bytes of its texts, and a maker of records."""
    rng = random.Random(5)
    many = 4 if quick else 20
    for name, make in (("prose", prose), ("code", code), ("base64", base64)):
        for size in (1000, 100_000):
            count = many * (20 if size < 10_000 else 1)
            yield f"{name}, new", size, lambda make=make, size=size, count=count: [call(make(size, rng)) for _ in range(count)]
    for size in (1000, 100_000):
        count = many * (20 if size < 10_000 else 1)
        yield "prose, found", size, lambda size=size, count=count: [call(prose(size, rng) + SECRET) for _ in range(count)]

    def conversation() -> list[Call]:
        turns = [prose(100_000, rng)]
        records = []
        for _ in range(many):
            turns.append(prose(500, rng))
            records.append(call(*turns))
        return records

    yield "prose, again", 100_000, conversation


def main() -> None:
    """Measure, and print as it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer records and rounds: to see that it works")
    quick = parser.parse_args().quick
    engines = [True, False] if redaction.re2() else [False]
    measured = list(rows(quick))
    print(f"Python {sys.version.split()[0]}, google-re2 {'installed' if redaction.re2() else 'not installed'}")
    print(f"{'kinds':<14} {'engine':<6} {'text':<13} {'bytes':>7} {'us a record':>12} {'MB/s':>8}")
    for kinds in SETS:
        for linear in engines if kinds == "secrets pii" else engines[-1:]:
            for name, size, make in measured:
                cost = best(kinds, make, 3 if quick else 7, linear)
                print(f"{kinds:<14} {'re2' if linear else 're':<6} {name:<13} {size:>7} {cost:>12.1f} {size / cost:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
