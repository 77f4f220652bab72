"""The web apps: one route that asks a model, under uvicorn (`peers.web:fastapi_app`) or gunicorn (`peers.web:flask_app()`).

Tool, provider, sink and directory come in `BENCH`, as JSON.
"""

import gc
import json
import os
from pathlib import Path
from typing import Any

from peers.markers import Found, prompt
from peers.tools import TOOLS, Handle

BENCH = json.loads(os.environ.get("BENCH", "{}"))
CLIENT = {"base_url": f"{BENCH.get('provider')}/v1", "api_key": "sk-bench", "max_retries": 0, "timeout": 120}


def handled() -> Handle:
    return TOOLS[BENCH["tool"]].setup(BENCH["sink"], Path(BENCH["home"]))


def asked(call: str) -> dict[str, Any]:
    return {"model": "gpt-x", "messages": [{"role": "user", "content": prompt(call, 1000)}]}


def settle(handle: Handle) -> dict[str, int]:
    """Flushed, and what is there by now stays: whether a collection of all of it falls into a block is chance, and as much as 400,000 instructions a request."""
    handle.flush()
    gc.collect()
    gc.freeze()
    return {}


def stored(handle: Handle) -> dict[str, int]:
    """Flushed, and what is on this machine."""
    handle.flush()
    return Found().read(handle.stored() if handle.stored else ()).counts()


def fastapi_app() -> Any:
    from fastapi import FastAPI

    handle = handled()
    import openai

    app, client = FastAPI(), openai.AsyncOpenAI(**CLIENT)

    @app.get("/chat/{call}")
    async def chat(call: str) -> dict[str, str]:
        answer = await client.chat.completions.create(**asked(call))
        return {"said": answer.choices[0].message.content or ""}

    @app.get("/flush")
    def flush() -> dict[str, int]:
        handle.flush()
        return {}

    @app.get("/settle")
    def settled() -> dict[str, int]:
        return settle(handle)

    @app.get("/stored")
    def in_thread() -> dict[str, int]:
        return stored(handle)

    handle.web("fastapi", app)
    return app


def flask_app() -> Any:
    from flask import Flask

    handle = handled()
    import openai

    app, client = Flask(__name__), openai.OpenAI(**CLIENT)

    @app.get("/chat/<call>")
    def chat(call: str) -> dict[str, str]:
        answer = client.chat.completions.create(**asked(call))
        return {"said": answer.choices[0].message.content or ""}

    @app.get("/flush")
    def flush() -> dict[str, int]:
        handle.flush()
        return {}

    @app.get("/settle")
    def settled() -> dict[str, int]:
        return settle(handle)

    @app.get("/stored")
    def here() -> dict[str, int]:
        return stored(handle)

    handle.web("flask", app)
    return app
