"""The SDK's own OTLP exporters, one try at a time: when to come again is our channel's affair, and what the collector said is told.

It is the SDK that reads ``OTEL_EXPORTER_OTLP_*``. It would try again by itself, for ten seconds and more, and tell nobody why; a session
that raises what is no connection error keeps it from that, in every version.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from llm_observe.errors import ExportError, Rejected, RetryLater, SettingsError
from llm_observe.exporters._answer import DIVISIBLE, judge
from llm_observe.exporters._plain import excerpt

NOT_FOUND = 404


class Divisible(Rejected):
    """May be the fault of a single record, or of too many at once: halves are worth a try."""


class Signal(NamedTuple):
    """What is sent: *make* is the SDK's exporter of it, *answer* a collector's, in which *refused* counts what it did not take.

    Not every collector takes what is not *needed*: one that does not is not waited for, and gets the rest.
    """

    path: str
    make: Callable[..., Any]
    answer: Any
    refused: str
    things: str
    needed: bool = True


TRACES = Signal("/v1/traces", OTLPSpanExporter, ExportTraceServiceResponse, "rejected_spans", "spans")


class Otlp:
    """Posts a *signal* to *endpoint*, or where the environment says. Raises :class:`ExportError`, instead of returning a failure.

    :raises SettingsError: for an address that cannot be one.
    """

    def __init__(self, signal: Signal, endpoint: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        where = None if endpoint is None else _address(endpoint, signal.path)
        self._signal, self._arguments = signal, {"endpoint": where, "headers": headers}
        self._inherited: list[object] = []  # of a parent process: closing its connections is not our business
        self._open()

    def _open(self) -> None:
        self._pid, self._session = os.getpid(), _Once(self._signal)
        self._exporter = self._signal.make(**self._arguments, session=self._session)

    def export(self, things: list[Any]) -> None:
        """Post *things*, once.

        :raises RetryLater: when the collector cannot be reached, or cannot take them now.
        :raises Rejected: when it will not take them, or some of them; :class:`Divisible` when it may take others of them.
        """
        if self._exporter is None or self._pid != os.getpid():
            self._inherited += [self._exporter, self._session]
            self._open()
        self._session.said, self._session.sent = None, False
        try:
            self._exporter.export(things)
        except _Said:  # before 1.35 the SDK lets it through
            assert self._session.said is not None
        except Exception as error:  # what it cannot encode: later versions say so by a failure
            raise Divisible(f"{self._signal.things}: {type(error).__name__}: {error}") from error
        if self._session.said is not None:
            raise self._session.said
        if not self._session.sent:
            raise Divisible(f"the SDK cannot encode these {self._signal.things}, or finds them too large")

    def shutdown(self) -> None:
        """Close the connections. Exporting again opens new ones."""
        exporter, self._exporter = self._exporter, None
        if exporter is not None and self._pid == os.getpid():
            exporter.shutdown()


class _Said(requests.RequestException):
    """What the SDK is told of a failure: no connection error, so that it leaves it at that."""


class _Once(requests.Session):
    """Sends once, follows no redirect, and keeps what became of it."""

    said: ExportError | None = None
    sent = False

    def __init__(self, signal: Signal) -> None:
        super().__init__()
        self._signal = signal

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        where = str(request.url).partition("?")[0]
        self.sent = True
        try:
            response = super().send(request, **{**options, "allow_redirects": False})
            _judge(where, response, self._signal)
            _all_taken(where, response.content, self._signal)
        except requests.RequestException as error:
            self.said = RetryLater(f"{where}: {type(error).__name__}: {error}")
        except ExportError as error:
            self.said = error
        else:
            return response
        raise _Said(str(self.said))


def _judge(where: str, response: requests.Response, signal: Signal) -> None:
    if response.status_code == NOT_FOUND and not signal.needed:
        raise Rejected(f"{where} answered {NOT_FOUND}: it takes no {signal.things}")
    try:
        judge(where, response.status_code, response.headers, excerpt(response.text[:400], 200))
    except Rejected as refusal:
        raise Divisible(str(refusal)) if response.status_code in DIVISIBLE else refusal from None


def _all_taken(where: str, body: bytes, signal: Signal) -> None:
    try:
        partial = signal.answer.FromString(body).partial_success
    except Exception:  # some collectors answer in words
        return
    if refused := getattr(partial, signal.refused):
        raise Rejected(f"{where} refused {refused} {signal.things}: {partial.error_message}", count=refused)


def _address(endpoint: str, path: str) -> str:
    """Where *path* is below *endpoint*, as the specification has it for ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
    found = urlsplit(endpoint)
    if found.scheme not in {"http", "https"} or not found.hostname or found.query or found.fragment:
        raise SettingsError(f"OtelExporter: {found.scheme}://{found.hostname or ''}: expected http://host:4318 or https://host:4318.")
    if found.username or found.password:
        raise SettingsError(f"OtelExporter: no name and password in the address of {found.hostname}; set OTEL_EXPORTER_OTLP_HEADERS.")
    return endpoint.removesuffix(TRACES.path).rstrip("/") + path
