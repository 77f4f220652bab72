"""aiohttp against a real server: one exchange a request, however it is made and read, and nothing of it is changed."""

import asyncio
import copy
import gc
import inspect
import json
import socket
import zlib

import pytest

from llm_observe import capture
from llm_observe.testing import recording
from llm_observe.testing.provider import Reply

aiohttp = pytest.importorskip("aiohttp")

ASKED = {"model": "fake-echo", "messages": [{"role": "user", "content": "hi"}]}
STREAM = ASKED | {"stream": True}
LINES = b"".join(b"data: line %d\n\n" % n for n in range(50))


@pytest.fixture
def ask(llm_provider):
    """Ask the provider in a session and a loop of their own, and *use* the response; what that gives."""

    def run(use, body=STREAM, session=None, path="/v1/chat/completions", tidy=True, **options):
        async def main():
            asked = options if "data" in options else {"json": body} | options
            async with aiohttp.ClientSession(**(session or {})) as client:
                response = await client.post(llm_provider.url + path, **asked)
                used = await use(response)
                if tidy:
                    response.close()
                return used

        return asyncio.run(main())

    return run


async def read(response):
    """All of it."""
    return await response.read()


def said(call):
    """What the model said."""
    return "".join(part.content for message in call.output.messages for part in message.parts)


# --- what is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [ASKED, STREAM], ids=["plain", "streamed"])
def test_a_call_is_on_record(ask, llm_records, llm_provider, body):
    """What was asked and what was answered, from a client that is named."""
    ask(read, body)

    (call,) = llm_records.calls
    assert ("ok", "eof", "aiohttp", "You said: hi") == (call.status, call.wire.end, call.wire.client, said(call))
    assert ("127.0.0.1", llm_provider.url) == (call.server.address, f"http://127.0.0.1:{call.server.port}")
    assert "hi" == call.input.messages[0].parts[0].content


@pytest.mark.parametrize(
    "given",
    [
        lambda: {"json": ASKED},
        lambda: {"data": json.dumps(ASKED)},
        lambda: {"data": json.dumps(ASKED).encode()},
        lambda: {"data": bytearray(json.dumps(ASKED).encode())},
        lambda: {"data": aiohttp.JsonPayload(ASKED)},
    ],
    ids=["json", "str", "bytes", "bytearray", "payload"],
)
def test_the_request_is_kept_as_it_is_sent(ask, exchanges, llm_provider, given):
    """However the body is given, the bytes are those that the server gets."""
    ask(read, **given())

    (exchange,) = exchanges
    assert llm_provider.requests[0].raw == exchange.request_body
    assert len(llm_provider.requests[0].raw) == exchange.request_size


def test_json_is_made_once_by_the_session_s_own_function(ask, exchanges):
    """We do not make it a second time, and keep what was made."""
    made = []

    def dumps(value):
        made.append(json.dumps(value, indent=1))
        return made[-1]

    ask(read, session={"json_serialize": dumps})

    assert 1 == len(made)
    assert [made[0].encode()] == [exchange.request_body for exchange in exchanges]


def test_the_session_s_headers_are_the_request_s(ask, exchanges, llm_provider):
    """Those that are allowed, wherever they were given."""
    ask(read, session={"headers": {"Anthropic-Version": "1", "X-Api-Key": "secret"}}, headers={"amz-sdk-request": "attempt=1"})

    (exchange,) = exchanges
    expected = {"anthropic-version": "1", "amz-sdk-request": "attempt=1", "content-type": "application/json"}
    assert expected | {"user-agent": llm_provider.requests[0].headers["user-agent"]} == exchange.request_headers


def test_a_body_that_is_packed_on_its_way_is_kept_unpacked(ask, exchanges):
    """`compress=` is aiohttp's to do, after us."""
    ask(read, compress=True)

    (exchange,) = exchanges
    assert STREAM == json.loads(exchange.request_body)
    assert "content-encoding" not in exchange.request_headers


def test_a_body_that_the_application_packed_is_kept_packed(ask, llm_records, llm_provider):
    """It says how, and the sink unpacks it."""
    llm_provider.route(lambda received: True, Reply(raw=b"{}"))
    ask(
        read,
        data=zlib.compress(json.dumps(ASKED).encode()),
        headers={"content-encoding": "deflate", "content-type": "application/json"},
        path="/x/chat/completions",
    )

    assert ["fake-echo"] == [call.request.model for call in llm_records.calls]


