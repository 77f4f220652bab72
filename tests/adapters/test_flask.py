"""Flask: the extension, its routes, its streams, its test client."""

import asyncio

import flask
import pytest
from flask import Blueprint, Flask, Response, abort, request, stream_with_context
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from llm_observe import Observer, current
from llm_observe.errors import SettingsError
from llm_observe.exporters.memory import MemoryExporter
from llm_observe.flask import LLMObserve
from llm_observe.testing import recording


@pytest.fixture
def app(model):
    """An application with a view for every way."""
    app = Flask(__name__)

    @app.get("/chat/<int:id>")
    def chat(id):
        return model.ask()

    @app.get("/stream")
    def stream():
        def words():
            yield "a"
            yield model.ask()

        return Response(words())

    @app.get("/stream-with-context")
    def with_context():
        @stream_with_context
        def words():
            yield request.path
            yield model.ask()

        return Response(words())

    @app.get("/after")
    def after():
        response = Response("done")
        response.call_on_close(model.ask)
        return response

    @app.get("/boom")
    def boom():
        raise RuntimeError("bad")

    @app.get("/gone")
    def gone():
        abort(410)

    @app.get("/file")
    def file():
        return flask.send_file(__file__, conditional=False)

    @app.get("/async")
    async def asynchronous():
        await asyncio.sleep(0)
        return await model.aask()

    part = Blueprint("part", __name__, url_prefix="/part/<name>")

    @part.get("/x/<path:rest>")
    def x(name, rest):
        return model.ask()

    app.register_blueprint(part)
    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/chat/1", 200, "/chat/<int:id>"),
        ("GET", "/chat/no-number", 404, None),
        ("POST", "/chat/1", 405, None),
        ("GET", "/nowhere", 404, None),
        ("GET", "/part/a/x/b/c", 200, "/part/<name>/x/<path:rest>"),
        ("GET", "/gone", 410, "/gone"),
        ("GET", "/boom", 500, "/boom"),
        ("HEAD", "/chat/1", 200, "/chat/<int:id>"),
    ],
)
def test_a_flask_route_s_template(app, llm_records, method, path, status, route):
    """As it was written, with its blueprint's prefix; of what matches nothing there is none."""
    LLMObserve(app)
    assert status == app.test_client().open(path, method=method).status_code

    (record,) = llm_records.requests
    assert (status, route, path) == (record.http.response.status_code, record.http.route, record.url.path)


def test_a_mounted_application_s_route_has_its_mount(app, llm_records):
    """By the convention for `http.route`."""
    LLMObserve(app)
    Client(DispatcherMiddleware(Flask("outer"), {"/sub": app})).get("/sub/chat/1")

    assert ["/sub/chat/<int:id>"] == [record.http.route for record in llm_records.requests]


@pytest.mark.parametrize("path", ["/chat/1", "/stream", "/stream-with-context", "/after", "/async"])
def test_a_call_keeps_with_its_request(app, llm_records, path):
    """In the view, in a streamed body, after the answer, and in an async view."""
    if path == "/async":
        pytest.importorskip("asgiref")
    LLMObserve(app)
    with app.test_client().get(path, headers={"x-request-id": "r-1"}) as answer:
        answer.get_data()

    (call,), (record,) = llm_records.calls, llm_records.requests
    assert ("r-1", "r-1") == (answer.headers["x-request-id"], call.request_id)
    assert (record.trace_id, record.span_id) == (call.trace_id, call.parent_id)
    assert (1, "ok", path) == (record.calls.count, record.status, record.url.path)


def test_content_is_left_out_by_route(app):
    """Of the rule that matched, in the view and in a streamed body."""
    with recording(content_for={"GET /stream": "none", "/part/*": "metadata"}) as recorded:
        LLMObserve(app)
        for path in ("/chat/1", "/stream", "/part/a/x/b"):
            app.test_client().get(path).get_data()

        kept = {call.scope.route: call.content for call in recorded.calls}
    assert {"/chat/<int:id>": None, "/stream": "none", "/part/<name>/x/<path:rest>": "metadata"} == kept


def test_an_exception_that_nobody_handles(app, llm_records):
    """Flask answers 500: with the id, and the record has the exception."""
    LLMObserve(app)
    answer = app.test_client().get("/boom")

    (record,) = llm_records.requests
    assert (500, record.request_id) == (answer.status_code, answer.headers["x-request-id"])
    assert ("error", "RuntimeError", "bad") == (record.status, record.error.type, record.error.message)


def test_an_exception_that_flask_lets_through(app, llm_records):
    """In a test of the application's it comes out of the client. There is no answer, and all the same a route."""
    LLMObserve(app)
    app.testing = True
    with pytest.raises(RuntimeError, match="bad"):
        app.test_client().get("/boom")

    (record,) = llm_records.requests
    assert ("error", 500, "RuntimeError", "/boom") == (
        record.status,
        record.http.response.status_code,
        record.error.type,
        record.http.route,
    )


