"""requests against a real server: one exchange a request, however it is read, and nothing of it is changed."""

import copy
import functools
import gc
import io
import json
import pickle
import shutil
import socket
import threading

import pytest

from llm_observe import capture
from llm_observe.testing import recording
from llm_observe.testing.provider import Reply

requests = pytest.importorskip("requests")

ASKED = {"model": "fake-echo", "messages": [{"role": "user", "content": "hi"}]}
STREAM = ASKED | {"stream": True}
LINES = b"".join(b"data: line %d\n\n" % n for n in range(50))
X = "/x/chat/completions"


@pytest.fixture
def ask(llm_provider):
    """Ask the provider; the response, which is closed at the end."""
    with requests.Session() as session:

        def post(body=STREAM, *, path="/v1/chat/completions", stream=True, **options):
            asked = options if "data" in options else {"json": body} | options
            return session.post(llm_provider.url + path, stream=stream, **asked)

        post.session = session
        yield post


def said(call):
    """What the model said."""
    return "".join(part.content for message in call.output.messages for part in message.parts)


# --- what is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("body", [ASKED, STREAM, ASKED | {"model": "fake-gzip"}, STREAM | {"model": "fake-gzip"}])
def test_a_call_is_on_record(ask, llm_records, llm_provider, body, stream):
    """What was asked and what was answered, packed or not, from a client that is named."""
    content = ask(body, stream=stream).content

    (call,) = llm_records.calls
    assert ("ok", "eof", "requests", "You said: hi") == (call.status, call.wire.end, call.wire.client, said(call))
    assert ("127.0.0.1", llm_provider.url) == (call.server.address, f"http://127.0.0.1:{call.server.port}")
    assert ("hi", len(content)) == (call.input.messages[0].parts[0].content, call.wire.response_size)


@pytest.mark.parametrize(
    "given", [{"json": ASKED}, {"data": json.dumps(ASKED)}, {"data": json.dumps(ASKED).encode()}], ids=["json", "str", "bytes"]
)
def test_the_request_is_kept_as_it_is_sent(ask, exchanges, llm_provider, given):
    """However the body is given, the bytes are those that the server gets."""
    ask(**given).close()

    (exchange,) = exchanges
    assert llm_provider.requests[0].raw == exchange.request_body
    assert len(llm_provider.requests[0].raw) == exchange.request_size


@pytest.mark.parametrize("data", [lambda: io.BytesIO(b'{"model":'), lambda: iter([b'{"model":'])], ids=["file", "iterator"])
def test_a_body_that_is_read_while_it_is_sent_is_not_read_by_us(ask, exchanges, llm_provider, data):
    """It arrives whole, and the call is recorded without it."""
    llm_provider.route(lambda received: True, Reply(raw=b"{}"))
    ask(data=data(), path="/x/completions").close()

    assert b'{"model":' == llm_provider.requests[0].raw
    assert [(None, 0)] == [(exchange.request_body, exchange.request_size) for exchange in exchanges]


def test_the_request_is_the_same_with_and_without_us(ask, llm_provider, llm_records):
    """Not a byte and not a header is added to what the session sends."""

    def sent():
        ask(ASKED).close()
        received = llm_provider.requests[-1]
        return received.method, received.path, received.raw, list(received.headers.items())

    with_us = sent()
    capture.uninstall()
    try:
        assert sent() == with_us
    finally:
        capture.install()
    assert 1 == len(llm_records.calls)


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/chat/completions"), ("PUT", "/v1/chat/completions"), ("POST", "/v1/orders")])
def test_other_traffic_is_nobody_s_business(llm_provider, exchanges, method, path):
    """It is not even queued."""
    requests.request(method, llm_provider.url + path, json=ASKED)

    assert [] == exchanges


def test_an_answer_that_is_fetched_is_on_record(llm_provider, exchanges):
    """What was asked for in the background is asked after by its id: a GET without a body."""
    llm_provider.route(lambda received: True, Reply(raw=b"{}"))
    requests.get(llm_provider.url + "/v1/responses/resp_1?stream=true")

    assert [("GET", "/v1/responses/resp_1", None, [b"{}"])] == [
        (exchange.method, exchange.path, exchange.request_body, exchange.chunks) for exchange in exchanges
    ]


