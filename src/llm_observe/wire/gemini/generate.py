"""Gemini's ``generateContent`` and ``streamGenerateContent``, on AI Studio, on Vertex AI and behind gateways.

A stream's events are whole answers, each with the parts that are new; a plain answer is a stream of one.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from llm_observe.records import CallRequest, Choice, Error, Exchange, ReasoningRequest
from llm_observe.wire.answer import Answer, Asked, retry_delay, unread_reason
from llm_observe.wire.gemini.errors import failed, stray
from llm_observe.wire.gemini.fields import member, model_of, several, word
from llm_observe.wire.gemini.fold import Candidate
from llm_observe.wire.gemini.parts import content_parts, message_of, tool_definitions
from llm_observe.wire.gemini.usage import usage_of, with_searches
from llm_observe.wire.jsonio import MALFORMED, Document, integer, items, load, mapping, number, text

_DONE = b"[DONE]"  # not Google's, but some gateways'
_ASKED_FOR = ("", "TEXT", "IMAGE", "AUDIO")
_USUAL = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId", "createTime"})
_BLOCKED = ("", "SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT")
_STUDIO = (
    *("", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
    *("MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "IMAGE_PROHIBITED_CONTENT"),
    *("IMAGE_OTHER", "NO_IMAGE", "IMAGE_RECITATION"),
)
_VERTEX = (
    *("", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL"),
    *("MODEL_ARMOR", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "UNEXPECTED_TOOL_CALL", "NO_IMAGE"),
)


def asked(body: Any, exchange: Exchange) -> Asked:
    """The request."""
    body = mapping(body)
    config = mapping(member(body, "generationConfig"))
    contents = body.get("contents")
    told = several(contents)
    count = integer(member(config, "candidateCount"))
    level = text(member(mapping(member(config, "thinkingConfig")), "thinkingLevel"))
    schema, output_type = _output(config)
    return Asked(
        request=CallRequest(
            model=model_of(exchange.path) or text(body.get("model")),
            stream=True if exchange.path.partition("?")[0].endswith(":streamGenerateContent") else None,
            max_tokens=integer(member(config, "maxOutputTokens")),
            temperature=number(config.get("temperature")),
            top_p=number(member(config, "topP")),
            top_k=integer(member(config, "topK")),
            frequency_penalty=number(member(config, "frequencyPenalty")),
            presence_penalty=number(member(config, "presencePenalty")),
            stop_sequences=tuple(stop for stop in items(member(config, "stopSequences")) if type(stop) is str),
            seed=integer(config.get("seed")),
            choice=None if count is None or count == 1 else Choice(count=count),
            reasoning=ReasoningRequest(level=level) if level else None,
            service_tier=text(member(body, "serviceTier")),
        ),
        system=content_parts(member(body, "systemInstruction")),
        messages=tuple(message_of(content) for content in told if type(content) is dict),
        count=len(told) if type(contents) in {list, dict} else None,
        tools=tool_definitions(body.get("tools")),
        output_type=output_type,
        schema=schema,
    )


def answered(document: Any, exchange: Exchange) -> Answer:
    """A plain answer."""
    return _Chunks(exchange, stream=False).all_of([document])


def streamed(events: Sequence[bytes], exchange: Exchange) -> Answer:
    """A stream: it is complete where every candidate has its reason, or the prompt was refused. No mark follows."""
    return _Chunks(exchange, stream=True).all_of({} if event == _DONE else load(event) for event in events)


class _Chunks:
    """Everything that the chunks of one answer say."""

    def __init__(self, exchange: Exchange, *, stream: bool) -> None:
        self._exchange = exchange
        self._stream = stream
        self._reasons = _VERTEX if "/projects/" in exchange.path or "/publishers/" in exchange.path else _STUDIO
        self._candidates: dict[int, Candidate] = {}
        self._id: str | None = None
        self._model: str | None = None
        self._counts: Document = {}
        self._block: str | None = None  # why the prompt was refused
        self._error: Error | None = None
        self._delay: float | None = None

    def all_of(self, documents: Iterable[Any]) -> Answer:
        """Take them all, and say what they say."""
        unread, first_content = 0, None
        for place, document in enumerate(documents):
            if type(document) is dict:
                if self._add(document) and first_content is None:
                    first_content = place
            elif document is MALFORMED:
                unread += 1
            else:
                self._fail(document)
        candidates = [self._candidates[index] for index in sorted(self._candidates)]
        ended = self._block is not None or (bool(candidates) and all(candidate.reason for candidate in candidates))
        if self._stream and not ended and self._error is None:
            document, self._error = stray(self._exchange)
            self._delay = retry_delay(document)
        choices = tuple((candidate.role, candidate.parts()) for candidate in candidates)
        return Answer(
            id=self._id,
            model=self._model,
            service_tier=text(member(self._counts, "serviceTier")) or text(member(self._counts, "trafficType")),
            choices=choices,
            reasons=tuple(candidate.reason for candidate in candidates),
            mapped=self._mapped(candidates, choices) if self._stream or ended or any(c.reason for c in candidates) else None,
            usage=with_searches(usage_of(self._counts), sum(candidate.searches for candidate in candidates)),
            error=self._error,
            complete=ended or not self._stream,
            reason=f"prompt refused: {self._block}" if self._block else unread_reason(unread),
            first_content=first_content,
            retry_after=self._delay,
        )

    def _add(self, chunk: Document) -> bool:
        """One more chunk. Whether it has something of the answer in it."""
        self._id = self._id or text(member(chunk, "responseId"))
        self._model = self._model or text(member(chunk, "modelVersion"))
        self._counts = mapping(member(chunk, "usageMetadata")) or self._counts
        if not chunk.keys() <= _USUAL:
            feedback = mapping(member(chunk, "promptFeedback"))
            self._block = word(member(feedback, "blockReason"), _BLOCKED) or self._block
            if "error" in chunk:
                self._fail(chunk)
        something = False
        for position, candidate in enumerate(several(chunk.get("candidates"))):
            if type(candidate) is dict:
                index = integer(candidate.get("index", position))
                index = position if index is None else index
                held = self._candidates.get(index)
                if held is None:
                    held = self._candidates[index] = Candidate(self._reasons, stream=self._stream)
                something = held.add(candidate) or something
        return something

    def _fail(self, document: Any) -> None:
        self._error = self._error or failed(document, self._exchange)
        self._delay = retry_delay(document) if self._delay is None else self._delay

    def _mapped(self, candidates: list[Candidate], choices: tuple[tuple[str, Any], ...]) -> tuple[str, ...]:
        blocked = self._block is not None
        if blocked and not candidates:
            return ("content_filter",)
        return tuple(candidate.ended(parts, blocked=blocked) for candidate, (_, parts) in zip(candidates, choices, strict=True))


def _output(config: Document) -> tuple[Any, str | None]:
    """The schema that the answer is to have, and of what type it is to be."""
    formats = [mapping(form) for form in several(member(config, "responseFormat"))]
    modalities = {word(kind, _ASKED_FOR) for kind in items(member(config, "responseModalities")) if type(kind) in {str, int}}
    wanted = next((mapping(form["text"]) for form in formats if "text" in form), {})
    schema = next(
        (found for name in ("responseJsonSchema", "_responseJsonSchema", "responseSchema") if (found := member(config, name))), None
    )
    schema = schema or wanted.get("jsonSchema") or wanted.get("schema")
    mime_type = text(member(config, "responseMimeType")) or text(member(wanted, "mimeType")) or ""
    if "AUDIO" in modalities or any("audio" in form for form in formats):
        return schema, "speech"
    if "IMAGE" in modalities or any("image" in form for form in formats):
        return schema, "image"
    if schema or mime_type == "application/json":
        return schema, "json"
    return schema, "text" if "TEXT" in modalities or mime_type.startswith("text/") else None
