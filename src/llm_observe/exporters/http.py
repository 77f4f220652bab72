"""Records over HTTP: a batch is a POST of a JSON array.

It stands on httpx2's transport and not on its client: nothing is logged per request (the address may hold a key), no cookie is kept, no
redirect followed, and hooks on the client, ours too, see none of it. Proxies and certificates come from the environment as usual
(``HTTPS_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE``).
"""

import contextlib
import gzip
import importlib.metadata
import os
import re
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import anyio.lowlevel

from llm_observe.errors import Rejected, RetryLater, SettingsError, missing
from llm_observe.exporters._answer import DIVISIBLE, judge
from llm_observe.exporters._plain import excerpt
from llm_observe.protocols import Batch

try:
    import httpx2
except ModuleNotFoundError as error:
    raise missing(error, extra="http") from None

WORTH_IT = 1024  # bytes from which on a body is compressed
MOST = 64 * 1024  # bytes of an answer that are read
PATIENCE = 1.0  # seconds the body of an answer may take: the status has said it all
_OURS = {"content-type", "content-encoding", "content-length", "transfer-encoding", "connection", "x-llm-observe-batch"}
_NAME, _VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"), re.compile(r"[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?")


class HttpExporter:
    """Posts batches to *url*, with *headers* (for a key, say) and within *timeout* seconds from connecting to the end of the answer.

    Bodies over 1 KB are gzipped unless *compress* is false. Each request carries ``x-llm-observe-batch``, the same when a batch comes
    again, so that the receiver can tell a repeat. A batch that is too large (413) or not understood (400) is halved until what is at
    fault is alone: it costs no other record.

    :raises SettingsError: for an address or a header that cannot work. Its text never holds a header's value.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        connect_timeout: float = 3.0,
        compress: bool = True,
    ) -> None:
        self._target = _address(url)
        self.url = str(self._target.copy_with(query=None, fragment=None))  # to be shown: a query may hold a key
        self._headers = _checked(headers or {})
        if not (timeout > 0 and connect_timeout > 0):
            raise SettingsError(f"HttpExporter(timeout={timeout}, connect_timeout={connect_timeout}): expected seconds, more than 0.")
        self._timeout, self._connect_timeout, self._compress = timeout, connect_timeout, compress
        self._transport: httpx2.AsyncHTTPTransport | None = None
        self._home: object = None  # the process and loop the transport belongs to
        self._inherited: object = None  # a transport of another one: closing it is not our business, nor its destructor's
        self._batch = ""
        self._settled: dict[tuple[int, int], Rejected | None] = {}  # parts of that batch, and why they were refused, if they were
        self._halved: set[tuple[int, int]] = set()  # parts of it that only their halves can tell of

    def __repr__(self) -> str:
        return f"HttpExporter({self.url!r}, headers={sorted(self._headers)})"

    async def export(self, batch: Batch, /) -> None:
        """Post *batch*.

        :raises RetryLater: when the server cannot be reached, or cannot take it now. Parts that arrived are not sent again.
        :raises Rejected: when the server will not take it, or some of it (its ``count``).
        """
        if self._batch != batch.id:
            self._batch, self._settled, self._halved = batch.id, {}, set()
        await self._deliver(batch, 0, len(batch.lines))
        refused = {part: refusal for part, refusal in self._settled.items() if refusal is not None}
        lost = sum(stop - start for start, stop in refused)
        if lost:
            *_, last = refused.values()
            raise last if lost == len(batch.lines) else Rejected(f"{lost} of {len(batch.lines)} records: {last}", count=lost)

    async def aclose(self) -> None:
        """Close the connections. Exporting again opens new ones."""
        transport, self._transport = self._transport, None
        if transport is not None and self._home == _home():
            await transport.aclose()
        else:
            self._inherited = transport

    async def _deliver(self, batch: Batch, start: int, stop: int) -> None:
        """Settle records *start* to *stop*: they arrived, or were refused."""
        part = (start, stop)
        if part in self._settled:
            return
        if part not in self._halved:  # else a half of it has arrived, perhaps, and the batch came again for the other
            whole = stop - start == len(batch.lines)
            try:
                fits = await self._post(batch.lines[start:stop], batch.id if whole else f"{batch.id}.{start}-{stop}")
            except Rejected as refusal:
                self._settled[part] = refusal
                return
            if fits:
                self._settled[part] = None
                return
            self._halved.add(part)
        middle = (start + stop) // 2
        await self._deliver(batch, start, middle)
        await self._deliver(batch, middle, stop)

    async def _post(self, lines: Sequence[bytes], label: str) -> bool:
        """Whether *lines* arrived; False when halves of them may: there are too many at once, or one spoils the others."""
        body = b"[" + b",".join(lines) + b"]"
        headers = {**self._headers, "content-type": "application/json", "x-llm-observe-batch": label}
        if self._compress and len(body) > WORTH_IT:
            body = gzip.compress(body, 1, mtime=0)
            headers["content-encoding"] = "gzip"
        seconds = {"connect": self._connect_timeout, "read": self._timeout, "write": self._timeout, "pool": self._timeout}
        request = httpx2.Request("POST", self._target, headers=headers, content=body, extensions={"timeout": seconds})
        try:
            with anyio.fail_after(self._timeout):
                response = await self._ready().handle_async_request(request)
                said = await _beginning(response)
        except TimeoutError:
            raise RetryLater(f"{self.url} took longer than {self._timeout:g} s") from None
        except httpx2.HTTPError as error:
            raise RetryLater(f"{self.url}: {type(error).__name__}: {error}") from error
        if response.status_code in DIVISIBLE and len(lines) > 1:
            return False
        judge(self.url, response.status_code, response.headers, said)
        return True

    def _ready(self) -> httpx2.AsyncHTTPTransport:
        """A transport of this process and loop: a forked child's, or a restarted sink's, is its own."""
        home = _home()
        if self._transport is None or self._home != home:
            self._inherited, self._home = self._transport, home
            limits = httpx2.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=30.0)
            self._transport = httpx2.AsyncHTTPTransport(limits=limits, proxy=_proxy(self._target))
        return self._transport


def _home() -> object:
    return os.getpid(), anyio.lowlevel.current_token()


async def _beginning(response: httpx2.Response) -> str:
    """The first words of an answer. Reading it to its end keeps the connection; where that takes too much or too long, it is closed."""
    stream, data = response.stream, b""
    assert isinstance(stream, httpx2.AsyncByteStream)
    try:
        with anyio.move_on_after(PATIENCE), contextlib.suppress(httpx2.HTTPError):
            async for chunk in stream:
                data += chunk
                if len(data) > MOST:
                    break
    finally:
        with contextlib.suppress(httpx2.HTTPError):
            await stream.aclose()
    return excerpt(data[:400].decode(errors="replace"), 200)


def _address(url: str) -> httpx2.URL:
    try:
        found = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise SettingsError(f"HttpExporter: the address cannot be read: {error}. Expected http://host/path or https://host/path.") from None
    if found.userinfo:
        raise SettingsError(f"HttpExporter: no name and password in the address of {found.host}; pass headers={{'authorization': ...}}.")
    if found.scheme not in {"http", "https"} or not found.host:
        raise SettingsError(f"HttpExporter: {str(found.copy_with(query=None))!r}: expected http://host/path or https://host/path.")
    if found.port is not None and not 0 < found.port < 65536:
        raise SettingsError(f"HttpExporter: {found.host}: there is no port {found.port}.")
    return found


def _checked(headers: Mapping[Any, Any]) -> dict[str, str]:
    """*headers* with the names in lower case. An error names a header, never its value: it may be a key."""
    checked = {"user-agent": f"llm-observe/{_version()}", "accept": "application/json", "accept-encoding": "identity"}
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise SettingsError(f"HttpExporter: {name!r} cannot be the name of a header.")
        if name.lower() in _OURS:
            raise SettingsError(f"HttpExporter: the header {name} is set by the exporter; leave it out.")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise SettingsError(f"HttpExporter: the value of the header {name} cannot be sent: expected printable ASCII, no line ends.")
        checked[name.lower()] = value
    return checked


def _version() -> str:
    try:
        return importlib.metadata.version("llm-observe")
    except importlib.metadata.PackageNotFoundError:  # a source tree on the path
        return "unknown"


def _proxy(url: httpx2.URL) -> str | None:
    """The proxy the environment names for *url*."""
    found = urllib.request.getproxies()
    return None if urllib.request.proxy_bypass(url.host) else found.get(url.scheme) or found.get("all")