def test_what_is_no_prepared_request_is_the_library_s_to_refuse(llm_records):
    """The exception is the one that comes without us."""
    with requests.Session() as session, pytest.raises(AttributeError):
        session.send(object())

    assert 0 == llm_records.observer.stats().errors


# --- ways to read an answer ------------------------------------------------------------------------------------------


def into_file(response):
    """What `shutil` makes of it."""
    file = io.BytesIO()
    response.raw.decode_content = True
    shutil.copyfileobj(response.raw, file)
    return [file.getvalue()]


def patched(response):
    """The way in which many have it unpacked."""
    response.raw.read = functools.partial(response.raw.read, decode_content=True)
    return [response.raw.read(10), response.raw.read()]


def buffered(response):
    """Through the standard library's buffer."""
    response.raw.decode_content = True
    return [io.BufferedReader(response.raw, 64).read()]


def by_readinto(response):
    """Into memory of the application's."""
    response.raw.decode_content = True
    found, buffer = [], bytearray(32)
    while count := response.raw.readinto(buffer):
        found.append(bytes(buffer[:count]))
    return found


def by_lines(response):
    """Line by line, from the raw response."""
    response.raw.decode_content = True
    return [*iter(response.raw.readline, b"")]


WAYS = {
    "content": lambda response: [response.content],
    "text": lambda response: [response.text.encode()],
    "iter_content": lambda response: [*response.iter_content(16)],
    "iter_content(None)": lambda response: [*response.iter_content(None)],
    "iter_lines": lambda response: [line + b"\n" for line in response.iter_lines()],
    "iter": lambda response: [*response],
    "raw.read": lambda response: [response.raw.read(decode_content=True)],
    "raw.read(16)": lambda response: [*iter(lambda: response.raw.read(16, True), b"")],
    "raw.read(amt=16)": lambda response: [*iter(lambda: response.raw.read(amt=16, decode_content=True), b"")],
    "raw.read(0) and all": lambda response: [response.raw.read(0, True), response.raw.read(None, True)],
    "raw.read1": lambda response: [*iter(lambda: response.raw.read1(16, decode_content=True), b"")],
    "raw.stream": lambda response: [*response.raw.stream(16, decode_content=True)],
    "raw.read_chunked": lambda response: [*response.raw.read_chunked(16, decode_content=True)],
    "raw iteration": lambda response: [*response.raw],
    "raw.readinto": by_readinto,
    "raw.readline": by_lines,
    "raw.readlines": lambda response: setattr(response.raw, "decode_content", True) or response.raw.readlines(),
    "copyfileobj": into_file,
    "patched read": patched,
    "BufferedReader": buffered,
}


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_the_bytes_are_those_of_the_server_and_each_is_kept_once(ask, llm_provider, exchanges, way, gzip):
    """Whatever way the answer is read in; what comes out is the same without us."""
    llm_provider.route(lambda received: True, Reply(raw=LINES, chunks=7, gzip=gzip))
    got = way(ask(path=X))

    (exchange,) = exchanges
    assert LINES == b"".join(got) == b"".join(exchange.chunks)
    assert ("eof", len(LINES)) == (exchange.end, exchange.response_size)
    assert not gzip or exchange.content_decoded
    capture.uninstall()
    try:
        assert got == way(ask(path=X))
    finally:
        capture.install()


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_an_answer_that_is_read_in_many_ways_is_kept_once(ask, llm_provider, exchanges, gzip):
    """One after the other, a loop that is left among them: where a length was told, urllib3 lets one read on."""
    llm_provider.route(lambda received: True, Reply(raw=LINES, gzip=gzip))
    response = ask(path=X)
    response.raw.decode_content = True
    got = [response.raw.read(10), response.raw.readline()]
    for piece in response.iter_content(7):
        got.append(piece)
        break
    got += response.iter_content(100)

    assert [(LINES, "eof")] == [(b"".join(exchange.chunks), exchange.end) for exchange in exchanges]
    assert LINES == b"".join(got)


def test_a_loop_that_is_left_is_the_end_where_it_closes_the_connection(ask, llm_records):
    """Of an answer in chunks urllib3 lets nobody read on: the record need not wait for the response to be dropped."""
    response = ask()
    for _ in response.iter_content(5):
        break

    assert [("truncated", "closed")] == [(call.status, call.wire.end) for call in llm_records.calls]
    assert response.raw.closed


