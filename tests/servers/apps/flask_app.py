"""A Flask app that asks models in every way, as users write it: one line of it is ours."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from anthropic import Anthropic
from flask import Flask, Response, stream_with_context
from openai import OpenAI

import llm_observe
from llm_observe.flask import LLMObserve

URL = os.environ["PROVIDER_URL"]
HI = [{"role": "user", "content": "hi"}]

app = Flask(__name__)
LLMObserve(app)

openai = OpenAI(api_key="none", base_url=f"{URL}/v1")
anthropic = Anthropic(api_key="none", base_url=URL)


def ask(sdk: str, model: str) -> str:
    """One call."""
    if sdk == "openai":
        return openai.chat.completions.create(model=model, messages=HI).choices[0].message.content
    return anthropic.messages.create(model=model, max_tokens=100, messages=HI).content[0].text


@app.get("/plain/<sdk>/<model>")
def plain(sdk: str, model: str) -> str:
    """Asks in the view."""
    return ask(sdk, model)


@app.get("/blocking/<sdk>/<model>")
def blocking(sdk: str, model: str) -> str:
    """Asks in a thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ask, sdk, model).result()


@app.get("/stream/<sdk>/<model>")
def stream(sdk: str, model: str) -> Response:
    """Streams what is streamed."""

    def openai_words() -> Iterator[str]:
        with openai.chat.completions.create(model=model, messages=HI, stream=True) as chunks:
            for chunk in chunks:
                yield chunk.choices[0].delta.content or ""

    def anthropic_words() -> Iterator[str]:
        with anthropic.messages.stream(model=model, max_tokens=100, messages=HI) as words:
            yield from words.text_stream

    return Response(openai_words() if sdk == "openai" else anthropic_words(), mimetype="text/plain")


@app.get("/blocking-stream/<sdk>/<model>")
def streamed_with_context(sdk: str, model: str) -> Response:
    """Streams with Flask's context."""

    @stream_with_context
    def words() -> Iterator[str]:
        with openai.chat.completions.create(model=model, messages=HI, stream=True) as chunks:
            for chunk in chunks:
                yield chunk.choices[0].delta.content or ""

    return Response(words(), mimetype="text/plain")


@app.get("/together")
def together() -> list[str]:
    """Asks three at once, in a step."""
    with llm_observe.step("compare"), ThreadPoolExecutor(3) as pool:
        asked = [("openai", "fake-echo"), ("anthropic", "fake-flaky-429"), ("openai", "fake-flaky-500")]
        return list(pool.map(lambda one: ask(*one), asked))


@app.get("/background")
def background() -> Response:
    """Asks after the answer."""
    response = Response("later")
    response.call_on_close(lambda: ask("openai", "fake-echo"))
    return response
