"""Starlette and FastAPI: route templates, the whole stack, threads, streams, background tasks, websockets."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.testclient import TestClient

import llm_observe
from llm_observe import current
from llm_observe.fastapi import LLMObserveMiddleware as FastAPIMiddleware
from llm_observe.starlette import LLMObserveMiddleware
from llm_observe.testing import recording


def page(request):
    """A page."""
    return PlainTextResponse("page")


def other(request):
    """Another."""
    return PlainTextResponse("other")


async def raw(scope, receive, send):
    """An ASGI application that is no Starlette."""
    await PlainTextResponse("raw")(scope, receive, send)


def starlette_app():
    """Every way in which Starlette routes."""
    inner = Starlette(routes=[Route("/u/{id:int}", page), Mount("/deep/{x}", routes=[Route("/y", page)])])
    app = Starlette(
        routes=[
            Route("/", page),
            Route("/a/{b}", page, methods=["GET"]),
            Mount("/sub", app=inner),
            Mount("/m/{k}", routes=[Route("/z/{q}", page), Route("/z/{q}/more", other)]),
            Mount("/router/{r}", app=Router([Route("/x/{y}", other)])),
            Mount("/raw", app=raw),
            Mount("/raw-with/{parameter}", app=raw),
            Host("api.test", app=Router([Route("/h/{n}", other)])),
        ]
    )
    app.add_middleware(LLMObserveMiddleware)
    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/", 200, "/"),
        ("GET", "/a/1", 200, "/a/{b}"),
        ("POST", "/a/1", 405, "/a/{b}"),
        ("GET", "/nowhere", 404, None),
        ("GET", "/sub/u/3", 200, "/sub/u/{id:int}"),
        ("GET", "/sub/deep/q/y", 200, "/sub/deep/{x}/y"),
        ("GET", "/sub/nowhere", 404, "/sub"),
        ("GET", "/m/1/z/2", 200, "/m/{k}/z/{q}"),
        ("GET", "/m/1/z/2/more", 200, "/m/{k}/z/{q}/more"),
        ("GET", "/router/1/x/2", 200, "/router/{r}/x/{y}"),
        ("GET", "/raw/any/thing", 200, "/raw"),
        ("GET", "/raw-with/this/thing", 200, "/raw-with/{parameter}"),
        ("GET", "http://api.test/h/7", 200, "/h/{n}"),
    ],
)
def test_a_starlette_route_s_template(llm_records, method, path, status, route):
    """As it was written, with what it is mounted under; of what matches nothing there is none."""
    client = TestClient(starlette_app())
    assert status == client.request(method, path).status_code

    (record,) = llm_records.requests
    assert (status, route) == (record.http.response.status_code, record.http.route)
    assert record.name == f"{method} {route or record.url.path}"


def fastapi_app():
    """Every way in which FastAPI routes."""
    inner = APIRouter(prefix="/in")

    @inner.get("/x/{id}")
    def x(id: int):
        return id

    @inner.get("/boom")
    def boom():
        raise RuntimeError("bad")

    outer = APIRouter(prefix="/out")
    outer.include_router(inner, prefix="/mid")
    app, sub = FastAPI(), FastAPI()
    app.include_router(outer, prefix="/v{version}")
    app.include_router(inner)
    sub.include_router(inner, prefix="/p")
    app.mount("/sub", sub)
    app.add_middleware(FastAPIMiddleware)
    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/in/x/3", 200, "/in/x/{id}"),
        ("GET", "/in/x/no-number", 422, "/in/x/{id}"),
        ("POST", "/in/x/3", 405, "/in/x/{id}"),
        ("GET", "/v2/out/mid/in/x/3", 200, "/v{version}/out/mid/in/x/{id}"),
        ("GET", "/v2/out/mid/in/boom", 500, "/v{version}/out/mid/in/boom"),
        ("GET", "/sub/p/in/x/9", 200, "/sub/p/in/x/{id}"),
        ("GET", "/docs", 200, "/docs"),
        ("GET", "/nowhere", 404, None),
    ],
)
def test_a_fastapi_route_s_template(llm_records, method, path, status, route):
    """With the prefixes of every router that includes it."""
    client = TestClient(fastapi_app(), raise_server_exceptions=False)
    assert status == client.request(method, path).status_code

    assert [(status, route)] == [(record.http.response.status_code, record.http.route) for record in llm_records.requests]


def test_an_application_s_root_is_part_of_its_routes(llm_records):
    """By the convention for `http.route`, mounted or not."""
    app = starlette_app()
    client = TestClient(app, root_path="/api")
    client.get("/api/a/1")
    client.get("/api/m/1/z/2")

    assert ["/api/a/{b}", "/api/m/{k}/z/{q}"] == [record.http.route for record in llm_records.requests]


# --- the whole stack -------------------------------------------------------------------------------------------------


def failing_app(**options):
    """An application with a view that nobody catches for."""

    def fail(request):
        raise RuntimeError("bad")

    return Starlette(routes=[Route("/fail", fail)], **options)


def test_the_500_of_an_uncaught_exception_is_the_request_s_answer(llm_records):
    """Starlette makes it outside of all middleware: it is recorded, and has the id."""
    app = failing_app(middleware=[Middleware(LLMObserveMiddleware)])
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/fail", headers={"x-request-id": "r-1"})

    (record,) = llm_records.requests
    assert (500, "r-1") == (answer.status_code, answer.headers["x-request-id"])
    assert ("error", 500, "RuntimeError", "bad") == (
        record.status,
        record.http.response.status_code,
        record.error.type,
        record.error.message,
    )
    assert len(answer.content) == record.http.response.body.size


def test_two_observers_on_one_application_both_see_its_500(llm_records, another):
    """Each stands around the whole stack."""
    app = failing_app()
    app.add_middleware(LLMObserveMiddleware)
    app.add_middleware(LLMObserveMiddleware, observer=another.observer)
    with TestClient(app, raise_server_exceptions=False) as client:
        for _ in range(2):
            client.get("/fail")

    assert ([500, 500], [500, 500]) == (
        [record.http.response.status_code for record in llm_records.requests],
        [record.http.response.status_code for record in another.requests],
    )
    assert ["/fail"] * 2 == [record.http.route for record in another.requests]


def test_added_twice_it_records_once(llm_records):
    """A request is one record however often the line is written."""
    app = starlette_app()
    app.add_middleware(LLMObserveMiddleware)
    with TestClient(app) as client:
        client.get("/a/1")
        client.get("/a/1")

    assert ["/a/{b}"] * 2 == [record.http.route for record in llm_records.requests]


def test_observed_inside_of_observed_is_one_record(llm_records):
    """A mounted application with a middleware of its own, and a route with one."""
    inner = Starlette(routes=[Route("/x/{y}", page)])
    inner.add_middleware(LLMObserveMiddleware)
    app = Starlette(routes=[Mount("/sub", app=inner), Route("/one/{z}", page, middleware=[Middleware(LLMObserveMiddleware)])])
    app.add_middleware(LLMObserveMiddleware)
    client = TestClient(app)
    client.get("/sub/x/1")
    client.get("/one/2")

    assert ["/sub/x/{y}", "/one/{z}"] == [record.http.route for record in llm_records.requests]


def test_on_a_single_route_it_records_that_route(llm_records):
    """Where the application itself is not observed."""
    app = Starlette(routes=[Route("/one/{z}", page, middleware=[Middleware(LLMObserveMiddleware)]), Route("/two", page)])
    client = TestClient(app)
    client.get("/one/2")
    client.get("/two")

    assert ["/one/{z}"] == [record.http.route for record in llm_records.requests]


def test_base_http_middleware_around_us_changes_nothing(llm_records, model):
    """It runs the application in another task, and cancels it."""

    class Slow(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            return await call_next(request)

    async def view(request):
        await model.aask()
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/", view)])
    app.add_middleware(LLMObserveMiddleware)
    app.add_middleware(Slow)
    with TestClient(app) as client:
        client.get("/")
        client.get("/")

    assert [("ok", 1)] * 2 == [(record.status, record.calls.count) for record in llm_records.requests]


def test_an_application_started_twice_is_recorded_twice(llm_records):
    """Tests start it again and again."""
    app = starlette_app()
    for _ in range(2):
        with TestClient(app) as client:
            client.get("/a/1")

    assert 2 == len(llm_records.requests)


def test_an_application_s_own_lifespan_is_left_as_it_is(llm_records, model):
    """It runs inside ours: calls made in it are recorded, outside of any request."""
    lived = []

    @asynccontextmanager
    async def lifespan(app):
        await model.aask()
        lived.append("up")
        yield {"state": 1}
        await model.aask()
        lived.append("down")

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(FastAPIMiddleware)
    with TestClient(app):
        pass

    assert ["up", "down"] == lived
    assert [None, None] == [call.request_id for call in llm_records.calls]


# --- calls keep with their request -----------------------------------------------------------------------------------


def views(model):
    """Views that ask the model, each in its own way."""
    app = FastAPI()
    app.add_middleware(FastAPIMiddleware)
    pool = ThreadPoolExecutor(1)
    app.state.pool = pool

    @app.get("/async")
    async def asynchronous():
        await model.aask()

    @app.get("/sync")
    def synchronous():
        model.ask()

    @app.get("/to_thread")
    async def to_thread():
        await asyncio.to_thread(model.ask)

    @app.get("/run_in_executor")
    async def run_in_executor():
        await asyncio.get_running_loop().run_in_executor(None, model.ask)

    @app.get("/pool")
    def in_a_pool():
        pool.submit(model.ask).result()

    @app.get("/pool-map")
    def pool_map():
        list(pool.map(lambda _: model.ask(), range(1)))

    @app.get("/task")
    async def task():
        await asyncio.create_task(model.aask())

    @app.get("/stream")
    async def stream():
        async def words():
            yield "a"
            await model.aask()
            yield "b"

        return StreamingResponse(words())

    @app.get("/stream-sync")
    def stream_sync():
        def words():
            yield "a"
            model.ask()
            yield "b"

        return StreamingResponse(words())

    @app.get("/background")
    async def background(tasks: BackgroundTasks):
        tasks.add_task(model.aask)

    @app.get("/background-sync")
    async def background_sync(tasks: BackgroundTasks):
        tasks.add_task(model.ask)

    @app.get("/step")
    async def step():
        with llm_observe.step("think"):
            await model.aask()

    return app


WAYS = [
    "async",
    "sync",
    "to_thread",
    "run_in_executor",
    "pool",
    "pool-map",
    "task",
    "stream",
    "stream-sync",
    "background",
    "background-sync",
]


@pytest.mark.parametrize("way", WAYS)
def test_a_call_keeps_with_its_request(llm_records, model, way):
    """Wherever the view makes it: it has the request's ids and counts in its totals."""
    app = views(model)
    with app.state.pool, TestClient(app) as client:
        client.get(f"/{way}", headers={"x-request-id": "r-1"}).raise_for_status()

    (call,), (record,) = llm_records.calls, llm_records.requests
    assert ("r-1", record.trace_id, record.span_id) == (call.request_id, call.trace_id, call.parent_id)
    assert (1, f"/{way}") == (record.calls.count, call.scope.route)


