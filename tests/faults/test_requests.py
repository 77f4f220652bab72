"""Clients leave, tasks are cancelled, generators are abandoned, work goes to other threads and loops: one record each, with its parent, and nothing on standard error."""

import json
import socket
import struct
from collections import Counter

import pytest
from tests.faults.test_servers import UVICORN, Server

EACH = 20
RESET = struct.pack("ii", 1, 0)


def leave(port, path, read):
    """Ask for *path* and go away without another word: at once, or when *read* has come."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        data = b""
        while read and read not in data:
            piece = client.recv(4096)
            assert piece, data
            data += piece
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@pytest.mark.parametrize(
    ("when", "path", "read"),
    [("before the first byte", "/slow", b""), ("in the middle of the body", "/drip", b"one"), ("after the last byte", "/", b"ok")],
)
def test_clients_that_leave(row, tmp_path, when, path, read):
    """Twenty of them, by a reset: each request is on record, once."""
    server = Server([*UVICORN, "--lifespan", "on"], tmp_path)
    try:
        answered = server.await_answers()
        for _ in range(EACH):
            leave(server.port, path, read)
        if path == "/slow":
            server.await_line("in the middle\n", EACH)
        server.end("SIGTERM")
    finally:
        server.kill()

    row(32, f"clients leave {when}")(captured=EACH + answered).arrived(server.requests)
    assert EACH + answered == len(server.requests)
    assert 1 == max(Counter(server.requests).values())
    assert "llm-observe" not in "".join(server.said)


BEGIN = """
import asyncio, gc, json, os, socketserver, sys, threading
from concurrent.futures import ThreadPoolExecutor
import httpx2, llm_observe
def out(batch):
    for record in batch:
        kind = type(record).__name__
        said = "".join(part.content for message in record.output.messages for part in message.parts) if kind == "Call" else ""
        os.write(1, (json.dumps([record.id, kind, record.name, record.status, record.parent_id or "", record.span_id, said]) + "\\n").encode())
def data(**choice):
    return b"data: " + json.dumps({"model": "m", "choices": [{"index": 0, **choice}]}).encode() + b"\\n\\n"
class Provider(socketserver.StreamRequestHandler):
    'Says a word; ends there, or waits until the other side has gone.'
    def handle(self):
        headers = dict(line.decode().strip().lower().split(": ", 1) for line in iter(self.rfile.readline, b"\\r\\n") if b": " in line)
        self.rfile.read(int(headers["content-length"]))
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\nconnection: close\\r\\n\\r\\n" + data(delta={"content": "one"}))
        if ENDS:
            self.wfile.write(data(delta={}, finish_reason="stop") + b"data: [DONE]\\n\\n")
        else:
            self.connection.recv(1)
class Server(socketserver.ThreadingTCPServer):
    daemon_threads, request_queue_size = True, 100
    def handle_error(self, request, address): pass
provider = Server(("127.0.0.1", 0), Provider)
threading.Thread(target=provider.serve_forever, daemon=True).start()
observer = llm_observe.configure(exporters=[out], batch_age=0)
URL = f"http://127.0.0.1:{provider.server_address[1]}/v1/chat/completions"
BODY = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
async def words(client):
    async with client.stream("POST", URL, json=BODY) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                yield line
"""
CUT_OFF = {
    "the task is cancelled in the middle of a stream": """
async def main():
    async with httpx2.AsyncClient(timeout=60) as client:
        async def read(begun):
            async for word in words(client):
                if "one" in word:
                    begun.set()
        for _ in range(COUNT):
            begun = asyncio.Event()
            task = asyncio.ensure_future(read(begun))
            await begun.wait()
            task.cancel()
            await asyncio.wait([task])
asyncio.run(main())
""",
    "asyncio.timeout in the middle of a stream": """
