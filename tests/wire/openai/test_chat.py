"""Chat Completions: what the request and the answer say, from OpenAI and from those who speak its language."""

import base64
import hashlib

import pytest

from llm_observe.records import (
    Blob,
    CallRequest,
    Choice,
    Error,
    File,
    Generic,
    InputTokens,
    Message,
    OutputTokens,
    Reasoning,
    ReasoningRequest,
    Refusal,
    Text,
    ToolCall,
    ToolCallResponse,
    ToolDefinition,
    Uri,
    Usage,
)
from llm_observe.wire import decode

DATA = b"\x89PNG"
B64 = base64.b64encode(DATA).decode()
BLOB = {"size": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()}


def body(**members) -> dict:
    """A request with these members."""
    return {"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}]} | members


def answer(*messages: dict, **members) -> dict:
    """A whole answer of these."""
    choices = [{"index": n, "finish_reason": "stop", "message": message} for n, message in enumerate(messages)]
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-x-1", "choices": choices} | members


@pytest.fixture
def asked(openai):
    """What is decoded of a request."""
    return lambda request, **changes: decode(openai({}, request, **changes))


@pytest.fixture
def said(openai):
    """The parts of the first choice of an answer."""
    return lambda message: decode(openai(answer({"role": "assistant"} | message))).output.messages[0].parts


@pytest.fixture
def streamed(openai, events):
    """What is decoded of chunks, each a list of choices or a whole chunk."""

    def decoded(*chunks):
        whole = [chunk if isinstance(chunk, (dict, str)) else {"id": "c", "model": "m", "choices": chunk} for chunk in chunks]
        return decode(openai(events(*whole)))

    return decoded


def delta(index: int = 0, reason: str | None = None, **members) -> dict:
    """A delta of a choice."""
    return {"index": index, "delta": members, "finish_reason": reason}


# The request


def test_parameters_keep_the_values_that_were_sent(asked):
    """Under the convention's names."""
    request = body(
        stream=True,
        max_completion_tokens=50,
        max_tokens=60,
        temperature=0,
        top_p=0.5,
        top_k=40,
        frequency_penalty=-1,
        presence_penalty=1.5,
        stop=["a", "b"],
        seed=7,
        n=2,
        reasoning_effort="high",
        service_tier="flex",
    )

    assert (
        CallRequest(
            model="gpt-x",
            stream=True,
            max_tokens=50,
            temperature=0.0,
            top_p=0.5,
            top_k=40,
            frequency_penalty=-1.0,
            presence_penalty=1.5,
            stop_sequences=("a", "b"),
            seed=7,
            choice=Choice(count=2),
            reasoning=ReasoningRequest(level="high"),
            service_tier="flex",
        )
        == asked(request).request
    )


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"stream": False}, CallRequest(model="gpt-x")),
        ({"stream": "yes"}, CallRequest(model="gpt-x")),
        ({"n": 1}, CallRequest(model="gpt-x")),
        ({"stop": "END"}, CallRequest(model="gpt-x", stop_sequences=("END",))),
        ({"random_seed": 3}, CallRequest(model="gpt-x", seed=3)),
        ({"reasoning": {"effort": "low"}}, CallRequest(model="gpt-x", reasoning=ReasoningRequest(level="low"))),
        ({"max_tokens": 5.0, "temperature": "hot", "top_k": True}, CallRequest(model="gpt-x", max_tokens=5)),
        ({"model": None, "agent_id": "ag_1"}, CallRequest(model="ag_1")),
    ],
)
def test_parameters_have_variants(asked, members, expected):
    """What has the wrong shape is unknown."""
    assert expected == asked(body(**members)).request


