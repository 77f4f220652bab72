"""Responses: what a request asks for, and what a plain answer says."""

import pytest

from llm_observe.records import (
    Billed,
    CallRequest,
    Conversation,
    Error,
    InputTokens,
    Message,
    OutputTokens,
    PreviousResponse,
    Prompt,
    Reasoning,
    ReasoningRequest,
    Refusal,
    Text,
    ToolCall,
    ToolDefinition,
    Usage,
)
from llm_observe.wire import Unknown, decode

CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_a", "name": "look", "arguments": '{"at": "it"}'}


def said(*parts: dict) -> dict:
    """A message of the model's."""
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": list(parts)}


def text(content: str, **members) -> dict:
    """A text of the model's."""
    return {"type": "output_text", "text": content, "annotations": []} | members


def response(*output: dict, **members) -> dict:
    """A finished response of these items."""
    return {"id": "resp_1", "object": "response", "model": "gpt-x-1", "status": "completed", "output": list(output)} | members


@pytest.fixture
def asked(responses):
    """What is decoded of a request."""
    return lambda **members: decode(responses(response(), {"model": "gpt-x", "input": "hi"} | members))


@pytest.fixture
def answered(responses):
    """What is decoded of an answer."""
    return lambda *output, **members: decode(responses(response(*output, **members)))


# The request


def test_parameters_keep_the_values_that_were_sent(asked):
    """Under the convention's names."""
    request = asked(
        stream=True,
        max_output_tokens=50,
        temperature=0,
        top_p=0.5,
        reasoning={"effort": "high", "summary": "auto"},
        service_tier="flex",
        previous_response_id="resp_0",
    ).request

    assert (
        CallRequest(
            model="gpt-x",
            stream=True,
            max_tokens=50,
            temperature=0.0,
            top_p=0.5,
            reasoning=ReasoningRequest(level="high"),
            service_tier="flex",
            previous_response=PreviousResponse(id="resp_0"),
        )
        == request
    )


@pytest.mark.parametrize(
    ("given", "messages", "count"),
    [
        pytest.param("hi", (Message(role="user", parts=(Text(content="hi"),)),), 1, id="a string"),
        pytest.param("", (), 1, id="an empty one"),
        pytest.param([], (), 0, id="no items"),
        pytest.param(None, (), None, id="a stored prompt has it"),
        pytest.param(
            [{"role": "system", "content": "be kind"}, {"role": "user", "content": [{"type": "input_text", "text": "hi"}]}, 7],
            (Message(role="system", parts=(Text(content="be kind"),)), Message(role="user", parts=(Text(content="hi"),))),
            3,
            id="messages without a type",
        ),
    ],
)
def test_the_input_is_a_string_or_items(asked, given, messages, count):
    """Each item counts, whether it can be read or not."""
    decoded = asked(input=given)

    assert (messages, count) == (decoded.input.messages, decoded.input.count)


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ("be kind", (Text(content="be kind"),)),
        ([{"type": "message", "role": "system", "content": [{"type": "input_text", "text": "be kind"}]}, 7], (Text(content="be kind"),)),
        ("", ()),
        (None, ()),
    ],
)
def test_instructions_are_the_system_instructions(asked, instructions, expected):
    """A system message among the items stays there."""
    assert expected == asked(instructions=instructions).system_instructions


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"type": "json_schema", "name": "n", "schema": {"type": "object"}}, ("json", {"type": "object"})),
        ({"type": "json_object"}, ("json", None)),
        ({"type": "text"}, ("text", None)),
        ({"type": "json_schema", "schema": "none"}, ("json", None)),
        (None, (None, None)),
    ],
)
def test_the_format_names_the_output_type_and_the_schema(asked, form, expected):
    """Only where there is one."""
    output = asked(text={"format": form}).output

    assert expected == (output.type, output.schema)


@pytest.mark.parametrize("conversation", ["conv_1", {"id": "conv_1"}])
def test_a_conversation_is_named_by_its_id(asked, conversation):
    """As a string or an object."""
    assert Conversation(id="conv_1") == asked(conversation=conversation).conversation


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ({"id": "pmpt_1", "version": "2", "variables": {"city": "Paris"}}, Prompt(name="pmpt_1", version="2")),
        ({"id": "pmpt_1"}, Prompt(name="pmpt_1")),
        ({"version": "2"}, None),
        (None, None),
    ],
)
def test_a_stored_prompt_is_named(asked, prompt, expected):
    """With its version where one is asked for."""
    assert expected == asked(prompt=prompt).prompt


