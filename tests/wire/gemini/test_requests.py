"""generateContent: what the request says."""

import base64
import hashlib

import pytest

from llm_observe.records import (
    Blob,
    CallRequest,
    Choice,
    File,
    Generic,
    Message,
    Reasoning,
    ReasoningRequest,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    ToolCallResponse,
    ToolDefinition,
    Uri,
)
from llm_observe.wire import FORMATS, Endpoints, decode

DATA = b"\x89PNG"
B64 = base64.b64encode(DATA).decode()
MEASURED = {"size": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()}

CONFIG = {
    "temperature": 1,
    "topP": 0.9,
    "topK": 40.0,
    "candidateCount": 2,
    "maxOutputTokens": 9,
    "stopSequences": ["a", 7],
    "seed": 5,
    "presencePenalty": 0.5,
    "frequencyPenalty": -0.5,
    "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
}


def snake(value: object) -> object:
    """The same with every name in snake case."""
    if isinstance(value, dict):
        return {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): snake(inner) for name, inner in value.items()}
    return [snake(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture
def asked(gemini):
    """What is decoded of a request with these members."""
    return lambda **members: decode(gemini({}, {"contents": [{"parts": [{"text": "hi"}]}]} | members))


@pytest.fixture
def sent(asked):
    """The parts of a request that has these."""
    return lambda *parts: asked(contents=[{"role": "user", "parts": list(parts)}]).input.messages[0].parts


@pytest.mark.parametrize("spelt", [lambda body: body, snake])
def test_parameters_keep_the_values_that_were_sent(gemini, spelt):
    """Under the convention's names, however the members' names are spelt."""
    request = spelt({"contents": [], "generationConfig": CONFIG, "serviceTier": "flex"})

    assert (
        CallRequest(
            model="gemini-x",
            max_tokens=9,
            temperature=1.0,
            top_p=0.9,
            top_k=40,
            frequency_penalty=-0.5,
            presence_penalty=0.5,
            stop_sequences=("a",),
            seed=5,
            choice=Choice(count=2),
            reasoning=ReasoningRequest(level="LOW"),
            service_tier="flex",
        )
        == decode(gemini({}, request)).request
    )


def test_one_candidate_is_no_choice(asked):
    """The count is said where it is not one."""
    assert None is asked(generationConfig={"candidateCount": 1}).request.choice


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("v1beta/models/gemini-x:generateContent", "gemini-x"),
        ("models/gemini-x:generateContent", "gemini-x"),
        ("v1/models/gemini%2Fx%3A1:generateContent", "gemini/x:1"),
        ("v1beta/tunedModels/mine-1:generateContent", "tunedModels/mine-1"),
        ("v1/projects/p/locations/l/publishers/google/models/gemini-x:generateContent", "gemini-x"),
        ("v1beta1/publishers/google/models/gemini-x:generateContent", "gemini-x"),
        ("v1/projects/p/locations/l/endpoints/123:generateContent", "endpoints/123"),
        ("gemini/v1beta/models/gemini-x:generateContent?key=secret", "gemini-x"),
    ],
)
def test_the_model_is_in_the_path(gemini, path, model):
    """Whatever stands before it, without the escapes; tuned ones keep the name of their kind."""
    decoded = decode(gemini({}, url=f"https://generativelanguage.googleapis.com/{path}"))

    assert (model, "gemini.generate_content", "generate_content") == (decoded.request.model, decoded.wire.format, decoded.operation.name)


@pytest.mark.parametrize("form", ["gemini.generate_content", "gemini.embed"])
def test_at_an_address_of_the_users_own_the_body_may_name_the_model(gemini, form):
    """There the path does not."""
    own = Endpoints({"gateway.example/ask": form}, FORMATS)
    request = {"model": "gemini-x", "contents": [], "content": {}}
    decoded = decode(gemini({}, request, url="https://gateway.example/ask"), own)

    assert (form, "gemini-x") == (decoded.wire.format, decoded.request.model)


