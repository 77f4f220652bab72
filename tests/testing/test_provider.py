"""What a test can tell the provider, and what it can ask it; with no SDK in between."""

import http.client
import json
import time
import urllib.parse

import pytest

from llm_observe.testing.provider import MODELS, FakeProvider, Reply

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


def post(provider, body, path=CHAT, method="POST", headers=None):
    """Status, headers and body of the answer."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(provider.url).netloc, timeout=5)
    try:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, raw, {"content-type": "application/json"} | (headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def ask(prompt="hello", model="gpt-x", **more):
    """The body of a request, in either format."""
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **more}


def said(provider, *args, **more):
    """The words of OpenAI's plain answer."""
    return json.loads(post(provider, ask(*args, **more))[2])["choices"][0]["message"]["content"]


def deltas(provider, **more):
    """The content deltas of OpenAI's stream."""
    events = post(provider, ask(stream=True, **more))[2].decode().split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events if event.startswith("data: {")]
    return [c["choices"][0]["delta"]["content"] for c in chunks if "content" in c["choices"][0]["delta"]][1:]


def test_queued_replies_come_first_and_in_order(provider):
    """After them, the provider answers by itself again."""
    provider.enqueue("one", Reply("two"), lambda received: f"three for {received.model}", "")

    assert ["one", "two", "three for gpt-x", "", "You said: hello"] == [said(provider) for _ in range(5)]


def test_a_route_answers_for_its_model(provider):
    """Other models are not concerned."""
    provider.route("gpt-y", "routed")

    assert ["You said: hello", "routed"] == [said(provider, model=model) for model in ("gpt-x", "gpt-y")]


def test_a_route_may_ask_anything_of_the_request(provider):
    """A function matches what a name cannot."""
    provider.route(lambda received: "secret" in received.prompt, "I do not tell.")

    assert ["You said: hello", "I do not tell."] == [said(provider, prompt) for prompt in ("hello", "the secret, please")]


def test_the_latest_route_wins(provider):
    """A test may override what its fixture set."""
    provider.route("gpt-x", "first")
    provider.route("gpt-x", "second")

    assert "second" == said(provider)


def test_a_behaviour_can_be_given_to_another_name(provider):
    """So that a demo is priced by a real model's name."""
    provider.route("gpt-4o", MODELS["fake-length"])

    assert "length" == json.loads(post(provider, ask(model="gpt-4o"))[2])["choices"][0]["finish_reason"]


def test_a_route_can_stand_in_for_another_api(provider):
    """Any path, any bytes."""
    provider.route(lambda received: received.path == "/v1/embeddings", Reply(raw=b'{"data": []}', headers={"X-Mine": "yes"}))

    status, headers, body = post(provider, {}, "/v1/embeddings")

    assert (200, "yes", b'{"data": []}') == (status, headers["x-mine"], body)


def test_an_unknown_path_is_not_found(provider):
    """Said with the path, and without using up the queue."""
    provider.enqueue("kept")

    status, _, body = post(provider, {}, "/v1/assistants")

    assert (404, "Unknown request URL: POST /v1/assistants.", "kept") == (status, json.loads(body)["error"]["message"], said(provider))


def test_another_method_is_not_allowed(provider):
    """GET of a known path is 405."""
    assert 405 == post(provider, b"", method="GET")[0]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_json_object_is_a_bad_request(provider, body):
    """And what was received is still there to look at."""
    assert (400, body) == (post(provider, body)[0], provider.requests[0].raw)


def test_a_request_without_a_model_is_a_bad_request(provider):
    """As at the services."""
    assert (400, "you must provide a model parameter") == (
        (answer := post(provider, {"messages": []}, MESSAGES))[0],
        json.loads(answer[2])["error"]["message"],
    )


@pytest.mark.parametrize("messages", [None, "hello", ["hello"], [{"role": "user"}], [{"role": "user", "content": [{"type": "image"}]}]])
def test_messages_that_say_nothing_are_answered_all_the_same(provider, messages):
    """The provider judges no conversation."""
    body = json.loads(post(provider, {"model": "gpt-x", "messages": messages})[2])

    assert ("You said: ", 0) == (body["choices"][0]["message"]["content"], body["usage"]["prompt_tokens"])


def test_a_long_prompt_is_not_said_back_whole(provider):
    """An answer to 100 KB is short."""
    assert "You said: " + "x" * 200 == said(provider, "x" * 100_000)


def test_a_model_may_answer_under_another_name(provider):
    """As services that resolve an alias do."""
    provider.enqueue(Reply(model="gpt-x-2026-01-01"))

    assert "gpt-x-2026-01-01" == json.loads(post(provider, ask())[2])["model"]


def test_a_reply_function_that_fails_says_so_in_the_answer(provider):
    """Its author reads the reason in the SDK's error, once: the SDKs are told not to retry."""
    provider.enqueue(lambda received: 1 / 0)

    status, headers, body = post(provider, ask())

    assert (500, "false", "The reply could not be made: ZeroDivisionError('division by zero')") == (
        status,
        headers["x-should-retry"],
        json.loads(body)["error"]["message"],
    )


def test_an_index_error_of_a_reply_function_is_not_an_empty_queue(provider):
    """The failure is told, not passed over."""
    provider.enqueue(lambda received: received.messages[9])

    assert 500 == post(provider, ask())[0]


