"""What is said of every exchange, whatever its format: status, completeness, sizes, times, and what was left out."""

import gzip
import json
import zlib

import msgspec
import pytest

from llm_observe.records import Cut, Error, Exchange, Server, Text
from llm_observe.wire import Unknown, decode, decoding

ANSWER = {
    "id": "c",
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
}


def chunk(text: str, reason: str | None = None) -> dict:
    """One event's document."""
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}


def text_of(decoded) -> str:
    """The assistant's text."""
    return "".join(part.content for message in decoded.output.messages for part in message.parts if isinstance(part, Text))


def test_what_is_no_call_is_unknown_and_says_why():
    """Method and path, no more."""
    exchange = Exchange(client="httpx", method="POST", host="chat.example", path="/v1/images")

    assert Unknown(reason="no known format: POST /v1/images") == decode(exchange)


def test_an_exchange_that_is_itself_broken_is_unknown():
    """The sink goes on."""
    exchange = Exchange(client="httpx", method="POST", host="h", path="/v1/messages", request_body=7)

    assert Unknown(reason="unreadable exchange: TypeError") == decode(exchange)


def test_the_facts_of_the_wire(openai):
    """Client, status, sizes, chunks, how it ended; server and provider."""
    decoded = decode(openai(ANSWER, response_headers={"x-request-id": "req_1", "retry-after": "2"}, end="closed"))

    assert Server(address="api.openai.com", port=443) == decoded.server
    assert ("openai", False) == (decoded.provider.name, decoded.provider.guessed)
    assert ("req_1", 2.0) == (decoded.provider_request_id, decoded.retry_after)
    assert {
        "format": "openai.chat",
        "client": "httpx",
        "status_code": 200,
        "finish_reasons": ["stop"],
        "complete": True,
        "end": "closed",
        "request_size": 67,
        "response_size": 182,
        "chunk_count": 1,
    } == msgspec.to_builtins(decoded.wire) | {"finish_reasons": list(decoded.wire.finish_reasons)}


def test_sizes_are_the_captures_where_it_counted(openai):
    """The bytes may have been shed since."""
    wire = decode(openai(ANSWER, request_size=7, response_size=8)).wire

    assert (7, 8) == (wire.request_size, wire.response_size)


def test_a_host_nobody_knows_is_a_guess(openai):
    """The format's home provider stands in."""
    decoded = decode(openai(ANSWER, url="https://llm.internal/v1/chat/completions"))

    assert ("openai", True) == (decoded.provider.name, decoded.provider.guessed)


@pytest.mark.parametrize(
    ("changes", "status", "complete", "error"),
    [
        pytest.param({"end": "eof"}, "ok", True, None, id="it ended"),
        pytest.param({"end": "closed"}, "ok", True, None, id="the client closed after the last byte"),
        pytest.param({"end": "cancelled"}, "cancelled", True, None, id="cancelled, although all had come"),
        pytest.param(
            {"end": "cancelled", "error_type": "CancelledError", "chunks": [], "status_code": None},
            "cancelled",
            None,
            Error(type="CancelledError"),
            id="cancelled while waiting",
        ),
        pytest.param({"end": "eof", "chunks": [b'{"id": "c']}, "truncated", False, None, id="half a document"),
        pytest.param({"end": "eof", "chunks": []}, "truncated", False, None, id="no body"),
        pytest.param({"end": "eof", "chunks": [b"<html>"]}, "truncated", False, None, id="HTML under 200"),
        pytest.param({"end": "abandoned", "chunks": [], "status_code": None}, "truncated", None, None, id="given up before an answer came"),
        pytest.param(
            {"end": "error", "chunks": [b'{"id"'], "error_type": "RemoteProtocolError", "error_message": "peer closed"},
            "error",
            False,
            Error(type="RemoteProtocolError", message="peer closed"),
            id="the connection broke",
        ),
        pytest.param(
            {"end": "error", "chunks": [], "status_code": None, "error_type": "ConnectError"},
            "error",
            None,
            Error(type="ConnectError"),
            id="refused",
        ),
        pytest.param(
            {"end": "error", "chunks": [], "status_code": None, "error_type": "ReadTimeout"},
            "error",
            None,
            Error(type="timeout"),
            id="a timeout",
        ),
        pytest.param({"end": "error", "chunks": []}, "error", False, Error(type="_OTHER"), id="an error nobody named"),
        pytest.param({"status_code": 503, "chunks": [b"<html>"]}, "error", True, Error(type="503"), id="a page of HTML"),
        pytest.param(
            {"status_code": 503, "chunks": [b"<ht"], "end": "error", "error_type": "ReadError"},
            "error",
            False,
            Error(type="503"),
            id="half a page",
        ),
    ],
)
def test_status_and_completeness(openai, changes, status, complete, error):
    """The provider's word, then HTTP's, then the client's; complete is what the format says."""
    decoded = decode(openai(ANSWER, **changes))

    assert (status, complete, error) == (decoded.status, decoded.wire.complete, decoded.error)


