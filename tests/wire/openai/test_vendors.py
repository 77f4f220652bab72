"""Chat Completions as others speak them: where each has its own place for something (wire.md, 3.2)."""

import base64
import hashlib
import json

import pytest

from llm_observe.records import (
    Billed,
    Blob,
    Error,
    InputTokens,
    Message,
    Modality,
    OutputTokens,
    Reasoning,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    Usage,
)
from llm_observe.wire import Unknown, decode

DATA = b"\x89PNG"
PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(DATA).decode()}"}}
SHOWN = Blob(modality="image", mime_type="image/png", size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())
SOURCE = {"type": "url_citation", "url_citation": {"url": "https://x.y/z", "title": "Z"}}


def answer(message: dict, **members) -> dict:
    """A whole answer of one message."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant"} | message}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice]} | members


def chunk(delta: dict, reason: str | None = None, **members) -> dict:
    """A chunk of one choice."""
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} | members


@pytest.fixture
def told(openai):
    """What is decoded of a plain answer."""
    return lambda message, url="https://api.openai.com/v1/chat/completions", **members: decode(openai(answer(message, **members), url=url))


@pytest.fixture
def streamed(openai, events):
    """What is decoded of chunks."""
    return lambda *chunks, **changes: decode(openai(events(*chunks), **changes))


def parts_of(decoded) -> tuple:
    """What the one message says."""
    (message,) = decoded.output.messages
    return message.parts


# The request


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        pytest.param({"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}}}, ("json", {"a": 1}), id="OpenAI"),
        pytest.param({"type": "json_object", "schema": {"a": 1}}, ("json", {"a": 1}), id="Together, Fireworks, llama.cpp"),
        pytest.param({"type": "json_object"}, ("json", None), id="no schema"),
        pytest.param({"type": "json_schema", "json_schema": "none"}, ("json", None), id="no schema that can be read"),
    ],
)
def test_the_schema_that_the_answer_is_to_have(openai, form, expected):
    """Wherever it is written."""
    output = decode(openai({}, {"model": "m", "messages": [], "response_format": form})).output

    assert expected == (output.type, output.schema)


def test_an_answer_may_be_asked_to_be_a_picture(openai):
    """OpenRouter: beside text."""
    assert "image" == decode(openai({}, {"model": "m", "messages": [], "modalities": ["image", "text"]})).output.type


# What stands beside the text


@pytest.mark.parametrize(
    ("message", "members", "citations"),
    [
        pytest.param({"annotations": [SOURCE]}, {}, (SOURCE,), id="OpenAI, OpenRouter"),
        pytest.param({"annotations": [SOURCE | {"signature": "c2VjcmV0"}]}, {}, (SOURCE,), id="without what is opaque"),
        pytest.param({"citations": ["https://x.y/z"]}, {}, ("https://x.y/z",), id="on the message"),
        pytest.param({"context": {"citations": [{"title": "Z"}], "intent": "i"}}, {}, ({"title": "Z"},), id="Azure, on one's own data"),
        pytest.param({}, {"citations": ["https://x.y/z"]}, ("https://x.y/z",), id="Perplexity, addresses"),
        pytest.param(
            {},
            {"citations": ["https://x.y/z"], "search_results": [{"url": "https://x.y/z", "title": "Z"}]},
            ({"url": "https://x.y/z", "title": "Z"},),
            id="Perplexity, results",
        ),
        pytest.param({"annotations": "none", "context": []}, {"citations": {}}, (), id="nothing that can be read"),
    ],
)
def test_what_an_answer_stands_on(told, message, members, citations):
    """On the text."""
    assert (Text(content="a", citations=citations),) == parts_of(told({"content": "a"} | message, **members))


def test_what_an_answer_stands_on_is_with_its_last_text(told):
    """And nowhere, where there is no text."""
    assert (Text(content="a"), Text(content="b", citations=("u",))) == parts_of(
        told({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, citations=["u"])
    )
    assert (Text(content="a", citations=("u",)), SHOWN) == parts_of(
        told({"content": [{"type": "text", "text": "a"}, PICTURE]}, citations=["u"])
    )
    assert () == parts_of(told({"content": None}, citations=["u"]))


def test_sources_come_in_streams_too(streamed):
    """In a delta of their own, or with the last chunk."""
    decoded = streamed(chunk({"content": "a"}), chunk({"annotations": [SOURCE]}), chunk({"content": "b"}, "stop"), {"citations": ["u"]})

    assert (Text(content="ab", citations=(SOURCE, "u")),) == parts_of(decoded)


def test_openrouters_pictures_stand_beside_the_content(told, streamed):
    """Plain and streamed, without their bytes."""
    assert (Text(content="a"), SHOWN) == parts_of(told({"content": "a", "images": [PICTURE, 7]}))
    assert (Text(content="a"), SHOWN) == parts_of(streamed(chunk({"content": "a"}), chunk({"images": [PICTURE]}, "stop")))


def test_groq_runs_tools_itself(told):
    """What was asked of them and what they gave."""
    tool = {"index": 0, "type": "search", "arguments": '{"query": "q"}', "output": "a", "search_results": {"results": [{"title": "Z"}]}}

    assert (
        Text(content="a"),
        ServerToolCall(name="search", server_tool_call={"type": "search", "arguments": {"query": "q"}}),
        ServerToolCallResponse(
            server_tool_call_response={"type": "search", "output": "a", "search_results": {"results": [{"title": "Z"}]}}
        ),
    ) == parts_of(told({"content": "a", "executed_tools": [tool, 7]}))


def test_groqs_own_tools_are_told_twice_in_a_stream(streamed):
    """First the call, then the same with what it gave."""
    call = {"index": 0, "type": "python", "arguments": "print(2)"}
    decoded = streamed(
        chunk({"executed_tools": [call]}), chunk({"executed_tools": [call | {"output": "2"}, 7]}), chunk({"content": "a"}, "stop")
    )

    assert (
        Text(content="a"),
        ServerToolCall(name="python", server_tool_call={"type": "python", "arguments": "print(2)"}),
        ServerToolCallResponse(server_tool_call_response={"type": "python", "output": "2"}),
    ) == parts_of(decoded)[:3]


def test_snowflake_has_empty_audio(told):
    """It says nothing."""
    audio = {"id": "", "data": "", "transcript": "", "expires_at": 0}

    assert (Text(content="a"),) == parts_of(told({"content": "a", "audio": audio}))


def test_speech_that_is_only_named_in_a_stream(streamed):
    """Its bytes never came."""
    decoded = streamed(chunk({"audio": {"id": "audio_1"}}), chunk({"audio": {"transcript": "a"}}, "stop"))

    assert (Blob(modality="audio", transcript="a"),) == parts_of(decoded)


def test_together_has_the_text_twice(streamed):
    """In the choice and in its delta: it counts once."""
    decoded = streamed(
        {"id": "c", "choices": [{"index": 0, "text": "a", "delta": {"content": "a", "token_id": 1}, "finish_reason": None}]},
        {"id": "c", "choices": [{"index": 0, "text": "", "delta": {"content": ""}, "finish_reason": "eos"}], "usage": {"prompt_tokens": 1}},
    )

    assert ((Text(content="a"),), ("stop",), ("eos",), 1) == (
        parts_of(decoded),
        decoded.response.finish_reasons,
        decoded.wire.finish_reasons,
        decoded.usage.input_tokens,
    )


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_thoughts_are_streamed_under_two_names(streamed, name):
    """Under the newer one and the older one, as vLLM's versions have it."""
    decoded = streamed(chunk({name: "h"}), chunk({name: "m"}), chunk({"content": "a"}, "stop"))

    assert (Reasoning(content="hm"), Text(content="a")) == parts_of(decoded)


