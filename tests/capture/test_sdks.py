"""The real SDKs against a real server: plain and streamed, sync and async, however a call fails."""

import asyncio
import gc
from contextlib import closing

import anthropic
import openai
import pytest

from llm_observe.testing.provider import Reply

HI = [{"role": "user", "content": "hi"}]


def spoken(call):
    """What the model said."""
    return "".join(part.content for message in call.output.messages for part in message.parts)


class OpenAI:
    """openai's words for what both SDKs do."""

    name, format, error = "openai", "openai.chat", openai.OpenAIError

    def client(self, provider, **options):
        return openai.OpenAI(api_key="none", base_url=provider.openai_base_url, **options)

    def aclient(self, provider, **options):
        return openai.AsyncOpenAI(api_key="none", base_url=provider.openai_base_url, **options)

    def ask(self, client, model, **options):
        return client.chat.completions.create(model=model, messages=HI, **options)

    def raw(self, client, model, **options):
        return client.chat.completions.with_raw_response.create(model=model, messages=HI, **options)

    def streaming(self, client, model, **options):
        return client.chat.completions.with_streaming_response.create(model=model, messages=HI, **options)

    def said(self, event):
        return event.choices[0].delta.content or "" if event.choices else ""


class Anthropic:
    """anthropic's."""

    name, format, error = "anthropic", "anthropic.messages", anthropic.AnthropicError

    def client(self, provider, **options):
        return anthropic.Anthropic(api_key="none", base_url=provider.anthropic_base_url, **options)

    def aclient(self, provider, **options):
        return anthropic.AsyncAnthropic(api_key="none", base_url=provider.anthropic_base_url, **options)

    def ask(self, client, model, **options):
        return client.messages.create(model=model, max_tokens=100, messages=HI, **options)

    def raw(self, client, model, **options):
        return client.messages.with_raw_response.create(model=model, max_tokens=100, messages=HI, **options)

    def streaming(self, client, model, **options):
        return client.messages.with_streaming_response.create(model=model, max_tokens=100, messages=HI, **options)

    def said(self, event):
        return event.delta.text if event.type == "content_block_delta" else ""


@pytest.fixture(params=[OpenAI(), Anthropic()], ids=lambda sdk: sdk.name)
def sdk(request):
    """Each SDK in turn."""
    return request.param


@pytest.fixture
def client(sdk, llm_provider):
    """A client of the SDK."""
    with sdk.client(llm_provider) as client:
        yield client


def alone(sdk, provider, use, **options):
    """Run *use* with an async client of its own, in a loop of its own."""

    async def main():
        async with sdk.aclient(provider, **options) as client:
            return await use(client)

    return asyncio.run(main())


# --- calls that go well ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["fake-echo", "fake-gzip"])
def test_a_plain_call(sdk, client, llm_records, model):
    """One record, with what was said, packed or not."""
    sdk.ask(client, model)

    (call,) = llm_records.calls
    assert ("ok", "eof", sdk.format, "You said: hi") == (call.status, call.wire.end, call.wire.format, spoken(call))
    assert 1 == len(call.attempts)


@pytest.mark.parametrize("model", ["fake-echo", "fake-gzip", "fake-long"])
def test_a_streamed_call(sdk, client, llm_records, model):
    """One record, with the words that the application heard."""
    with sdk.ask(client, model, stream=True) as stream:
        heard = "".join(map(sdk.said, stream))

    (call,) = llm_records.calls
    assert ("ok", True, True, heard) == (call.status, call.request.stream, call.wire.complete, spoken(call))
    assert 0 < call.response.time_to_first_chunk <= call.duration


@pytest.mark.parametrize("model", ["fake-echo", "fake-gzip"])
def test_a_plain_call_async(sdk, llm_provider, llm_records, model):
    """One record, with what was said, packed or not."""
    alone(sdk, llm_provider, lambda client: sdk.ask(client, model))

    assert [("ok", "You said: hi")] == [(call.status, spoken(call)) for call in llm_records.calls]


@pytest.mark.parametrize("model", ["fake-echo", "fake-gzip", "fake-long"])
def test_a_streamed_call_async(sdk, llm_provider, llm_records, model):
    """One record, with the words that the application heard."""

    async def use(client):
        async with await sdk.ask(client, model, stream=True) as stream:
            return "".join([sdk.said(event) async for event in stream])

    heard = alone(sdk, llm_provider, use)

    assert [("ok", True, heard)] == [(call.status, call.wire.complete, spoken(call)) for call in llm_records.calls]