def test_the_providers_word_counts_before_the_clients(openai, events):
    """An error event, and then the client raised."""
    body = events({"error": {"type": "server_error", "message": "m"}})
    decoded = decode(openai(body, end="error", error_type="APIError"))

    assert Error(type="server_error", message="m") == decoded.error


def test_a_stream_broken_off_keeps_its_text(openai, events):
    """The partial answer, an error in place of its reason."""
    decoded = decode(openai(events(chunk("par")), end="error", error_type="ReadError"))

    assert ("par", "error", ("error",), ()) == (
        text_of(decoded),
        decoded.status,
        decoded.response.finish_reasons,
        decoded.wire.finish_reasons,
    )


def test_a_request_that_is_no_json_is_told(openai):
    """The answer is read all the same."""
    decoded = decode(openai(ANSWER, b"{broken"))

    assert ("request is no JSON", "a", None, "ok") == (decoded.wire.reason, text_of(decoded), decoded.input.count, decoded.status)


# What the body is


@pytest.mark.parametrize("content_type", ["text/event-stream; charset=utf-8", "application/json", ""])
def test_a_stream_is_told_by_its_bytes(openai, events, content_type):
    """Headers lie, or are missing."""
    decoded = decode(openai(events(chunk("a", "stop"), "[DONE]"), response_headers={"content-type": content_type}))

    assert ("a", "ok") == (text_of(decoded), decoded.status)


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json", ""])
def test_a_document_is_told_by_its_bytes(openai, content_type):
    """``stream: true`` may be answered with one."""
    decoded = decode(openai(b"\n\n" + msgspec.json.encode(ANSWER), response_headers={"content-type": content_type}))

    assert ("a", None) == (text_of(decoded), decoded.first_chunk_at)


# Encodings


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_an_encoded_answer_is_unpacked(openai, encoding, pack):
    """As the header says."""
    decoded = decode(openai(pack(msgspec.json.encode(ANSWER)), response_headers={"content-encoding": encoding}))

    assert ("a", "ok") == (text_of(decoded), decoded.status)


def test_an_encoded_request_is_unpacked(openai):
    """Some clients pack long prompts."""
    packed = gzip.compress(b'{"model": "gpt-x", "messages": []}')
    decoded = decode(openai(ANSWER, packed, request_headers={"content-encoding": "gzip"}))

    assert ("gpt-x", None) == (decoded.request.model, decoded.wire.reason)


def test_an_answer_the_client_unpacked_is_not_unpacked_again(openai):
    """The header is still there."""
    decoded = decode(openai(ANSWER, response_headers={"content-encoding": "br"}, content_decoded=True))

    assert "a" == text_of(decoded)


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_an_encoding_we_do_not_read_leaves_the_rest_known(openai, content_type):
    """Not truncated: it may be whole, we cannot tell."""
    headers = {"content-encoding": "compress", "content-type": content_type}
    decoded = decode(openai(b"\x1f\x9d\x90", response_headers=headers))

    assert ("ok", None, "content-encoding compress is not read", 1) == (
        decoded.status,
        decoded.wire.complete,
        decoded.wire.reason,
        decoded.input.count,
    )


# Times


def test_the_first_chunk_is_the_read_that_completes_the_first_event(openai, events):
    """A comment is none, and half an event is none."""
    first = events(chunk("a"))
    chunks = [b": processing\n\n", first[:20], first[20:-1], first[-1:], events(chunk("b", "stop"), "[DONE]")]

    assert 40 == decode(openai(b"", chunks=chunks, chunk_times=[10, 20, 30, 40, 50])).first_chunk_at


