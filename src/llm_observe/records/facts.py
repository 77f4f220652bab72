"""The pieces of a call's record: what was asked, what came back, what it took."""

from datetime import datetime

import msgspec

from llm_observe.records.exchange import End
from llm_observe.records.messages import Message, ToolDefinition
from llm_observe.records.shape import Shape


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


class PreviousResponse(Shape, frozen=True, kw_only=True):
    """``gen_ai.request.previous_response.id``: the answer that the provider is to go on from."""

    id: str


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
    previous_response: PreviousResponse | None = None
    encoding_formats: tuple[str, ...] = ()
    guardrail: str | None = None  # ``aws.bedrock.guardrail.id``


class CallResponse(Shape, frozen=True, kw_only=True):
    """``gen_ai.response.*``: what came back. Times are seconds from the start of the call.

    ``chunk_gaps`` has the microseconds from each chunk of a stream to the next: chunk *n* came at ``time_to_first_chunk`` and the
    sum of the first *n* of them. Chunks that came in one read are 0 apart.
    """

    id: str | None = None
    model: str | None = None
    finish_reasons: tuple[str, ...] = ()
    status: str | None = None  # where the answer names one: of the Responses and Interactions kind
    time_to_first_chunk: float | None = None
    time_to_first_content: float | None = None
    chunk_gaps: tuple[int, ...] = ()
    embedding_count: int | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None


class InputTokens(Shape, frozen=True, kw_only=True):
    """A subset of the input tokens."""

    input_tokens: int


class OutputTokens(Shape, frozen=True, kw_only=True):
    """A subset of the output tokens."""

    output_tokens: int


class Modality(Shape, frozen=True, kw_only=True):
    """``gen_ai.usage.{text,image,audio}.*``: the tokens of one kind, where they are told apart."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read: InputTokens | None = None


class Billed(Shape, frozen=True, kw_only=True):
    """What is charged for, where the provider counts that apart from what went in and came out.

    Cached tokens are inside ``input_tokens`` here too. ``search_units`` are a reranker's, ``web_searches`` are those that the model made.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read: InputTokens | None = None
    cache_write: InputTokens | None = None
    images: int | None = None
    search_units: int | None = None
    web_searches: int | None = None


class Usage(Shape, frozen=True, kw_only=True):
    """``gen_ai.usage.*``: totals, cached tokens inside ``input_tokens``, reasoning inside ``output_tokens``."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read: InputTokens | None = None
    cache_write: InputTokens | None = None
    reasoning: OutputTokens | None = None
    text: Modality | None = None
    image: Modality | None = None
    audio: Modality | None = None
    billed: Billed | None = None


class Cost(Shape, frozen=True, kw_only=True):
    """What the call cost. ``cached`` is the part of ``input`` that was paid for tokens read from a cache."""

    input: float
    output: float
    total: float
    currency: str
    cached: float | None = None


class Conversation(Shape, frozen=True, kw_only=True):
    """``gen_ai.conversation.*``: the conversation that the provider keeps, where the call names one."""

    id: str | None = None
    compacted: bool | None = None  # only ever true


class Prompt(Shape, frozen=True, kw_only=True):
    """``gen_ai.prompt.*``: the template that the provider keeps, where the call names one."""

    name: str
    version: str | None = None


class Dimension(Shape, frozen=True, kw_only=True):
    """``gen_ai.embeddings.dimension.count``."""

    count: int


class Embeddings(Shape, frozen=True, kw_only=True):
    """``gen_ai.embeddings.*``: how long the vectors are. The vectors are never recorded."""

    dimension: Dimension


class Input(Shape, frozen=True, kw_only=True):
    """What was sent. ``count`` is the number of messages or inputs, also where content is not kept."""

    messages: tuple[Message, ...] = ()
    count: int | None = None


class Output(Shape, frozen=True, kw_only=True):
    """What came back: one message a choice. ``type`` is ``gen_ai.output.type``, ``schema`` the JSON schema, where the request names one."""

    messages: tuple[Message, ...] = ()
    type: str | None = None
    schema: object = None


class Tool(Shape, frozen=True, kw_only=True):
    """``gen_ai.tool.definitions``."""

    definitions: tuple[ToolDefinition, ...] = ()


class Error(Shape, frozen=True, kw_only=True):
    """``error.type`` as the provider or the client names it, and its words; ``code`` where the provider has a finer word besides.

    ``permanent``: to try again will not help, though the status says that it may (no quota left, a bill not paid).
    """

    type: str
    message: str | None = None
    code: str | None = None
    permanent: bool | None = None  # only ever true


class RateLimit(Shape, frozen=True, kw_only=True):
    """What is left of one of the provider's limits, as its headers tell. ``reset`` is seconds from the answer."""

    name: str  # requests, tokens, input_tokens ...
    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None


class Attempt(Shape, frozen=True, kw_only=True):
    """One HTTP attempt inside a call. Durations are seconds; ``processing_time`` is what the provider says it took itself."""

    started_at: datetime
    duration: float
    status_code: int | None = None
    error_type: str | None = None
    provider_request_id: str | None = None
    retry_after: float | None = None
    processing_time: float | None = None
    rate_limits: tuple[RateLimit, ...] = ()


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


class Sampling(Shape, frozen=True, kw_only=True):
    """How a record came to be kept where not all are. It stands for ``1 / rate`` records like it."""

    rate: float  # how likely it was
    reason: str  # rate, rule, sampler; error, retried, slow, expensive; child: something inside was kept


class ScopeInfo(Shape, frozen=True, kw_only=True):
    """The web request or job a record belongs to, copied onto each of its records."""

    name: str | None = None
    method: str | None = None
    route: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    tags: dict[str, object] = msgspec.field(default_factory=dict)
