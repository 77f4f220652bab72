"""Where the hook sits, how it comes and goes, and how it gets on with others who patch the same place."""

import asyncio
import functools
import logging
import subprocess
import sys
import types
from contextlib import closing

import pytest

from llm_observe import capture
from llm_observe.capture import httpx as hooks

BOTH = ("httpx", "httpx2")


def python(code: str) -> list[str]:
    """The lines that *code* prints in a Python of its own."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.splitlines()


def ask(wire):
    """One call through *wire*, read to its end."""
    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        return response.read()


# --- coming ----------------------------------------------------------------------------------------------------------

WATCHED = """
import sys, llm_observe
from llm_observe import capture
from llm_observe.testing import recording

def ask(library):
    transport = library.MockTransport(lambda request: library.Response(200, json={"choices": [], "model": "m"}))
    with library.Client(transport=transport) as client:
        client.post("http://provider.test/v1/chat/completions", json={"model": "m", "messages": []})
"""


@pytest.mark.parametrize("name", BOTH)
def test_a_library_imported_after_the_start_is_hooked(name):
    """Observing imports no client; a client that is imported later is watched from its first request on."""
    lines = python(
        f"""{WATCHED}
with recording(follow_threads=False) as recorded:
    print("{name}" in sys.modules, capture.hooked())
    import {name}
    print(capture.hooked())
    ask({name})
    print([call.wire.client for call in recorded.calls], {name}.__loader__ is {name}.__spec__.loader, type({name}.__loader__).__name__)
"""
    )

    assert ["False ()", f"('{name}',)", f"['{name}'] True SourceFileLoader"] == lines


@pytest.mark.parametrize("name", BOTH)
def test_a_library_imported_before_the_start_is_hooked(name):
    """Whichever comes first."""
    lines = python(
        f"""{WATCHED}
import {name}
with recording() as recorded:
    ask({name})
    print([call.wire.client for call in recorded.calls])
"""
    )

    assert [f"['{name}']"] == lines


@pytest.mark.parametrize("when", ["before", "after"])
def test_one_library_under_two_names_is_hooked_once(when):
    """`httpx2.alias_httpx()` makes `import httpx` give httpx2: a call through it is one record."""
    alias = "import httpx2; httpx2.alias_httpx(); import httpx; assert httpx is httpx2"
    lines = python(
        f"""{WATCHED}
{alias if when == "before" else ""}
with recording() as recorded:
    {alias if when == "after" else ""}
    import httpx
    ask(httpx)
    print(len(recorded.calls), capture.hooked())
"""
    )

    assert ["1 ('httpx2',)"] == lines


def test_a_library_that_another_thread_is_importing_is_waited_for():
    """A start in the middle of an import finds the library whole."""
    lines = python(
        f"""{WATCHED}
import threading
class Slow:
    begun, go_on = threading.Event(), threading.Event()
    def find_spec(self, name, path=None, target=None):
        if name == "httpx2._client":
            self.begun.set()
            self.go_on.wait(10)
sys.meta_path.insert(0, Slow())
def load():
    import httpx2
thread = threading.Thread(target=load)
thread.start()
Slow.begun.wait(10)
threading.Timer(0.1, Slow.go_on.set).start()
with recording() as recorded:
    thread.join()
    import httpx2
    ask(httpx2)
    print(len(recorded.calls))
"""
    )

    assert ["1"] == lines


def test_a_library_that_is_not_there_stays_missing():
    """The error for a missing library is Python's own."""
    lines = python(
        f"""{WATCHED}
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name == "httpx":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
with recording():
    sys.meta_path.insert(1, Hide())
    try:
        import httpx
    except ModuleNotFoundError as error:
        print(error)
"""
    )

    assert ["No module named 'httpx'"] == lines


def test_something_else_by_the_name_of_a_library_is_left_alone(unhooked, monkeypatch, caplog):
    """A stub among the modules does not stop the application's start; the log says that it is not watched."""
    stub = types.ModuleType("httpx")
    stub.__spec__ = None
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "llm_observe"):
        patch.setitem(sys.modules, "httpx", stub)
        capture.install()
        hooked = capture.hooked()
    capture.uninstall()

    assert "httpx" not in hooked
    assert "cannot watch <module 'httpx'>" in caplog.text


def test_hooking_twice_records_once(wire, llm_records):
    """A second installation does nothing, and its undo neither."""
    undo = hooks.install(wire.library)
    capture.install()
    undo()
    ask(wire)

    assert 1 == len(llm_records.calls)


# --- going -----------------------------------------------------------------------------------------------------------


def test_uninstalling_restores_the_library(wire, unhooked):
    """`send` is the very function that it was."""
    before = wire.library.Client.send, wire.library.AsyncClient.send
    capture.install()
    during = wire.library.Client.send, wire.library.AsyncClient.send
    capture.uninstall()

    assert before == (wire.library.Client.send, wire.library.AsyncClient.send)
    assert not set(before) & set(during)
    assert () == capture.hooked()


def test_the_hook_looks_like_what_it_stands_for(wire, llm_records):
    """Name, documentation and signature are the original's."""
    import inspect

    send = wire.library.Client.send

    assert ("send", "Client.send") == (send.__name__, send.__qualname__)
    assert list(inspect.signature(send.__wrapped__).parameters) == list(inspect.signature(send).parameters)


def test_nothing_is_recorded_where_the_hook_is_out(wire, llm_records):
    """After the undo a call is nobody's."""
    capture.uninstall()
    try:
        ask(wire)
    finally:
        capture.install()

    assert [] == llm_records.calls


# --- others ----------------------------------------------------------------------------------------------------------


