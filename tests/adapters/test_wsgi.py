"""The WSGI middleware, as a server sees it."""

import asyncio
import threading
import warnings
from wsgiref.util import FileWrapper

import pytest

from llm_observe import Observer, current, scope
from llm_observe.errors import SettingsError
from llm_observe.exporters.memory import MemoryExporter
from llm_observe.wsgi import LLMObserveWSGI


class Oops(Exception):
    """The application's own."""


def hello(environ, start_response):
    """Answers."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hel", b"lo"]


# --- what is recorded ------------------------------------------------------------------------------------------------


def test_a_request_s_facts(wsgi, timed):
    """Method, path, status, sizes, and the time from the first byte to the last."""

    def app(environ, start_response):
        timed.wait(1)
        start_response("201 Created", [])
        yield b"abc"
        timed.wait(2)
        yield b"de"
        timed.wait(4)

    answer = wsgi.talk(
        LLMObserveWSGI(app, observer=timed.observer),
        wsgi.environ("/caf\xc3\xa9", REQUEST_METHOD="POST", CONTENT_LENGTH="7", SCRIPT_NAME="/app"),
    )

    (record,) = timed.requests
    assert (b"abcde", "201 Created") == (answer.data, answer.status)
    assert ("POST", "/app/café", 201) == (record.http.request.method, record.url.path, record.http.response.status_code)
    assert (7, 5, 7.0) == (record.http.request.body.size, record.http.response.body.size, record.duration)
    assert ("ok", None, False) == (record.status, record.http.route, record.disconnected)


def test_calls_join_their_request(wsgi, timed, model):
    """Those of the call, of each piece of the body, and of its closing."""

    class Body:
        def __iter__(self):
            for _ in range(2):
                model.ask()
                yield b"."

        def close(self):
            model.ask()

    def app(environ, start_response):
        start_response("200 OK", [])
        model.ask()
        return Body()

    wsgi.talk(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ())

    (record,) = timed.requests
    assert (4, 4) == (record.calls.count, len(timed.calls))
    assert {(record.request_id, record.trace_id, record.span_id)} == {(c.request_id, c.trace_id, c.parent_id) for c in timed.calls}


def test_a_step_that_spans_pieces_of_the_body_is_there_again_for_each(wsgi, timed, model):
    """Between two pieces the server has the word, and is in no request."""
    from llm_observe import step

    def app(environ, start_response):
        start_response("200 OK", [])
        with step("write"):
            for _ in range(3):
                model.ask()
                yield b"."

    seen = []
    body = wsgi.call(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ()).body
    for _ in body:
        seen.append(current())
    body.close()

    (written,) = [record for record in timed.memory.records if record.name == "write"] if timed.requests else ()
    assert [None] * 3 == seen
    assert {written.span_id} == {call.parent_id for call in timed.calls}


def test_bytes_that_are_written_count(wsgi, timed):
    """By the `write` of old that `start_response` returns."""

    def app(environ, start_response):
        start_response("200 OK", [])(b"written")
        return [b"!"]

    answer = wsgi.talk(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ())

    assert ([b"written"], 8) == (answer.written, timed.requests[0].http.response.body.size)


def test_the_application_s_headers_are_not_changed(wsgi, timed):
    """What the application keeps of its headers is as it made it."""
    headers = [("a", "b")]

    def app(environ, start_response):
        start_response("200 OK", headers)
        return []

    wsgi.talk(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ())

    assert [("a", "b")] == headers


def test_headers_replaced_after_a_failure_are_those_of_the_record(wsgi, timed):
    """`exc_info` goes on to the server."""
    seen = []

    def app(environ, start_response):
        start_response("200 OK", [])
        try:
            raise Oops
        except Oops:
            import sys

            start_response("500 Oh", [], sys.exc_info())
        return [b""]

    def start_response(status, headers, exc_info=None):
        seen.append((status, exc_info and exc_info[0]))

    list(LLMObserveWSGI(app, observer=timed.observer)(wsgi.environ(), start_response))

    assert [("200 OK", None), ("500 Oh", Oops)] == seen


@pytest.mark.parametrize("status", ["none", ""])
def test_a_status_that_is_none_is_not_recorded(wsgi, timed, status):
    """The server will say what it thinks of it."""

    def app(environ, start_response):
        start_response(status, [])
        return []

    wsgi.talk(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ())

    assert [None] == [record.http.response.status_code for record in timed.requests]


# --- failures --------------------------------------------------------------------------------------------------------


def test_an_exception_is_a_500(wsgi, timed):
    """The very exception goes on to the server, which will answer so."""
    error = Oops("no")

    def app(environ, start_response):
        raise error

    with pytest.raises(Oops) as caught:
        wsgi.talk(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ())

    (record,) = timed.requests
    assert error is caught.value
    assert ("error", 500, "Oops", "no") == (record.status, record.http.response.status_code, record.error.type, record.error.message)
    assert None is current()


def test_an_exception_in_the_body_is_an_error(wsgi, timed):
    """The answer had begun: its status stays."""

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        raise Oops

    with pytest.raises(Oops):
        wsgi.talk(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ())

    assert [("error", 200, "Oops", False)] == [
        (record.status, record.http.response.status_code, record.error.type, record.disconnected) for record in timed.requests
    ]


def test_an_exception_while_closing_goes_on(wsgi, timed):
    """And the request is recorded."""

    class Body(list):
        def close(self):
            raise Oops

    def app(environ, start_response):
        start_response("200 OK", [])
        return Body([b"a"])

    with pytest.raises(Oops):
        wsgi.talk(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ())

    assert 1 == len(timed.requests)


def test_a_failure_of_ours_does_not_reach_the_application(wsgi, monkeypatch):
    """It answers as without us, and the failure is counted."""
    with Observer(exporters=[MemoryExporter()]) as observer:
        app = LLMObserveWSGI(hello, observer=observer)
        monkeypatch.setattr("llm_observe.wsgi.begin", lambda *_: 1 / 0)

        assert (b"hello", 1) == (wsgi.talk(app, wsgi.environ()).data, observer.stats().errors)


# --- bodies ----------------------------------------------------------------------------------------------------------


def test_a_client_that_leaves_in_the_middle(wsgi, timed, model):
    """The server closes the body before its end: the request is cancelled there, the generator ends in its scope."""
    where = []

    def app(environ, start_response):
        start_response("200 OK", [])
        try:
            yield b"a"
            yield b"b"
        finally:
            where.append(current())

    body = wsgi.call(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ()).body
    next(body)
    body.close()

    (record,) = timed.requests
    assert (True, "cancelled", 1) == (record.disconnected, record.status, record.http.response.body.size)
    assert [record.request_id] == [here.request_id for here in where]


def test_a_body_of_known_length_need_not_be_read_to_its_end(wsgi, timed):
    """Servers count its pieces, as without us."""
    body = wsgi.call(LLMObserveWSGI(hello, observer=timed.observer), wsgi.environ()).body
    pieces = [next(body) for _ in range(len(body))]
    body.close()

    assert [b"hel", b"lo"] == pieces
    assert [(False, "ok")] == [(record.disconnected, record.status) for record in timed.requests]


def test_a_body_of_unknown_length_has_none(wsgi, timed):
    """Servers must not take it for one that is whole."""

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"a"

    body = wsgi.call(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ()).body

    assert not hasattr(body, "__len__")
    assert [b"a"] == list(body)
    body.close()


def test_a_body_closed_from_another_thread(wsgi, timed):
    """Some servers do: the record is there, and neither thread is left in the request."""

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        yield b"b"

    body = wsgi.call(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ()).body
    next(body)
    left = []

    def close():
        body.close()
        left.append(current())

    thread = threading.Thread(target=close)
    thread.start()
    thread.join()

    assert ([None], None, 1) == (left, current(), len(timed.requests))


def test_a_body_closed_twice_is_one_record(wsgi, timed):
    """The application's own `close` is called as often as without us."""
    closed = []

    class Body(list):
        def close(self):
            closed.append(1)

    def app(environ, start_response):
        start_response("200 OK", [])
        return Body([b"a"])

    body = wsgi.call(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ()).body
    list(body)
    body.close()
    body.close()

    assert (2, 1) == (len(closed), len(timed.requests))