@pytest.mark.parametrize(
    ("host", "provider", "guessed"),
    [
        ("generativelanguage.googleapis.com", "gcp.gemini", False),
        ("aiplatform.googleapis.com", "gcp.vertex_ai", False),
        ("europe-west4-aiplatform.googleapis.com", "gcp.vertex_ai", False),
        ("aiplatform.eu.rep.googleapis.com", "gcp.vertex_ai", False),
        ("generativelanguage.mtls.googleapis.com", "gcp.gemini", False),
        ("aiplatform.mtls.googleapis.com", "gcp.vertex_ai", False),
        ("us-central1-aiplatform.mtls.googleapis.com", "gcp.vertex_ai", False),
        ("generativelanguage.googleapis.com.attacker.example", "gcp.gemini", True),
        ("gateway.example", "gcp.gemini", True),
    ],
)
def test_the_provider_is_told_by_the_host(gemini, host, provider, guessed):
    """Elsewhere the format's home is guessed."""
    told = decode(gemini({}, url=f"https://{host}/v1/models/gemini-x:generateContent")).provider

    assert (provider, guessed) == (told.name, told.guessed)


@pytest.mark.parametrize(("verb", "expected"), [("generateContent", None), ("streamGenerateContent", True)])
def test_a_stream_is_asked_for_by_the_verb(gemini, verb, expected):
    """The body does not tell."""
    assert expected is decode(gemini({}, url=f"https://generativelanguage.googleapis.com/v1/models/x:{verb}?alt=sse")).request.stream


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, None),
        ({"responseMimeType": "application/json"}, "json"),
        ({"responseMimeType": "text/plain"}, "text"),
        ({"responseMimeType": "text/x.enum"}, "text"),
        ({"responseModalities": ["TEXT"]}, "text"),
        ({"responseModalities": ["TEXT"], "responseMimeType": "application/json"}, "json"),
        ({"responseModalities": ["TEXT", "IMAGE"]}, "image"),
        ({"responseModalities": ["AUDIO"]}, "speech"),
        ({"responseModalities": [3]}, "speech"),
        ({"responseModalities": ["VIDEO", {}, None]}, None),
        ({"responseSchema": {"type": "OBJECT"}}, "json"),
        ({"responseFormat": [{"text": {"mimeType": "application/json"}}]}, "json"),
        ({"responseFormat": {"text": {"mimeType": "text/plain"}}}, "text"),
        ({"responseFormat": [{"audio": {}}]}, "speech"),
        ({"responseFormat": [{"text": {}}, {"image": {}}]}, "image"),
    ],
)
def test_the_output_type(asked, config, expected):
    """By the media type, the schema, the modalities or the format."""
    assert expected == asked(generationConfig=config).output.type


@pytest.mark.parametrize(
    "config",
    [
        {"responseJsonSchema": {"type": "object"}},
        {"_responseJsonSchema": {"type": "object"}},
        {"responseSchema": {"type": "object"}},
        {"response_schema": {"type": "object"}},
        {"responseFormat": [{"text": {"jsonSchema": {"type": "object"}}}]},
        {"responseFormat": [{"text": {"schema": {"type": "object"}}}]},
    ],
)
def test_the_schema_of_the_answer(asked, config):
    """Wherever it stands."""
    assert {"type": "object"} == asked(generationConfig=config).output.schema


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ({"parts": [{"text": "a"}, {"text": "b"}], "role": "user"}, (Text(content="a"), Text(content="b"))),
        ({"parts": {"text": "a"}}, (Text(content="a"),)),
        ("a", (Text(content="a"),)),
        ({"parts": [{"text": ""}]}, ()),
        (None, ()),
    ],
)
@pytest.mark.parametrize("name", ["systemInstruction", "system_instruction"])
def test_the_system_instruction_is_not_a_message(asked, name, instruction, expected):
    """It is counted apart."""
    decoded = asked(**{name: instruction})

    assert (expected, 1) == (decoded.system_instructions, decoded.input.count)


