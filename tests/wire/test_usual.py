"""The chunks that most streams are made of are read a shorter way, which says what the long way says."""

import json

from hypothesis import given
from hypothesis import strategies as st

from llm_observe.wire.anthropic import delta, messages
from llm_observe.wire.openai import chat, chunk
from llm_observe.wire.sse import Sse, events

texts = st.none() | st.text(max_size=5)
members = st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "model", "provider", "system_fingerprint", "service_tier", "p"), texts))
deltas = st.fixed_dictionaries(
    {}, optional={"content": texts, "reasoning_content": texts, "role": st.sampled_from(["assistant", "tool", None]), "refusal": texts}
)
choices = st.fixed_dictionaries(
    {"delta": deltas},
    optional={
        "index": st.sampled_from([0, 1, 2, None, True, 1.0]),
        "finish_reason": st.sampled_from([None, "stop", ""]),
        "logprobs": st.none(),
        "content_filter_results": st.sampled_from([{}, None, {"hate": {"filtered": False, "severity": "safe"}}]),
    },
)
chunks = st.builds(lambda member, choice: {**member, "choices": choice}, members, st.lists(choices, max_size=2))

pieces = st.sampled_from(
    [("text_delta", "text"), ("thinking_delta", "thinking"), ("input_json_delta", "partial_json"), ("text_delta", "thinking")]
).flatmap(lambda kind: st.builds(lambda piece: {"type": kind[0], kind[1]: piece}, st.none() | st.text(max_size=5)))
blocks = st.builds(
    lambda index, piece: {"type": "content_block_delta", "index": index, "delta": piece}, st.sampled_from([0, 1, 2, None, 1.0]), pieces
)


def wire(documents: list[dict], **more: object) -> list[bytes]:
    """As they come."""
    return [json.dumps({**document, **more}).encode() for document in documents]


@given(st.lists(chunks, max_size=6))
def test_a_chunk_of_a_chat_says_the_same_either_way(documents):
    """A member that nobody knows has it read the long way, and changes nothing."""
    assert chat.streamed(wire(documents, unheard_of=1), None) == chat.streamed(wire(documents), None)


@given(st.lists(blocks, max_size=6))
def test_a_piece_of_a_block_says_the_same_either_way(documents):
    """A member that nobody knows has it read the long way, and changes nothing."""
    assert messages.streamed(wire(documents, unheard_of=1), None) == messages.streamed(wire(documents), None)


def test_the_many_are_read_the_shorter_way():
    """What OpenAI, Azure and Anthropic send for each piece of text."""
    openai = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "service_tier": "default",
        "system_fingerprint": "f",
    }
    choice = {"index": 0, "delta": {"content": "x"}, "logprobs": None, "finish_reason": None}
    azure = {**choice, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}
    piece = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}

    assert None not in map(chunk.usual, wire([openai | {"choices": [one], "usage": None, "obfuscation": "a"} for one in (choice, azure)]))
    assert None not in map(delta.usual, wire([piece]))


@given(
    st.lists(
        st.sampled_from([b"data: a", b"data: ", b"event: x", b"data:b", b": c", b"id: 1", b"", b"", b"data", b"eventual: y"]), max_size=12
    )
)
def test_events_of_one_shape_are_split_the_shorter_way(lines):
    """Nothing but the shape of the whole decides it; a comment at the end has it split the long way, and is no event."""
    data = b"".join(line + b"\n" for line in lines)
    long = data if data.endswith(b"\n\n") or not data else data + b"\n"

    assert events(long + b":\n\n") == events(long)
    assert events(long) == Sse().feed(long)
