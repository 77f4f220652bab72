"""Where each hook sits, how it comes and goes, and how it gets on with others who patch the same place: the same for all libraries."""

import functools
import importlib
import inspect
import subprocess
import sys

import pytest

from llm_observe import capture
from llm_observe.capture._begin import PairsHook
from llm_observe.capture._hook import MARK, Hook, watch
from llm_observe.testing.provider import Reply

PLACES = [
    ("httpx", "Client", "send"),
    ("httpx", "AsyncClient", "send"),
    ("httpx2", "Client", "send"),
    ("httpx2", "AsyncClient", "send"),
    ("aiohttp", "ClientSession", "_request"),
    ("aiohttp", "ClientRequest", "update_body_from_data"),
    ("requests", "Session", "send"),
    ("botocore.httpsession", "URLLib3Session", "send"),
]
BY = {
    "httpx": "httpx.post(url, content=body)",
    "httpx2": "httpx2.post(url, content=body)",
    "aiohttp": """
async def main():
    async with aiohttp.ClientSession() as session:
        await (await session.post(url, data=body)).read()
asyncio.run(main())""",
    "requests": "requests.post(url, data=body)",
    "botocore": """
from botocore.awsrequest import AWSRequest
botocore.httpsession.URLLib3Session().send(AWSRequest(method="POST", url=url, data=body).prepare())""",
}


@pytest.fixture(params=PLACES, ids=".".join)
def place(request):
    """Each class that is hooked, and the name of its method."""
    module, owner, name = request.param
    pytest.importorskip(module)
    return getattr(importlib.import_module(module), owner), name


def python(code):
    """The lines that *code* prints in a Python of its own."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.splitlines()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", BY)
def test_a_library_is_hooked_whether_it_is_imported_before_or_after_the_start(llm_provider, name, when):
    """Observing imports no client; one that is imported later is watched from its first request on."""
    pytest.importorskip(name)
    llm_provider.route(lambda received: True, Reply(raw=b"{}"))
    module = "botocore.httpsession" if name == "botocore" else name
    lines = python(f"""
import asyncio, sys
from llm_observe import capture
from llm_observe.testing import recording
url, body = {llm_provider.url + "/model/x/converse"!r}, b"{{}}"
{f"import {module}" if when == "before" else ""}
with recording(follow_threads=False) as recorded:
    seen = []
    recorded.observer.hand_over = lambda item: seen.append(item.exchange)
    print("{name}" in capture.hooked(), "{module}" in sys.modules)
    import {module}
    print("{name}" in capture.hooked())
{chr(10).join("    " + line for line in BY[name].splitlines())}
    print([(exchange.client, exchange.status_code) for exchange in seen])
""")

    imported = str(when == "before")
    assert [f"{imported} {imported}", "True", f"[('{name}', 200)]"] == lines


def test_uninstalling_restores_the_library(place):
    """The method is the very function that it was."""
    owner, name = place
    capture.uninstall()
    try:
        before = owner.__dict__[name]
        capture.install()
        during = owner.__dict__[name]
        capture.uninstall()
        assert before is owner.__dict__[name]
        assert before is not during
        assert not hasattr(before, MARK)
    finally:
        capture.install()


def test_the_hook_looks_like_what_it_stands_for(place, llm_records):
    """Name, documentation, signature and colour are the original's."""
    owner, name = place
    method = getattr(owner, name)

    assert (name, f"{owner.__name__}.{name}") == (method.__name__, method.__qualname__)
    assert inspect.signature(method.__wrapped__) == inspect.signature(method)
    assert inspect.iscoroutinefunction(method.__wrapped__) == inspect.iscoroutinefunction(method)
    assert method.__doc__ == method.__wrapped__.__doc__


@pytest.mark.parametrize("kept", [lambda headers: [("Other", "")], lambda headers: headers.no_such_attribute])
def test_headers_that_are_kept_in_another_way_are_listed_as_anybody_may(kept):
    """What is inside of them is looked at where it is as we know it; else what is public serves."""
    hook = PairsHook("thing", dict, kept)

    assert [("a", "b")] == [*hook.pairs({"a": "b"})]


# --- others ----------------------------------------------------------------------------------------------------------

