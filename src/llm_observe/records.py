"""What travels from floor to floor.

An :class:`Exchange` is one HTTP attempt as the capture saw it: references and instants, nothing parsed. Everything
else here is a frozen Struct: it crosses the thread boundary with no lock because nobody can change it.

The path of a field is its OpenTelemetry GenAI name without the ``gen_ai.`` prefix: ``call.usage.input_tokens`` *is*
``gen_ai.usage.input_tokens``. Fields outside that registry keep their own convention's path (``error.type``,
``server.address``, ``http.route``). Absent means unknown; nothing is ever null.
"""

from datetime import datetime
from typing import Literal

import msgspec

SCHEMA = "llm-observe/1"

Status = Literal["ok", "error", "cancelled", "truncated"]
End = Literal["open", "eof", "closed", "abandoned", "cancelled", "error"]


class Exchange(msgspec.Struct, kw_only=True, gc=False):
    """One HTTP attempt with a provider, undecoded. Filled by its tap, then never touched again.

    Instants are ``time.perf_counter_ns()`` except ``started_ns``, which is ``time.time_ns()`` at ``began``.
    Headers are the allow-listed ones, names in lower case; ``path`` has no query.
    """

    client: str
    method: str
    host: str
    path: str
    port: int | None = None
    request_headers: dict[str, str] = {}
    request_body: bytes | None = None
    request_size: int = 0
    started_ns: int = 0
    began: int = 0
    status_code: int | None = None
    response_headers: dict[str, str] = {}
    headers_at: int | None = None
    chunks: list[bytes] = []
    chunk_times: list[int] = []
    tail: list[bytes] = []  # the last chunks of a response too long to keep whole
    tail_times: list[int] = []
    response_size: int = 0
    content_decoded: bool = False  # the chunks are free of content-encoding already
    streamed: bool = False  # the application took the body as a stream
    ended: int = 0
    end: End = "open"
    error_type: str | None = None
    error_message: str | None = None
    shed: tuple[str, ...] = ()  # bodies left out for want of room: "request", "response"


