"""Interactions: what the request and the answer say, whole, as a stream, or fetched later."""

import json

import pytest

from llm_observe.records import (
    Billed,
    Blob,
    CallRequest,
    Error,
    File,
    Generic,
    InputTokens,
    Message,
    Modality,
    OutputTokens,
    PreviousResponse,
    Reasoning,
    ReasoningRequest,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    ToolCallResponse,
    ToolDefinition,
    Usage,
)
from llm_observe.wire import Unknown, decode

STUDIO = "https://generativelanguage.googleapis.com/v1beta/"
OUTPUT = {"type": "model_output", "content": [{"type": "text", "text": "a"}]}


@pytest.fixture
def asked(interaction):
    """What is decoded of a request with these members."""
    return lambda **members: decode(interaction({}, {"model": "gemini-x", "input": "hi"} | members))


@pytest.fixture
def said(interaction):
    """What is decoded of an answer of these steps."""
    return lambda *steps, **members: decode(
        interaction({"id": "int-1", "model": "gemini-x", "status": "completed", "steps": steps} | members)
    )


@pytest.fixture
def streamed(interaction, events):
    """What is decoded of events, each ``(event_type, members)``."""
    return lambda *several: decode(interaction(events(*({"event_type": kind, **members} for kind, members in several))))


def begun(step: dict, index: int = 0) -> tuple[str, dict]:
    """The start of a step."""
    return "step.start", {"index": index, "step": step}


def delta(index: int = 0, **members) -> tuple[str, dict]:
    """A delta of a step."""
    return "step.delta", {"index": index, "delta": members}


def completed(status: str = "completed", **members) -> tuple[str, dict]:
    """The end."""
    return "interaction.completed", {"interaction": {"id": "int-1", "status": status, "model": "gemini-x"} | members}


# The request


def test_parameters_keep_the_values_that_were_sent(asked):
    """Under the convention's names."""
    config = {"temperature": 1, "top_p": 0.9, "max_output_tokens": 9, "seed": 5, "stop_sequences": ["a", 7], "thinking_level": "low"}
    decoded = asked(stream=True, generation_config=config, service_tier="flex", previous_interaction_id="int-0")

    assert (
        CallRequest(
            model="gemini-x",
            stream=True,
            max_tokens=9,
            temperature=1.0,
            top_p=0.9,
            seed=5,
            stop_sequences=("a",),
            reasoning=ReasoningRequest(level="low"),
            service_tier="flex",
            previous_response=PreviousResponse(id="int-0"),
        )
        == decoded.request
    )
    assert ("gemini.interactions", "chat", "gcp.gemini") == (decoded.wire.format, decoded.operation.name, decoded.provider.name)


def test_an_agent_is_invoked(interaction):
    """Its name stands where a model's would."""
    decoded = decode(interaction({}, {"agent": "deep-research", "input": "hi", "background": True}))

    assert ("deep-research", "invoke_agent") == (decoded.request.model, decoded.operation.name)


