"""The tools that a request of the OpenAI kind offers."""

from llm_observe.records import ToolDefinition
from llm_observe.wire.jsonio import Document, items, mapping, text


def tool_definitions(body: Document) -> tuple[ToolDefinition, ...]:
    """The tools offered in their order, the legacy ``functions`` too. Those in a namespace follow it."""
    tools: list[ToolDefinition] = []
    for tool in items(body.get("tools")):
        if type(tool) is dict:
            tools.append(_tool(tool))
            if "tools" in tool:
                tools += [_tool(inner) for inner in items(tool["tools"]) if type(inner) is dict]
    if "functions" in body:
        tools += [_tool({"type": "function", "function": function}) for function in items(body["functions"]) if type(function) is dict]
    return tuple(tools)


def _tool(tool: Document) -> ToolDefinition:
    """One tool: ``{type, function: {...}}``, or flat. An MCP server goes by its label; its keys are left where they are."""
    kind = text(tool.get("type")) or "function"
    told = mapping(tool.get(kind)) or tool
    name, description = text(told.get("name")), text(told.get("description"))
    return ToolDefinition(
        type=kind,
        name=text(told["server_label"]) if name is None and "server_label" in told else name,
        description=text(told["server_description"]) if description is None and "server_description" in told else description,
        parameters=told.get("parameters"),
    )
