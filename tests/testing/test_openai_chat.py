"""The provider as OpenAI's own SDK sees it."""

import anyio
import httpx2
import pytest

from llm_observe.testing.provider import Reply, ToolCall

openai = pytest.importorskip("openai")

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_forecast",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"type": "string", "enum": ["C", "F"]}},
        },
    },
}


def texts(stream):
    """The content deltas."""
    return [chunk.choices[0].delta.content for chunk in stream if chunk.choices and chunk.choices[0].delta.content]


def test_an_answer_says_back_what_the_user_said(ask_openai):
    """Without a script, the answer is made from the last user message."""
    assert "You said: hello there" == ask_openai("hello there").choices[0].message.content


def test_an_answer_counts_words_as_tokens(ask_openai):
    """Three words asked, five words said."""
    usage = ask_openai("how are you").usage

    assert (3, 5, 8) == (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)


def test_a_stream_gives_the_answer_word_by_word(ask_openai):
    """One content delta a word."""
    assert ["You", " said:", " hello", " there"] == texts(ask_openai("hello there", stream=True))


def test_a_stream_says_its_role_first_and_its_reason_last(ask_openai):
    """The first chunk has the role and no text, the last choice the finish reason."""
    first, *_, last = list(ask_openai(stream=True))

    assert ("assistant", "", "stop") == (first.choices[0].delta.role, first.choices[0].delta.content, last.choices[0].finish_reason)


def test_a_stream_has_no_usage_unless_asked(ask_openai):
    """Without `stream_options.include_usage` no chunk has any."""
    assert [] == [chunk.usage for chunk in ask_openai(stream=True) if chunk.usage]


def test_a_stream_ends_with_usage_when_asked(ask_openai):
    """The usage chunk has no choices and comes last."""
    last = list(ask_openai("how are you", stream=True, stream_options={"include_usage": True}))[-1]

    assert ([], 3, 5) == (last.choices, last.usage.prompt_tokens, last.usage.completion_tokens)


def test_a_stream_hides_its_lengths_unless_told_not_to(ask_openai):
    """`obfuscation` pads every chunk; `include_obfuscation: false` leaves it away."""
    padded = ask_openai(stream=True)
    bare = ask_openai(stream=True, stream_options={"include_obfuscation": False})

    assert (True, False) == tuple(any("obfuscation" in chunk.to_dict() for chunk in stream) for stream in (padded, bare))


def test_the_async_client_reads_a_plain_answer(provider):
    """The same bytes for the other colour."""

    async def main():
        async with openai.AsyncOpenAI(base_url=provider.openai_base_url, api_key="sk-fake") as client:
            answer = await client.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": "hello"}])
            return answer.choices[0].message.content

    assert "You said: hello" == anyio.run(main)


def test_the_async_client_reads_a_stream(provider):
    """The same events for the other colour."""

    async def main():
        async with openai.AsyncOpenAI(base_url=provider.openai_base_url, api_key="sk-fake") as client:
            stream = await client.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": "hello"}], stream=True)
            return texts([chunk async for chunk in stream])

    assert ["You", " said:", " hello"] == anyio.run(main)


def test_the_sdk_finds_the_id_of_each_request(ask_openai):
    """`x-request-id` is there, and never twice the same."""
    first, second = ask_openai(), ask_openai()

    assert (True, False) == (first._request_id.startswith("req_"), first._request_id == second._request_id)


def test_an_answer_carries_the_headers_of_the_service(openai_client):
    """What a gateway or a recorder may look for is there."""
    raw = openai_client.chat.completions.with_raw_response.create(model="gpt-x", messages=[])

    assert {"content-type": "application/json", "openai-version": "2020-10-01", "x-ratelimit-limit-requests": "10000"} == {
        name: raw.headers[name] for name in ("content-type", "openai-version", "x-ratelimit-limit-requests")
    }


def test_tool_calls_are_parsed_from_a_plain_answer(provider, ask_openai):
    """Name and arguments arrive, the content is empty, the reason is `tool_calls`."""
    provider.enqueue(Reply(tool_calls=[ToolCall("get_weather", {"city": "Köln"}, id="call_1")]))

    choice = ask_openai().choices[0]
    call = choice.message.tool_calls[0]

    assert ("tool_calls", None, "call_1", "get_weather", '{"city":"Köln"}') == (
        choice.finish_reason,
        choice.message.content,
        call.id,
        call.function.name,
        call.function.arguments,
    )