def test_azure_names_the_model_in_the_path_where_the_body_does_not(asked):
    """The deployment."""
    url = "https://res.openai.azure.com/openai/deployments/my-gpt/chat/completions"

    assert "my-gpt" == asked({"messages": []}, url=url).request.model
    assert "gpt-x" == asked(body(), url=url).request.model


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"response_format": {"type": "json_schema"}}, "json"),
        ({"response_format": {"type": "json_object"}}, "json"),
        ({"response_format": {"type": "text"}}, "text"),
        ({"modalities": ["text", "audio"], "response_format": {"type": "text"}}, "speech"),
        ({}, None),
    ],
)
def test_the_output_type_is_what_the_request_names(asked, members, expected):
    """Only where it names one."""
    assert expected == asked(body(**members)).output.type


def test_messages_keep_their_roles_and_order(asked):
    """A system message stays among them; a tool's answer is a tool_call_response."""
    messages = [
        {"role": "developer", "content": "be kind", "name": "ops"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": ""}, "b"]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "43"}]},
        {
            "role": "tool",
            "tool_call_id": "c3",
            "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": "https://x.y/z?s"}],
        },
        {"role": "tool", "tool_call_id": "c4"},
        {"role": "function", "name": "g", "content": "44"},
        {"role": "assistant", "content": "", "function_call": {"name": "g", "arguments": '{"x": 1}'}},
    ]
    decoded = asked(body(messages=[*messages, "not a message"]))

    assert 10 == decoded.input.count
    assert (
        Message(role="developer", parts=(Text(content="be kind"),), name="ops"),
        Message(role="user", parts=(Text(content="a"), Text(content="b"))),
        Message(role="assistant", parts=(ToolCall(id="c1", name="f", arguments={}),)),
        Message(role="tool", parts=(ToolCallResponse(id="c1", response="42"),)),
        Message(role="tool", parts=(ToolCallResponse(id="c2", response="43"),)),
        Message(
            role="tool",
            parts=(
                ToolCallResponse(
                    id="c3", response=[{"type": "text", "content": "a"}, {"type": "uri", "modality": "image", "uri": "https://x.y/z"}]
                ),
            ),
        ),
        Message(role="tool", parts=(ToolCallResponse(id="c4", response=""),)),
        Message(role="function", parts=(ToolCallResponse(response="44"),), name="g"),
        Message(role="assistant", parts=(ToolCall(name="g", arguments={"x": 1}),)),
    ) == decoded.input.messages


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{B64}"}},
            Blob(modality="image", mime_type="image/png", **BLOB),
        ),
        ({"type": "image_url", "image_url": {"url": "https://x.y/z.png?sig=s"}}, Uri(modality="image", uri="https://x.y/z.png")),
        ({"type": "image_url", "image_url": "https://x.y/z.png"}, Uri(modality="image", uri="https://x.y/z.png")),
        ({"type": "image_url"}, Generic(generic_type="image_url")),
        ({"type": "video_url", "video_url": {"url": "https://x.y/z.mp4"}}, Uri(modality="video", uri="https://x.y/z.mp4")),
        ({"type": "document_url", "document_url": "https://x.y/z.pdf"}, Uri(modality="document", uri="https://x.y/z.pdf")),
        ({"type": "input_audio", "input_audio": {"data": B64, "format": "wav"}}, Blob(modality="audio", mime_type="audio/wav", **BLOB)),
        ({"type": "input_audio", "input_audio": B64}, Blob(modality="audio", **BLOB)),
        ({"type": "file", "file": {"file_id": "file-1"}}, File(modality="document", file_id="file-1")),
        ({"type": "file", "file": {"file_data": B64, "filename": "a.pdf"}}, Blob(modality="document", **BLOB)),
        (
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{B64}"}},
            Blob(modality="document", mime_type="application/pdf", **BLOB),
        ),
        ({"type": "file", "file": {"file_data": "https://x.y/a.pdf"}}, Uri(modality="document", uri="https://x.y/a.pdf")),
        ({"type": "file", "file": {}}, Generic(generic_type="file")),
        ({"type": "refusal", "refusal": "no"}, Refusal(content="no")),
        ({"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, Reasoning(content="hm")),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}, Reasoning(content="hm")),
        ({"type": "reference", "reference_ids": [1]}, Generic(generic_type="reference", content={"reference_ids": [1]})),
        ({"type": "novel", "data": B64}, Generic(generic_type="novel")),
        ({"text": "no type"}, Text(content="no type")),
    ],
)
def test_content_parts(asked, part, expected):
    """Media without its bytes, addresses without their query, what is new without what is opaque."""
    assert (expected,) == asked(body(messages=[{"role": "user", "content": [part]}])).input.messages[0].parts


