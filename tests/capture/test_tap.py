"""What is kept of an exchange: bodies up to a bound, instants."""

import json
from contextlib import closing
from itertools import count

import pytest

from llm_observe._runtime.clock import Clock
from llm_observe.capture._tap import TAIL, Tap
from llm_observe.records import Exchange
from llm_observe.testing import recording


def ask(wire, *pieces, stream=True, headers=None, **body):
    """One call through *wire*, read to its end."""
    with wire.client(*pieces, headers=headers) as client:
        with closing(client.send(wire.request(client, **body), stream=stream)) as response:
            return response.read()


def test_the_request_is_kept_by_reference(wire, exchanges):
    """Its body is not copied."""
    with wire.client() as client:
        request = wire.request(client)
        client.send(request)

    assert request.content is exchanges[0].request_body


@pytest.mark.parametrize(
    ("url", "port"), [("http://provider.test", 80), ("https://provider.test", 443), ("http://provider.test:8080", 8080)]
)
def test_the_port_is_the_one_that_is_used(wire, exchanges, url, port):
    """Also where the URL names none."""
    with wire.client() as client:
        client.send(wire.request(client, url + "/v1/chat/completions?a=b"))

    assert ("provider.test", port, "/v1/chat/completions") == (exchanges[0].host, exchanges[0].port, exchanges[0].path)


def test_instants_are_those_of_the_observer_s_clock(wire):
    """Begin, each piece and the end are stamped in this order; the time to the first piece of content is on record."""
    ticks = count(1)
    clock = Clock(wall=lambda: 1_700_000_000_000_000_000, now=lambda: next(ticks) * 1_000_000_000)
    from llm_observe import Observer
    from llm_observe._runtime.default import swapped
    from llm_observe.exporters.memory import MemoryExporter

    memory = MemoryExporter()
    with Observer(exporters=[memory], strict=True, clock=clock, batch_age=0) as observer, swapped(observer):
        ask(wire)
        observer.flush(final=True)

    (call,) = memory.calls
    assert (1.0, 6.0) == (call.response.time_to_first_chunk, call.duration)
    assert "2023-11-14T22:13:20+00:00" == call.started_at.isoformat()


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_a_request_too_long_to_keep_is_left_out(wire):
    """Its size is on record, and that it was left out; the answer is kept."""
    with recording(body_bytes=2048) as recorded:
        ask(wire, json={"model": "gpt-x", "messages": [{"role": "user", "content": "x" * 4096}]})

    (call,) = recorded.calls
    assert {"input.messages": call.wire.request_size} == {field: cut.bytes for field, cut in call.truncated.items()}
    assert (4096 < call.wire.request_size, "Hello") == (True, call.output.messages[0].parts[0].content)


def test_of_a_plain_answer_too_long_to_keep_both_ends_are_kept(wire, answers):
    """The application gets it whole; its size is on record, and what its ends say: the model, the tokens."""
    document = json.loads(answers.whole)
    document["choices"][0]["message"]["content"] = "x" * 4096
    long = json.dumps(document).encode()
    with recording(body_bytes=2048) as recorded:
        assert long == ask(wire, long, stream=False, headers={"content-type": "application/json"})

    (call,) = recorded.calls
    assert (len(long), len(long)) == (call.wire.response_size, call.truncated["output.messages"].bytes)
    assert (200, (), 1, 2) == (call.wire.status_code, call.output.messages, call.usage.input_tokens, call.usage.output_tokens)


def test_of_a_stream_too_long_to_keep_both_ends_are_kept(wire, answers):
    """The middle goes, the usage at the end stays; the application gets all of it in order."""
    middle = [answers.event({"content": f"{n:05d}" + "x" * 2000}) for n in range(400)]
    usage = b'data: {"id":"c","model":"gpt-x-1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9,"total_tokens":16}}\n\n'
    pieces = [*answers.pieces[:3], *middle, answers.pieces[3], usage, answers.pieces[4]]
    with recording(body_bytes=4096) as recorded:
        assert b"".join(pieces) == ask(wire, *pieces)

    (call,) = recorded.calls
    assert (sum(map(len, pieces)), None) == (call.wire.response_size, call.wire.chunk_count)
    assert ("ok", 7, 9, ("stop",)) == (call.status, call.usage.input_tokens, call.usage.output_tokens, call.response.finish_reasons)
    assert call.output.messages[0].parts[0].content.startswith("Hello00000")
    assert sum(map(len, pieces)) == call.truncated["output.messages"].bytes


