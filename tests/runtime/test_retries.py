"""Retries through the real hook: concurrent calls with one prompt keep their attempts apart."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_observe import scope
from llm_observe.testing import recording

httpx2 = pytest.importorskip("httpx2")

URL = "http://provider.test/v1/chat/completions"
ASKED = {"model": "gpt-x", "messages": [{"role": "user", "content": "the same for all"}]}
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "model": "gpt-x",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}],
}


def flaky(failures):
    """A transport that fails so often, then answers."""
    left = [failures]

    def answer(request):
        if left[0]:
            left[0] -= 1
            return httpx2.Response(503, json={"error": {"message": "busy"}}, headers={"retry-after-ms": "1"})
        return httpx2.Response(200, json=ANSWER)

    return httpx2.MockTransport(answer)


@pytest.fixture
def recorded():
    """What is recorded meanwhile."""
    with recording() as made:
        yield made


def statuses(recorded):
    """The attempts of each call, sorted."""
    return sorted([one.status_code for one in call.attempts] for call in recorded.calls)


def test_tasks_that_ask_the_same(recorded):
    """Eight tasks in one request, one prompt, none to two failures each: eight calls with their own attempts."""

    async def ask(failures):
        async with httpx2.AsyncClient(transport=flaky(failures)) as client:
            for _ in range(3):
                if (await client.post(URL, json=ASKED)).status_code == 200:
                    break
                await asyncio.sleep(0)

    async def main():
        with scope("job"):
            await asyncio.gather(*[ask(n % 3) for n in range(8)])

    asyncio.run(main())

    assert sorted([[503] * (n % 3) + [200] for n in range(8)]) == statuses(recorded)
    totals = recorded.requests[0].calls
    assert (8, 0, 7) == (totals.count, totals.errors, totals.retries)


def test_threads_that_ask_the_same(recorded):
    """Two threads do eight jobs in one request; the job after a failed one is no retry of it."""

    def ask(failures):
        with httpx2.Client(transport=flaky(failures)) as client:
            for _ in range(3):
                if client.post(URL, json=ASKED).status_code == 200:
                    break

    with scope("job"), ThreadPoolExecutor(2) as pool:
        list(pool.map(ask, [n % 4 for n in range(8)]))

    assert sorted([[503] * (n % 4) + [200] if n % 4 < 3 else [503] * 3 for n in range(8)]) == statuses(recorded)
    assert 2 == recorded.requests[0].calls.errors


def test_an_sdk_that_counts_its_retries(recorded):
    """Openai tries three times, and asks anew when the application does."""
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(api_key="none", base_url="http://provider.test/v1", http_client=httpx2.Client(transport=flaky(4)))
    with scope("job"):
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**ASKED)
        client.chat.completions.create(**ASKED)

    assert [[503, 200], [503, 503, 503]] == sorted(statuses(recorded))
    totals = recorded.requests[0].calls
    assert (2, 1, 3) == (totals.count, totals.errors, totals.retries)


def test_a_connection_that_fails_first(recorded):
    """No answer, then one."""
    tries = []

    def answer(request):
        tries.append(request)
        if len(tries) == 1:
            raise httpx2.ConnectError("refused")
        return httpx2.Response(200, json=ANSWER)

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client, scope("job"):
        with pytest.raises(httpx2.ConnectError):
            client.post(URL, json=ASKED)
        client.post(URL, json=ASKED)

    assert [[None, 200]] == statuses(recorded)


def test_a_flush_settles_the_callers_own_failure(recorded):
    """Who flushes is not in the middle of a call."""
    with httpx2.Client(transport=flaky(1)) as client:
        client.post(URL, json=ASKED)

    assert recorded.observer.flush(60)
    assert ["error"] == [call.status for call in recorded.memory.calls]
