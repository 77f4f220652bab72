"""What AWS Bedrock's runtime serves."""

from llm_observe.wire.bedrock import converse, invoke
from llm_observe.wire.bedrock.errors import failed
from llm_observe.wire.bedrock.home import is_converse, is_invoke
from llm_observe.wire.format import Format

FORMATS: tuple[Format, ...] = (
    Format(
        name="bedrock.converse",
        operation="chat",
        home="aws.bedrock",
        paths=("/model/{}/converse",),
        asked=converse.asked,
        answered=converse.answered,
        streamed=converse.streamed,
        failed=failed,
        agrees=is_converse,
    ),
    Format(
        name="bedrock.converse_stream",
        operation="chat",
        home="aws.bedrock",
        paths=("/model/{}/converse-stream",),
        asked=converse.asked_streaming,
        answered=converse.answered,
        streamed=converse.streamed,
        failed=failed,
        agrees=is_converse,
    ),
    Format(
        name="bedrock.invoke",
        operation="chat",  # where the body does not tell
        home="aws.bedrock",
        paths=("/model/{}/invoke",),
        asked=invoke.asked,
        answered=invoke.answered,
        streamed=invoke.streamed,
        failed=failed,
        agrees=is_invoke,
    ),
    Format(
        name="bedrock.invoke_stream",
        operation="chat",
        home="aws.bedrock",
        paths=("/model/{}/invoke-with-response-stream",),
        asked=invoke.asked_streaming,
        answered=invoke.answered,
        streamed=invoke.streamed,
        failed=failed,
        agrees=is_invoke,
    ),
)
