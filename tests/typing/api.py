"""The public API as users write it. Checked by mypy, never run."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence
from datetime import datetime
from typing import assert_type

import flask
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

import llm_observe
from llm_observe import Observer, Settings, configure, record_call, scope, step
from llm_observe.errors import ExportError, MissingExtra, ObserveError, Rejected, RetryLater, SettingsError
from llm_observe.protocols import Batch, Exporter, ExportFunction, Processor
from llm_observe.records import AnyRecord, Call, Error, Request, Step

# --- exporters: an object, an async function, a plain function -----------------------------------------------------------


class ToDatabase:
    """An exporter with a connection to close."""

    async def export(self, batch: Batch, /) -> None:
        for record in batch:
            assert_type(record, AnyRecord)
            if isinstance(record, Call):
                assert_type(record.usage.input_tokens, int | None)
                assert_type(record.response.finish_reasons, tuple[str, ...])
                assert_type(record.started_at, datetime)
            elif isinstance(record, Request):
                assert_type(record.calls.count, int)
            else:
                assert_type(record, Step)
        assert_type(batch[0], AnyRecord)
        assert_type(batch[1:], Sequence[AnyRecord])
        assert_type(batch.lines, Sequence[bytes])
        assert_type(batch.id, str)
        if not batch:
            raise RetryLater("not now", after=2.5)

    async def aclose(self) -> None:
        """The last word."""


async def to_queue(batch: Batch) -> None:
    if len(batch) > 100:
        raise Rejected("too many", reason="too_large")


def to_print(batch: Batch) -> None:
    print(b"\n".join(batch.lines))


exporter: Exporter = ToDatabase()
functions: list[ExportFunction] = [to_queue, to_print]


# --- processors ----------------------------------------------------------------------------------------------------------


def only_errors(record: AnyRecord) -> AnyRecord | None:
    return record if record.status == "error" else None


def nameless(record: AnyRecord) -> AnyRecord:
    assert_type(record.error, Error | None)
    return record


processors: list[Processor] = [only_errors, nameless]


# --- observers and settings ----------------------------------------------------------------------------------------------


def observers() -> None:
    configured = configure(exporters=["stdout", "file:./records", ToDatabase(), to_queue], processors=processors, content="metadata")
    assert_type(configured, Observer)
    assert_type(configured.settings, Settings)
    with Observer(exporters=[exporter], queue_records=100) as observer:
        assert_type(observer, Observer)
        assert_type(observer.flush(timeout=1), bool)
        stats = observer.stats()
        assert_type(stats.exporters["ToDatabase"].dropped, dict[str, int])
        assert_type(stats.exporters["ToDatabase"].balanced, bool)
    assert_type(llm_observe.flush(), bool)
    llm_observe.shutdown(timeout=2.0)


async def observers_in_async_code() -> None:
    async with Observer(Settings(content="none")) as observer:
        assert_type(await observer.aflush(), bool)
        await observer.ashutdown(2.0)


def errors() -> tuple[type[ObserveError], ...]:
    as_value: type[ValueError] = SettingsError
    as_import: type[ImportError] = MissingExtra
    print(as_value, as_import)
    return SettingsError, MissingExtra, ExportError, RetryLater, Rejected


# --- by hand -------------------------------------------------------------------------------------------------------------


@step("double")
def double(number: int, *, times: int = 1) -> int:
    return number * 2 * times


@step("fetch", index="docs")
async def fetch(query: str) -> list[str]:
    return [query]


@step("words")
def words(text: str) -> Iterator[str]:
    yield from text.split()


@step("tokens")
async def tokens(text: str) -> AsyncIterator[str]:
    for word in text.split():
        yield word


@step("dialogue")
def dialogue() -> Generator[int, str, bool]:
    said = yield 1
    return bool(said)


@step("monologue")
async def monologue() -> AsyncGenerator[int, None]:
    yield 1


@scope("nightly-job", user="system", attempt=3)
async def nightly() -> str:
    return "done"


class Service:
    @step("method")
    def method(self, name: str) -> bytes:
        return name.encode()


signature: Callable[[int], int] = double
assert_type(double(1, times=2), int)
assert_type(list(words("a b")), list[str])
assert_type(Service().method("x"), bytes)
double("1")  # type: ignore[arg-type]


async def by_hand() -> None:
    assert_type(await fetch("q"), list[str])
    assert_type(await nightly(), str)
    assert_type([token async for token in tokens("a b")], list[str])
    assert_type(next(dialogue()), int)
    assert_type(await anext(monologue()), int)
    with llm_observe.scope("job", session="s-1", tenant="acme") as job:
        assert_type(job.request_id, str)
        assert_type(job.trace_id, str)
        with llm_observe.step("retrieve", index="docs") as retrieve:
            retrieve.set(found=3)
        async with llm_observe.step("rerank"), llm_observe.scope("inner", content="metadata") as inner:
            assert_type(inner.id, str)
            inner.content = "none"
        with llm_observe.content("none"):
            pass
        llm_observe.content("off")  # type: ignore[arg-type]
        with record_call("llama-3-8b", provider="llama_cpp", input="Hi", system="Be kind", temperature=0.2) as call:
            call.first_chunk()
            call.output = [{"role": "assistant", "content": "Hello"}]
            call.finish_reasons = ("stop",)
            call.response_model = "llama-3-8b-q4"
            call.usage(input_tokens=3, output_tokens=2, cache_read=1, cache_write=0, reasoning=0)
    llm_observe.tag(user="u-1", session="s-1", plan="free")
    here = llm_observe.current()
    if here is not None:
        assert_type(here.request_id, str)


# --- web -----------------------------------------------------------------------------------------------------------------


def with_fastapi(observer: Observer) -> FastAPI:
    from llm_observe.fastapi import LLMObserveMiddleware

    app = FastAPI()
    app.add_middleware(LLMObserveMiddleware)
    app.add_middleware(LLMObserveMiddleware, observer=observer)
    app.add_middleware(LLMObserveMiddleware, content="metadata", service="shop")
    return app


def with_starlette() -> Starlette:
    from llm_observe.starlette import LLMObserveMiddleware

    app = Starlette(middleware=[Middleware(LLMObserveMiddleware)])
    app.add_middleware(LLMObserveMiddleware, exporters=["stdout"])
    return app


async def bare_asgi(scope: Scope, receive: Receive, send: Send) -> None:
    from llm_observe.asgi import LLMObserveMiddleware

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    observed = LLMObserveMiddleware(application, observer=Observer())
    assert_type(observed.observer, Observer)
    await observed(scope, receive, send)


def with_flask() -> flask.Flask:
    from llm_observe.flask import LLMObserve

    app = flask.Flask(__name__)
    LLMObserve(app)
    LLMObserve(app, observer=Observer())
    observe = LLMObserve(content="none")
    observe.init_app(app)
    return app


def bare_wsgi() -> None:
    from llm_observe.wsgi import LLMObserveWSGI

    app = flask.Flask(__name__)
    app.wsgi_app = LLMObserveWSGI(app.wsgi_app, service="shop")  # type: ignore[method-assign]