class Shape(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Base of all that is exported: frozen, and silent about what is unknown.

    Outside of the garbage collector's walks (``gc=False``): made last and never changed, nothing in it can point back at it, and a
    queue of ten thousand records must not lengthen the application's collections.
    """


# --- messages and their parts: genai-semconv, content attributes -----------------------------------------------------


class Part(Shape, tag_field="type", frozen=True):
    """One piece of a message. The subclasses are the convention's part types."""


class Text(Part, tag="text", frozen=True, kw_only=True):
    """What was said."""

    content: str


class Reasoning(Part, tag="reasoning", frozen=True, kw_only=True):
    """What was thought, where the provider shows it."""

    content: str


class ToolCall(Part, tag="tool_call", frozen=True, kw_only=True):
    """A call the application is to run. ``arguments`` is parsed where it parses as JSON, else the raw string."""

    name: str
    id: str | None = None
    arguments: object = None


class ToolCallResponse(Part, tag="tool_call_response", frozen=True, kw_only=True):
    """What the application answered to a tool call."""

    response: object
    id: str | None = None


class ServerToolCall(Part, tag="server_tool_call", frozen=True, kw_only=True):
    """A tool the provider runs itself."""

    name: str
    server_tool_call: dict[str, object]
    id: str | None = None


class ServerToolCallResponse(Part, tag="server_tool_call_response", frozen=True, kw_only=True):
    """What the provider's own tool gave."""

    server_tool_call_response: dict[str, object]
    id: str | None = None


class Blob(Part, tag="blob", frozen=True, kw_only=True):
    """Inline media. The bytes themselves are not recorded: their size and hash are."""

    modality: str
    mime_type: str | None = None
    size: int | None = None
    sha256: str | None = None
    transcript: str | None = None


class File(Part, tag="file", frozen=True, kw_only=True):
    """Media the provider has on file."""

    modality: str
    file_id: str
    mime_type: str | None = None


class Uri(Part, tag="uri", frozen=True, kw_only=True):
    """Media at an address (query cut off: it may carry a signature)."""

    modality: str
    uri: str
    mime_type: str | None = None


class Refusal(Part, tag="refusal", frozen=True, kw_only=True):
    """The model's refusal, where the provider keeps it apart from text."""

    content: str


class Compaction(Part, tag="compaction", frozen=True, kw_only=True):
    """A summary that stands for earlier turns."""

    id: str | None = None
    content: str | None = None


class Generic(Part, tag="generic", frozen=True, kw_only=True):
    """A part the convention has no type for."""

    generic_type: str
    content: object = None


AnyPart = (
    Text
    | Reasoning
    | ToolCall
    | ToolCallResponse
    | ServerToolCall
    | ServerToolCallResponse
    | Blob
    | File
    | Uri
    | Refusal
    | Compaction
    | Generic
)


class Message(Shape, frozen=True, kw_only=True):
    """One turn, in the order it was sent."""

    role: str
    parts: tuple[AnyPart, ...] = ()
    name: str | None = None
    finish_reason: str | None = None


class ToolDefinition(Shape, frozen=True, kw_only=True):
    """A tool offered to the model."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: object = None


# --- the call --------------------------------------------------------------------------------------------------------


class Operation(Shape, frozen=True, kw_only=True):
    """``gen_ai.operation.name``: chat, text_completion, embeddings ..."""

    name: str


class Provider(Shape, frozen=True, kw_only=True):
    """``gen_ai.provider.name``: who was spoken to, from the host."""

    name: str
    guessed: bool = False  # no rule knew the host: the format's home provider stands in


class Server(Shape, frozen=True, kw_only=True):
    """Where the call went."""

    address: str
    port: int | None = None


class Choice(Shape, frozen=True, kw_only=True):
    """``gen_ai.request.choice.count``, set when it is not 1."""

    count: int


class ReasoningRequest(Shape, frozen=True, kw_only=True):
    """``gen_ai.request.reasoning.level``: the exact word sent."""

    level: str


class CallRequest(Shape, frozen=True, kw_only=True):
    """``gen_ai.request.*``: what was asked for."""

    model: str | None = None
    stream: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop_sequences: tuple[str, ...] = ()
    seed: int | None = None
    choice: Choice | None = None
    reasoning: ReasoningRequest | None = None
    service_tier: str | None = None


class CallResponse(Shape, frozen=True, kw_only=True):
    """``gen_ai.response.*``: what came back. ``time_to_first_chunk`` is in seconds from the start of the call."""

    id: str | None = None
    model: str | None = None
    finish_reasons: tuple[str, ...] = ()
    time_to_first_chunk: float | None = None
    embedding_count: int | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None


class InputTokens(Shape, frozen=True, kw_only=True):
    """A subset of the input tokens."""

    input_tokens: int


class OutputTokens(Shape, frozen=True, kw_only=True):
    """A subset of the output tokens."""

    output_tokens: int


class Usage(Shape, frozen=True, kw_only=True):
    """``gen_ai.usage.*``: totals, cached tokens inside ``input_tokens``, reasoning inside ``output_tokens``."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read: InputTokens | None = None
    cache_write: InputTokens | None = None
    reasoning: OutputTokens | None = None


class Input(Shape, frozen=True, kw_only=True):
    """What was sent. ``count`` is the number of messages or inputs, also where content is not kept."""

    messages: tuple[Message, ...] = ()
    count: int | None = None


class Output(Shape, frozen=True, kw_only=True):
    """What came back: one message a choice. ``type`` is ``gen_ai.output.type`` where the request names one."""

    messages: tuple[Message, ...] = ()
    type: str | None = None


class Tool(Shape, frozen=True, kw_only=True):
    """``gen_ai.tool.definitions``."""

    definitions: tuple[ToolDefinition, ...] = ()


class Error(Shape, frozen=True, kw_only=True):
    """``error.type`` as the provider or the client names it, and its words."""

    type: str
    message: str | None = None


class Attempt(Shape, frozen=True, kw_only=True):
    """One HTTP attempt inside a call. Durations are seconds."""

    started_at: datetime
    duration: float
    status_code: int | None = None
    error_type: str | None = None
    provider_request_id: str | None = None
    retry_after: float | None = None


class Wire(Shape, frozen=True, kw_only=True):
    """What the wire itself said: sizes are bytes as received, ``end`` is how the body ended, ``reason`` why content is missing."""

    format: str
    client: str | None = None
    status_code: int | None = None
    finish_reasons: tuple[str, ...] = ()
    complete: bool | None = None
    end: End | None = None
    reason: str | None = None
    request_size: int | None = None
    response_size: int | None = None
    chunk_count: int | None = None


class Cut(Shape, frozen=True, kw_only=True):
    """What was left out of a field: its whole size in bytes, and its hash where it was at hand."""

    bytes: int
    sha256: str | None = None


class ScopeInfo(Shape, frozen=True, kw_only=True):
    """The web request or job a record belongs to, copied onto each of its records."""

    name: str | None = None
    method: str | None = None
    route: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    tags: dict[str, object] = {}


class Decoded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the bytes of one exchange say: the wire's half of a :class:`Call`. Nothing here needs a clock or an id."""

    operation: Operation
    provider: Provider
    wire: Wire
    status: Status
    server: Server | None = None
    request: CallRequest = CallRequest()
    response: CallResponse = CallResponse()
    usage: Usage = Usage()
    system_instructions: tuple[AnyPart, ...] = ()
    input: Input = Input()
    output: Output = Output()
    tool: Tool = Tool()
    error: Error | None = None
    provider_request_id: str | None = None
    retry_after: float | None = None  # seconds
    first_chunk_at: int | None = None  # perf_counter_ns of the read that completed the first data event
    truncated: dict[str, Cut] = {}


# --- what is exported ------------------------------------------------------------------------------------------------


class Record(Shape, frozen=True, kw_only=True, tag_field="kind"):
    """What every exported record has. ``duration`` is seconds; ``started_at`` is UTC."""

    id: str
    trace_id: str
    span_id: str
    started_at: datetime
    duration: float
    name: str
    status: Status
    parent_id: str | None = None
    request_id: str | None = None
    service: str | None = None
    error: Error | None = None
    scope: ScopeInfo | None = None
    schema: str = msgspec.field(default_factory=lambda: SCHEMA)  # a factory, so that it is written although it is the default


class Call(Record, tag="call", frozen=True, kw_only=True):
    """One logical model call: all its attempts folded together."""

    operation: Operation
    provider: Provider
    wire: Wire | None = None
    server: Server | None = None
    request: CallRequest = CallRequest()
    response: CallResponse = CallResponse()
    usage: Usage = Usage()
    system_instructions: tuple[AnyPart, ...] = ()
    input: Input = Input()
    output: Output = Output()
    tool: Tool = Tool()
    attempts: tuple[Attempt, ...] = ()
    truncated: dict[str, Cut] = {}


class Step(Record, tag="step", frozen=True, kw_only=True):
    """A named part of a request's work, marked by the user."""

    attributes: dict[str, object] = {}


class Slowest(Shape, frozen=True, kw_only=True):
    """The call of a request that took longest."""

    id: str
    name: str
    duration: float


class CallTotals(Shape, frozen=True, kw_only=True):
    """The roll-up of a request's calls.

    ``wall`` is the time during which at least one call ran, ``sum`` the calls' durations added up, both in seconds: equal means
    serial, sum above wall means parallel. ``running`` is how many had not ended when the response did (or the client left).
    """

    count: int
    errors: int
    retries: int
    running: int
    input_tokens: int
    output_tokens: int
    wall: float
    sum: float
    slowest: Slowest | None = None


class Body(Shape, frozen=True, kw_only=True):
    """A body's size in bytes."""

    size: int


class HttpRequest(Shape, frozen=True, kw_only=True):
    """``http.request.*``."""

    method: str
    body: Body | None = None


class HttpResponse(Shape, frozen=True, kw_only=True):
    """``http.response.*``."""

    status_code: int | None = None
    body: Body | None = None


class Http(Shape, frozen=True, kw_only=True):
    """``http.*``: ``route`` is the template that matched."""

    request: HttpRequest
    response: HttpResponse | None = None
    route: str | None = None


class Url(Shape, frozen=True, kw_only=True):
    """``url.path``: no query, it may carry keys."""

    path: str


class Request(Record, tag="request", frozen=True, kw_only=True):
    """A web request or a job: its own facts and the roll-up of its calls.

    ``duration`` runs to the last body byte or the client's disconnect, in seconds.
    """

    calls: CallTotals
    http: Http | None = None
    url: Url | None = None
    disconnected: bool = False


AnyRecord = Call | Step | Request
