"""Run a web app observed end to end, against a local provider.

Starts a fake provider and a FastAPI app that calls it through the real openai and anthropic SDKs, sends the app traffic (plain and
streamed answers, slow ones, rate limits that a retry gets past, streams that break off), and sums up what was seen. No network, no
account.
"""

import argparse
import asyncio
import contextlib
import os
import random
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm_observe.cli._places import unwritable
from llm_observe.errors import ObserveError, SettingsError, missing
from llm_observe.exporters._files import decode, new_lines, record_files
from llm_observe.exporters._plain import plain
from llm_observe.exporters.file import FileExporter
from llm_observe.settings import resolve

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
    parser.add_argument("--requests", type=_positive, default=100, metavar="N", help="how many requests to send (default: %(default)s)")
    parser.add_argument("--concurrency", type=_positive, default=8, metavar="N", help="how many at a time (default: %(default)s)")
    parser.add_argument("--directory", metavar="DIR", help="where the records go (default: LLM_OBSERVE_DIRECTORY, .llm-observe)")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, not {text!r}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo. The exit code: 0 when all that was sent is on record.

    :raises SettingsError: when no records can be written to the directory.
    :raises MissingExtra: when a package that the demo stands on is not installed.
    """
    directory = resolve({})[0].directory if arguments.directory is None else arguments.directory
    exporter = _exporter(directory)
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
    from llm_observe.testing.provider import FakeProvider

    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"  # all of it stays on this machine, whatever is set here
    console = Console(highlight=False)
    before = set(record_files(directory))
    try:
        with FakeProvider() as provider, Observer(exporters=[exporter], content="full", enabled=True) as observer:
            with served(make_app(observer, provider)) as url:
                console.print(f"App       {url}  (FastAPI, with the openai and anthropic SDKs)")
                console.print(f"Provider  {provider.url}  (made up, on this machine)")
                requests = asyncio.run(_send(console, url, arguments.requests, arguments.concurrency))
            stats = observer.shutdown()
            sent = _summary.Sent(requests, len(provider.requests) + provider.forgotten)
    except KeyboardInterrupt:
        print("llm-observe demo: stopped; what was recorded until then is in", plain(exporter.directory), file=sys.stderr)
        return 130
    ours = [path for path in record_files(directory) if path not in before and f"-{os.getpid()}-" in path.name]
    records = [record for path in ours for line in new_lines(path)[0] if (record := decode(line)) is not None]
    return 0 if _summary.show(console, Path(directory), records, sent=sent, stats=stats) else 1


def _exporter(directory: str) -> FileExporter:
    if not directory:
        raise SettingsError("--directory: expected the name of a directory.")
    if refusal := unwritable(Path(directory)):
        raise SettingsError(f"--directory {directory}: {refusal}. Name another one, or change that.")
    return FileExporter(directory)


@contextmanager
def served(app: Any) -> Iterator[str]:
    """*app* under uvicorn, on a port of the system's choice, with its lifespan.

    :raises ObserveError: when it does not start.
    """
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on", ws="none", timeout_graceful_shutdown=5))

    def serve() -> None:
        with contextlib.suppress(SystemExit):  # how uvicorn says that it cannot start
            server.run(sockets=[listener])

    thread = threading.Thread(target=serve, name="demo-app", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise ObserveError("the demo's app did not start.")
            thread.join(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


async def _send(console: Any, url: str, requests: int, concurrency: int) -> int:
    """Send the traffic, with progress; how many requests were sent."""
    import httpx2
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    dice = random.Random(7)  # noqa: S311 - the same demo every time
    ahead = iter(dice.choices(TRAFFIC, weights=[share for *_, share in TRAFFIC], k=requests))
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    sent = 0
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        text = f"Sending {requests:,} requests, {concurrency} at a time"
        task = progress.add_task(text, total=requests)
        if not console.is_terminal:
            console.print(f"{text} ...")

        async def user(client: httpx2.AsyncClient) -> None:
            nonlocal sent
            for path, parameters, _ in ahead:
                with contextlib.suppress(httpx2.HTTPError):  # a stream that breaks off breaks the app's answer, as it would
                    await client.get(url + path, params=parameters)
                sent += 1
                progress.advance(task)

        async with httpx2.AsyncClient(timeout=60, trust_env=False) as client, asyncio.TaskGroup() as users:
            for _ in range(min(concurrency, requests)):
                users.create_task(user(client))
    console.print()
    return sent