@pytest.mark.parametrize("kind", ["form", "generator", "file"])
def test_a_body_that_is_read_while_it_is_sent_is_not_read_by_us(ask, exchanges, llm_provider, tmp_path, kind):
    """It arrives whole, and the call is recorded without it."""
    file = tmp_path / "body"
    file.write_bytes(b'{"model":')

    async def pieces():
        yield b'{"model":'

    def given(opened):
        if kind == "generator":
            return pieces()
        if kind == "file":
            return opened
        form = aiohttp.FormData()
        form.add_field("file", b'{"model":', filename="x")
        return form

    llm_provider.route(lambda received: True, Reply(raw=b"{}"))
    with file.open("rb") as opened:
        ask(read, data=given(opened), path="/x/completions")

    assert b'{"model":' in llm_provider.requests[0].raw
    assert [(None, 0)] == [(exchange.request_body, exchange.request_size) for exchange in exchanges]


def test_a_request_too_long_to_keep_is_left_out(ask):
    """Its size is on record."""
    with recording(body_bytes=1024) as recorded:
        ask(read, ASKED | {"user": "x" * 4096})

    (call,) = recorded.calls
    assert 4096 < call.wire.request_size == call.truncated["input.messages"].bytes


def test_an_address_may_be_of_any_kind(llm_provider, exchanges):
    """A text, a URL, joined to a base, with a query and in any case of the method: the path is what was asked for."""

    async def main():
        async with aiohttp.ClientSession() as client, aiohttp.ClientSession(llm_provider.url) as based:
            url = f"{llm_provider.url}/v1/chat/completions"
            for response in (
                await client.post(url, json=ASKED),
                await client.post(aiohttp.client.URL(url), json=ASKED),
                await based.post("/v1/chat/completions", json=ASKED),
                await client.request("post", url + "?key=secret/x", json=ASKED),
                await client.post(url, json=ASKED, params={"key": "secret"}),
                await client.request(method="POST", url=url + "#stream", json=ASKED),
            ):
                await response.read()

    asyncio.run(main())

    assert [("POST", "/v1/chat/completions", "fake-echo")] * 6 == [
        (exchange.method, exchange.path, json.loads(exchange.request_body)["model"]) for exchange in exchanges
    ]
    assert "secret" not in repr(exchanges)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_traffic_is_nobody_s_business(llm_provider, exchanges, method):
    """It is not even queued."""

    async def main():
        async with aiohttp.ClientSession() as client:
            await (await client.post(llm_provider.url + "/v1/orders", json=ASKED)).read()
            await (await client.request(method, llm_provider.url + "/v1/chat/completions", json=ASKED)).read()

    asyncio.run(main())

    assert [] == exchanges


def test_an_answer_that_is_fetched_is_on_record(llm_provider, exchanges):
    """What was asked for in the background is asked after by its id: a GET without a body."""
    llm_provider.route(lambda received: True, Reply(raw=b"{}"))

    async def main():
        async with aiohttp.ClientSession() as client:
            await (await client.get(llm_provider.url + "/v1/responses/resp_1?stream=true")).read()

    asyncio.run(main())

    assert [("GET", "/v1/responses/resp_1", None, [b"{}"])] == [
        (exchange.method, exchange.path, exchange.request_body, exchange.chunks) for exchange in exchanges
    ]


@pytest.mark.parametrize("address", [None, "no url at all/completions", "http:///chat/completions"])
def test_what_is_no_address_is_the_library_s_to_refuse(llm_records, address):
    """The exception is the one that comes without us."""

    def refusal():
        async def main():
            async with aiohttp.ClientSession() as client:
                await client.post(address, json=ASKED)

        with pytest.raises(Exception) as caught:
            asyncio.run(main())
        return type(caught.value), str(caught.value)

    with_us = refusal()
    capture.uninstall()
    try:
        assert refusal() == with_us
    finally:
        capture.install()
    assert 0 == llm_records.observer.stats().errors


# --- ways to read an answer ------------------------------------------------------------------------------------------


