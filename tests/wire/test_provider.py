"""The provider from the host, and only from the host."""

import pytest

from llm_observe.records import Provider
from llm_observe.wire.provider import provider_of


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("api.openai.com", "/v1/chat/completions", "openai"),
        ("API.OpenAI.com.", "/", "openai"),
        ("eu.api.openai.com", "/", "openai"),
        ("res.openai.azure.com", "/openai/deployments/d/chat/completions", "azure.ai.openai"),
        ("res.cognitiveservices.azure.com", "/openai/v1/chat/completions", "azure.ai.openai"),
        ("gw.azure-api.net", "/", "azure.ai.openai"),
        ("res.services.ai.azure.com", "/openai/v1/chat/completions", "azure.ai.openai"),
        ("res.services.ai.azure.com", "/models/chat/completions", "azure.ai.inference"),
        ("res.services.ai.azure.com", "/anthropic/v1/messages", "azure.ai.inference"),
        ("api.anthropic.com", "/v1/messages", "anthropic"),
        ("claude.googleapis.com", "/v1/messages", "anthropic"),
        ("aws-external-anthropic.us-east-1.api.aws", "/v1/messages", "anthropic"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "/", "aws.bedrock"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "/", "aws.bedrock"),
        ("bedrock-runtime.us-east-1.api.aws", "/", "aws.bedrock"),
        ("bedrock-runtime.cn-north-1.api.amazonwebservices.com.cn", "/", "aws.bedrock"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "/", "aws.bedrock"),
        ("vpce-0a1-b2.bedrock-runtime.eu-west-1.vpce.amazonaws.com", "/", "aws.bedrock"),
        ("bedrock-mantle.us-east-1.api.aws", "/anthropic/v1/messages", "aws.bedrock"),
        ("generativelanguage.googleapis.com", "/v1beta/openai/chat/completions", "gcp.gemini"),
        ("aiplatform.googleapis.com", "/", "gcp.vertex_ai"),
        ("europe-west4-aiplatform.googleapis.com", "/", "gcp.vertex_ai"),
        ("aiplatform.eu.rep.googleapis.com", "/", "gcp.vertex_ai"),
        ("api.groq.com", "/openai/v1/chat/completions", "groq"),
        ("api.deepseek.com", "/", "deepseek"),
        ("api.x.ai", "/", "x_ai"),
        ("us-east-1.api.x.ai", "/", "x_ai"),
        ("codestral.mistral.ai", "/", "mistral_ai"),
        ("openrouter.ai", "/", "openrouter"),
        ("router.huggingface.co", "/", "hugging_face"),
        ("dashscope-intl.aliyuncs.com", "/", "dashscope"),
        ("ark.cn-beijing.volces.com", "/", "volcengine"),
        ("adb-1.1.azuredatabricks.net", "/serving-endpoints/chat/completions", "databricks"),
        ("us-south.ml.cloud.ibm.com", "/", "ibm.watsonx.ai"),
        ("res.openai.azure.us", "/openai/v1/responses", "azure.ai.openai"),
        ("api.business.githubcopilot.com", "/chat/completions", "github_copilot"),
        ("model-x.api.baseten.co", "/", "baseten"),
        ("api.deepinfra.com", "/v1/openai/chat/completions", "deepinfra"),
        ("api.jina.ai", "/v1/embeddings", "jina"),
        ("api.openrouter.ai", "/api/v1/responses", "openrouter"),
        ("ai-gateway.vercel.sh", "/v1/chat/completions", "vercel"),
    ],
)
def test_a_known_host_names_its_provider(host, path, expected):
    """Registry names first, own lower-case names for the rest."""
    assert Provider(name=expected) == provider_of(host, 443, path, home="openai")


@pytest.mark.parametrize(
    "host",
    [
        "api.openai.com.attacker.example",
        "attacker-api.openai.com.example",
        "xapi.openai.com",
        "notopenai.azure.com",
        "bedrock-runtime.us-east-1.amazonaws.com.attacker.example",
        "bedrock-runtime.us-east-1.attacker.example",
        "aiplatform.googleapis.com.example",
        "notgithubcopilot.com",
        "api.deepinfra.com.example",
        "llm.internal",
        "",
    ],
)
def test_a_host_that_only_looks_like_one_is_a_guess(host):
    """Whole hosts and last labels, never substrings."""
    assert Provider(name="openai", guessed=True) == provider_of(host, 443, "/api.groq.com/openai/v1/chat/completions", home="openai")


def test_ollama_is_known_by_its_port():
    """It has no host of its own."""
    assert Provider(name="ollama") == provider_of("localhost", 11434, "/v1/chat/completions", home="openai")
