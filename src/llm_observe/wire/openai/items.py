"""The items of a response's input and output, as messages and parts.

An item is a message, a thought, a call or what a call gave. ``call_id`` pairs the last two, not ``id``. Whether a built-in tool is
the application's to run or the provider's own tells the item's kind, or where it says to run: an application's call is a
``tool_call`` part, whoever defined the tool.
"""

from typing import Any

import msgspec

from llm_observe.records import AnyPart, Compaction, Generic, Message, Reasoning, ToolCall, ToolCallResponse
from llm_observe.wire.jsonio import Document, items, load_argument, mapping, text
from llm_observe.wire.media import scrubbed, without_type
from llm_observe.wire.openai.content import content_parts, plain_of
from llm_observe.wire.openai.hosted import hosted_parts
from llm_observe.wire.openai.tools import tool_definitions

_OURS = {  # calls of built-in tools that the application runs, and the member with what it is to do
    "computer_call": ("actions", "action"),
    "local_shell_call": ("action",),
    "shell_call": ("action",),
    "apply_patch_call": ("operation",),
    "tool_search_call": ("arguments",),
}
_GIVEN = {  # what the application gave to a call, and the member that has it
    "function_call_output": "output",
    "custom_tool_call_output": "output",
    "computer_call_output": "output",
    "local_shell_call_output": "output",
    "shell_call_output": "output",
    "apply_patch_call_output": "output",
    "tool_search_output": "tools",
}
_ROLES = {  # of items that are not the model's
    **dict.fromkeys(_GIVEN, "tool"),
    "mcp_approval_response": "user",
    "compaction_trigger": "user",
    "additional_tools": "developer",
    "configuration_update": "developer",
    "item_reference": "",  # whose it is, only the provider knows
}


def message_of(item: Document) -> Message:
    """One item of the request as a message. What the model said earlier is the assistant's."""
    kind = text(item.get("type")) or ""
    role = text(item.get("role"))
    if role is None:
        role = _ROLES.get(kind, "assistant" if kind else "")
    return Message(role=role, parts=parts_of(item), name=text(item.get("name")) if kind in {"", "message"} else None)


def parts_of(item: Document, *, sent: bool = True) -> tuple[AnyPart, ...]:
    """One item as parts; none where it says nothing. *sent*: by the application, which may have run the tools itself."""
    kind = text(item.get("type")) or "message"
    if kind == "message":
        return content_parts(item.get("content"))
    if kind == "reasoning":
        return _thoughts(item)
    if kind == "function_call":
        return (_call(item, item.get("arguments")),)
    if kind == "custom_tool_call":
        return (ToolCall(id=_id(item), name=text(item.get("name")) or "", arguments=item.get("input")),)
    if is_call(item):
        told = next((item[member] for member in _OURS[kind] if item.get(member) is not None), None)
        return (_call(item, told),)
    if kind in _GIVEN and (sent or kind.startswith(("function_", "custom_"))) and item.get("execution") != "server":
        return (ToolCallResponse(id=_id(item), response=_given(item, _GIVEN[kind])),)
    if kind == "compaction":
        return (Compaction(id=text(item.get("id")), content=text(item.get("content"))),)
    if hosted := hosted_parts(kind, item):
        return hosted
    if kind == "additional_tools":  # as definitions: a tool's own settings may hold keys
        return (Generic(generic_type=kind, content={"tools": msgspec.to_builtins(list(tool_definitions(item)))}),)
    return (Generic(generic_type=kind, content=without_type(item)),)


def is_call(item: Document) -> bool:
    """Whether an item is a call that the application is to run."""
    kind = text(item.get("type"))
    if kind == "shell_call":
        return mapping(item.get("environment")).get("type") != "container_reference"
    if kind == "tool_search_call":
        return item.get("execution") == "client"
    return kind in {"function_call", "custom_tool_call"} or kind in _OURS


def _id(item: Document) -> str | None:
    return text(item.get("call_id")) or text(item.get("id"))


def _call(item: Document, arguments: Any) -> ToolCall:
    """A call; a built-in tool goes by its kind."""
    name = text(item.get("name")) or (text(item.get("type")) or "").removesuffix("_call")
    return ToolCall(id=_id(item), name=name, arguments=load_argument(arguments) if type(arguments) is str else arguments)


def _given(item: Document, member: str) -> Any:
    """What a tool gave: text, parts, or a structure of its own."""
    given = item.get(member)
    if type(given) is dict and "type" in given:
        given = [given]  # a screenshot is one part
    has_parts = member == "output" and all("type" in mapping(part) for part in items(given))
    response = plain_of(given) if has_parts else scrubbed(given)
    status = text(item.get("status"))
    return {"status": status, member: response} if status == "failed" else response


def _thoughts(item: Document) -> tuple[AnyPart, ...]:
    """The thoughts themselves where they are shown, else the summary of them."""
    for member in ("content", "summary"):
        thoughts = [text(mapping(part).get("text")) for part in items(item.get(member))]
        if shown := tuple(Reasoning(content=thought) for thought in thoughts if thought):
            return shown
    return ()
