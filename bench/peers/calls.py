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
REST = 0.001  # seconds between two calls: who is answered by a model waits longer. Without them a call is timed amid the work of the ones before
Took = tuple[int, int]
"""Nanoseconds that a call took, and how many of them were CPU time of the caller's own thread."""


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
        """Does *scenario* that often: what each took, and CPU seconds of all threads with what was still to be exported."""
        if scenario.kind == "crowd":
            return self._crowd(scenario, count, flush)
        took: list[Took] = []
        cpu = time.process_time()
        while len(took) < count:
            some = min(FLUSH_EVERY, count - len(took))
            took += (
                self._several(scenario, some) if scenario.client == "sync" else self.loop.run_until_complete(self._aseveral(scenario, some))
            )
            flush()
        times, own = zip(*took, strict=True)
        return {"times": times, "own": own, "cpu": time.process_time() - cpu}

    def _asked(self, scenario: Scenario, model: str = "gpt-x") -> dict[str, Any]:
        text = prompt(f"{next(self.number):012x}", scenario.size)
        asked = {"model": model, "messages": [{"role": "user", "content": text}]}
        return asked | {"stream": True} if scenario.stream else asked

    def _order(self) -> None:
        self.http.get(f"{self.url}/api/orders")

    def _call(self, asked: dict[str, Any]) -> None:
        with self.around():
            answer = self.sync.chat.completions.create(**asked)
            if asked.get("stream"):
                for _ in answer:
                    pass

    async def _acall(self, client: openai.AsyncOpenAI, asked: dict[str, Any]) -> None:
        with self.around():
            answer = await client.chat.completions.create(**asked)
            if asked.get("stream"):
                async for _ in answer:
                    pass

    def _several(self, scenario: Scenario, count: int) -> list[Took]:
        found = []
        for _ in range(count):
            time.sleep(REST)
            asked = self._asked(scenario) if scenario.size else {}
            began, own = time.perf_counter_ns(), time.thread_time_ns()
            if scenario.size:
                self._call(asked)
            else:
                self._order()
            own = time.thread_time_ns() - own
            found.append((time.perf_counter_ns() - began, own))
        return found

    async def _aseveral(self, scenario: Scenario, count: int) -> list[Took]:
        client = self.aiohttp if scenario.client == "aiohttp" else self.asynchronous
        found = []
        for _ in range(count):
            await asyncio.sleep(REST)
            asked = self._asked(scenario)
            began, own = time.perf_counter_ns(), time.thread_time_ns()
            await self._acall(client, asked)
            own = time.thread_time_ns() - own
            found.append((time.perf_counter_ns() - began, own))
        return found

    def _crowd(self, scenario: Scenario, count: int, flush: Callable[[], object]) -> dict[str, Any]:
        async def one() -> int:
            began = time.perf_counter_ns()
            await self._acall(self.asynchronous, self._asked(scenario, "slow"))
            return time.perf_counter_ns() - began

        async def together() -> list[int]:
            return await asyncio.gather(*(one() for _ in range(count)))

        cpu, began = time.process_time(), time.perf_counter_ns()
        times = self.loop.run_until_complete(together())
        took = time.perf_counter_ns() - began
        flush()
        return {"times": times, "cpu": time.process_time() - cpu, "took": took}