def test_a_part_that_says_nothing_is_left_out(asked):
    """An empty refusal or thought."""
    parts = [{"type": "refusal"}, {"type": "thinking", "thinking": []}, 7]

    assert () == asked(body(messages=[{"role": "user", "content": parts}])).input.messages[0].parts


def test_tools_are_named_in_the_order_they_were_offered(asked):
    """Functions, custom tools, flat tools, built-in tools, legacy functions."""
    tools = [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
        {"type": "custom", "custom": {"name": "c"}},
        {"type": "function", "name": "flat"},
        {"type": "web_search"},
        "no tool",
    ]

    assert (
        ToolDefinition(type="function", name="f", description="d", parameters={"type": "object"}),
        ToolDefinition(type="custom", name="c"),
        ToolDefinition(type="function", name="flat"),
        ToolDefinition(type="web_search"),
        ToolDefinition(type="function", name="old"),
    ) == asked(body(tools=tools, functions=[{"name": "old"}])).tool.definitions


# The plain answer


def test_a_plain_answer(openai):
    """Who answered, what, why it stopped, what it used."""
    decoded = decode(
        openai(
            answer(
                {"role": "assistant", "content": "one"},
                {"role": "assistant", "content": "two"},
                service_tier="default",
                system_fingerprint="fp",
                usage={
                    "prompt_tokens": 10,
                    "completion_tokens": 20,
                    "total_tokens": 30,
                    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 5},
                },
            )
        )
    )

    assert (
        Message(role="assistant", parts=(Text(content="one"),), finish_reason="stop"),
        Message(role="assistant", parts=(Text(content="two"),), finish_reason="stop"),
    ) == decoded.output.messages
    assert ("chatcmpl-1", "gpt-x-1", ("stop", "stop")) == (decoded.response.id, decoded.response.model, decoded.response.finish_reasons)
    assert ("default", "fp") == (decoded.response.service_tier, decoded.response.system_fingerprint)
    assert (
        Usage(
            input_tokens=10,
            output_tokens=20,
            cache_read=InputTokens(input_tokens=4),
            cache_write=InputTokens(input_tokens=0),
            reasoning=OutputTokens(output_tokens=5),
        )
        == decoded.usage
    )
    assert ("ok", True, None) == (decoded.status, decoded.wire.complete, decoded.wire.reason)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": "a", "reasoning_content": "hm"}, (Reasoning(content="hm"), Text(content="a"))),
        ({"content": "a", "reasoning": "hm"}, (Reasoning(content="hm"), Text(content="a"))),
        (
            {"content": "a", "reasoning_details": [{"type": "reasoning.summary", "summary": "h"}, {"text": "m"}, {"data": "x"}]},
            (Reasoning(content="hm"), Text(content="a")),
        ),
        ({"content": None, "refusal": "no"}, (Refusal(content="no"),)),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, (Text(content="a"), Text(content="b"))),
        ({"content": {"answer": 42}}, (Text(content='{"answer":42}'),)),
        ({"content": {"type": "text", "text": "a"}}, (Text(content="a"),)),
        ({"audio": {"id": "audio_1", "data": B64, "transcript": "hello"}}, (Blob(modality="audio", transcript="hello", **BLOB),)),
        ({"audio": {"id": "audio_1"}}, (File(modality="audio", file_id="audio_1"),)),
        ({"content": "", "tool_calls": None}, ()),
    ],
)
def test_the_parts_of_an_answer(said, message, expected):
    """Joining the text parts gives the assistant's text, without thoughts and refusals."""
    assert expected == said(message)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"id": "c", "function": {"name": "f", "arguments": '{"a": [1, 2]}'}}, ToolCall(id="c", name="f", arguments={"a": [1, 2]})),
        ({"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}, ToolCall(id="c", name="f", arguments={"a": 1})),
        ({"id": "c", "function": {"name": "f", "arguments": '{"a": '}}, ToolCall(id="c", name="f", arguments='{"a": ')),
        ({"id": "c", "function": {"name": "f", "arguments": ""}}, ToolCall(id="c", name="f", arguments="")),
        ({"function": {"arguments": None}}, ToolCall(name="")),
        ({"id": "c", "type": "custom", "custom": {"name": "f", "input": "12"}}, ToolCall(id="c", name="f", arguments="12")),
    ],
)
def test_arguments_are_parsed_where_they_are_json(said, call, expected):
    """Else they stay the text they are. What a custom tool gets is free text."""
    assert (expected,) == said({"tool_calls": [call]})


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_call"),
        ("function_call", "tool_call"),
        ("content_filter", "content_filter"),
        ("insufficient_system_resource", "error"),
        ("STOP", "stop"),
        ("novel", "novel"),
    ],
)
def test_finish_reasons_are_the_conventions_and_the_wires(openai, raw, expected):
    """Mapped in the response and its message, raw on the wire."""
    document = answer({"content": "a"})
    document["choices"][0]["finish_reason"] = raw
    decoded = decode(openai(document))

    assert ((expected,), expected, (raw,)) == (
        decoded.response.finish_reasons,
        decoded.output.messages[0].finish_reason,
        decoded.wire.finish_reasons,
    )


