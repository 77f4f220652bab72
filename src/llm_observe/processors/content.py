"""What is left of a record without what was said.

``none`` keeps counts and the names of the tools offered; ``metadata`` keeps who spoke and how each answer ended besides.
"""

import msgspec

from llm_observe.records import AnyRecord, Call, Input, Message, Output, Step, Tool, ToolDefinition


def bare(record: AnyRecord) -> AnyRecord:
    """*record* without a word of content. What the error said goes too: it may quote the prompt."""
    if record.error is not None and record.error.message is not None:
        record = msgspec.structs.replace(record, error=msgspec.structs.replace(record.error, message=None))
    if not isinstance(record, Call):
        return record
    return msgspec.structs.replace(
        record,
        system_instructions=(),
        input=Input(count=record.input.count),
        output=Output(type=record.output.type),
        tool=Tool(definitions=tuple(ToolDefinition(type=tool.type, name=tool.name) for tool in record.tool.definitions)),
    )


def stripped(record: AnyRecord) -> AnyRecord:
    """*record* without anything an application wrote itself: what is left where a processor failed that was to take something away."""
    record = bare(record)
    if record.scope is not None and record.scope.tags:
        record = msgspec.structs.replace(record, scope=msgspec.structs.replace(record.scope, tags={}))
    return msgspec.structs.replace(record, attributes={}) if isinstance(record, Step) else record


def outline(record: AnyRecord) -> AnyRecord:
    """*record* with the roles of its messages and none of their words."""
    wordless = bare(record)
    if not isinstance(record, Call) or not isinstance(wordless, Call):
        return wordless
    return msgspec.structs.replace(
        wordless,
        input=Input(count=record.input.count, messages=_roles(record.input.messages)),
        output=Output(type=record.output.type, messages=_roles(record.output.messages)),
    )


def _roles(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    return tuple(Message(role=message.role, finish_reason=message.finish_reason) for message in messages)
