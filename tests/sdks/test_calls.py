"""Whatever SDK asks, and however: one call on record, which says what the answer said."""

import contextlib
import json

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # what the SDKs do that is deprecated is not ours to mend

HI = [{"role": "user", "content": "hi"}]
MODEL = "the-model"
V1 = "/v1"


async def drained(answer, stream):
    """Read an async answer to its end, where it is a stream."""
    if stream:
        async for _ in answer:
            pass


def spent(answer, stream):
    """Read an answer to its end, where it is a stream."""
    if stream:
        for _ in answer:
            pass


# --- OpenAI's SDK, and those made like it ----------------------------------------------------------------------------


def openai_client(url, **options):
    import openai

    return openai.OpenAI(api_key="none", base_url=url + V1, max_retries=2, **options)


def openai_aclient(url, **options):
    import openai

    return openai.AsyncOpenAI(api_key="none", base_url=url + V1, max_retries=2, **options)


def openai_chat(url, stream):
    with openai_client(url) as client:
        spent(client.chat.completions.create(model=MODEL, messages=HI, stream=stream), stream)


async def openai_chat_async(url, stream):
    async with openai_aclient(url) as client:
        await drained(await client.chat.completions.create(model=MODEL, messages=HI, stream=stream), stream)


async def openai_chat_aiohttp(url, stream):
    import openai

    async with openai_aclient(url, http_client=openai.DefaultAioHttpClient()) as client:
        await drained(await client.chat.completions.create(model=MODEL, messages=HI, stream=stream), stream)


def openai_responses(url, stream):
    with openai_client(url) as client:
        spent(client.responses.create(model=MODEL, input="hi", stream=stream), stream)


async def openai_responses_async(url, stream):
    async with openai_aclient(url) as client:
        await drained(await client.responses.create(model=MODEL, input="hi", stream=stream), stream)


def openai_completions(url, stream):
    with openai_client(url) as client:
        spent(client.completions.create(model=MODEL, prompt="hi", stream=stream), stream)


def openai_embeddings(url, stream):
    with openai_client(url) as client:
        client.embeddings.create(model=MODEL, input=["hi"])


def groq_chat(url, stream):
    import groq

    with groq.Groq(api_key="none", base_url=url, max_retries=2) as client:
        spent(client.chat.completions.create(model=MODEL, messages=HI, stream=stream), stream)


async def groq_chat_async(url, stream):
    import groq

    async with groq.AsyncGroq(api_key="none", base_url=url, max_retries=2) as client:
        await drained(await client.chat.completions.create(model=MODEL, messages=HI, stream=stream), stream)


# --- Anthropic -------------------------------------------------------------------------------------------------------


def anthropic_messages(url, stream):
    import anthropic

    with anthropic.Anthropic(api_key="none", base_url=url, max_retries=2) as client:
        spent(client.messages.create(model=MODEL, max_tokens=9, messages=HI, stream=stream), stream)


async def anthropic_messages_async(url, stream):
    import anthropic

    async with anthropic.AsyncAnthropic(api_key="none", base_url=url, max_retries=2) as client:
        await drained(await client.messages.create(model=MODEL, max_tokens=9, messages=HI, stream=stream), stream)


async def anthropic_messages_aiohttp(url, stream):
    import anthropic

    async with anthropic.AsyncAnthropic(
        api_key="none", base_url=url, max_retries=2, http_client=anthropic.DefaultAioHttpClient()
    ) as client:
        await drained(await client.messages.create(model=MODEL, max_tokens=9, messages=HI, stream=stream), stream)


# --- Google ----------------------------------------------------------------------------------------------------------


def genai_client(url):
    from google import genai
    from google.genai import types

    retry = types.HttpRetryOptions(attempts=3, initial_delay=0.01, max_delay=0.01)
    return genai.Client(api_key="none", http_options=types.HttpOptions(base_url=url, retry_options=retry))


def genai_generate(url, stream):
    client = genai_client(url)
    ask = client.models.generate_content_stream if stream else client.models.generate_content
    spent(ask(model=MODEL, contents="hi"), stream)


async def genai_generate_async(url, stream):
    client = genai_client(url)
    try:
        ask = client.aio.models.generate_content_stream if stream else client.aio.models.generate_content
        await drained(await ask(model=MODEL, contents="hi"), stream)
    finally:
        await client.aio.aclose()


def genai_embed(url, stream):
    client = genai_client(url)
    client.models.embed_content(model=MODEL, contents=["hi"])


# --- Mistral, Cohere, Ollama -----------------------------------------------------------------------------------------


def mistral_client(url):
    from mistralai.client import Mistral
    from mistralai.client.utils import BackoffStrategy, RetryConfig

    return Mistral(api_key="none", server_url=url, retry_config=RetryConfig("backoff", BackoffStrategy(1, 10, 1.0, 5000), True))


def mistral_chat(url, stream):
    with mistral_client(url) as client:
        spent((client.chat.stream if stream else client.chat.complete)(model=MODEL, messages=HI), stream)