def test_a_complete_answer_without_reasons_has_none(openai):
    """Its server gives none; nothing went wrong."""
    document = answer({"content": "a"})
    document["choices"][0]["finish_reason"] = None
    decoded = decode(openai(document))

    assert ((), (), "ok") == (decoded.response.finish_reasons, decoded.wire.finish_reasons, decoded.status)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({"prompt_tokens": 1, "prompt_cache_hit_tokens": 3}, (1, None, 3, None, None), id="DeepSeek"),
        pytest.param({"completion_tokens": 2, "cached_tokens": 3}, (None, 2, 3, None, None), id="Together"),
        pytest.param(
            {"prompt_tokens": 9, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2},
            (9, None, 3, 2, None),
            id="Databricks, LiteLLM",
        ),
        pytest.param({"prompt_tokens": 9, "num_cached_tokens": 3}, (9, None, 3, None, None), id="Mistral"),
        pytest.param({"prompt_tokens": 1, "completion_tokens": 5, "reasoning_tokens": 4}, (1, 5, None, None, 4), id="flat reasoning"),
        pytest.param(
            {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 16, "completion_tokens_details": {"reasoning_tokens": 10}},
            (1, 15, None, None, 10),
            id="xAI leaves the reasoning out of the completion",
        ),
        pytest.param(
            {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6, "reasoning_tokens": 100, "citation_tokens": 10},
            (1, 115, None, None, 100),
            id="Perplexity counts beside everything",
        ),
        pytest.param({"prompt_tokens": None, "completion_tokens": "many", "prompt_tokens_details": None}, (None,) * 5, id="nothing usable"),
        pytest.param({"prompt_tokens": 3.0}, (3, None, None, None, None), id="a whole float"),
        pytest.param(None, (None,) * 5, id="none"),
    ],
)
def test_usage_is_totals_wherever_the_vendor_puts_them(openai, counts, expected):
    """Cached tokens inside the input, reasoning inside the output."""
    usage = decode(openai(answer({"content": "a"}, usage=counts))).usage
    found = (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read and usage.cache_read.input_tokens,
        usage.cache_write and usage.cache_write.input_tokens,
        usage.reasoning and usage.reasoning.output_tokens,
    )

    assert expected == found