def test_openrouters_thoughts_are_told_twice(streamed):
    """As a text and in detail: they count once. Some are told in detail alone."""
    first, second = ([{"type": "reasoning.text", "text": thought, "signature": "c2VjcmV0"}] for thought in ("h", "m"))
    decoded = streamed(chunk({"reasoning": "h", "reasoning_details": first}), chunk({"reasoning_details": second}), chunk({}, "stop"))

    assert (Reasoning(content="hm"),) == parts_of(decoded)


def test_what_gemini_signs_is_left_out(told):
    """Under ``extra_content``."""
    signed = {"extra_content": {"google": {"thought_signature": "c2VjcmV0"}}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}} | signed

    assert (ToolCall(id="c", name="f", arguments={}),) == parts_of(told({"content": None, "tool_calls": [call]} | signed))


# Usage


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param(
            {
                "prompt_tokens": 21,
                "completion_tokens": 9,
                "prompt_tokens_details": {"text_tokens": 19, "audio_tokens": 2, "image_tokens": 0, "cached_tokens": 0},
                "completion_tokens_details": {"text_tokens": 4, "audio_tokens": 5, "reasoning_tokens": 0},
            },
            Usage(
                input_tokens=21,
                output_tokens=9,
                cache_read=InputTokens(input_tokens=0),
                reasoning=OutputTokens(output_tokens=0),
                text=Modality(input_tokens=19, output_tokens=4),
                audio=Modality(input_tokens=2, output_tokens=5),
            ),
            id="text and audio",
        ),
        pytest.param(
            {"completion_tokens": 9, "completion_tokens_details": {"image_tokens": 8}},
            Usage(output_tokens=9, image=Modality(output_tokens=8)),
            id="a picture",
        ),
        pytest.param(
            {"prompt_tokens_details": {"cached_tokens": 3, "cached_tokens_details": {"text_tokens": 3}, "text_tokens": 5}},
            Usage(cache_read=InputTokens(input_tokens=3), text=Modality(input_tokens=5, cache_read=InputTokens(input_tokens=3))),
            id="cached text",
        ),
        pytest.param(
            {
                "prompt_tokens": 5,
                "completion_tokens": 6,
                "prompt_token_details": {"cached_tokens": 1},
                "completion_token_details": {"reasoning_tokens": 2},
            },
            Usage(input_tokens=5, output_tokens=6, cache_read=InputTokens(input_tokens=1), reasoning=OutputTokens(output_tokens=2)),
            id="Writer's spelling",
        ),
        pytest.param(
            {"prompt_tokens": 1, "completion_tokens": 2, "num_search_queries": 3},
            Usage(input_tokens=1, output_tokens=2, billed=Billed(web_searches=3)),
            id="Perplexity's searches",
        ),
        pytest.param(
            {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.1, "server_tool_use_details": {"web_search_requests": 1}},
            Usage(input_tokens=1, output_tokens=2, billed=Billed(web_searches=1)),
            id="OpenRouter's searches",
        ),
    ],
)
def test_counts_by_kind(told, counts, expected):
    """Zeros of kinds that were not met say nothing."""
    assert expected == told({"content": "a"}, usage=counts).usage


