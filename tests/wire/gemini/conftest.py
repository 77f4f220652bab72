"""Exchanges with Google, made by hand, and the streams that have everything in them."""

import json

import pytest

STUDIO = "https://generativelanguage.googleapis.com/v1beta/"
VERTEX = "https://us-central1-aiplatform.googleapis.com/v1beta1/projects/p/locations/l/publishers/google/"


@pytest.fixture(scope="session")
def gemini(openai):
    """An exchange about content on AI Studio: the answer, and what is to be different."""

    def make(answer=None, request=None, *, url=STUDIO + "models/gemini-x:generateContent", **changes):
        return openai(answer, request or {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}, url=url, **changes)

    return make


@pytest.fixture(scope="session")
def embeddings(openai):
    """An exchange about embeddings on AI Studio."""

    def make(answer=None, request=None, *, url=STUDIO + "models/gemini-embedding-x:batchEmbedContents", **changes):
        return openai(answer, request or {"requests": [{"content": {"parts": [{"text": "hi"}]}}]}, url=url, **changes)

    return make


@pytest.fixture(scope="session")
def interaction(openai):
    """An interaction on AI Studio."""

    def make(answer=None, request=None, *, url=STUDIO + "interactions", **changes):
        return openai(answer, request or {"model": "gemini-x", "input": "hi"}, url=url, **changes)

    return make


def _chunk(*parts: dict, **members) -> dict:
    """One chunk of a stream, with these parts."""
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0} | members
    return {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 9, "thoughtsTokenCount": 4, "totalTokenCount": 20},
        "modelVersion": "gemini-x-1",
        "responseId": "resp-1",
    }


CHUNKS = [
    _chunk({"text": "hm ", "thought": True}),
    _chunk({"text": "…", "thought": True}),
    _chunk({"text": "Grüße, "}),
    _chunk({"text": '世界 🌍\u2028[{]}\\"'}),
    _chunk({"functionCall": {"name": "look", "args": {"at": "it"}}, "thoughtSignature": "c2VjcmV0"}),
    _chunk({"functionCall": {"name": "go", "willContinue": True}}),
    _chunk({"functionCall": {"partialArgs": [{"jsonPath": "$.to", "stringValue": "Ber", "willContinue": True}], "willContinue": True}}),
    _chunk({"functionCall": {"partialArgs": [{"jsonPath": "$.to", "stringValue": "lin"}]}}),
    _chunk({"text": "", "thoughtSignature": "c2VjcmV0"}, finishReason="STOP"),
]


@pytest.fixture(scope="session")
def content_events() -> bytes:
    """The chunks as events, their lines ended as Google ends them."""
    return b"".join(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\r\n\r\n" for chunk in CHUNKS)


@pytest.fixture(scope="session")
def content_array() -> bytes:
    """The chunks as one array, printed as Google prints it."""
    return b"[" + b"\n,\r\n".join(json.dumps(chunk, ensure_ascii=False, indent=2).encode() for chunk in CHUNKS) + b"\n]\n"


@pytest.fixture(scope="session")
def interaction_events() -> bytes:
    """An interaction's stream: a thought, text, a search, two calls."""
    events = [
        {"event_type": "interaction.created", "interaction": {"id": "int-1", "status": "in_progress", "model": "gemini-x"}},
        {"event_type": "interaction.status_update", "interaction_id": "int-1", "status": "in_progress"},
        {"event_type": "step.start", "index": 0, "step": {"type": "thought"}},
        {"event_type": "step.delta", "index": 0, "delta": {"type": "thought_summary", "content": {"type": "text", "text": "hm …"}}},
        {"event_type": "step.delta", "index": 0, "delta": {"type": "thought_signature", "signature": "c2VjcmV0"}},
        {"event_type": "step.stop", "index": 0},
        {"event_type": "step.start", "index": 1, "step": {"type": "google_search_call", "id": "s-1", "arguments": {"queries": ["q"]}}},
        {"event_type": "step.stop", "index": 1},
        {"event_type": "step.start", "index": 2, "step": {"type": "model_output"}},
        {"event_type": "step.delta", "index": 2, "delta": {"type": "text", "text": "Grüße, "}},
        {"event_type": "step.delta", "index": 2, "delta": {"type": "text", "text": "世界 🌍\u2028"}},
        {"event_type": "step.stop", "index": 2},
        {"event_type": "step.start", "index": 3, "step": {"type": "function_call", "id": "call-1", "name": "look", "arguments": {}}},
        {"event_type": "step.delta", "index": 3, "delta": {"type": "arguments_delta", "arguments": '{"at":'}},
        {"event_type": "step.delta", "index": 3, "delta": {"type": "arguments_delta", "arguments": ' "it"}'}},
        {"event_type": "step.stop", "index": 3},
        {
            "event_type": "interaction.completed",
            "interaction": {
                "id": "int-1",
                "status": "requires_action",
                "model": "gemini-x",
                "usage": {"total_input_tokens": 7, "total_output_tokens": 9, "total_thought_tokens": 4, "total_tokens": 20},
            },
        },
    ]
    named = [
        b"event: %s\ndata: %s\n\n" % (event["event_type"].encode(), json.dumps(event, ensure_ascii=False).encode()) for event in events
    ]
    return b"".join(named) + b"event: done\ndata: [DONE]\n\n"
