"""An ASGI app without a framework: one line of it is ours."""

import asyncio
import os

from llm_observe.asgi import LLMObserveMiddleware


async def app(scope, receive, send):
    """Answers at once, or after a while."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    if scope["path"] == "/slow":
        os.write(2, b"in the middle\n")
        await asyncio.sleep(0.5)
    if scope["path"] == "/drip":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for word in (b"one ", b"two ", b"three "):
            await send({"type": "http.response.body", "body": word, "more_body": True})
            await asyncio.sleep(0.2)
        await send({"type": "http.response.body"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


app = LLMObserveMiddleware(app)