async def mistral_chat_async(url, stream):
    async with mistral_client(url) as client:
        await drained(await (client.chat.stream_async if stream else client.chat.complete_async)(model=MODEL, messages=HI), stream)


def mistral_embeddings(url, stream):
    with mistral_client(url) as client:
        client.embeddings.create(model=MODEL, inputs=["hi"])


def cohere_chat(url, stream):
    import cohere

    client = cohere.ClientV2("none", base_url=url)
    spent((client.chat_stream if stream else client.chat)(model=MODEL, messages=HI), stream)


async def cohere_chat_async(url, stream):
    import cohere

    async with cohere.AsyncClientV2("none", base_url=url) as client:
        if stream:
            await drained(client.chat_stream(model=MODEL, messages=HI), stream)
        else:
            await client.chat(model=MODEL, messages=HI)


def ollama_chat(url, stream):
    import ollama

    spent(ollama.Client(host=url).chat(model=MODEL, messages=HI, stream=stream), stream)


async def ollama_chat_async(url, stream):
    import ollama

    await drained(await ollama.AsyncClient(host=url).chat(model=MODEL, messages=HI, stream=stream), stream)


def ollama_generate(url, stream):
    import ollama

    spent(ollama.Client(host=url).generate(model=MODEL, prompt="hi", stream=stream), stream)


# --- AWS -------------------------------------------------------------------------------------------------------------

SAID = [{"role": "user", "content": [{"text": "hi"}]}]
ASKED = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": HI})


def bedrock(url):
    import boto3
    from botocore.config import Config

    config = Config(retries={"mode": "standard", "max_attempts": 3}, proxies={})
    return contextlib.closing(boto3.client("bedrock-runtime", endpoint_url=url, region_name="us-east-1", config=config))


def bedrock_converse(url, stream):
    with bedrock(url) as client:
        if stream:
            spent(client.converse_stream(modelId=MODEL, messages=SAID)["stream"], stream)
        else:
            client.converse(modelId=MODEL, messages=SAID)


def bedrock_invoke(url, stream):
    with bedrock(url) as client:
        if stream:
            spent(client.invoke_model_with_response_stream(modelId=MODEL, body=ASKED)["body"], stream)
        else:
            client.invoke_model(modelId=MODEL, body=ASKED)["body"].read()


async def aiobotocore_converse(url, stream):
    from aiobotocore.session import get_session

    async with get_session().create_client("bedrock-runtime", endpoint_url=url, region_name="us-east-1") as client:
        if stream:
            await drained((await client.converse_stream(modelId=MODEL, messages=SAID))["stream"], stream)
        else:
            await client.converse(modelId=MODEL, messages=SAID)


# --- what stands on several ------------------------------------------------------------------------------------------


def litellm_openai(url, stream):
    import litellm

    spent(litellm.completion(f"openai/{MODEL}", messages=HI, api_base=url + V1, api_key="none", stream=stream, max_retries=2), stream)


async def litellm_openai_async(url, stream):
    import litellm

    answer = await litellm.acompletion(f"openai/{MODEL}", messages=HI, api_base=url + V1, api_key="none", stream=stream, max_retries=2)
    await drained(answer, stream)


def litellm_anthropic(url, stream):
    import litellm

    spent(litellm.completion(f"anthropic/{MODEL}", messages=HI, api_base=url, api_key="none", stream=stream, max_tokens=9), stream)


async def litellm_anthropic_async(url, stream):
    import litellm

    answer = await litellm.acompletion(f"anthropic/{MODEL}", messages=HI, api_base=url, api_key="none", stream=stream, max_tokens=9)
    await drained(answer, stream)


def langchain_openai(url, stream):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model=MODEL, api_key="none", base_url=url + V1, max_retries=2, stream_usage=False)
    spent(model.stream("hi"), stream) if stream else model.invoke("hi")


async def langchain_openai_async(url, stream):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model=MODEL, api_key="none", base_url=url + V1, max_retries=2, stream_usage=False)
    await (drained(model.astream("hi"), stream) if stream else model.ainvoke("hi"))


def langchain_anthropic(url, stream):
    from langchain_anthropic import ChatAnthropic

    model = ChatAnthropic(model=MODEL, api_key="none", base_url=url, max_retries=2, max_tokens=9)
    spent(model.stream("hi"), stream) if stream else model.invoke("hi")


async def langchain_anthropic_async(url, stream):
    from langchain_anthropic import ChatAnthropic

    model = ChatAnthropic(model=MODEL, api_key="none", base_url=url, max_retries=2, max_tokens=9)
    await (drained(model.astream("hi"), stream) if stream else model.ainvoke("hi"))


