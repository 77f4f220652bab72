"""Whether a request goes to Bedrock, and what of it stands in its address and headers.

``/model/{}/invoke`` is a path that an application's own service may have. At Bedrock's hosts the path says it. Elsewhere (a gateway, a
proxy, an ``endpoint_url``) a header of AWS's has to, or the model's id has to be one of Bedrock's, or the body has to have members that
nobody else calls so.
"""

import re
from typing import Any
from urllib.parse import unquote

import msgspec

from llm_observe.records import CallRequest, Exchange, Prompt
from llm_observe.wire.jsonio import encodable, items, mapping
from llm_observe.wire.provider import provider_of

_MAKERS = (
    *("ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "luma", "meta", "minimax", "mistral", "moonshot", "moonshotai"),
    *("nvidia", "openai", "qwen", "stability", "twelvelabs", "writer", "zai"),
)
_MODEL = re.compile(rf"(?:[a-z-]{{2,9}}\.)?(?:{'|'.join(_MAKERS)})\.[a-z0-9]|arn:aws[a-z-]*:(?:bedrock|sagemaker):")
_PROMPT = re.compile(r"arn:aws[a-z-]*:bedrock:[^/]*:prompt/(?P<name>[^:/]+)(?::(?P<version>[^:/]+))?")
_CLIENT = frozenset({"amz-sdk-invocation-id", "amz-sdk-request"})  # AWS's SDKs send them with each request
_HEADERS = "x-amzn-bedrock-"
_OWN = frozenset({"anthropic_version", "inferenceConfig", "textGenerationConfig", "max_gen_len", "max_tokens_to_sample"})


def is_converse(body: Any, exchange: Exchange) -> bool:
    """Messages whose blocks tell by their only member what they are."""
    return _is_bedrocks(exchange) or _has_untyped_blocks(mapping(body))


def is_invoke(body: Any, exchange: Exchange) -> bool:
    """Whatever a family of models takes."""
    return _is_bedrocks(exchange) or not _OWN.isdisjoint(mapping(body))


def is_converse_like(body: dict[str, Any]) -> bool:
    """Whether a body is of Converse's kind, as Nova's is."""
    return "schemaVersion" in body or "inferenceConfig" in body or _has_untyped_blocks(body)


def model_of(exchange: Exchange) -> str | None:
    """The model in the path: an id, that of a profile, or a whole ARN."""
    path = exchange.path.partition("?")[0].partition("#")[0]
    return encodable(unquote(path.partition("/model/")[2].rpartition("/")[0])) or None


def prompt_of(exchange: Exchange) -> Prompt | None:
    """The template that Bedrock keeps, where the model is one."""
    match = _PROMPT.match(model_of(exchange) or "")
    return Prompt(name=match["name"], version=match["version"]) if match else None


def addressed(request: CallRequest, exchange: Exchange, *, stream: bool) -> CallRequest:
    """*request* with what stands in the address and in headers: the model, whether it streams, the guardrail, the tier."""
    headers = exchange.request_headers
    return msgspec.structs.replace(
        request,
        model=model_of(exchange),
        stream=stream or None,
        guardrail=request.guardrail or encodable(headers.get("x-amzn-bedrock-guardrailidentifier")),
        service_tier=request.service_tier or encodable(headers.get("x-amzn-bedrock-service-tier")),
    )


def _is_bedrocks(exchange: Exchange) -> bool:
    return (
        provider_of(exchange.host, exchange.port, exchange.path, home="").name == "aws.bedrock"
        or not _CLIENT.isdisjoint(exchange.request_headers)
        or any(name.startswith(_HEADERS) for headers in (exchange.request_headers, exchange.response_headers) for name in headers)
        or _MODEL.match(model_of(exchange) or "") is not None
    )


def _has_untyped_blocks(body: dict[str, Any]) -> bool:
    message = mapping(next(iter(items(body.get("messages"))), None))
    block = mapping(next(iter(items(message.get("content"))), None))
    return bool(block) and "type" not in block and "model" not in body