@pytest.mark.parametrize(
    ("given", "count", "messages"),
    [
        pytest.param("a", 1, (Message(role="user", parts=(Text(content="a"),)),), id="a text"),
        pytest.param({"type": "text", "text": "a"}, 1, (Message(role="user", parts=(Text(content="a"),)),), id="one content"),
        pytest.param(
            [{"type": "text", "text": "a"}, {"type": "image", "data": "AAAA", "mime_type": "image/png"}, "b"],
            3,
            (
                Message(
                    role="user",
                    parts=(
                        Text(content="a"),
                        Blob(
                            modality="image",
                            mime_type="image/png",
                            size=3,
                            sha256="709e80c88487a2411e1ee4dfb9f22a861492d20c4765150c0c794abd70f8147c",
                        ),
                        Text(content="b"),
                    ),
                ),
            ),
            id="contents are one message",
        ),
        pytest.param(
            [
                {"type": "user_input", "content": [{"type": "text", "text": "a"}]},
                {"type": "thought", "signature": "c2VjcmV0"},
                {"type": "function_call", "id": "c", "name": "f", "arguments": {"x": 1}},
                {"type": "function_result", "call_id": "c", "name": "f", "result": {"y": 2}},
                {"type": "text", "text": "b"},
            ],
            5,
            (
                Message(role="user", parts=(Text(content="a"),)),
                Message(role="model"),
                Message(role="model", parts=(ToolCall(id="c", name="f", arguments={"x": 1}),)),
                Message(role="tool", parts=(ToolCallResponse(id="c", response={"y": 2}),)),
                Message(role="user", parts=(Text(content="b"),)),
            ),
            id="steps are a message each",
        ),
        pytest.param(
            [{"role": "user", "content": "a"}, {"role": "model", "content": [{"type": "text", "text": "b"}]}],
            2,
            (Message(role="user", parts=(Text(content="a"),)), Message(role="model", parts=(Text(content="b"),))),
            id="turns, as the first version had them",
        ),
        pytest.param(None, None, (), id="none"),
        pytest.param([7, None], 2, (), id="nothing that can be read"),
    ],
)
def test_the_input(asked, given, count, messages):
    """In each of its forms."""
    decoded = asked(input=given)

    assert (count, messages) == (decoded.input.count, decoded.input.messages)


def test_the_system_instruction_is_not_a_message(asked):
    """It is counted apart."""
    decoded = asked(system_instruction="be kind")

    assert ((Text(content="be kind"),), 1) == (decoded.system_instructions, decoded.input.count)


def test_tools_are_named_in_the_order_they_were_offered(asked):
    """Functions by their names, Google's own by their types; no header of a server is kept."""
    tools = [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}},
        {"type": "google_search", "search_types": ["web_search"]},
        {"type": "mcp_server", "name": "s", "url": "u", "headers": {"authorization": "secret"}},
        7,
    ]

    assert (
        ToolDefinition(type="function", name="f", description="d", parameters={"type": "object"}),
        ToolDefinition(type="google_search"),
        ToolDefinition(type="mcp_server", name="s"),
    ) == asked(tools=tools).tool.definitions


@pytest.mark.parametrize(
    ("members", "output_type", "schema"),
    [
        ({}, None, None),
        ({"response_format": {"type": "text", "mime_type": "application/json", "schema": {"type": "object"}}}, "json", {"type": "object"}),
        ({"response_format": [{"type": "text", "mime_type": "application/json"}]}, "json", None),
        ({"response_format": {"type": "text"}}, "text", None),
        ({"response_format": {"type": "object"}, "response_mime_type": "application/json"}, "json", {"type": "object"}),
        ({"response_format": {"type": "audio"}}, "speech", None),
        ({"response_format": [{"type": "text"}, {"type": "image"}]}, "image", None),
        ({"response_modalities": ["text", "image"]}, "image", None),
        ({"response_modalities": ["audio"]}, "speech", None),
        ({"response_modalities": [[], {}], "response_format": [{"type": []}]}, "json", {"type": []}),
    ],
)
def test_the_output_type_and_schema(asked, members, output_type, schema):
    """By the format, or by the modalities that it took the place of."""
    output = asked(**members).output

    assert (output_type, schema) == (output.type, output.schema)


# The plain answer


