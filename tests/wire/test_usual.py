"""The events that most streams are made of are read a shorter way, which says what the long way says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_observe.wire.anthropic import delta, messages
from llm_observe.wire.openai import alike, chat, stream
from llm_observe.wire.sse import Sse, events

texts = st.sampled_from(["a", "b", "", '"', "\\", '"}', "\n", "é", "😀", "}]}", "a", "b", "a", "b", "a", "b"])
choices_members = st.sampled_from(
    [
        *[{"index": 0}, {"index": 0, "logprobs": None, "finish_reason": None}] * 4,
        {"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}, "index": 1},
        *[{}, {"finish_reason": "stop"}, {"index": 1.0}, {"index": None}, {"usage": {"prompt_tokens": 1}}],
    ]
)
members = st.sampled_from(
    [
        *[{}, {"id": "c", "model": "m", "service_tier": "default", "system_fingerprint": "f", "usage": None}] * 4,
        *[{"id": "", "model": ""}, {"usage": {"prompt_tokens": 1}}, {"error": {"message": "a"}}],
    ]
)
makers = st.sampled_from(
    [
        *[lambda text: {"content": text}] * 4,
        lambda text: {"role": "assistant", "content": text, "refusal": None},
        lambda text: {"content": text, "reasoning_content": None, "name": "a"},
        lambda text: {"content": "", "reasoning_content": text},
        lambda text: {"content": "x", "reasoning": text},
        lambda text: {"reasoning": text, "reasoning_details": [{"text": "y"}]},
        lambda text: {"reasoning": text},
        lambda text: {"tool_calls": [{"index": 1, "function": {"arguments": text}}]},
        lambda text: {"content": "x", "tool_calls": [{"index": 1, "function": {"arguments": text}}]},
        lambda text: {"tool_calls": [{"index": 1, "id": "", "function": {"arguments": text}}]},
        lambda text: {"tool_calls": [{"function": {"name": "f", "arguments": text}}]},
        lambda text: {"function_call": {"arguments": text}},
        lambda text: {"annotations": [{"content": text}]},
    ]
)
paddings = st.none() | st.tuples(st.sampled_from(["p", "obfuscation", "obfuscation", "created"]), st.booleans())


@st.composite
def runs(draw) -> list[bytes]:
    """Chunks in a row that are the same but for a text, and a padding perhaps: spaced or not, the text before the rest or behind it."""
    choice, member, make, padding = draw(choices_members), draw(members), draw(makers), draw(paddings)
    separators = (", ", ": ") if draw(st.booleans()) else (",", ":")
    is_ascii, is_behind = draw(st.booleans()), draw(st.booleans())
    found = []
    for text in draw(st.lists(texts, min_size=8, max_size=20)):
        document = {**choice, "delta": make(text)} if is_behind else {"delta": make(text), **choice}
        document = {**member, "choices": [document]} if is_behind else {"choices": [document], **member}
        if padding:
            name, is_first = padding
            pad = {name: "x" * len(text)}
            document = {**pad, **document} if is_first else {**document, **pad}
        found.append(json.dumps(document, separators=separators, ensure_ascii=is_ascii).encode())
    return found


strangers = st.lists(
    st.sampled_from([b"[DONE]", b"", b"x", b'"a"', b"[]", b'{"choices":[]}', b'{"choices":[{"delta":{"role":"assistant","content":""}}]}']),
    max_size=3,
)
streams = st.lists(runs() | strangers, max_size=4).map(lambda lists: [event for events in lists for event in events])

pieces = st.sampled_from(
    [("text_delta", "text"), ("thinking_delta", "thinking"), ("input_json_delta", "partial_json"), ("text_delta", "thinking")]
).flatmap(lambda kind: st.builds(lambda piece: {"type": kind[0], kind[1]: piece}, st.none() | st.text(max_size=5)))
blocks = st.builds(
    lambda index, piece: {"type": "content_block_delta", "index": index, "delta": piece}, st.sampled_from([0, 1, 2, None, 1.0]), pieces
)


def wire(documents: list[dict], **more: object) -> list[bytes]:
    """As they come."""
    return [json.dumps({**document, **more}).encode() for document in documents]


def one_by_one(events: list[bytes]) -> object:
    """What they say where none is taken for being like another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "joined", lambda _: None)
        return chat.streamed(events, None)


@given(streams)
def test_chunks_that_are_alike_say_together_what_they_say_one_by_one(events):
    """Whatever is the same in them, and whatever stands between them."""
    assert chat.streamed(events, None) == one_by_one(events)


@given(runs(), st.data())
def test_a_chunk_that_is_damaged_is_not_taken_for_one_of_the_others(events, data):
    """A byte is lost, or there are others in its place."""
    broken = data.draw(st.integers(0, len(events) - 1))
    place = data.draw(st.integers(0, len(events[broken]) - 1))
    instead = data.draw(st.sampled_from([b"", b'"', b"\n", b'","', b"\\", b"\xff", b"\\ud83d", b" "]))
    events[broken] = events[broken][:place] + instead + events[broken][place + 1 :]

    assert chat.streamed(events, None) == one_by_one(events)