def test_a_raw_response(sdk, client, llm_records):
    """`with_raw_response` is a call like any other."""
    sdk.raw(client, "fake-echo").parse()

    assert [("ok", "You said: hi")] == [(call.status, spoken(call)) for call in llm_records.calls]


def test_a_streaming_response_read_line_by_line(sdk, client, llm_records):
    """`with_streaming_response` hands the stream to the application."""
    with sdk.streaming(client, "fake-echo", stream=True) as response:
        lines = list(response.iter_lines())

    assert len(lines) > 3
    assert [("ok", "You said: hi")] == [(call.status, spoken(call)) for call in llm_records.calls]


def test_a_streaming_response_that_nobody_reads(sdk, client, llm_records):
    """Closed unread, it is truncated."""
    with sdk.streaming(client, "fake-echo", stream=True):
        pass

    assert [("truncated", "closed")] == [(call.status, call.wire.end) for call in llm_records.calls]


def test_a_streaming_response_async(sdk, llm_provider, llm_records):
    """`with_streaming_response`, asynchronous."""

    async def use(client):
        async with sdk.streaming(client, "fake-echo", stream=True) as response:
            async for _ in response.iter_lines():
                pass

    alone(sdk, llm_provider, use)

    assert [("ok", "You said: hi")] == [(call.status, spoken(call)) for call in llm_records.calls]


def test_anthropic_s_stream_helper(llm_provider, llm_records):
    """`messages.stream()` wraps the stream once more; ours stays in place."""
    with Anthropic().client(llm_provider) as client:
        with client.messages.stream(model="fake-echo", max_tokens=100, messages=HI) as stream:
            heard = "".join(stream.text_stream)
            stream.get_final_message()

    assert [("ok", heard)] == [(call.status, spoken(call)) for call in llm_records.calls]


def test_anthropic_s_stream_helper_async(llm_provider, llm_records):
    """The same, left in the middle."""

    async def use(client):
        async with client.messages.stream(model="fake-long", max_tokens=100, messages=HI) as stream:
            async for text in stream.text_stream:
                return text

    heard = alone(Anthropic(), llm_provider, use)

    (call,) = llm_records.calls
    assert ("truncated", "closed") == (call.status, call.wire.end)
    assert spoken(call).startswith(heard)


def test_openai_s_stream_helper(llm_provider, llm_records):
    """`chat.completions.stream()` is a call like any other."""
    with OpenAI().client(llm_provider) as client:
        with client.chat.completions.stream(model="fake-echo", messages=HI) as stream:
            for _ in stream:
                pass

    assert [("ok", "You said: hi")] == [(call.status, spoken(call)) for call in llm_records.calls]


# --- streams that are left -------------------------------------------------------------------------------------------


def test_a_stream_left_and_closed(sdk, client, llm_records):
    """Truncated, with what was heard by then."""
    with sdk.ask(client, "fake-long", stream=True) as stream:
        for event in stream:
            if heard := sdk.said(event):
                break

    (call,) = llm_records.calls
    assert ("truncated", "closed") == (call.status, call.wire.end)
    assert spoken(call).startswith(heard)


def test_a_stream_left_and_dropped(sdk, llm_provider, llm_records):
    """The garbage collector ends what nobody closes."""
    with sdk.client(llm_provider) as client:
        stream = sdk.ask(client, "fake-long", stream=True)
        next(iter(stream))
        del stream
        gc.collect()

        assert ["truncated"] == [call.status for call in llm_records.calls]


def test_a_stream_that_is_never_iterated(sdk, llm_provider, llm_records):
    """It is abandoned."""
    with sdk.client(llm_provider) as client:
        sdk.ask(client, "fake-long", stream=True)
        gc.collect()

        assert [("truncated", "abandoned")] == [(call.status, call.wire.end) for call in llm_records.calls]


def test_a_generator_of_the_application_closed_in_the_middle(sdk, client, llm_records):
    """GeneratorExit comes through the SDK to us."""

    def words():
        with sdk.ask(client, "fake-long", stream=True) as stream:
            yield from map(sdk.said, stream)

    generator = words()
    next(generator)
    generator.close()

    assert [("truncated", "closed")] == [(call.status, call.wire.end) for call in llm_records.calls]


def test_a_stream_left_async(sdk, llm_provider, llm_records):
    """Truncated, with what was heard by then."""

    async def use(client):
        async with await sdk.ask(client, "fake-long", stream=True) as stream:
            async for event in stream:
                if sdk.said(event):
                    return

    alone(sdk, llm_provider, use)

    assert ["truncated"] == [call.status for call in llm_records.calls]