async def readany(response):
    """What there is, until there is nothing."""
    return [piece async for piece in until_empty(response.content.readany)]


async def until_empty(call):
    """What *call* gives, until it is empty."""
    while piece := await call():
        yield piece


async def nowait(response):
    """Without waiting, once all is there."""
    await response.content.wait_eof()
    return [response.content.read_nowait(5), response.content.read_nowait()]


async def chunks(response):
    """Chunk by chunk."""
    found = []
    while (chunk := await response.content.readchunk()) != (b"", False):
        found.append(chunk[0])
    return found


async def exactly(response):
    """Seven bytes at a time; the rest is in the exception."""
    found = []
    try:
        while True:
            found.append(await response.content.readexactly(7))
    except asyncio.IncompleteReadError as error:
        return [*found, error.partial]


async def mixed(response):
    """In all ways, one after the other."""
    content = response.content
    return [
        await content.readline(),
        await content.read(3),
        await content.readexactly(4),
        await content.readuntil(b"2"),
        await content.read(),
    ]


async def collected(pieces):
    """What *pieces* yields."""
    return [piece async for piece in pieces]


WAYS = {
    "read()": lambda response: until_list(response.read()),
    "text()": lambda response: until_list(response.text(), str.encode),
    "content.read()": lambda response: until_list(response.content.read()),
    "content.read(5)": lambda response: collected(until_empty(lambda: response.content.read(5))),
    "content.read(0) and all": lambda response: both(response.content.read(0), response.content.read()),
    "readany": readany,
    "readline": lambda response: collected(until_empty(response.content.readline)),
    "readuntil": lambda response: collected(until_empty(lambda: response.content.readuntil(b"1"))),
    "readexactly": exactly,
    "readchunk": chunks,
    "read_nowait": nowait,
    "async for": lambda response: collected(response.content),
    "iter_any": lambda response: collected(response.content.iter_any()),
    "iter_chunked": lambda response: collected(response.content.iter_chunked(16)),
    "iter_chunks": lambda response: firsts(response.content.iter_chunks()),
    "mixed": mixed,
}


async def until_list(reading, made=bytes):
    """What *reading* gives, as one piece."""
    return [made(await reading)]


async def both(first, second):
    """What the two give."""
    return [await first, await second]


async def firsts(pairs):
    """The first of each pair."""
    return [pair[0] async for pair in pairs]


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_the_bytes_are_those_of_the_server_and_each_is_kept_once(ask, llm_provider, exchanges, way, gzip):
    """Whatever way the answer is read in."""
    llm_provider.route(lambda received: True, Reply(raw=LINES, chunks=7, gzip=gzip))
    got = b"".join(ask(way, path="/x/chat/completions"))

    (exchange,) = exchanges
    assert LINES == got == b"".join(exchange.chunks)
    assert ("eof", len(LINES), True, len(exchange.chunks)) == (
        exchange.end,
        exchange.response_size,
        exchange.content_decoded,
        len(exchange.chunk_times),
    )


def test_what_is_kept_is_what_was_read(ask, llm_provider, exchanges):
    """Not a copy, and piece by piece."""
    llm_provider.route(lambda received: True, Reply(raw=LINES, chunks=7))
    got = ask(WAYS["content.read(5)"], path="/x/chat/completions")

    assert [id(piece) for piece in got] == [id(piece) for piece in exchanges[0].chunks]


@pytest.mark.parametrize("where", ["session", "request"])
def test_an_answer_that_is_not_unpacked_is_kept_packed(ask, llm_records, where):
    """With `auto_decompress=False` the application gets the bytes of the wire, and so do we."""
    off = {"auto_decompress": False}
    body = ask(read, ASKED | {"model": "fake-gzip"}, **({"session": off} if where == "session" else off))

    assert b"\x1f\x8b" == body[:2]
    assert [("ok", "You said: hi")] == [(call.status, said(call)) for call in llm_records.calls]


def test_json_is_read_as_without_us(ask, llm_records):
    """`json()` gives the document."""

    async def use(response):
        return await response.json()

    assert "You said: hi" == ask(use, ASKED)["choices"][0]["message"]["content"]
    assert [("ok", "eof")] == [(call.status, call.wire.end) for call in llm_records.calls]


