"""One record a call, however its stream ends; and nothing of the stream is changed."""

import asyncio
import gc
import inspect
from contextlib import closing

import pytest

from llm_observe import capture


class Interrupt(Exception):
    """Somebody else's exception."""


# --- what the application gets ---------------------------------------------------------------------------------------


def test_the_pieces_pass_untouched_and_in_order(wire, llm_records, answers):
    """The very objects that the transport yields arrive, none more, none less."""
    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        arrived = list(response.stream)

    assert [id(piece) for piece in answers.pieces] == [id(piece) for piece in arrived]


async def collected(stream):
    """What *stream* yields."""
    return [piece async for piece in stream]


def test_the_pieces_pass_untouched_and_in_order_async(wire, llm_records, answers):
    """The very objects that the transport yields arrive, none more, none less."""

    async def main():
        async with wire.aclient() as client:
            response = await client.send(wire.request(client), stream=True)
            try:
                return await collected(response.stream)
            finally:
                await response.aclose()

    assert [id(piece) for piece in answers.pieces] == [id(piece) for piece in asyncio.run(main())]


# --- how streams end, synchronously ----------------------------------------------------------------------------------


def test_a_stream_read_to_its_end(wire, llm_records, outcomes):
    """It is ok, and ended with its last byte."""
    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        response.read()

    assert [("ok", "eof", "Hello")] == outcomes(llm_records)


def test_a_stream_left_at_done_and_closed(wire, llm_records, outcomes):
    """All that matters came: it is ok although it was closed before its end."""
    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        for data in response.iter_raw():
            if b"[DONE]" in data:
                break

    assert [("ok", "closed", "Hello")] == outcomes(llm_records)


def test_a_stream_left_in_the_middle_and_closed(wire, llm_records, outcomes):
    """It is truncated, and what was heard is on record."""
    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        for data in response.iter_raw():
            if b"Hel" in data:
                break

    assert [("truncated", "closed", "Hel")] == outcomes(llm_records)


def test_a_stream_left_in_the_middle_and_dropped(wire, llm_records, outcomes):
    """The garbage collector ends it."""
    with wire.client() as client:
        response = client.send(wire.request(client), stream=True)
        for data in response.iter_raw():
            if b"Hel" in data:
                break
        del response, data
        gc.collect()

    assert [("truncated", "Hel")] == [(status, text) for status, _, text in outcomes(llm_records)]


def test_a_stream_that_nobody_reads(wire, llm_records, outcomes):
    """Dropped before its first byte it is truncated, and empty."""
    with wire.client() as client:
        client.send(wire.request(client), stream=True)
        gc.collect()

    assert [("truncated", "abandoned", "")] == outcomes(llm_records)


def test_a_stream_closed_before_it_is_read(wire, llm_records, outcomes):
    """It is truncated, and empty."""
    with wire.client() as client:
        client.send(wire.request(client), stream=True).close()

    assert [("truncated", "closed", "")] == outcomes(llm_records)


def test_the_stream_is_closed_as_often_as_without_us(wire, llm_records):
    """Closing goes on to the stream below."""
    with wire.client() as client:
        response = client.send(wire.request(client), stream=True)
        response.close()
        response.close()

    assert 1 == wire.closed


def test_a_failure_while_closing_goes_on_and_the_call_is_recorded(wire, llm_records, outcomes, monkeypatch):
    """The application sees the stream's own exception."""
    broken = Interrupt("cannot close")

    def close(self):
        raise broken

    monkeypatch.setattr(wire.pieces, "close", close)
    with wire.client() as client:
        response = client.send(wire.request(client), stream=True)
        with pytest.raises(Interrupt) as caught:
            response.close()

    assert caught.value is broken
    assert [("truncated", "closed", "")] == outcomes(llm_records)


def test_what_is_read_after_closing_changes_no_record(wire, llm_records, exchanges, answers):
    """A reader in another thread may be late: the record stays what it was when the stream was closed."""
    with wire.client() as client:
        response = client.send(wire.request(client), stream=True)
        late = iter(response.stream)
        next(late)
        response.close()
        rest = list(late)

    assert answers.pieces[1:] == rest
    assert [answers.pieces[:1]] == [exchange.chunks for exchange in exchanges]


def test_what_is_read_after_closing_borrows_no_room(wire, llm_records):
    """However much it is: nobody would give the room back."""
    with wire.client(*[b"x" * 3000] * 4) as client:
        response = client.send(wire.request(client), stream=True)
        late = iter(response.stream)
        next(late)
        response.close()
        rest = b"".join(late)

    assert (9000, 0) == (len(rest), llm_records.observer.handover.lent)