def test_the_kept_end_of_a_long_stream_is_bounded(wire, exchanges, llm_records, answers, monkeypatch):
    """However long the stream, what is kept is two bounds and a piece."""
    monkeypatch.setattr(llm_records.observer, "settings", type(llm_records.observer.settings)(body_bytes=1024))
    pieces = [answers.event({"content": "x" * 5000})] * 500
    ask(wire, *pieces)

    (exchange,) = exchanges
    assert sum(map(len, exchange.tail)) <= TAIL + len(pieces[0])
    assert len(exchange.tail) == len(exchange.tail_times)
    assert isinstance(exchange.tail, list)


# --- bodies that are not bytes ---------------------------------------------------------------------------------------


def test_a_request_body_that_is_an_iterator_is_not_read_by_us(wire, exchanges):
    """It is sent once, by the client; the call is on record without it."""
    served = []

    def body():
        for piece in [b'{"model":', b'"m","messages":[]}']:
            served.append(piece)
            yield piece

    def answer(request):
        request.read()
        return wire.library.Response(200, content=b"{}")

    with wire.library.Client(transport=wire.library.MockTransport(answer)) as client:
        client.send(client.build_request("POST", "http://provider.test/v1/chat/completions", content=body()))

    assert [b'{"model":', b'"m","messages":[]}'] == served
    assert [(None, 0)] == [(exchange.request_body, exchange.request_size) for exchange in exchanges]


def test_a_multipart_request_is_not_read_by_us(wire, llm_records):
    """A file upload passes as it is."""
    with wire.client(b"{}") as client:
        client.send(wire.request(client, files={"file": b"..."}))

    (asked,) = wire.asked
    assert b"..." in asked.read()
    assert 1 == len(llm_records.calls)


def long_stream(observer, size) -> Tap:
    """An answer of *size* KiB that has not come to its end."""
    tap = Tap(observer, Exchange(client="", method="POST", host="", path="/"), room=2**20)
    tap.stream()
    for _ in range(size):
        tap.chunk(b"x" * 1024)
    return tap


def test_what_is_kept_of_a_stream_is_counted_until_its_end():
    """All answers under way have one bound."""
    with recording() as recorded:
        tap = long_stream(recorded.observer, 100)
        kept = recorded.observer.stats().bytes_in_flight
        tap.end("eof")

        assert (True, 0) == (98 * 1024 <= kept < 4 * 100 * 1024, recorded.observer.stats().bytes_in_flight)


def test_where_all_streams_together_keep_too_much_the_ends_of_one_are_kept(wire, answers):
    """Its first bytes and its last ones: the model is there, the usage, and that something is missing."""
    usage = b'data: {"id":"c","model":"gpt-x-1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9,"total_tokens":16}}\n\n'
    middle = [answers.event({"content": f"{n:05d}" + "x" * 500}) for n in range(100)]
    pieces = [*answers.pieces[:3], *middle, answers.pieces[3], usage, answers.pieces[4]]
    with recording(queue_bytes=2**20) as recorded:
        others = long_stream(recorded.observer, 512)
        ask(wire, *pieces)
        kept = recorded.observer.stats().bytes_in_flight
        others.end("eof")

    (call,) = recorded.calls
    assert (7, 9, ("stop",)) == (call.usage.input_tokens, call.usage.output_tokens, call.response.finish_reasons)
    assert {"output.messages": sum(map(len, pieces))} == {field: cut.bytes for field, cut in call.truncated.items()}
    assert (True, True) == (call.output.messages[0].parts[0].content.startswith("Hello00000"), kept <= 2**19)