def test_tool_calls_are_put_together_from_a_stream(provider, openai_client):
    """Two calls, each in fragments, told apart by their index."""
    calls = [ToolCall("get_weather", '{"city": "New York"}'), ToolCall("get_time")]
    provider.enqueue(Reply("Let me look.", tool_calls=calls))

    with openai_client.chat.completions.stream(model="gpt-x", messages=[]) as stream:
        choice = stream.get_final_completion().choices[0]

    assert ("Let me look.", [("get_weather", '{"city": "New York"}'), ("get_time", "{}")]) == (
        choice.message.content,
        [(call.function.name, call.function.arguments) for call in choice.message.tool_calls],
    )


def test_the_tools_model_calls_the_tool_it_was_given(ask_openai):
    """`fake-tools` fills every property of the first tool's schema."""
    call = ask_openai(model="fake-tools", tools=[WEATHER]).choices[0].message.tool_calls[0]

    assert ("get_forecast", '{"city":"example","days":1,"unit":"C"}') == (call.function.name, call.function.arguments)


def test_the_tools_model_calls_a_tool_of_its_own_when_given_none(ask_openai):
    """A demo needs no schema."""
    assert "get_weather" == ask_openai(model="fake-tools").choices[0].message.tool_calls[0].function.name


def test_the_tools_model_answers_a_result_in_words(openai_client):
    """A loop of tool calls ends."""
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    answer = openai_client.chat.completions.create(model="fake-tools", messages=messages)

    assert ("stop", "The tool has answered, and so do I.") == (answer.choices[0].finish_reason, answer.choices[0].message.content)


def test_a_refusal_is_said_in_place_of_the_content(ask_openai):
    """`message.refusal` has the words."""
    message = ask_openai(model="fake-refuses").choices[0].message

    assert (None, "I can't help with that.") == (message.content, message.refusal)


def test_a_refusal_is_streamed_as_one(ask_openai):
    """`delta.refusal` has the words, `delta.content` none."""
    chunks = list(ask_openai(model="fake-refuses", stream=True))

    assert ("I can't help with that.", []) == ("".join(c.choices[0].delta.refusal or "" for c in chunks), texts(chunks))


def test_cached_and_reasoning_tokens_are_in_the_totals(provider, ask_openai):
    """The details say how much of each total they are."""
    provider.enqueue(Reply(input_tokens=100, cached_tokens=60, cache_write_tokens=10, output_tokens=50, reasoning_tokens=40))

    usage = ask_openai().usage

    assert (100, 60, 10, 50, 40) == (
        usage.prompt_tokens,
        usage.prompt_tokens_details.cached_tokens,
        usage.prompt_tokens_details.cache_write_tokens,
        usage.completion_tokens,
        usage.completion_tokens_details.reasoning_tokens,
    )


def test_a_finish_reason_in_anthropics_words_is_said_in_openais(provider, ask_openai):
    """One reply serves both formats."""
    provider.enqueue(Reply(finish="max_tokens"))

    assert "length" == ask_openai().choices[0].finish_reason


def test_an_error_has_the_services_shape(provider, ask_openai):
    """Message, type and code are where the SDK looks for them."""
    provider.enqueue(Reply("No such model.", status=404))

    with pytest.raises(openai.NotFoundError) as caught:
        ask_openai()

    assert {"message": "No such model.", "type": "invalid_request_error", "param": None, "code": "model_not_found"} == caught.value.body


def test_an_error_type_can_be_named(provider, ask_openai):
    """`error_type` is what the code says."""
    provider.enqueue(Reply(status=400, error_type="context_length_exceeded"))

    with pytest.raises(openai.BadRequestError) as caught:
        ask_openai()

    assert "context_length_exceeded" == caught.value.code


