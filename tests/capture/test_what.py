"""What is recorded, and what is not: model calls, whoever makes them, but never our own exporters'."""

import asyncio
import threading

import pytest

import llm_observe
from llm_observe import Observer, capture
from llm_observe._runtime.default import swapped
from llm_observe.exporters.memory import MemoryExporter
from llm_observe.testing import recording


def post(wire, url, body, method="POST"):
    """Send *body* to *url*."""
    with wire.client(b"{}") as client:
        client.send(client.build_request(method, url, json=body))


def test_a_call_outside_of_any_scope_is_recorded(wire, llm_records):
    """It has a trace of its own and no request."""
    with wire.client() as client:
        client.send(wire.request(client))

    (call,) = llm_records.calls
    assert (None, None, None) == (call.request_id, call.parent_id, call.scope)
    assert 32 == len(call.trace_id)


def test_a_call_in_a_scope_has_its_ids(wire, llm_records):
    """It joins by request, trace and parent."""
    with llm_observe.scope("job") as job, wire.client() as client:
        client.send(wire.request(client))

    (call,) = llm_records.calls
    assert (job.request_id, job.trace_id, job.span_id) == (call.request_id, call.trace_id, call.parent_id)


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "http://provider.test/v1/chat/completions"),
        ("POST", "http://provider.test/v1/models"),
        ("POST", "http://provider.test/"),
        ("POST", "http://provider.test/v1/chat/completions/extra"),
        ("PUT", "http://provider.test/v1/messages"),
    ],
)
def test_other_traffic_is_nobody_s_business(wire, exchanges, method, url):
    """It is not even queued."""
    post(wire, url, {"model": "m", "messages": []}, method)

    assert [] == exchanges


def test_an_answer_that_is_fetched_is_on_record(wire, exchanges):
    """What was asked for in the background is asked after by its id: a GET without a body."""
    with wire.client(b"{}") as client:
        client.get("http://provider.test/v1/responses/resp_1?stream=true")

    assert [("GET", "/v1/responses/resp_1", b"", [b"{}"])] == [
        (exchange.method, exchange.path, exchange.request_body, exchange.chunks) for exchange in exchanges
    ]


def test_a_client_that_keeps_its_urls_and_headers_in_another_way(wire, llm_provider, exchanges, unhooked, monkeypatch):
    """What is inside of them is looked at where it is as we know it; else what is public serves."""
    monkeypatch.setattr("llm_observe.capture.httpx._is_known", lambda library: False)
    capture.install()
    url = f"{llm_provider.openai_base_url}/chat/completions?key=secret"
    with wire.library.Client() as client:
        client.post(url, json={"model": "fake-echo", "messages": []}, headers={"Anthropic-Version": "1", "Authorization": "secret"})
    capture.uninstall()

    (exchange,) = exchanges
    assert ("/v1/chat/completions", "1") == (exchange.path, exchange.request_headers["anthropic-version"])
    assert exchange.response_headers["x-request-id"].startswith("req_")
    assert "secret" not in repr(exchange)


@pytest.mark.parametrize("body", [{"text": "hi", "to": "bob"}, {"messages": ["hi"]}, {"model": "m"}, ["model", "messages"]])
def test_a_chat_application_s_own_messages_are_not_taken_for_a_model_s(wire, llm_records, body):
    """The path looks like Anthropic's, the body does not."""
    post(wire, "http://chat.test/v1/messages", body)

    assert [] == llm_records.calls
    assert 1 == llm_records.observer.stats().ignored


def test_a_disabled_observer_records_and_counts_nothing(wire):
    """There is no hook to pay for."""
    memory = MemoryExporter()
    with Observer(exporters=[memory], enabled=False) as observer, swapped(observer):
        with wire.client() as client:
            client.send(wire.request(client))

    assert ([], 0) == (memory.records, observer.stats().exporters["memory"].captured)


def test_a_closed_observer_records_nothing(wire):
    """After shutdown the hook passes everything by, in its scopes too."""
    memory = MemoryExporter()
    with Observer(exporters=[memory]) as observer, llm_observe.scope("job", observer=observer):
        observer.shutdown()
        with wire.client() as client:
            client.send(wire.request(client))

    assert [] == memory.calls


