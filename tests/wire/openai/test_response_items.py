"""The items of a response, of its input and its output: each kind, its role and its parts."""

import base64
import hashlib

import pytest

from llm_observe.records import (
    Blob,
    Compaction,
    File,
    Generic,
    Message,
    Reasoning,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    ToolCallResponse,
    Uri,
)
from llm_observe.wire import decode

DATA = b"\x89PNG"
B64 = base64.b64encode(DATA).decode()
BLOB = {"size": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()}
PICTURE = f"data:image/png;base64,{B64}"
SHOWN = {"type": "blob", "modality": "image", "mime_type": "image/png"} | BLOB


@pytest.fixture
def sent(responses):
    """The one message that an item of the request gives."""

    def message(item):
        (only,) = decode(responses({}, {"model": "m", "input": [item]})).input.messages
        return only

    return message


@pytest.fixture
def told(responses):
    """What an item of the answer gives, and why the answer stopped."""

    def parts(item):
        answer = {"id": "resp_1", "object": "response", "status": "completed", "output": [item]}
        (message,) = decode(responses(answer)).output.messages
        return message.parts, message.finish_reason

    return parts


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_text", "text": "a"}, Text(content="a")),
        (
            {"type": "output_text", "text": "a", "annotations": [{"type": "file_path"}]},
            Text(content="a", citations=({"type": "file_path"},)),
        ),
        ({"type": "input_image", "image_url": PICTURE, "detail": "auto"}, Blob(modality="image", mime_type="image/png", **BLOB)),
        ({"type": "input_image", "image_url": "https://x.y/z.png?sig=s"}, Uri(modality="image", uri="https://x.y/z.png")),
        ({"type": "input_image", "image_url": {"url": "https://x.y/z.png"}}, Uri(modality="image", uri="https://x.y/z.png")),
        ({"type": "input_image", "file_id": "file-1"}, File(modality="image", file_id="file-1")),
        ({"type": "input_image"}, Generic(generic_type="input_image")),
        ({"type": "input_file", "file_id": "file-1"}, File(modality="document", file_id="file-1")),
        ({"type": "input_file", "file_url": "https://x.y/a.pdf?sig=s"}, Uri(modality="document", uri="https://x.y/a.pdf")),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{B64}"},
            Blob(modality="document", mime_type="application/pdf", **BLOB),
        ),
        ({"type": "input_file"}, Generic(generic_type="input_file")),
        ({"type": "input_audio", "input_audio": {"data": B64, "format": "mp3"}}, Blob(modality="audio", mime_type="audio/mp3", **BLOB)),
        ({"type": "output_audio", "data": B64, "transcript": "a"}, Blob(modality="audio", transcript="a", **BLOB)),
        ({"type": "reasoning_text", "text": "hm"}, Reasoning(content="hm")),
        ({"type": "summary_text", "text": "hm"}, Reasoning(content="hm")),
        ({"type": "novel", "data": B64, "x": 1}, Generic(generic_type="novel", content={"x": 1})),
    ],
)
def test_the_parts_of_a_message(sent, part, expected):
    """Media without its bytes, addresses without their query, what is new without what is opaque."""
    assert Message(role="user", parts=(expected,)) == sent({"type": "message", "role": "user", "content": [part]})


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"role": "developer", "content": "a"}, Message(role="developer", parts=(Text(content="a"),))),
        ({"type": "message", "role": "assistant", "content": "a"}, Message(role="assistant", parts=(Text(content="a"),))),
        (
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}", "namespace": "crm"},
            Message(role="assistant", parts=(ToolCall(id="call_1", name="f", arguments={}),)),
        ),
        (
            {"type": "function_call_output", "call_id": "call_1", "output": "42"},
            Message(role="tool", parts=(ToolCallResponse(id="call_1", response="42"),)),
        ),
        (
            {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "42"}]},
            Message(role="tool", parts=(ToolCallResponse(id="call_1", response="42"),)),
        ),
        (
            {
                "type": "function_call_output",
                "call_id": "call_1",
                "output": [{"type": "input_text", "text": "42"}, {"type": "input_image", "image_url": PICTURE}],
            },
            Message(role="tool", parts=(ToolCallResponse(id="call_1", response=[{"type": "text", "content": "42"}, SHOWN]),)),
        ),
        (
            {"type": "function_call_output", "call_id": "call_1", "output": PICTURE},
            Message(role="tool", parts=(ToolCallResponse(id="call_1", response=SHOWN),)),
        ),
        ({"type": "function_call_output", "call_id": "call_1"}, Message(role="tool", parts=(ToolCallResponse(id="call_1", response=""),))),
        (
            {"type": "custom_tool_call_output", "call_id": "call_1", "output": "42"},
            Message(role="tool", parts=(ToolCallResponse(id="call_1", response="42"),)),
        ),
        (
            {"type": "computer_call_output", "call_id": "call_1", "output": {"type": "computer_screenshot", "image_url": PICTURE}},
            Message(role="tool", parts=(ToolCallResponse(id="call_1", response=[SHOWN]),)),
        ),
        (
            {"type": "local_shell_call_output", "id": "lsh_1", "output": "done"},
            Message(role="tool", parts=(ToolCallResponse(id="lsh_1", response="done"),)),
        ),
        (
            {
                "type": "shell_call_output",
                "call_id": "call_1",
                "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
            },
            Message(
                role="tool",
                parts=(
                    ToolCallResponse(id="call_1", response=[{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]),
                ),
            ),
        ),
        (
            {"type": "apply_patch_call_output", "call_id": "call_1", "status": "failed", "output": "no such file"},
            Message(role="tool", parts=(ToolCallResponse(id="call_1", response={"status": "failed", "output": "no such file"}),)),
        ),
        (
            {"type": "tool_search_output", "call_id": "call_1", "execution": "client", "tools": [{"type": "function", "name": "f"}]},
            Message(role="tool", parts=(ToolCallResponse(id="call_1", response=[{"type": "function", "name": "f"}]),)),
        ),
        (
            {"type": "tool_search_output", "id": "tso_1", "execution": "server", "tools": []},
            Message(
                role="tool",
                parts=(
                    ServerToolCallResponse(
                        id="tso_1", server_tool_call_response={"type": "tool_search", "execution": "server", "tools": []}
                    ),
                ),
            ),
        ),
        (
            {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
            Message(
                role="user",
                parts=(ServerToolCallResponse(id="mcpr_1", server_tool_call_response={"type": "mcp_approval_request", "approve": True}),),
            ),
        ),
        (
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "c2VjcmV0"},
            Message(role="assistant", parts=(Reasoning(content="hm"),)),
        ),
        ({"type": "reasoning", "summary": [], "encrypted_content": "c2VjcmV0"}, Message(role="assistant")),
        (
            {"type": "compaction", "id": "cmp_1", "encrypted_content": "c2VjcmV0"},
            Message(role="assistant", parts=(Compaction(id="cmp_1"),)),
        ),
        ({"type": "compaction_trigger"}, Message(role="user", parts=(Generic(generic_type="compaction_trigger"),))),
        (
            {"type": "item_reference", "id": "msg_1"},
            Message(role="", parts=(Generic(generic_type="item_reference", content={"id": "msg_1"}),)),
        ),
        (
            {
                "type": "additional_tools",
                "role": "developer",
                "tools": [
                    {"type": "mcp", "server_label": "s", "headers": {"x-key": "secret"}},
                    {"type": "shell", "environment": {"network_policy": {"domain_secrets": [{"value": "secret"}]}}},
                ],
            },
            Message(
                role="developer",
                parts=(Generic(generic_type="additional_tools", content={"tools": [{"type": "mcp", "name": "s"}, {"type": "shell"}]}),),
            ),
        ),
        (
            {"type": "configuration_update", "reasoning": {"effort": "low"}},
            Message(role="developer", parts=(Generic(generic_type="configuration_update", content={"reasoning": {"effort": "low"}}),)),
        ),
        ({"type": "novel", "x": 1}, Message(role="assistant", parts=(Generic(generic_type="novel", content={"x": 1}),))),
        ({"type": 7, "x": 1}, Message(role="")),
    ],
)
def test_an_item_of_the_input_is_a_message(sent, item, expected):
    """What the model said earlier is the assistant's, what a tool gave is the tool's."""
    assert expected == sent(item)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{broken"},
            ToolCall(id="call_1", name="f", arguments="{broken"),
        ),
        ({"type": "function_call", "id": "fc_1", "name": "f", "arguments": {"a": 1}}, ToolCall(id="fc_1", name="f", arguments={"a": 1})),
        (
            {"type": "custom_tool_call", "call_id": "call_1", "name": "c", "input": '{"as": "it is"}'},
            ToolCall(id="call_1", name="c", arguments='{"as": "it is"}'),
        ),
        (
            {"type": "computer_call", "call_id": "call_1", "action": {"type": "click", "x": 1, "y": 2}, "pending_safety_checks": []},
            ToolCall(id="call_1", name="computer", arguments={"type": "click", "x": 1, "y": 2}),
        ),
        (
            {"type": "computer_call", "call_id": "call_1", "action": None, "actions": [{"type": "wait"}]},
            ToolCall(id="call_1", name="computer", arguments=[{"type": "wait"}]),
        ),
        (
            {"type": "local_shell_call", "call_id": "call_1", "action": {"type": "exec", "command": ["ls"]}},
            ToolCall(id="call_1", name="local_shell", arguments={"type": "exec", "command": ["ls"]}),
        ),
        (
            {"type": "shell_call", "call_id": "call_1", "action": {"commands": ["ls"]}, "environment": None},
            ToolCall(id="call_1", name="shell", arguments={"commands": ["ls"]}),
        ),
        (
            {"type": "shell_call", "call_id": "call_1", "action": {"commands": ["ls"]}, "environment": {"type": "local"}},
            ToolCall(id="call_1", name="shell", arguments={"commands": ["ls"]}),
        ),
        (
            {"type": "apply_patch_call", "call_id": "call_1", "operation": {"type": "delete_file", "path": "a"}},
            ToolCall(id="call_1", name="apply_patch", arguments={"type": "delete_file", "path": "a"}),
        ),
        (
            {"type": "tool_search_call", "call_id": "call_1", "execution": "client", "arguments": {"queries": ["q"]}},
            ToolCall(id="call_1", name="tool_search", arguments={"queries": ["q"]}),
        ),
    ],
)
def test_what_the_application_is_to_run_is_a_tool_call(told, item, expected):
    """Whoever defined the tool; and the answer stopped for it."""
    assert ((expected,), "tool_call") == told(item)