def test_what_is_read_twice_is_kept_once(ask, llm_records):
    """The second time it comes from the response itself."""

    async def use(response):
        return await response.read(), await response.text(), await response.read()

    first, text, second = ask(use, ASKED)

    assert first == second == text.encode()
    assert [("ok", len(first))] == [(call.status, call.wire.response_size) for call in llm_records.calls]


def test_an_answer_without_a_body(ask, llm_provider, exchanges):
    """204 has none, and is an answer all the same."""
    llm_provider.route(lambda received: True, Reply(raw=b"", status=204))

    assert b"" == ask(read, path="/x/chat/completions")
    assert [(204, "eof", [])] == [(exchange.status_code, exchange.end, exchange.chunks) for exchange in exchanges]


def test_the_content_is_still_the_library_s(ask, llm_records):
    """It is of its class, says what it says, has its attributes, and takes new values for them."""

    async def use(response):
        content = response.content
        content._high_water = 1 << 20
        seen = (
            isinstance(content, aiohttp.StreamReader),
            repr(content).startswith("<StreamReader"),
            content.get_read_buffer_limits()[1],
            content.total_bytes,
            hasattr(content, "there_is_no_such_attribute"),
            asyncio.isfuture(content),
            inspect.iscoroutinefunction(content.read),
        )
        return seen, content.is_eof() or await response.read()

    seen, _ = ask(use)

    assert (True, True, 1 << 20, False, False, True) == (*seen[:3], *seen[4:])
    assert seen[3] >= 0


def test_a_copy_of_the_content_is_a_copy_of_what_we_watch(ask, llm_records):
    """Copying works as without us, and dropping the copy does not end the call."""

    async def use(response):
        copied = copy.copy(response.content)
        kind = type(copied)
        del copied
        await response.read()
        return kind

    assert aiohttp.StreamReader is ask(use)
    assert [("ok", "eof")] == [(call.status, call.wire.end) for call in llm_records.calls]


def test_an_upload_of_the_content_is_what_it_is_without_us(ask, llm_records, llm_provider):
    """The library knows the content by its class when it is sent on."""
    llm_provider.route(lambda received: received.path.endswith("/upload"), Reply(raw=b"{}"))

    async def use(response):
        async with aiohttp.ClientSession() as other:
            await (await other.post(llm_provider.url + "/upload", data=response.content)).read()
        return True

    ask(use)

    assert b"[DONE]" in llm_provider.requests[-1].raw
    assert [("ok", "eof")] == [(call.status, call.wire.end) for call in llm_records.calls]


# --- answers that are left -------------------------------------------------------------------------------------------


async def leave_by_context(response):
    """Nothing is read."""
    async with response:
        pass


async def leave_by_break(response):
    """One line is read."""
    async with response:
        async for _ in response.content:
            break


async def leave_by_close(response):
    """Closed at once."""
    response.close()


async def leave_by_release(response):
    """Given back at once."""
    response.release()


LEFT = {"context": leave_by_context, "break": leave_by_break, "close": leave_by_close, "release": leave_by_release}


@pytest.mark.parametrize("leave", LEFT.values(), ids=list(LEFT))
def test_an_answer_that_is_left_is_closed(ask, llm_records, llm_provider, leave):
    """It is truncated, with what was heard by then."""
    llm_provider.enqueue(Reply("one two three", chunk_delay=30, chunks=3))
    ask(leave)

    (call,) = llm_records.calls
    assert ("truncated", "closed", 200) == (call.status, call.wire.end, call.wire.status_code)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("read_some", [False, True])
def test_an_answer_that_nobody_reads_is_abandoned(ask, llm_records, llm_provider, read_some):
    """The garbage collector ends it."""
    llm_provider.enqueue(Reply("one two three", chunk_delay=30, chunks=3))

    async def use(response):
        if read_some:
            await response.content.readline()

    ask(use, tidy=False)
    gc.collect()

    (call,) = llm_records.calls
    assert ("truncated", "abandoned", read_some) == (call.status, call.wire.end, call.wire.response_size > 0)


