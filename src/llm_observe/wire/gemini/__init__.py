"""What Google serves on AI Studio and Vertex AI."""

from llm_observe.wire.format import Format
from llm_observe.wire.gemini import embed, generate, interactions
from llm_observe.wire.gemini.errors import failed

_HOME = "gcp.gemini"
_PLACES = ("/models/{}:", "/tunedModels/{}:", "/endpoints/{}:")

FORMATS: tuple[Format, ...] = (
    Format(
        name="gemini.generate_content",
        operation="generate_content",
        home=_HOME,
        paths=tuple(place + verb for place in _PLACES for verb in ("generateContent", "streamGenerateContent")),
        asked=generate.asked,
        answered=generate.answered,
        streamed=generate.streamed,
        failed=failed,
        arrays=True,
    ),
    Format(
        name="gemini.embed",
        operation="embeddings",
        home=_HOME,
        paths=tuple(place + verb for place in _PLACES for verb in ("embedContent", "batchEmbedContents")),
        asked=embed.asked,
        answered=embed.answered,
        streamed=embed.streamed,
        failed=failed,
    ),
    Format(  # the older way on Vertex AI
        name="gemini.embed",
        operation="embeddings",
        home="gcp.vertex_ai",
        paths=("/models/{}:predict", "/endpoints/{}:predict"),
        asked=embed.asked_of_predict,
        answered=embed.answered,
        streamed=embed.streamed,
        failed=failed,
        agrees=embed.predicts_embeddings,
    ),
    Format(
        name="gemini.interactions",
        operation="chat",
        home=_HOME,
        paths=("/interactions",),
        asked=interactions.asked,
        answered=interactions.answered,
        streamed=interactions.streamed,
        failed=failed,
        agrees=interactions.agrees,
    ),
    Format(  # one that went on in the background, or whose stream broke off
        name="gemini.interactions",
        operation="fetch_response",
        home=_HOME,
        paths=("/interactions/{}",),
        asked=interactions.asked_again,
        answered=interactions.fetched,
        streamed=interactions.fetched_stream,
        failed=failed,
        agrees=interactions.is_fetched,
        method="GET",
    ),
)
