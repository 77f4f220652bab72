"""The http exporter against a real server that misbehaves as it is told. See reliability.md, rows 7 to 11 and 41."""

import asyncio
import email.utils
import gzip
import importlib.metadata
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time

import anyio
import pytest

from llm_observe.errors import Rejected, RetryLater, SettingsError
from llm_observe.exporters._answer import retry_after
from llm_observe.exporters.http import HttpExporter


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """The machine's own proxies stay out of it."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def post(exporter: HttpExporter, *batches) -> None:
    """Export *batches* one after the other, then close; a batch that may come back raises at once."""

    async def main():
        try:
            for batch in batches:
                await exporter.export(batch)
        finally:
            await exporter.aclose()

    anyio.run(main)


def reset(connection: socket.socket) -> bool:
    """Break the connection off without a goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


def dripping(data: bytes, gap: float = 0.05):
    """Send *data* byte by byte."""

    def drip(connection):
        for n in range(len(data)):
            connection.sendall(data[n : n + 1])
            time.sleep(gap)
        return True

    return drip


# --- what is sent ----------------------------------------------------------------------------------------------------


def test_a_batch_is_posted_as_a_json_array(make, serve):
    """With its id, a content type, and who is calling."""
    server = serve(200)

    post(HttpExporter(server.url + "?project=7"), make.batch(make.call(), make.step()))
    [(start, headers, body)] = server.requests

    assert "POST /records?project=7 HTTP/1.1" == start
    assert ["call-1", "step-1"] == [record["id"] for record in json.loads(body)]
    assert ("application/json", "batch-1") == (headers["content-type"], headers["x-llm-observe-batch"])
    assert headers["user-agent"].startswith("llm-observe/")


def test_a_body_over_a_kilobyte_is_gzipped(make, serve):
    """A smaller one is not worth it."""
    server = serve(200)

    post(HttpExporter(server.url), make.batch(make.call()), make.batch(make.call(name="x" * 2000), id="2"))
    (_, small, _), (_, big, body) = server.requests

    assert (None, "gzip") == (small.get("content-encoding"), big.get("content-encoding"))
    assert "x" * 2000 == json.loads(gzip.decompress(body))[0]["name"]


def test_compression_can_be_declined(make, serve):
    """For receivers that cannot undo it."""
    server = serve(200)

    post(HttpExporter(server.url, compress=False), make.batch(make.call(name="x" * 2000)))

    assert "content-encoding" not in server.requests[0][1]


def test_headers_of_the_users_own_are_sent(make, serve):
    """A key, and another name for who is calling."""
    server = serve(200)

    post(HttpExporter(server.url, headers={"Authorization": "Bearer k", "User-Agent": "mine"}), make.batch(make.call()))
    [(_, headers, _)] = server.requests

    assert ("Bearer k", "mine") == (headers["authorization"], headers["user-agent"])


def test_connections_are_kept_between_batches(make, serve, answered):
    """Also when an answer has a body."""
    server = serve(answered(200, b"thank you"))

    post(HttpExporter(server.url), *[make.batch(make.call(), id=str(n)) for n in range(5)])

    assert (1, 5) == (server.connections, len(server.requests))


def test_nothing_is_logged_for_a_request(make, serve, caplog):
    """The address may hold a key."""
    server = serve(200)
    with caplog.at_level("INFO"):
        post(HttpExporter(server.url + "?key=canary"), make.batch(make.call()))

    assert [] == [record for record in caplog.records if "canary" in record.getMessage()]


def test_a_proxy_of_the_environment_is_used(make, serve, monkeypatch):
    """As everywhere in production; NO_PROXY makes exceptions."""
    proxy, server = serve(200), serve(200)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")

    post(HttpExporter("http://collector.test/x"), make.batch(make.call()))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    post(HttpExporter(server.url), make.batch(make.call()))

    assert ["POST http://collector.test/x HTTP/1.1"] == [start for start, _, _ in proxy.requests]
    assert 1 == len(server.requests)


def test_a_copy_that_was_not_installed_sends_records_too(make, serve, monkeypatch):
    """A source tree on the path has no version to tell."""

    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    server = serve(200)

    post(HttpExporter(server.url), make.batch(make.call()))

    assert "llm-observe/unknown" == server.requests[0][1]["user-agent"]


# --- what is answered ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_one(make, serve, status):
    """The batch arrived."""
    server = serve(status)

    post(HttpExporter(server.url), make.batch(make.call()))

    assert ["call-1"] == server.records()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_brings_the_batch_back(make, serve, status):
    """And asks for no particular time."""
    with pytest.raises(RetryLater, match=str(status)) as caught:
        post(HttpExporter(serve(status).url), make.batch(make.call()))

    assert None is caught.value.after


