"""The ASGI middleware, message by message."""

import asyncio

import pytest

import llm_observe
from llm_observe import Observer, current
from llm_observe.asgi import LLMObserveMiddleware
from llm_observe.errors import SettingsError
from llm_observe.exporters.memory import MemoryExporter

START = {"type": "http.response.start", "status": 200, "headers": []}


def body(data=b"", *, more=False):
    """A piece of an answer's body."""
    return {"type": "http.response.body", "body": data, "more_body": more}


class Oops(Exception):
    """The application's own."""


# --- what is recorded ------------------------------------------------------------------------------------------------


def test_a_request_s_facts(asgi, timed):
    """Method, path, status, sizes, and the time from the first byte to the last."""

    async def app(scope, receive, send):
        timed.wait(1)
        await send({**START, "status": 201})
        await send(body(b"abc", more=True))
        timed.wait(2)
        await send(body(b"de"))
        timed.wait(4)  # what comes after the last byte is background

    scope = asgi.scope("/chat/1", method="POST", headers={"content-length": "7"})
    sent = asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), scope)

    (record,) = timed.requests
    assert ["http.response.start", "http.response.body", "http.response.body"] == [message["type"] for message in sent]
    assert ("POST", "/chat/1", 201) == (record.http.request.method, record.url.path, record.http.response.status_code)
    assert (7, 5, 3.0) == (record.http.request.body.size, record.http.response.body.size, record.duration)
    assert ("ok", None, False) == (record.status, record.http.route, record.disconnected)
    assert "POST /chat/1" == record.name


def test_the_application_s_messages_are_not_changed(asgi, timed):
    """What the application keeps of a message is as it made it."""
    start = {**START, "headers": [(b"a", b"b")]}

    async def app(scope, receive, send):
        await send(start)
        await send(body())

    asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), asgi.scope())

    assert [(b"a", b"b")] == start["headers"]


def test_calls_join_their_request(asgi, timed, model):
    """By request id, trace and parent; their totals are on the request's record."""

    async def app(scope, receive, send):
        await model.aask()
        await asyncio.gather(model.aask(), asyncio.create_task(model.aask()))
        await asyncio.to_thread(model.ask)
        await send(START)
        await send(body())

    asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), asgi.scope())

    (record,) = timed.requests
    assert 4 == record.calls.count
    assert {(record.request_id, record.trace_id, record.span_id)} == {(c.request_id, c.trace_id, c.parent_id) for c in timed.calls}


def test_calls_between_two_pieces_and_in_the_background_count(asgi, timed, model):
    """The request lasts until the application returns."""

    async def app(scope, receive, send):
        await send(START)
        await send(body(b"a", more=True))
        await model.aask()
        await send(body())
        await model.aask()

    asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), asgi.scope())

    assert [2] == [record.calls.count for record in timed.requests]


def test_a_request_is_over_when_the_application_returns(asgi, timed):
    """The variable is as it was: nothing leaks into what the server does next."""

    async def app(scope, receive, send):
        assert "/chat" == current().path

    async def main():
        await asgi.converse(LLMObserveMiddleware(app, observer=timed.observer), asgi.scope())
        return current()

    assert None is asyncio.run(main())


# --- failures --------------------------------------------------------------------------------------------------------


def test_an_exception_is_a_500(asgi, timed):
    """The very exception goes on to the server, which will answer so; the record has its name and words."""
    error = Oops("no")

    async def app(scope, receive, send):
        raise error

    with pytest.raises(Oops) as caught:
        asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), asgi.scope())

    (record,) = timed.requests
    assert error is caught.value
    assert ("error", 500, "Oops", "no") == (record.status, record.http.response.status_code, record.error.type, record.error.message)


def test_an_exception_after_the_answer_began_leaves_its_status(asgi, timed):
    """What was sent was sent."""

    async def app(scope, receive, send):
        await send(START)
        raise Oops

    with pytest.raises(Oops):
        asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), asgi.scope())

    assert [("error", 200)] == [(record.status, record.http.response.status_code) for record in timed.requests]