def test_a_plain_answer(said):
    """Who answered, what, and why it stopped."""
    decoded = said(OUTPUT, service_tier="standard")

    assert (Message(role="model", parts=(Text(content="a"),), finish_reason="stop"),) == decoded.output.messages
    assert ("int-1", "gemini-x", "completed", "standard", ("stop",)) == (
        decoded.response.id,
        decoded.response.model,
        decoded.response.status,
        decoded.response.service_tier,
        decoded.response.finish_reasons,
    )
    assert (("completed",), "ok") == (decoded.wire.finish_reasons, decoded.status)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        pytest.param({"type": "thought", "signature": "c2VjcmV0"}, (), id="a thought that is not shown"),
        pytest.param(
            {"type": "thought", "summary": [{"type": "text", "text": "hm"}, {"type": "text", "text": "…"}]},
            (Reasoning(content="hm"), Reasoning(content="…")),
            id="a thought",
        ),
        pytest.param(
            {"type": "model_output", "content": [{"type": "text", "text": "a", "annotations": [{"type": "url_citation", "url": "u"}, 7]}]},
            (Text(content="a", citations=({"type": "url_citation", "url": "u"},)),),
            id="text and what it stands on",
        ),
        pytest.param(
            {"type": "model_output", "content": [{"type": "video", "uri": "https://generativelanguage.googleapis.com/v1beta/files/f-1"}]},
            (File(modality="video", file_id="files/f-1"),),
            id="media on file",
        ),
        pytest.param({"type": "model_output", "content": [{"type": "audio"}]}, (Blob(modality="audio"),), id="media without anything"),
        pytest.param(
            {"type": "function_call", "id": "c", "name": "f", "arguments": {"x": 1}, "signature": "c2VjcmV0"},
            (ToolCall(id="c", name="f", arguments={"x": 1}),),
            id="a call",
        ),
        pytest.param(
            {"type": "google_search_call", "id": "s", "arguments": {"queries": ["q"]}, "signature": "c2VjcmV0"},
            (ServerToolCall(id="s", name="google_search", server_tool_call={"type": "google_search", "arguments": {"queries": ["q"]}}),),
            id="a search",
        ),
        pytest.param(
            {"type": "google_search_result", "call_id": "s", "result": [{"search_suggestions": "<style>"}], "is_error": False},
            (ServerToolCallResponse(id="s", server_tool_call_response={"type": "google_search", "result": [{}], "is_error": False}),),
            id="what was found, without the page to show",
        ),
        pytest.param(
            {"type": "mcp_server_tool_call", "id": "m", "name": "f", "server_name": "s", "arguments": {}},
            (ServerToolCall(id="m", name="f", server_tool_call={"type": "mcp_server_tool", "server_name": "s", "arguments": {}}),),
            id="a call of a server's tool",
        ),
        pytest.param(
            {"type": "code_execution_result", "call_id": "e", "result": "2"},
            (ServerToolCallResponse(id="e", server_tool_call_response={"type": "code_execution", "result": "2"}),),
            id="what code gave",
        ),
        pytest.param({"type": "dream", "about": "b"}, (Generic(generic_type="dream", content={"about": "b"}),), id="a kind to come"),
        pytest.param({"type": "user_input", "content": "hi"}, (), id="the input is no answer"),
        pytest.param({"type": "function_result", "call_id": "c", "result": 1}, (), id="nor is what the application gave"),
    ],
)
def test_steps(said, step, expected):
    """Each kind."""
    decoded = said(step)

    assert expected == decoded.output.messages[0].parts
    assert "c2VjcmV0" not in repr(decoded)


@pytest.mark.parametrize("kind", ["code_execution", "url_context", "google_maps", "file_search", "retrieval", "tool_search", "processing"])
def test_every_tool_of_the_provider_has_a_call_and_a_result(said, kind):
    """They are told by their names."""
    parts = said({"type": f"{kind}_call", "id": "t"}, {"type": f"{kind}_result", "call_id": "t"}).output.messages[0].parts

    assert (
        ServerToolCall(id="t", name=kind, server_tool_call={"type": kind}),
        ServerToolCallResponse(id="t", server_tool_call_response={"type": kind}),
    ) == parts


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("42", "42"),
        ({"a": 1}, {"a": 1}),
        ([{"type": "text", "text": "42"}], "42"),
        ([{"type": "text", "text": "a"}, {"type": "image"}], [{"type": "text", "content": "a"}, {"type": "blob", "modality": "image"}]),
    ],
)
def test_what_a_function_gave(asked, result, expected):
    """As it is, or its contents as plain data; a failure says so."""

    def response(**members) -> object:
        return asked(input=[{"type": "function_result", "call_id": "c", "result": result} | members]).input.messages[0].parts[0].response

    assert (expected, {"is_error": True, "content": expected}) == (response(), response(is_error=True))