def test_an_error_in_the_stream_is_raised_after_the_text(ask_openai):
    """HTTP said 200 long ago; the error is an event."""
    seen = []
    with pytest.raises(openai.APIError, match="error while processing") as caught:
        for chunk in ask_openai(model="fake-failing-stream", stream=True):
            seen.append(chunk.choices[0].delta.content)

    assert (["", "You", " said:", " hello"], "server_error") == (seen, caught.value.type)


def test_the_sdk_retries_a_rate_limit_and_is_served(provider, ask_openai):
    """`fake-flaky-429`: the retry comes when the header says, and is answered."""
    answer = ask_openai(model="fake-flaky-429")

    assert ("You said: hello", [0, 1]) == (answer.choices[0].message.content, [r.attempt for r in provider.requests])


def test_the_sdk_retries_a_server_error_and_is_streamed_to(provider, ask_openai):
    """`fake-flaky-500`: the same for a stream."""
    answer = ask_openai(model="fake-flaky-500", stream=True)

    assert (["You", " said:", " hello"], 2) == (texts(answer), len(provider.requests))


def test_the_async_sdk_retries_too(provider):
    """The same for the other colour."""

    async def main():
        async with openai.AsyncOpenAI(base_url=provider.openai_base_url, api_key="sk-fake") as client:
            await client.chat.completions.create(model="fake-flaky-429", messages=[{"role": "user", "content": "hello"}])

    anyio.run(main)

    assert [0, 1] == [request.attempt for request in provider.requests]


def test_a_rate_limit_says_what_is_left(provider, ask_openai):
    """The 429 of the table is as explicit as the real one."""
    with pytest.raises(openai.RateLimitError) as caught:
        ask_openai(model="fake-rate-limited")

    assert ("0", "20", 3) == (
        caught.value.response.headers["x-ratelimit-remaining-requests"],
        caught.value.response.headers["retry-after-ms"],
        len(provider.requests),
    )


def test_an_overloaded_service_is_given_up_after_the_retries(provider, ask_openai):
    """`fake-overloaded` is 503 every time."""
    with pytest.raises(openai.InternalServerError) as caught:
        ask_openai(model="fake-overloaded")

    assert (503, 3) == (caught.value.status_code, len(provider.requests))


def test_a_wrong_key_is_not_retried(provider, ask_openai):
    """`fake-invalid-key` is 401 with the service's code."""
    with pytest.raises(openai.AuthenticationError) as caught:
        ask_openai(model="fake-invalid-key")

    assert ("invalid_api_key", 1) == (caught.value.code, len(provider.requests))


def test_a_spent_quota_is_not_retried(provider, ask_openai):
    """`fake-no-quota` is a 429 that says so."""
    with pytest.raises(openai.RateLimitError) as caught:
        ask_openai(model="fake-no-quota")

    assert ("insufficient_quota", 1) == (caught.value.code, len(provider.requests))


def test_a_stream_that_breaks_off_raises_in_the_sdk(ask_openai):
    """`fake-broken-stream`: three pieces, then the connection is gone. Early openai 3 lets the client's own error through."""
    seen = []
    with pytest.raises((openai.APIConnectionError, httpx2.RemoteProtocolError)):
        for chunk in ask_openai("one two three four", model="fake-broken-stream", stream=True):
            seen.append(chunk.choices[0].delta.content)

    assert ["", "You", " said:", " one"] == seen


def test_a_connection_closed_without_an_answer_raises_in_the_sdk(provider, openai_client):
    """`fake-hangs-up`: not a byte comes back."""
    with pytest.raises(openai.APIConnectionError):
        openai_client.with_options(max_retries=0).chat.completions.create(model="fake-hangs-up", messages=[])

    assert 1 == len(provider.requests)


def test_a_compressed_answer_is_read_by_the_sdk(openai_client):
    """`fake-gzip` says so in its header."""
    raw = openai_client.chat.completions.with_raw_response.create(model="fake-gzip", messages=[{"role": "user", "content": "hello"}])

    assert ("gzip", "You said: hello") == (raw.headers["content-encoding"], raw.parse().choices[0].message.content)


def test_a_compressed_stream_is_read_by_the_sdk(ask_openai):
    """Each event can be decompressed when it arrives."""
    assert ["You", " said:", " hello"] == texts(ask_openai(model="fake-gzip", stream=True))
