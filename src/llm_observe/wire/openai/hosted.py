"""Tools that the provider runs itself, as they stand among a response's items. A call's item has what it gave, too."""

from typing import Any

from llm_observe.records import AnyPart, ServerToolCall, ServerToolCallResponse
from llm_observe.wire.jsonio import Document, load_argument, text
from llm_observe.wire.media import blob, scrubbed

_RESULTS = {  # members of a call's item that are what the tool gave
    "web_search_call": ("results",),
    "file_search_call": ("results",),
    "code_interpreter_call": ("outputs",),
    "image_generation_call": ("error", "result"),
    "mcp_call": ("output", "error"),
    "mcp_list_tools": ("tools", "error"),
}
_CALLS = frozenset({"mcp_approval_request", "program", "shell_call", "tool_search_call"})
_OUTPUTS = {  # items that are what a tool gave, or what became of a request to run one
    "mcp_approval_response": "mcp_approval_request",
    "program_output": "program",
    "shell_call_output": "shell",
    "tool_search_output": "tool_search",
    "computer_call_output": "computer",
    "local_shell_call_output": "local_shell",
    "apply_patch_call_output": "apply_patch",
}
_BESIDE = frozenset({"id", "call_id", "type", "name", "fingerprint", "approval_request_id"})
_IMAGES = {"svg": "image/svg+xml"}


def hosted_parts(kind: str, item: Document) -> tuple[AnyPart, ...]:
    """A hosted tool's item as parts; none where it is no such item."""
    if name := _OUTPUTS.get(kind):
        given = text(item.get("call_id")) or text(item.get("approval_request_id")) or text(item.get("id"))
        return (ServerToolCallResponse(id=given, server_tool_call_response={"type": name, **_members(item)}),)
    if kind not in _RESULTS and kind not in _CALLS and not kind.endswith("_call"):
        return ()
    tool = kind.removesuffix("_call")
    given, results = text(item.get("call_id")) or text(item.get("id")), _RESULTS.get(kind, ())
    call = ServerToolCall(id=given, name=text(item.get("name")) or tool, server_tool_call={"type": tool, **_members(item, without=results)})
    parts: list[AnyPart] = [call]
    picture = text(item.get("result")) if "result" in results else None
    if told := {member: scrubbed(item[member]) for member in results if member != "result" and item.get(member) is not None}:
        parts.append(ServerToolCallResponse(id=given, server_tool_call_response={"type": tool, **told}))
    if picture is not None:
        form = text(item.get("output_format")) or "png"
        parts.append(blob("image", picture, _IMAGES.get(form, f"image/{form}")))
    return tuple(parts)


def _members(item: Document, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """What an item says of itself, arguments as what they say; what is null says nothing."""
    told = {member: value for member, value in item.items() if member not in _BESIDE and member not in without and value is not None}
    arguments = told.pop("arguments", None)
    shown: dict[str, Any] = scrubbed(told)
    if arguments is not None:
        shown["arguments"] = load_argument(arguments) if type(arguments) is str else arguments
    return shown
