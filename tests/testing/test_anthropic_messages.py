"""The provider as Anthropic's own SDK sees it."""

import anyio
import pytest

from llm_observe.testing.provider import Reply, ToolCall

anthropic = pytest.importorskip("anthropic")

FORECAST = {
    "name": "get_forecast",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}, "share": {"type": "number"}, "to": {"type": "array"}}},
}


def texts(events):
    """The text deltas."""
    return [event.delta.text for event in events if event.type == "content_block_delta" and event.delta.type == "text_delta"]


def test_an_answer_says_back_what_the_user_said(ask_anthropic):
    """Without a script, the answer is made from the last user message."""
    assert ["You said: hello there"] == [block.text for block in ask_anthropic("hello there").content]


def test_an_answer_counts_words_as_tokens(ask_anthropic):
    """The system field is part of the input."""
    usage = ask_anthropic("how are you", system=[{"type": "text", "text": "Be kind"}]).usage

    assert (5, 5) == (usage.input_tokens, usage.output_tokens)


def test_a_stream_has_the_events_of_the_service_in_their_order(ask_anthropic):
    """From message_start to message_stop; the SDK keeps the ping to itself."""
    assert [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ] == [event.type for event in ask_anthropic(stream=True)]


def test_a_stream_gives_the_answer_word_by_word(ask_anthropic):
    """One text delta a word."""
    assert ["You", " said:", " hello"] == texts(ask_anthropic(stream=True))


def test_a_streams_usage_is_a_placeholder_first_and_cumulative_last(ask_anthropic):
    """message_start knows the input, message_delta all of it."""
    events = {event.type: event for event in ask_anthropic("how are you", stream=True)}
    first, last = events["message_start"].message.usage, events["message_delta"].usage

    assert ((3, 1), (3, 5)) == ((first.input_tokens, first.output_tokens), (last.input_tokens, last.output_tokens))


def test_the_sdk_folds_a_stream_into_the_plain_message(ask_anthropic, anthropic_client):
    """The stream helper ends with what the plain call gives."""
    plain = ask_anthropic(model="fake-thinking")
    with anthropic_client.messages.stream(model="fake-thinking", max_tokens=64, messages=[{"role": "user", "content": "hello"}]) as stream:
        streamed = stream.get_final_message()

    assert [plain.content[0].thinking, plain.content[1].text] == [streamed.content[0].thinking, streamed.content[1].text]


def test_the_async_client_reads_a_plain_answer(provider):
    """The same bytes for the other colour."""

    async def main():
        async with anthropic.AsyncAnthropic(base_url=provider.anthropic_base_url, api_key="sk-fake") as client:
            answer = await client.messages.create(model="claude-x", max_tokens=9, messages=[{"role": "user", "content": "hello"}])
            return answer.content[0].text

    assert "You said: hello" == anyio.run(main)


def test_the_async_client_reads_a_stream(provider):
    """The same events for the other colour."""

    async def main():
        async with anthropic.AsyncAnthropic(base_url=provider.anthropic_base_url, api_key="sk-fake") as client:
            stream = await client.messages.create(
                model="claude-x", max_tokens=9, messages=[{"role": "user", "content": "hello"}], stream=True
            )
            return texts([event async for event in stream])

    assert ["You", " said:", " hello"] == anyio.run(main)


def test_the_sdk_finds_the_id_of_each_request(ask_anthropic):
    """`request-id` is there, and never twice the same."""
    first, second = ask_anthropic(), ask_anthropic()

    assert (True, False) == (first._request_id.startswith("req_"), first._request_id == second._request_id)


def test_an_answer_carries_the_headers_of_the_service(anthropic_client):
    """Limits are there by their names."""
    raw = anthropic_client.messages.with_raw_response.create(model="claude-x", max_tokens=9, messages=[])

    assert {"content-type": "application/json", "anthropic-ratelimit-requests-limit": "4000"} == {
        name: raw.headers[name] for name in ("content-type", "anthropic-ratelimit-requests-limit")
    }


def test_tool_calls_are_parsed_from_a_plain_answer(provider, ask_anthropic):
    """Name and input arrive, the reason is `tool_use`."""
    provider.enqueue(Reply(tool_calls=[ToolCall("get_weather", {"city": "Köln"}, id="toolu_1")]))

    answer = ask_anthropic()

    assert ("tool_use", [("toolu_1", "get_weather", {"city": "Köln"})]) == (
        answer.stop_reason,
        [(block.id, block.name, block.input) for block in answer.content],
    )


def test_tool_calls_are_put_together_from_a_stream(provider, anthropic_client):
    """A text block, then one block a call, each in fragments."""
    provider.enqueue(Reply("Let me look.", tool_calls=[ToolCall("get_weather", '{"city": "New York"}'), ToolCall("get_time")]))

    with anthropic_client.messages.stream(model="claude-x", max_tokens=9, messages=[]) as stream:
        text, *calls = stream.get_final_message().content

    assert ("Let me look.", [("get_weather", {"city": "New York"}), ("get_time", {})]) == (
        text.text,
        [(call.name, call.input) for call in calls],
    )


def test_a_plain_answer_keeps_arguments_given_as_text(provider, ask_anthropic):
    """What is JSON is parsed; what is not is kept in sight."""
    provider.enqueue(Reply(tool_calls=[ToolCall("a", '{"n": 1}'), ToolCall("b", '{"n": ')]))

    assert [{"n": 1}, {"INVALID_JSON": '{"n": '}] == [block.input for block in ask_anthropic().content]