def test_moonshots_usage_is_in_the_choice(streamed):
    """Of the last chunk."""
    last = {
        "id": "c",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}],
    }

    assert Usage(input_tokens=1, output_tokens=2) == streamed(chunk({"content": "a"}), last).usage


TIMINGS = {"cache_n": 5, "prompt_n": 2, "prompt_ms": 10.5, "predicted_n": 3, "predicted_ms": 39.5}


def test_llama_cpp_counts_while_it_takes_the_time(told, streamed):
    """What was cached is beside what it read; where there is a usage, that counts."""
    counted = Usage(input_tokens=7, output_tokens=3, cache_read=InputTokens(input_tokens=5))
    decoded = streamed(chunk({}, prompt_progress={"total": 7}), chunk({"content": "a"}, "stop", timings=TIMINGS))

    assert (counted, 0.05) == (decoded.usage, decoded.processing_time)
    assert counted == told({"content": "a"}, timings=TIMINGS).usage
    assert Usage(input_tokens=9) == told({"content": "a"}, timings=TIMINGS, usage={"prompt_tokens": 9}).usage
    assert Usage(output_tokens=3) == told({"content": "a"}, timings={"predicted_n": 3}).usage
    assert Usage() == told({"content": "a"}, timings={}).usage


def test_groq_tells_its_time_and_its_id(told, streamed):
    """In the answer's body."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "queue_time": 0.5, "total_time": 0.25}
    plain = told({"content": "a"}, usage=usage, x_groq={"id": "req_1"}, url="https://api.groq.com/openai/v1/chat/completions")
    stream = streamed(chunk({"content": "a"}, "stop", x_groq={"id": "req_1", "usage": usage}))

    assert [("req_1", 0.25)] * 2 == [(decoded.provider_request_id, decoded.processing_time) for decoded in (plain, stream)]


def test_a_header_is_believed_before_the_body(openai):
    """It is the attempt's own."""
    headers = {"x-request-id": "req_2", "openai-processing-ms": "100"}
    decoded = decode(openai(answer({"content": "a"}, x_groq={"id": "req_1"}, usage={"total_time": 9.0}), response_headers=headers))

    assert ("req_2", 0.1) == (decoded.provider_request_id, decoded.processing_time)


# Errors and framing


