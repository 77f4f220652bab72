"""What is done, many times: the scenarios by name."""

import dataclasses
from dataclasses import dataclass

WORDS = {"sync": "sync", "async": "async", "aiohttp": "async over aiohttp"}


@dataclass(frozen=True)
class Scenario:
    """One scenario: *count* of it make a block. *kind* says who runs it, and so what is reported; *share* is its part of a run's time."""

    name: str
    title: str
    kind: str  # "calls", "crowd", "web", "counted", "memory", "import", or "own" for what needs no peers: `bench/<name>.py`
    count: int
    share: float  # seconds of a run of 35 minutes
    size: int = 1000
    stream: bool = False
    client: str = "sync"
    framework: str = ""
    concurrency: int = 0
    rate: int = 0


def _counted(scenario: Scenario) -> Scenario:
    """The same, with its instructions counted: a block is much slower, and few of them are enough."""
    count = 64 if scenario.framework else 5 if scenario.stream else 20 if scenario.size > 1000 else 40
    share = 90 if scenario.framework else 60 if scenario.stream else 30
    name, title = f"instructions-{scenario.name}", f"instructions, {scenario.title}"
    return dataclasses.replace(scenario, name=name, title=title, kind="counted", count=count, share=share)


def _all() -> list[Scenario]:
    found = []
    for client, words in WORDS.items():
        found.append(Scenario(f"plain-{client}", f"plain call, 1 KB prompt, {words}", "calls", 40, 38, client=client))
        if client != "aiohttp":
            found.append(Scenario(f"large-{client}", f"plain call, 100 KB prompt, {words}", "calls", 20, 28, size=100_000, client=client))
        found.append(Scenario(f"stream-{client}", f"100-chunk stream, {words}", "calls", 10, 45, stream=True, client=client))
    found.append(Scenario("other-sync", "HTTP request that is no LLM call", "calls", 60, 20, size=0))
    found.append(Scenario("streams-1000", "1,000 concurrent streams of 20 chunks", "crowd", 1000, 180, stream=True, client="async"))
    for framework, server in (("fastapi", "uvicorn"), ("flask", "gunicorn")):
        for concurrency, count, share in ((1, 200, 45), (32, 400, 80)):
            title = f"{framework} under {server}, concurrency {concurrency}"
            found.append(Scenario(f"{framework}-{concurrency}", title, "web", count, share, framework=framework, concurrency=concurrency))
        title = f"{framework} under {server}, 150 requests/s"
        found.append(Scenario(f"{framework}-150", title, "web", 600, 160, framework=framework, rate=150))
    found += [_counted(scenario) for scenario in found if scenario.kind == "calls" or scenario.concurrency == 32]
    found.append(Scenario("memory", "memory after 20,000 calls", "memory", 20_000, 110))
    found.append(Scenario("memory-dead", "memory after 20,000 calls, nobody at the exporter's address", "memory", 20_000, 80))
    found.append(Scenario("import", "import", "import", 1, 40))
    found.append(Scenario("budget", "the budget", "own", 0, 45))
    found.append(Scenario("sink", "the sink's throughput, by exporter", "own", 0, 40))
    found.append(Scenario("curves", "how work grows", "own", 0, 140))
    return found


SCENARIOS = {scenario.name: scenario for scenario in _all()}