falsy = st.sampled_from([None, "", [], {}, 0])
calls = st.lists(
    st.sampled_from([{"id": "a", "function": {"name": "f", "arguments": "{}"}}, {"custom": {"name": "g", "input": "x"}}, 1]), max_size=2
)
messages_ = st.fixed_dictionaries(
    {},
    optional={
        "role": falsy | st.sampled_from(["user", "assistant", "tool", "function"]),
        "content": falsy | st.sampled_from(["x", ["y"], [{"type": "text", "text": "z"}], {"a": 1}, 1]),
        "tool_calls": falsy | calls,
        **dict.fromkeys(("refusal", "reasoning", "annotations", "audio", "images", "executed_tools", "function_call", "context"), falsy),
        "name": falsy | st.just("n"),
    },
)
numbers = st.sampled_from([None, 0, 3, 3.0, "3", True])
details = falsy | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("cached_tokens", "cache_write_tokens", "reasoning_tokens", "text_tokens", "audio_tokens"), numbers)
)
counts = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), numbers),
        **dict.fromkeys(("prompt_tokens_details", "completion_tokens_details"), details),
    },
)


@given(st.lists(messages_, max_size=3), counts)
def test_a_chat_says_the_same_with_members_that_say_nothing(given_messages, given_counts):
    """They have it read the long way: a member that nobody knows, rare ones that are empty."""
    choices = [{"message": message, "finish_reason": "stop"} for message in given_messages]
    longer = [{**choice, "message": {"unheard_of": 1, **choice["message"]}} for choice in choices]
    rare = dict.fromkeys(("cached_tokens", "reasoning_tokens", "prompt_token_details", "citation_tokens"))

    assert chat.answered({"choices": choices, "usage": given_counts}, None) == chat.answered(
        {
            "choices": longer,
            "usage": given_counts and {**given_counts, **rare},
            "error": None,
            "citations": None,
            "timings": None,
            "x_groq": None,
        },
        None,
    )


@given(st.lists(messages_, max_size=3), st.fixed_dictionaries({}, optional=dict.fromkeys(("temperature", "max_tokens", "stream"), numbers)))
def test_a_request_says_the_same_with_members_that_say_nothing(given_messages, parameters):
    """They have it read the long way: a member that nobody knows, rare ones that are empty."""
    body = {"model": "m", "messages": given_messages, **parameters}
    longer = {**body, "messages": [{"unheard_of": 1, **message} for message in given_messages]}
    rare = dict.fromkeys(
        ("seed", "top_p", "stop", "n", "reasoning", "previous_response_id", "tools", "functions", "response_format", "modalities")
    )

    assert chat.asked(body, None) == chat.asked(longer | rare, None)


@given(st.lists(blocks, max_size=6))
def test_a_piece_of_a_block_says_the_same_either_way(documents):
    """A member that nobody knows has it read the long way, and changes nothing."""
    assert messages.streamed(wire(documents, unheard_of=1), None) == messages.streamed(wire(documents), None)


FRONT, BACK, PADDED = b'{"choices":[{"index":0,"delta":{"content":', b'},"finish_reason":null}]}', b'},"finish_reason":null}],"p":'
OTHERS = {
    "another choice": FRONT.replace(b"0", b"1") + b'"y"' + BACK,
    "an end": FRONT + b'"y"' + BACK.replace(b"null", b'"so"'),
    "no text": FRONT + b"null" + BACK,
    "an empty text": FRONT + b'""' + BACK,
    "half of a character": FRONT + b'"\\ud83d"' + BACK,
    "a list": FRONT + b'["y"]' + BACK,
    "a thought too": FRONT + b'"y","reasoning":"z"' + BACK,
    "two texts": FRONT + b'"y" "z"' + BACK,
    "two lines": FRONT + b'"y"\n"z"' + BACK,
    "nothing": FRONT + BACK,
    "a padded one": FRONT + b'"y"' + PADDED + b'"z"}',
    "no event": b"",
    "what is cut off": FRONT + b'"y',
}


@pytest.mark.parametrize("place", [0, 1, 9, 18, 19])
@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_chunk_that_is_not_alike_says_what_is_its_own(other, is_padded, place):
    """Wherever it stands among those that are."""
    events = [FRONT + b'"%d"' % n + (PADDED + b'"%s"}' % (b"x" * (n % 3)) if is_padded else BACK) for n in range(20)]
    padded = other.replace(BACK, PADDED + b'"x"}')
    for one in (other, padded):
        events[place] = one

        assert chat.streamed(events, None) == one_by_one(events)


