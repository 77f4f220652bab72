"""At least once: whatever a receiver does for a while, every record arrives in the end, and the numbers add up."""

import contextlib
import gzip
import socket
import struct
import time

import pytest

from llm_observe._runtime.items import StepEnded
from llm_observe._runtime.observer import Observer
from llm_observe.exporters.http import HttpExporter

RECORDS = 20


def record(observer, number):
    """A step on record."""
    observer.hand_over(
        StepEnded(
            name=f"job {number}",
            span_id=f"{number:016x}",
            parent_id=None,
            scope=None,
            started_ns=1_800_000_000 * 10**9,
            began=0,
            ended=1,
            attributes={},
            size=1024,
        )
    )


def reset(connection):
    """Answer with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def dripping(connection):
    """A byte of an answer at a time, and never all of it."""
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b"H")
            time.sleep(0.05)
    return False


def silent(connection):
    """No answer, until the other side has enough."""
    connection.recv(1)
    return False


def garbage(connection):
    """What is no HTTP."""
    connection.sendall(b"\x00\xff nonsense \r\n\r\n")
    return False


FAULTS = {"503": 503, "500": 500, "408": 408, "425": 425, "reset": reset, "drip": dripping, "silence": silent, "garbage": garbage}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_passes_loses_nothing(serve, fault):
    """Two failures, then it is well: all are there once by id, each batch came under one id, and the law holds."""
    server = serve(fault, fault, 200)
    observer = Observer(exporters=[HttpExporter(server.url, timeout=0.3)], batch_age=0.01)
    for n in range(RECORDS):
        record(observer, n)
    settled = observer.flush(60)
    (numbers,) = observer.shutdown(1).exporters.values()

    copies = server.records()
    assert settled
    assert (RECORDS, RECORDS, True) == (numbers.captured, numbers.exported, numbers.balanced)
    assert RECORDS == len(set(copies))
    assert 1 == len({headers["x-llm-observe-batch"] for _, headers, _ in server.requests[:3]})
    assert numbers.failures >= 2


def test_nobody_there_at_first_loses_nothing(serve):
    """Connections are refused until somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    observer = Observer(exporters=[HttpExporter(f"http://127.0.0.1:{port}/records")], batch_age=0.01)
    record(observer, 1)
    waiting = observer.flush(0.3)
    numbers = observer.stats().exporters["http"]
    stats = observer.shutdown(0.1).exporters["http"]

    assert (False, 1, 1) == (waiting, numbers.captured, numbers.queued + numbers.in_flight)
    assert ({"shutdown_deadline": 1}, True) == (stats.dropped, stats.balanced)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_key_or_address_discards_nothing(serve, status):
    """What cannot be delivered until somebody puts it right stays queued, and one attempt is made, not one a record."""
    server = serve(status)
    observer = Observer(exporters=[HttpExporter(server.url)], batch_age=0.01)
    for n in range(RECORDS):
        record(observer, n)
    observer.flush(0.5)
    numbers = observer.stats().exporters["http"]
    observer.shutdown(0)

    assert (RECORDS, {}, True) == (numbers.queued + numbers.in_flight, numbers.dropped, numbers.balanced)
    assert 1 == len(server.requests)


def test_of_a_whole_batch_only_the_poison_is_lost(serve, answered):
    """A receiver that cannot read one record says 400 to its batch: the others arrive, and one is counted."""

    def picky(connection):
        _, headers, body = server.requests[-1]
        body = gzip.decompress(body) if headers.get("content-encoding") else body
        connection.sendall(answered(400 if b"job 7" in body else 200))
        return True

    server = serve(picky)
    observer = Observer(exporters=[HttpExporter(server.url)], batch_age=0.5)
    for n in range(10):
        record(observer, n)
    settled = observer.flush(60)
    (numbers,) = observer.shutdown(1).exporters.values()

    assert (True, 9, {"rejected_4xx": 1}, True) == (settled, numbers.exported, numbers.dropped, numbers.balanced)
