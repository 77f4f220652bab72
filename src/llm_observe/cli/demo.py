"""Run a web app observed end to end, against a local provider.

Starts a fake provider and a FastAPI app that calls it through the real openai and anthropic SDKs, sends the app traffic (plain and
streamed answers, slow ones, rate limits that a retry gets past, streams that break off), and sums up what was seen. No network, no
account.
"""

import argparse
import asyncio
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm_observe.errors import SettingsError, missing

# What a user of the app would ask for: a path, its parameters, and how often in a hundred.
TRAFFIC: list[tuple[str, dict[str, str], int]] = [
    ("/chat/ada", {"q": "What is a monad?"}, 22),
    ("/chat/grace", {"q": "Who wrote the first compiler?"}, 14),
    ("/write/ada", {"q": "Write a haiku about queues."}, 18),
    ("/compare/grace", {"q": "Compare tea and coffee."}, 10),
    ("/tools/linus", {"q": "What is the weather in Bern?"}, 10),
    ("/chat/linus", {"q": "Think slowly, please.", "model": "fake-slow"}, 6),
    ("/chat/ada", {"q": "Are you there?", "model": "fake-flaky-429"}, 8),
    ("/chat/grace", {"q": "And now?", "model": "fake-flaky-500"}, 4),
    ("/write/linus", {"q": "Tell me a long story.", "model": "fake-broken-stream"}, 4),
    ("/chat/linus", {"q": "Let me in.", "model": "fake-invalid-key"}, 4),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--requests", type=int, default=100, metavar="N", help="how many requests to send (default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=8, metavar="N", help="how many at a time (default: %(default)s)")
    parser.add_argument("--directory", default=".llm-observe", help="where the records go (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; 0 when every call is on record."""
    for name in ("requests", "concurrency"):
        if getattr(arguments, name) < 1:
            raise SettingsError(f"--{name} {getattr(arguments, name)}: expected at least 1.")
    try:
        import anthropic  # noqa: F401 - asked for here, so that one line says what is missing
        import fastapi  # noqa: F401
        import httpx2  # noqa: F401
        import openai  # noqa: F401
        import uvicorn  # noqa: F401
        from rich.console import Console
    except ModuleNotFoundError as error:
        raise missing(error, extra="demo") from None
    from llm_observe import Observer
    from llm_observe.cli import _summary
    from llm_observe.cli._demo_app import make_app
    from llm_observe.exporters.file import FileExporter
    from llm_observe.testing.provider import FakeProvider

    console = Console()
    directory = Path(arguments.directory)
    exporter = FileExporter(directory)
    began = time.time()
    with FakeProvider() as provider, Observer(exporters=[exporter], content="full") as observer:
        with _served(make_app(observer, provider)) as url:
            console.print(f"A FastAPI app at {url} asks a provider at {provider.url}, both on this machine.\n")
            sent = asyncio.run(_send(console, url, arguments.requests, arguments.concurrency))
        stats = observer.shutdown()
        asked = len(provider.requests)
    _summary.show(console, directory, since=began, requests=sent, attempts=asked, stats=stats)
    return 0 if all(exporter.balanced and not exporter.dropped for exporter in stats.exporters.values()) else 1


@contextmanager
def _served(app: Any) -> Iterator[str]:
    """*app* under uvicorn, on a port of the system's choice, with its lifespan."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="demo-app", daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


async def _send(console: Any, url: str, requests: int, concurrency: int) -> int:
    """Send the traffic, with progress; how many requests were answered at all."""
    import httpx2
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    dice = random.Random(7)  # noqa: S311 - the same demo every time
    paths = dice.choices(TRAFFIC, weights=[share for *_, share in TRAFFIC], k=requests)
    gate, answered = asyncio.Semaphore(concurrency), 0
    columns = TextColumn("sending requests"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=requests)

        async def one(client: httpx2.AsyncClient, path: str, parameters: dict[str, str]) -> None:
            nonlocal answered
            async with gate:
                try:
                    await client.get(url + path, params=parameters)
                    answered += 1
                except httpx2.HTTPError:  # the broken streams break the app's own answers, as they would
                    answered += 1
                progress.advance(task)

        async with httpx2.AsyncClient(timeout=30) as client:
            await asyncio.gather(*(one(client, path, parameters) for path, parameters, _ in paths))
    return answered
