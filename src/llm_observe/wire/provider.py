"""Who was spoken to: the provider's name from the parsed host.

Hosts are compared whole or by their last labels, never by substring: ``attacker.example/api.openai.com`` and
``api.openai.com.attacker.example`` are nobody's. Names are those of the OpenTelemetry registry where it has one, else
lower-case names of our own; an Azure AI Foundry resource is ``azure.ai.inference`` unless its path says OpenAI.
"""

import re
from functools import lru_cache

from llm_observe.records import Exchange, Provider

_HOSTS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "claude.googleapis.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.mistral.ai": "mistral_ai",
    "codestral.mistral.ai": "mistral_ai",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "openrouter.ai": "openrouter",
    "api.together.ai": "together_ai",
    "api.together.xyz": "together_ai",
    "api.fireworks.ai": "fireworks",
    "api.cerebras.ai": "cerebras",
    "router.huggingface.co": "hugging_face",
    "api-inference.huggingface.co": "hugging_face",
    "api.z.ai": "zai",
    "open.bigmodel.cn": "zai",
    "api.minimax.io": "minimax",
    "api.minimaxi.com": "minimax",
    "api.voyageai.com": "voyageai",
    "ollama.com": "ollama",
    "integrate.api.nvidia.com": "nvidia",
    "api.sambanova.ai": "sambanova",
    "api.novita.ai": "novita",
    "inference.baseten.co": "baseten",
    "api.githubcopilot.com": "github_copilot",
    "api.cloudflare.com": "cloudflare",
    "gateway.ai.cloudflare.com": "cloudflare",
    "api.portkey.ai": "portkey",
    "api.writer.com": "writer",
    "api.inference.crusoecloud.com": "crusoe",
    "managed-inference-api-proxy.crusoecloud.com": "crusoe",
    "api.openrouter.ai": "openrouter",
    "api.minimax.chat": "minimax",
    "api.meta.ai": "meta",
    "api.llama.com": "meta",
    "api.ai21.com": "ai21",
    "api.arcee.ai": "arcee",
    "api.avian.io": "avian",
    "api.deepinfra.com": "deepinfra",
    "api.doubleword.ai": "doubleword",
    "api.featherless.ai": "featherless",
    "api.friendli.ai": "friendli",
    "api.gmi-serving.com": "gmi",
    "api.hyperbolic.xyz": "hyperbolic",
    "api.jina.ai": "jina",
    "api.lambda.ai": "lambda",
    "api.morphllm.com": "morph",
    "api.studio.nebius.ai": "nebius",
    "api.studio.nebius.com": "nebius",
    "inference.api.nscale.com": "nscale",
    "oai.endpoints.kepler.ai.cloud.ovh.net": "ovhcloud",
    "api.poe.com": "poe",
    "api.publicai.co": "publicai",
    "api.scaleway.ai": "scaleway",
    "api.siliconflow.cn": "siliconflow",
    "api.siliconflow.com": "siliconflow",
    "api.synthetic.new": "synthetic",
    "api.upstage.ai": "upstage",
    "api.v0.dev": "v0",
    "api.venice.ai": "venice",
    "api.inference.wandb.ai": "wandb",
    "llm.chutes.ai": "chutes",
    "models.github.ai": "github",
    "ai-gateway.helicone.ai": "helicone",
    "ai-gateway.vercel.sh": "vercel",
}
_DOMAINS = {
    "api.openai.com": "openai",  # regional: eu.api.openai.com
    "api.x.ai": "x_ai",
    "openai.azure.com": "azure.ai.openai",
    "openai.azure.us": "azure.ai.openai",
    "openai.azure.cn": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "azure-api.net": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "models.ai.azure.com": "azure.ai.inference",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
    "endpoints.huggingface.cloud": "hugging_face",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "databricks.com": "databricks",
    "azuredatabricks.net": "databricks",
    "snowflakecomputing.com": "snowflake",
    "inference.heroku.com": "heroku",
    "api.baseten.co": "baseten",  # one's own model: model-x.api.baseten.co
    "githubcopilot.com": "github_copilot",  # by plan: api.business.githubcopilot.com
}
_PATTERNS = [
    (re.compile(r"bedrock-runtime(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)"), "aws.bedrock"),
    (re.compile(r"bedrock-mantle\.[a-z0-9-]+\.api\.aws"), "aws.bedrock"),
    (re.compile(r"[a-z0-9-]+\.bedrock-runtime(-fips)?\.[a-z0-9-]+\.vpce\.amazonaws\.com"), "aws.bedrock"),
    (re.compile(r"aws-external-anthropic\.[a-z0-9-]+\.api\.aws"), "anthropic"),
    (re.compile(r"generativelanguage\.mtls\.googleapis\.com"), "gcp.gemini"),
    (re.compile(r"([a-z0-9-]+-)?aiplatform(\.mtls)?\.googleapis\.com"), "gcp.vertex_ai"),
    (re.compile(r"aiplatform\.[a-z0-9-]+\.rep\.googleapis\.com"), "gcp.vertex_ai"),
    (re.compile(r"dashscope[a-z0-9-]*\.aliyuncs\.com"), "dashscope"),
    (re.compile(r"ark\.[a-z0-9-]+\.volces\.com"), "volcengine"),
]
_OLLAMA_PORT = 11434


@lru_cache(maxsize=1024)  # an application calls few
def provider_of(host: str, port: int | None, path: str, *, home: str) -> Provider:
    """The provider behind *host*, or *home* (where the format comes from) marked as guessed."""
    name = _known(host.lower().rstrip("."))
    if name is None:
        return Provider(name="ollama") if port == _OLLAMA_PORT else _guess(home)
    if name == "azure.ai.inference" and "/openai/" in path:
        name = "azure.ai.openai"
    return Provider(name=name)


def known_host(exchange: Exchange) -> bool:
    """Whether the exchange went to a provider that a rule here knows."""
    return not provider_of(exchange.host, exchange.port, exchange.path, home="").guessed


@lru_cache(maxsize=64)
def _guess(home: str) -> Provider:
    return Provider(name=home, guessed=True)


@lru_cache(maxsize=1024)
def _known(host: str) -> str | None:
    name = _HOSTS.get(host)
    domain = host
    while name is None and "." in domain:
        domain = domain.partition(".")[2]
        name = _DOMAINS.get(domain)
    if name is None:
        name = next((name for pattern, name in _PATTERNS if pattern.fullmatch(host)), None)
    return name
