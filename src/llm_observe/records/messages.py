"""Messages and their parts, as the GenAI conventions have them (genai-semconv, content attributes)."""

from llm_observe.records.shape import Shape


class Part(Shape, tag_field="type", frozen=True):
    """One piece of a message. The subclasses are the convention's part types."""


class Text(Part, tag="text", frozen=True, kw_only=True):
    """What was said. ``citations`` are what it stands on, as the provider has them, without opaque members."""

    content: str
    citations: tuple[object, ...] = ()


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
