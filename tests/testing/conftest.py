"""A provider, and the real SDKs pointed at it."""

from collections.abc import Iterator

import pytest

from llm_observe.testing.provider import FakeProvider


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider whose delays are a hundredth of what they say."""
    with FakeProvider(time_scale=0.01) as provider:
        yield provider


@pytest.fixture
def openai_client(provider):
    """OpenAI's own client."""
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=provider.openai_base_url, api_key="sk-fake") as client:
        yield client


@pytest.fixture
def anthropic_client(provider):
    """Anthropic's own client."""
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(base_url=provider.anthropic_base_url, api_key="sk-fake") as client:
        yield client


@pytest.fixture
def ask_openai(openai_client):
    """Ask OpenAI's client in one line."""

    def ask(prompt: str = "hello", model: str = "gpt-x", **options):
        return openai_client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}], **options)

    return ask


@pytest.fixture
def ask_anthropic(anthropic_client):
    """Ask Anthropic's client in one line."""

    def ask(prompt: str = "hello", model: str = "claude-x", **options):
        return anthropic_client.messages.create(model=model, max_tokens=64, messages=[{"role": "user", "content": prompt}], **options)

    return ask