def test_the_server_says_when_to_come_back(make, serve, answered):
    """In seconds, for 429 and 503 alike."""
    server = serve(answered(429, retry_after=7))

    with pytest.raises(RetryLater) as caught:
        post(HttpExporter(server.url), make.batch(make.call()))

    assert 7 == caught.value.after


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5),
        ("0.5", 0.5),
        ("-3", 0),
        ("1000000000", 300),
        ("1e9", 300),
        (email.utils.formatdate(1_060, usegmt=True), 60),
        (email.utils.formatdate(900, usegmt=True), 0),
        ("Thu, 01 Jan 1970 00:17:40 -0000", 60),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("Thu, 99 Jan 1970 00:17:40 GMT", None),
        (None, None),
    ],
)
def test_a_time_to_come_back_is_understood_or_ignored(text, seconds):
    """Seconds or a date, never more than five minutes; what makes no sense leaves it to us."""
    assert seconds == retry_after(text, now=1_000)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_keeps_the_batch(make, serve, status):
    """A key may be rotated: half a minute later it is tried again."""
    with pytest.raises(RetryLater, match=rf"{status}.*Check the key") as caught:
        post(HttpExporter(serve(status).url), make.batch(make.call()))

    assert 30 == caught.value.after


def test_an_address_where_nobody_lives_keeps_the_batch(make, serve):
    """The receiver may be on its way, or the address be put right: half a minute later it is tried again."""
    with pytest.raises(RetryLater, match=r"404.*Check the address") as caught:
        post(HttpExporter(serve(404).url), make.batch(make.call()))

    assert 30 == caught.value.after


@pytest.mark.parametrize("status", [400, 405, 410, 422])
def test_what_will_never_pass_is_rejected(make, serve, answered, status):
    """With what the server had to say about it, on one line."""
    server = serve(answered(status, b'{"detail":\n"no \x1b[2J such thing"}'))

    with pytest.raises(Rejected, match=rf"{status}: ..detail.: .no \\x1b\[2J such thing") as caught:
        post(HttpExporter(server.url), make.batch(make.call()))

    assert "rejected_4xx" == caught.value.reason


def test_redirects_are_not_followed(make, serve, answered):
    """Records go where they were meant to go, and keys with them, or nowhere."""
    elsewhere = serve(200)
    server = serve(answered(307, location=elsewhere.url))

    with pytest.raises(Rejected, match=r"307.*final address"):
        post(HttpExporter(server.url), make.batch(make.call()))

    assert 0 == elsewhere.connections


def sized(limit: int, answered, status: int = 413):
    """A server's answers: *status* for more than *limit* records, and for every batch with a poisonous one."""

    def answer(connection):
        _, headers, body = answer.server.requests[-1]
        body = gzip.decompress(body) if headers.get("content-encoding") else body
        fine = len(json.loads(body)) <= limit and b"poison" not in body
        connection.sendall(answered(200 if fine else status))
        return True

    return answer


def test_a_batch_that_is_too_large_is_halved_until_it_fits(make, serve, answered):
    """Every record arrives once, in order, each part under an id of its own that is the same next time."""
    answers = sized(2, answered)
    server = answers.server = serve(answers)
    batch = make.batch(*[make.call(id=str(n)) for n in range(7)])

    post(HttpExporter(server.url), batch)
    once = [(h["x-llm-observe-batch"], len(b)) for _, h, b in server.requests]
    post(HttpExporter(server.url), batch)
    again = [(h["x-llm-observe-batch"], len(b)) for _, h, b in server.requests[len(once) :]]

    assert ["batch-1", "batch-1.0-3", "batch-1.0-1", "batch-1.1-3", "batch-1.3-7", "batch-1.3-5", "batch-1.5-7"] == [
        label for label, _ in once
    ]
    assert once == again


@pytest.mark.parametrize("status", [400, 413])
@pytest.mark.parametrize("poisonous", range(5))
def test_one_record_that_is_refused_costs_only_itself(make, serve, answered, status, poisonous):
    """The others arrive, wherever it stands among them; how many did not is said."""
    answers = sized(99, answered, status)
    server = answers.server = serve(answers)

    with pytest.raises(Rejected, match=rf"1 of 5 records: .*{status}") as caught:
        post(HttpExporter(server.url), make.batch(*[make.call(id=str(n), name="poison" if n == poisonous else "x") for n in range(5)]))

    bodies = [json.loads(body) for _, headers, body in server.requests if not headers.get("content-encoding")]
    arrived = [record["id"] for body in bodies for record in body if all(one["name"] != "poison" for one in body)]
    assert ("rejected_4xx", 1) == (caught.value.reason, caught.value.count)
    assert [str(n) for n in range(5) if n != poisonous] == arrived