def test_a_body_that_is_never_closed_is_recorded_when_it_goes(wsgi, timed):
    """Test clients leave it to the garbage collector."""
    body = wsgi.call(LLMObserveWSGI(hello, observer=timed.observer), wsgi.environ()).body
    list(body)
    del body

    assert ["ok"] == [record.status for record in timed.requests]


def test_a_file_goes_to_the_server_as_it_is(wsgi, timed, tmp_path):
    """It may send it by itself only if it gets its own wrapper back."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)

    def app(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    body = wsgi.call(LLMObserveWSGI(app, observer=timed.observer), wsgi.environ(**{"wsgi.file_wrapper": FileWrapper})).body
    body.close()

    assert FileWrapper is type(body)
    assert [200] == [record.http.response.status_code for record in timed.requests]


# --- several of them -------------------------------------------------------------------------------------------------


def test_one_inside_the_other_is_one_record(wsgi, timed):
    """Mounted in an observed app, a request is one request."""
    answer = wsgi.talk(LLMObserveWSGI(LLMObserveWSGI(hello, observer=timed.observer), observer=timed.observer), wsgi.environ())

    assert (1, 1) == (len(timed.requests), [name for name, _ in answer.all_headers].count("x-request-id"))


def test_two_observers_each_have_their_own(wsgi, timed, another):
    """In any order, and more than once."""
    app = LLMObserveWSGI(LLMObserveWSGI(LLMObserveWSGI(hello, observer=timed.observer), observer=another.observer), observer=timed.observer)
    wsgi.talk(app, wsgi.environ())

    assert (1, 1) == (len(timed.requests), len(another.requests))


def test_a_wsgi_application_inside_of_an_observed_asgi_application_is_one_record(asgi, timed):
    """A Flask app mounted in a FastAPI app, each with its line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a package of its own does it nowadays; this one is at hand
        from starlette.middleware.wsgi import WSGIMiddleware

    from llm_observe.asgi import LLMObserveMiddleware

    app = LLMObserveMiddleware(WSGIMiddleware(LLMObserveWSGI(hello, observer=timed.observer)), observer=timed.observer)
    asgi.talk(app, asgi.scope())

    assert [5] == [record.http.response.body.size for record in timed.requests]


