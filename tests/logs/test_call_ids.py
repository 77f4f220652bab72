"""An application's log lines say which call they belong to: the id is the record's, before there is a record."""

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import llm_observe
from llm_observe._runtime.items import last_attempt
from llm_observe.logs import IdFilter, ids
from llm_observe.testing import Recorded, recording
from llm_observe.testing.provider import FakeProvider

httpx2 = pytest.importorskip("httpx2")

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that says what its models are named for."""
    with FakeProvider() as made:
        yield made


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """What is recorded meanwhile."""
    with recording() as made:
        yield made


@pytest.fixture
def openai(provider):
    """The SDK, which retries twice by itself."""
    sdk = pytest.importorskip("openai")
    with sdk.OpenAI(api_key="none", base_url=f"{provider.url}/v1") as client:
        yield client


class Lines(logging.Handler):
    """Keeps the call id of each line of a logger."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(IdFilter())
        self.ids: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.ids.append(record.call_id)


@pytest.fixture
def sdk_lines() -> Iterator[Lines]:
    """What the SDK itself logs."""
    lines, logger = Lines(), logging.getLogger("openai._base_client")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(lines)
    yield lines
    logger.removeHandler(lines)
    logger.setLevel(level)


def here() -> str | None:
    """The call id that a line would have now."""
    return ids().get("call_id")


def ask(client, model: str, **options) -> str | None:
    """One call, and the id that a line has after it."""
    client.chat.completions.create(model=model, messages=MESSAGES, **options)
    return here()


def test_a_line_after_a_call_has_its_id(recorded, openai):
    """Each its own; and the same before and after the record is made."""
    with llm_observe.scope("job"):
        before, said = here(), [ask(openai, "fake-echo"), ask(openai, "fake-echo")]
        calls = recorded.calls
        later = here()

    assert (None, [call.id for call in calls], said[1]) == (before, said, later)


@pytest.mark.parametrize("model", ["fake-flaky-429", "fake-flaky-500"])
def test_retries_are_one_call(recorded, openai, sdk_lines, model):
    """The SDK's own line about the retry has the id, and so has a line after it: of the one record with both attempts."""
    said = ask(openai, model)
    (call,) = recorded.calls

    assert (2, call.id) == (len(call.attempts), said)
    assert sdk_lines.ids
    assert {call.id} == set(sdk_lines.ids)


def test_retries_of_another_sdk_are_one_call(recorded, provider):
    """It counts them in the same header, streams in another format."""
    sdk = pytest.importorskip("anthropic")
    with sdk.Anthropic(api_key="none", base_url=provider.url) as client, llm_observe.scope("job"):
        with client.messages.stream(model="fake-flaky-500", max_tokens=10, messages=MESSAGES) as stream:
            said = {here() for _ in stream}
    (call,) = recorded.calls

    assert ({call.id}, 2) == (said, len(call.attempts))


def test_attempts_of_a_client_that_tells_its_body_late_are_one_call(recorded, provider):
    """The body is made when the request is prepared, after the call has begun."""
    requests = pytest.importorskip("requests")
    body, said = {"model": "fake-flaky-500", "messages": MESSAGES}, []
    with requests.Session() as session, llm_observe.scope("job"):
        for _ in range(2):
            session.post(f"{provider.url}/v1/chat/completions", json=body)
            said.append(here())
    (call,) = recorded.calls

    assert ([call.id] * 2, 2) == (said, len(call.attempts))


def test_a_call_that_fails_for_good_has_an_id_and_the_next_one_another(recorded, openai):
    """Three attempts are one call; the fallback to another model is no retry of it."""
    import openai as sdk

    with llm_observe.scope("job"):
        with pytest.raises(sdk.RateLimitError):
            ask(openai, "fake-rate-limited")
        failed, said = here(), ask(openai, "fake-echo")
    calls = recorded.calls

    assert [3, 1] == [len(call.attempts) for call in calls]
    assert [call.id for call in calls] == [failed, said]


