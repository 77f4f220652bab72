"""A record as OpenInference has it, for Phoenix: lists flattened into numbered keys, content beside them.

What OpenInference has no name for keeps the one it has elsewhere.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from llm_observe.exporters._attributes import PREFIX, Value, attributes, json, plain
from llm_observe.records import (
    AnyPart,
    AnyRecord,
    Blob,
    Call,
    Compaction,
    File,
    Generic,
    Message,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolCallResponse,
    Text,
    ToolCall,
    ToolCallResponse,
    ToolDefinition,
    Uri,
)

_KINDS = {
    **dict.fromkeys(["create_agent", "invoke_agent", "plan"], "AGENT"),
    "embeddings": "EMBEDDING",
    "retrieval": "RETRIEVER",
    "rerank": "RERANKER",
    "execute_tool": "TOOL",
    "invoke_workflow": "CHAIN",
}
_PROVIDERS = {
    **dict.fromkeys(["azure.ai.openai", "azure.ai.inference"], "azure"),
    **dict.fromkeys(["gcp.gemini", "gcp.vertex_ai", "gcp.gen_ai"], "google"),
    "aws.bedrock": "aws",
    "mistral_ai": "mistralai",
    "x_ai": "xai",
    "moonshot_ai": "moonshot",
    "together_ai": "together",
}
_SYSTEMS = {"openai.": "openai", "anthropic.": "anthropic", "cohere.": "cohere"}  # by what a format's name begins with
JSON, TEXT = "application/json", "text/plain"
ATTEMPT: dict[str, Value] = {"openinference.span.kind": "CHAIN"}  # one in a row of requests; a kind every span must have


def openinference(record: AnyRecord) -> dict[str, Value]:
    """Everything *record* says in OpenInference's words."""
    said = attributes(record)
    found = {name: value for name, value in said.items() if not name.startswith(PREFIX)}
    if not isinstance(record, Call):
        return {"openinference.span.kind": "CHAIN", **found, **_metadata(record)}
    kind = _KINDS.get(record.operation.name, "LLM")
    theirs = {"openinference.span.kind": kind, **_metadata(record), **_model(record, kind, _parameters(said)), **_content(record)}
    return found | {name: plain(value) for name, value in theirs.items() if value is not None}


def _metadata(record: AnyRecord) -> dict[str, Value]:
    tags = record.scope.tags if record.scope is not None else {}
    return {"metadata": json(tags)} if tags else {}


def _parameters(said: Mapping[str, Value]) -> str:
    """What the model was asked beside its messages, of all that is *said* of a call."""
    asked = PREFIX + "request."
    return json({name.removeprefix(asked): value for name, value in said.items() if name.startswith(asked) and not name.endswith(".model")})


def _model(call: Call, kind: str, parameters: str) -> dict[str, Any]:
    request, response, usage, cost = call.request, call.response, call.usage, call.cost
    name = response.model or request.model
    if kind == "EMBEDDING":
        model = {"embedding.model_name": name, "embedding.invocation_parameters": parameters}
    else:
        model = {
            "llm.model_name": name,
            "llm.request.model_name": request.model,
            "llm.response.model_name": response.model,
            "llm.invocation_parameters": parameters,
        }
    form = call.wire.format if call.wire is not None else ""
    total = None if usage.input_tokens is None or usage.output_tokens is None else usage.input_tokens + usage.output_tokens
    return {
        **model,
        "llm.provider": _PROVIDERS.get(call.provider.name, call.provider.name),
        "llm.system": next((system for start, system in _SYSTEMS.items() if form.startswith(start)), None),
        "llm.finish_reason": response.finish_reasons[0] if response.finish_reasons else None,
        "llm.token_count.prompt": usage.input_tokens,
        "llm.token_count.completion": usage.output_tokens,
        "llm.token_count.total": total,
        "llm.token_count.prompt_details.cache_read": usage.cache_read and usage.cache_read.input_tokens,
        "llm.token_count.prompt_details.cache_write": usage.cache_write and usage.cache_write.input_tokens,
        "llm.token_count.prompt_details.audio": usage.audio and usage.audio.input_tokens,
        "llm.token_count.completion_details.reasoning": usage.reasoning and usage.reasoning.output_tokens,
        "llm.token_count.completion_details.audio": usage.audio and usage.audio.output_tokens,
        "llm.cost.prompt": cost and cost.input,
        "llm.cost.completion": cost and cost.output,
        "llm.cost.total": cost and cost.total,
        "llm.cost.prompt_details.cache_read": cost and cost.cached,
    }


