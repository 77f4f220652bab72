"""What Cohere serves, and the rerankers of others that speak its language."""

from llm_observe.wire.cohere import chat, embed, generate, home, rerank
from llm_observe.wire.format import Format

FORMATS: tuple[Format, ...] = (
    Format(
        name="cohere.chat",
        operation="chat",
        home="cohere",
        paths=("/v2/chat", "/v1/chat"),
        asked=chat.asked,
        answered=chat.answered,
        streamed=chat.streamed,
        agrees=home.is_chat,
    ),
    Format(
        name="cohere.generate",
        operation="text_completion",
        home="cohere",
        paths=("/v1/generate",),
        asked=generate.asked,
        answered=generate.answered,
        streamed=generate.streamed,
        agrees=home.is_generate,
    ),
    Format(
        name="cohere.embed",
        operation="embeddings",
        home="cohere",
        paths=("/v2/embed", "/v1/embed"),
        asked=embed.asked,
        answered=embed.answered,
        streamed=embed.streamed,
        agrees=home.is_embed,
    ),
    Format(
        name="cohere.rerank",
        operation="rerank",  # the convention has no word for it: what ranks what it is given retrieves nothing
        home="cohere",
        paths=("/rerank",),
        asked=rerank.asked,
        answered=rerank.answered,
        streamed=rerank.streamed,
        agrees=home.is_rerank,
    ),
)
