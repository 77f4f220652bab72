"""What Cohere serves."""

from llm_observe.wire.format import Format

FORMATS: tuple[Format, ...] = ()
