"""The provider as a server: connections, broken ones too, and its end."""

import socket
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_observe.testing.provider import FakeProvider, Reply


def address(provider):
    """Host and port."""
    parts = urllib.parse.urlsplit(provider.url)
    return parts.hostname, parts.port


def head(length, *lines):
    """The head of a request."""
    return "\r\n".join(["POST /v1/chat/completions HTTP/1.1", "Host: x", f"Content-Length: {length}", *lines, "", ""]).encode()


def ask(*lines, stream=False):
    """A whole request."""
    body = b'{"model": "m", "stream": %s, "messages": [{"role": "user", "content": "hi"}]}' % (b"true" if stream else b"false")
    return head(len(body), *lines) + body


def talk(provider, *messages):
    """Everything that comes back until the provider closes."""
    with socket.create_connection(address(provider), timeout=5) as sock:
        for message in messages:
            sock.sendall(message)
        got = b""
        while data := sock.recv(65_536):
            got += data
        return got


def provider_threads():
    """The names of the threads that a provider runs now."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("fake-provider")]


def eventually(condition):
    """Whether *condition* comes true soon."""
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    return condition()


@pytest.fixture
def noise(monkeypatch, capfd):
    """What threads of the provider raised, and what anybody wrote to stderr."""
    raised = []
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_value))
    return lambda: (raised, capfd.readouterr().err)


def test_a_connection_is_kept_for_further_requests(provider):
    """Two requests, one connection, until the client asks to close it."""
    assert 2 == talk(provider, ask(), ask("Connection: close")).count(b"HTTP/1.1 200 ")


def test_a_stream_is_chunked_and_the_connection_kept_after_it(provider):
    """The empty chunk ends the first answer, not the connection."""
    got = talk(provider, ask(stream=True), ask("Connection: close"))

    assert (2, 1) == (got.count(b"HTTP/1.1 200 "), got.count(b"data: [DONE]\n\n\r\n0\r\n\r\n"))


def test_each_event_is_a_chunk_of_its_own(provider):
    """Clients see as many pieces as there are events: role, three words, finish, done."""
    got = talk(provider, ask("Connection: close", stream=True)).partition(b"\r\n\r\n")[2]

    assert 6 == got.count(b"\n\n\r\n")


def test_a_chunked_request_is_read(provider):
    """Clients that stream their body are understood, extensions and trailers too."""
    start = b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    got = talk(provider, start, b'c;x=1\r\n{"model": "m\r\n', b'2\r\n"}\r\n', b"0\r\nTrailer: x\r\n\r\n")

    assert (True, b'{"model": "m"}') == (got.startswith(b"HTTP/1.1 200 "), provider.requests[0].raw)


def test_a_client_that_waits_for_leave_is_given_it(provider):
    """As curl does with large bodies."""
    assert True is talk(provider, ask("Expect: 100-continue", "Connection: close")).startswith(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "
    )


def test_a_header_that_comes_twice_is_joined(provider):
    """As HTTP says."""
    talk(provider, ask("X-Mine: a", "x-mine: b", "Connection: close"))

    assert "a, b" == provider.requests[0].headers["x-mine"]


@pytest.mark.parametrize(
    "message", [b"hello\r\n", b"GET /\r\n\r\n", head("many"), b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]
)
def test_what_is_no_http_is_a_bad_request(provider, message):
    """And the connection is closed."""
    assert True is talk(provider, message).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("sent", [b"", head(10)[:30], head(10) + b"abc", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"])
def test_a_client_that_leaves_in_the_middle_of_its_request_is_let_go(provider, noise, sent):
    """Nothing is recorded, nothing is written, the thread ends."""
    with socket.create_connection(address(provider)) as sock:
        sock.sendall(sent)

    assert (True, ([], ""), []) == (eventually(lambda: provider_threads() == ["fake-provider"]), noise(), provider.requests)


def test_a_client_that_goes_away_mid_stream_leaves_no_trace_on_stderr(provider, noise):
    """The write fails; that is what clients do."""
    provider.enqueue(Reply(chunks=2000, chunk_delay=0.01))
    with socket.create_connection(address(provider)) as sock:
        sock.sendall(ask(stream=True))
        sock.recv(100)

    assert (True, ([], "")) == (eventually(lambda: provider_threads() == ["fake-provider"]), noise())


def test_a_cut_body_is_shorter_than_it_said(provider):
    """Ten bytes of the document, then the connection is closed."""
    provider.enqueue(Reply(cut_after=10))

    assert b'{"id":"cha' == talk(provider, ask()).partition(b"\r\n\r\n")[2]


def test_a_cut_stream_has_no_last_chunk(provider):
    """After one content delta nothing comes, not even the end."""
    provider.enqueue(Reply(cut_after=1))
    got = talk(provider, ask(stream=True))

    assert (True, False) == (got.rstrip().endswith(b"}"), b"0\r\n\r\n" in got)


def test_a_stream_can_be_cut_before_its_first_content(provider):
    """The role is said, and no more."""
    provider.enqueue(Reply(cut_after=0))

    assert 1 == talk(provider, ask(stream=True)).count(b"data: ")


def test_a_stream_shorter_than_its_cut_lacks_its_end_all_the_same(provider):
    """The connection is closed in place of the last chunk."""
    provider.enqueue(Reply("one", cut_after=9))
    got = talk(provider, ask(stream=True))

    assert (True, False) == (b"[DONE]" in got, b"0\r\n\r\n" in got)


def test_a_compressed_stream_can_be_cut(provider):
    """Half of a gzip body is what a recorder must bear."""
    provider.enqueue(Reply(cut_after=1, gzip=True))

    assert False is talk(provider, ask(stream=True)).endswith(b"0\r\n\r\n")


def test_a_cut_can_be_a_reset(provider):
    """The client's read fails in place of ending."""
    provider.enqueue(Reply(cut_after=1, reset=True))

    with pytest.raises(ConnectionResetError):
        talk(provider, ask())