# --- calls that fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raises", [False, True], ids=["read", "raise_for_status"])
@pytest.mark.parametrize("status", [401, 429, 500])
def test_an_error_status_is_on_record(ask, llm_records, llm_provider, status, raises):
    """Also where the session raises it in place of the answer."""
    llm_provider.route("fake-echo", Reply("no", status=status, headers={"retry-after": "7"}))
    if raises:
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            ask(read, session={"raise_for_status": True})
        assert status == caught.value.status
    else:
        ask(read)

    (call,) = llm_records.calls
    (attempt,) = call.attempts
    assert ("error", status, 7.0) == (call.status, attempt.status_code, attempt.retry_after)
    assert attempt.provider_request_id


def test_an_answer_that_is_read_to_see_whether_it_is_good(ask, llm_records):
    """`raise_for_status` may be a function that reads the body: it is recorded whole."""

    async def check(response):
        await response.text()

    assert b"You said" in ask(read, ASKED, raise_for_status=check)
    assert [("ok", "You said: hi")] == [(call.status, said(call)) for call in llm_records.calls]


def test_an_answer_that_is_no_http(exchanges):
    """It has no status, whatever number the exception carries."""

    async def main():
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"NONSENSE\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, aiohttp.ClientSession() as client:
            with pytest.raises(aiohttp.ClientResponseError):
                await client.post(f"http://127.0.0.1:{port}/chat/completions", json=ASKED)

    asyncio.run(main())

    assert [(None, "error")] == [(exchange.status_code, exchange.end) for exchange in exchanges]


def test_a_provider_that_is_not_there(llm_records):
    """The exception passes; what was asked is on record."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    async def main():
        async with aiohttp.ClientSession() as client:
            await client.post(f"http://127.0.0.1:{port}/v1/chat/completions?key=secret", json=ASKED)

    with pytest.raises(aiohttp.ClientConnectorError):
        asyncio.run(main())

    (call,) = llm_records.calls
    assert ("error", "ClientConnectorError", "fake-echo") == (call.status, call.error.type, call.request.model)
    assert "secret" not in call.error.message


def test_a_connection_cut_in_the_middle_of_a_stream(ask, llm_records):
    """The exception is the library's, and what was heard is on record."""

    async def use(response):
        heard = []
        with pytest.raises(aiohttp.ClientPayloadError) as caught:
            async for line in response.content:
                heard.append(line)
        assert caught.value is response.content.exception()
        return heard

    assert ask(use, STREAM | {"model": "fake-broken-stream"})
    (call,) = llm_records.calls
    assert ("error", "error", "ClientPayloadError") == (call.status, call.wire.end, call.error.type)
    assert said(call)


def test_a_connection_cut_in_the_middle_of_a_document(ask, llm_records):
    """`read()` raises, and the call is an error."""

    async def use(response):
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()

    ask(use, ASKED | {"model": "fake-broken-stream"})

    assert [("error", "ClientPayloadError", 200)] == [(call.status, call.error.type, call.wire.status_code) for call in llm_records.calls]


def test_a_timeout_in_the_middle_of_a_stream(ask, llm_records, llm_provider):
    """An error by the name of timeout."""
    llm_provider.enqueue(Reply("one two three", chunk_delay=30, chunks=3))

    async def use(response):
        with pytest.raises(TimeoutError):
            await response.read()

    ask(use, session={"timeout": aiohttp.ClientTimeout(sock_read=0.1)})

    assert [("error", "timeout")] == [(call.status, call.error.type) for call in llm_records.calls]


def test_a_timeout_before_an_answer(ask, llm_records, llm_provider):
    """It comes out of the call itself."""
    llm_provider.enqueue(Reply(delay=30))
    with pytest.raises(TimeoutError):
        ask(read, session={"timeout": aiohttp.ClientTimeout(total=0.1)})

    assert [("error", "timeout", None)] == [(call.status, call.error.type, call.wire.status_code) for call in llm_records.calls]


def test_a_task_cancelled_while_it_waits_for_an_answer(ask, llm_records, llm_provider):
    """Cancelled, and nobody's fault."""
    llm_provider.enqueue(Reply(delay=30))

    async def main():
        async with aiohttp.ClientSession() as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.post(llm_provider.openai_base_url + "/chat/completions", json=STREAM)

    asyncio.run(main())

    assert [("cancelled", "cancelled", None)] == [(call.status, call.wire.end, call.wire.status_code) for call in llm_records.calls]