def test_tools_are_named_in_the_order_they_were_offered(asked):
    """Flat functions, hosted tools by their type, a server by its label, those of a namespace behind it; never their keys."""
    tools = [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
        {"type": "web_search", "filters": {}},
        {
            "type": "mcp",
            "server_label": "calendar",
            "server_description": "dates",
            "authorization": "secret",
            "headers": {"x-key": "secret"},
        },
        {"type": "custom", "name": "c", "format": {"type": "grammar"}},
        {"type": "namespace", "name": "crm", "description": "n", "tools": [{"type": "function", "name": "g"}, "no tool"]},
        7,
    ]

    assert (
        ToolDefinition(type="function", name="f", description="d", parameters={"type": "object"}),
        ToolDefinition(type="web_search"),
        ToolDefinition(type="mcp", name="calendar", description="dates"),
        ToolDefinition(type="custom", name="c"),
        ToolDefinition(type="namespace", name="crm", description="n"),
        ToolDefinition(type="function", name="g"),
    ) == asked(tools=tools).tool.definitions


# The answer


def test_a_plain_answer(answered):
    """Who answered, what, why it stopped, what it used."""
    decoded = answered(
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "c2VjcmV0"},
        said(text("one "), text("two")),
        service_tier="default",
        usage={
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 30,
        },
        tool_usage={"web_search": {"num_requests": 2}},
    )

    assert (
        Message(role="assistant", parts=(Reasoning(content="hm"), Text(content="one "), Text(content="two")), finish_reason="stop"),
    ) == decoded.output.messages
    assert ("resp_1", "gpt-x-1", "completed", "default") == (
        decoded.response.id,
        decoded.response.model,
        decoded.response.status,
        decoded.response.service_tier,
    )
    assert (("stop",), ("completed",)) == (decoded.response.finish_reasons, decoded.wire.finish_reasons)
    assert (
        Usage(
            input_tokens=10,
            output_tokens=20,
            cache_read=InputTokens(input_tokens=4),
            cache_write=InputTokens(input_tokens=2),
            reasoning=OutputTokens(output_tokens=5),
            billed=Billed(web_searches=2),
        )
        == decoded.usage
    )
    assert ("openai.responses", "chat", "ok", True) == (decoded.wire.format, decoded.operation.name, decoded.status, decoded.wire.complete)


def test_what_a_text_stands_on_is_kept(answered):
    """Without what is opaque."""
    source = {"type": "url_citation", "url": "https://x.y/z", "title": "Z", "start_index": 0, "end_index": 1}
    parts = answered(said(text("a", annotations=[source | {"encrypted_index": "c2VjcmV0"}]))).output.messages[0].parts

    assert (Text(content="a", citations=(source,)),) == parts


def test_a_refusal_is_no_text(answered):
    """It has a part of its own."""
    assert (Refusal(content="no"),) == answered(said({"type": "refusal", "refusal": "no"})).output.messages[0].parts


@pytest.mark.parametrize(
    ("members", "wire", "mapped"),
    [
        pytest.param({"output": [said(text("a")), CALL]}, ("completed",), ("tool_call",), id="with a call for the application"),
        pytest.param({"output": [said(text("a"))]}, ("completed",), ("stop",), id="without one"),
        pytest.param({"output": [{"type": "web_search_call", "id": "ws_1"}]}, ("completed",), ("stop",), id="the call was the provider's"),
        pytest.param({"output": []}, ("completed",), ("stop",), id="with nothing"),
        pytest.param(
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            ("max_output_tokens",),
            ("length",),
            id="the room was used up",
        ),
        pytest.param(
            {"status": "incomplete", "incomplete_details": {"reason": "max_messages"}}, ("max_messages",), ("length",), id="in messages"
        ),
        pytest.param(
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            ("content_filter",),
            ("content_filter",),
            id="a filter",
        ),
        pytest.param({"status": "incomplete"}, ("incomplete",), ("incomplete",), id="no reason is told"),
        pytest.param({"status": "cancelled"}, ("cancelled",), ("error",), id="cancelled"),
        pytest.param({"status": "failed"}, ("failed",), ("error",), id="failed"),
        pytest.param({"status": "queued"}, (), (), id="not begun"),
        pytest.param({"status": "in_progress"}, (), (), id="not finished"),
        pytest.param({"status": None}, (), (), id="no status"),
    ],
)
def test_why_it_stopped_is_read_from_the_status_and_the_items(answered, members, wire, mapped):
    """There is no finish reason in this format."""
    decoded = answered(**members)

    assert (wire, mapped) == (decoded.wire.finish_reasons, decoded.response.finish_reasons)


def test_an_answer_in_the_background_is_not_there_yet(answered):
    """Nothing is missing: it was never to come with this one."""
    decoded = answered(status="queued", background=True, usage=None, service_tier="auto")

    assert ((), "queued", "ok", True) == (decoded.output.messages, decoded.response.status, decoded.status, decoded.wire.complete)
    assert None is decoded.response.service_tier, "it is only asked for yet"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param(
            {"status": "failed", "error": {"code": "server_error", "message": "m"}}, Error(type="server_error", message="m"), id="a code"
        ),
        pytest.param(
            {"status": "failed", "error": {"type": "t", "code": "c", "message": "m"}}, Error(type="t", code="c", message="m"), id="a type"
        ),
        pytest.param({"status": "failed", "error": None}, Error(type="failed"), id="nothing is told"),
    ],
)
def test_a_failed_response_is_an_error(answered, members, expected):
    """Though the status of HTTP is 200; what came before is kept."""
    decoded = answered(said(text("par")), **members)

    assert (expected, "error") == (decoded.error, decoded.status)
    assert (Message(role="assistant", parts=(Text(content="par"),), finish_reason="error"),) == decoded.output.messages