def test_a_task_cancelled_in_the_middle_of_a_stream(sdk, llm_provider, llm_records):
    """Cancelled, with what was heard by then."""
    llm_provider.enqueue(Reply("one two three", chunk_delay=30, chunks=3))
    llm_provider.route(lambda received: True, Reply())

    async def use(client):
        begun = asyncio.Event()

        async def read():
            async with await sdk.ask(client, "m", stream=True) as stream:
                async for _ in stream:
                    begun.set()

        reading = asyncio.create_task(read())
        await begun.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    alone(sdk, llm_provider, use)

    assert [("cancelled", "cancelled")] == [(call.status, call.wire.end) for call in llm_records.calls]


def test_a_task_cancelled_while_it_waits_for_an_answer(sdk, llm_provider, llm_records):
    """`asyncio.timeout` and the like: cancelled, and never retried."""

    async def expire_when_it_has_arrived(deadline):
        while not llm_provider.requests:  # noqa: ASYNC110 - they come from another thread, which sets no event of asyncio
            await asyncio.sleep(0.01)
        deadline.reschedule(0)

    async def use(client):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as deadline, asyncio.TaskGroup() as tasks:
                tasks.create_task(expire_when_it_has_arrived(deadline))
                await sdk.ask(client, "m")

    llm_provider.route("m", Reply(delay=30))
    alone(sdk, llm_provider, use)

    assert [("cancelled", None, 1)] == [(call.status, call.wire.status_code, len(call.attempts)) for call in llm_records.calls]


# --- calls that fail -------------------------------------------------------------------------------------------------


def test_a_connection_cut_in_the_middle_of_a_stream(sdk, client, llm_records):
    """An error, with what was heard by then."""
    with pytest.raises(Exception, match=r"(?i)connection|peer|body|chunk"), sdk.ask(client, "fake-broken-stream", stream=True) as stream:
        for _ in stream:
            pass

    (call,) = llm_records.calls
    assert ("error", "error", "RemoteProtocolError") == (call.status, call.wire.end, call.error.type)
    assert spoken(call)


def test_a_timeout_in_the_middle_of_a_stream(sdk, llm_provider, llm_records):
    """An error by the name of timeout."""
    llm_provider.enqueue(Reply("one two three", chunk_delay=30, chunks=3))
    with sdk.client(llm_provider, timeout=0.2, max_retries=0) as client, closing(sdk.ask(client, "m", stream=True)) as stream:
        with pytest.raises(Exception, match=r"(?i)time"):
            list(stream)

    assert [("error", "timeout")] == [(call.status, call.error.type) for call in llm_records.calls]


def test_a_timeout_before_an_answer(sdk, llm_provider, llm_records):
    """Each attempt of the call timed out."""
    llm_provider.route("m", Reply(delay=30))
    with sdk.client(llm_provider, timeout=0.1, max_retries=1) as client, pytest.raises(sdk.error):
        sdk.ask(client, "m")

    (call,) = llm_records.calls
    assert ("error", "timeout", ["timeout", "timeout"]) == (call.status, call.error.type, [attempt.error_type for attempt in call.attempts])


def test_a_provider_that_is_not_there(sdk, llm_provider, llm_records):
    """Each attempt of the call was refused."""
    llm_provider.stop()
    with sdk.client(llm_provider, max_retries=1) as client, pytest.raises(sdk.error):
        sdk.ask(client, "m")

    (call,) = llm_records.calls
    assert ("error", "ConnectError", [None, None]) == (call.status, call.error.type, [attempt.status_code for attempt in call.attempts])


@pytest.mark.parametrize(("model", "codes"), [("fake-flaky-429", [429, 200]), ("fake-flaky-500", [500, 200])])
@pytest.mark.parametrize("stream", [False, True])
def test_a_retried_call_is_one_call(sdk, client, llm_records, model, codes, stream):
    """Its attempts are on its record, and it went well in the end."""
    with closing(sdk.ask(client, model, stream=stream)) if stream else closing(client) as answer:
        heard = "".join(map(sdk.said, answer)) if stream else (sdk.ask(client, model), "You said: hi")[1]

    (call,) = llm_records.calls
    assert ("ok", codes, heard) == (call.status, [attempt.status_code for attempt in call.attempts], spoken(call))
    assert all(attempt.provider_request_id for attempt in call.attempts)


