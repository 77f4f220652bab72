"""What a request brings along: an id, a trace, a size. The same for ASGI and WSGI."""

import pytest

from llm_observe.asgi import LLMObserveMiddleware
from llm_observe.wsgi import LLMObserveWSGI

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WELL_FORMED = ["a", "req_01HV-abc.def", "Root=1-67891233-abcdef012345678912345678", "a" * 128, "f47ac10b-58cc-4372-a567-0e02b2c3d479"]
MALFORMED = [
    "",
    " ",
    "-starts-with-a-dash",
    "a" * 129,
    "with space",
    "a\r\nset-cookie: b=c",
    "a\nb",
    "a\x00b",
    "a\x1b[31mb",
    "<script>",
    '"quoted"',
    "caf\xe9",
    "a;b",
    "a,b",
]
CONTINUED = [
    f"00-{TRACE}-{PARENT}-01",
    f"00-{TRACE}-{PARENT}-00",
    f"cc-{TRACE}-{PARENT}-01",
    f"cc-{TRACE}-{PARENT}-01-what-the-future-may-bring",
]
IGNORED = [
    "",
    "00",
    f"00-{TRACE}-{PARENT}",
    f"00-{TRACE}-{PARENT}-01-extra",
    f"ff-{TRACE}-{PARENT}-01",
    f"00-{'0' * 32}-{PARENT}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE.upper()}-{PARENT}-01",
    f"00-{TRACE[:-1]}-{PARENT}-01",
    f"00-{TRACE}-{PARENT}-1",
    f"00-{TRACE}-{PARENT}-01\n",
    f"00-{TRACE}-{PARENT}-zz",
]


class Asgi:
    """One request through the ASGI middleware."""

    def __init__(self, asgi):
        self.asgi = asgi

    def __call__(self, observer, headers, own=()):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": [(k.encode(), v.encode()) for k, v in own]})
            await send({"type": "http.response.body"})

        scope = self.asgi.scope(headers=headers, method="POST")
        start, _ = self.asgi.talk(LLMObserveMiddleware(app, observer=observer), scope)
        return [(name.decode(), value.decode()) for name, value in start["headers"]]


class Wsgi:
    """One request through the WSGI middleware."""

    def __init__(self, wsgi):
        self.wsgi = wsgi

    def __call__(self, observer, headers, own=()):
        def app(environ, start_response):
            start_response("200 OK", list(own))
            return [b""]

        environ = {name.upper().replace("-", "_"): value for name, value in headers.items()}
        environ = {name if name == "CONTENT_LENGTH" else f"HTTP_{name}": value for name, value in environ.items()}
        answer = self.wsgi.talk(LLMObserveWSGI(app, observer=observer), self.wsgi.environ(**environ))
        return answer.all_headers


@pytest.fixture(params=["asgi", "wsgi"])
def request_with(request):
    """Makes a request with headers, and returns the headers of the answer."""
    return {"asgi": Asgi, "wsgi": Wsgi}[request.param](request.getfixturevalue(request.param))


@pytest.mark.parametrize("sent", WELL_FORMED)
def test_a_well_formed_request_id_is_honoured(request_with, timed, sent):
    """It is the record's, and comes back with the answer."""
    headers = request_with(timed.observer, {"x-request-id": sent})

    assert [("x-request-id", sent)] == headers
    assert [sent] == [record.request_id for record in timed.requests]


@pytest.mark.parametrize("sent", MALFORMED)
def test_a_malformed_request_id_is_replaced(request_with, timed, sent):
    """What could break a log or a header never gets through."""
    headers = request_with(timed.observer, {"x-request-id": sent})

    (record,) = timed.requests
    assert [("x-request-id", record.request_id)] == headers
    assert sent != record.request_id


def test_a_request_without_an_id_gets_its_record_s(request_with, timed):
    """The id in the answer leads to the record."""
    headers = request_with(timed.observer, {})

    (record,) = timed.requests
    assert [("x-request-id", record.id)] == headers
    assert record.id == record.request_id


def test_a_request_id_that_the_application_sends_is_not_doubled(request_with, timed):
    """The application has the last word, however it spells the name."""
    headers = request_with(timed.observer, {}, own=[("X-Request-ID", "mine")])

    assert [("X-Request-ID", "mine")] == headers


def test_the_header_of_the_request_id_is_a_setting(request_with):
    """For those who have another one."""
    from llm_observe import Observer
    from llm_observe.exporters.memory import MemoryExporter

    memory = MemoryExporter()
    with Observer(exporters=[memory], request_id_header="X-Correlation-Id") as observer:
        headers = request_with(observer, {"x-correlation-id": "c-1", "x-request-id": "r-1"})
        observer.flush(60)

    assert ["c-1"] == [record.request_id for record in memory.requests]
    assert ["c-1"] == [value for name, value in headers if name.lower() == "x-correlation-id"]


@pytest.mark.parametrize("sent", CONTINUED)
def test_a_trace_is_continued(request_with, timed, sent):
    """Its trace is ours, its span our parent."""
    request_with(timed.observer, {"traceparent": sent})

    assert [(TRACE, PARENT)] == [(record.trace_id, record.parent_id) for record in timed.requests]


def test_the_state_of_a_trace_goes_on_with_it(request_with, timed):
    """It is on record, for whoever sends the trace on."""
    request_with(timed.observer, {"traceparent": CONTINUED[0], "tracestate": "rojo=1,congo=2"})

    assert ["rojo=1,congo=2"] == [record.trace_state for record in timed.requests]


def test_a_state_may_come_in_several_headers(timed, asgi):
    """A list is one, however many lines it takes. (WSGI servers put them together.)"""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    scope = asgi.scope(headers={"traceparent": CONTINUED[0]})
    scope["headers"] += [(b"tracestate", b"rojo=1"), (b"tracestate", b"congo=2")]
    asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), scope)

    assert ["rojo=1,congo=2"] == [record.trace_state for record in timed.requests]


@pytest.mark.parametrize("sent", IGNORED)
def test_a_malformed_trace_is_ignored(request_with, timed, sent):
    """A new one begins."""
    request_with(timed.observer, {"traceparent": sent})

    (record,) = timed.requests
    assert None is record.parent_id
    assert (32, False) == (len(record.trace_id), record.trace_id.lower() == TRACE)


@pytest.mark.parametrize(("sent", "size"), [("12", 12), ("", None), ("-1", None), ("1e9", None), ("\xb2", None)])
def test_the_size_of_a_request_is_what_it_says(request_with, timed, sent, size):
    """A length that is none is no size."""
    request_with(timed.observer, {"content-length": sent})

    body = timed.requests[0].http.request.body
    assert size == (None if body is None else body.size)
