"""The tools that a request of the OpenAI kind offers."""

from llm_observe.records import ToolDefinition
from llm_observe.wire.jsonio import Document, items, mapping, text


def tool_definitions(body: Document) -> tuple[ToolDefinition, ...]:
    """The tools offered in their order, the legacy ``functions`` too. Those in a namespace follow it."""
    tools: list[ToolDefinition] = []
    for tool in items(body.get("tools")):
        if type(tool) is dict:
            tools.append(_tool(tool))
            tools += [_tool(inner) for inner in items(tool.get("tools")) if type(inner) is dict]
    tools += [_tool({"type": "function", "function": function}) for function in items(body.get("functions")) if type(function) is dict]
    return tuple(tools)


def _tool(tool: Document) -> ToolDefinition:
    """One tool: ``{type, function: {...}}``, or flat. An MCP server goes by its label; its keys are left where they are."""
    kind = text(tool.get("type")) or "function"
    told = mapping(tool.get(kind)) or tool
    return ToolDefinition(
        type=kind,
        name=text(told.get("name")) or text(told.get("server_label")),
        description=text(told.get("description")) or text(told.get("server_description")),
        parameters=told.get("parameters"),
    )