def test_a_stream_has_as_many_content_deltas_as_asked(provider):
    """A hundred chunks for a benchmark: the answer is made long enough."""
    pieces = deltas(provider, model="fake-long")

    assert (100, "You said: hello and so it goes on, and") == (len(pieces), "".join(pieces)[:38])


@pytest.mark.parametrize(("text", "chunks", "pieces"), [("abcdef", 3, ["ab", "cd", "ef"]), ("ab", 3, ["", "a", "b"]), ("ab", 0, [])])
def test_a_given_text_is_cut_into_as_many_pieces_as_asked(provider, text, chunks, pieces):
    """More pieces than letters are empty ones."""
    provider.enqueue(Reply(text, chunks=chunks))

    assert pieces == deltas(provider)


def test_usage_can_be_set_to_anything(provider):
    """The numbers are those of the reply, not counted."""
    provider.enqueue(Reply(input_tokens=1_000_000, output_tokens=0))

    usage = json.loads(post(provider, ask())[2])["usage"]

    assert (1_000_000, 0, 1_000_000) == (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"])


def test_raw_bytes_may_be_a_stream(provider):
    """Recorded bytes are played back as they were, under the type that was asked for."""
    provider.enqueue(Reply(raw=b"data: [DONE]\n\n"))

    _, headers, body = post(provider, ask(stream=True))

    assert ("text/event-stream; charset=utf-8", b"data: [DONE]\n\n") == (headers["content-type"], body)


def test_raw_bytes_may_come_in_pieces(provider):
    """As a recorded stream is played again: chunked, and the same bytes."""
    provider.enqueue(Reply(raw=b"data: 1\n\ndata: [DONE]\n\n", chunks=5), Reply(raw=b"", chunks=5))
    status, headers, body = post(provider, ask())

    assert (200, "chunked", b"data: 1\n\ndata: [DONE]\n\n") == (status, headers["transfer-encoding"], body)
    assert b"" == post(provider, ask())[2]


def test_raw_bytes_may_be_an_error(provider):
    """What a proxy says is no JSON."""
    provider.enqueue(Reply(raw=b"<html>", status=502, headers={"content-type": "text/html"}))

    status, headers, body = post(provider, ask())

    assert (502, "text/html", b"<html>") == (status, headers["content-type"], body)


def test_requests_are_remembered_as_they_came(provider):
    """Method, path, headers in lower case, and the parsed body."""
    post(provider, ask(), "/v1/messages?beta=true", headers={"X-Mine": "yes"})

    received = provider.requests[0]

    assert ("POST", "/v1/messages?beta=true", "yes", ask(), "anthropic.messages", "gpt-x", "hello", 0) == (
        received.method,
        received.path,
        received.headers["x-mine"],
        received.body,
        received.format,
        received.model,
        received.prompt,
        received.attempt,
    )


def test_requests_are_in_order_of_time(provider):
    """And each knows when it came."""
    before = time.time()
    for n in range(3):
        post(provider, ask(str(n)))
    times = [received.received_at for received in provider.requests]

    assert (["0", "1", "2"], True) == ([r.prompt for r in provider.requests], before - 1 <= times[0] <= times[1] <= times[2])


def test_old_requests_are_forgotten_and_counted():
    """A benchmark does not fill the memory."""
    with FakeProvider(remember=2) as provider:
        for n in range(5):
            post(provider, ask(str(n)))

        assert (["3", "4"], 3) == ([received.prompt for received in provider.requests], provider.forgotten)


def test_without_the_sdks_header_an_attempt_is_told_by_its_body(provider):
    """Each conversation is flaky by itself."""
    statuses = [post(provider, ask(prompt, "fake-flaky-429"))[0] for prompt in ("a", "b", "a", "b", "b")]

    assert [429, 429, 200, 200, 200] == statuses


def test_the_memory_of_bodies_is_bounded(provider, monkeypatch):
    """Past the bound the count begins anew."""
    monkeypatch.setattr("llm_observe.testing.provider._BODIES", 1)
    statuses = [post(provider, ask(prompt, "fake-flaky-500"))[0] for prompt in ("a", "a", "b", "b")]

    assert [500, 500, 500, 500] == statuses


def test_delays_are_scaled():
    """`fake-slow` takes its time, and less where the provider is told so."""
    with FakeProvider(time_scale=0.02) as provider:
        began = time.monotonic()
        assert ["You", " said:", " hello"] == deltas(provider, model="fake-slow")
        took = time.monotonic() - began

    assert 0.019 <= took < 1


def test_every_model_says_what_it_does():
    """The table documents itself, and its names look like models."""
    assert [] == [name for name, model in MODELS.items() if not (name == model.name and name.startswith("fake-") and model.does)]


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [name for name in MODELS if name not in {"fake-hangs-up", "fake-broken-stream"}])
def test_every_model_answers_in_every_format(provider, model, stream, path):
    """Nothing in the table needs one format: no reply fails to be made."""
    provider.time_scale = 0.0
    status, _, body = post(provider, ask(model=model, stream=stream), path)

    assert (True, False) == (status in {200, 401, 402, 429, 500, 503, 529}, b"could not be made" in body)
