"""How fast recorded exchanges are decoded, on one core: `python bench/decode.py [FILE] [--json]`.

Each exchange is decoded and its record encoded, as the sink does it, in rounds over all of them; of each the fastest round counts. Shown are
throughput by format, the ten slowest exchanges, and the ten slowest for their size, as multiples of the median time per byte: a decoder that
is not linear stands out there. A body of a few bytes takes as long as the fixed cost of a decode, so time is told per byte of at least 1 KB.
"""

import argparse
import gzip
import json
import platform
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

import msgspec

from llm_observe.cli.decode import Recorded, exchange_of, recorded_call
from llm_observe.wire import Unknown, decode

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "exchanges.jsonl.gz"
FIXED = 1024  # bytes that every body counts for at least


def size_of(recorded: Recorded) -> int:
    return len(recorded.request.body_b64) + (len(recorded.response.body_b64) if recorded.response else 0)


def measured(rows: list[Recorded], rounds: int) -> list[dict]:
    """Each exchange that is a call, with its size, its format and its fastest time in seconds."""
    encode, now = msgspec.json.Encoder().encode, time.perf_counter
    best: dict[str, float] = {}
    formats: dict[str, str] = {}
    for number in range(rounds):
        for row in rows:
            exchange = exchange_of(row)
            begun = now()
            decoded = decode(exchange)
            if isinstance(decoded, Unknown):
                continue
            encode(recorded_call(row.id, exchange, decoded))
            taken = now() - begun
            best[row.id] = min(taken, best.get(row.id, taken))
            formats[row.id] = decoded.wire.format
        print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [{"id": row.id, "format": formats[row.id], "bytes": size_of(row), "seconds": best[row.id]} for row in rows if row.id in best]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("file", nargs="?", type=Path, default=CORPUS, help="exchanges, as `llm-observe decode` reads them")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--json", action="store_true", help="the result alone, as JSON")
    arguments = options.parse_args()
    with gzip.open(arguments.file) as lines:
        rows = [msgspec.json.decode(line, type=Recorded) for line in lines]
    calls = measured(rows, arguments.rounds)

    for call in calls:
        call["per_byte"] = call["seconds"] / max(call["bytes"], FIXED)
    median = statistics.median(call["per_byte"] for call in calls)
    groups = defaultdict(list)
    for call in calls:
        call["times_median"] = call["per_byte"] / median
        groups[call["format"]].append(call)
    groups["all"] = calls
    result = {
        "python": platform.python_version(),
        "rounds": arguments.rounds,
        "formats": {name: totals(group) for name, group in sorted(groups.items(), key=lambda item: (item[0] == "all", item[0]))},
        "slowest": sorted(calls, key=lambda call: -call["seconds"])[:10],
        "slowest_for_their_size": sorted(calls, key=lambda call: -call["times_median"])[:10],
    }
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    print(f"Python {result['python']}, one core, best of {arguments.rounds} rounds\n")
    print(f"{'format':26}{'calls':>7}{'MB':>8}{'MB/s':>9}{'calls/s':>10}{'us/call':>9}")
    for name, one in result["formats"].items():
        print(
            f"{name:26}{one['calls']:7}{one['megabytes']:8.2f}{one['megabytes_per_second']:9.1f}{one['calls_per_second']:10.0f}{one['us']:9.1f}"
        )
    for title, which in (("the ten slowest", "slowest"), ("the ten slowest for their size", "slowest_for_their_size")):
        print(f"\n{title:44}{'bytes':>10}{'us':>9}{'x median/byte':>15}")
        for call in result[which]:
            print(f"{call['id']:15}{call['format']:29}{call['bytes']:10,}{call['seconds'] * 1e6:9.0f}{call['times_median']:15.1f}")


def totals(calls: list[dict]) -> dict:
    size, seconds = sum(call["bytes"] for call in calls), sum(call["seconds"] for call in calls)
    return {
        "calls": len(calls),
        "megabytes": size / 1e6,
        "megabytes_per_second": size / seconds / 1e6,
        "calls_per_second": len(calls) / seconds,
        "us": seconds / len(calls) * 1e6,
    }


if __name__ == "__main__":
    main()