def test_data_of_the_raw_response_is_kept_once(ask, llm_provider, exchanges):
    """It is read by the first look, and is JSON too where it is."""
    llm_provider.route(lambda received: True, Reply(raw=b'{"a": 1}'))
    response = ask(path=X)

    assert (b'{"a": 1}', b'{"a": 1}', {"a": 1}) == (response.raw.data, response.raw.data, response.raw.json())
    assert [([b'{"a": 1}'], "eof")] == [(exchange.chunks, exchange.end) for exchange in exchanges]


def test_what_is_kept_is_what_was_read(ask, llm_provider, exchanges):
    """Not a copy, and piece by piece."""
    llm_provider.route(lambda received: True, Reply(raw=LINES, chunks=7))
    got = [*ask(path=X).iter_content(16)]

    assert [id(piece) for piece in got] == [id(piece) for piece in exchanges[0].chunks]


def test_an_answer_that_is_not_unpacked_is_kept_packed(ask, llm_records):
    """The raw response as it is gives the bytes of the wire, and so it is kept."""
    body = ask(ASKED | {"model": "fake-gzip"}).raw.read()

    assert b"\x1f\x8b" == body[:2]
    assert [("ok", "You said: hi")] == [(call.status, said(call)) for call in llm_records.calls]


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_read_twice_is_kept_once(ask, llm_records, stream):
    """The second time it comes from the response itself."""
    response = ask(ASKED, stream=stream)
    document = response.json()

    assert [response.content] == [b"".join(response.iter_content(10))]
    assert "You said: hi" == document["choices"][0]["message"]["content"]
    assert [("ok", len(response.content))] == [(call.status, call.wire.response_size) for call in llm_records.calls]


def test_the_raw_response_is_still_urllib3_s(ask, llm_records):
    """It is of its class, has its attributes, and takes new values for them."""
    raw = ask().raw

    import urllib3

    assert isinstance(raw, urllib3.HTTPResponse)
    assert isinstance(raw, io.IOBase)
    assert (200, False, True, False) == (raw.status, raw.closed, raw.readable(), hasattr(raw, "there_is_no_such_attribute"))
    assert "HTTPResponse" in repr(raw)
    raw.decode_content = True
    assert raw._inner.decode_content is True


def test_a_copied_or_pickled_response_is_read_as_without_us(ask, llm_records):
    """Both read what there is to read."""
    first, second = ask(), ask()

    assert copy.copy(first).content == first.content
    assert pickle.loads(pickle.dumps(second)).content == second.content
    assert ["ok", "ok"] == [call.status for call in llm_records.calls]


def test_an_adapter_whose_raw_is_only_a_file(exchanges):
    """It is read as requests reads files, and what it lacks is lacking."""

    class Local(requests.adapters.BaseAdapter):
        def send(self, request, **options):
            response = requests.Response()
            response.status_code, response.raw, response.url, response.request = 200, io.BytesIO(LINES), request.url, request
            return response

        def close(self):
            pass

    with requests.Session() as session:
        session.mount("local://", Local())
        response = session.post("local://host/v1/chat/completions", json=ASKED, stream=True)
        assert not hasattr(response.raw, "stream")
        assert LINES == b"".join(response.iter_content(50))
        second = session.post("local://host/v1/chat/completions", json=ASKED, stream=True)
        assert LINES.splitlines(keepends=True) == [next(second.raw), *second.raw]
        third = session.post("local://host/v1/chat/completions", json=ASKED, stream=True)
        with third.raw as raw:
            assert LINES[:4] == raw.read(4)
        fourth = session.post("local://host/v1/chat/completions", json=ASKED, stream=True)
        fourth.raw.read()
        with pytest.raises(StopIteration):
            next(fourth.raw)

    assert [(LINES, "eof"), (LINES, "eof"), (LINES[:4], "closed"), (LINES, "eof")] == [
        (b"".join(exchange.chunks), exchange.end) for exchange in exchanges
    ]


def test_an_answer_that_has_no_raw_response(exchanges):
    """Nobody can read it."""

    class Empty(requests.adapters.BaseAdapter):
        def send(self, request, **options):
            response = requests.Response()
            response.status_code, response.url, response.request = 200, request.url, request
            return response

        def close(self):
            pass

    with requests.Session() as session:
        session.mount("local://", Empty())
        session.post("local://host/v1/chat/completions", json=ASKED, stream=True)
        session.post("local://host/v1/chat/completions", json=ASKED)

    assert [(200, "closed"), (200, "eof")] == [(exchange.status_code, exchange.end) for exchange in exchanges]