# --- our own ---------------------------------------------------------------------------------------------------------


class Posts:
    """An exporter that posts what it gets to a URL like a model's."""

    def __init__(self, wire):
        self.wire, self.posted = wire, 0

    def post(self):
        with self.wire.client(b"{}") as client:
            client.send(self.wire.request(client))
        self.posted += 1


class PostsInTheLoop(Posts):
    async def export(self, batch):
        async with self.wire.aclient(b"{}") as client:
            await client.send(self.wire.request(client))
        self.posted += 1


class PostsInAThread(Posts):
    def export(self, batch):
        self.post()


class PostsInAPool(Posts):
    def export(self, batch):
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            pool.submit(self.post).result()


@pytest.mark.parametrize("kind", [PostsInTheLoop, PostsInAThread, PostsInAPool])
def test_our_own_exporters_traffic_is_never_recorded(wire, kind):
    """An exporter that itself calls a model's URL does not feed on itself."""
    exporter = kind(wire)
    with recording(exporters=[exporter], batch_age=0) as recorded:
        with wire.client() as client:
            client.send(wire.request(client))
        assert 1 == len(recorded.calls)
        assert 1 == len(recorded.calls)

    assert (1, 1) == (exporter.posted, recorded.observer.stats().accepted)


def test_our_own_exporters_traffic_is_never_recorded_by_whichever_client(post, llm_provider):
    """Also where an exporter uses another client than the application."""
    url, posted = llm_provider.url + "/model/x/chat/completions", []

    def export(batch):
        post(url)
        posted.append(batch)

    with recording(exporters=[export], batch_age=0) as recorded:
        post(url)
        assert 1 == len(recorded.calls)
        assert 1 == len(recorded.calls)

    assert (1, 1) == (len(posted), recorded.observer.stats().accepted)


# --- which call is a retry of which ----------------------------------------------------------------------------------


def test_concurrent_retried_calls_with_the_same_bytes_keep_apart(wire, llm_records):
    """Eight tasks send the same request, each fails once and is repeated: eight calls of two attempts."""
    failures = {}

    def answer(request):
        task = asyncio.current_task()
        failures[task] = failures.get(task, 0) + 1
        return wire.library.Response(429 if failures[task] == 1 else 200, json={"model": "m", "choices": []})

    async def main():
        async with wire.library.AsyncClient(transport=wire.library.MockTransport(answer)) as client:

            async def call():
                for _ in range(2):
                    await client.send(wire.request(client))
                    await asyncio.sleep(0)

            await asyncio.gather(*(call() for _ in range(8)))

    asyncio.run(main())

    assert [[429, 200]] * 8 == [[attempt.status_code for attempt in call.attempts] for call in llm_records.calls]


def test_retried_calls_in_threads_keep_apart(wire, llm_records):
    """The same in eight threads at once."""
    together = threading.Barrier(8)

    def call():
        codes = iter([500, 200])
        transport = wire.library.MockTransport(lambda request: wire.library.Response(next(codes), json={"model": "m", "choices": []}))
        with wire.library.Client(transport=transport) as client:
            for _ in range(2):
                together.wait(10)
                client.send(wire.request(client))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [[500, 200]] * 8 == [[attempt.status_code for attempt in call.attempts] for call in llm_records.calls]


def test_a_redirect_is_part_of_its_call(wire, llm_records):
    """The hook sees one `send`, however many hops it takes."""

    def answer(request):
        if request.url.host == "provider.test":
            return wire.library.Response(307, headers={"location": "http://elsewhere.test/v1/chat/completions"})
        return wire.library.Response(200, json={"model": "m", "choices": []})

    with wire.library.Client(transport=wire.library.MockTransport(answer), follow_redirects=True) as client:
        client.send(wire.request(client))

    assert [(200, "provider.test")] == [(call.wire.status_code, call.server.address) for call in llm_records.calls]