def test_the_first_chunk_of_a_packed_stream(openai, events):
    """Known by unpacking read by read."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    chunks = [packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH) for data in (b": hello\n\n", events(chunk("a")), events("[DONE]"))]

    assert 20 == decode(openai(b"", chunks=chunks, chunk_times=[10, 20, 30], response_headers={"content-encoding": "gzip"})).first_chunk_at


@pytest.mark.parametrize(
    ("chunks", "times", "expected"),
    [
        pytest.param([b"data: {}"], [10], 10, id="the blank line never came"),
        pytest.param([b": hello\n\n"], [10], None, id="there was no event"),
        pytest.param([b"data: {}\n\n"], [], None, id="nobody looked at the clock"),
    ],
)
def test_the_first_chunk_where_it_is_hard_to_say(openai, chunks, times, expected):
    """Nothing is made up."""
    assert expected == decode(openai(b"", chunks=chunks, chunk_times=times)).first_chunk_at


# What was left out


def test_across_a_gap_the_whole_events_on_both_sides_are_read(openai, events):
    """The event it begins in and the event it ends in are dropped; the record says so."""
    head, lost, tail = events(chunk("a"), chunk("b")), events(chunk("lost")), events(chunk("y"), chunk("z", "stop"), "[DONE]")
    decoded = decode(openai(b"", chunks=[head, lost[:9]], tail=[lost[-30:], tail], response_size=5000))

    assert "abyz" == text_of(decoded)
    assert ("ok", True, "response too long: middle left out", None) == (
        decoded.status,
        decoded.wire.complete,
        decoded.wire.reason,
        decoded.wire.chunk_count,
    )
    assert {"output.messages": Cut(bytes=5000)} == decoded.truncated


def test_an_event_that_no_room_is_enough_for(openai, events):
    """An image, say: where nothing is whole on either side of the gap, nothing came at any time."""
    lost = events(chunk("a" * 500))
    decoded = decode(openai(b"", chunks=[lost[:99]], chunk_times=[10], tail=[lost[-99:]], tail_times=[20], response_size=5000))

    assert ("", None, ()) == (text_of(decoded), decoded.first_chunk_at, decoded.response.chunk_gaps)
    assert "response too long: middle left out" == decoded.wire.reason


def test_across_a_gap_lines_may_end_in_cr_lf(openai, events):
    """The boundary is found all the same."""
    tail = events(chunk("z", "stop"), "[DONE]").replace(b"\n", b"\r\n")
    decoded = decode(openai(b"", chunks=[events(chunk("a"))], tail=[b'broken"}]}\r\n\r', b"\n" + tail]))

    assert ("az", "ok") == (text_of(decoded), decoded.status)


def test_an_anthropic_stream_across_a_gap(anthropic, message_stream):
    """Usage and reason stand at its end, the block's start before the gap."""
    middle = message_stream.index("Grüße".encode())
    end = message_stream.index(b"event: content_block_start", middle)
    decoded = decode(anthropic(b"", chunks=[message_stream[:middle]], tail=[message_stream[end - 9 :]], response_size=9999))

    assert (20, ("tool_call",), "ok") == (decoded.usage.output_tokens, decoded.response.finish_reasons, decoded.status)


def test_a_document_with_a_gap_that_lacks_its_end_cannot_be_read(openai):
    """What else is known is told; whether it was whole is not."""
    decoded = decode(openai(b"", chunks=[b'{"id": "c", "choices": [{"'], tail=[b'"usage": {'], response_size=5000))

    assert ("ok", None, "response too long: middle left out") == (decoded.status, decoded.wire.complete, decoded.wire.reason)
    assert None is decoded.response.id


LONG = "x" * 200_000
TOO_LONG = {
    "chat": (
        "https://api.openai.com/v1/chat/completions",
        {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
        {"id": "r", "model": "m-1", "choices": [{"message": {"content": LONG}}], "usage": {"prompt_tokens": 5, "completion_tokens": 7}},
    ),
    "responses": (
        "https://api.openai.com/v1/responses",
        {"model": "m", "input": "hi"},
        {"id": "r", "status": "completed", "model": "m-1", "output": [{"text": LONG}], "usage": {"input_tokens": 5, "output_tokens": 7}},
    ),
    "messages": (
        "https://api.anthropic.com/v1/messages",
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
        {"id": "r", "model": "m-1", "content": [{"type": "text", "text": LONG}], "usage": {"input_tokens": 5, "output_tokens": 7}},
    ),
    "gemini": (
        "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        {
            "candidates": [{"content": {"parts": [{"text": LONG}]}}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7},
            "modelVersion": "m-1",
            "responseId": "r",
        },
    ),
}


@pytest.mark.parametrize(("url", "request_", "answer"), TOO_LONG.values(), ids=TOO_LONG)
def test_a_document_too_long_to_keep_is_read_at_its_ends(openai, url, request_, answer):
    """The id, the model and the tokens are there, and the answer's words are said to be missing."""
    data = json.dumps(answer).encode()
    decoded = decode(openai(b"", request_, url=url, chunks=[data[:4096]], tail=[data[-4096:]], response_size=len(data), shed=("middle",)))

    assert ("r", "m-1", 5, 7) == (decoded.response.id, decoded.response.model, decoded.usage.input_tokens, decoded.usage.output_tokens)
    assert ("ok", {"output.messages": Cut(bytes=len(data))}) == (decoded.status, decoded.truncated)
    assert [] == [message for message in decoded.output.messages if message.parts]


