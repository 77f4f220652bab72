"""Whatever OpenAI's bytes beside its chats: nothing raises, what can be encoded comes out, and how they were cut makes no difference."""

import gzip
import random
import time
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_observe.records import Decoded, Text
from llm_observe.wire import decode

EVENTS = {"content-type": "text/event-stream"}
STREAMS = ["response_stream", "fetched_stream", "completion_stream", "pieces_stream"]
NAMES = st.sampled_from(
    [
        *(
            "type",
            "response",
            "output",
            "item",
            "items",
            "output_index",
            "content_index",
            "summary_index",
            "item_id",
            "delta",
            "annotation",
        ),
        *("annotations", "content", "text", "summary", "refusal", "arguments", "input", "call_id", "id", "name", "action", "operation"),
        *("results", "outputs", "result", "tools", "environment", "execution", "status", "incomplete_details", "reason", "error", "code"),
        *("message", "usage", "input_tokens", "input_tokens_details", "total_tokens", "tool_usage", "web_search", "num_requests", "model"),
        *("conversation", "prompt", "version", "instructions", "reasoning", "format", "schema", "image_url", "file_data", "input_audio"),
        *("choices", "index", "finish_reason", "value", "data", "embedding", "dimensions", "encoding_format", "output_dtype", "image"),
        *("message", "messages", "role", "images", "citations", "search_results", "context", "executed_tools", "audio", "timings"),
        *("errors", "detail", "error_code", "server_label", "completion_tokens_details", "cached_tokens_details", "output_format"),
    ]
)
KINDS = st.sampled_from(
    [
        *("message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "computer_call", "computer_call_output"),
        *("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call", "mcp_list_tools"),
        *("mcp_approval_request", "mcp_approval_response", "shell_call", "shell_call_output", "apply_patch_call", "tool_search_call"),
        *("tool_search_output", "compaction", "program", "item_reference", "additional_tools", "novel_call", "client", "server"),
        *("output_text", "input_text", "input_image", "input_file", "input_audio", "refusal", "summary_text", "computer_screenshot"),
        *("response.created", "response.completed", "response.failed", "response.output_text.delta", "response.output_item.added"),
        *("response.output_item.done", "response.output_text.annotation.added", "response.function_call_arguments.delta"),
        *("response.reasoning_summary_text.delta", "error", "completed", "incomplete", "failed", "queued", "json_schema", "namespace"),
        *("container_reference", "int8", "binary", "data:image/png;base64,AAAA"),
    ]
)
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


@pytest.fixture(scope="session")
def fetched_stream(response_stream) -> bytes:
    """A response that is streamed once more."""
    return response_stream


@pytest.fixture(scope="session")
def exchange(responses, fetch, completion):
    """The exchange whose stream it is."""

    def writers(answer, **changes):
        return completion(answer, url="https://api.writer.com/v1/completions", **changes)

    return dict(zip(STREAMS, (responses, fetch, completion, writers), strict=True))


def pieces(data: bytes, cuts: list[float]) -> list[bytes]:
    """*data* cut at these parts of its length."""
    edges = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def without_cuts(decoded: Decoded) -> Decoded:
    """What does not tell how the bytes arrived."""
    return msgspec.structs.replace(decoded, wire=msgspec.structs.replace(decoded.wire, chunk_count=None))


def sound(decoded: object) -> Decoded:
    """A Decoded that the sink can encode, and that hides no fault of ours."""
    assert isinstance(decoded, Decoded)
    assert msgspec.json.encode(decoded)
    assert "not read:" not in (decoded.wire.reason or "")
    return decoded


def text_of(decoded: Decoded) -> str:
    """The model's text."""
    return "".join(part.content for message in decoded.output.messages for part in message.parts if isinstance(part, Text))


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.floats(0, 1), max_size=30))
def test_however_the_bytes_arrive_the_decoded_is_the_same(request, exchange, name, encoding, cuts):
    """Cut through events, lines, characters and packed blocks."""
    data = request.getfixturevalue(name)
    data = gzip.compress(data, mtime=0) if encoding else data
    headers = EVENTS | ({"content-encoding": encoding} if encoding else {})
    whole = exchange[name](data, response_headers=headers)
    cut = exchange[name](data, response_headers=headers, chunks=pieces(data, cuts))

    assert without_cuts(decode(whole)) == without_cuts(decode(cut))


@pytest.mark.parametrize("name", STREAMS[:-1])
def test_every_truncation_is_told_and_keeps_the_text_that_came(request, exchange, name):
    """A beginning of the text; truncated until the end has come."""
    data = request.getfixturevalue(name)
    whole = text_of(decode(exchange[name](data)))
    told, longest = set(), ""
    for cut in range(1, len(data)):
        decoded = sound(decode(exchange[name](data[:cut], response_headers=EVENTS)))
        told.add(decoded.status)
        assert whole.startswith(text_of(decoded))
        assert text_of(decoded).startswith(longest)
        assert ("ok" if decoded.wire.complete else "truncated") == decoded.status
        longest = text_of(decoded)

    assert ({"truncated", "ok"}, whole) == (told, longest)


