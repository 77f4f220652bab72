"""What a format's decoder hands back: the two halves of an exchange, and the words for why a model stopped."""

from typing import Any

import msgspec

from llm_observe.records import (
    AnyPart,
    Billed,
    CallRequest,
    Conversation,
    Error,
    InputTokens,
    Message,
    Modality,
    OutputTokens,
    Prompt,
    Text,
    ToolDefinition,
    Usage,
)
from llm_observe.wire.headers import seconds_of
from llm_observe.wire.jsonio import integer, items, mapping, text

UNKNOWN_ERROR = "_OTHER"
_NOTHING_BILLED = Billed()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The request side."""

    request: CallRequest = CallRequest()
    system: tuple[AnyPart, ...] = ()
    messages: tuple[Message, ...] = ()
    count: int | None = None
    tools: tuple[ToolDefinition, ...] = ()
    output_type: str | None = None
    schema: Any = None  # that the answer is to have
    operation: str | None = None  # where the body tells, not the path
    conversation: Conversation | None = None
    prompt: Prompt | None = None
    dimension: int | None = None  # of the vectors asked for


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The response side. ``reasons`` are the wire's own, one a choice; None where one never came.

    ``mapped`` has the convention's words, one a choice, where the wire's word alone does not tell: a call ends in ``STOP`` with Gemini.
    An empty one says that there is no reason yet; None leaves it to :func:`finish_reason`.
    """

    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    choices: tuple[tuple[str, tuple[AnyPart, ...]], ...] = ()  # role and parts
    reasons: tuple[str | None, ...] = ()
    mapped: tuple[str, ...] | None = None
    usage: Usage = Usage()
    error: Error | None = None
    complete: bool | None = True  # whether the answer has its end; None where that cannot be known
    reason: str | None = None  # why something is missing
    request_id: str | None = None  # where the body names it
    first_content: int | None = None  # which event was the first with something of the answer in it: text, thought, call
    status: str | None = None
    embedding_count: int | None = None
    dimension: int | None = None  # of the vectors
    retry_after: float | None = None  # seconds, where the body says so
    processing_time: float | None = None  # seconds, where the body says so
    conversation: Conversation | None = None


_REASONS = {
    "stop": (
        *("stop", "eos", "end_turn", "stop_sequence", "complete", "finish", "pause_turn"),
        *("endoftext", "finished", "stop_criteria_met", "success"),
    ),
    "length": (
        *("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded", "continuation", "error_limit"),
        "max_messages",
    ),
    "tool_call": ("tool_calls", "tool_call", "function_call", "tool_use"),
    "content_filter": (
        *("content_filter", "refusal", "content_filtered", "guardrail_intervened", "safety", "error_toxic"),
        *("recitation", "blocklist", "prohibited_content", "spii", "language", "model_armor", "escalation"),
        *("image_safety", "image_prohibited_content", "image_recitation"),
    ),
    "compaction": ("compaction",),
    "error": (
        *("error", "timeout", "failed", "cancelled", "insufficient_system_resource", "malformed_model_output", "malformed_tool_use"),
        *("malformed_function_call", "malformed_response", "unexpected_tool_call", "too_many_tool_calls", "missing_thought_signature"),
        *("image_other", "no_image", "other", "pup_limited_disabled", "user_cancel"),
    ),
}
_MAPPED = {raw: reason for reason, raws in _REASONS.items() for raw in raws}


def finish_reason(raw: str) -> str:
    """The convention's word; a word that has none stays as it is."""
    return _MAPPED.get(raw) or _MAPPED.get(raw.lower(), raw)


def usage(
    *,
    input: int | None,
    output: int | None,
    cache_read: int | None = None,
    cache_write: int | None = None,
    reasoning: int | None = None,
    text: Modality | None = None,
    image: Modality | None = None,
    audio: Modality | None = None,
    billed: Billed | None = None,
) -> Usage:
    """A :class:`Usage` of the counts that are known, by modality too.

    *billed* is left out where it says nothing.
    """
    return Usage(
        input_tokens=input,
        output_tokens=output,
        cache_read=None if cache_read is None else InputTokens(input_tokens=cache_read),
        cache_write=None if cache_write is None else InputTokens(input_tokens=cache_write),
        reasoning=None if reasoning is None else OutputTokens(output_tokens=reasoning),
        text=text,
        image=image,
        audio=audio,
        billed=None if billed is None or billed == _NOTHING_BILLED else billed,
    )


def modality(input: int | None, output: int | None, cache_read: int | None = None) -> Modality | None:
    """The tokens of one kind, where there are any: providers write zeros for the kinds they know."""
    if not (input or output or cache_read):
        return None
    return Modality(
        input_tokens=input or None, output_tokens=output or None, cache_read=InputTokens(input_tokens=cache_read) if cache_read else None
    )


def unread_reason(count: int) -> str | None:
    """What is said of events that could not be read."""
    return None if not count else "1 event is no JSON" if count == 1 else f"{count} events are no JSON"


def error_of(document: Any) -> Error | None:
    """The error in a body or event of the OpenAI or Anthropic kind, or nothing.

    The type is ``error.type``, else ``error.status``, else a ``error.code`` that is a string. Older vLLM and Mistral have the error's
    members at the top; Gemini wraps the document in a list.
    """
    if type(document) is list:
        document = document[0] if document else None
    document = mapping(document)
    error = document.get("error")
    if error is None and document.get("object") != "error":
        return None
    if type(error) is str and error:
        return Error(type=text(document.get("error_type")) or text(document.get("code")) or UNKNOWN_ERROR, message=error)
    if not error or type(error) is not dict:
        if document.get("object") != "error":
            return None
        error = document
    number = integer(error.get("code"))
    code = text(error.get("code")) or (None if number is None else str(number))
    kind = text(error.get("type")) or text(error.get("status")) or code
    return Error(type=kind or UNKNOWN_ERROR, message=_message(error), code=None if code == kind else code)


def retry_delay(document: Any) -> float | None:
    """How long an error of Google's kind asks to be left alone, in seconds: ``details`` with a ``retryDelay`` of ``"12s"``."""
    if type(document) is list:
        document = document[0] if document else None
    for detail in items(mapping(mapping(document).get("error")).get("details")):
        delay = text(mapping(detail).get("retryDelay"))
        if delay is not None and (seconds := seconds_of(delay.removesuffix("s"))) is not None:
            return seconds
    return None


def _message(error: dict[str, Any]) -> str | None:
    return text(error.get("message")) or text(mapping(error.get("message")).get("message")) or text(error.get("detail"))


def text_parts(value: Any) -> tuple[AnyPart, ...]:
    """A plain string as parts: one, or none where it is empty or no string."""
    return (Text(content=value),) if type(value) is str and value else ()
