"""What OpenAI serves, and the many that speak its language."""

from llm_observe.wire.format import Format
from llm_observe.wire.openai import chat

FORMATS: tuple[Format, ...] = (
    Format(
        name="openai.chat",
        operation="chat",
        home="openai",
        paths=("/chat/completions", "/agents/completions"),
        asked=chat.asked,
        answered=chat.answered,
        streamed=chat.streamed,
        agrees=chat.agrees,
        dialects={"groq": "groq.chat", "mistral_ai": "mistral.chat", "writer": "writer.chat"},
    ),
)