def _content(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {}
    asked = call.input.messages
    if call.system_instructions:
        asked = (Message(role="system", parts=call.system_instructions), *asked)
    if _KINDS.get(call.operation.name) == "EMBEDDING":
        texts = [part.content for message in asked for part in message.parts if isinstance(part, Text)]
        found.update({f"embedding.embeddings.{number}.embedding.text": text for number, text in enumerate(texts)})
    else:
        found.update(_messages("llm.input_messages", asked))
        found.update(_messages("llm.output_messages", call.output.messages))
    for number, tool in enumerate(call.tool.definitions):
        found[f"llm.tools.{number}.tool.json_schema"] = json(_schema(tool))
        found[f"llm.tools.{number}.tool.name"] = tool.name
        found[f"llm.tools.{number}.tool.description"] = tool.description
    for side, said in (("input", asked), ("output", call.output.messages)):
        if said:
            only = said[0].parts[0] if len(said) == 1 and len(said[0].parts) == 1 else None
            text = isinstance(only, Text)
            found[f"{side}.value"] = only.content if isinstance(only, Text) else json(said)
            found[f"{side}.mime_type"] = TEXT if text else JSON
    return found


def _schema(tool: ToolDefinition) -> dict[str, Any]:
    """*tool* as OpenAI's requests have it."""
    inner = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": tool.type, "function": {name: value for name, value in inner.items() if value is not None}}


def _messages(name: str, messages: tuple[Message, ...]) -> Iterator[tuple[str, Any]]:
    """The keys of *messages* below *name*. What tools answered are messages of their own here."""
    number = 0
    for message in messages:
        answers = [part for part in message.parts if isinstance(part, ToolCallResponse)]
        others = tuple(part for part in message.parts if not isinstance(part, ToolCallResponse))
        for answer in answers:
            yield from _answer(f"{name}.{number}.message.", answer)
            number += 1
        if others or not answers:
            yield from _message(f"{name}.{number}.message.", message.role, message.name, others)
            number += 1


def _answer(name: str, answer: ToolCallResponse) -> Iterator[tuple[str, Any]]:
    yield name + "role", "tool"
    yield name + "tool_call_id", answer.id
    yield name + "content", answer.response if isinstance(answer.response, str) else json(answer.response)


def _message(name: str, role: str, author: str | None, parts: tuple[AnyPart, ...]) -> Iterator[tuple[str, Any]]:
    yield name + "role", role
    yield name + "name", author
    calls = [part for part in parts if isinstance(part, ToolCall)]
    said = [part for part in parts if not isinstance(part, ToolCall)]
    if len(said) == 1 and isinstance(said[0], Text | Refusal):
        yield name + "content", said[0].content
    else:
        for number, part in enumerate(said):
            for key, value in _contents(part).items():
                yield f"{name}contents.{number}.message_content.{key}", value
    for number, call in enumerate(calls):
        yield f"{name}tool_calls.{number}.tool_call.id", call.id
        yield f"{name}tool_calls.{number}.tool_call.function.name", call.name
        arguments = call.arguments if isinstance(call.arguments, str) else json({} if call.arguments is None else call.arguments)
        yield f"{name}tool_calls.{number}.tool_call.function.arguments", arguments


def _contents(part: AnyPart) -> dict[str, Any]:
    match part:
        case Text() | Refusal() | Reasoning():
            return {"type": "reasoning" if isinstance(part, Reasoning) else "text", "text": part.content}
        case Uri():
            return {"type": part.modality, f"{part.modality}.{part.modality}.url": part.uri}
        case File():
            return {"type": part.modality, "text": part.file_id}
        case Blob():
            return {"type": part.modality, "text": part.transcript or f"[{part.mime_type or part.modality}, {part.size} bytes]"}
        case Compaction():
            return {"type": "text", "text": part.content}
        case ServerToolCall():
            return {"type": "text", "text": json({"name": part.name, **part.server_tool_call})}
        case ServerToolCallResponse():
            return {"type": "text", "text": json(part.server_tool_call_response)}
        case Generic() | ToolCall() | ToolCallResponse():
            return {"type": "text", "text": json(part)}
