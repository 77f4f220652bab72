"""A call in OpenInference's words, as Phoenix reads them."""

import json

import pytest

from llm_observe.exporters._openinference import openinference
from llm_observe.records import (
    Blob,
    CallRequest,
    CallResponse,
    Cost,
    Error,
    Generic,
    Input,
    InputTokens,
    Message,
    Operation,
    Output,
    OutputTokens,
    Provider,
    Reasoning,
    ScopeInfo,
    ServerToolCall,
    Text,
    Tool,
    ToolCall,
    ToolCallResponse,
    ToolDefinition,
    Uri,
    Usage,
    Wire,
)


def asked(*parts, role="user"):
    """One message."""
    return Message(role=role, parts=parts)


def test_a_chat_is_told_in_numbered_keys(make):
    """Models, parameters, token counts, costs, messages and tools stand where Phoenix looks for them."""
    call = make.call(
        request=CallRequest(model="gpt-x", max_tokens=9, temperature=0.5),
        response=CallResponse(model="gpt-x-1", finish_reasons=("stop",)),
        usage=Usage(input_tokens=12, output_tokens=34, cache_read=InputTokens(input_tokens=8), reasoning=OutputTokens(output_tokens=20)),
        cost=Cost(input=0.5, output=1.0, total=1.5, currency="USD"),
        wire=Wire(format="openai.chat"),
        system_instructions=(Text(content="be brief"),),
        input=Input(messages=(asked(Text(content="hello")),), count=1),
        output=Output(messages=(asked(Text(content="hi"), role="assistant"),)),
        tool=Tool(definitions=(ToolDefinition(type="function", name="add", description="adds", parameters={"type": "object"}),)),
        scope=ScopeInfo(user_id="u", session_id="s", tags={"plan": "pro"}),
    )

    wanted = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-x-1",
        "llm.request.model_name": "gpt-x",
        "llm.response.model_name": "gpt-x-1",
        "llm.provider": "openai",
        "llm.system": "openai",
        "llm.finish_reason": "stop",
        "llm.token_count.prompt": 12,
        "llm.token_count.completion": 34,
        "llm.token_count.total": 46,
        "llm.token_count.prompt_details.cache_read": 8,
        "llm.token_count.completion_details.reasoning": 20,
        "llm.cost.prompt": 0.5,
        "llm.cost.completion": 1.0,
        "llm.cost.total": 1.5,
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "be brief",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.content": "hello",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "hi",
        "llm.tools.0.tool.name": "add",
        "llm.tools.0.tool.description": "adds",
        "output.value": "hi",
        "output.mime_type": "text/plain",
        "session.id": "s",
        "user.id": "u",
        "metadata": '{"plan":"pro"}',
    }
    found = openinference(call)
    assert wanted == {name: found.get(name) for name in wanted}
    assert {"max_tokens": 9, "temperature": 0.5} == json.loads(found["llm.invocation_parameters"])
    function = {"name": "add", "description": "adds", "parameters": {"type": "object"}}
    assert {"type": "function", "function": function} == json.loads(found["llm.tools.0.tool.json_schema"])
    assert [] == [name for name in found if name.startswith("gen_ai.")]


def test_a_turn_with_tools_is_told_as_messages_of_their_own(make):
    """A tool call hangs on the assistant's message with its arguments as text; each answer is a message of a tool."""
    turns = (
        asked(ToolCall(name="add", id="t1", arguments={"a": 1}), role="assistant"),
        asked(ToolCallResponse(id="t1", response="2"), ToolCallResponse(id="t2", response={"sum": 3}), Text(content="go on")),
    )

    found = openinference(make.call(input=Input(messages=turns)))

    start = "llm.input_messages."
    assert {
        "0.message.role": "assistant",
        "0.message.tool_calls.0.tool_call.id": "t1",
        "0.message.tool_calls.0.tool_call.function.name": "add",
        "0.message.tool_calls.0.tool_call.function.arguments": '{"a":1}',
        "1.message.role": "tool",
        "1.message.tool_call_id": "t1",
        "1.message.content": "2",
        "2.message.role": "tool",
        "2.message.tool_call_id": "t2",
        "2.message.content": '{"sum":3}',
        "3.message.role": "user",
        "3.message.content": "go on",
    } == {name.removeprefix(start): value for name, value in found.items() if name.startswith(start)}


def test_a_message_of_several_parts_has_contents(make):
    """Text, thoughts and pictures each in their own place, and never `content` beside them."""
    said = asked(
        Reasoning(content="hm"),
        Text(content="look"),
        Uri(modality="image", uri="https://pictures.test/1"),
        Blob(modality="audio", mime_type="audio/wav", size=7),
        ServerToolCall(name="search", server_tool_call={"type": "web"}),
        Generic(generic_type="x", content=1),
    )

    found = openinference(make.call(output=Output(messages=(said,))))

    start = "llm.output_messages.0.message."
    contents = {name.removeprefix(start): value for name, value in found.items() if name.startswith(start + "content")}
    assert {
        "contents.0.message_content.type": "reasoning",
        "contents.0.message_content.text": "hm",
        "contents.1.message_content.type": "text",
        "contents.1.message_content.text": "look",
        "contents.2.message_content.type": "image",
        "contents.2.message_content.image.image.url": "https://pictures.test/1",
        "contents.3.message_content.type": "audio",
        "contents.3.message_content.text": "[audio/wav, 7 bytes]",
        "contents.4.message_content.type": "text",
        "contents.4.message_content.text": '{"name":"search","type":"web"}',
        "contents.5.message_content.type": "text",
        "contents.5.message_content.text": '{"type":"generic","generic_type":"x","content":1}',
    } == contents


def test_embeddings_are_told_by_their_texts(make):
    """Vectors are never on record."""
    call = make.call(
        operation=Operation(name="embeddings"),
        request=CallRequest(model="e", encoding_formats=("float",)),
        input=Input(messages=(asked(Text(content="one")), asked(Text(content="two"))), count=2),
    )

    found = openinference(call)

    wanted = {
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": "e",
        "embedding.invocation_parameters": '{"encoding_formats":["float"]}',
        "embedding.embeddings.0.embedding.text": "one",
        "embedding.embeddings.1.embedding.text": "two",
    }
    assert wanted == {name: found.get(name) for name in wanted}


@pytest.mark.parametrize(
    ("provider", "told"),
    [("azure.ai.openai", "azure"), ("gcp.gemini", "google"), ("aws.bedrock", "aws"), ("x_ai", "xai"), ("groq", "groq")],
)
def test_a_provider_has_openinferences_name(make, provider, told):
    """Phoenix groups by it."""
    assert told == openinference(make.call(provider=Provider(name=provider)))["llm.provider"]


def test_requests_and_steps_are_chains(make):
    """A step that is something else may say so itself."""
    retrieval = make.step(attributes={"openinference.span.kind": "RETRIEVER"})

    assert ["CHAIN", "CHAIN", "RETRIEVER"] == [
        openinference(record)["openinference.span.kind"] for record in (make.request(), make.step(), retrieval)
    ]


def test_a_failure_is_an_event_that_phoenix_shows(make, send):
    """With the type and the words of the error."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from llm_observe.exporters.otel import OtelExporter

    memory = InMemorySpanExporter()
    call = make.call(status="error", error=Error(type="overloaded", message="later"))

    send(OtelExporter(span_exporter=memory, dialect="openinference"), make.batch(call))

    ((event,),) = (span.events for span in memory.get_finished_spans())
    assert ("exception", {"exception.type": "overloaded", "exception.message": "later"}) == (event.name, dict(event.attributes))
