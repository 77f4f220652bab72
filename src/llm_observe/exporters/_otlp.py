"""The SDK's own OTLP exporter, one try at a time: when to come again is our channel's affair, and what the collector said is told.

It is the SDK that reads ``OTEL_EXPORTER_OTLP_*``. It would try again by itself, for ten seconds and more, and tell nobody why; a session
that raises what is no connection error keeps it from that, in every version.
"""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from llm_observe.errors import ExportError, Rejected, RetryLater, SettingsError
from llm_observe.exporters._answer import judge
from llm_observe.exporters._plain import excerpt

PATH = "/v1/traces"


class Otlp(SpanExporter):
    """Posts spans to *endpoint*, or where the environment says. Raises :class:`ExportError` itself, instead of returning a failure.

    :raises SettingsError: for an address that cannot be one.
    """

    def __init__(self, endpoint: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        self._arguments: dict[str, Any] = {"endpoint": None if endpoint is None else _address(endpoint), "headers": headers}
        self._inherited: list[object] = []  # of a parent process: closing its connections is not our business
        self._open()

    def _open(self) -> None:
        self._pid, self._session = os.getpid(), _Once()
        self._exporter: OTLPSpanExporter | None = OTLPSpanExporter(**self._arguments, session=self._session)

    def export(self, spans: Any) -> SpanExportResult:
        """Post *spans*, once.

        :raises RetryLater: when the collector cannot be reached, or cannot take them now.
        :raises Rejected: when it will not take them, or some of them.
        """
        if self._exporter is None or self._pid != os.getpid():
            self._inherited += [self._exporter, self._session]
            self._open()
        assert self._exporter is not None
        self._session.said = None
        try:
            result = self._exporter.export(spans)
        except _Said:  # before 1.35 the SDK lets it through
            result = SpanExportResult.FAILURE
        if self._session.said is not None:
            raise self._session.said
        return result

    def shutdown(self) -> None:
        """Close the connections. Exporting again opens new ones."""
        exporter, self._exporter = self._exporter, None
        if exporter is not None and self._pid == os.getpid():
            exporter.shutdown()  # type: ignore[no-untyped-call]  # the SDK's own


class _Said(requests.RequestException):
    """What the SDK is told of a failure: no connection error, so that it leaves it at that."""


class _Once(requests.Session):
    """Sends once, follows no redirect, and keeps what became of it."""

    said: ExportError | None = None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        where = str(request.url).partition("?")[0]
        try:
            response = super().send(request, **{**options, "allow_redirects": False})
            judge(where, response.status_code, response.headers, excerpt(response.text[:400], 200))
            _all_taken(where, response.content)
        except requests.RequestException as error:
            self.said = RetryLater(f"{where}: {type(error).__name__}: {error}")
        except ExportError as error:
            self.said = error
        else:
            return response
        raise _Said(str(self.said))


def _all_taken(where: str, body: bytes) -> None:
    try:
        refused = ExportTraceServiceResponse.FromString(body).partial_success
    except Exception:  # some collectors answer in words
        return
    if refused.rejected_spans:
        raise Rejected(f"{where} refused {refused.rejected_spans} spans: {refused.error_message}", count=refused.rejected_spans)


def _address(endpoint: str) -> str:
    """Where traces go below *endpoint*, as the specification has it for ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
    found = urlsplit(endpoint)
    if found.scheme not in {"http", "https"} or not found.hostname or found.query or found.fragment:
        raise SettingsError(f"OtelExporter: {found.scheme}://{found.hostname or ''}: expected http://host:4318 or https://host:4318.")
    if found.username or found.password:
        raise SettingsError(f"OtelExporter: no name and password in the address of {found.hostname}; set OTEL_EXPORTER_OTLP_HEADERS.")
    return endpoint if found.path.endswith(PATH) else endpoint.rstrip("/") + PATH
