"""What Ollama serves on its own routes."""

from llm_observe.wire.format import Format

FORMATS: tuple[Format, ...] = ()