def test_the_first_version_had_outputs(said):
    """Contents and calls side by side."""
    outputs = [{"type": "thought"}, {"type": "text", "text": "a"}, {"type": "function_call", "id": "c", "name": "f", "arguments": {}}]
    decoded = said(steps=None, outputs=outputs)

    assert (Text(content="a"), ToolCall(id="c", name="f", arguments={})) == decoded.output.messages[0].parts


@pytest.mark.parametrize(
    ("status", "mapped", "error"),
    [
        ("completed", ("stop",), None),
        ("requires_action", ("tool_call",), None),
        ("incomplete", ("length",), None),
        ("budget_exceeded", ("length",), None),
        ("requires_continuation", ("length",), None),
        ("cancelled", ("error",), None),
        ("failed", ("error",), Error(type="failed")),
        ("a_word_to_come", ("a_word_to_come",), None),
        ("in_progress", (), None),
        ("queued", (), None),
    ],
)
def test_why_it_stopped(said, status, mapped, error):
    """In the convention's words, and in Google's; one that goes on has not stopped."""
    decoded = said(status=status)

    assert (mapped, (status,), status, error) == (
        decoded.response.finish_reasons,
        decoded.wire.finish_reasons,
        decoded.response.status,
        decoded.error,
    )


def test_a_call_in_what_is_completed(said):
    """It stopped for that."""
    assert ("tool_call",) == said({"type": "function_call", "id": "c", "name": "f"}).response.finish_reasons


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param(
            {"total_input_tokens": 10, "total_output_tokens": 3, "total_thought_tokens": 5, "total_tool_use_tokens": 2, "total_tokens": 20},
            (12, 8),
            id="all beside each other",
        ),
        pytest.param(
            {"total_input_tokens": 10, "total_output_tokens": 8, "total_thought_tokens": 5, "total_tokens": 18},
            (10, 8),
            id="thoughts inside",
        ),
        pytest.param(
            {"total_input_tokens": 12, "total_output_tokens": 3, "total_thought_tokens": 5, "total_tool_use_tokens": 2, "total_tokens": 20},
            (12, 8),
            id="tools inside",
        ),
        pytest.param(
            {"total_input_tokens": 10, "total_output_tokens": 8, "total_thought_tokens": 5, "total_tool_use_tokens": 2, "total_tokens": 20},
            (12, 8),
            id="thoughts inside, tools beside",
        ),
        pytest.param(
            {"total_input_tokens": 12, "total_output_tokens": 8, "total_thought_tokens": 5, "total_tool_use_tokens": 2, "total_tokens": 20},
            (12, 8),
            id="both inside",
        ),
        pytest.param({"total_input_tokens": 10, "total_output_tokens": 3, "total_thought_tokens": 5}, (10, 8), id="without a total"),
        pytest.param({"total_output_tokens": 3}, (None, 3), id="one count"),
        pytest.param({}, (None, None), id="none"),
    ],
)
def test_thoughts_and_tools_are_counted_once(said, counts, expected):
    """The total tells whether they are in already."""
    usage = said(OUTPUT, usage=counts).usage

    assert expected == (usage.input_tokens, usage.output_tokens)