def test_an_exception_out_of_the_stream_is_the_same_object(wire, llm_records, answers):
    """It is neither wrapped nor changed, and it is the call's error."""
    cut = wire.library.RemoteProtocolError("peer closed connection without sending complete message body")
    with wire.client(*answers.pieces[:2], cut) as client, closing(client.send(wire.request(client), stream=True)) as response:
        with pytest.raises(wire.library.RemoteProtocolError) as caught:
            response.read()

    assert (cut, None, None) == (caught.value, cut.__cause__, cut.__context__)
    (call,) = llm_records.calls
    assert ("error", "RemoteProtocolError", "error") == (call.status, call.error.type, call.wire.end)
    assert "Hel" == call.output.messages[0].parts[0].content


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interrupt_in_the_stream_cancels_the_call(wire, llm_records, outcomes, answers, error):
    """Ctrl-C and the like pass, and are nobody's fault."""
    with wire.client(*answers.pieces[:2], error) as client, closing(client.send(wire.request(client), stream=True)) as response:
        with pytest.raises(type(error)) as caught:
            response.read()

    assert caught.value is error
    assert [("cancelled", "cancelled", "Hel")] == outcomes(llm_records)


def test_an_exception_thrown_in_by_its_reader_does_not_reach_the_stream(wire, llm_records, outcomes):
    """What goes wrong between two pieces is the reader's affair; the call is closed."""
    with wire.client() as client:
        with pytest.raises(Interrupt), closing(client.send(wire.request(client), stream=True)) as response:
            for data in response.iter_raw():
                if b"Hel" in data:
                    raise Interrupt

    assert [("truncated", "closed", "Hel")] == outcomes(llm_records)


def test_an_exception_whose_words_fail_is_recorded_without_them(wire, llm_records, answers):
    """Somebody else's `__str__` is not ours to trust."""

    class Wordless(Exception):
        def __str__(self):
            raise Interrupt

    with wire.client(*answers.pieces[:2], Wordless()) as client, closing(client.send(wire.request(client), stream=True)) as response:
        with pytest.raises(Wordless):
            response.read()

    assert [("Wordless", None)] == [(call.error.type, call.error.message) for call in llm_records.calls]


# --- and asynchronously ----------------------------------------------------------------------------------------------


def run(wire, use, *pieces):
    """What *use* makes of a streamed response."""

    async def main():
        async with wire.aclient(*pieces) as client:
            response = await client.send(wire.request(client), stream=True)
            return await use(response)

    return asyncio.run(main())


def test_a_stream_read_to_its_end_async(wire, llm_records, outcomes):
    """It is ok, and ended with its last byte."""

    async def use(response):
        await response.aread()

    run(wire, use)

    assert [("ok", "eof", "Hello")] == outcomes(llm_records)


def test_a_stream_left_in_the_middle_and_closed_async(wire, llm_records, outcomes):
    """It is truncated, and what was heard is on record."""

    async def use(response):
        async for data in response.aiter_raw():
            if b"Hel" in data:
                break
        await response.aclose()

    run(wire, use)

    assert [("truncated", "closed", "Hel")] == outcomes(llm_records)


def test_an_async_generator_abandoned_in_the_middle(wire, llm_records, outcomes):
    """The event loop's end ends it, if nothing before does."""

    async def use(response):
        async for data in response.aiter_raw():
            if b"Hel" in data:
                return

    run(wire, use)
    gc.collect()

    assert [("truncated", "Hel")] == [(status, text) for status, _, text in outcomes(llm_records)]


def test_a_stream_that_nobody_reads_async(wire, llm_records, outcomes):
    """Dropped before its first byte it is truncated, and empty."""

    async def use(response):
        del response
        gc.collect()

    run(wire, use)
    gc.collect()

    assert [("truncated", "abandoned", "")] == outcomes(llm_records)


def test_an_exception_out_of_the_stream_is_the_same_object_async(wire, llm_records, answers):
    """It is neither wrapped nor changed, and it is the call's error."""
    cut = wire.library.ReadTimeout("")

    async def use(response):
        with pytest.raises(wire.library.ReadTimeout) as caught:
            await response.aread()
        await response.aclose()
        return caught.value

    assert cut is run(wire, use, *answers.pieces[:2], cut)
    (call,) = llm_records.calls
    assert ("error", "timeout", "error") == (call.status, call.error.type, call.wire.end)


