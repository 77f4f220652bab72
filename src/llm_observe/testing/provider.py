"""A provider of language models that runs on this machine and says what it is told to: for tests, demos and benchmarks.

::

    with FakeProvider() as provider:
        client = openai.OpenAI(base_url=provider.openai_base_url, api_key="sk-fake")
        provider.enqueue("Paris.", Reply(status=429, headers={"retry-after": "0.01"}))

It is a real HTTP server on 127.0.0.1 that speaks OpenAI Chat Completions and Anthropic Messages, plain and streamed, in the services' own
framing, headers and errors. What it answers is decided in this order: what was queued, what was routed, what the model's name stands for
(:data:`MODELS`: ``fake-slow``, ``fake-flaky-429``, ``fake-tools`` ...), and else ``You said:`` with the user's last words.
"""

import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from llm_observe.testing._answers import answer
from llm_observe.testing._http import BadRequest, Incoming, read_request, reset, write_answer
from llm_observe.testing._models import MODELS, Behaviour, replied
from llm_observe.testing._replies import Answering, Received, Reply, ToolCall

__all__ = ["MODELS", "Answering", "Behaviour", "FakeProvider", "Received", "Reply", "ToolCall"]

_FINAL = {"x-should-retry": "false"}  # the SDKs obey it: a mistake of the test is not retried twice
_BODIES = 10_000  # bodies whose repetition is counted, before the count begins anew
_GRACE = 2.0  # seconds that stop() gives its threads; only a reply function that hangs needs them


