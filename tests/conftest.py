"""What all tests share: a world without the machine's own settings, and programs in a Python of their own."""

import contextlib
import gc
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TextIO

import pytest

from llm_observe._runtime.ending import living
from llm_observe.settings import PREFIX

# A shell that starts us in the background has us ignore Ctrl-C, and whatever we start inherits that: what is to end by it would hang.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Six thousand tests are there to stay: the garbage collector need not walk them again and again, which is a tenth of the time."""
    if hypothesis := sys.modules.get("hypothesis"):  # looks at its first work for who holds its random numbers, not among what is frozen
        hypothesis.find(hypothesis.strategies.none(), lambda _: True)
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No `LLM_OBSERVE_*` of whoever runs the tests reaches them."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_observer_left_behind() -> Iterator[None]:
    """The observers that a test brought about end with it: the next one finds none of their threads."""
    before = set(living)
    yield
    for observer in set(living) - before:
        observer.shutdown(0)


def program(code: str, *arguments: object, python: str = sys.executable, timeout: float = 30, **env: str) -> SimpleNamespace:
    """What a Python of its own printed that ran *code*, its last words, and how it ended."""
    command = [python, "-X", "faulthandler", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=os.environ | env, check=False)
    return SimpleNamespace(out=done.stdout, err=done.stderr, code=done.returncode, lines=done.stdout.splitlines())


@pytest.fixture(scope="session")
def run() -> Callable[..., SimpleNamespace]:
    """A runner of programs in a Python of their own."""
    return program


@pytest.fixture
def terminal() -> Iterator[tuple[TextIO, Callable[[], str]]]:
    """A terminal: what to write to, and what it has shown, to be asked for once.

    It is read while it is written, as a terminal holds a page at most, and to its end: what was written at once need not arrive at once.
    """
    ours, theirs = pty.openpty()
    said = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while piece := os.read(ours, 65536):
                said.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:

        def shown() -> str:
            stream.close()
            reader.join(60)
            return said.decode().replace("\r\n", "\n")

        yield stream, shown
    reader.join(60)
    os.close(ours)