def test_a_call_in_a_step_has_the_step_as_its_parent(llm_records, model):
    """And the step has the request."""
    with TestClient(views(model)) as client:
        client.get("/step")

    (call,), (step,), (record,) = llm_records.calls, llm_records.steps, llm_records.requests
    assert (step.span_id, record.span_id) == (call.parent_id, step.parent_id)


def test_content_is_left_out_by_route(model):
    """Of the route that matched, wherever the view makes the call; what a middleware asks before any matched is left out too."""
    with recording(content_for={"/*": "full", "GET /stream*": "none"}) as recorded:
        app = views(model)

        @app.middleware("http")
        async def asking(request, call_next):
            await model.aask()
            return await call_next(request)

        with TestClient(app) as client:
            for way in ("stream", "stream-sync", "async"):
                client.get(f"/{way}").raise_for_status()

        kept = [(call.scope.route, call.content) for call in recorded.calls]
    assert {("/stream", "none"), ("/stream-sync", "none"), ("/async", None)} <= set(kept)
    assert {"none", None} == {content for _, content in kept}
    assert not [route for route, content in kept if content is None and route != "/async"]


def test_content_is_left_out_of_a_part_of_a_view(llm_records, model):
    """Through threads and tasks that it starts, and in a stream; what the view asks besides is kept."""
    app = FastAPI()
    app.add_middleware(FastAPIMiddleware)
    pool = ThreadPoolExecutor(1)

    @app.get("/")
    async def view():
        with llm_observe.content("none"):
            await model.aask()
            await asyncio.to_thread(model.ask)
            await asyncio.create_task(model.aask())
            await asyncio.wrap_future(pool.submit(model.ask))

        @llm_observe.content("none")
        async def words():
            yield "a"
            await model.aask()

        await model.aask()
        return StreamingResponse(words())

    with pool, TestClient(app) as client:
        client.get("/").raise_for_status()

    (record,) = llm_records.requests
    assert (["none"] * 4 + [None, "none"], None) == ([call.content for call in llm_records.calls], record.content)
    assert (6, {record.span_id}) == (record.calls.count, {call.parent_id for call in llm_records.calls})


