"""Calls as an application makes them, by openai's client, timed one by one."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx2
import openai

from peers.markers import prompt
from peers.provider import ANSWER, ID
from peers.scenarios import Scenario

FLUSH_EVERY = 50  # calls between two flushes, whose time is not the caller's, but whose CPU is the call's


class Caller:
    """Makes calls to the provider at *url*, each within what *around* gives."""

    def __init__(self, url: str, around: Callable[[], AbstractContextManager[Any]]) -> None:
        self.url, self.around, self.number = url, around, itertools.count()
        self.loop = asyncio.new_event_loop()
        said = {"base_url": f"{url}/v1", "api_key": "sk-bench", "max_retries": 0, "timeout": 120}
        self.said = said
        self.sync = openai.OpenAI(**said)
        self.http = httpx2.Client()
        self.loop.run_until_complete(self._open(said))

    async def _open(self, said: dict[str, Any]) -> None:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=1000)
        self.aiohttp = openai.AsyncOpenAI(http_client=openai.DefaultAioHttpClient(), **said)
        self.asynchronous = openai.AsyncOpenAI(http_client=openai.DefaultAsyncHttpxClient(limits=limits), **said)

    @contextmanager
    def without_network(self) -> Iterator[None]:
        """Plain calls inside are answered in memory, as the provider does."""

        def answered(request: httpx2.Request) -> httpx2.Response:
            at = request.content.find(b"head-") + 5
            call = request.content[at : at + len(ID)]
            return httpx2.Response(200, headers={"content-type": "application/json"}, content=ANSWER.replace(ID, call))

        before, self.sync = self.sync, openai.OpenAI(http_client=httpx2.Client(transport=httpx2.MockTransport(answered)), **self.said)
        try:
            yield
        finally:
            self.sync = before

    def block(self, scenario: Scenario, count: int, flush: Callable[[], object]) -> dict[str, Any]:
        """Does *scenario* that often: nanoseconds of each, and CPU seconds of all threads with what was still to be exported."""
        if scenario.kind == "crowd":
            return self._crowd(scenario, count, flush)
        times: list[int] = []
        cpu = time.process_time()
        while len(times) < count:
            some = min(FLUSH_EVERY, count - len(times))
            if scenario.client == "sync":
                times += [self._order() if not scenario.size else self._call(scenario) for _ in range(some)]
            else:
                times += self.loop.run_until_complete(self._several(scenario, some))
            flush()
        return {"times": times, "cpu": time.process_time() - cpu}

    def _asked(self, scenario: Scenario, model: str = "gpt-x") -> dict[str, Any]:
        text = prompt(f"{next(self.number):012x}", scenario.size)
        asked = {"model": model, "messages": [{"role": "user", "content": text}]}
        return asked | {"stream": True} if scenario.stream else asked

    def _order(self) -> int:
        began = time.perf_counter_ns()
        self.http.get(f"{self.url}/api/orders")
        return time.perf_counter_ns() - began

    def _call(self, scenario: Scenario) -> int:
        asked = self._asked(scenario)
        began = time.perf_counter_ns()
        with self.around():
            answer = self.sync.chat.completions.create(**asked)
            if scenario.stream:
                for _ in answer:
                    pass
        return time.perf_counter_ns() - began

    async def _acall(self, scenario: Scenario, client: openai.AsyncOpenAI, model: str = "gpt-x") -> int:
        asked = self._asked(scenario, model)
        began = time.perf_counter_ns()
        with self.around():
            answer = await client.chat.completions.create(**asked)
            if scenario.stream:
                async for _ in answer:
                    pass
        return time.perf_counter_ns() - began

    async def _several(self, scenario: Scenario, count: int) -> list[int]:
        client = self.aiohttp if scenario.client == "aiohttp" else self.asynchronous
        return [await self._acall(scenario, client) for _ in range(count)]

    def _crowd(self, scenario: Scenario, count: int, flush: Callable[[], object]) -> dict[str, Any]:
        async def together() -> list[int]:
            return await asyncio.gather(*(self._acall(scenario, self.asynchronous, "slow") for _ in range(count)))

        cpu, began = time.process_time(), time.perf_counter_ns()
        times = self.loop.run_until_complete(together())
        took = time.perf_counter_ns() - began
        flush()
        return {"times": times, "cpu": time.process_time() - cpu, "took": took}