async def main():
    async with httpx2.AsyncClient(timeout=60) as client:
        for _ in range(COUNT):
            try:
                async with asyncio.timeout(None) as limit:
                    async for word in words(client):
                        if "one" in word:
                            limit.reschedule(0)
            except TimeoutError:
                pass
asyncio.run(main())
""",
    "generators are abandoned in the middle of a stream": """
async def main():
    async with httpx2.AsyncClient(timeout=60) as client:
        async def abandon():
            stream = words(client)
            async for word in stream:
                if "one" in word:
                    return
        for _ in range(COUNT):
            await abandon()
            gc.collect()
            await asyncio.sleep(0)
asyncio.run(main())
""",
    "the loop is closed in the middle of streams": """
async def main():
    client = httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=COUNT))
    begun = asyncio.Semaphore(0)
    async def read():
        async for word in words(client):
            if "one" in word:
                begun.release()
    tasks = [asyncio.ensure_future(read()) for _ in range(COUNT)]
    for _ in range(COUNT):
        await begun.acquire()
asyncio.run(main())
""",
}


def told(done):
    """The records that a program wrote: id, kind, name, status, parent, span, and what was said."""
    return [json.loads(line) for line in done.lines if line.startswith("[")]


@pytest.mark.parametrize("fault", CUT_OFF)
def test_streams_that_are_cut_off(row, run, fault):
    """Each call is one record, not an error, with what was said by then; and nothing is said on standard error."""
    done = run(
        BEGIN.replace("ENDS", "False") + CUT_OFF[fault].replace("COUNT", str(EACH)) + "observer.shutdown(); os._exit(0)", timeout=100
    )
    calls = told(done)

    row(32, fault)(captured=EACH).arrived(call[0] for call in calls)
    assert (0, "", EACH, EACH) == (done.code, done.err, len(calls), len({call[0] for call in calls}))
    assert {"cancelled", "truncated"} >= {call[3] for call in calls}
    assert all(call[6].startswith("one") for call in calls)


ELSEWHERE = """
def ask(name):
    with llm_observe.step(name):
        httpx2.post(URL, json=BODY, timeout=60, verify=False)
async def ask_in_loop(name):
    with llm_observe.step(name):
        async with httpx2.AsyncClient(timeout=60) as client:
            await client.post(URL, json=BODY)
async def main():
    loop = asyncio.get_running_loop()
    with llm_observe.scope("job"):
        ask("here")
        await asyncio.gather(
            ask_in_loop("task"),
            asyncio.to_thread(ask, "to_thread"),
            loop.run_in_executor(None, ask, "run_in_executor"),
            asyncio.to_thread(lambda: asyncio.run(ask_in_loop("a loop in a thread"))),
        )
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(ask, ["pool", "pool"]))
            pool.submit(lambda: asyncio.run(ask_in_loop("a loop in a pool"))).result()
        thread = threading.Thread(target=ask, args=("a plain thread",))
        thread.start()
        thread.join()
asyncio.run(main())
observer.shutdown()
os._exit(0)
"""


def test_work_elsewhere(row, run):
    """A call is below its step, and the step below its job, wherever Python or we carry the context; a plain thread's are on record by themselves."""
    done = run(BEGIN.replace("ENDS", "True") + ELSEWHERE, timeout=100)
    records = told(done)
    (job,) = (record[5] for record in records if record[2] == "job")
    steps = {record[5]: record for record in records if record[1] == "Step"}
    calls = [record for record in records if record[1] == "Call"]
    below = {record[2] for record in steps.values() if record[4] == job}

    row(33, "threads, to_thread, run_in_executor, pools, loops in threads")(captured=19).arrived(record[0] for record in records)
    assert (0, "", 19, 9) == (done.code, done.err, len(records), len(calls))
    assert {"here", "task", "to_thread", "run_in_executor", "a loop in a thread", "pool", "a loop in a pool"} == below
    assert sorted(steps) == sorted(call[4] for call in calls)
    assert {"ok"} == {call[3] for call in calls}