def test_contents_keep_their_roles_and_order(asked):
    """One without a role is the user's; all are counted."""
    contents = [{"parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}, {"role": "function", "parts": []}, 7]
    decoded = asked(contents=contents)

    assert 4 == decoded.input.count
    assert (
        Message(role="user", parts=(Text(content="a"),)),
        Message(role="model", parts=(Text(content="b"),)),
        Message(role="function"),
    ) == decoded.input.messages


def test_one_may_stand_where_a_list_is_meant(asked):
    """Of contents, of parts, of tools and of functions: Google's servers take it."""
    decoded = asked(contents={"role": "user", "parts": {"text": "a"}}, tools={"functionDeclarations": {"name": "f"}})

    assert (1, (Message(role="user", parts=(Text(content="a"),)),)) == (decoded.input.count, decoded.input.messages)
    assert (ToolDefinition(type="function", name="f"),) == decoded.tool.definitions


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param({"text": "a"}, Text(content="a"), id="text"),
        pytest.param({"text": "a", "thoughtSignature": "c2VjcmV0"}, Text(content="a"), id="a signature is not kept"),
        pytest.param({"text": "a", "functionCall": None, "thought": None}, Text(content="a"), id="null is not said"),
        pytest.param({"text": "a", "thought": True}, Reasoning(content="a"), id="a thought"),
        pytest.param(
            {"inlineData": {"mimeType": "image/png", "data": B64}},
            Blob(modality="image", mime_type="image/png", **MEASURED),
            id="a picture",
        ),
        pytest.param(
            {"inlineData": {"mimeType": "audio/wav", "data": B64}, "audioTranscription": {"text": "hello"}},
            Blob(modality="audio", mime_type="audio/wav", transcript="hello", **MEASURED),
            id="a sound and what was said",
        ),
        pytest.param(
            {"audioTranscription": {"text": "hello"}}, Blob(modality="audio", transcript="hello"), id="what was said, without the sound"
        ),
        pytest.param(
            {"inlineData": {"mimeType": "application/pdf", "data": B64}},
            Blob(modality="document", mime_type="application/pdf", **MEASURED),
            id="a document",
        ),
        pytest.param({"inlineData": {}}, Blob(modality="document"), id="media without anything"),
        pytest.param(
            {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/c.mp4"}, "videoMetadata": {"fps": 1}},
            Uri(modality="video", uri="gs://b/c.mp4", mime_type="video/mp4"),
            id="media in a bucket",
        ),
        pytest.param(
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x.y/z.png?sig=s"}},
            Uri(modality="image", uri="https://x.y/z.png", mime_type="image/png"),
            id="media at an address, without its query",
        ),
        pytest.param(
            {"fileData": {"mimeType": "image/png", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc-1"}},
            File(modality="image", file_id="files/abc-1", mime_type="image/png"),
            id="media on file",
        ),
        pytest.param(
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=9hE5-98ZeCg&t=7"}},
            Uri(modality="video", uri="https://www.youtube.com/watch?v=9hE5-98ZeCg"),
            id="a film, which its query names",
        ),
        pytest.param(
            {"functionCall": {"id": "c", "name": "f", "args": {"x": 1}}}, ToolCall(id="c", name="f", arguments={"x": 1}), id="a call"
        ),
        pytest.param({"functionCall": {"name": "f"}}, ToolCall(name="f"), id="a call without id and arguments"),
        pytest.param(
            {"functionResponse": {"id": "c", "name": "f", "response": {"y": 2}}},
            ToolCallResponse(id="c", response={"y": 2}),
            id="what a function gave",
        ),
        pytest.param(
            {"functionResponse": {"name": "f", "response": {"y": 2}}},
            ToolCallResponse(id="f", response={"y": 2}),
            id="what a function gave where calls have no ids",
        ),
        pytest.param(
            {"functionResponse": {"id": "c", "response": {"y": 2}, "parts": [{"inlineData": {"mimeType": "image/png", "data": B64}}]}},
            ToolCallResponse(
                id="c",
                response={"response": {"y": 2}, "parts": [{"type": "blob", "modality": "image", "mime_type": "image/png", **MEASURED}]},
            ),
            id="what a function gave, media without their bytes",
        ),
        pytest.param(
            {"executableCode": {"id": "e", "language": "PYTHON", "code": "1"}},
            ServerToolCall(id="e", name="code_execution", server_tool_call={"type": "code_execution", "language": "PYTHON", "code": "1"}),
            id="code that Google runs",
        ),
        pytest.param(
            {"codeExecutionResult": {"id": "e", "outcome": "OUTCOME_OK", "output": "2"}},
            ServerToolCallResponse(id="e", server_tool_call_response={"type": "code_execution", "outcome": "OUTCOME_OK", "output": "2"}),
            id="what the code gave",
        ),
        pytest.param(
            {"toolCall": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["q"]}}},
            ServerToolCall(id="t", name="GOOGLE_SEARCH_WEB", server_tool_call={"type": "GOOGLE_SEARCH_WEB", "args": {"queries": ["q"]}}),
            id="a tool of Google's",
        ),
        pytest.param(
            {"toolResponse": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB", "response": {"a": 1, "search_suggestions": "<style>"}}},
            ServerToolCallResponse(id="t", server_tool_call_response={"type": "GOOGLE_SEARCH_WEB", "response": {"a": 1}}),
            id="what a tool of Google's gave, without the page to show",
        ),
        pytest.param({"holoData": {"data": B64, "a": 1}}, Generic(generic_type="holoData", content={"a": 1}), id="a kind to come"),
    ],
)
@pytest.mark.parametrize("spelt", [lambda part: part, snake], ids=["camel", "snake"])
def test_parts(sent, part, expected, spelt):
    """Each kind, its members spelt either way."""
    if spelt is snake and isinstance(expected, Generic):
        expected = Generic(generic_type="holo_data", content={"a": 1})

    assert (expected,) == sent(spelt(part))


@pytest.mark.parametrize(
    "part",
    [
        {},
        {"text": ""},
        {"thought": True, "thoughtSignature": "c2VjcmV0"},
        {"fileData": {}},
        {"text": None},
        {"partMetadata": {"a": 1}},
        {"text": 7},
    ],
)
def test_parts_that_say_nothing(sent, part):
    """They are left out."""
    assert () == sent(part)


def test_tools_are_named_in_the_order_they_were_offered(asked):
    """Functions by their names, servers by theirs, Google's own by their keys."""
    tools = [
        {
            "functionDeclarations": [
                {"name": "f", "description": "d", "parameters": {"type": "OBJECT"}},
                {"name": "g", "parametersJsonSchema": {}},
            ]
        },
        {"googleSearch": {}, "codeExecution": {}, "retrieval": None},
        {"mcpServers": [{"name": "s", "streamableHttpTransport": {"url": "u", "headers": {"authorization": "secret"}}}]},
        None,
    ]

    assert (
        ToolDefinition(type="function", name="f", description="d", parameters={"type": "OBJECT"}),
        ToolDefinition(type="function", name="g", parameters={}),
        ToolDefinition(type="googleSearch"),
        ToolDefinition(type="codeExecution"),
        ToolDefinition(type="mcpServers", name="s"),
    ) == asked(tools=tools).tool.definitions


def test_a_function_in_snake_case(asked):
    """As the Python SDK sends it."""
    tools = [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}]

    assert (ToolDefinition(type="function", name="f", parameters={"type": "object"}),) == asked(tools=tools).tool.definitions
