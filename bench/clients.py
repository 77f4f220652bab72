"""What the hook of each client adds to a call: `python bench/clients.py [--quick]`, a line for each client and kind of call.

Bare and observed calls take turns within one run (A B A B). No network: the answer comes from memory, in at the library's own connection
(aiohttp), response (requests, botocore) or transport (httpx2), so that the difference is not lost in what sockets take. Microseconds of
the caller's thread, medians; compare ratios, not machines.
"""

import argparse
import asyncio
import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import botocore.awsrequest
import botocore.httpsession
import httpx2
import requests
import urllib3
from budget import ANSWER, ANSWER_HEADERS, CHUNKS, HEADERS, answer, answer_async, prompt

import llm_observe
from llm_observe import capture
from llm_observe.wire import look_for

PATHS = {"plain": "/model/x/chat/completions", "stream": "/model/x/chat/completions", "no call": "/orders"}
Once = Callable[[], int]


def timed(call: Callable[[], object]) -> int:
    began = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - began


# --- aiohttp ---------------------------------------------------------------------------------------------------------


def head(kind: str) -> bytes:
    framing = "transfer-encoding: chunked" if kind == "stream" else f"content-length: {len(ANSWER)}"
    lines = "".join(f"{name}: {value}\r\n" for name, value in ANSWER_HEADERS)
    return f"HTTP/1.1 200 OK\r\n{lines}{framing}\r\n\r\n".encode()


def body(kind: str) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in CHUNKS) + b"0\r\n\r\n" if kind == "stream" else ANSWER


class Wire(asyncio.Transport):
    """A connection that answers each request at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any, said: bytes) -> None:
        super().__init__()
        self.loop, self.protocol, self.said, self.asked = loop, protocol, said, b""

    def write(self, data: bytes) -> None:
        if data.startswith(b"POST "):
            self.loop.call_soon(self.protocol.data_received, self.said)

    def writelines(self, pieces: Any) -> None:
        self.write(b"".join(pieces))

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        pass

    abort = close


class Connector(aiohttp.TCPConnector):
    """Connects to no one."""

    said = b""

    async def _create_connection(self, *_: Any, **__: Any) -> Any:
        protocol = aiohttp.client_proto.ResponseHandler(self._loop)
        protocol.connection_made(Wire(self._loop, protocol, self.said))
        return protocol


def by_aiohttp(kind: str) -> Once:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # the session is left open, which does no harm here
    data, url = prompt(1000, stream=kind == "stream"), f"http://provider{PATHS[kind]}"

    async def session() -> aiohttp.ClientSession:
        connector = Connector()
        connector.said = head(kind) + body(kind)
        return aiohttp.ClientSession(connector=connector, headers=HEADERS)

    client = loop.run_until_complete(session())

    async def once() -> int:
        began = time.perf_counter_ns()
        response = await client.post(url, data=data)
        if kind == "stream":
            async for _ in response.content.iter_chunks():
                pass
        else:
            await response.read()
        return time.perf_counter_ns() - began

    return lambda: loop.run_until_complete(once())


# --- urllib3's ---------------------------------------------------------------------------------------------------------


class Pieces(io.BytesIO):
    """A body that comes in pieces, as from a connection."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.left = iter(CHUNKS if kind == "stream" else [ANSWER])

    def read(self, amount: int | None = -1) -> bytes:
        if amount is None or amount < 0:
            piece = b"".join(self.left)
            self.close()
            return piece
        piece = next(self.left, b"")
        if not piece:
            self.close()
        return piece


def raw(kind: str) -> urllib3.HTTPResponse:
    return urllib3.HTTPResponse(Pieces(kind), headers=ANSWER_HEADERS, status=200, preload_content=False, decode_content=False)


