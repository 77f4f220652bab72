"""What Google serves on AI Studio and Vertex AI."""

from llm_observe.wire.format import Format

FORMATS: tuple[Format, ...] = ()