def test_a_task_cancelled_in_the_middle_of_a_stream(wire, llm_records, outcomes, answers):
    """The cancellation passes; the call is cancelled, with what was heard until then."""
    waiting = asyncio.Event

    class Slow(wire.library.AsyncByteStream):
        def __init__(self):
            self.waits = waiting()

        async def __aiter__(self):
            yield answers.pieces[1]
            self.waits.set()
            await asyncio.Event().wait()

    async def main():
        slow = Slow()
        transport = wire.library.MockTransport(lambda request: wire.library.Response(200, stream=slow))
        async with wire.library.AsyncClient(transport=transport) as client:
            response = await client.send(wire.request(client), stream=True)
            reading = asyncio.create_task(response.aread())
            await slow.waits.wait()
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            await response.aclose()

    asyncio.run(main())

    assert [("cancelled", "cancelled", "Hel")] == outcomes(llm_records)


def test_a_task_cancelled_while_it_waits_for_headers(wire, llm_records, outcomes):
    """There is a call although there never was an answer."""

    async def main():
        asked = asyncio.Event()

        async def answer(request):
            asked.set()
            await asyncio.Event().wait()

        async with wire.library.AsyncClient(transport=wire.library.MockTransport(answer)) as client:
            sending = asyncio.create_task(client.send(wire.request(client), stream=True))
            await asked.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending

    asyncio.run(main())

    assert [("cancelled", "cancelled", "")] == outcomes(llm_records)
    assert [None] == [call.wire.status_code for call in llm_records.calls]


# --- before there is a stream ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "recorded"), [("ConnectError", "ConnectError"), ("ReadTimeout", "timeout"), ("RemoteProtocolError", "RemoteProtocolError")]
)
def test_an_exception_in_place_of_an_answer_is_the_same_object(wire, llm_records, kind, recorded):
    """It goes on untouched, and the call that never was answered has it as its error."""
    failure = getattr(wire.library, kind)("nobody there")
    with wire.client(failure) as client:
        with pytest.raises(wire.library.HTTPError) as caught:
            client.send(wire.request(client))

    assert (failure, None, None) == (caught.value, failure.__cause__, failure.__context__)
    assert [("error", recorded, None)] == [(call.status, call.error.type, call.wire.status_code) for call in llm_records.calls]


def test_an_exception_in_place_of_an_answer_is_the_same_object_async(wire, llm_records):
    """It goes on untouched, and the call that never was answered has it as its error."""
    failure = wire.library.ConnectError("nobody there")

    async def main():
        async with wire.aclient(failure) as client:
            with pytest.raises(wire.library.ConnectError) as caught:
                await client.send(wire.request(client))
            return caught.value

    assert failure is asyncio.run(main())
    assert [("error", "ConnectError")] == [(call.status, call.error.type) for call in llm_records.calls]


# --- plain answers ---------------------------------------------------------------------------------------------------


def test_a_plain_answer(wire, llm_records, outcomes, answers):
    """It is read by the client itself and recorded whole."""
    with wire.client(answers.whole, headers={"content-type": "application/json"}) as client:
        response = client.send(wire.request(client))

    assert answers.whole == response.content
    assert [("ok", "eof", "Hello")] == outcomes(llm_records)


def test_a_plain_answer_async(wire, llm_records, outcomes, answers):
    """It is read by the client itself and recorded whole."""

    async def main():
        async with wire.aclient(answers.whole, headers={"content-type": "application/json"}) as client:
            return (await client.send(wire.request(client))).content

    assert answers.whole == asyncio.run(main())
    assert [("ok", "eof", "Hello")] == outcomes(llm_records)


def test_an_answer_that_an_event_hook_has_closed_is_no_failure_of_ours(wire, llm_records, outcomes):
    """Its body is nobody's any more: the call is recorded without it."""
    with wire.client() as client:
        client.event_hooks = {"response": [lambda response: response.close()]}
        client.send(wire.request(client), stream=True)

    assert [("truncated", "closed", "")] == outcomes(llm_records)
    assert 0 == llm_records.observer.stats().errors


def test_an_answer_that_an_event_hook_has_read_is_recorded_whole(wire, llm_records, outcomes):
    """Its body is there before the client returns."""
    with wire.client() as client:
        client.event_hooks = {"response": [lambda response: response.read()]}
        client.send(wire.request(client), stream=True)

    assert [("ok", "eof", "Hello")] == outcomes(llm_records)


# --- the stream stays what it is -------------------------------------------------------------------------------------