def test_a_line_inside_a_stream_has_its_id(recorded, openai):
    """Long before there is a record."""
    said = {here() for _ in openai.chat.completions.create(model="fake-echo", messages=MESSAGES, stream=True)}
    (call,) = recorded.calls

    assert {call.id} == said


def test_attempts_of_a_loop_of_ones_own_are_one_call(recorded):
    """No SDK counts them: the same bytes to the same place, after a failure that may be repeated."""
    left = [503, 429, 200]
    client = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(left.pop(0), json={})))
    said = []
    with client, llm_observe.scope("job"):
        while left:
            client.post("http://provider.test/v1/chat/completions", json={"model": "m", "messages": MESSAGES})
            said.append(here())
    (call,) = recorded.calls

    assert ([call.id] * 3, 3) == (said, len(call.attempts))


def test_after_a_success_the_same_again_is_another_call(recorded):
    """Nobody repeats what went well."""
    client = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json={})))
    said = []
    with client, llm_observe.scope("job"):
        for _ in range(3):
            client.post("http://provider.test/v1/chat/completions", json={"model": "m", "messages": MESSAGES})
            said.append(here())

    assert [call.id for call in recorded.calls] == said
    assert 3 == len(set(said))


def test_tasks_keep_their_own(recorded, provider):
    """Sixteen at once in one request, half of them with a retry; the request itself has made none."""
    sdk = pytest.importorskip("openai")

    async def one(client, n):
        model = ("fake-echo", "fake-flaky-429")[n % 2]
        answer = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": f"task {n}"}])
        return answer.choices[0].message.content, here()

    async def main():
        async with sdk.AsyncOpenAI(api_key="none", base_url=f"{provider.url}/v1") as client:
            with llm_observe.scope("job"):
                return await asyncio.gather(*[one(client, n) for n in range(16)]), here()

    said, around = asyncio.run(main())
    told = {call.output.messages[0].parts[0].content: call.id for call in recorded.calls}

    assert (told, None) == (dict(said), around)


def test_threads_keep_their_own(recorded, openai):
    """And a thread's next job does not have the last one's call."""

    def work(n):
        with llm_observe.scope(f"job {n}"):
            before = here()
            model = ("fake-echo", "fake-flaky-500")[n % 2]
            openai.chat.completions.create(model=model, messages=[{"role": "user", "content": f"job {n}"}])
            return before, f"job {n}", here()

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(work, range(16)))

    assert {None} == {before for before, _, _ in said}
    assert {call.scope.name: call.id for call in recorded.calls} == {name: call_id for _, name, call_id in said}


def test_a_call_told_by_hand_has_an_id(recorded):
    """Inside and after."""
    with llm_observe.record_call("m", provider="p"):
        inside = here()
    after = here()
    (call,) = recorded.calls

    assert (call.id, call.id) == (inside, after)


def test_what_was_no_call_has_none_once_that_is_known(recorded):
    """Its path looked like one."""
    client = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json={})))
    with client, llm_observe.scope("job"):
        client.post("http://chat.test/v1/messages", json={"text": "hi", "to": "bob"})
        assert [] == recorded.calls
        assert None is here()


def test_a_format_may_name_it(recorded):
    """Empty where there is none; and what a line says itself stays."""
    line, own = (logging.makeLogRecord(facts) for facts in ({}, {"call_id": "mine"}))
    IdFilter().filter(line)
    IdFilter().filter(own)

    assert ("", "mine") == (line.call_id, own.call_id)


@pytest.mark.parametrize("settings", [{}, {"queue_records": 1}, {"queue_bytes": 2**16}], ids=["recorded", "no room", "no bytes"])
def test_a_context_keeps_no_prompts_alive(settings):
    """It remembers the id, not the call: whether that went on record or was refused."""
    with recording(**settings) as recorded:
        client = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json={})))
        with client:
            for _ in range(20):
                client.post("http://provider.test/v1/chat/completions", json={"model": "m", "messages": MESSAGES * 3000})
        assert 20 == len(recorded.calls) + sum(recorded.observer.stats().exporters["memory"].dropped.values())

        assert (None, []) == (last_attempt.get().exchange.request_body, last_attempt.get().exchange.chunks)