def test_all_counts(said):
    """By kind, cached, thought; and how often was searched."""
    counts = {
        "total_input_tokens": 10,
        "total_output_tokens": 3,
        "total_thought_tokens": 5,
        "total_cached_tokens": 0,
        "total_tokens": 18,
        "input_tokens_by_modality": [{"modality": "text", "tokens": 4}, {"modality": "image", "tokens": 6}],
        "output_tokens_by_modality": [{"modality": "audio", "tokens": 3}, {"modality": "video", "tokens": 9}],
        "cached_tokens_by_modality": [{"modality": "text", "tokens": 1}],
        "grounding_tool_count": [{"type": "google_search", "count": 2}, {"type": "google_maps", "count": 9}, 7],
    }

    assert (
        Usage(
            input_tokens=10,
            output_tokens=8,
            cache_read=InputTokens(input_tokens=0),
            reasoning=OutputTokens(output_tokens=5),
            text=Modality(input_tokens=4, cache_read=InputTokens(input_tokens=1)),
            image=Modality(input_tokens=6),
            audio=Modality(output_tokens=3),
            billed=Billed(web_searches=2),
        )
        == said(OUTPUT, usage=counts).usage
    )


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"status": "failed", "errors": [7, {"code": "internal", "message": "no"}]}, Error(type="internal", message="no")),
        ({"steps": [{"type": "model_output", "error": {"code": 13, "message": "no"}}]}, Error(type="13", message="no")),
        ({"error": {"code": "invalid_request", "message": "no"}}, Error(type="invalid_request", message="no")),
    ],
)
def test_errors(said, members, error):
    """Of the whole, or of a step."""
    assert error == said(**members).error


def test_an_error_instead_of_an_answer(interaction):
    """As everywhere at Google."""
    document = {"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "7s"}]}}
    decoded = decode(interaction(document, status_code=429))

    assert ("RESOURCE_EXHAUSTED", 7.0) == (decoded.error.type, decoded.retry_after)


# Streams


def test_a_whole_stream(interaction, interaction_events):
    """What its steps say, each joined to one."""
    decoded = decode(interaction(interaction_events))

    assert (
        Reasoning(content="hm …"),
        ServerToolCall(id="s-1", name="google_search", server_tool_call={"type": "google_search", "arguments": {"queries": ["q"]}}),
        Text(content="Grüße, 世界 🌍\u2028"),
        ToolCall(id="call-1", name="look", arguments={"at": "it"}),
    ) == decoded.output.messages[0].parts
    assert ("int-1", "gemini-x", "requires_action", ("tool_call",), ("requires_action",), "ok") == (
        decoded.response.id,
        decoded.response.model,
        decoded.response.status,
        decoded.response.finish_reasons,
        decoded.wire.finish_reasons,
        decoded.status,
    )
    assert (7, 13, 4) == (decoded.usage.input_tokens, decoded.usage.output_tokens, decoded.usage.reasoning.output_tokens)


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        pytest.param(
            [
                begun({"type": "model_output", "content": [{"type": "text", "text": "z"}]}),
                delta(type="text", text="a"),
                delta(type="text_annotation_delta", annotations=[{"type": "url_citation", "url": "u"}]),
                delta(type="text", text="b"),
            ],
            (Text(content="z"), Text(content="ab", citations=({"type": "url_citation", "url": "u"},))),
            id="text goes on, and what it stands on",
        ),
        pytest.param(
            [
                begun({"type": "model_output"}),
                delta(type="audio", data="AAAA", mime_type="audio/l16"),
                delta(type="audio", data="AAAA"),
                delta(type="text", text="a"),
                delta(type="image", uri="https://x.y/z.png", mime_type="image/png"),
            ],
            None,
            id="media go on too",
        ),
        pytest.param(
            [
                begun({"type": "google_search_call", "id": "s"}),
                delta(type="google_search_call", arguments={"queries": ["q"]}, signature="c2VjcmV0"),
            ],
            (ServerToolCall(id="s", name="google_search", server_tool_call={"type": "google_search", "arguments": {"queries": ["q"]}}),),
            id="a call that is filled",
        ),
        pytest.param(
            [
                begun({"type": "url_context_result", "call_id": "s"}),
                delta(type="url_context_result", result=[{"url": "u"}]),
                delta(type="url_context_result", result=[{"url": "v"}], is_error=False),
            ],
            (
                ServerToolCallResponse(
                    id="s", server_tool_call_response={"type": "url_context", "result": [{"url": "u"}, {"url": "v"}], "is_error": False}
                ),
            ),
            id="a result that goes on",
        ),
        pytest.param(
            [
                begun({"type": "code_execution_result", "call_id": "s"}),
                delta(type="code_execution_result", result="1"),
                delta(type="code_execution_result", result="2"),
            ],
            (ServerToolCallResponse(id="s", server_tool_call_response={"type": "code_execution", "result": "12"}),),
            id="a result that is text",
        ),
        pytest.param(
            [begun({"type": "function_call", "id": "c", "name": "f", "arguments": {}}), delta(type="arguments_delta", arguments="{no")],
            (ToolCall(id="c", name="f", arguments="{no"),),
            id="arguments that are no JSON stay text",
        ),
        pytest.param(
            [begun({"type": "function_call", "id": "c", "name": "f", "arguments": {"x": 1}})],
            (ToolCall(id="c", name="f", arguments={"x": 1}),),
            id="a call that comes whole",
        ),
        pytest.param([delta(type="text", text="a")], (Text(content="a"),), id="text whose beginning is behind a gap"),
        pytest.param(
            [delta(type="thought_summary", content={"type": "text", "text": "hm"})], (Reasoning(content="hm"),), id="a thought of that kind"
        ),
        pytest.param([delta(type="arguments_delta", arguments="{}")], (ToolCall(name="", arguments={}),), id="a call of that kind"),
        pytest.param(
            [delta(1, type="text", text="b"), delta(0, type="text", text="a")], (Text(content="a"), Text(content="b")), id="by index"
        ),
        pytest.param(
            [
                ("content.start", {"index": 0, "content": {"type": "text"}}),
                ("content.delta", {"index": 0, "delta": {"type": "text", "text": "a"}}),
            ],
            (Text(content="a"),),
            id="contents, as the first version had them",
        ),
    ],
)
def test_deltas(streamed, several, expected):
    """Each kind."""
    decoded = streamed(*several, completed())
    if expected is None:
        audio, text, image = decoded.output.messages[0].parts
        assert (("audio", "audio/l16", 6), "a", "https://x.y/z.png") == (
            (audio.modality, audio.mime_type, audio.size),
            text.content,
            image.uri,
        )
    else:
        assert expected == decoded.output.messages[0].parts
    assert "c2VjcmV0" not in repr(decoded)


