"""What Ollama serves on its own routes. (Those of OpenAI that it serves besides are OpenAI's format.)"""

from llm_observe.wire.format import Format
from llm_observe.wire.ollama import chat, embed, generate, home

FORMATS: tuple[Format, ...] = (
    Format(
        name="ollama.chat",
        operation="chat",
        home="ollama",
        paths=("/api/chat",),
        asked=chat.asked,
        answered=chat.answered,
        streamed=chat.streamed,
        agrees=home.is_chat,
    ),
    Format(
        name="ollama.generate",
        operation="text_completion",
        home="ollama",
        paths=("/api/generate",),
        asked=generate.asked,
        answered=generate.answered,
        streamed=generate.streamed,
        agrees=home.is_generate,
    ),
    Format(
        name="ollama.embeddings",
        operation="embeddings",
        home="ollama",
        paths=("/api/embed", "/api/embeddings"),
        asked=embed.asked,
        answered=embed.answered,
        streamed=embed.streamed,
        agrees=home.is_embed,
    ),
)