class FakeProvider:
    """The server. Start it with ``with``, or with :meth:`start` and :meth:`stop`; a stopped one can be started again, on its port.

    *port* 0 lets the system choose. *time_scale* multiplies every delay: a demo that takes seconds is tested in milliseconds with 0.01.
    *remember* bounds how many requests are kept in :attr:`requests`; older ones are forgotten, and counted in :attr:`forgotten`.
    """

    def __init__(self, *, port: int = 0, time_scale: float = 1.0, remember: int = 1000) -> None:
        self.time_scale = time_scale
        self._port = port
        self._received: deque[Received] = deque(maxlen=remember)
        self._count = 0
        self._queue: deque[Answering] = deque()
        self._routes: list[tuple[Callable[[Received], bool], Answering]] = []
        self._bodies: dict[int, int] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"FakeProvider({self.url!r})" if self._listener is not None else "FakeProvider(not running)"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        if not self._port:
            raise RuntimeError("The provider has no address before it is started: use `with FakeProvider() as provider:`.")
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_base_url(self) -> str:
        """The ``base_url`` for an OpenAI client."""
        return f"{self.url}/v1"

    @property
    def anthropic_base_url(self) -> str:
        """The ``base_url`` for an Anthropic client."""
        return self.url

    @property
    def requests(self) -> list[Received]:
        """What was received, in order of time; a copy."""
        with self._lock:
            return list(self._received)

    @property
    def forgotten(self) -> int:
        """How many requests are no longer in :attr:`requests`."""
        with self._lock:
            return self._count - len(self._received)

    def enqueue(self, *replies: Answering) -> None:
        """Answer the next requests with *replies*, in this order, whatever their model is."""
        self._queue.extend(replies)

    def route(self, match: str | Callable[[Received], bool], answering: Answering) -> None:
        """Answer every request for the model *match*, or for which *match* is true, with *answering*; the latest route wins.

        A function sees requests to any path, so a route with ``Reply(raw=...)`` can stand in for another API.
        """
        test = match if callable(match) else lambda received: received.model == match
        self._routes.append((test, answering))

    def start(self) -> Self:
        """Listen; returns at once, ready. Does nothing when it is running."""
        if self._listener is None:
            self._stopping.clear()
            # The backlog holds what connects between two accepts: 64 at once must not see a refusal.
            self._listener = socket.create_server(("127.0.0.1", self._port), backlog=512)
            self._port = self._listener.getsockname()[1]
            self._acceptor = threading.Thread(target=self._accept, args=(self._listener,), name="fake-provider", daemon=True)
            self._acceptor.start()
        return self

    def stop(self) -> None:
        """Break off what is open and end every thread. Safe to call twice."""
        listener, self._listener = self._listener, None
        if listener is None or self._acceptor is None:
            return
        with self._lock:
            self._stopping.set()
            open_now = dict(self._connections)
        with contextlib.suppress(OSError):  # an accept is woken by a connection, on every system
            socket.create_connection(listener.getsockname(), timeout=1).close()
        deadline = time.monotonic() + _GRACE
        for sock in open_now:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in (self._acceptor, *open_now.values()):
            thread.join(max(0.0, deadline - time.monotonic()))
        listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:  # out of file descriptors, or a connection that was gone again
                if self._stopping.wait(0.01):
                    return
                continue
            with self._lock:
                if self._stopping.is_set():
                    sock.close()
                    return
                thread = threading.Thread(target=self._serve, args=(sock,), name="fake-provider-connection", daemon=True)
                self._connections[sock] = thread
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with sock.makefile("rb") as stream:
                while (request := read_request(stream, sock)) is not None:
                    if not self._exchange(sock, self._receive(request)) or not request.keep:
                        break
        except BadRequest:
            with contextlib.suppress(OSError):
                sock.sendall(b"HTTP/1.1 400 \r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        except OSError:
            pass  # the client went away, or stop() took the socket: what clients do, and no event here
        finally:
            with self._lock:
                self._connections.pop(sock, None)
            sock.close()

    def _receive(self, request: Incoming) -> Received:
        method, path, headers, raw, _ = request
        try:
            body: Any = json.loads(raw) if raw else None
        except ValueError:
            body = None
        retry = headers.get("x-stainless-retry-count", "")
        with self._lock:
            if retry.isdecimal():
                attempt = int(retry)
            else:
                if len(self._bodies) >= _BODIES:
                    self._bodies.clear()
                key = hash(raw)
                attempt = self._bodies.get(key, 0)
                self._bodies[key] = attempt + 1
            received = Received(method, path, headers, body, raw, attempt)
            self._received.append(received)
            self._count += 1
        return received

    def _exchange(self, sock: socket.socket, received: Received) -> bool:
        """Answer one request; False when the connection is not to be used again."""
        try:
            reply = self._reply(received)
            self._wait(reply.delay)
            if reply.drop:
                return False
            answered = answer(received, reply)
        except Exception as error:  # a test's reply function may raise anything; its author reads it in the SDK's error
            reply = Reply(f"The reply could not be made: {error!r}", status=500, error_type="fake_provider_error", headers=_FINAL)
            answered = answer(received, reply)
        write_answer(sock, answered, lambda: self._wait(reply.chunk_delay))
        if answered.cut and reply.reset:
            reset(sock)
        return not answered.cut

    def _reply(self, received: Received) -> Reply:
        if received.format is None:
            found = self._routed(received)
            missing = Reply(
                f"Unknown request URL: {received.method} {received.path}.", status=404, error_type="unknown_url", headers=_FINAL
            )
            return missing if found is None else replied(found, received)
        if received.method != "POST":
            return Reply(f"Not allowed to {received.method} on {received.path}.", status=405, error_type="method_not_supported")
        if not isinstance(received.body, dict):
            return Reply("We could not parse the JSON body of your request.", status=400)
        found = self._queued()
        if found is None:
            found = self._routed(received)
        if found is not None:
            return replied(found, received)
        if not received.model:
            return Reply("you must provide a model parameter", status=400)
        return replied(MODELS.get(received.model, Reply()), received)

    def _queued(self) -> Answering | None:
        try:
            return self._queue.popleft()
        except IndexError:
            return None

    def _routed(self, received: Received) -> Answering | None:
        return next((answering for match, answering in reversed(self._routes) if match(received)), None)

    def _wait(self, seconds: float) -> None:
        if seconds:
            self._stopping.wait(seconds * self.time_scale)
