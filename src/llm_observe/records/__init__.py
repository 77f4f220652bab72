"""What travels from floor to floor.

An :class:`Exchange` is one HTTP attempt as the capture saw it: references and instants, nothing parsed. Everything
else here is a frozen Struct: it crosses the thread boundary with no lock because nobody can change it.

The path of a field is its OpenTelemetry GenAI name without the ``gen_ai.`` prefix: ``call.usage.input_tokens`` *is*
``gen_ai.usage.input_tokens``. Fields outside that registry keep their own convention's path (``error.type``,
``server.address``, ``http.route``). Absent means unknown; nothing is ever null.
"""

from llm_observe.records.calls import Call, Decoded, Record, call_of
from llm_observe.records.exchange import End, Exchange
from llm_observe.records.facts import (
    Attempt,
    CallRequest,
    CallResponse,
    Choice,
    Cut,
    Error,
    Input,
    InputTokens,
    Operation,
    Output,
    OutputTokens,
    Provider,
    ReasoningRequest,
    ScopeInfo,
    Server,
    Tool,
    Usage,
    Wire,
)
from llm_observe.records.messages import (
    AnyPart,
    Blob,
    Compaction,
    File,
    Generic,
    Message,
    Part,
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
from llm_observe.records.requests import Body, CallTotals, Http, HttpRequest, HttpResponse, Request, Slowest, Step, Url
from llm_observe.records.shape import SCHEMA, Shape, Status

AnyRecord = Call | Step | Request

__all__ = [
    "SCHEMA",
    "AnyPart",
    "AnyRecord",
    "Attempt",
    "Blob",
    "Body",
    "Call",
    "CallRequest",
    "CallResponse",
    "CallTotals",
    "Choice",
    "Compaction",
    "Cut",
    "Decoded",
    "End",
    "Error",
    "Exchange",
    "File",
    "Generic",
    "Http",
    "HttpRequest",
    "HttpResponse",
    "Input",
    "InputTokens",
    "Message",
    "Operation",
    "Output",
    "OutputTokens",
    "Part",
    "Provider",
    "Reasoning",
    "ReasoningRequest",
    "Record",
    "Refusal",
    "Request",
    "ScopeInfo",
    "Server",
    "ServerToolCall",
    "ServerToolCallResponse",
    "Shape",
    "Slowest",
    "Status",
    "Step",
    "Text",
    "Tool",
    "ToolCall",
    "ToolCallResponse",
    "ToolDefinition",
    "Uri",
    "Url",
    "Usage",
    "Wire",
    "call_of",
]
