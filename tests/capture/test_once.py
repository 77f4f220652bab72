"""A client that is built on another one is recorded once, by its own hook; and only what is the same request counts as such."""

import asyncio
import json

import pytest

from llm_observe import capture
from llm_observe.capture import _tap
from llm_observe.testing.provider import Reply

aiohttp = pytest.importorskip("aiohttp")

ASKED = {"model": "fake-echo", "messages": [{"role": "user", "content": "hi"}]}
HI = ASKED["messages"]


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """However a request ended, nobody waits for its answer any more."""
    yield

    assert {} == _tap.sending


def said(call):
    """What the model said."""
    return "".join(part.content for message in call.output.messages for part in message.parts)


def over_aiohttp(library):
    """A client of *library* whose transport is aiohttp's."""
    adapter = pytest.importorskip("httpx_aiohttp")
    if library == "httpx":
        return adapter.HttpxAiohttpClient()
    return pytest.importorskip("httpx_aiohttp.httpx2").Httpx2AiohttpClient()


@pytest.mark.parametrize("model", ["fake-echo", "fake-gzip"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_httpx_over_aiohttp_is_one_record(llm_provider, llm_records, library, stream, model):
    """It is httpx' record, whose bytes are as they came over the wire."""

    async def main():
        async with over_aiohttp(library) as client:
            await client.post(llm_provider.openai_base_url + "/chat/completions", json=ASKED | {"model": model, "stream": stream})

    asyncio.run(main())

    assert [(library, "ok", "You said: hi")] == [(call.wire.client, call.status, said(call)) for call in llm_records.calls]


def test_httpx_over_aiohttp_fails_once(llm_provider, llm_records):
    """A refused connection is one failed call."""
    url = llm_provider.openai_base_url
    llm_provider.stop()

    async def main():
        async with over_aiohttp("httpx2") as client:
            with pytest.raises(Exception, match=r"(?i)connect"):
                await client.post(url + "/chat/completions", json=ASKED)

    asyncio.run(main())

    assert [("httpx2", "error")] == [(call.wire.client, call.status) for call in llm_records.calls]


def test_httpx_over_aiohttp_cancelled_is_one_record(llm_provider, llm_records):
    """While it waits for its answer."""
    llm_provider.enqueue(Reply(delay=30))

    async def main():
        async with over_aiohttp("httpx2") as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.post(llm_provider.openai_base_url + "/chat/completions", json=ASKED)

    asyncio.run(main())

    assert [("httpx2", "cancelled")] == [(call.wire.client, call.status) for call in llm_records.calls]


async def spoken(stream):
    """Read a stream to its end."""
    async for _ in stream:
        pass


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["fake-echo", "fake-flaky-500"])
def test_openai_s_aiohttp_client_is_one_record(llm_provider, llm_records, stream, model):
    """Each attempt of it, too."""
    openai = pytest.importorskip("openai")

    async def main():
        http = openai.DefaultAioHttpClient()
        async with openai.AsyncOpenAI(api_key="none", base_url=llm_provider.openai_base_url, http_client=http) as client:
            answer = await client.chat.completions.create(model=model, messages=HI, stream=stream)
            if stream:
                await spoken(answer)

    asyncio.run(main())

    (call,) = llm_records.calls
    assert ("ok", "You said: hi", 1 + ("flaky" in model)) == (call.status, said(call), len(call.attempts))
    assert len(llm_provider.requests) == len(call.attempts)


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_s_aiohttp_client_is_one_record(llm_provider, llm_records, stream):
    """Plain and streamed."""
    anthropic = pytest.importorskip("anthropic")

    async def main():
        http = anthropic.DefaultAioHttpClient()
        async with anthropic.AsyncAnthropic(api_key="none", base_url=llm_provider.anthropic_base_url, http_client=http) as client:
            answer = await client.messages.create(model="fake-echo", max_tokens=9, messages=HI, stream=stream)
            if stream:
                await spoken(answer)

    asyncio.run(main())

    assert [("ok", "You said: hi")] == [(call.status, said(call)) for call in llm_records.calls]


# --- what is not the same request ------------------------------------------------------------------------------------


async def ask_by_aiohttp(url):
    """A call of its own."""
    async with aiohttp.ClientSession() as session:
        await (await session.post(url + "/chat/completions", json=ASKED)).read()


def test_a_gateway_within_the_process_asks_on_its_own(wire, llm_provider, exchanges):
    """An application that is called by httpx' own transport for such asks a model by aiohttp: two calls."""

    async def answer(request):
        await ask_by_aiohttp(llm_provider.openai_base_url)
        return wire.library.Response(200, json={})

    async def main():
        async with wire.library.AsyncClient(transport=wire.library.MockTransport(answer)) as client:
            await client.send(wire.request(client))

    asyncio.run(main())

    assert [("aiohttp", "127.0.0.1"), (wire.name, "provider.test")] == [(exchange.client, exchange.host) for exchange in exchanges]


def test_a_task_that_outlives_the_request_it_was_begun_in_is_heard(wire, llm_provider, exchanges):
    """A context that was copied while a request was sent says nothing about later ones, although they go to the same place."""

    async def main():
        go_on, tasks = asyncio.Event(), []

        async def later():
            await go_on.wait()
            await ask_by_aiohttp(llm_provider.openai_base_url)

        async def answer(request):
            tasks.append(asyncio.create_task(later()))
            return wire.library.Response(200, json={})

        async with wire.library.AsyncClient(transport=wire.library.MockTransport(answer)) as client:
            await client.send(wire.request(client, llm_provider.openai_base_url + "/chat/completions"))
            go_on.set()
            await asyncio.gather(*tasks)

    asyncio.run(main())

    assert [wire.name, "aiohttp"] == [exchange.client for exchange in exchanges]


def test_a_send_that_is_dropped_in_the_middle_is_forgotten(wire, exchanges):
    """A coroutine that nobody goes on with."""

    async def main():
        async def answer(request):
            await asyncio.Event().wait()

        async with wire.library.AsyncClient(transport=wire.library.MockTransport(answer)) as client:
            sending = client.send(wire.request(client))
            sending.send(None)
            assert 1 == len(_tap.sending)
            sending.close()

    asyncio.run(main())

    assert ["cancelled"] == [exchange.end for exchange in exchanges]


def test_without_aiohttp_nobody_looks_who_carries(wire, exchanges):
    """The library's own way costs nothing where nothing could carry it."""
    seen = []

    async def answer(request):
        seen.append(dict(_tap.sending))
        return wire.library.Response(200, json={})

    async def main():
        async with wire.library.AsyncClient(transport=wire.library.MockTransport(answer)) as client:
            await client.send(wire.request(client))

    carriers = list(_tap.carriers)
    _tap.carriers.clear()
    try:
        asyncio.run(main())
    finally:
        _tap.carriers.extend(carriers)
    asyncio.run(main())

    assert ["aiohttp"] == carriers
    assert [0, 1] == [len(sending) for sending in seen]


def test_hooks_that_go_leave_no_trace():
    """Not even that aiohttp was one that carries."""
    capture.install()
    capture.uninstall()
    try:
        assert [] == _tap.carriers
    finally:
        capture.install()


def test_what_is_asked_through_two_clients_is_asked_once(llm_provider, exchanges):
    """The server sees one request, and its bytes are those on record."""

    async def main():
        async with over_aiohttp("httpx2") as client:
            await client.post(llm_provider.openai_base_url + "/chat/completions", json=ASKED)

    asyncio.run(main())

    assert [received.raw for received in llm_provider.requests] == [exchange.request_body for exchange in exchanges]
    assert [ASKED] == [json.loads(exchange.request_body) for exchange in exchanges]
