"""A provider with canned answers: `python -m peers.provider` prints its port.

A chat call is answered at once, a stream with 100 chunks in one write, each a chunk of HTTP too. The model `slow` streams 20 chunks in
two seconds, so that a thousand streams are open at the same time. Anything else is an order: an HTTP request that is no LLM call.
"""

import asyncio
import json

from peers.http1 import response, serve

ID = b"000000000000"
LIMITS = b"".join(b"x-ratelimit-%d: 1\r\n" % n for n in range(12)) + b"x-request-id: req_1\r\nopenai-processing-ms: 12\r\n"
SAID = "word " * 100 + f"said-{ID.decode()}"
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-x-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": SAID}}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300},
    }
).encode()
ORDER = response(b'{"order": 1, "lines": []}')


def event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x-2026", "choices": [choice]}
    return framed(f"data: {json.dumps(chunk)}\n\n".encode())


def framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n%btransfer-encoding: chunked\r\n\r\n" % LIMITS
EVENTS = [event({"role": "assistant", "content": ""}), *(event({"content": "word "}) for _ in range(96))]
LAST = [event({"content": f"said-{ID.decode()}"}), event({}, "stop"), framed(b"data: [DONE]\n\n")]
CHUNKS = [*EVENTS, *LAST]
STREAM, END = b"".join(CHUNKS), b"0\r\n\r\n"
PIECES = CHUNKS[:17] + LAST
APART = 0.1  # seconds between a slow stream's pieces


def answer(line: bytes, head: bytes, body: bytes, transport: asyncio.Transport) -> None:
    if b"/chat/completions " not in line:
        transport.write(ORDER)
        return
    at = body.find(b"head-") + 5
    call, parameters = body[at : at + len(ID)], body[:100] + body[-100:]  # before and after the messages
    if b'"stream"' not in parameters:
        transport.write(response(ANSWER.replace(ID, call), more=LIMITS))
    elif b'"slow"' in parameters:
        transport.write(HEAD)
        slowly(transport, [piece.replace(ID, call) for piece in PIECES] + [END])
    else:
        transport.write(HEAD + STREAM.replace(ID, call) + END)


def slowly(transport: asyncio.Transport, pieces: list[bytes]) -> None:
    transport.write(pieces[0])
    if pieces[1:]:
        asyncio.get_running_loop().call_later(APART, slowly, transport, pieces[1:])


if __name__ == "__main__":
    serve(answer)