def patched(library, calls, *, wraps):
    """Somebody else's patch over *library*, noting what it sees. Returns its undo."""
    original = library.Client.send

    def send(self, request, **options):
        calls.append(request)
        return original(self, request, **options)

    library.Client.send = functools.wraps(original)(send) if wraps else send

    def undo():
        library.Client.send = original

    return undo


@pytest.mark.parametrize("wraps", [True, False])
def test_a_patch_made_before_ours(wire, llm_records, unhooked, wraps):
    """Both see the call, once; ours can go first."""
    original, calls = wire.library.Client.send, []
    undo = patched(wire.library, calls, wraps=wraps)
    try:
        capture.install()
        ask(wire)
        capture.uninstall()
        ask(wire)
    finally:
        undo()

    assert (1, 2) == (len(llm_records.calls), len(calls))
    assert original is wire.library.Client.send


@pytest.mark.parametrize("wraps", [True, False])
def test_a_patch_made_after_ours(wire, llm_records, wraps):
    """Both see the call, once; after our undo, ours sees none although it is called still."""
    calls = []
    undo = patched(wire.library, calls, wraps=wraps)
    try:
        ask(wire)
        capture.uninstall()
        theirs = wire.library.Client.send
        ask(wire)
        assert theirs is wire.library.Client.send
    finally:
        undo()
        capture.uninstall()
        wire.library.Client.send = getattr(wire.library.Client.send, "__wrapped__", wire.library.Client.send)
        capture.install()

    assert (1, 2) == (len(llm_records.calls), len(calls))


@pytest.mark.parametrize("wraps", [True, False])
def test_coming_back_under_a_patch_made_after_ours(wire, llm_records, wraps):
    """A call is still one record when we go and come back under somebody's patch."""
    original = wire.library.Client.send.__wrapped__
    undo = patched(wire.library, [], wraps=wraps)
    try:
        capture.uninstall()
        capture.install()
        ask(wire)
        calls = len(llm_records.calls)
        capture.uninstall()
        ask(wire)
    finally:
        undo()
        wire.library.Client.send = original
        capture.install()

    assert (1, 1) == (calls, len(llm_records.calls))


def test_a_client_that_overrides_send_is_seen_once(wire, llm_records):
    """Whether it calls `super().send` or forwards to a client inside."""

    class Mine(wire.library.Client):
        def send(self, request, **options):
            return super().send(request, **options)

    class Forwards(wire.library.AsyncClient):
        async def send(self, request, **options):
            async with wire.aclient() as inner:
                return await inner.send(request, **options)

    async def main():
        async with Forwards() as client:
            await client.send(wire.request(client))

    with Mine(transport=wire.transport(b"{}")) as client:
        client.send(wire.request(client))
    asyncio.run(main())

    assert 2 == len(llm_records.calls)


# --- never hurt the host ---------------------------------------------------------------------------------------------


@pytest.fixture
def lenient():
    """A recording that is not strict: as in production, our failures are counted and not raised."""
    from llm_observe.testing import recording

    with recording(strict=False) as recorded:
        yield recorded


def broken(*_, **__):
    """Fails."""
    raise RuntimeError("ours")


def broken_ways(tap):
    """Nothing that is done with a piece of an answer can be done."""
    return broken, broken, broken, 0


@pytest.mark.parametrize(
    "what",
    [
        "llm_observe.capture.httpx.observer_here",
        "llm_observe.capture.httpx.Exchange",
        "llm_observe.capture.httpx.Tap",
        "llm_observe.capture._tap.Tap.headers",
        "llm_observe.capture._tap.Tap.stream",
        "llm_observe.capture._tap.Tap.ways",
        "llm_observe.capture._tap.sum",
    ],
)
def test_a_failure_of_the_hook_never_reaches_a_stream_s_reader(wire, lenient, monkeypatch, answers, what):
    """The bytes arrive as without us, and the failure is counted."""
    monkeypatch.setattr(what, broken_ways if what.endswith("ways") else broken, raising=not what.endswith(".sum"))

    assert b"".join(answers.pieces) == ask(wire)
    monkeypatch.undo()
    assert 1 <= lenient.observer.stats().errors


@pytest.mark.parametrize(
    "what", ["llm_observe.capture._tap.Tap.ways", "llm_observe.capture._tap.Tap.headers", "llm_observe.capture._tap.Tap.whole"]
)
def test_a_failure_of_the_hook_never_reaches_an_async_reader(wire, lenient, monkeypatch, answers, what):
    """The bytes arrive as without us, and the failure is counted."""
    monkeypatch.setattr(what, broken_ways if what.endswith("ways") else broken)

    async def main():
        async with wire.aclient() as client:
            if what.endswith("whole"):
                return (await client.send(wire.request(client))).content
            response = await client.send(wire.request(client), stream=True)
            return await response.aread()

    assert b"".join(answers.pieces) == asyncio.run(main())
    monkeypatch.undo()
    assert 1 <= lenient.observer.stats().errors


def test_a_failure_of_the_queue_never_reaches_the_application(wire, lenient, monkeypatch, answers):
    """The hand-over is guarded as well."""
    monkeypatch.setattr(lenient.observer.handover, "put", broken)

    assert b"".join(answers.pieces) == ask(wire)
    assert 1 == lenient.observer.stats().errors


def test_a_failure_of_the_hook_is_silent_where_nobody_observes(wire, monkeypatch, answers):
    """There is nobody to count it, and the application goes on."""
    capture.install()
    monkeypatch.setattr(hooks, "observer_here", broken)

    assert b"".join(answers.pieces) == ask(wire)