def test_a_watched_stream_keeps_its_colour(wire, llm_records):
    """The library's own check for a sync read of an async stream says what it says without us."""

    class Sync(wire.library.SyncByteStream):
        def __iter__(self):
            yield b""

    transport = wire.library.MockTransport(lambda request: wire.library.Response(200, stream=Sync()))
    with wire.library.Client(transport=transport) as client, closing(client.send(wire.request(client), stream=True)) as response:
        with pytest.raises(RuntimeError, match="async"):
            asyncio.run(response.aread())


def test_the_elapsed_time_can_be_read_as_without_us(wire, llm_records):
    """httpx2 asks the stream for it."""
    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        response.read()

    assert response.elapsed.total_seconds() >= 0


def test_attributes_of_the_stream_show_through(wire, llm_records):
    """Whoever looks for an attribute of the stream finds it; one that is missing is missing."""
    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        inner = response.stream._stream

        assert isinstance(inner, wire.pieces)
        assert not hasattr(response.stream, "there_is_no_such_attribute")


def test_a_copy_of_the_stream_is_a_copy_of_what_we_watch(wire, llm_records, outcomes):
    """Copying works as without us, and dropping the copy does not end the call."""
    import copy

    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        copied = copy.copy(response.stream)
        kind = type(copied).__name__
        del copied
        response.read()

    assert kind.startswith("Bound")
    assert [("ok", "eof", "Hello")] == outcomes(llm_records)


def test_a_pickled_response_comes_back(wire, llm_records, answers):
    """Caches pickle what they have read."""
    import pickle

    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        response.read()

    assert b"".join(answers.pieces) == pickle.loads(pickle.dumps(response)).content


def test_an_inner_async_generator_is_closed_at_once(wire, llm_records, answers):
    """The connection is given back when the reader stops, not some turns of the loop later."""
    ended = []

    class Inner(wire.library.AsyncByteStream):
        async def __aiter__(self):
            try:
                for piece in answers.pieces:
                    yield piece
            finally:
                ended.append(True)

    async def main():
        transport = wire.library.MockTransport(lambda request: wire.library.Response(200, stream=Inner()))
        async with wire.library.AsyncClient(transport=transport) as client:
            response = await client.send(wire.request(client), stream=True)
            watched = response.stream.__aiter__()
            await anext(watched)
            await watched.aclose()
            await asyncio.sleep(0)
            seen = list(ended)
            await response.aclose()
            return seen

    assert [True] == asyncio.run(main())


def frames_above():
    """How many frames lead to whoever asks, each generator among them one."""
    return len(inspect.stack(0))


def frames_of_a_piece(wire):
    """How many frames lead to where a piece is made: of a stream that is read by a client, and by one that is async."""

    class Counts(wire.library.SyncByteStream, wire.library.AsyncByteStream):
        def __iter__(self):
            yield b"%d" % frames_above()

        async def __aiter__(self):
            yield b"%d" % frames_above()

    transport = wire.library.MockTransport(lambda request: wire.library.Response(200, stream=Counts()))

    async def read():
        async with wire.library.AsyncClient(transport=transport) as client:
            return await (await client.send(wire.request(client), stream=True)).aread()

    with wire.library.Client(transport=transport) as client:
        return client.send(wire.request(client), stream=True).read(), asyncio.run(read())


def test_a_piece_goes_through_as_many_generators_as_without_us(wire, llm_records):
    """We pass it on where the client's own stream did: that is what watching costs least at."""
    watched = frames_of_a_piece(wire)
    capture.uninstall()
    try:
        bare = frames_of_a_piece(wire)
    finally:
        capture.install()

    assert ([bare], 2) == ([watched], len(llm_records.calls))


def test_what_others_have_done_to_the_clients_own_streams_is_done(wire, llm_records, answers, monkeypatch):
    """Another tool's hook between the client and its transport sees each piece still."""
    seen = []
    bound = wire.library._client.BoundSyncStream
    passed_on = bound.__iter__

    def noting(self):
        for piece in passed_on(self):
            seen.append(piece)
            yield piece

    monkeypatch.setattr(bound, "__iter__", noting)
    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        response.read()

    assert answers.pieces == seen


def test_what_others_have_done_to_the_clients_own_async_streams_is_done(wire, llm_records, answers, monkeypatch):
    """The same, where the client is async."""
    seen = []
    bound = wire.library._client.BoundAsyncStream
    passed_on = bound.__aiter__

    async def noting(self):
        async for piece in passed_on(self):
            seen.append(piece)
            yield piece

    async def main():
        async with wire.aclient() as client:
            await (await client.send(wire.request(client), stream=True)).aread()

    monkeypatch.setattr(bound, "__aiter__", noting)
    asyncio.run(main())

    assert answers.pieces == seen