def test_the_tools_model_calls_the_tool_it_was_given(ask_anthropic):
    """`fake-tools` fills every property of the first tool's schema."""
    block = ask_anthropic(model="fake-tools", tools=[FORECAST]).content[0]

    assert ("get_forecast", {"city": "example", "share": 1.5, "to": []}) == (block.name, block.input)


def test_the_tools_model_answers_a_result_in_words(anthropic_client):
    """A loop of tool calls ends."""
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]},
    ]
    answer = anthropic_client.messages.create(model="fake-tools", max_tokens=9, messages=messages)

    assert ("end_turn", "The tool has answered, and so do I.") == (answer.stop_reason, answer.content[0].text)


def test_thinking_comes_before_the_text(ask_anthropic):
    """A signed thinking block, and its tokens in the usage."""
    answer = ask_anthropic(model="fake-thinking")

    assert (["thinking", "text"], 64, True) == (
        [block.type for block in answer.content],
        answer.usage.output_tokens_details.thinking_tokens,
        answer.content[0].signature != "",
    )


def test_a_refusal_is_a_stop_reason(ask_anthropic):
    """The words are in the text."""
    answer = ask_anthropic(model="fake-refuses")

    assert ("refusal", "I can't help with that.") == (answer.stop_reason, answer.content[0].text)


def test_cached_tokens_are_not_in_the_input_tokens(provider, ask_anthropic):
    """The same reply that OpenAI counts as 100 is 30 + 60 + 10 here."""
    provider.enqueue(Reply(input_tokens=100, cached_tokens=60, cache_write_tokens=10, output_tokens=50))

    usage = ask_anthropic().usage

    assert (30, 60, 10, 50) == (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens, usage.output_tokens)


def test_a_finish_reason_in_openais_words_is_said_in_anthropics(ask_anthropic):
    """`fake-length` says `max_tokens` here."""
    assert "max_tokens" == ask_anthropic(model="fake-length").stop_reason


def test_an_error_has_the_services_shape(provider, ask_anthropic):
    """The type, the message, and the id that the header says."""
    provider.enqueue(Reply("model: nope", status=404))

    with pytest.raises(anthropic.NotFoundError) as caught:
        ask_anthropic()

    assert {
        "type": "error",
        "error": {"type": "not_found_error", "message": "model: nope"},
        "request_id": caught.value.response.headers["request-id"],
    } == caught.value.body


def test_an_error_in_the_stream_is_raised_after_the_text(ask_anthropic):
    """HTTP said 200 long ago; the error is an event."""
    seen = []
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        for event in ask_anthropic(model="fake-failing-stream", stream=True):
            seen.append(event)

    assert ["You", " said:", " hello"] == texts(seen)


def test_a_stream_that_was_to_fail_fails_at_once_when_plain(provider, ask_anthropic):
    """There is no stream to tell it in: the status does."""
    provider.enqueue(Reply(error_in_stream=True, headers={"x-should-retry": "false"}))

    with pytest.raises(anthropic.APIStatusError) as caught:
        ask_anthropic()

    assert 529 == caught.value.status_code


def test_the_sdk_retries_a_rate_limit_and_is_served(provider, ask_anthropic):
    """`fake-flaky-429`: the retry comes when the header says, and is answered."""
    answer = ask_anthropic(model="fake-flaky-429")

    assert ("You said: hello", [0, 1]) == (answer.content[0].text, [request.attempt for request in provider.requests])


def test_the_sdk_retries_a_server_error_and_is_streamed_to(provider, ask_anthropic):
    """`fake-flaky-500`: the same for a stream."""
    answer = ask_anthropic(model="fake-flaky-500", stream=True)

    assert (["You", " said:", " hello"], 2) == (texts(answer), len(provider.requests))


def test_an_overloaded_service_is_given_up_after_the_retries(provider, ask_anthropic):
    """`fake-overloaded` is Anthropic's own 529."""
    with pytest.raises(anthropic.APIStatusError) as caught:
        ask_anthropic(model="fake-overloaded")

    assert (529, 3) == (caught.value.status_code, len(provider.requests))


def test_a_wrong_key_is_not_retried(provider, ask_anthropic):
    """`fake-invalid-key` is an authentication_error."""
    with pytest.raises(anthropic.AuthenticationError):
        ask_anthropic(model="fake-invalid-key")

    assert 1 == len(provider.requests)


def test_a_spent_credit_is_not_retried(provider, ask_anthropic):
    """`fake-no-quota` is Anthropic's billing_error."""
    with pytest.raises(anthropic.APIStatusError) as caught:
        ask_anthropic(model="fake-no-quota")

    assert (402, "billing_error", 1) == (caught.value.status_code, caught.value.body["error"]["type"], len(provider.requests))


def test_a_stream_that_breaks_off_raises_in_the_sdk(ask_anthropic):
    """`fake-broken-stream`: three pieces, then the connection is gone."""
    seen = []
    with pytest.raises(Exception, match="peer closed connection without sending complete message body"):
        for event in ask_anthropic("one two three four", model="fake-broken-stream", stream=True):
            seen.append(event)

    assert ["You", " said:", " one"] == texts(seen)


def test_a_compressed_stream_is_read_by_the_sdk(ask_anthropic):
    """Each event can be decompressed when it arrives."""
    assert ["You", " said:", " hello"] == texts(ask_anthropic(model="fake-gzip", stream=True))
