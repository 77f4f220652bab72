"""What Anthropic serves: at home, and on the clouds that host its models."""

from llm_observe.wire.anthropic import complete, messages
from llm_observe.wire.format import Format

FORMATS: tuple[Format, ...] = (
    Format(
        name="anthropic.messages",
        operation="chat",
        home="anthropic",
        paths=("/messages",),
        asked=messages.asked,
        answered=messages.answered,
        streamed=messages.streamed,
        agrees=messages.agrees,
    ),
    Format(  # the same on Vertex AI
        name="anthropic.messages",
        operation="chat",
        home="gcp.vertex_ai",
        paths=("/publishers/anthropic/models/{}:rawPredict", "/publishers/anthropic/models/{}:streamRawPredict"),
        asked=messages.asked,
        answered=messages.answered,
        streamed=messages.streamed,
        agrees=messages.is_raw_predict,
    ),
    Format(  # before there were messages
        name="anthropic.complete",
        operation="text_completion",
        home="anthropic",
        paths=("/v1/complete",),
        asked=complete.asked,
        answered=complete.answered,
        streamed=complete.streamed,
        agrees=complete.agrees,
    ),
)