def test_cloudflare_wraps_the_answer(openai):
    """In ``result``."""
    decoded = decode(openai({"result": answer({"content": "a"}), "success": True}))

    assert ("chatcmpl-1", (Text(content="a"),)) == (decoded.response.id, decoded.output.messages[0].parts)


# Errors


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"error": {"message": "m", "type": "t", "code": "c"}}, Error(type="t", message="m", code="c")),
        ({"error": {"message": "m", "type": None, "code": "c"}}, Error(type="c", message="m")),
        ({"error": {"message": "m", "code": 400}}, Error(type="400", message="m")),
        ({"error": {"message": "m", "code": "40013"}}, Error(type="40013", message="m")),
        ([{"error": {"message": "m", "code": 400, "status": "INVALID_ARGUMENT"}}], Error(type="INVALID_ARGUMENT", message="m", code="400")),
        (
            {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
            Error(type="BadRequestError", message="m", code="400"),
        ),
        ({"object": "error", "message": {"message": "m"}}, Error(type="400", message="m")),
        ({"error": "m"}, Error(type="400", message="m")),
        ({"error": "m", "error_type": "validation"}, Error(type="validation", message="m")),
        ({"error": {}}, Error(type="400")),
        ({"message": "Unauthorized"}, Error(type="400", message="Unauthorized")),
        ({"detail": "Unauthorized"}, Error(type="400", message="Unauthorized")),
        ({"detail": [{"loc": ["body"]}]}, Error(type="400")),
        ([], Error(type="400")),
        (b"upstream connect error\n", Error(type="400", message="upstream connect error")),
        (b"<html><h1>Bad</h1>", Error(type="400")),
        (b"", Error(type="400")),
    ],
)
def test_an_error_answer_has_the_providers_type_else_the_status(openai, document, expected):
    """And its words, where they are words."""
    decoded = decode(openai(document, status_code=400))

    assert (expected, "error", True) == (decoded.error, decoded.status, decoded.wire.complete)


def test_an_answer_may_be_an_empty_list(openai):
    """Nothing is said, and nothing raises."""
    assert () == decode(openai([])).output.messages


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"message": "m", "type": "t"}},
        {"id": "gen", "choices": [{"error": {"message": "m", "type": "t"}, "finish_reason": "error", "message": {"content": "par"}}]},
    ],
)
def test_an_error_may_come_under_status_200(openai, document):
    """OpenRouter puts it into the choice."""
    decoded = decode(openai(document))

    assert (Error(type="t", message="m"), "error") == (decoded.error, decoded.status)


# Streams


def test_a_stream_is_folded(openai, chat_stream):
    """Thoughts, text, calls, usage and the reason, as a plain answer would have them."""
    decoded = decode(openai(chat_stream))

    assert (
        Message(
            role="assistant",
            parts=(
                Reasoning(content="hm …"),
                Text(content="Grüße, 世界 🌍\u2028"),
                ToolCall(id="call_a", name="look", arguments={"at": "it"}),
                ToolCall(id="call_b", name="go", arguments={}),
            ),
            finish_reason="tool_call",
        ),
    ) == decoded.output.messages
    assert Usage(input_tokens=7, output_tokens=9) == decoded.usage
    assert ("chatcmpl-1", "gpt-x-1", ("tool_call",)) == (decoded.response.id, decoded.response.model, decoded.response.finish_reasons)
    assert ("ok", True, None) == (decoded.status, decoded.wire.complete, decoded.wire.reason)


def test_choices_of_a_stream_are_told_apart(streamed):
    """By their index, in its order."""
    decoded = streamed([delta(1, content="b"), delta(0, content="a")], [delta(0, "stop", content="A")], [delta(1, "length", content="B")])

    assert ["aA", "bB"] == [message.parts[0].content for message in decoded.output.messages]
    assert ("stop", "length") == decoded.response.finish_reasons


def test_choices_without_an_index_are_told_apart_by_their_place(streamed):
    """Some vendors leave it out."""
    decoded = streamed([{"delta": {"content": "a"}, "finish_reason": "stop"}, {"delta": {"content": "b"}, "finish_reason": "stop"}, 7])

    assert ["a", "b"] == [message.parts[0].content for message in decoded.output.messages]


