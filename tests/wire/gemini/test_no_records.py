"""What Google serves beside inference: never a record."""

import pytest

from llm_observe.wire import Unknown, decode, may_be_call

STUDIO = "https://generativelanguage.googleapis.com/v1beta/"
VERTEX = "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/l/"


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", STUDIO + "models/gemini-x:countTokens"),
        ("POST", VERTEX + "publishers/google/models/gemini-x:countTokens"),
        ("POST", VERTEX + "publishers/google/models/gemini-x:computeTokens"),
        ("POST", STUDIO + "models/gemini-x:batchGenerateContent"),
        ("POST", STUDIO + "models/gemini-embedding-x:asyncBatchEmbedContent"),
        ("POST", STUDIO + "cachedContents"),
        ("GET", STUDIO + "cachedContents/c-1"),
        ("PATCH", STUDIO + "cachedContents/c-1"),
        ("DELETE", STUDIO + "cachedContents/c-1"),
        ("POST", "https://generativelanguage.googleapis.com/upload/v1beta/files"),
        ("GET", STUDIO + "files/f-1"),
        ("GET", STUDIO + "files/f-1:download"),
        ("POST", STUDIO + "fileSearchStores"),
        ("POST", STUDIO + "fileSearchStores/s-1:importFile"),
        ("POST", "https://generativelanguage.googleapis.com/upload/v1beta/fileSearchStores/s-1:uploadToFileSearchStore"),
        ("GET", STUDIO + "models"),
        ("GET", STUDIO + "models/gemini-x"),
        ("GET", STUDIO + "models/gemini-x:generateContent"),
        ("GET", STUDIO + "operations/o-1"),
        ("GET", STUDIO + "batches/b-1"),
        ("POST", STUDIO + "batches/b-1:cancel"),
        ("POST", VERTEX + "publishers/google/models/imagen-4:predict"),
        ("POST", VERTEX + "publishers/google/models/veo-3:predictLongRunning"),
        ("POST", VERTEX + "endpoints/123:predict"),
        ("POST", VERTEX + "endpoints/123:rawPredict"),
        ("POST", STUDIO + "interactions/int-1/cancel"),
        ("DELETE", STUDIO + "interactions/int-1"),
        ("POST", STUDIO + "decisions"),
        ("POST", STUDIO + "tunedModels"),
        ("POST", STUDIO + "models/gemini-x:generateContent/more"),
        ("POST", STUDIO + "models/gemini-x:generateContents"),
        ("POST", STUDIO + "models/:generateContent"),
        ("POST", "https://oauth2.googleapis.com/token"),
    ],
)
def test_what_is_no_inference(gemini, method, url):
    """Counting, caching, files, batches, pictures, films, other people's models."""
    body = {"contents": [{"parts": [{"text": "hi"}]}], "model": "models/gemini-x", "instances": [{"prompt": "hi"}]}

    assert isinstance(decode(gemini({"totalTokens": 7, "name": "x"}, body, url=url, method=method)), Unknown)


@pytest.mark.parametrize("verb", ["countTokens", "batchGenerateContent", "predictLongRunning", "importFile", "computeTokens"])
def test_what_is_no_inference_is_not_even_kept(verb):
    """The first look lets it go."""
    assert not may_be_call("POST", f"/v1beta/models/gemini-x:{verb}".encode())