def test_of_embeddings_too_long_to_keep_the_tokens_stay(openai):
    """How many vectors there were is not known."""
    vectors = [{"index": n, "embedding": [0.25] * 9_000} for n in range(2)]
    data = json.dumps({"object": "list", "data": vectors, "model": "m-1", "usage": {"prompt_tokens": 5, "total_tokens": 5}}).encode()
    asked = {"model": "m", "input": ["a", "b"]}
    decoded = decode(
        openai(b"", asked, url="https://api.openai.com/v1/embeddings", chunks=[data[:999]], tail=[data[-999:]], shed=("middle",))
    )

    assert ("m-1", 5, None) == (decoded.response.model, decoded.usage.input_tokens, decoded.response.embedding_count)


def test_a_packed_stream_is_not_read_behind_a_gap(openai, events):
    """Nothing can be unpacked there; what came before is."""
    packed = gzip.compress(events(chunk("a"), chunk("b")))
    headers = {"content-encoding": "gzip", "content-type": "text/event-stream"}
    decoded = decode(openai(b"", chunks=[packed], tail=[b"data: junk\n\n"], response_headers=headers))

    assert ("ab", "ok", None) == (text_of(decoded), decoded.status, decoded.wire.complete)


def test_a_request_that_was_shed(openai):
    """Its size is known, its count is not."""
    decoded = decode(openai(ANSWER, request_body=None, request_size=1234, shed=("request",)))

    assert ({"input.messages": Cut(bytes=1234)}, None, "a") == (decoded.truncated, decoded.input.count, text_of(decoded))


def test_a_response_that_was_shed(openai):
    """Whether it was whole is not known, and nothing is held against it."""
    decoded = decode(openai(b"", chunks=[], response_size=1234, shed=("request", "response")))

    assert Cut(bytes=1234) == decoded.truncated["output.messages"]
    assert ("ok", None, "response left out for want of room") == (decoded.status, decoded.wire.complete, decoded.wire.reason)


def test_each_chunk_has_its_time(openai, events):
    """The first chunk, the first with something in it, and the gaps from chunk to chunk: in microseconds, those of one read 0 apart."""

    def chunk(content: str) -> bytes:
        return events({"choices": [{"index": 0, "delta": {"content": content}}]})

    reads = [b": wait\n\n", chunk(""), chunk("a"), chunk("b") + chunk("c"), chunk("d")[:20], chunk("d")[20:], b"data: [DONE]\n\n"]
    decoded = decode(openai(b"", chunks=reads, chunk_times=[1_000, 5_000, 9_000, 12_000, 13_000, 20_500, 30_000]))

    assert (5_000, 9_000) == (decoded.first_chunk_at, decoded.first_content_at)
    assert (4, 3, 0, 8) == decoded.response.chunk_gaps


def test_gaps_add_up_to_when_a_chunk_came(openai, events):
    """Each instant is rounded once, so that a thousand gaps are no further off than one."""
    times = [1_000 + 1_600 * n for n in range(1000)]
    reads = [events({"choices": [{"index": 0, "delta": {"content": "a"}}]}) for _ in times]
    gaps = decode(openai(b"", chunks=reads, chunk_times=times)).response.chunk_gaps

    assert (times[-1] - times[0]) // 1000 == sum(gaps)


def test_no_more_chunks_are_timed_than_may_be_kept(openai, events, monkeypatch):
    """The text goes on."""
    monkeypatch.setattr(decoding, "MOST_CHUNKS", 3)
    reads = [events({"choices": [{"index": 0, "delta": {"content": "a"}}]}) for _ in range(5)]
    decoded = decode(openai(b"", chunks=reads, chunk_times=[0, 1_000, 2_000, 3_000, 4_000]))

    assert ((1, 1), "aaaaa") == (decoded.response.chunk_gaps, text_of(decoded))


def test_heartbeats_are_no_chunks(anthropic, events):
    """A ping says nothing of the model's pace."""
    start = {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}
    reads = [events(start), events({"type": "ping"}), events(delta)]

    assert (7,) == decode(anthropic(b"", chunks=reads, chunk_times=[0, 3_000, 7_000])).response.chunk_gaps


@pytest.mark.parametrize("status", [429, 402, 500])
@pytest.mark.parametrize("kind", ["insufficient_quota", "billing_error", "credit_balance_exhausted"])
def test_an_account_at_its_end_is_permanent(openai, status, kind):
    """By the error's type or its code, whatever the status."""
    said = [{"error": {"type": kind, "message": "m"}}, {"error": {"type": "x", "code": kind, "message": "m"}}]

    assert [True, True] == [decode(openai(body, status_code=status)).error.permanent for body in said]


def test_what_a_caller_did_wrong_is_not_called_permanent(openai):
    """A 400 says so itself."""
    assert None is decode(openai({"error": {"type": "insufficient_quota", "message": "m"}}, status_code=400)).error.permanent