@pytest.mark.parametrize("way", [WAYS["read()"], WAYS["async for"], WAYS["readchunk"]], ids=["read", "async for", "readchunk"])
def test_a_task_cancelled_in_the_middle_of_a_stream(ask, llm_records, llm_provider, way):
    """Cancelled, with what was heard by then."""
    llm_provider.enqueue(Reply("one two three", chunk_delay=30, chunks=3))

    async def use(response):
        async with response:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await way(response)

    ask(use)

    assert [("cancelled", "cancelled")] == [(call.status, call.wire.end) for call in llm_records.calls]


def test_a_read_that_is_interrupted_and_taken_up_again(ask, llm_records, llm_provider):
    """A timeout around one read is no end: the rest is recorded too."""
    llm_provider.enqueue(Reply("one two three", chunk_delay=0.1, chunks=3))

    async def use(response):
        heard, interrupted = b"", 0
        while not response.content.at_eof():
            try:
                async with asyncio.timeout(0.02):
                    heard += await response.content.readany()
            except TimeoutError:
                interrupted += 1
        return heard, interrupted

    heard, interrupted = ask(use)

    assert b"[DONE]" in heard
    assert interrupted
    (call,) = llm_records.calls
    assert ("ok", "eof", "one two three", None) == (call.status, call.wire.end, said(call), call.error)


def test_reading_at_once_in_two_tasks_is_refused_and_changes_nothing(ask, llm_records, llm_provider):
    """The library raises for the second reader; the first one's call goes on."""
    llm_provider.enqueue(Reply("one two three", chunk_delay=0.1, chunks=3))

    async def use(response):
        first = asyncio.create_task(response.content.read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            await response.content.read(1)
        return await first

    assert b"[DONE]" in ask(use)
    assert [("ok", "eof", None)] == [(call.status, call.wire.end, call.error) for call in llm_records.calls]


# --- what happens on the way -----------------------------------------------------------------------------------------


def test_a_redirect_is_part_of_its_call(ask, exchanges, llm_provider):
    """One exchange, with the address that was asked and the answer that came."""
    llm_provider.route(
        lambda received: received.path == "/old/chat/completions", Reply(raw=b"", status=307, headers={"location": "/new/chat/completions"})
    )
    llm_provider.route(lambda received: received.path == "/new/chat/completions", Reply(raw=b"{}"))
    ask(read, path="/old/chat/completions")

    assert [("/old/chat/completions", 200, [b"{}"], STREAM)] == [
        (exchange.path, exchange.status_code, exchange.chunks, json.loads(exchange.request_body)) for exchange in exchanges
    ]


def test_a_request_made_in_the_middle_of_another_is_its_own(llm_provider, exchanges):
    """What a session's own tracing sends is not taken for the request that it traces."""

    async def main():
        async with aiohttp.ClientSession() as other:

            async def started(session, context, params):
                await (await other.post(llm_provider.url + "/elsewhere", json={"not": "it"})).read()

            tracing = aiohttp.TraceConfig()
            tracing.on_request_start.append(started)
            async with aiohttp.ClientSession(trace_configs=[tracing]) as client:
                await (await client.post(llm_provider.openai_base_url + "/chat/completions", json=ASKED)).read()

    asyncio.run(main())

    assert ["/elsewhere", "/v1/chat/completions"] == [received.path for received in llm_provider.requests]
    assert [ASKED] == [json.loads(exchange.request_body) for exchange in exchanges]


def test_calls_at_once_keep_apart(ask, llm_provider, llm_records):
    """Twenty tasks in one session: each has its own question and its own answer."""

    async def main():
        async with aiohttp.ClientSession() as client:

            async def call(n):
                body = {"model": "fake-echo", "stream": bool(n % 2), "messages": [{"role": "user", "content": str(n)}]}
                await (await client.post(llm_provider.openai_base_url + "/chat/completions", json=body)).read()

            await asyncio.gather(*map(call, range(20)))

    asyncio.run(main())

    assert {str(n): f"You said: {n}" for n in range(20)} == {
        call.input.messages[0].parts[0].content: said(call) for call in llm_records.calls
    }


def test_a_call_that_is_given_up_before_it_begins_is_none(llm_provider, exchanges):
    """A coroutine that nobody awaits sends nothing."""

    async def main():
        async with aiohttp.ClientSession() as client:
            client.post(llm_provider.openai_base_url + "/chat/completions", json=ASKED).close()

    asyncio.run(main())

    assert [] == exchanges


def test_the_request_is_the_same_with_and_without_us(ask, llm_provider, llm_records):
    """Not a byte and not a header is added to what the session sends."""

    def sent():
        ask(read, ASKED)
        received = llm_provider.requests[-1]
        return received.method, received.path, received.raw, list(received.headers.items())

    with_us = sent()
    capture.uninstall()
    try:
        assert sent() == with_us
    finally:
        capture.install()
    assert 1 == len(llm_records.calls)


# --- never hurt the host ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        "llm_observe.capture._begin.observer_here",
        "llm_observe.capture._begin.Tap",
        "llm_observe.capture.aiohttp.as_bytes",
        "llm_observe.capture.aiohttp.begun",
        "llm_observe.capture.aiohttp.Content",
        "llm_observe.capture._tap.Tap.headers",
        "llm_observe.capture._tap.Tap.chunk",
        "llm_observe.capture._tap.Tap.asked",
    ],
)
def test_a_failure_of_the_hook_never_reaches_the_application(ask, monkeypatch, what):
    """The bytes arrive as without us, and the failure is counted."""

    def broken(*_, **__):
        raise RuntimeError("ours")

    with recording(strict=False) as recorded:
        with monkeypatch.context() as patch:
            patch.setattr(what, broken)
            assert b"You said" in ask(read, ASKED)
        assert 1 <= recorded.observer.stats().errors