def test_a_request_made_inside_of_a_job_is_a_request(wsgi, asgi, timed):
    """Only a web request that is seen twice is one."""
    from llm_observe.asgi import LLMObserveMiddleware

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    with scope("test", observer=timed.observer):
        wsgi.talk(LLMObserveWSGI(hello, observer=timed.observer), wsgi.environ())
        asyncio.run(asgi.converse(LLMObserveMiddleware(app, observer=timed.observer), asgi.scope()))

    assert ["GET /chat", "GET /chat", "test"] == [record.name for record in timed.requests]


def test_without_an_observer_the_default_one_records(wsgi, llm_records):
    """The one line is enough."""
    wsgi.talk(LLMObserveWSGI(hello), wsgi.environ())

    assert ["/chat"] == [record.url.path for record in llm_records.requests]


def test_settings_make_an_observer_of_its_own(wsgi, llm_records):
    """It is not the default one, and can be reached."""
    memory = MemoryExporter()
    app = LLMObserveWSGI(hello, exporters=[memory], service="inner")
    wsgi.talk(app, wsgi.environ())
    app.observer.shutdown()

    assert (["inner"], []) == ([record.service for record in memory.requests], llm_records.requests)


def test_an_observer_and_settings_do_not_go_together(timed):
    """Whose settings would they be?"""
    with pytest.raises(SettingsError, match="service="):
        LLMObserveWSGI(hello, observer=timed.observer, service="x")


def test_a_disabled_observer_lets_everything_by(wsgi):
    """Not even the header is added."""
    with Observer(enabled=False) as observer:
        answer = wsgi.talk(LLMObserveWSGI(hello, observer=observer), wsgi.environ())

    assert {"Content-Type": "text/plain"} == answer.headers


def test_the_thread_of_a_server_is_left_as_it_was(wsgi, timed, model):
    """A hundred requests through one thread: each has its own scope, and none is left over."""

    def app(environ, start_response):
        start_response("200 OK", [("x-seen", current().request_id)])
        model.ask()
        return [b"ok"]

    observed = LLMObserveWSGI(app, observer=timed.observer)
    ids = [wsgi.talk(observed, wsgi.environ()).headers["x-seen"] for _ in range(100)]

    assert (100, None) == (len(set(ids)), current())
    assert ids == [call.request_id for call in timed.calls]
    assert [1] * 100 == [record.calls.count for record in timed.requests]