def test_a_dropped_request_gets_nothing(provider):
    """Not even a status line; it was received all the same."""
    provider.enqueue(Reply(drop=True))

    assert (b"", 1) == (talk(provider, ask()), len(provider.requests))


def test_sixty_four_clients_at_once_are_all_served(provider):
    """None is refused, none waits for another's delay."""
    provider.enqueue(*[Reply(delay=3)] * 64)  # 30 ms in this provider
    began = time.monotonic()
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: talk(provider, ask("Connection: close")), range(64)))

    assert (64, 64, True) == (
        sum(answer.startswith(b"HTTP/1.1 200 ") for answer in answers),
        len(provider.requests),
        time.monotonic() - began < 64 * 0.03,
    )


def test_stopping_leaves_no_threads():
    """Neither the one that accepts nor those of idle connections."""
    with FakeProvider() as provider:
        sock = socket.create_connection(address(provider))
        sock.sendall(ask())
        sock.recv(10)
        busy = sorted(provider_threads())
    sock.close()

    assert (["fake-provider", "fake-provider-connection"], []) == (busy, provider_threads())


def test_stopping_does_not_wait_for_what_is_open(noise):
    """A reply that would take an hour, and a client that reads nothing of its stream, end with the provider."""
    provider = FakeProvider().start()
    provider.enqueue(Reply(delay=3600), Reply(text="x" * 50_000_000, chunks=10))
    socks = [socket.create_connection(address(provider)) for _ in range(2)]
    for sock in socks:
        sock.sendall(ask(stream=True))
        assert eventually(lambda: len(provider.requests) == socks.index(sock) + 1)
    began = time.monotonic()
    provider.stop()
    took = time.monotonic() - began
    for sock in socks:
        sock.close()

    assert (True, [], ([], "")) == (took < 30, provider_threads(), noise())


def test_a_stopped_provider_refuses_connections():
    """Its port is free again."""
    with FakeProvider() as provider:
        pass

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address(provider))


def test_a_provider_can_be_started_again_on_its_port():
    """A service that was down and came back: clients find it where it was."""
    provider = FakeProvider()
    with provider:
        first = provider.url
    with provider:
        assert (first, True) == (provider.url, talk(provider, ask("Connection: close")).startswith(b"HTTP/1.1 200 "))


def test_starting_and_stopping_twice_is_once():
    """Both may be called by whoever is not sure."""
    provider = FakeProvider()
    provider.stop()
    url = provider.start().url
    again = provider.start().url
    provider.stop()
    provider.stop()

    assert url == again


def test_a_provider_that_was_not_started_says_what_to_do():
    """There is no address yet."""
    with pytest.raises(RuntimeError, match="use `with FakeProvider"):
        FakeProvider().openai_base_url


def test_a_provider_shows_its_address():
    """In a debugger, and in a failing test."""
    provider = FakeProvider()
    idle = repr(provider)
    with provider:
        running = repr(provider)

    assert ("FakeProvider(not running)", f"FakeProvider('{provider.url}')") == (idle, running)


def test_a_failing_accept_is_tried_again():
    """Out of file descriptors is a state that passes."""

    class Scarce:
        def __init__(self, listener):
            self.listener, self.failures = listener, 2

        def accept(self):
            if self.failures:
                self.failures -= 1
                raise OSError("too many open files")
            return self.listener.accept()

    provider = FakeProvider()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        acceptor = threading.Thread(target=provider._accept, args=(Scarce(listener),))
        acceptor.start()
        assert eventually(lambda: provider._connections)
        provider._stopping.set()
        with socket.create_connection(listener.getsockname()):
            acceptor.join(5)

    assert (False, True) == (acceptor.is_alive(), eventually(lambda: not provider._connections))


def test_a_failing_accept_does_not_outlive_the_provider():
    """Stopping ends it too."""

    class Broken:
        def accept(self):
            raise OSError("too many open files")

    provider = FakeProvider()
    provider._stopping.set()

    assert None is provider._accept(Broken())