def test_a_server_error_that_is_answered_is_an_error(asgi, timed):
    """A 503 is one, a 404 is none."""

    async def app(scope, receive, send):
        await send({**START, "status": int(scope["path"][1:])})
        await send(body())

    for path in ("/503", "/404"):
        asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), asgi.scope(path))

    assert [("error", "503"), ("ok", None)] == [(r.status, r.error and r.error.type) for r in timed.requests]


# --- clients that leave ----------------------------------------------------------------------------------------------


def test_a_client_that_leaves_while_the_application_listens(asgi, timed, model):
    """The request ends there and then, with the calls that were under way."""

    async def app(scope, receive, send):
        begun = asyncio.Event()
        hanging = asyncio.create_task(model.hang(begun))
        await begun.wait()
        await send(START)
        await send(body(b"a", more=True))
        timed.wait(1)
        assert "http.disconnect" == (await receive())["type"]
        timed.wait(1)
        hanging.cancel()
        await asyncio.wait([hanging])

    asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), asgi.scope(), {"type": "http.disconnect"})

    (record,) = timed.requests
    assert (True, "cancelled", 1.0, 1) == (record.disconnected, record.status, record.duration, record.calls.running)
    assert ["cancelled"] == [call.status for call in timed.calls]


def test_a_disconnect_after_the_last_byte_is_none(asgi, timed):
    """Servers say so after every request."""

    async def app(scope, receive, send):
        await send(START)
        await send(body())
        await receive()

    asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), asgi.scope(), {"type": "http.disconnect"})

    assert [(False, "ok")] == [(record.disconnected, record.status) for record in timed.requests]


def test_a_client_that_leaves_while_the_application_sends(asgi, timed):
    """Newer servers raise OSError: it goes on, and is the client's leaving, no failure."""
    gone = BrokenPipeError()

    async def app(scope, receive, send):
        await send(START)

    async def send(message):
        raise gone

    async def main():
        with pytest.raises(BrokenPipeError) as caught:
            await LLMObserveMiddleware(app, observer=timed.observer)(asgi.scope(), None, send)
        return caught.value

    assert gone is asyncio.run(main())
    assert [(True, "cancelled", None)] == [(record.disconnected, record.status, record.error) for record in timed.requests]