@pytest.mark.parametrize(("model", "codes"), [("fake-flaky-429", [429, 200]), ("fake-flaky-500", [500, 200])])
def test_a_retried_call_is_one_call_async(sdk, llm_provider, llm_records, model, codes):
    """Its attempts are on its record, and it went well in the end."""
    alone(sdk, llm_provider, lambda client: sdk.ask(client, model))

    assert [("ok", codes)] == [(call.status, [attempt.status_code for attempt in call.attempts]) for call in llm_records.calls]


def test_a_call_that_is_retried_in_vain_is_one_call(sdk, client, llm_records):
    """Three attempts, one record, one error."""
    with pytest.raises(sdk.error):
        sdk.ask(client, "fake-overloaded")

    code = 503 if sdk.name == "openai" else 529
    (call,) = llm_records.calls
    assert ("error", [code] * 3) == (call.status, [attempt.status_code for attempt in call.attempts])
    assert call.error is not None


def test_a_call_that_is_retried_in_vain_is_one_call_async(sdk, llm_provider, llm_records):
    """Three attempts, one record, one error."""

    async def use(client):
        with pytest.raises(sdk.error):
            await sdk.ask(client, "fake-overloaded")

    alone(sdk, llm_provider, use)

    assert [("error", 3)] == [(call.status, len(call.attempts)) for call in llm_records.calls]


def test_concurrent_retried_calls_keep_apart(sdk, llm_provider, llm_records):
    """Ten times the same question at once, each with its own retry."""

    async def use(client):
        await asyncio.gather(*(sdk.ask(client, "fake-flaky-429") for _ in range(10)))

    alone(sdk, llm_provider, use)

    assert [[429, 200]] * 10 == [[attempt.status_code for attempt in call.attempts] for call in llm_records.calls]


def test_an_error_that_is_not_retried(sdk, client, llm_records):
    """401 is final: one attempt."""
    with pytest.raises(sdk.error):
        sdk.ask(client, "fake-invalid-key")

    assert [("error", 1, 401)] == [(call.status, len(call.attempts), call.wire.status_code) for call in llm_records.calls]


def test_an_error_in_the_middle_of_a_stream(sdk, client, llm_records):
    """The stream came with 200, and the call is an error all the same."""
    with pytest.raises(sdk.error), sdk.ask(client, "fake-failing-stream", stream=True) as stream:
        for _ in stream:
            pass

    assert [("error", 200)] == [(call.status, call.wire.status_code) for call in llm_records.calls]


# --- nothing is changed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_the_request_is_the_same_with_and_without_us(sdk, llm_provider, llm_records, stream, request):
    """Not a byte and not a header is added to what the SDK sends."""

    def sent():
        with sdk.client(llm_provider) as client:
            answer = sdk.ask(client, "fake-echo", stream=stream)
            if stream:
                answer.close()
        received = llm_provider.requests[-1]
        return received.method, received.path, received.raw, list(received.headers.items())

    with_us = sent()
    request.getfixturevalue("unhooked")
    without_us = sent()

    assert without_us == with_us
    assert 1 == len(llm_records.calls)


@pytest.mark.parametrize("model", ["fake-echo", "fake-gzip"])
def test_the_raw_bytes_of_an_answer_are_what_came_over_the_wire(wire, llm_provider, exchanges, model):
    """What the transport reads, what the application gets and what we keep are the same pieces, packed as they came."""
    read = []

    class Witness(wire.library.HTTPTransport):
        def handle_request(self, request):
            response = super().handle_request(request)
            inner = response.stream

            class Noted(wire.library.SyncByteStream):
                def __iter__(self):
                    for piece in inner:
                        read.append(piece)
                        yield piece

                def close(self):
                    inner.close()

            response.stream = Noted()
            return response

    body = {"model": model, "stream": True, "messages": HI}
    with wire.library.Client(transport=Witness()) as client:
        request = client.build_request("POST", f"{llm_provider.openai_base_url}/chat/completions", json=body)
        with closing(client.send(request, stream=True)) as response:
            got = list(response.iter_raw())

    (exchange,) = exchanges
    assert read == got
    assert [id(piece) for piece in read] == [id(piece) for piece in exchange.chunks]


def test_openai_over_a_client_of_the_other_library(llm_provider, llm_records):
    """The SDK takes an httpx client where it brings httpx2 itself."""
    httpx = pytest.importorskip("httpx")
    with httpx.Client() as inner, OpenAI().client(llm_provider, http_client=inner) as client:
        OpenAI().ask(client, "fake-echo")

    assert [("httpx", "ok")] == [(call.wire.client, call.status) for call in llm_records.calls]
