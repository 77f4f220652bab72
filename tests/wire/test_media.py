"""Media leaves its size and hash, never its bytes; what only the provider can read leaves nothing."""

import base64
import hashlib
import os

import pytest

from llm_observe.records import Blob, Uri
from llm_observe.wire.media import blob, linked, scrubbed, without_query

DATA = bytes(range(256)) * 3
SHA = hashlib.sha256(DATA).hexdigest()
PLAIN = base64.b64encode(DATA).decode()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PLAIN, id="base64"),
        pytest.param(base64.urlsafe_b64encode(DATA).decode(), id="with the letters of URLs"),
        pytest.param(base64.encodebytes(DATA).decode(), id="in lines"),
        pytest.param(PLAIN.rstrip("="), id="without padding"),
    ],
)
def test_inline_media_is_measured_and_hashed(text):
    """However it is written, the bytes are the same."""
    assert Blob(modality="image", mime_type="image/png", size=len(DATA), sha256=SHA) == blob("image", text, "image/png")


def test_large_media_is_hashed_piece_by_piece():
    """The hash is that of the whole."""
    data = os.urandom(500_001)

    assert hashlib.sha256(data).hexdigest() == blob("video", base64.b64encode(data).decode()).sha256


@pytest.mark.parametrize("text", ["not base64!", "ümlaut", "=", "A"])
def test_what_is_not_base64_is_only_measured(text):
    """No hash is better than a wrong one."""
    assert (None, int) == (blob("image", text).sha256, type(blob("image", text).size))


@pytest.mark.parametrize("data", [None, "", 7, b"x"])
def test_media_without_data_is_still_media(data):
    """It was there."""
    assert Blob(modality="audio", transcript="hello") == blob("audio", data, transcript="hello")


def test_a_data_url_is_the_media_itself():
    """Its type says what it is."""
    expected = Blob(modality="image", mime_type="image/png", size=len(DATA), sha256=SHA)

    assert expected == linked("document", f"data:image/png;base64,{PLAIN}")
    assert expected == linked("image", f"DATA:image/png;charset=x;base64,{PLAIN}")


def test_a_data_url_may_be_plain_text():
    """Percent-encoded."""
    assert Blob(modality="document", mime_type="text/plain", size=3, sha256=hashlib.sha256(b"a b").hexdigest()) == linked(
        "image", "data:text/plain,a%20b"
    )


def test_a_data_url_without_a_type():
    """It is what it was said to be."""
    assert "image" == linked("image", f"data:;base64,{PLAIN}").modality


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/a.png?X-Amz-Signature=s#f", "https://example.com/a.png"),
        ("https://user:secret@example.com/a", "https://example.com/a"),
        ("gs://bucket/a@b", "gs://bucket/a@b"),
        ("https://u:p@[broken/a", "[broken/a"),
    ],
)
def test_an_address_loses_what_may_be_a_secret(url, expected):
    """Query, fragment, user and password."""
    assert expected == without_query(url)
    assert Uri(modality="image", uri=expected) == linked("image", url)


def test_opaque_members_are_left_out():
    """Signatures, encrypted results, base64, credentials, data URLs: at any depth."""
    found = {
        "type": "web_search_result",
        "title": "t",
        "encrypted_content": "c2VjcmV0",
        "source": {"data": "c2VjcmV0", "media_type": "image/png"},
        "data": {"rows": [1]},
        "list": [{"signature": "c2VjcmV0"}, "data:image/png;base64,c2VjcmV0"],
        "headers": {"authorization": "Bearer c2VjcmV0"},
        "authorization_token": None,
    }

    assert {
        "type": "web_search_result",
        "title": "t",
        "source": {"media_type": "image/png"},
        "data": {"rows": [1]},
        "list": [{}, "data:image/png;base64"],
    } == scrubbed(found)
