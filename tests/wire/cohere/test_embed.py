"""Cohere's embed: how many vectors, how long they are, never the vectors."""

import base64
import hashlib

import msgspec
import pytest

from llm_observe.records import Billed, Blob, CallRequest, Dimension, Embeddings, Error, Message, Modality, Text, Uri, Usage
from llm_observe.wire import decode

DATA = b"\x89PNG"
PICTURE = f"data:image/png;base64,{base64.b64encode(DATA).decode()}"
BLOB = Blob(modality="image", mime_type="image/png", size=4, sha256=hashlib.sha256(DATA).hexdigest())


def test_the_request(embed):
    """Each text is an input."""
    request = {
        "model": "embed-x",
        "texts": ["a", "b"],
        "input_type": "search_document",
        "embedding_types": ["float", "int8", 7],
        "output_dimension": 256,
        "truncate": "NONE",
    }
    decoded = decode(embed({}, request))

    assert CallRequest(model="embed-x", encoding_formats=("float", "int8")) == decoded.request
    assert (2, Embeddings(dimension=Dimension(count=256))) == (decoded.input.count, decoded.embeddings)
    assert tuple(Message(role="user", parts=(Text(content=text),)) for text in "ab") == decoded.input.messages
    assert ("embeddings", "cohere.embed") == (decoded.operation.name, decoded.wire.format)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"images": [PICTURE]}, [(BLOB,)]),
        ({"images": ["https://x.y/z.png?s"]}, [(Uri(modality="image", uri="https://x.y/z.png"),)]),
        (
            {
                "inputs": [
                    {"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PICTURE}}]},
                    {"content": []},
                ]
            },
            [(Text(content="a"), BLOB), ()],
        ),
        ({"texts": ["a", 7, ""]}, [(Text(content="a"),), (), ()]),
        ({"texts": "not a list"}, []),
    ],
)
def test_inputs_of_every_kind(embed, request_, expected):
    """Pictures without their bytes; what is none is counted all the same."""
    decoded = decode(embed({}, request_ | {"model": "embed-x"}))

    assert (expected, len(expected)) == ([message.parts for message in decoded.input.messages], decoded.input.count)


@pytest.mark.parametrize(
    ("embeddings", "count", "dimension"),
    [
        pytest.param([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]], 2, 3, id="floats, as at first"),
        pytest.param({"float": [[0.1, 0.2, 0.3]] * 2}, 2, 3, id="by type"),
        pytest.param(
            {"float": [[0.1] * 16] * 2, "int8": [[1] * 16] * 2, "ubinary": [[1, 2]] * 2}, 2, 16, id="several types, one input each"
        ),
        pytest.param({"binary": [[1, -2]]}, 1, 16, id="packed by eights"),
        pytest.param({"ubinary": [[1, 2]], "float": None}, 1, 16, id="packed, none of another"),
        pytest.param({"base64": [base64.b64encode(bytes(4 * 1536)).decode()]}, 1, 1536, id="base64"),
        pytest.param({"base64": [base64.b64encode(bytes(4 * 7)).decode()]}, 1, 7, id="base64 with padding"),
        pytest.param({"float": [[]]}, 1, None, id="an empty vector"),
        pytest.param({}, 0, None, id="none"),
        pytest.param({"float": [7]}, 1, None, id="no vector"),
    ],
)
def test_the_answer(embed, embeddings, count, dimension):
    """Inputs are counted once, however many types there are of each."""
    decoded = decode(embed({"id": "e-1", "embeddings": embeddings, "texts": ["a"], "response_type": "embeddings_by_type"}))

    assert (count, dimension, "e-1", "ok") == (
        decoded.response.embedding_count,
        decoded.embeddings.dimension.count if decoded.embeddings else None,
        decoded.response.id,
        decoded.status,
    )


def test_no_vector_is_recorded(embed):
    """Not one number of it."""
    decoded = decode(embed({"embeddings": {"float": [[0.123456789]]}}))

    assert b"0.123" not in msgspec.json.encode(decoded)


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ({"input_tokens": 7}, Usage(input_tokens=7)),
        ({"images": 2}, Usage(billed=Billed(images=2))),
        ({"input_tokens": 7, "image_tokens": 5}, Usage(input_tokens=7, image=Modality(input_tokens=5))),
        ({"image_tokens": 5}, Usage(input_tokens=5, image=Modality(input_tokens=5))),
        (None, Usage()),
    ],
)
def test_tokens(embed, units, expected):
    """What is charged for is all that is told."""
    assert expected == decode(embed({"embeddings": {}, "meta": {"billed_units": units}})).usage


def test_an_error_goes_by_its_status(embed):
    """There are no vectors then."""
    decoded = decode(embed({"id": "e-1", "message": "no such model"}, status_code=404))

    assert (Error(type="404", message="no such model"), None) == (decoded.error, decoded.response.embedding_count)


def test_an_answer_in_a_streams_clothes_is_read(embed, events):
    """As some proxies send it; one that has no event has nothing."""
    decoded = decode(embed(events({"embeddings": {"float": [[0.1, 0.2]]}})))

    assert (1, 2) == (decoded.response.embedding_count, decoded.embeddings.dimension.count)
    assert None is decode(embed(b": ping\n\n")).response.embedding_count