@pytest.mark.parametrize(
    ("document", "status", "expected"),
    [
        pytest.param({"error_code": "BAD_REQUEST", "message": "m"}, 400, Error(type="BAD_REQUEST", message="m"), id="Databricks"),
        pytest.param(
            {"errors": [{"code": 7003, "message": "m"}], "success": False, "result": None},
            404,
            Error(type="7003", message="m"),
            id="Cloudflare",
        ),
        pytest.param({"code": "InvalidApiKey", "message": "m"}, 401, Error(type="InvalidApiKey", message="m"), id="DashScope"),
        pytest.param(
            {"detail": [{"loc": ["body", "messages", 0], "msg": "Field required", "type": "missing"}]},
            422,
            Error(type="422", message="body.messages.0: Field required"),
            id="Mistral's validator",
        ),
        pytest.param({"errors": ["m"]}, 400, Error(type="400"), id="no object"),
        pytest.param({"statusCode": 401, "message": "m"}, 401, Error(type="401", message="m"), id="Azure's API Management"),
        pytest.param(
            {"error": {"code": "content_filter", "message": "m", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            400,
            Error(type="content_filter", message="m"),
            id="Azure's filter",
        ),
        pytest.param(
            {"error": {"message": "m", "code": 429, "metadata": {"provider_name": "Google"}}},
            429,
            Error(type="429", message="m"),
            id="OpenRouter",
        ),
        pytest.param({"error": "model 'x' not found"}, 404, Error(type="404", message="model 'x' not found"), id="Ollama"),
    ],
)
def test_errors_of_vendors_who_do_not_write_them_as_openai_does(openai, document, status, expected):
    """Their type is the vendor's word, else the status."""
    assert expected == decode(openai(document, status_code=status)).error


def test_geminis_error_in_a_stream_is_a_list(streamed):
    """Of one."""
    decoded = streamed(chunk({"content": "par"}), [{"error": {"code": 503, "status": "UNAVAILABLE", "message": "m"}}])

    assert (Error(type="UNAVAILABLE", message="m", code="503"), (Text(content="par"),)) == (decoded.error, parts_of(decoded))


def test_deepseek_keeps_the_connection_alive_with_blank_lines(openai):
    """Before the answer, however many."""
    body = b"\n" * 200 + json.dumps(answer({"content": "a"})).encode()

    assert (Text(content="a"),) == parts_of(decode(openai(body, response_headers={"content-type": "application/json"})))


def test_comments_keep_a_stream_alive(openai, events):
    """DeepSeek's and OpenRouter's."""
    body = b": keep-alive\n\n: OPENROUTER PROCESSING\n\n" + events(chunk({"content": "a"}, "stop"), "[DONE]")

    assert ((Text(content="a"),), None) == (parts_of(decoded := decode(openai(body))), decoded.wire.reason)


def test_azures_filters_are_no_content(streamed):
    """Its first chunk has no choice, its choices have results of the filters."""
    filtered = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter", "content_filter_results": {}}]}
    decoded = streamed({"id": "", "choices": [], "prompt_filter_results": [{}]}, chunk({"content": "par"}), filtered)

    assert ((Text(content="par"),), ("content_filter",)) == (parts_of(decoded), decoded.response.finish_reasons)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.groq.com/openai/v1/chat/completions", ("groq.chat", "groq")),
        ("https://api.mistral.ai/v1/chat/completions", ("mistral.chat", "mistral_ai")),
        ("https://adb-1.1.azuredatabricks.net/serving-endpoints/chat/completions", ("openai.chat", "databricks")),
        ("https://api.cloudflare.com/client/v4/accounts/a/ai/v1/chat/completions", ("openai.chat", "cloudflare")),
        ("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", ("openai.chat", "gcp.gemini")),
        ("https://ollama.com/v1/chat/completions", ("openai.chat", "ollama")),
        ("https://openrouter.ai/api/v1/chat/completions", ("openai.chat", "openrouter")),
    ],
)
def test_the_path_names_the_format_and_the_host_the_provider(told, url, expected):
    """Under whatever prefix."""
    decoded = told({"content": "a"}, url=url)

    assert expected == (decoded.wire.format, decoded.provider.name)


# Writer

WRITER = "https://api.writer.com/v1/chat"


def test_writers_chat_has_a_path_of_its_own(told):
    """And the form of the others'."""
    decoded = told({"content": "a", "graph_data": {"sources": []}}, url=WRITER, usage={"prompt_tokens": 1, "completion_tokens": 2})

    assert ("writer.chat", "writer", "chat", (Message(role="assistant", parts=(Text(content="a"),), finish_reason="stop"),)) == (
        decoded.wire.format,
        decoded.provider.name,
        decoded.operation.name,
        decoded.output.messages,
    )


def test_writers_chunks_say_everything_twice(streamed):
    """In a message and in a delta: it counts once."""

    def both(said: dict, reason: str | None = None) -> dict:
        return {"id": "c", "choices": [{"index": 0, "message": said, "delta": said, "finish_reason": reason}]}

    decoded = streamed(both({"content": "a", "image_data": None}), both({"content": "b"}), both({"content": None}, "stop"), url=WRITER)

    assert ("writer.chat", (Text(content="ab"),), "ok") == (decoded.wire.format, parts_of(decoded), decoded.status)


def test_that_path_elsewhere_is_not_writers(told):
    """An application's own chat, above all."""
    assert isinstance(told({"content": "a"}, url="https://shop.example/v1/chat"), Unknown)