def test_a_request_that_the_server_cancels(asgi, timed):
    """Nobody waits for it any more."""

    async def app(scope, receive, send):
        await receive()
        await receive()

    async def main():
        serving = asyncio.create_task(asgi.converse(LLMObserveMiddleware(app, observer=timed.observer), asgi.scope()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(main())

    assert [(True, "cancelled")] == [(record.disconnected, record.status) for record in timed.requests]


def test_a_background_task_that_the_server_cancels_is_no_disconnect(asgi, timed):
    """The answer was there: only what followed it was cut off."""

    async def app(scope, receive, send):
        await send(START)
        await send(body())
        await receive()
        await receive()

    async def main():
        serving = asyncio.create_task(asgi.converse(LLMObserveMiddleware(app, observer=timed.observer), asgi.scope()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(main())

    assert [(False, "ok")] == [(record.disconnected, record.status) for record in timed.requests]


# --- several of them -------------------------------------------------------------------------------------------------


async def hello(scope, receive, send):
    """Answers."""
    await send(START)
    await send(body(b"hello"))


def test_one_inside_the_other_is_one_record(asgi, timed):
    """Mounted in an observed app, a request is one request."""
    app = LLMObserveMiddleware(LLMObserveMiddleware(hello, observer=timed.observer), observer=timed.observer)
    start, _ = asgi.talk(app, asgi.scope())

    assert (1, 1) == (len(timed.requests), len(start["headers"]))


def test_two_observers_each_have_their_own(asgi, timed, another, model):
    """Both record the request; the inner one has its calls."""

    async def app(scope, receive, send):
        await model.aask()
        await hello(scope, receive, send)

    start, _ = asgi.talk(LLMObserveMiddleware(LLMObserveMiddleware(app, observer=another.observer), observer=timed.observer), asgi.scope())

    assert (0, 1) == (timed.requests[0].calls.count, another.requests[0].calls.count)
    assert ([], 1) == (timed.calls, len(another.calls))
    assert 1 == len(start["headers"])


def test_without_an_observer_the_default_one_records(asgi, llm_records):
    """The one line is enough."""
    asgi.talk(LLMObserveMiddleware(hello), asgi.scope())

    assert ["/chat"] == [record.url.path for record in llm_records.requests]


def test_settings_make_an_observer_of_its_own(asgi, llm_records):
    """It is not the default one, and can be reached."""
    memory = MemoryExporter()
    app = LLMObserveMiddleware(hello, exporters=[memory], service="inner")
    asgi.talk(app, asgi.scope())
    app.observer.shutdown()

    assert (["inner"], []) == ([record.service for record in memory.requests], llm_records.requests)


def test_an_observer_and_settings_do_not_go_together(timed):
    """Whose settings would they be?"""
    with pytest.raises(SettingsError, match="service="):
        LLMObserveMiddleware(hello, observer=timed.observer, service="x")


def test_a_disabled_observer_lets_everything_by(asgi):
    """Not even the header is added."""
    with Observer(enabled=False) as observer:
        start, _ = asgi.talk(LLMObserveMiddleware(hello, observer=observer), asgi.scope())

    assert START == start


def test_what_is_no_request_is_let_by(asgi, timed):
    """A scope type of the future is nobody's business."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), {"type": "webtransport"})

    assert (["webtransport"], []) == (seen, timed.requests)


def test_a_failure_of_ours_does_not_reach_the_application(asgi, monkeypatch):
    """It answers as without us, and the failure is counted."""
    with Observer(exporters=[MemoryExporter()]) as observer:
        app = LLMObserveMiddleware(hello, observer=observer)
        monkeypatch.setattr("llm_observe.asgi.begin", lambda *_: 1 / 0)
        start, _ = asgi.talk(app, asgi.scope())

        assert (START, 1) == (start, observer.stats().errors)


# --- lifespan --------------------------------------------------------------------------------------------------------


def living(*, fail=None):
    """An application with a lifespan."""

    async def app(scope, receive, send):
        for moment in ("startup", "shutdown"):
            await receive()
            if fail == moment:
                await send({"type": f"lifespan.{moment}.failed", "message": "no"})
                return
            await send({"type": f"lifespan.{moment}.complete"})

    return app


LIFE = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]


def test_the_observer_is_drained_before_the_shutdown_completes(asgi):
    """When the server hears of it, everything is out."""
    memory = MemoryExporter()
    app = LLMObserveMiddleware(living(), exporters=[memory], batch_age=60)
    heard = []

    async def main():
        messages = list(LIFE)

        async def receive():
            message = messages.pop(0)
            heard.append((message["type"], app.observer.stats().running))
            if message["type"] == "lifespan.shutdown":
                with llm_observe.scope("last", observer=app.observer):
                    pass
            return message

        async def send(message):
            heard.append((message["type"], len(memory.requests)))

        await app({"type": "lifespan"}, receive, send)

    asyncio.run(main())

    assert [
        ("lifespan.startup", True),
        ("lifespan.startup.complete", 0),
        ("lifespan.shutdown", True),
        ("lifespan.shutdown.complete", 1),
    ] == heard


def test_an_observer_that_was_given_is_drained_and_left_open(asgi, timed):
    """It is its giver's to close."""
    with llm_observe.scope("last", observer=timed.observer):
        asgi.talk(LLMObserveMiddleware(living(), observer=timed.observer), {"type": "lifespan"}, *LIFE)

    assert (False, 1) == (timed.observer.closed, len(timed.requests))


def test_the_default_observer_is_drained_and_left_open(asgi):
    """What `configure` was given holds for the next lifespan too: nothing falls back to files of a default's own."""
    memory = MemoryExporter()
    configured = llm_observe.configure(exporters=[memory], batch_age=60)
    try:
        app = LLMObserveMiddleware(living())
        with llm_observe.scope("last"):
            pass
        asgi.talk(app, {"type": "lifespan"}, *LIFE)

        assert (1, False, configured) == (len(memory.requests), configured.closed, app.observer)
    finally:
        configured.shutdown()


@pytest.mark.parametrize("moment", ["startup", "shutdown"])
def test_a_lifespan_that_fails_is_drained_as_well(asgi, moment):
    """The message of the failure goes on."""
    app = LLMObserveMiddleware(living(fail=moment), exporters=[MemoryExporter()])
    before = app.observer
    sent = asgi.talk(app, {"type": "lifespan"}, *LIFE)

    assert f"lifespan.{moment}.failed" == sent[-1]["type"]
    assert before.closed


def test_a_lifespan_can_be_lived_twice(asgi):
    """The observer of its own is made anew."""
    memory = MemoryExporter()
    app = LLMObserveMiddleware(living(), exporters=[memory])
    for _ in range(2):
        asgi.talk(app, {"type": "lifespan"}, *LIFE)
        with llm_observe.scope("between", observer=app.observer):
            pass
    app.observer.shutdown()

    assert 2 == len(memory.requests)


def test_an_application_without_a_lifespan_is_left_as_it_is(asgi, timed):
    """Its refusal goes on to the server, and its requests are recorded."""

    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise Oops
        await hello(scope, receive, send)

    observed = LLMObserveMiddleware(app, observer=timed.observer)
    with pytest.raises(Oops):
        asgi.talk(observed, {"type": "lifespan"}, *LIFE)
    asgi.talk(observed, asgi.scope())

    assert 1 == len(timed.requests)


# --- websockets ------------------------------------------------------------------------------------------------------


def socket_scope(asgi):
    """The scope of a WebSocket."""
    scope = asgi.scope("/ws")
    del scope["method"]
    return {**scope, "type": "websocket", "scheme": "ws", "subprotocols": []}


def test_a_websocket_is_one_request_until_one_side_closes(asgi, timed, model):
    """Its sizes are those of the messages; its calls are its own."""

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await model.aask()
        await send({"type": "websocket.send", "text": "four"})
        await send({"type": "websocket.send", "bytes": b"two"})
        timed.wait(1)
        await receive()
        timed.wait(1)

    received = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hi"}, {"type": "websocket.disconnect", "code": 1000}]
    sent = asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), socket_scope(asgi), *received)

    (record,) = timed.requests
    assert [(b"x-request-id", record.request_id.encode())] == sent[0]["headers"]
    assert (101, 2, 7, 1.0) == (
        record.http.response.status_code,
        record.http.request.body.size,
        record.http.response.body.size,
        record.duration,
    )
    assert (1, "WEBSOCKET /ws", "ok") == (record.calls.count, record.name, record.status)


def test_a_websocket_that_is_refused_is_a_403(asgi, timed):
    """Closed before it was accepted."""

    async def app(scope, receive, send):
        await send({"type": "websocket.close", "code": 1008})

    asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), socket_scope(asgi))

    assert [403] == [record.http.response.status_code for record in timed.requests]


def test_a_websocket_that_is_refused_with_an_answer_has_its_status(asgi, timed):
    """By the denial extension."""

    async def app(scope, receive, send):
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no"})

    asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), socket_scope(asgi))

    assert [401] == [record.http.response.status_code for record in timed.requests]


def test_a_websocket_that_the_application_closes(asgi, timed):
    """It ends with the close."""

    async def app(scope, receive, send):
        await send({"type": "websocket.accept", "headers": [(b"a", b"b")]})
        timed.wait(1)
        await send({"type": "websocket.close"})
        timed.wait(1)

    asgi.talk(LLMObserveMiddleware(app, observer=timed.observer), socket_scope(asgi))

    assert [(101, 1.0)] == [(record.http.response.status_code, record.duration) for record in timed.requests]
