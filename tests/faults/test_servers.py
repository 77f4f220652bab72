"""Real servers are told to end while they serve: whatever they answered with 200 is on record, once.

Nothing leaves by itself before: batches are given a minute to fill.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

APPS = Path(__file__).parent / "apps"
REQUESTS, SLOW = 200, 3
UVICORN = ["uvicorn", "asgi_app:app", "--fd", "{fd}", "--no-access-log"]
GUNICORN = ["gunicorn", "wsgi_app:app", "-b", "fd://{fd}", "--log-level", "warning"]
GRANIAN = ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "asgi_app:app"]
HYPERCORN = ["hypercorn", "asgi_app:app", "--bind", "fd://{fd}"]

SERVERS = {
    "uvicorn, lifespan on": (15, [*UVICORN, "--lifespan", "on"], "SIGTERM"),
    "uvicorn, --lifespan off": (15, [*UVICORN, "--lifespan", "off"], "SIGTERM"),
    "uvicorn, --lifespan off, Ctrl-C": (15, [*UVICORN, "--lifespan", "off"], "SIGINT"),
    "uvicorn, 2 workers": (15, [*UVICORN, "--workers", "2"], "SIGTERM"),
    "uvicorn, 2 workers, --lifespan off": (15, [*UVICORN, "--workers", "2", "--lifespan", "off"], "SIGTERM"),
    "hypercorn": (15, HYPERCORN, "SIGTERM"),
    "hypercorn, 2 workers": (15, [*HYPERCORN, "--workers", "2"], "SIGTERM"),
    "granian": (15, GRANIAN, "SIGTERM"),
    "granian, interface asginl (no lifespan)": (
        15,
        [part.replace("asgi", "asginl") if part == "asgi" else part for part in GRANIAN],
        "SIGTERM",
    ),
    "gunicorn sync": (16, [*GUNICORN, "-w", "2"], "SIGTERM"),
    "gunicorn sync, SIGQUIT": (16, [*GUNICORN, "-w", "2"], "SIGQUIT"),
    "gunicorn sync, Ctrl-C": (16, [*GUNICORN, "-w", "2"], "SIGINT"),
    "gunicorn gthread": (16, [*GUNICORN, "-w", "2", "--threads", "4"], "SIGTERM"),
    "gunicorn --preload": (16, [*GUNICORN, "-w", "2", "--preload"], "SIGTERM"),
    "gunicorn --max-requests": (16, [*GUNICORN, "-w", "2", "--max-requests", "30"], "SIGTERM"),
}


class Server:
    """An app of ours under a server of others, writing records to a directory."""

    def __init__(self, command, directory):
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port, fd = self.sock.getsockname()[1], self.sock.fileno()
        if "{port}" in command:  # it must listen by itself
            self.sock.close()
        self.directory = directory
        self.said, self.heard = [], threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *(part.format(fd=fd, port=self.port) for part in command)],
            cwd=APPS,
            pass_fds=[] if "{port}" in command else [fd],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"LLM_OBSERVE_EXPORTERS": f"file:{directory}", "LLM_OBSERVE_BATCH_AGE": "60", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.sock.close()  # the server has it: what waits at its door is refused when it goes
        self.listener = threading.Thread(target=self._listen)
        self.listener.start()

    def _listen(self):
        for line in self.process.stderr:
            with self.heard:
                self.said.append(line)
                self.heard.notify_all()

    def await_line(self, line, count=1):
        """Wait until it has said *line* as often."""
        with self.heard:
            assert self.heard.wait_for(lambda: self.said.count(line) >= count, 60), self.said

    def ask(self, path):
        """Its status for one request; None where it answers nothing."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            return response.status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def await_answers(self):
        """Wait until it serves. Returns how many answers that took."""
        until = time.monotonic() + 60
        while (status := self.ask("/")) is None:
            assert time.monotonic() < until
            assert self.process.poll() is None, self.said
            time.sleep(0.05)
        return int(status == 200)

    def end(self, by):
        """Have it end by the signal *by*. Its exit status, and the seconds that took."""
        began = time.monotonic()
        self.process.send_signal(getattr(signal, by))
        code = self.process.wait(60)
        return code, time.monotonic() - began

    def kill(self):
        """After the test."""
        self.process.kill()
        self.process.wait()
        self.listener.join()
        self.process.stderr.close()

    @property
    def requests(self):
        """The ids of all requests on record."""
        records = [json.loads(line) for path in self.directory.glob("*.jsonl") for line in path.read_text().splitlines()]
        return [record["id"] for record in records if record["kind"] == "request"]


@pytest.mark.parametrize("name", SERVERS)
def test_what_was_answered_is_on_record(name, row, tmp_path):
    """Two hundred requests, a few more that are under way when the signal comes, and not one of them is lost or told twice."""
    number, command, by = SERVERS[name]
    if find_spec(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    server = Server(command, tmp_path)
    try:
        answered = server.await_answers()
        with ThreadPoolExecutor(8) as pool:
            answered += sum(status == 200 for status in pool.map(lambda _: server.ask("/"), range(REQUESTS)))
            slow = [pool.submit(server.ask, "/slow") for _ in range(SLOW)]
            server.await_line("in the middle\n", 2 if command[0] == "gunicorn" else SLOW)
            code, seconds = server.end(by)
            answered += sum(one.result() == 200 for one in slow)
    finally:
        server.kill()

    row(number, f"{name}: {by}" if by not in name else name)(captured=answered, deadline=f"{seconds:.1f} s").arrived(server.requests)
    assert answered >= REQUESTS
    broken_off = SLOW if by != "SIGTERM" else 0  # requests that the server breaks off are on record too
    ended = SLOW if name == "hypercorn, 2 workers" else 0  # with the first of its workers, whatever the other is in the middle of
    assert answered - ended <= len(server.requests) <= answered + broken_off, server.said
    assert 1 == max(Counter(server.requests).values())
    assert "llm-observe" not in "".join(server.said)
    if command[0] == "uvicorn" and "--workers" not in command:
        assert -getattr(signal, by) == code or by == "SIGINT"