def test_an_answer_that_a_response_hook_has_read(ask, llm_records):
    """Whole, it is recorded whole; piece by piece, it is nobody's any more."""
    ask(ASKED, hooks={"response": lambda response, **_: response.content and None})
    ask(ASKED, hooks={"response": lambda response, **_: [*response.iter_content()] and None})

    assert [("ok", "eof", "You said: hi"), ("truncated", "closed", "")] == [
        (call.status, call.wire.end, said(call)) for call in llm_records.calls
    ]


# --- answers that are left -------------------------------------------------------------------------------------------


def leave_in_context(response):
    """Nothing is read."""
    with response:
        pass


def leave_in_loop(response):
    """One line is read."""
    with response:
        for _ in response.iter_lines(10):
            break


LEFT = {
    "context": leave_in_context,
    "break": leave_in_loop,
    "close": lambda response: response.close(),
    "raw.close": lambda response: response.raw.close(),
    "raw.release_conn": lambda response: response.raw.release_conn(),
    "raw context": lambda response: response.raw.__enter__().__exit__(None, None, None),
}


@pytest.mark.parametrize("leave", LEFT.values(), ids=list(LEFT))
def test_an_answer_that_is_left_is_closed(ask, llm_records, llm_provider, leave):
    """It is truncated, with what was heard by then."""
    llm_provider.enqueue(Reply("one two three", chunk_delay=30, chunks=3))
    leave(ask())

    (call,) = llm_records.calls
    assert ("truncated", "closed", 200) == (call.status, call.wire.end, call.wire.status_code)


def test_an_answer_whose_rest_is_thrown_away(ask, llm_records):
    """Nobody saw it."""
    ask().raw.drain_conn()

    assert [("truncated", "closed")] == [(call.status, call.wire.end) for call in llm_records.calls]


@pytest.mark.parametrize("read_some", [False, True])
def test_an_answer_that_nobody_reads_is_abandoned(ask, llm_records, llm_provider, read_some):
    """The garbage collector ends it."""
    llm_provider.enqueue(Reply("one two three", chunk_delay=30, chunks=3))
    response = ask()
    if read_some:
        response.raw.read(5)
    del response
    gc.collect()

    (call,) = llm_records.calls
    assert ("truncated", "abandoned", read_some) == (call.status, call.wire.end, call.wire.response_size > 0)


# --- calls that fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [401, 429, 500])
def test_an_error_status_is_on_record(ask, llm_records, llm_provider, status, stream):
    """With what the provider says of it."""
    llm_provider.route("fake-echo", Reply("no", status=status, headers={"retry-after": "7"}))
    with pytest.raises(requests.HTTPError):
        response = ask(stream=stream)
        assert b"no" in response.content
        response.raise_for_status()

    (call,) = llm_records.calls
    assert ("error", "no", 7.0) == (call.status, call.error.message, call.attempts[0].retry_after)


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_cut_in_the_middle(ask, llm_records, stream):
    """The exception is the library's; of a stream, what was heard is on record."""
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        [*ask(STREAM | {"model": "fake-broken-stream"}, stream=stream).iter_content(64)]

    (call,) = llm_records.calls
    assert ("error", "error", "ProtocolError" if stream else "ChunkedEncodingError") == (call.status, call.wire.end, call.error.type)
    assert bool(said(call)) is stream


def test_a_raw_read_that_fails(ask, llm_records):
    """The exception is urllib3's."""
    import urllib3

    with pytest.raises(urllib3.exceptions.ProtocolError):
        ask(STREAM | {"model": "fake-broken-stream"}).raw.read()

    assert [("error", "ProtocolError")] == [(call.status, call.error.type) for call in llm_records.calls]


def test_a_timeout_in_the_middle_of_a_stream(ask, llm_records, llm_provider):
    """An error by the name of timeout."""
    llm_provider.enqueue(Reply("one two three", chunk_delay=30, chunks=3))
    with pytest.raises(requests.ConnectionError):
        [*ask(timeout=0.1).iter_content(5)]

    assert [("error", "timeout")] == [(call.status, call.error.type) for call in llm_records.calls]


def test_a_timeout_before_an_answer(ask, llm_records, llm_provider):
    """It comes out of the call itself."""
    llm_provider.enqueue(Reply(delay=30))
    with pytest.raises(requests.ReadTimeout):
        ask(timeout=0.1)

    assert [("error", "timeout", None)] == [(call.status, call.error.type, call.wire.status_code) for call in llm_records.calls]


