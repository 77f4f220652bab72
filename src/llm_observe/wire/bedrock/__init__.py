"""What AWS Bedrock's runtime serves."""

from llm_observe.wire.format import Format

FORMATS: tuple[Format, ...] = ()
