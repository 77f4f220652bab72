"""A FastAPI app that asks models in every way, as users write it: one line of it is ours."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from anthropic import Anthropic, AsyncAnthropic
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI, OpenAI

import llm_observe
from llm_observe.fastapi import LLMObserveMiddleware

URL = os.environ["PROVIDER_URL"]
HI = [{"role": "user", "content": "hi"}]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The clients live as long as the app."""
    async with AsyncOpenAI(api_key="none", base_url=f"{URL}/v1") as openai, AsyncAnthropic(api_key="none", base_url=URL) as anthropic:
        with OpenAI(api_key="none", base_url=f"{URL}/v1") as blocking, Anthropic(api_key="none", base_url=URL) as blocking_anthropic:
            app.state.openai, app.state.anthropic = openai, anthropic
            app.state.blocking, app.state.blocking_anthropic = blocking, blocking_anthropic
            yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(LLMObserveMiddleware)


async def ask(sdk: str, model: str) -> str:
    """One call."""
    if sdk == "openai":
        completion = await app.state.openai.chat.completions.create(model=model, messages=HI)
        return completion.choices[0].message.content
    message = await app.state.anthropic.messages.create(model=model, max_tokens=100, messages=HI)
    return message.content[0].text


@app.get("/plain/{sdk}/{model}")
async def plain(sdk: str, model: str) -> str:
    """Asks in the view."""
    return await ask(sdk, model)


@app.get("/blocking/{sdk}/{model}")
def blocking(sdk: str, model: str) -> str:
    """Asks in a thread."""
    if sdk == "openai":
        return app.state.blocking.chat.completions.create(model=model, messages=HI).choices[0].message.content
    return app.state.blocking_anthropic.messages.create(model=model, max_tokens=100, messages=HI).content[0].text


@app.get("/stream/{sdk}/{model}")
async def stream(sdk: str, model: str) -> StreamingResponse:
    """Streams what is streamed."""

    async def openai_words() -> AsyncIterator[str]:
        async with await app.state.openai.chat.completions.create(model=model, messages=HI, stream=True) as chunks:
            async for chunk in chunks:
                yield chunk.choices[0].delta.content or ""

    async def anthropic_words() -> AsyncIterator[str]:
        async with app.state.anthropic.messages.stream(model=model, max_tokens=100, messages=HI) as words:
            async for text in words.text_stream:
                yield text

    return StreamingResponse(openai_words() if sdk == "openai" else anthropic_words(), media_type="text/plain")


@app.get("/blocking-stream/{sdk}/{model}")
def blocking_stream(sdk: str, model: str) -> StreamingResponse:
    """Streams out of a sync generator."""

    def words() -> Iterator[str]:
        with app.state.blocking.chat.completions.create(model=model, messages=HI, stream=True) as chunks:
            for chunk in chunks:
                yield chunk.choices[0].delta.content or ""

    return StreamingResponse(words(), media_type="text/plain")


@app.get("/together")
async def together() -> list[str]:
    """Asks three at once, in a step."""
    with llm_observe.step("compare"):
        return await asyncio.gather(
            ask("openai", "fake-echo"), ask("anthropic", "fake-flaky-429"), asyncio.to_thread(blocking, "openai", "fake-flaky-500")
        )


@app.get("/background")
async def background(tasks: BackgroundTasks) -> str:
    """Asks after the answer."""
    tasks.add_task(ask, "openai", "fake-echo")
    return "later"