def test_an_exception_that_the_application_handles_is_none(app, llm_records):
    """Its handler answers, and that is the answer."""
    LLMObserve(app)
    app.register_error_handler(RuntimeError, lambda error: ("sorry", 503))
    app.test_client().get("/boom")

    assert [("error", 503, "503")] == [(r.status, r.http.response.status_code, r.error.type) for r in llm_records.requests]


def test_a_file_is_sent(app, llm_records):
    """Whether the server has a wrapper for files or not."""
    LLMObserve(app)
    with app.test_client().get("/file") as answer:
        assert b"Flask: the extension" in answer.data

    assert ["/file"] == [record.http.route for record in llm_records.requests]


# --- the test client -------------------------------------------------------------------------------------------------


def test_a_client_that_preserves_its_context(app, llm_records):
    """`with client:` keeps Flask's contexts, and leaves ours as it was."""
    LLMObserve(app)
    with app.test_client() as client:
        client.get("/chat/1")
        assert "/chat/1" == request.path
        assert None is current()
        client.get("/chat/2")

    assert ["/chat/1", "/chat/2"] == [record.url.path for record in llm_records.requests]


def test_an_answer_that_is_dropped_is_recorded(app, llm_records):
    """Tests look at the status and go on."""
    LLMObserve(app)
    assert 200 == app.test_client().get("/chat/1").status_code

    assert ["ok"] == [record.status for record in llm_records.requests]


@pytest.mark.parametrize("path", ["/chat/1", "/nowhere", "/boom"])
def test_an_answer_that_is_kept_is_recorded(app, llm_records, path):
    """A test holds the answer and looks at the records: the request is there, once."""
    LLMObserve(app)
    answer = app.test_client().get(path)

    assert [(path, False)] == [(record.url.path, record.disconnected) for record in llm_records.requests]
    answer.close()
    assert 1 == len(llm_records.requests)


def test_a_streamed_answer_that_is_kept_is_recorded_when_it_has_been_read(app, llm_records):
    """Before, its request is under way."""
    LLMObserve(app)
    answer = app.test_client().get("/stream")
    before = len(llm_records.requests)

    assert ("ayes", 0, ["ok"]) == (answer.text, before, [record.status for record in llm_records.requests])


# --- the extension ---------------------------------------------------------------------------------------------------


def test_an_application_factory(app, llm_records):
    """`init_app` observes; a second time it does nothing."""
    observe = LLMObserve()
    observe.init_app(app)
    observe.init_app(app)
    LLMObserve(app)
    app.test_client().get("/chat/1")

    assert 1 == len(llm_records.requests)
    assert llm_records.observer is app.extensions["llm_observe"]


def test_settings_from_the_application_s_config(app):
    """`LLM_OBSERVE_*`; keywords have the last word."""
    memory = MemoryExporter()
    app.config.update(LLM_OBSERVE_SERVICE="config", LLM_OBSERVE_CONTENT="none", OTHER="x")
    LLMObserve(app, exporters=[memory], service="keyword")
    app.test_client().get("/chat/1")
    app.extensions["llm_observe"].shutdown()

    assert ["keyword", "keyword"] == [record.service for record in memory.records]
    assert [()] == [call.input.messages for call in memory.calls]


def test_a_setting_that_does_not_exist(app):
    """It fails at start-up."""
    app.config["LLM_OBSERVE_CONTENTS"] = "none"
    with pytest.raises(SettingsError, match="contents"):
        LLMObserve(app)


def test_an_observer_of_one_s_own(app, timed):
    """It is used as it is, whatever the config says."""
    app.config["LLM_OBSERVE_SERVICE"] = "config"
    LLMObserve(app, observer=timed.observer)
    app.test_client().get("/chat/1")

    assert [None] == [record.service for record in timed.requests]


def test_two_applications_two_observers(model):
    """Each records its own."""
    memories = []
    for name in ("one", "two"):
        app = Flask(name)
        app.get("/")(model.ask)
        memories.append(MemoryExporter())
        LLMObserve(app, exporters=[memories[-1]], service=name)
        app.test_client().get("/")
        app.extensions["llm_observe"].shutdown()

    assert [["one", "one"], ["two", "two"]] == [[record.service for record in memory.records] for memory in memories]


def test_a_request_outside_of_ours_is_left_alone(app):
    """Flask's signals come for requests that we do not see as well."""
    with Observer(enabled=False) as observer:
        LLMObserve(app, observer=observer)
        answers = [app.test_client().get(path).status_code for path in ("/chat/1", "/boom")]

    assert [200, 500] == answers