def test_azures_first_chunk_says_nothing(streamed):
    """Its id and model are empty; the first that are not count."""
    decoded = streamed({"id": "", "model": "", "choices": [], "prompt_filter_results": []}, [delta(content="a")], "[DONE]")

    assert ("c", "m") == (decoded.response.id, decoded.response.model)


@pytest.mark.parametrize(
    "fragments",
    [
        pytest.param(
            [
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}},
                {"index": 0, "function": {"arguments": "}"}},
                {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}},
            ],
            id="by index",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}},
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": "}"}},
                {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}},
            ],
            id="id and name are repeated",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
                {"index": 0, "id": "b", "function": {"name": "g", "arguments": "{"}},
                {"index": 0, "function": {"arguments": "}"}},
            ],
            id="the index is always 0: a new id is a new call, and what follows is its",
        ),
        pytest.param(
            [
                {"id": "a", "function": {"name": "f", "arguments": "{"}},
                {"id": "b", "function": {"name": "g", "arguments": "{}"}},
                {"id": "a", "function": {"arguments": "}"}},
            ],
            id="by id",
        ),
        pytest.param(
            [
                {"id": "a", "function": {"name": "f", "arguments": "{"}},
                {"function": {"arguments": "}"}},
                {"id": "b", "function": {"name": "g", "arguments": {}}},
            ],
            id="neither: the last one; arguments as an object",
        ),
    ],
)
def test_fragments_of_tool_calls_find_their_call(streamed, fragments):
    """Whatever the vendor numbers them by."""
    decoded = streamed(*([delta(tool_calls=[fragment])] for fragment in fragments), "[DONE]")

    assert (ToolCall(id="a", name="f", arguments={}), ToolCall(id="b", name="g", arguments={})) == decoded.output.messages[0].parts


def test_whole_calls_without_number_and_id_are_calls_of_their_own(streamed):
    """A name begins one."""
    decoded = streamed(
        [delta(tool_calls=[{"function": {"name": "f", "arguments": "1"}}, {"function": {"name": "g", "arguments": ""}}, 7])], "[DONE]"
    )

    assert (ToolCall(name="f", arguments=1), ToolCall(name="g", arguments="")) == decoded.output.messages[0].parts


def test_rarer_deltas_are_folded_too(streamed):
    """Roles, refusals, speech, custom tools, the legacy call, parts."""
    decoded = streamed(
        [delta(role="critic", refusal="n")],
        [delta(refusal="o", audio={"id": "a", "transcript": "hel"})],
        [delta(audio={"data": B64[:4], "transcript": "lo"}), {"index": 0}],
        [delta(audio={"data": B64[4:]}, function_call={"name": "f"})],
        [delta(function_call={"arguments": "{}"})],
        [
            delta(
                content=[{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}, {"type": "file", "file": {"file_id": "x"}}]
            )
        ],
        [delta(tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "g", "input": "1"}}])],
        "[DONE]",
    )

    assert (
        Message(
            role="critic",
            parts=(
                Reasoning(content="hm"),
                Text(content="a"),
                Refusal(content="no"),
                File(modality="document", file_id="x"),
                Blob(modality="audio", transcript="hello", **BLOB),
                ToolCall(id="c", name="g", arguments="1"),
                ToolCall(name="f", arguments={}),
            ),
            finish_reason=None,
        ),
    ) == decoded.output.messages


def test_a_plain_answer_may_come_in_a_streams_clothes(streamed):
    """One event with a message in place of a delta."""
    decoded = streamed([{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}])

    assert ((Text(content="a"),), "ok") == (decoded.output.messages[0].parts, decoded.status)


