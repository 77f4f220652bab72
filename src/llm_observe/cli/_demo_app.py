"""The demo's web app: FastAPI, the real openai and anthropic SDKs, and one line of ours.

Nothing in here but ``add_middleware`` and, where a step deserves a name, ``step`` and ``tag`` knows of llm-observe.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anthropic import AsyncAnthropic
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI, OpenAI, OpenAIError

import llm_observe
from llm_observe.fastapi import LLMObserveMiddleware
from llm_observe.testing.provider import FakeProvider


def make_app(observer: llm_observe.Observer, provider: FakeProvider) -> FastAPI:
    """The app, its calls going to *provider*."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            AsyncOpenAI(api_key="demo", base_url=provider.openai_base_url) as openai,
            AsyncAnthropic(api_key="demo", base_url=provider.anthropic_base_url) as anthropic,
        ):
            app.state.openai, app.state.anthropic = openai, anthropic
            with OpenAI(api_key="demo", base_url=provider.openai_base_url) as blocking:
                app.state.blocking = blocking
                yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(LLMObserveMiddleware, observer=observer)

    async def ask(model: str, question: str) -> str:
        answer = await app.state.openai.chat.completions.create(
            model=model, messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
        )
        return answer.choices[0].message.content or ""

    @app.get("/chat/{user}")
    async def chat(user: str, q: str, model: str = "fake-echo") -> dict[str, str]:
        llm_observe.tag(user=user)
        try:
            return {"answer": await ask(model, q)}
        except OpenAIError as error:
            raise HTTPException(502, "the model did not answer") from error

    @app.get("/write/{user}")
    async def write(user: str, q: str, model: str = "fake-echo") -> StreamingResponse:
        llm_observe.tag(user=user)

        async def words() -> AsyncIterator[str]:
            async with app.state.anthropic.messages.stream(
                model=model, max_tokens=500, messages=[{"role": "user", "content": q}]
            ) as stream:
                async for text in stream.text_stream:
                    yield text

        return StreamingResponse(words(), media_type="text/plain")

    @app.get("/compare/{user}")
    async def compare(user: str, q: str) -> dict[str, list[str]]:
        llm_observe.tag(user=user)
        with llm_observe.step("retrieve", index="handbook"):
            await asyncio.sleep(0.01)
        return {"answers": await asyncio.gather(*(ask(model, q) for model in ("fake-echo", "fake-thinking", "fake-cached")))}

    @app.get("/tools/{user}")
    def tools(user: str, q: str) -> dict[str, str]:
        llm_observe.tag(user=user)
        answer = app.state.blocking.chat.completions.create(
            model="fake-tools",
            messages=[{"role": "user", "content": q}],
            tools=[{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}],
        )
        calls = answer.choices[0].message.tool_calls or []
        return {"calls": ", ".join(call.function.name for call in calls)}

    return app
