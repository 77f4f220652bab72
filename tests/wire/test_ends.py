"""The ends of a request that was too long to keep: what they say is what the whole says."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_observe.wire import decode
from llm_observe.wire.ends import document

values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=9) | st.sampled_from(['"', "\\", '\\"', '"a":1,', "{", "]", '":"']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=6) | st.sampled_from(['"', "\\", ","]), values, max_size=6)


@example({'"': [None, False]}, 0, 26, False, 1)  # the back begins behind the backslash of a key's quote
@given(objects, st.integers(0, 80), st.integers(0, 80), st.booleans(), st.sampled_from([None, 1]))
def test_what_the_ends_say_is_what_the_whole_says(whole, front, back, ascii_only, indent):
    """Wherever the cuts are: each member is the whole's own, or the one that was cut, which is empty."""
    data = json.dumps(whole, ensure_ascii=ascii_only, indent=indent).encode()
    found = document(data[:front], data[len(data) - back :])

    assert found.keys() <= whole.keys()
    assert [] == [key for key in found if found[key] != whole[key] and found[key] not in ([], {}, "")]


@given(objects)
def test_ends_that_meet_say_everything(whole):
    """Nothing is lost where nothing was cut."""
    data = json.dumps(whole).encode()

    assert whole == document(data, data)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_what_is_no_object_raises_nothing(front, back):
    """Whatever the bytes are."""
    assert isinstance(document(front, back), dict)


@pytest.mark.parametrize("data", [b"[" * 70_000, b"]" * 70_000, b"}" * 70_000, b'{"a":' * 20_000])
def test_brackets_without_end_say_nothing(data):
    """Nor do they take long: nesting that nobody reads is not walked."""
    assert {} == document(data, data)


def test_a_prompt_too_long_keeps_its_model_and_parameters(openai):
    """The record says what was asked of whom; that the messages are missing, and how long they were."""
    body = json.dumps(
        {"messages": [{"role": "user", "content": 'Say "model": "x".' * 10_000}], "model": "gpt-x", "temperature": 0.5}
    ).encode()
    decoded = decode(openai(request_body=None, request_ends=(body[:4096], body[-4096:]), request_size=len(body), shed=("request",)))

    assert ("gpt-x", 0.5, None, len(body)) == (
        decoded.request.model,
        decoded.request.temperature,
        decoded.input.count,
        decoded.truncated["input.messages"].bytes,
    )