def test_a_single_record_that_is_too_large_is_rejected(make, serve):
    """There is nothing left to halve."""
    with pytest.raises(Rejected, match="413") as caught:
        post(HttpExporter(serve(413).url), make.batch(make.call()))

    assert None is caught.value.count


def test_when_half_of_a_batch_arrived_only_the_rest_is_sent_again(make, serve):
    """A retry does not repeat what is settled."""
    server = serve(413, 200, 503, 200)
    exporter, batch = HttpExporter(server.url), make.batch(make.call(id="a"), make.call(id="b"))

    with pytest.raises(RetryLater):
        post(exporter, batch)
    post(exporter, batch)

    assert ["batch-1", "batch-1.0-1", "batch-1.1-2", "batch-1.1-2"] == [h["x-llm-observe-batch"] for _, h, _ in server.requests]


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_when_nobody_listens_the_batch_comes_back(make, serve):
    """As soon as somebody does, it arrives."""
    server = serve(200)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(RetryLater, match=rf"http://127.0.0.1:{port}/x: ConnectError"):
        post(HttpExporter(f"http://127.0.0.1:{port}/x?key=canary"), make.batch(make.call()))
    post(HttpExporter(server.url), make.batch(make.call()))

    assert ["call-1"] == server.records()


def test_a_name_nobody_knows_brings_the_batch_back(make):
    """DNS may recover."""
    with pytest.raises(RetryLater, match="ConnectError"):
        post(HttpExporter("http://nobody.invalid/"), make.batch(make.call()))


MISDEEDS = {
    "resets instead of answering": reset,
    "hangs up in the middle of its answer": lambda connection: connection.sendall(b"HTTP/1.1 20"),
    "says what is no HTTP": lambda connection: connection.sendall(b"\x00\xffGARBAGE\r\n\r\n" * 10),
}


@pytest.mark.parametrize("misdeed", MISDEEDS.values(), ids=MISDEEDS)
def test_a_connection_that_breaks_brings_the_batch_back(make, serve, misdeed):
    """Under the same id, so that the receiver can tell a repeat; the next connection is a new one."""
    server = serve(misdeed, 200)
    exporter, batch = HttpExporter(server.url), make.batch(make.call())

    async def main():
        with pytest.raises(RetryLater):
            await exporter.export(batch)
        await exporter.export(batch)
        await exporter.aclose()

    anyio.run(main)

    assert ["batch-1", "batch-1"] == [headers["x-llm-observe-batch"] for _, headers, _ in server.requests]


def spam(connection):
    """Say `wait` for ever."""
    while True:
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
        time.sleep(0.001)


STALLS = {
    "never answers": lambda connection: connection.recv(1),
    "answers a byte at a time": dripping(b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 60),
    "says `wait` for ever": spam,
}


@pytest.mark.parametrize("stall", STALLS.values(), ids=STALLS)
def test_the_whole_exchange_has_one_deadline(make, serve, stall):
    """However the time is wasted, the batch comes back when it is over."""
    server = serve(stall)
    before = time.monotonic()

    with pytest.raises(RetryLater, match=r"took longer than 0.5 s"):
        post(HttpExporter(server.url, timeout=0.5), make.batch(make.call()))

    assert 0.4 < time.monotonic() - before < 5


def test_an_address_that_swallows_packets_has_a_deadline_of_its_own(make):
    """Connecting may take less than all the rest."""
    with socket.socket() as full:  # a queue of none: whoever connects after the first waits
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        before = time.monotonic()

        with pytest.raises(RetryLater, match="ConnectTimeout"):
            post(HttpExporter(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=100, connect_timeout=0.3), make.batch(make.call()))

        took = time.monotonic() - before
        for one in waiting:
            one.close()
    assert took < 20