def test_parallel_requests_keep_their_calls_apart(llm_records, model):
    """Fifty requests at once through threads and tasks: each has its one call."""
    app = views(model)
    with app.state.pool, TestClient(app) as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: client.get(f"/{WAYS[n % len(WAYS)]}", headers={"x-request-id": f"r-{n}"}), range(50)))

    assert sorted(f"r-{n}" for n in range(50)) == sorted(call.request_id for call in llm_records.calls)
    assert [1] * 50 == [record.calls.count for record in llm_records.requests]


def test_nothing_leaks_into_the_threads_of_the_pool(llm_records, model):
    """A thread that served a request is in none when it is used again."""
    app = views(model)
    with app.state.pool as pool, TestClient(app) as client:
        client.get("/pool")
        assert None is pool.submit(current).result()


# --- other answers ---------------------------------------------------------------------------------------------------


def test_a_file_is_sent_as_it_is(llm_records, tmp_path):
    """Its size is what was sent."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"x" * 100_000)
    app = Starlette(routes=[Route("/file", lambda request: FileResponse(path))])
    app.add_middleware(LLMObserveMiddleware)
    assert b"x" * 100_000 == TestClient(app).get("/file").content

    assert [100_000] == [record.http.response.body.size for record in llm_records.requests]


def test_a_websocket_s_route(llm_records, model):
    """A template as well."""
    app = FastAPI()
    app.add_middleware(FastAPIMiddleware)

    @app.websocket("/ws/{room}")
    async def talk(socket: WebSocket, room: str):
        await socket.accept()
        await socket.send_text(await model.aask())
        await socket.close()

    with TestClient(app) as client, client.websocket_connect("/ws/7") as socket:
        assert "yes" == socket.receive_text()

    (record,) = llm_records.requests
    assert (101, "/ws/{room}", 1) == (record.http.response.status_code, record.http.route, record.calls.count)


def test_a_starlette_websocket_s_route(llm_records):
    """Also without FastAPI."""

    async def talk(socket):
        await socket.accept()
        await socket.close()

    app = Starlette(routes=[WebSocketRoute("/ws/{room}", talk)])
    app.add_middleware(LLMObserveMiddleware)
    with TestClient(app) as client, client.websocket_connect("/ws/7"):
        pass

    assert ["/ws/{room}"] == [record.http.route for record in llm_records.requests]


def test_follow_threads_off_leaves_the_pools_alone(model):
    """A setting for those who do not want their pools touched."""
    import subprocess
    import sys

    code = """
from concurrent.futures import ThreadPoolExecutor
import llm_observe
before = ThreadPoolExecutor.submit
with llm_observe.Observer(exporters=[], follow_threads=False): pass
print(before is ThreadPoolExecutor.submit)
with llm_observe.Observer(exporters=[]): pass
print(before is ThreadPoolExecutor.submit)
from llm_observe._runtime import threads
threads.uninstall(); print(before is ThreadPoolExecutor.submit)
threads.install(); threads.install(); ours = ThreadPoolExecutor.submit
ThreadPoolExecutor.submit = theirs = lambda *a: ours(*a)
threads.install(); threads.uninstall(); print(theirs is ThreadPoolExecutor.submit)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert ["True", "False", "True", "True"] == done.stdout.split()


def test_a_thread_of_the_application_s_own_is_in_no_request(llm_records, model):
    """Python copies no context into a bare thread: its calls are recorded, outside of any request."""

    def view():
        thread = threading.Thread(target=model.ask)
        thread.start()
        thread.join()

    app = FastAPI()
    app.add_middleware(FastAPIMiddleware)
    app.get("/")(view)
    TestClient(app).get("/").raise_for_status()

    assert [None] == [call.request_id for call in llm_records.calls]
