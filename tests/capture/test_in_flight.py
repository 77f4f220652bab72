"""Calls under way are counted, whichever way they end."""

import asyncio
import gc
import os
from contextlib import closing

import pytest

import llm_observe
from llm_observe.testing import recording


def in_flight(recorded) -> int:
    """How many calls are under way."""
    return recorded.observer.stats().calls_in_flight


def test_a_stream_is_under_way_until_its_last_byte(wire, llm_records):
    """However long it takes."""
    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        pieces = response.iter_raw()
        next(pieces)
        halfway = in_flight(llm_records)
        list(pieces)
        read = in_flight(llm_records)

    assert (1, 0, 0) == (halfway, read, in_flight(llm_records))


def test_a_stream_left_in_the_middle_is_under_way_until_it_is_closed(wire, llm_records):
    """Who reads no further but holds it open has a call open."""
    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        pieces = response.iter_raw()
        next(pieces)
        open_still = in_flight(llm_records)

    assert (1, 0) == (open_still, in_flight(llm_records))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its socket is dropped too
def test_a_stream_that_is_dropped_is_not_under_way(wire, llm_records):
    """The garbage collector ends it."""
    with wire.client() as client:
        response = client.send(wire.request(client), stream=True)
        open_still = in_flight(llm_records)
        del response
        gc.collect()

    assert (1, 0) == (open_still, in_flight(llm_records))


@pytest.mark.parametrize("pieces", [(OSError("gone"),), (b"data: 1\n\n", OSError("gone"))], ids=["at once", "in the middle"])
def test_a_call_that_fails_is_not_under_way(wire, llm_records, pieces):
    """Where the connection fails, or breaks."""
    with wire.client(*pieces) as client, pytest.raises(OSError, match="gone"):
        client.send(wire.request(client))

    assert 0 == in_flight(llm_records)


def test_a_call_that_is_cancelled_is_not_under_way(wire, llm_records):
    """Half of its answer has come."""
    seen = []

    async def main():
        sent = asyncio.Event()

        async def stuck(request):
            sent.set()
            seen.append(in_flight(llm_records))
            await asyncio.sleep(3600)

        async with wire.library.AsyncClient(transport=wire.library.MockTransport(stuck)) as client:
            task = asyncio.ensure_future(client.send(wire.request(client)))
            await sent.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())

    assert ([1], 0) == (seen, in_flight(llm_records))


def test_calls_of_many_threads_and_tasks_add_up(wire, llm_records):
    """Each is one."""
    seen = []

    async def main():
        async with wire.aclient() as client:
            responses = [await client.send(wire.request(client), stream=True) for _ in range(5)]
            seen.append(in_flight(llm_records))
            for response in responses:
                await response.aclose()

    asyncio.run(main())

    assert ([5], 0) == (seen, in_flight(llm_records))


def test_a_call_told_by_hand_is_under_way_inside_its_block(llm_records):
    """Where it fails, too."""
    with pytest.raises(ZeroDivisionError), llm_observe.record_call("m", provider="p"):
        inside = in_flight(llm_records)
        raise ZeroDivisionError

    assert (1, 0) == (inside, in_flight(llm_records))


def test_traffic_that_is_no_call_is_not_counted(wire, llm_records):
    """Its path says so."""
    with wire.client() as client, closing(client.send(wire.request(client, "http://shop.test/orders", json={}), stream=True)):
        assert 0 == in_flight(llm_records)


def refused(headers, key):
    """Headers that do not let themselves be asked."""
    raise RuntimeError("no")


def test_a_call_that_takes_no_trace_along_comes_to_its_end_all_the_same(wire):
    """Headers that we cannot write to are our trouble, counted as ours."""
    with recording(propagate=True, strict=False) as recorded:
        with wire.client() as client:
            request = wire.request(client)
            request.headers.__class__ = type("Unfit", (wire.library.Headers,), {"__contains__": refused})
            client.send(request)

        assert (1, 0) == (len(recorded.calls), in_flight(recorded))
        assert 1 == recorded.observer.stats().errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_none_of_its_parents_calls_under_way(wire, llm_records):
    """Nor fewer than none when it ends what it inherited."""
    with wire.client() as client, closing(client.send(wire.request(client), stream=True)) as response:
        child = os.fork()
        if child == 0:
            inherited = in_flight(llm_records)
            response.close()
            mine = llm_observe.record_call("m", provider="p")
            with mine:
                os._exit(10 * inherited + in_flight(llm_records))
        _, status = os.waitpid(child, 0)

        assert (1, 1) == (os.waitstatus_to_exitcode(status), in_flight(llm_records))