def test_an_error_answer_has_the_providers_type(responses):
    """As in OpenAI's other formats."""
    document = {"error": {"message": "m", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}}
    decoded = decode(responses(document, status_code=400))

    assert (Error(type="invalid_request_error", message="m", code="model_not_found"), ()) == (decoded.error, decoded.output.messages)


def test_an_error_may_come_under_status_200(responses):
    """No message is made up for it."""
    decoded = decode(responses({"error": {"message": "m", "type": "t"}}))

    assert (Error(type="t", message="m"), (), ()) == (decoded.error, decoded.output.messages, decoded.response.finish_reasons)


def test_a_conversation_that_was_compacted_says_so(responses):
    """Its name stands in the request, that it was compacted in the answer."""
    request = {"model": "gpt-x", "input": "hi", "conversation": "conv_1"}
    answer = response({"type": "compaction", "id": "cmp_1", "encrypted_content": "c2VjcmV0"}, said(text("a")))

    assert Conversation(id="conv_1", compacted=True) == decode(responses(answer, request)).conversation


@pytest.mark.parametrize(
    ("members", "expected"), [({"conversation": {"id": "conv_2"}}, Conversation(id="conv_2")), ({"conversation": None}, None)]
)
def test_a_conversation_may_be_named_by_the_answer_alone(answered, members, expected):
    """It was begun by this call."""
    assert expected == answered(**members).conversation


def test_reasoning_that_a_vendor_leaves_out_of_the_output_is_added(answered):
    """The total shows it."""
    counts = {"input_tokens": 1, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 10}, "total_tokens": 16}

    assert 15 == answered(usage=counts).usage.output_tokens


@pytest.mark.parametrize("usage", [None, {}, [], {"input_tokens": "many"}])
def test_counts_that_are_not_there_are_unknown(answered, usage):
    """Not zero."""
    assert Usage() == answered(usage=usage).usage


# Where it is met


@pytest.mark.parametrize(
    ("url", "request_", "known"),
    [
        pytest.param("https://api.openai.com/v1/responses", {"model": "m", "input": "hi"}, True, id="OpenAI"),
        pytest.param("https://api.openai.com/v1/responses", {"prompt": {"id": "p"}}, True, id="a stored prompt"),
        pytest.param("https://api.openai.com/v1/responses", {"model": "m"}, True, id="a mistake, at OpenAI's"),
        pytest.param("https://api.openai.com/v1/responses", b"{", True, id="a broken body, at OpenAI's"),
        pytest.param("https://gw.azure-api.net/forms/7/responses", {"answers": [1]}, False, id="a form behind Azure's gateway"),
        pytest.param("https://res.openai.azure.com/openai/responses", {"model": "d", "input": []}, True, id="Azure"),
        pytest.param("https://gateway.example/v1/responses", {"model": "m", "input": "hi"}, True, id="a gateway"),
        pytest.param(
            "https://gateway.example/v1/responses", {"prompt": {"id": "p"}, "input": []}, True, id="a gateway, a stored prompt and an input"
        ),
        pytest.param("https://gateway.example/v1/responses", {"prompt": {"id": "p"}}, True, id="a gateway, a stored prompt"),
        pytest.param("https://forms.example/surveys/7/responses", {"answers": [1, 2]}, False, id="a survey"),
        pytest.param("https://forms.example/surveys/7/responses", {"input": "yes", "user": 7}, False, id="a survey with an input"),
        pytest.param("https://forms.example/surveys/7/responses", {"model": "m"}, False, id="a survey about models"),
        pytest.param("https://forms.example/surveys/7/responses", b"{", False, id="nothing to see"),
        pytest.param("https://api.openai.com/v1/responses/input_tokens", {"model": "m", "input": "hi"}, False, id="counting tokens"),
        pytest.param("https://api.openai.com/v1/responses/compact", {"model": "m", "input": "hi"}, False, id="compacting"),
        pytest.param("https://api.openai.com/v1/responses/resp_1/cancel", {}, False, id="cancelling"),
    ],
)
def test_an_applications_own_responses_are_none(responses, url, request_, known):
    """The body tells, less of it at a provider's host."""
    assert known != isinstance(decode(responses(response(), request_, url=url)), Unknown)


def test_a_call_is_told_in_the_answer(answered):
    """With the id that its output names."""
    assert (ToolCall(id="call_a", name="look", arguments={"at": "it"}),) == answered(CALL).output.messages[0].parts