def test_a_failure_to_note_an_interruption_never_hides_it(ask, llm_provider, monkeypatch):
    """The application's exception is the one it gets."""

    def broken(*_):
        raise RuntimeError("ours")

    async def use(response):
        with monkeypatch.context() as patch:
            patch.setattr("llm_observe.capture._tap.Tap.note", broken)
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.readexactly(100_000)

    with recording(strict=False) as recorded:
        ask(use, STREAM | {"model": "fake-broken-stream"})
        assert 1 <= recorded.observer.stats().errors


def test_a_failure_to_read_an_exception_never_hides_it(ask, llm_provider):
    """The application's exception is the one it gets."""

    class Odd(Exception):
        status, headers = 429, 7

    async def check(response):
        response.close()
        raise Odd

    with recording(strict=False) as recorded, pytest.raises(Odd):
        ask(read, raise_for_status=check)

    assert 1 == recorded.observer.stats().errors
    assert ["error"] == [call.status for call in recorded.calls]


# --- who is built on it ----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
def test_google_s_sdk_asynchronously(llm_provider, exchanges):
    """google-genai takes aiohttp where it is there, plain and streamed."""
    genai = pytest.importorskip("google.genai")
    answer = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}], "modelVersion": "g"}
    event = b"data: " + json.dumps(answer).encode() + b"\r\n\r\n"
    llm_provider.route(
        lambda received: "streamGenerate" in received.path, Reply(raw=event * 3, chunks=3, headers={"content-type": "text/event-stream"})
    )
    llm_provider.route(lambda received: received.path.endswith(":generateContent"), Reply(raw=json.dumps(answer).encode()))

    async def main():
        client = genai.Client(api_key="secret", http_options={"base_url": llm_provider.url})
        plain = await client.aio.models.generate_content(model="g", contents="hi")
        stream = await client.aio.models.generate_content_stream(model="g", contents="hi")
        heard = [piece.text async for piece in stream]
        await client.aio.aclose()
        return [plain.text, *heard]

    assert ["Hello"] * 4 == asyncio.run(main())
    assert [("aiohttp", "/v1/models/g:generateContent", "eof", 200), ("aiohttp", "/v1/models/g:streamGenerateContent", "eof", 200)] == [
        (exchange.client, exchange.path, exchange.end, exchange.status_code) for exchange in exchanges
    ]
    assert [received.raw for received in llm_provider.requests] == [exchange.request_body for exchange in exchanges]
    assert "secret" not in repr(exchanges)