def test_groqs_usage_is_its_own(streamed):
    """Under x_groq, in the last chunk."""
    decoded = streamed(
        {"id": "c", "x_groq": {"id": "req"}, "choices": [delta(content="a")]},
        {"id": "c", "x_groq": {"id": "req", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}, "choices": [delta(0, "stop")]},
    )

    assert Usage(input_tokens=1, output_tokens=2) == decoded.usage


def test_of_several_usages_the_last_counts(streamed):
    """VLLM's continuous usage; a null later takes nothing away."""
    decoded = streamed(
        {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}, {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}, {"usage": None}
    )

    assert Usage(input_tokens=1, output_tokens=2) == decoded.usage


@pytest.mark.parametrize(
    "failure", [{"error": {"type": "server_error", "message": "m"}}, [{"error": {"type": "server_error", "message": "m"}}]]
)
def test_an_error_inside_a_stream_keeps_what_was_said(openai, events, failure):
    """The partial text is there, and its missing reason is an error."""
    decoded = decode(openai(events({"id": "c", "choices": [delta(content="par")]}, failure)))

    assert (Error(type="server_error", message="m"), "error") == (decoded.error, decoded.status)
    assert (Message(role="assistant", parts=(Text(content="par"),), finish_reason="error"),) == decoded.output.messages
    assert (("error",), ()) == (decoded.response.finish_reasons, decoded.wire.finish_reasons)


def test_an_error_may_stand_in_a_choice(streamed):
    """OpenRouter."""
    decoded = streamed([delta(0, "error", content="") | {"error": {"code": 502, "message": "m"}}])

    assert (Error(type="502", message="m"), ("error",)) == (decoded.error, decoded.wire.finish_reasons)


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param([[delta(content="a")], "[DONE]"], ("ok", True, ()), id="the marker came"),
        pytest.param([[delta(0, "stop", content="a")]], ("ok", True, ("stop",)), id="every choice has its reason"),
        pytest.param([[delta(content="a")]], ("truncated", False, ("error",)), id="neither"),
        pytest.param([[delta(0, "stop", content="a"), delta(1, content="b")]], ("truncated", False, ("stop", "error")), id="one of two"),
        pytest.param([{"choices": []}], ("truncated", False, ()), id="no choice has begun"),
    ],
)
def test_a_stream_is_complete_when_it_says_so(streamed, chunks, expected):
    """The end of the connection says nothing."""
    decoded = streamed(*chunks)

    assert expected == (decoded.status, decoded.wire.complete, decoded.response.finish_reasons)


def test_events_that_cannot_be_read_are_counted(streamed):
    """The rest is read all the same."""
    decoded = streamed([delta(content="a")], "{broken", "7", [delta(0, "stop", content="b")], "[DONE]")

    assert ("ab", "1 event is no JSON") == (decoded.output.messages[0].parts[0].content, decoded.wire.reason)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.groq.com/openai/v1/chat/completions", "groq.chat"),
        ("https://api.mistral.ai/v1/chat/completions", "mistral.chat"),
        ("https://api.deepseek.com/chat/completions", "openai.chat"),
    ],
)
def test_some_vendors_brand_of_the_format_has_its_own_name(openai, url, expected):
    """The decoder is the same."""
    assert expected == decode(openai(answer({"content": "a"}), url=url)).wire.format


def test_events_of_a_stream_are_read_one_by_one_where_one_of_them_holds_two(openai, events):
    """Usual chunks are read many at once; what is no chunk by itself is still said to be none, and the others are read."""

    def chunk(text: str) -> bytes:
        return b'{"choices":[{"index":0,"delta":{"content":"%s"}}]}' % text.encode()

    lines = [b"data: " + chunk(str(n % 10)) for n in range(40)]
    lines[35] = b"data: " + chunk("x") + b"\ndata: " + chunk("y")
    decoded = decode(openai(b"\n\n".join([*lines, b"data: [DONE]", b""])))

    assert ("1 event is no JSON", True) == (decoded.wire.reason, decoded.wire.complete)
    assert "".join(str(n % 10) for n in range(40) if n != 35) == decoded.output.messages[0].parts[0].content