def test_a_success_counts_although_its_body_never_ends(make, serve):
    """The status has said it: nothing is sent twice for a body nobody needs."""
    server = serve(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12") or connection.recv(1))
    before = time.monotonic()

    post(HttpExporter(server.url), make.batch(make.call()))

    assert time.monotonic() - before < 5


def test_a_success_counts_although_its_body_breaks_off(make, serve):
    """A reset after the status is no reason to send again."""
    server = serve(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12") or reset(connection))

    post(HttpExporter(server.url), make.batch(make.call()))

    assert 1 == len(server.requests)


def test_of_a_huge_answer_only_the_beginning_is_read(make, serve):
    """A gigabyte of answer costs neither memory nor time, and the connection is given up."""

    def flood(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b"x" * 1_000_000)
        return False

    server = serve(flood)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()

    post(HttpExporter(server.url), make.batch(make.call()))

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB; the server's thread is in here too
    assert time.monotonic() - started < 5


def test_a_compressed_answer_is_not_unpacked(make, serve, answered):
    """A bomb stays a bomb."""
    bomb = gzip.compress(b"\0" * 50_000_000)
    server = serve(answered(400, bomb, content_encoding="gzip"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(Rejected):
        post(HttpExporter(server.url), make.batch(make.call()))

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


# --- loops and processes ---------------------------------------------------------------------------------------------


def test_another_loop_gets_connections_of_its_own(make, serve):
    """The sink may have died and been started again; what it left open is not its successor's."""
    server = serve(200)
    exporter = HttpExporter(server.url)
    with asyncio.Runner() as first:
        first.run(exporter.export(make.batch(make.call(id="a"))))
        left = exporter._transport
        successor = threading.Thread(target=post, args=[exporter, make.batch(make.call(id="b"), id="2")])
        successor.start()
        successor.join()
        first.run(left.aclose())

    assert (2, ["a", "b"]) == (server.connections, server.records())


def test_closing_in_another_loop_closes_nothing_of_the_first(make, serve):
    """There is nothing to wait for there."""
    server = serve(200)
    exporter = HttpExporter(server.url)

    async def main():
        await exporter.export(make.batch(make.call()))
        transport = exporter._transport
        await anyio.to_thread.run_sync(anyio.run, exporter.aclose)
        await transport.aclose()

    anyio.run(main)

    assert None is exporter._transport


def test_a_forked_child_does_not_speak_on_its_parents_connection(make, serve):
    """It opens one of its own, and the parent's goes on to work."""
    server = serve(200)
    exporter = HttpExporter(server.url)

    async def main():
        await exporter.export(make.batch(make.call(id="parent-1")))
        pid = os.fork()
        if pid == 0:  # pragma: no cover - coverage does not survive os._exit
            code = 1
            try:
                child = threading.Thread(target=post, args=[exporter, make.batch(make.call(id="child"), id="2")])
                child.start()
                child.join()
                code = 0
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode((await anyio.to_thread.run_sync(os.waitpid, pid, 0))[1])
        await exporter.export(make.batch(make.call(id="parent-2"), id="3"))
        await exporter.aclose()
        return code

    assert 0 == anyio.run(main)
    assert (2, ["parent-1", "child", "parent-2"]) == (server.connections, server.records())


# --- what it is told -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("collector:4318", "expected http://host/path"),
        ("ftp://host/", "expected http://host/path"),
        ("http:///path", "expected http://host/path"),
        ("http://host:99999/", "no port 99999"),
        ("http://ho\nst/", "cannot be read"),
        ("", "expected http://host/path"),
    ],
)
def test_an_address_that_cannot_work_is_refused(url, says):
    """At once, with what was expected."""
    with pytest.raises(SettingsError, match=says):
        HttpExporter(url)


def test_a_password_in_the_address_is_refused_and_not_repeated():
    """Addresses are shown in places where passwords must not be."""
    with pytest.raises(SettingsError, match=r"address of host; pass headers") as caught:
        HttpExporter("https://user:canary@host/x")

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"x y": "canary"}, "'x y' cannot be the name"),
        ({"x-key": "canary\r\nx: y"}, "value of the header x-key cannot be sent"),
        ({"x-key": "canäry"}, "value of the header x-key cannot be sent"),
        ({"x-key": 5}, "value of the header x-key cannot be sent"),
        ({"Content-Type": "canary"}, "header Content-Type is set by the exporter"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused(headers, says):
    """By its name: its value may be a key."""
    with pytest.raises(SettingsError, match=says) as caught:
        HttpExporter("https://host/", headers=headers)

    assert "can" not in str(caught.value).replace("cannot", "")


@pytest.mark.parametrize("times", [{"timeout": 0}, {"connect_timeout": -1}, {"timeout": float("nan")}])
def test_times_of_nothing_are_refused(times):
    """No exchange is that fast."""
    with pytest.raises(SettingsError, match=r"more than 0"):
        HttpExporter("https://host/", **times)


def test_it_says_where_it_posts_and_nothing_secret():
    """The repr has neither the query nor a header's value."""
    shown = repr(HttpExporter("https://host/x?key=canary", headers={"Authorization": "canary"}))

    assert "HttpExporter('https://host/x', headers=['accept', 'accept-encoding', 'authorization', 'user-agent'])" == shown


def test_without_its_package_the_error_names_the_extra():
    """`pip install` what, exactly."""
    code = "import sys; sys.modules['httpx2'] = None; import llm_observe.exporters.http"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "MissingExtra: httpx2 is not installed; `pip install 'llm-observe[http]'` brings it." in done.stderr