class Adapter(requests.adapters.HTTPAdapter):
    """Answers from memory."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def send(self, request: Any, **_: Any) -> Any:
        return self.build_response(request, raw(self.kind))


def by_requests(kind: str) -> Once:
    session = requests.Session()
    session.mount("http://", Adapter(kind))
    session.trust_env = False
    url, data = f"http://provider{PATHS[kind]}", prompt(1000, stream=kind == "stream")
    request = session.prepare_request(requests.Request("POST", url, data=data, headers=HEADERS))

    def call() -> None:
        response = session.send(request, stream=kind == "stream")
        if kind == "stream":
            for _ in response.iter_content(len(CHUNKS[0])):
                pass

    return lambda: timed(call)


class Pool:
    """Answers from memory, in place of botocore's connections."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def connection_from_url(self, url: str) -> "Pool":
        return self

    def urlopen(self, **_: Any) -> urllib3.HTTPResponse:
        return raw(self.kind)


def by_botocore(kind: str) -> Once:
    session = botocore.httpsession.URLLib3Session()
    pool = Pool(kind)
    session._get_connection_manager = lambda *_: pool  # noqa: SLF001 - in place of the network
    url, data = f"https://bedrock-runtime.eu-x-1.amazonaws.com{PATHS[kind]}", prompt(1000, stream=kind == "stream")
    request = botocore.awsrequest.AWSRequest(method="POST", url=url, data=data, headers=HEADERS, stream_output=kind == "stream").prepare()

    def call() -> None:
        response = session.send(request)
        if kind == "stream":
            for _ in response.raw.stream():
                pass

    return lambda: timed(call)


# --- httpx2's, to compare --------------------------------------------------------------------------------------------


def by_httpx2(kind: str) -> Once:
    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    url, data = f"http://provider{PATHS[kind]}", prompt(1000, stream=kind == "stream")

    def once() -> int:
        request = client.build_request("POST", url, content=data, headers=HEADERS)
        began = time.perf_counter_ns()
        response = client.send(request, stream=kind == "stream")
        if kind == "stream":
            for _ in response.iter_raw():
                pass
        return time.perf_counter_ns() - began

    return once


def by_httpx2_async(kind: str) -> Once:
    """As it is where aiohttp is hooked too, and every request has to say that it is on its way."""
    loop = asyncio.new_event_loop()
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer_async))
    url, data = f"http://provider{PATHS[kind]}", prompt(1000, stream=kind == "stream")

    async def once() -> int:
        request = client.build_request("POST", url, content=data, headers=HEADERS)
        began = time.perf_counter_ns()
        response = await client.send(request, stream=kind == "stream")
        if kind == "stream":
            async for _ in response.aiter_raw():
                pass
        return time.perf_counter_ns() - began

    return lambda: loop.run_until_complete(once())


CLIENTS = {"httpx2": by_httpx2, "httpx2, async": by_httpx2_async, "aiohttp": by_aiohttp, "requests": by_requests, "botocore": by_botocore}


def measured(once: Once, rounds: int) -> tuple[float, float]:
    """Medians without and with the hook."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for block in range(24):
        for hooked in (False, True) if block % 2 else (True, False):
            (capture.install if hooked else capture.uninstall)()
            for _ in range(rounds // 10):
                once()
            times[hooked].append(statistics.median([once() for _ in range(rounds)]))
    return statistics.median(times[False]) / 1e3, statistics.median(times[True]) / 1e3


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    rounds = 40 if options.parse_args().quick else 400
    look_for(PATHS[kind] for kind in ("plain", "stream"))
    observer = llm_observe.configure(exporters=[lambda _: None])
    print(f"{'added on the caller path (us, p50)':36}" + "".join(f"{kind:>10}" for kind in PATHS) + "   bare: " + ", ".join(PATHS))
    for name, client in CLIENTS.items():
        found = []
        for kind in PATHS:
            found.append(measured(client(kind), rounds))
            observer.flush(30)
        added = "".join(f"{with_us - bare:10.2f}" for bare, with_us in found)
        print(f"{name:36}{added}   " + ", ".join(f"{bare:.0f}" for bare, _ in found), flush=True)
    observer.shutdown()


if __name__ == "__main__":
    main()