# Module, format, whose recordings are played, how to ask; and what is particular.
ASKS = [
    ("openai", "openai.chat", "openai", openai_chat, {}),
    ("openai", "openai.chat", "openai", openai_chat_async, {}),
    ("openai", "openai.chat", "openai", openai_chat_aiohttp, {}),
    ("openai", "openai.responses", "openai", openai_responses, {}),
    ("openai", "openai.responses", "openai", openai_responses_async, {}),
    ("openai", "openai.completions", "openai", openai_completions, {}),
    ("openai", "openai.embeddings", "openai", openai_embeddings, {"streams": (False,)}),
    ("groq", "groq.chat", "groq", groq_chat, {"endpoint": "groq"}),
    ("groq", "groq.chat", "groq", groq_chat_async, {"endpoint": "groq"}),
    ("anthropic", "anthropic.messages", "anthropic", anthropic_messages, {}),
    ("anthropic", "anthropic.messages", "anthropic", anthropic_messages_async, {}),
    ("anthropic", "anthropic.messages", "anthropic", anthropic_messages_aiohttp, {}),
    ("google.genai", "gemini.generate_content", "gemini", genai_generate, {}),
    ("google.genai", "gemini.generate_content", "gemini", genai_generate_async, {"client": "aiohttp"}),
    ("google.genai", "gemini.embed", "gemini", genai_embed, {"streams": (False,)}),
    ("mistralai", "mistral.chat", "mistral", mistral_chat, {"endpoint": "mistral_ai"}),
    ("mistralai", "mistral.chat", "mistral", mistral_chat_async, {"endpoint": "mistral_ai"}),
    ("mistralai", "mistral.embeddings", "mistral", mistral_embeddings, {"endpoint": "mistral_ai", "streams": (False,)}),
    ("cohere", "cohere.chat", "cohere", cohere_chat, {"endpoint": "cohere", "path": "/v2/chat", "streams_retry": False}),
    ("cohere", "cohere.chat", "cohere", cohere_chat_async, {"endpoint": "cohere", "path": "/v2/chat", "streams_retry": False}),
    ("ollama", "ollama.chat", "ollama", ollama_chat, {"endpoint": "ollama", "retries": False}),
    ("ollama", "ollama.chat", "ollama", ollama_chat_async, {"endpoint": "ollama", "retries": False}),
    ("ollama", "ollama.generate", "ollama", ollama_generate, {"endpoint": "ollama", "retries": False}),
    ("boto3", "bedrock.converse", "bedrock", bedrock_converse, {"client": "botocore", "streams": (False,)}),
    ("boto3", "bedrock.converse_stream", "bedrock", bedrock_converse, {"client": "botocore", "streams": (True,)}),
    ("boto3", "bedrock.invoke", "bedrock", bedrock_invoke, {"client": "botocore", "streams": (False,), "path": "/anthropic."}),
    ("boto3", "bedrock.invoke_stream", "bedrock", bedrock_invoke, {"client": "botocore", "streams": (True,), "path": "/anthropic."}),
    ("aiobotocore", "bedrock.converse", "bedrock", aiobotocore_converse, {"client": "aiohttp", "streams": (False,)}),
    ("aiobotocore", "bedrock.converse_stream", "bedrock", aiobotocore_converse, {"client": "aiohttp", "streams": (True,)}),
    ("litellm", "openai.chat", "openai", litellm_openai, {}),
    ("litellm", "openai.chat", "openai", litellm_openai_async, {}),
    ("litellm", "anthropic.messages", "anthropic", litellm_anthropic, {"retries": False}),
    ("litellm", "anthropic.messages", "anthropic", litellm_anthropic_async, {"retries": False}),
    ("langchain_openai", "openai.chat", "openai", langchain_openai, {}),
    ("langchain_openai", "openai.chat", "openai", langchain_openai_async, {}),
    ("langchain_anthropic", "anthropic.messages", "anthropic", langchain_anthropic, {}),
    ("langchain_anthropic", "anthropic.messages", "anthropic", langchain_anthropic_async, {}),
]


def test_a_call_is_recorded_once_and_right(ask, recorded, play, wrong):
    """The answer's fields are what others read in the recording, the request's are what was asked."""
    seen = play(ask, recorded)

    assert None is seen.error
    assert ("ok", 1, 1) == (seen.call.status, len(seen.call.attempts), seen.asked)
    assert {} == wrong(seen.call, recorded)
    assert MODEL == seen.call.request.model
    assert ask.client in (None, seen.call.wire.client)


def test_a_stream_has_its_times(ask, stream, play):
    """The first chunk, the first with something in it, and all the gaps."""
    call = play(ask, stream).call

    assert 0 < call.response.time_to_first_chunk <= call.response.time_to_first_content <= call.duration
    assert call.response.time_to_first_chunk + sum(call.response.chunk_gaps) / 1e6 <= call.duration


def test_a_failure_and_its_retry_are_one_call(ask, recorded, play, wrong):
    """Of two attempts; where the SDK tries no second time, a call that failed."""
    seen = play(ask, recorded, failures=1)

    if ask.retries and (ask.streams_retry or not recorded.response_is_stream):
        assert None is seen.error
        assert ("ok", [503, 200], 2) == (seen.call.status, [one.status_code for one in seen.call.attempts], seen.asked)
        assert {} == wrong(seen.call, recorded)
    else:
        assert seen.error is not None
        assert ("error", [503], 1) == (seen.call.status, [one.status_code for one in seen.call.attempts], seen.asked)