def test_the_end_may_hold_all_steps(streamed):
    """Then they count."""
    decoded = streamed(delta(type="text", text="a"), completed(steps=[OUTPUT, OUTPUT]))

    assert (Text(content="a"), Text(content="a")) == decoded.output.messages[0].parts


@pytest.mark.parametrize("end", [completed(), ("interaction.complete", completed()[1]), ("interaction.cancelled", {"usage": {}})])
def test_the_end(streamed, end):
    """In each of its words."""
    assert True is streamed(delta(type="text", text="a"), end).wire.complete


def test_a_mark_is_an_end_too(interaction, events):
    """Should the event before it be lost."""
    assert True is decode(interaction(events({"event_type": "step.stop", "index": 0}, "[DONE]"))).wire.complete


def test_a_stream_without_its_end_is_truncated(streamed):
    """What came is kept."""
    decoded = streamed(("interaction.created", {"interaction": {"id": "int-1", "status": "in_progress"}}), delta(type="text", text="a"))

    assert ("truncated", ("error",), "in_progress", "a") == (
        decoded.status,
        decoded.response.finish_reasons,
        decoded.response.status,
        decoded.output.messages[0].parts[0].content,
    )


def test_a_status_update_counts(streamed):
    """Its usage too."""
    decoded = streamed(
        delta(type="text", text="a"),
        ("interaction.status_update", {"interaction_id": "int-1", "status": "failed", "usage": {"total_input_tokens": 5}}),
    )

    assert ("int-1", "failed", 5, "error") == (decoded.response.id, decoded.response.status, decoded.usage.input_tokens, decoded.status)


def test_an_error_among_the_events(streamed):
    """After what has come already."""
    error = {"code": "unavailable", "message": "no", "details": [{"retryDelay": "3s"}]}
    decoded = streamed(delta(type="text", text="a"), ("error", {"error": error}))

    assert ("error", "unavailable", 3.0, "a") == (
        decoded.status,
        decoded.error.type,
        decoded.retry_after,
        decoded.output.messages[0].parts[0].content,
    )