def hosted(name: str, call_id: str, tool: str | None = None, **members) -> ServerToolCall:
    """A call of a tool that the provider runs."""
    return ServerToolCall(id=call_id, name=name, server_tool_call={"type": tool or name, **members})


def gave(tool: str, call_id: str, **members) -> ServerToolCallResponse:
    """What such a tool gave."""
    return ServerToolCallResponse(id=call_id, server_tool_call_response={"type": tool, **members})


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
            (hosted("web_search", "ws_1", status="completed", action={"type": "search", "query": "q"}),),
        ),
        ({"type": "file_search_call", "id": "fs_1", "queries": ["q"], "results": None}, (hosted("file_search", "fs_1", queries=["q"]),)),
        (
            {"type": "file_search_call", "id": "fs_1", "queries": ["q"], "results": [{"file_id": "file-1", "text": "a"}]},
            (hosted("file_search", "fs_1", queries=["q"]), gave("file_search", "fs_1", results=[{"file_id": "file-1", "text": "a"}])),
        ),
        (
            {
                "type": "code_interpreter_call",
                "id": "ci_1",
                "container_id": "cntr_1",
                "code": "1 + 1",
                "outputs": [{"type": "logs", "logs": "2"}, {"type": "image", "url": PICTURE}],
            },
            (
                hosted("code_interpreter", "ci_1", container_id="cntr_1", code="1 + 1"),
                gave(
                    "code_interpreter", "ci_1", outputs=[{"type": "logs", "logs": "2"}, {"type": "image", "url": "data:image/png;base64"}]
                ),
            ),
        ),
        (
            {"type": "image_generation_call", "id": "ig_1", "status": "completed", "revised_prompt": "p", "result": B64},
            (
                hosted("image_generation", "ig_1", status="completed", revised_prompt="p"),
                Blob(modality="image", mime_type="image/png", **BLOB),
            ),
        ),
        (
            {"type": "image_generation_call", "id": "ig_1", "output_format": "svg", "result": B64},
            (hosted("image_generation", "ig_1", output_format="svg"), Blob(modality="image", mime_type="image/svg+xml", **BLOB)),
        ),
        (
            {"type": "image_generation_call", "id": "ig_1", "status": "failed", "result": None, "error": {"type": "t", "message": "m"}},
            (hosted("image_generation", "ig_1", status="failed"), gave("image_generation", "ig_1", error={"type": "t", "message": "m"})),
        ),
        (
            {
                "type": "mcp_call",
                "id": "mcp_1",
                "server_label": "calendar",
                "name": "search",
                "arguments": '{"data": "kept"}',
                "output": "a",
                "error": None,
            },
            (hosted("search", "mcp_1", "mcp", server_label="calendar", arguments={"data": "kept"}), gave("mcp", "mcp_1", output="a")),
        ),
        (
            {"type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "f", "arguments": "{}", "error": {"code": 500}},
            (hosted("f", "mcp_1", "mcp", server_label="s", arguments={}), gave("mcp", "mcp_1", error={"code": 500})),
        ),
        (
            {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": [{"name": "f"}]},
            (hosted("mcp_list_tools", "mcpl_1", server_label="s"), gave("mcp_list_tools", "mcpl_1", tools=[{"name": "f"}])),
        ),
        (
            {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "s", "name": "f", "arguments": "{}"},
            (hosted("f", "mcpr_1", "mcp_approval_request", server_label="s", arguments={}),),
        ),
        (
            {"type": "tool_search_call", "id": "tsc_1", "call_id": None, "execution": "server", "arguments": {"paths": ["a"]}},
            (hosted("tool_search", "tsc_1", execution="server", arguments={"paths": ["a"]}),),
        ),
        (
            {"type": "tool_search_output", "id": "tso_1", "execution": "server", "tools": [{"type": "function", "name": "f"}]},
            (gave("tool_search", "tso_1", execution="server", tools=[{"type": "function", "name": "f"}]),),
        ),
        (
            {
                "type": "shell_call",
                "id": "sh_1",
                "call_id": "call_1",
                "action": {"commands": ["ls"]},
                "environment": {"type": "container_reference", "container_id": "cntr_1"},
            },
            (
                hosted(
                    "shell", "call_1", action={"commands": ["ls"]}, environment={"type": "container_reference", "container_id": "cntr_1"}
                ),
            ),
        ),
        (
            {"type": "shell_call_output", "id": "sho_1", "call_id": "call_1", "output": [{"stdout": "a"}]},
            (gave("shell", "call_1", output=[{"stdout": "a"}]),),
        ),
        (
            {"type": "program", "id": "pg_1", "call_id": "call_1", "code": "f()", "fingerprint": "c2VjcmV0"},
            (hosted("program", "call_1", code="f()"),),
        ),
        (
            {"type": "program_output", "id": "po_1", "call_id": "call_1", "result": "2", "status": "completed"},
            (gave("program", "call_1", result="2", status="completed"),),
        ),
        ({"type": "novel_search_call", "id": "n_1", "x": 1}, (hosted("novel_search", "n_1", x=1),)),
        ({"type": "compaction", "id": "cmp_1", "encrypted_content": "c2VjcmV0"}, (Compaction(id="cmp_1"),)),
        (
            {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "a"}, {"type": "reasoning_text", "text": "b"}]},
            (Reasoning(content="a"), Reasoning(content="b")),
        ),
        (
            {
                "type": "reasoning",
                "content": [{"type": "reasoning_text", "text": "all of it"}],
                "summary": [{"type": "summary_text", "text": "some"}],
            },
            (Reasoning(content="all of it"),),
        ),
        ({"type": "function_call_output", "call_id": "call_1", "output": "42"}, (ToolCallResponse(id="call_1", response="42"),)),
        ({"type": "novel", "x": 1}, (Generic(generic_type="novel", content={"x": 1}),)),
    ],
)
def test_what_the_provider_runs_is_a_server_tool_call_and_what_it_gave(told, item, expected):
    """Pictures without their bytes; nothing opaque; nothing that the application has to go on with."""
    assert (expected, "stop") == told(item)
