"""What the fake provider is told to answer, and what it was asked."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the caller's tools. ``id`` is made up when it is None; ``arguments`` may be a text that is no JSON."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the provider, in words that fit every format.

    What it says
        *text*; None is ``You said: ...``. *thinking* is a thinking block (OpenAI's services only count it), *refusal* is said in place of
        the text, *tool_calls* come after the text (and without *text* alone). *finish* is either service's own word for the reason
        (``stop``, ``length``, ``tool_calls``, ``end_turn`` ...). *model* is the model that says it answered; None is the one asked for.
    What it counts
        Tokens: *input_tokens* is the total with cached and cache-written tokens in it, *output_tokens* the total with reasoning. None
        counts words.
    How it fails
        *status* from 400 up answers an error, with *text* as its message and *error_type* as its type. *error_in_stream* ends a stream
        with an error event in place of the finish; a plain answer becomes that error.
    How it travels
        *delay* is the number of seconds before the headers, *chunk_delay* before each content delta, *chunks* the number of content
        deltas. *cut_after* breaks the connection off after so many content deltas of a stream, or bytes of a plain body; *reset* does it
        with a TCP reset, where whatever the client has not read yet may be lost. *drop* breaks it off without any answer. *gzip*
        compresses the body. *headers* are added to the usual ones, or replace them. *raw* is the body, whatever it is, and makes all
        that it says, counts and fails with irrelevant but the status; with *chunks*, it is streamed in so many pieces.
    """

    text: str | None = None
    _: KW_ONLY
    thinking: str | None = None
    refusal: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    finish: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int | None = None
    status: int = 200
    error_type: str | None = None
    error_in_stream: bool = False
    delay: float = 0.0
    chunk_delay: float = 0.0
    chunks: int | None = None
    cut_after: int | None = None
    reset: bool = False
    drop: bool = False
    gzip: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """One request as the provider received it.

    Header names are in lower case. ``body`` is the parsed JSON, None where there is none; ``raw`` its bytes. ``attempt`` is 0 for a first
    attempt and n for the n-th retry: what ``x-stainless-retry-count`` says, and without that header how often the same body came before.
    ``received_at`` is in seconds since the epoch.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None
    raw: bytes = b""
    attempt: int = 0
    received_at: float = field(default_factory=time.time)

    @property
    def format(self) -> str | None:
        """The wire format that the path speaks: ``openai.chat``, ``anthropic.messages``, or None."""
        path = self.path.partition("?")[0]
        if path.endswith("/chat/completions"):
            return "openai.chat"
        return "anthropic.messages" if path.endswith("/v1/messages") else None

    @property
    def model(self) -> str:
        """The model asked for; empty when there is none."""
        model = self._get("model")
        return model if isinstance(model, str) else ""

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        return self._get("stream") is True

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the conversation, without Anthropic's system field."""
        messages = self._get("messages")
        return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []

    @property
    def prompt(self) -> str:
        """The last thing the user said in words."""
        for message in reversed(self.messages):
            if message.get("role") == "user" and (text := " ".join(_texts(message.get("content")))):
                return text
        return ""

    @property
    def words(self) -> int:
        """The words of the whole conversation, counted by the spaces between them."""
        contents = [self._get("system"), *(message.get("content") for message in self.messages)]
        return sum(words(text) for content in contents for text in _texts(content))

    def _get(self, name: str) -> Any:
        return self.body.get(name) if isinstance(self.body, dict) else None


Answering: TypeAlias = Reply | str | Callable[[Received], Reply | str]
"""What may be queued or routed: a reply, its text, or a function that makes one from the request."""


def words(text: str) -> int:
    """The words of *text*. Counting spaces is a hundred times faster than splitting 100 KB, and as deterministic."""
    return text.count(" ") + 1 if text else 0


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]