def test_a_provider_that_is_not_there(llm_records):
    """What was asked is on record; what the exception says is, without the query that it quotes."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(requests.ConnectionError, match="secret"):
        requests.post(f"http://127.0.0.1:{port}/v1/chat/completions?key=secret", json=ASKED)

    (call,) = llm_records.calls
    assert ("error", "ConnectionError", "fake-echo") == (call.status, call.error.type, call.request.model)
    assert "/v1/chat/completions" in call.error.message
    assert "secret" not in call.error.message


# --- redirects and threads -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_redirect_is_part_of_its_call(ask, exchanges, llm_provider, stream):
    """One exchange, with the address that was asked and the answer that came."""
    moved = Reply(raw=b"moved", status=307, headers={"location": "/new/chat/completions"})
    llm_provider.route(lambda received: received.path == "/old/chat/completions", moved)
    llm_provider.route(lambda received: received.path == "/new/chat/completions", Reply(raw=b"{}"))

    assert b"{}" == ask(path="/old/chat/completions", stream=stream).content
    assert [("/old/chat/completions", 200, [b"{}"], STREAM)] == [
        (exchange.path, exchange.status_code, exchange.chunks, json.loads(exchange.request_body)) for exchange in exchanges
    ]


def test_a_redirect_that_is_not_followed_is_an_answer(ask, exchanges, llm_provider):
    """The library itself reads it, to see where it leads."""
    llm_provider.route(lambda received: True, Reply(raw=b"moved", status=307, headers={"location": "/new/chat/completions"}))
    ask(path=X, allow_redirects=False)

    assert [(307, [b"moved"], "eof")] == [(exchange.status_code, exchange.chunks, exchange.end) for exchange in exchanges]


def test_a_redirect_to_a_call_is_a_call(ask, exchanges, llm_provider):
    """Also where what was asked for is none."""
    llm_provider.route(lambda received: received.path == "/old", Reply(raw=b"", status=307, headers={"location": "/new/chat/completions"}))
    llm_provider.route(lambda received: received.path == "/new/chat/completions", Reply(raw=b"{}"))
    ask(path="/old").close()

    assert ["/new/chat/completions"] == [exchange.path for exchange in exchanges]


def test_a_call_made_while_another_is_sent_is_its_own(llm_provider, exchanges):
    """An application that is served within the process asks a model itself, by another session."""

    class Served(requests.adapters.BaseAdapter):
        def send(self, request, **options):
            requests.post(llm_provider.openai_base_url + "/chat/completions", json=ASKED)
            response = requests.Response()
            response.status_code, response.raw, response.url, response.request = 200, io.BytesIO(b"{}"), request.url, request
            return response

        def close(self):
            pass

    with requests.Session() as session:
        session.mount("local://", Served())
        session.post("local://gateway/v1/chat/completions", json=ASKED)

    assert ["127.0.0.1", "gateway"] == [exchange.host for exchange in exchanges]


def test_calls_in_threads_keep_apart(ask, llm_provider, llm_records):
    """Eight at once in one session: each has its own question and its own answer."""

    def call(n):
        ask({"model": "fake-echo", "stream": bool(n % 2), "messages": [{"role": "user", "content": str(n)}]}).content

    threads = [threading.Thread(target=call, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {str(n): f"You said: {n}" for n in range(8)} == {
        call.input.messages[0].parts[0].content: said(call) for call in llm_records.calls
    }


# --- never hurt the host ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        "llm_observe.capture._begin.observer_here",
        "llm_observe.capture._begin.Tap",
        "llm_observe.capture._begin.as_bytes",
        "llm_observe.capture.requests.Raw",
        "llm_observe.capture._tap.Tap.headers",
        "llm_observe.capture._tap.Tap.chunk",
    ],
)
def test_a_failure_of_the_hook_never_reaches_the_application(ask, monkeypatch, what):
    """The bytes arrive as without us, and the failure is counted."""

    def broken(*_, **__):
        raise RuntimeError("ours")

    with recording(strict=False) as recorded:
        with monkeypatch.context() as patch:
            patch.setattr(what, broken)
            assert b"You said" in ask(ASKED).content
        assert 1 <= recorded.observer.stats().errors