def test_the_first_content_is_told_apart_from_the_first_chunk(interaction, events):
    """Beginnings and signatures have nothing of the answer in them."""
    several = [
        {"event_type": "interaction.created", "interaction": {}},
        {"event_type": "step.start", "index": 0, "step": {"type": "thought"}},
        {"event_type": "step.delta", "index": 0, "delta": {"type": "thought_signature", "signature": "c2VjcmV0"}},
        {"event_type": "step.delta", "index": 1, "delta": {"type": "text", "text": "a"}},
    ]
    decoded = decode(interaction(b"", chunks=[events(event) for event in several], chunk_times=[10, 20, 30, 40]))

    assert (10, 40) == (decoded.first_chunk_at, decoded.first_content_at)


# Fetching


def fetched(interaction, answer: object, **changes):
    """What is decoded of a GET."""
    changes.setdefault("url", STUDIO + "interactions/int-1")
    return decode(interaction(answer, method="GET", request_body=None, **changes))


def test_an_answer_is_fetched(interaction):
    """Its tokens are those of the call that it was asked by."""
    document = {"id": "int-1", "model": "gemini-x", "status": "completed", "steps": [OUTPUT], "usage": {"total_input_tokens": 5}}
    decoded = fetched(interaction, document)

    assert ("gemini.interactions", "fetch_response", "int-1", "completed", Usage()) == (
        decoded.wire.format,
        decoded.operation.name,
        decoded.response.id,
        decoded.response.status,
        decoded.usage,
    )
    assert "a" == decoded.output.messages[0].parts[0].content


def test_a_stream_is_taken_up_again(interaction, interaction_events):
    """The same, without tokens."""
    decoded = fetched(interaction, interaction_events, url=STUDIO + "interactions/int-1?stream=true&last_event_id=7")

    assert ("fetch_response", Usage(), "requires_action") == (decoded.operation.name, decoded.usage, decoded.response.status)


def test_one_that_goes_on_has_no_reason(interaction):
    """It may be fetched many times until it stops."""
    decoded = fetched(interaction, {"id": "int-1", "status": "in_progress"})

    assert ((), "ok", ()) == (decoded.response.finish_reasons, decoded.status, decoded.output.messages)


# Look-alikes


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ({"model": "gemini-x", "input": "hi"}, True),
        ({"agent": "a", "input": [{"type": "text", "text": "hi"}]}, True),
        ({"input": "hi"}, False),
        ({"model": "gemini-x"}, False),
        ({"model": {"id": 7}, "input": "hi"}, False),
        ({"type": "click", "user": 7}, False),
        ([1], False),
        (b"a=b", False),
    ],
)
def test_an_application_may_have_interactions_of_its_own(interaction, request_body, expected):
    """The body has to tell, where the host does not."""
    decoded = decode(interaction({}, request_body, url="https://crm.example/api/interactions"))

    assert expected is not isinstance(decoded, Unknown)


@pytest.mark.parametrize("url", ["https://crm.example/api/interactions/7", STUDIO + "interactions/int-1/cancel", STUDIO + "interactions/"])
def test_what_is_no_fetching(interaction, url):
    """At other hosts, or of something else."""
    assert isinstance(fetched(interaction, {"id": "int-1"}, url=url), Unknown)


@pytest.mark.parametrize("host", ["generativelanguage.googleapis.com/v1beta", "aiplatform.googleapis.com/v1beta1/projects/p/locations/l"])
def test_at_google_every_body_is_an_interaction(interaction, host):
    """Also one that will be refused, or that is not there."""
    url = f"https://{host}/interactions"

    assert "gemini.interactions" == decode(interaction({}, {"no": "model"}, url=url)).wire.format
    assert "gemini.interactions" == decode(interaction({}, b"x", url=url, request_body=None)).wire.format


def test_nothing_opaque_is_kept(interaction, interaction_events):
    """Not in what is encoded either."""
    assert "c2VjcmV0" not in json.dumps(repr(decode(interaction(interaction_events))))