def test_what_came_of_writers_pieces_is_kept(exchange, pieces_stream):
    """It has no end, so that nothing can be told of it."""
    whole = text_of(decode(exchange["pieces_stream"](pieces_stream)))
    for cut in range(1, len(pieces_stream)):
        assert whole.startswith(text_of(sound(decode(exchange["pieces_stream"](pieces_stream[:cut], response_headers=EVENTS)))))


@pytest.mark.parametrize("name", STREAMS)
def test_no_flipped_byte_raises(request, exchange, name):
    """Every byte, turned into something else."""
    data = request.getfixturevalue(name)
    dice = random.Random(7)
    for position in range(len(data)):
        broken = bytearray(data)
        broken[position] ^= dice.randrange(1, 256)
        sound(decode(exchange[name](bytes(broken), response_headers=EVENTS)))


@pytest.mark.parametrize("ended", [True, False])
def test_a_gap_in_the_middle_keeps_what_is_around_it(exchange, events, response_events, ended):
    """The end has all; without it, there is what both sides have of the items."""
    head = events(*response_events[:14])
    tail = b"half an event\n\n" + events(*response_events[18:] if ended else response_events[18:-1])
    decoded = sound(decode(exchange["response_stream"](head, tail=[tail], response_headers=EVENTS)))

    assert (ended, "Grüße, 世界 🌍\u2028") == (decoded.wire.complete, text_of(decoded))


@settings(max_examples=150, deadline=None)
@given(shape=st.dictionaries(NAMES, SHAPES, max_size=8), kind=KINDS)
def test_no_shape_raises_or_hides_behind_a_reason(responses, completion, embedding, openai, events, shape, kind):
    """The words of the formats with anything at all under them: the decoders themselves stand it."""
    request = shape | {"model": "m", "input": [shape, shape | {"type": kind}], "prompt": [shape], "tools": [shape]}
    answer = shape | {"output": [shape, shape | {"type": kind}], "data": [shape], "choices": [shape]}
    finished = {"type": "response.completed", "response": answer}
    event = shape | {"type": kind}
    for make in (responses, completion, embedding):
        for said in (answer, events(event, answer, shape), events(event, finished), events(finished, event)):
            sound(decode(make(said, request)))
        sound(decode(make(answer, request, status_code=400)))
    sound(decode(openai(answer, {"messages": [shape]})))
    sound(decode(openai(events(answer, {"choices": [{"delta": shape}, {"message": shape}]}), {"messages": [shape]})))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"[" * 5000 + b"]" * 5000, id="a bomb"),
        pytest.param(b'{"a":' * 900 + b"1" + b"}" * 900, id="too deep to encode"),
        pytest.param(b"9" * 5000, id="5,000 digits"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b'"\\ud83d"', id="a lone surrogate"),
        pytest.param(b'"\xff\xfe"', id="not UTF-8"),
    ],
)
def test_hostile_values_anywhere(responses, completion, embedding, value):
    """As a parameter, as an item, as a vector, as arguments, as usage."""
    request = (
        b'{"model": "m", "temperature": %b, "input": [%b, {"type": "function_call", "arguments": %b}], "prompt": [%b], "dimensions": %b}'
    )
    answer = b'{"id": %b, "status": %b, "output": [{"type": "mcp_call", "arguments": %b}], "usage": {"input_tokens": %b}, "data": [{"embedding": %b}]}'
    for make in (responses, completion, embedding):
        sound(decode(make(answer.replace(b"%b", value), request.replace(b"%b", value))))
        sound(decode(make(b'data: {"type": "response.completed", "response": ' + answer.replace(b"%b", value) + b"}\n\n")))


@pytest.mark.parametrize("kind", ["response.output_text.delta", "response.function_call_arguments.delta", "response.output_item.done"])
def test_a_long_stream_that_broke_off_is_folded_in_linear_time(responses, events, kind):
    """Ten times the events cost about ten times as much, not a hundred times."""

    def cost(count: int) -> float:
        item = {"type": "message", "content": [{"type": "output_text", "text": "a"}]}
        body = events(*({"type": kind, "output_index": n % 50, "content_index": n % 7, "delta": "a", "item": item} for n in range(count)))
        exchange = responses(body)
        began = time.perf_counter()
        decode(exchange)
        return time.perf_counter() - began

    assert min(cost(20_000) for _ in range(3)) < 40 * min(cost(2_000) for _ in range(3))
