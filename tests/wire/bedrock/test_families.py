"""The families behind InvokeModel: each in its maker's words, whatever the model is called."""

import base64
import hashlib

import pytest

from llm_observe.records import (
    Blob,
    CallRequest,
    Choice,
    Error,
    Message,
    Reasoning,
    ReasoningRequest,
    Text,
    ToolCall,
    ToolDefinition,
    Uri,
    Usage,
)
from llm_observe.wire import decode

ARN = "arn%3Aaws%3Abedrock%3Aus-east-1%3A012345678901%3Aapplication-inference-profile%2Fx"  # says nothing of the family
DATA = b"\x89PNG"
B64 = base64.b64encode(DATA).decode()
BLOB = {"size": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()}
ASKED = {"max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "stop_sequences": ("a",)}


@pytest.fixture
def invoked(bedrock):
    """What is decoded of a request and a plain answer."""
    return lambda request, answer=None, **changes: decode(bedrock(answer or {}, request, verb="invoke", **({"model": ARN} | changes)))


@pytest.fixture
def streamed(bedrock, chunk):
    """What is decoded of what the model said piece by piece."""
    return lambda request, *several: decode(bedrock(b"".join(map(chunk, several)), request, verb="invoke-with-response-stream", model=ARN))


# What was asked


@pytest.mark.parametrize(
    ("request_", "parameters"),
    [
        pytest.param(
            {"inputText": "hi", "textGenerationConfig": {"maxTokenCount": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["a"]}},
            {name: value for name, value in ASKED.items() if name != "top_k"},
            id="Titan",
        ),
        pytest.param(
            {"prompt": "hi", "max_gen_len": 9, "temperature": 0.5, "top_p": 0.9},
            {name: value for name, value in ASKED.items() if name not in {"top_k", "stop_sequences"}},
            id="Llama",
        ),
        pytest.param({"prompt": "hi", "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "stop": ["a"]}, ASKED, id="Mistral"),
        pytest.param(
            {"prompt": "hi", "max_tokens": 9, "temperature": 0.5, "p": 0.9, "k": 4, "stop_sequences": ["a"], "num_generations": 2},
            ASKED | {"choice": Choice(count=2)},
            id="Command",
        ),
        pytest.param(
            {"prompt": "hi", "maxTokens": 9, "temperature": 0.5, "topP": 0.9, "topKReturn": 4, "stopSequences": ["a"], "numResults": 1},
            ASKED,
            id="Jurassic",
        ),
        pytest.param(
            {"prompt": "hi", "max_tokens_to_sample": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "stop_sequences": ["a"]},
            ASKED,
            id="Claude's first",
        ),
        pytest.param(
            {"inputs": "hi", "parameters": {"max_new_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "stop": "a", "seed": 3}},
            ASKED | {"seed": 3},
            id="an endpoint of one's own",
        ),
    ],
)
def test_a_prompt_is_the_one_message(invoked, request_, parameters):
    """Its parameters are under the convention's names."""
    decoded = invoked(request_)

    assert CallRequest(model="arn:aws:bedrock:us-east-1:012345678901:application-inference-profile/x", **parameters) == decoded.request
    assert ((Message(role="user", parts=(Text(content="hi"),)),), 1) == (decoded.input.messages, decoded.input.count)
    assert "text_completion" == decoded.operation.name


def test_pictures_may_go_with_a_prompt(invoked):
    """With Llama's."""
    decoded = invoked({"prompt": "hi", "images": [B64, 7], "max_gen_len": 9})

    assert (Text(content="hi"), Blob(modality="image", **BLOB)) == decoded.input.messages[0].parts


@pytest.mark.parametrize(
    ("source", "expected"),
    [({"base64String": B64}, Blob(modality="video", **BLOB)), ({"s3Location": {"uri": "s3://b/k"}}, Uri(modality="video", uri="s3://b/k"))],
)
def test_a_film_may_go_with_a_prompt(invoked, source, expected):
    """With TwelveLabs'."""
    decoded = invoked({"inputPrompt": "hi", "mediaSource": source}, {"message": "a", "finishReason": "stop"})

    assert (Text(content="hi"), expected) == decoded.input.messages[0].parts
    assert (Message(role="assistant", parts=(Text(content="a"),), finish_reason="stop"),) == decoded.output.messages


def test_a_body_that_asks_nothing_counts_nothing(invoked):
    """Whatever it holds."""
    decoded = invoked({"novelty": 1})

    assert ((), None) == (decoded.input.messages, decoded.input.count)


# What was answered: prompts


@pytest.mark.parametrize(
    ("answer", "reason", "mapped", "tokens"),
    [
        pytest.param(
            {"inputTextTokenCount": 5, "results": [{"outputText": "a", "tokenCount": 7, "completionReason": "FINISH"}]},
            "FINISH",
            "stop",
            (5, 7),
            id="Titan",
        ),
        pytest.param(
            {"generation": "a", "prompt_token_count": 5, "generation_token_count": 7, "stop_reason": "length"},
            "length",
            "length",
            (5, 7),
            id="Llama",
        ),
        pytest.param({"outputs": [{"text": "a", "stop_reason": "stop"}]}, "stop", "stop", (None, None), id="Mistral"),
        pytest.param(
            {"id": "i", "generations": [{"id": "g", "text": "a", "finish_reason": "COMPLETE"}], "prompt": "hi"},
            "COMPLETE",
            "stop",
            (None, None),
            id="Command",
        ),
        pytest.param(
            {
                "id": "i",
                "prompt": {"text": "hi", "tokens": []},
                "completions": [{"data": {"text": "a", "tokens": []}, "finishReason": {"reason": "endoftext"}}],
            },
            "endoftext",
            "stop",
            (None, None),
            id="Jurassic",
        ),
        pytest.param(
            {"type": "completion", "completion": "a", "stop_reason": "max_tokens"},
            "max_tokens",
            "length",
            (None, None),
            id="Claude's first",
        ),
        pytest.param({"choices": [{"text": "a", "stop_reason": "stop"}]}, "stop", "stop", (None, None), id="DeepSeek"),
        pytest.param(
            {"choices": [{"index": 0, "text": "a", "finish_reason": "length"}], "usage": {"prompt_tokens": 5, "completion_tokens": 7}},
            "length",
            "length",
            (5, 7),
            id="an imported model",
        ),
        pytest.param(
            {"text": "a", "finish_reason": "stop", "usage": {"input_tokens": 5, "output_tokens": 7}}, "stop", "stop", (5, 7), id="nobody's"
        ),
        pytest.param({"content": [{"text": "a"}, 7], "stop_reason": "stop"}, "stop", "stop", (None, None), id="nobody's, in parts"),
    ],
)
def test_an_answer_to_a_prompt(invoked, answer, reason, mapped, tokens):
    """Text, reason and tokens are where each maker has them."""
    decoded = invoked({"prompt": "hi"}, answer)

    assert (Message(role="assistant", parts=(Text(content="a"),), finish_reason=mapped),) == decoded.output.messages
    assert ((reason,), tokens) == (decoded.wire.finish_reasons, (decoded.usage.input_tokens, decoded.usage.output_tokens))
    assert ("ok", True) == (decoded.status, decoded.wire.complete)


def test_a_list_of_texts_is_an_answer(invoked):
    """Endpoints of one's own give one."""
    assert (Text(content="a"),) == invoked({"inputs": "hi"}, [{"generated_text": "a"}]).output.messages[0].parts


@pytest.mark.parametrize(("said", "expected"), [("i", "i"), (1234, "1234"), ([], None)])
def test_an_id_may_be_a_number(invoked, said, expected):
    """Jurassic's."""
    assert expected == invoked({"prompt": "hi"}, {"id": said, "completion": "a"}).response.id


def test_several_texts_are_several_choices(invoked):
    """Each with its reason; their tokens together."""
    answer = {
        "inputTextTokenCount": 5,
        "results": [
            {"outputText": "a", "tokenCount": 3, "completionReason": "FINISH"},
            {"outputText": "b", "tokenCount": 4, "completionReason": "LENGTH"},
        ],
    }
    decoded = invoked({"inputText": "hi", "textGenerationConfig": {}}, answer)

    assert ["a", "b"] == [message.parts[0].content for message in decoded.output.messages]
    assert (("stop", "length"), 7) == (decoded.response.finish_reasons, decoded.usage.output_tokens)


def test_an_answer_that_says_nothing_has_no_message(invoked):
    """Not even a reason."""
    decoded = invoked({"prompt": "hi"}, {"novelty": 1})

    assert ((), ()) == (decoded.output.messages, decoded.wire.finish_reasons)


@pytest.mark.parametrize(
    ("several", "reason", "tokens"),
    [
        pytest.param(
            [
                {"outputText": "Grü", "index": 0, "totalOutputTextTokenCount": None, "completionReason": None, "inputTextTokenCount": 5},
                {"outputText": "ße", "index": 0, "totalOutputTextTokenCount": 7, "completionReason": "FINISH", "inputTextTokenCount": None},
            ],
            "FINISH",
            (5, 7),
            id="Titan",
        ),
        pytest.param(
            [
                {"generation": "Grü", "prompt_token_count": 5, "generation_token_count": 1, "stop_reason": None},
                {"generation": "ße", "prompt_token_count": None, "generation_token_count": 7, "stop_reason": "stop"},
            ],
            "stop",
            (5, 7),
            id="Llama",
        ),
        pytest.param(
            [{"outputs": [{"text": "Grü", "stop_reason": None}]}, {"outputs": [{"text": "ße", "stop_reason": "stop"}]}],
            "stop",
            (None, None),
            id="Mistral",
        ),
        pytest.param(
            [
                {"generations": [{"text": "Grü", "index": 0, "is_finished": False}]},
                {"generations": [{"text": "ße", "index": 0, "is_finished": True, "finish_reason": "COMPLETE"}]},
            ],
            "COMPLETE",
            (None, None),
            id="Command",
        ),
        pytest.param(
            [
                {"completion": "Grü", "stop_reason": None, "stop": None},
                {"completion": "ße", "stop_reason": "stop_sequence", "stop": "\n\nHuman:"},
            ],
            "stop_sequence",
            (None, None),
            id="Claude's first",
        ),
        pytest.param(
            [{"choices": [{"text": "Grü", "stop_reason": None}]}, {"choices": [{"text": "ße", "stop_reason": "stop"}]}],
            "stop",
            (None, None),
            id="DeepSeek",
        ),
    ],
)
def test_a_stream_of_pieces_is_joined(streamed, several, reason, tokens):
    """It ends where its reason comes."""
    decoded = streamed({"prompt": "hi"}, *several)

    assert (Text(content="Grüße"),) == decoded.output.messages[0].parts
    assert ((reason,), tokens) == (decoded.wire.finish_reasons, (decoded.usage.input_tokens, decoded.usage.output_tokens))
    assert ("ok", True) == (decoded.status, decoded.wire.complete)
    assert "truncated" == streamed({"prompt": "hi"}, several[0]).status


def test_a_stream_of_several_texts_ends_with_the_last(streamed):
    """Each has its reason."""
    pieces = [{"outputText": "a", "index": 1, "completionReason": "FINISH"}, {"outputText": "b", "index": 0, "completionReason": None}]

    assert "truncated" == streamed({"inputText": "hi"}, *pieces).status
    decoded = streamed({"inputText": "hi"}, *pieces, {"outputText": "c", "index": 0, "completionReason": "LENGTH"})
    assert (["bc", "a"], "ok") == ([message.parts[0].content for message in decoded.output.messages], decoded.status)


# Chats


def test_novas_body_is_converses_with_words_of_its_own(invoked):
    """System, parameters, tools, counts."""
    request = {
        "schemaVersion": "messages-v1",
        "system": [{"text": "be kind"}],
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {
            "max_new_tokens": 9,
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 4,
            "stopSequences": ["a"],
            "reasoningConfig": {"maxReasoningEffort": "low"},
        },
        "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}]},
    }
    answer = {
        "output": {"message": {"role": "assistant", "content": [{"text": "a"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12, "cacheReadInputTokenCount": 0},
    }
    decoded = invoked(request, answer)

    assert CallRequest(model=decoded.request.model, reasoning=ReasoningRequest(level="low"), **ASKED) == decoded.request
    assert ((Text(content="be kind"),), 1, "chat") == (decoded.system_instructions, decoded.input.count, decoded.operation.name)
    assert (ToolDefinition(type="function", name="f", parameters={}),) == decoded.tool.definitions
    assert (Message(role="assistant", parts=(Text(content="a"),), finish_reason="stop"),) == decoded.output.messages
    assert (5, 7) == (decoded.usage.input_tokens, decoded.usage.output_tokens)


def test_novas_stream_is_converses(streamed):
    """A block for each piece: they are joined."""
    request = {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "inferenceConfig": {}}
    decoded = streamed(
        request,
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "Grü"}, "contentBlockIndex": 0}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"contentBlockDelta": {"delta": {"text": "ße"}, "contentBlockIndex": 1}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": {"inputTokens": 5, "outputTokens": 7}}, "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5}},
    )

    assert (Message(role="assistant", parts=(Text(content="Grüße"),), finish_reason="stop"),) == decoded.output.messages
    assert (Usage(input_tokens=5, output_tokens=7), "ok") == (decoded.usage, decoded.status)


CHAT = {"messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}], "max_tokens": 9, "stop": ["a"]}


@pytest.mark.parametrize("reason", ["finish_reason", "stop_reason"])
def test_chats_of_openais_kind(invoked, reason):
    """Mistral and DeepSeek have the reason under their own name."""
    message = {"role": "assistant", "content": "a", "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "{}"}}]}
    answer = {
        "id": "i",
        "model": "m",
        "choices": [{"index": 0, "message": message, reason: "tool_calls"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7},
    }
    decoded = invoked(CHAT, answer)

    assert (
        Message(role="assistant", parts=(Text(content="a"), ToolCall(id="t", name="f", arguments={})), finish_reason="tool_call"),
    ) == decoded.output.messages
    assert (2, 9, ("a",), "chat") == (
        decoded.input.count,
        decoded.request.max_tokens,
        decoded.request.stop_sequences,
        decoded.operation.name,
    )
    assert (Usage(input_tokens=5, output_tokens=7), "i", "m") == (decoded.usage, decoded.response.id, decoded.response.model)


def test_chats_of_openais_kind_stream_deltas(streamed):
    """As at home."""
    decoded = streamed(
        CHAT,
        {"id": "i", "choices": [{"index": 0, "delta": {"role": "assistant", "reasoning_content": "hm"}, "finish_reason": None}]},
        {"id": "i", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]},
    )

    assert (Message(role="assistant", parts=(Reasoning(content="hm"), Text(content="a")), finish_reason="stop"),) == decoded.output.messages


def test_mistral_streams_messages_in_place_of_deltas(streamed):
    """Pieces, not the whole so far."""
    decoded = streamed(
        CHAT,
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Grü"}, "stop_reason": None}]},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "ße"}, "stop_reason": "stop"}, 7]},
    )

    assert (Message(role="assistant", parts=(Text(content="Grüße"),), finish_reason="stop"),) == decoded.output.messages


def test_command_r_is_read_as_at_home(invoked, streamed):
    """Its first version."""
    request = {"message": "hi", "chat_history": [{"role": "USER", "message": "b"}], "preamble": "be kind", "p": 0.9, "max_tokens": 9}
    answer = {"response_id": "i", "text": "a", "generation_id": "g", "chat_history": [], "finish_reason": "COMPLETE"}
    decoded = invoked(request, answer)

    assert (2, (Text(content="be kind"),), 0.9, "chat") == (
        decoded.input.count,
        decoded.system_instructions,
        decoded.request.top_p,
        decoded.operation.name,
    )
    assert (Message(role="assistant", parts=(Text(content="a"),), finish_reason="stop"),) == decoded.output.messages
    assert "i" == decoded.response.id
    pieces = [
        {"event_type": "text-generation", "text": "a", "is_finished": False},
        {"event_type": "stream-end", "finish_reason": "COMPLETE", "is_finished": True},
    ]
    assert (Message(role="assistant", parts=(Text(content="a"),), finish_reason="stop"),) == streamed(request, *pieces).output.messages


# What is no text


@pytest.mark.parametrize(
    ("request_", "model", "parts", "dimension"),
    [
        pytest.param({"inputText": "hi"}, "amazon.titan-embed-text-v1", (Text(content="hi"),), None, id="Titan"),
        pytest.param({"inputText": "hi", "dimensions": 256, "normalize": True}, ARN, (Text(content="hi"),), 256, id="Titan's second"),
        pytest.param({"inputText": "hi"}, ARN, (Text(content="hi"),), None, id="Titan, by its answer"),
        pytest.param(
            {"inputText": "hi", "inputImage": B64, "embeddingConfig": {"outputEmbeddingLength": 384}},
            ARN,
            (Text(content="hi"), Blob(modality="image", **BLOB)),
            384,
            id="Titan's pictures",
        ),
        pytest.param(
            {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"embeddingDimension": 256, "text": {"value": "hi"}}},
            ARN,
            (Text(content="hi"),),
            256,
            id="Nova",
        ),
        pytest.param(
            {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"image": {"format": "png", "source": {"bytes": B64}}}},
            ARN,
            (Blob(modality="image", **BLOB),),
            None,
            id="Nova's pictures",
        ),
        pytest.param(
            {"inputType": "audio", "mediaSource": {"s3Location": {"uri": "s3://b/k"}}},
            "twelvelabs.marengo-embed-2-7-v1:0",
            (Uri(modality="audio", uri="s3://b/k"),),
            None,
            id="Marengo",
        ),
        pytest.param(
            {"inputType": "text", "text": {"inputText": "hi"}, "image": {"mediaSource": {"base64String": B64}}},
            "us.twelvelabs.marengo-embed-3-0-v1:0",
            (Text(content="hi"), Blob(modality="image", **BLOB)),
            None,
            id="Marengo's third",
        ),
    ],
)
def test_what_is_embedded_as_one_is_one_message(invoked, request_, model, parts, dimension):
    """Under whatever name."""
    decoded = invoked(request_, {"embedding": [0.5, 0.25]}, model=model)

    assert (Message(role="user", parts=parts),) == decoded.input.messages
    assert (1, "embeddings", dimension or 2) == (decoded.input.count, decoded.operation.name, decoded.embeddings.dimension.count)


@pytest.mark.parametrize(
    ("answer", "count", "tokens"),
    [
        pytest.param({"embedding": [0.5, 0.25], "inputTextTokenCount": 3}, 1, 3, id="Titan"),
        pytest.param({"embeddingsByType": {"binary": [0, 1], "float": [0.5, 0.25]}, "inputTextTokenCount": 3}, 1, 3, id="Titan, by type"),
        pytest.param({"embeddings": [{"embeddingType": "TEXT", "embedding": [0.5, 0.25]}]}, 1, None, id="Nova"),
        pytest.param({"data": [{"embedding": [0.5, 0.25]}, {"embedding": [0.5, 0.25]}]}, 2, None, id="Marengo"),
        pytest.param({"id": "i", "embeddings": [[0.5, 0.25], [0.5, 0.25]], "response_type": "embeddings_floats"}, 2, None, id="Cohere"),
        pytest.param({"id": "i", "embeddings": {"float": [[0.5, 0.25]], "int8": [[1, 2]]}}, 1, None, id="Cohere, by type"),
    ],
)
def test_vectors_are_counted_and_measured(invoked, answer, count, tokens):
    """Never kept."""
    decoded = invoked({"inputText": "hi", "normalize": True}, answer)

    assert (count, 2, tokens, ()) == (
        decoded.response.embedding_count,
        decoded.embeddings.dimension.count,
        decoded.usage.input_tokens,
        decoded.output.messages,
    )


def test_coheres_embeddings_are_read_as_at_home(invoked):
    """Texts, or inputs of several kinds."""
    decoded = invoked({"texts": ["a", "b"], "input_type": "search_query", "embedding_types": ["int8"]})

    assert (2, "embeddings", ("int8",)) == (decoded.input.count, decoded.operation.name, decoded.request.encoding_formats)


def test_reranking_is_read_as_at_home(invoked):
    """The order is kept."""
    decoded = invoked({"query": "q", "documents": ["a", "b"]}, {"results": [{"index": 1, "relevance_score": 0.9}]})

    assert ("rerank", [{"index": 1, "relevance_score": 0.9}]) == (decoded.operation.name, decoded.output.messages[0].parts[0].content)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        pytest.param({"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "a cat", "negativeText": "a dog"}, "imageGenerationConfig": {"seed": 3, "numberOfImages": 2}}, ["a cat", "a dog"], id="Titan and Nova"),
        pytest.param({"text_prompts": [{"text": "a cat", "weight": 1}, {"text": "a dog"}], "seed": 3, "cfg_scale": 7}, ["a cat", "a dog"], id="Stability's first"),
        pytest.param({"prompt": "a cat", "negative_prompt": "a dog", "aspect_ratio": "1:1", "seed": 3}, ["a cat", "a dog"], id="Stability"),
    ],
)  # fmt: skip
def test_what_is_to_be_drawn_is_one_message(invoked, request_, words):
    """All its words."""
    decoded = invoked(request_)

    assert words == [part.content for part in decoded.input.messages[0].parts]
    assert (3, "image", "generate_content", 1) == (decoded.request.seed, decoded.output.type, decoded.operation.name, decoded.input.count)


def test_pictures_that_are_given_are_measured(invoked):
    """With what is to be done to them."""
    request = {"taskType": "INPAINTING", "inPaintingParams": {"image": B64, "maskImage": B64, "text": "a cat"}}

    assert (Text(content="a cat"), Blob(modality="image", **BLOB), Blob(modality="image", **BLOB)) == invoked(request).input.messages[
        0
    ].parts


def test_variations_may_be_of_several_pictures(invoked):
    """In a list."""
    request = {"taskType": "IMAGE_VARIATION", "imageVariationParams": {"images": [B64, B64]}}

    assert (Blob(modality="image", **BLOB),) * 2 == invoked(request).input.messages[0].parts


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        ({"images": [B64]}, ()),
        ({"images": [B64], "seeds": [3], "finish_reasons": [None]}, ()),
        ({"artifacts": [{"base64": B64, "finishReason": "SUCCESS", "seed": 3}], "result": "success"}, ("SUCCESS",)),
    ],
    ids=["Titan and Nova", "Stability", "Stability's first"],
)
def test_pictures_that_were_drawn_are_measured(invoked, answer, reasons):
    """And hashed, and not kept."""
    decoded = invoked({"prompt": "a cat", "aspect_ratio": "1:1"}, answer)

    assert ((Blob(modality="image", **BLOB),), reasons) == (decoded.output.messages[0].parts, decoded.wire.finish_reasons)


def test_a_picture_that_was_refused_is_an_error(invoked):
    """Titan says why, under 200."""
    decoded = invoked({"taskType": "TEXT_IMAGE", "textToImageParams": {}}, {"images": [], "error": "blocked"})

    assert (Error(type="_OTHER", message="blocked"), "error") == (decoded.error, decoded.status)


@pytest.mark.parametrize(
    ("model", "operation"),
    [
        ("anthropic.claude-sonnet-x-v1:0", "chat"),
        ("anthropic.claude-v2:1", "text_completion"),
        ("us.amazon.nova-pro-v1:0", "chat"),
        ("amazon.nova-canvas-v1:0", "generate_content"),
        ("amazon.nova-2-multimodal-embeddings-v1:0", "embeddings"),
        ("amazon.titan-embed-text-v2:0", "embeddings"),
        ("amazon.titan-text-express-v1", "text_completion"),
        ("cohere.embed-v4:0", "embeddings"),
        ("cohere.rerank-v3-5:0", "rerank"),
        ("cohere.command-r-plus-v1:0", "chat"),
        ("cohere.command-light-text-v14", "text_completion"),
        ("meta.llama3-8b-instruct-v1:0", "text_completion"),
        ("openai.gpt-oss-120b-1:0", "chat"),
        ("stability.sd3-5-large-v1:0", "generate_content"),
        ("novelty.x", "chat"),
    ],
)
def test_without_a_body_the_models_id_tells(bedrock, model, operation):
    """Where it was left out for want of room."""
    decoded = decode(bedrock({}, None, verb="invoke", model=model, request_body=None, shed=("request",)))

    assert (operation, model) == (decoded.operation.name, decoded.request.model)