@pytest.mark.parametrize(
    "more",
    [
        {"content": "x"},
        {"annotations": [{"type": "a"}]},
        {"reasoning_details": [{"text": "x"}]},
        {"audio": {"data": "x"}},
        {"refusal": "x"},
        {"function_call": {"arguments": "x"}},
    ],
)
def test_what_counts_each_time_is_said_each_time(more):
    """A text that is the same in all of them too."""
    for said in ({"reasoning": "y"}, {"tool_calls": [{"index": 0, "function": {"arguments": "y"}}]}):
        events = wire([{"choices": [{"index": 0, "delta": said | more}]}] * 10)

        assert chat.streamed(events, None) == one_by_one(events)


def test_each_name_begins_a_call():
    """Where they have no index and no id."""
    events = wire([{"choices": [{"index": 0, "delta": {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}}]}] * 10)

    assert len(chat.streamed(events, None).choices[0][1]) == 10


@pytest.mark.parametrize(
    "more",
    [{}, {"obfuscation": "a"}, {"usage": None, "obfuscation": "a"}, {"service_tier": "default", "system_fingerprint": None, "p": "ab"}],
)
@pytest.mark.parametrize("choice", [{}, {"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}])
@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"content": "x", "refusal": None},
        {"content": None, "reasoning_content": "x"},
        {"tool_calls": [{"index": 0, "function": {"arguments": "x"}}]},
    ],
)
def test_the_many_of_a_chat_are_read_at_once(more, choice, delta):
    """What OpenAI, Azure, DeepSeek and Mistral send for each piece of a text, a thought or a call; what comes last is left."""
    document = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    document |= {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **choice}], **more}
    many = wire([document] * 100)
    end = wire([{**document, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, {**document, "choices": []}])

    joined, count = alike.joined([*many, *end, stream.DONE])

    assert count == 100
    assert json.loads(joined) == json.loads(many[0].replace(b'"x"', b'"%b"' % (b"x" * 100)))


KINDS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def message_one_by_one(events: list[bytes]) -> object:
    """What they say where none is taken for being like another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delta, "joined", lambda _: None)
        return messages.streamed(events, None)


@st.composite
def block_runs(draw) -> list[bytes]:
    """Pieces of a block in a row, with blanks before the last brace or without."""
    kind, is_spaced, is_ascii = draw(st.sampled_from(list(KINDS))), draw(st.booleans()), draw(st.booleans())
    blanks = draw(st.sampled_from([0, 3]))
    found = []
    for text in draw(st.lists(texts, min_size=8, max_size=20)):
        piece = {"type": "content_block_delta", "index": 0, "delta": {"type": kind, KINDS[kind]: text}}
        event = json.dumps(piece, separators=(", ", ": ") if is_spaced else (",", ":"), ensure_ascii=is_ascii)
        found.append((event[:-1] + " " * (len(found) * blanks % 7) + "}").encode())
    return found


others = st.lists(st.sampled_from([b"", b"x", b'{"type": "ping"}', b'{"type":"content_block_stop","index":0}']), max_size=3)


@given(st.lists(block_runs() | others, max_size=4).map(lambda lists: [event for events in lists for event in events]))
def test_pieces_that_are_alike_say_together_what_they_say_one_by_one(events):
    """Of whichever kind, and whatever stands between them."""
    assert messages.streamed(events, None) == message_one_by_one(events)


START = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":'
OTHER_PIECES = {
    "of another block": START.replace(b"0", b"1") + b'"y"}}',
    "of another kind": b'{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"y"}}',
    "nothing": START + b'""}}',
    "null": START + b"null}}",
    "half of a character": START + b'"\\ud83d"}}',
    "two": START + b'"y" "z"}}',
    "two lines": START + b'"y"\n"z"}}',
    "a brace more": START + b'"y"}}}',
    "a brace less": START + b'"y"}',
    "cut off": START + b'"y',
    "a member more": START + b'"y","citations":[]}}',
    "padding": START + b'"y"},"p":"ab"}',
    "no event": b"",
}


@pytest.mark.parametrize("place", [0, 1, 9, 18, 19])
@pytest.mark.parametrize("other", OTHER_PIECES.values(), ids=OTHER_PIECES)
def test_a_piece_that_is_not_alike_says_what_is_its_own(other, place):
    """Wherever it stands among those that are."""
    events = [START + b'"%d"}%b}' % (n, b" " * (n % 3)) for n in range(20)]
    events[place] = other

    assert messages.streamed(events, None) == message_one_by_one(events)


@pytest.mark.parametrize("kind", KINDS)
def test_the_many_of_a_message_are_read_at_once(kind):
    """What Anthropic sends for each piece of a text, a thought or a call; what comes last is left."""
    event = json.dumps({"type": "content_block_delta", "index": 0, "delta": {"type": kind, KINDS[kind]: "x"}}, separators=(",", ":"))
    many = [(event[:-1] + " " * (n % 9) + "}").encode() for n in range(100)]
    end = wire([{"type": "content_block_stop", "index": 0}, {"type": "message_delta", "delta": {}}, {"type": "message_stop"}])

    piece, count = delta.joined([*many, *end])

    assert (piece.delta.kind, piece.delta.text, count) == (kind, "x" * 100, 100)


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
