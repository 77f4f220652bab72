"""A FastAPI app whose model calls are on record: plain, in parallel under a step, and streamed to the client.

uvicorn fastapi_app:app
"""

import asyncio
from collections.abc import AsyncIterator

from anthropic import AsyncAnthropic
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI

import llm_observe
from llm_observe.fastapi import LLMObserveMiddleware

app = FastAPI()
app.add_middleware(LLMObserveMiddleware)  # this line is all it takes

openai, anthropic = AsyncOpenAI(), AsyncAnthropic()  # keys and addresses come from the environment, as always


async def ask(question: str) -> str:
    answer = await openai.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": question}])
    return answer.choices[0].message.content or ""


@app.get("/chat/{user}")
async def chat(user: str, q: str) -> dict[str, str]:
    llm_observe.tag(user=user)
    return {"answer": await ask(q)}


@app.get("/translate/{user}")
async def translate(user: str, q: str) -> dict[str, str]:
    llm_observe.tag(user=user, plan="free")
    languages = ["French", "German"]
    with llm_observe.step("translate", languages=languages):  # the calls in here are its children
        answers = await asyncio.gather(*(ask(f"Translate into {language}: {q}") for language in languages))
    return dict(zip(languages, answers, strict=True))


@app.get("/story/{user}")
async def story(user: str, q: str) -> StreamingResponse:
    llm_observe.tag(user=user)

    async def words() -> AsyncIterator[str]:
        messages = [{"role": "user", "content": q}]
        async with anthropic.messages.stream(model="claude-haiku-4-5", max_tokens=500, messages=messages) as stream:
            async for text in stream.text_stream:
                yield text

    return StreamingResponse(words(), media_type="text/plain")