# On a class of our own, by the means that all hooks share: what is patched, by whom and in what order.


@pytest.fixture
def thing():
    """A class with a method that notes its calls, a hook that notes them too, and somebody else's patch of it."""

    class Thing:
        calls: list[str] = []

        def do(self):
            self.calls.append("done")

    def make(original, hook):
        @functools.wraps(original)
        def do(self):
            if hook.active:
                self.calls.append("ours")
            original(self)

        return do

    def patch(*, wraps):
        original = Thing.do

        def do(self):
            self.calls.append("theirs")
            original(self)

        Thing.do = functools.wraps(original)(do) if wraps else do

        def undo():
            Thing.do = original

        return undo

    def calls():
        Thing.calls.clear()
        Thing().do()
        return list(Thing.calls)

    Thing.watch = staticmethod(lambda: watch([(Thing, "do", make)], lambda: Hook("thing")))
    Thing.patch, Thing.seen = staticmethod(patch), staticmethod(calls)
    return Thing


def test_hooking_twice_is_hooking_once(thing):
    """The second undo takes nothing out."""
    undo, again = thing.watch(), thing.watch()

    assert ["ours", "done"] == thing.seen()
    again()
    assert ["ours", "done"] == thing.seen()
    undo()
    assert ["done"] == thing.seen()
    undo()
    assert ["done"] == thing.seen()


@pytest.mark.parametrize("wraps", [True, False])
def test_a_patch_made_before_ours(thing, wraps):
    """Both see the call, once; ours can go first, and theirs after."""
    original = thing.do
    theirs = thing.patch(wraps=wraps)
    ours = thing.watch()

    assert ["ours", "theirs", "done"] == thing.seen()
    ours()
    assert ["theirs", "done"] == thing.seen()
    theirs()
    assert original is thing.do


@pytest.mark.parametrize("wraps", [True, False])
def test_a_patch_made_after_ours(thing, wraps):
    """Both see the call, once; after our undo ours does nothing, although it is called still."""
    original = thing.do
    ours = thing.watch()
    theirs = thing.patch(wraps=wraps)

    assert ["theirs", "ours", "done"] == thing.seen()
    ours()
    assert ["theirs", "done"] == thing.seen()
    theirs()
    assert ["done"] == thing.seen()
    assert original is thing.do.__wrapped__


@pytest.mark.parametrize("wraps", [True, False])
def test_coming_back_under_a_patch_made_after_ours(thing, wraps):
    """A call is still seen once by each when we go and come back under somebody's patch."""
    ours = thing.watch()
    theirs = thing.patch(wraps=wraps)
    ours()
    again = thing.watch()

    assert {"theirs": 1, "ours": 1, "done": 1} == {name: thing.seen().count(name) for name in thing.seen()}
    again()
    assert ["theirs", "done"] == thing.seen()
    theirs()
    assert ["done"] == thing.seen()


def test_a_patch_that_goes_after_ours_has_gone_brings_nothing_back(thing):
    """It puts our method back, which does nothing any more; a later start makes it work again."""
    ours = thing.watch()
    theirs = thing.patch(wraps=True)
    ours()
    theirs()

    assert ["done"] == thing.seen()
    thing.watch()
    assert ["ours", "done"] == thing.seen()


# --- forks -----------------------------------------------------------------------------------------------------------


def test_locks_that_other_threads_hold_do_not_stop_the_child():
    """A child whose parent was in the middle of hooking, in another thread, can hook and unhook; and waits for nobody's answer."""
    lines = python("""
import os, signal, sys, threading
signal.alarm(30)
import llm_observe, httpx2
from llm_observe import capture
from llm_observe.capture import _tap
capture.install()
held, over = threading.Event(), threading.Event()
def hold():
    with capture._lock:
        held.set()
        over.wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
_tap.sending[1] = None
import warnings
warnings.simplefilter("ignore")
if child := os.fork():
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    over.set()
else:
    signal.alarm(10)
    capture.uninstall()
    print(capture.hooked(), _tap.sending)
    capture.install()
    print(capture.hooked(), flush=True)
    os._exit(0)
""")

    assert ["() {}", "('httpx2',)"] == lines
