"""A receiver that misbehaves for a while, over a real socket: whatever it does, every record arrives once it is well again."""

import gzip
import json
import os
import resource
import socket
import socketserver
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

import llm_observe
from llm_observe._runtime.items import StepEnded
from llm_observe._runtime.observer import Observer
from llm_observe.exporters.http import HttpExporter

RECORDS, BATCH = 100, 10
TOLD = 1.0  # seconds a `retry-after` asks for


class Receiver(socketserver.ThreadingTCPServer):
    """Takes records on 127.0.0.1; the first *times* requests are answered by *misbehave*, and arrive all the same if it *reads* them."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, misbehave, times, port=0):
        self.misbehave, self.times = misbehave, times
        self.ids, self.batches, self.at = [], [], []
        self.unanswered = 0  # records that arrived without a word back
        super().__init__(("127.0.0.1", port), Connection)
        threading.Thread(target=self.serve_forever, args=[0.02], daemon=True).start()

    def handle_error(self, request, client_address):
        """A connection that broke: that is what is tested."""


class Connection(socketserver.StreamRequestHandler):
    """One connection, one request after the other."""

    def handle(self):
        while self.rfile.readline():
            headers = dict(line.decode().strip().lower().split(": ", 1) for line in iter(self.rfile.readline, b"\r\n"))
            body = self.rfile.read(int(headers["content-length"]))
            body = gzip.decompress(body) if "content-encoding" in headers else body
            names = [record["name"] for record in json.loads(body)]
            self.server.at.append(time.monotonic())
            if self.server.times > 0:
                self.server.times -= 1
                if not self.server.misbehave(self, names):
                    return
            else:
                self.take(names, headers["x-llm-observe-batch"])
                self.answer(200)

    def take(self, names, batch=""):
        """These have arrived."""
        self.server.ids += names
        self.server.batches.append(batch)

    def answer(self, status, *headers):
        """An answer of no content."""
        self.wfile.write("\r\n".join([f"HTTP/1.1 {status} Whatever", *headers, "content-length: 0", "", ""]).encode())
        return True


def answering(status, *headers):
    """A misbehaviour: this answer."""
    return lambda connection, names: connection.answer(status, *headers)


def reset(connection, names):
    """Took the batch, then broke the connection: nobody knows that it arrived."""
    connection.take(names)
    connection.server.unanswered += len(names)
    connection.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.request.close()
    return False


def hang(connection, names):
    """Says nothing, for as long as the other side waits."""
    connection.rfile.read(1)
    return False


def garbage(connection, names):
    """Says what is no HTTP."""
    connection.wfile.write(b"\x00\xff nonsense\r\n\r\n")
    return False


def again(connection, names):
    """Says `wait` for as long as the other side listens."""
    while True:
        connection.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        time.sleep(0.01)


def drip(connection, names):
    """A byte of an answer at a time."""
    while True:
        connection.wfile.write(b"H")
        time.sleep(0.05)


FAULTS = [
    (4, "never answers, three times", hang, 3),
    (6, "503, three times", answering(503), 3),
    (6, "500, three times", answering(500), 3),
    (7, "429 with `retry-after: 1`, twice", answering(429, f"retry-after: {TOLD:g}"), 2),
    (7, "429 with a `retry-after` of no sense, twice", answering(429, "retry-after: soon"), 2),
    (10, "reads the batch, then resets, three times", reset, 3),
    (10, "answers garbage, three times", garbage, 3),
    (10, "says 102 for ever, twice", again, 2),
    (10, "answers a byte at a time, twice", drip, 2),
]


def given(observer):
    """A hundred records."""
    for number in range(RECORDS):
        observer.hand_over(
            StepEnded(
                name=str(number),
                span_id="1" * 16,
                parent_id=None,
                scope=None,
                started_ns=10**18,
                began=0,
                ended=1,
                attributes={},
                size=1024,
            )
        )


def delivered(url, *, timeout=10):
    """The numbers of an observer that had a hundred records to deliver there."""
    observer = Observer(exporters=[HttpExporter(url, timeout=timeout)], batch_records=BATCH, batch_age=0.01)
    given(observer)
    assert observer.flush(100)
    return observer.shutdown(1).exporters["http"]


@pytest.mark.parametrize(("number", "fault", "misbehave", "times"), FAULTS, ids=[fault for _, fault, *_ in FAULTS])
def test_what_passes_loses_nothing(row, number, fault, misbehave, times):
    """All arrive; repeats are of the batches whose answer was lost, and of no other."""
    with Receiver(misbehave, times) as receiver:
        numbers = delivered(f"http://127.0.0.1:{receiver.server_address[1]}/records", timeout=1 if misbehave in {hang, again, drip} else 10)
        receiver.shutdown()
    row(number, fault).numbers(numbers, arrived=receiver.ids)
    copies = len(receiver.ids) - RECORDS

    assert (RECORDS, RECORDS, {}) == (numbers.captured, numbers.exported, numbers.dropped)
    assert RECORDS == len(set(receiver.ids))
    assert copies == receiver.unanswered or misbehave in {hang, again, drip}  # which a busy machine is, too
    assert (receiver.unanswered > 0) == (misbehave is reset)
    if "1`" in fault:
        assert min(after - before for before, after in zip(receiver.at[:2], receiver.at[1:3], strict=True)) >= TOLD


def test_nobody_there_at_first(row):
    """Connections are refused until somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    observer = Observer(exporters=[HttpExporter(f"http://127.0.0.1:{port}/records")], batch_records=BATCH, batch_age=0.01)
    given(observer)
    waiting = observer.flush(1)
    with Receiver(None, 0, port) as receiver:
        settled = observer.flush(100)
        numbers = observer.shutdown(1).exporters["http"]
        receiver.shutdown()
    row(1, "refuses connections for a second").numbers(numbers, arrived=receiver.ids)

    assert (False, True, RECORDS, {}) == (waiting, settled, numbers.exported, numbers.dropped)
    assert RECORDS == len(receiver.ids)


def test_one_poisonous_record(row):
    """400 to every batch that it is in: it is alone in the end, and the others have arrived."""

    def picky(connection, names):
        if "42" in names:
            return connection.answer(400)
        connection.take(names)
        return connection.answer(200)

    with Receiver(picky, 10_000) as receiver:
        numbers = delivered(f"http://127.0.0.1:{receiver.server_address[1]}/records")
        receiver.shutdown()
    row(8, "400 to whatever one record is in").numbers(numbers, arrived=receiver.ids)

    assert ({"rejected_4xx": 1}, RECORDS - 1) == (numbers.dropped, numbers.exported)
    assert {str(n) for n in range(RECORDS)} - {"42"} == set(receiver.ids)


def test_a_collector_that_takes_a_part(row):
    """A partial success: what it says it refused is counted, exactly, and the others have arrived."""

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            sent = ExportTraceServiceRequest.FromString(gzip.decompress(body) if "content-encoding" in self.headers else body)
            spans = [span.name for resource in sent.resource_spans for group in resource.scope_spans for span in group.spans]
            taken = [name for name in spans if not name.endswith("7")]
            ids.extend(taken)
            partial = ExportTracePartialSuccess(rejected_spans=len(spans) - len(taken), error_message="no sevens")
            answer = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            """Nothing."""

    ids = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        observer = Observer(exporters=[f"otlp+http://127.0.0.1:{server.server_port}"], batch_records=BATCH, batch_age=0.01)
        given(observer)
        settled = observer.flush(100)
        (numbers,) = observer.shutdown(1).exporters.values()
        server.shutdown()
    row(9, "partial success: a tenth of each batch is refused").numbers(numbers, arrived=ids)

    assert (True, RECORDS - 10, {"rejected_4xx": 10}) == (settled, numbers.exported, numbers.dropped)
    assert {str(n) for n in range(RECORDS) if n % 10 != 7} == set(ids)


@pytest.mark.skipif("SOAK" not in os.environ, reason="it takes half a minute: `nox -s soak`")
def test_nobody_there_for_half_a_minute(row):
    """Twenty calls a second while connections are refused, and a few after: all arrive."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    observer = Observer(exporters=[HttpExporter(f"http://127.0.0.1:{port}/records")])
    captured = 0
    began = time.monotonic()
    while time.monotonic() - began < 30:
        with llm_observe.scope(str(captured), observer=observer):
            captured += 1
        time.sleep(0.05)
    waiting = observer.stats().exporters["http"]
    with Receiver(None, 0, port) as receiver:
        for _ in range(20):
            with llm_observe.scope(str(captured), observer=observer):
                captured += 1
        settled = observer.flush(100)
        numbers = observer.shutdown(1).exporters["http"]
        receiver.shutdown()
    row(2, "refuses connections for 30 s, 20 records a second").numbers(numbers, arrived=receiver.ids)

    assert (0, captured - 20, {}) == (waiting.exported, waiting.queued + waiting.in_flight, waiting.dropped)
    assert (True, captured, captured, {}) == (settled, numbers.captured, numbers.exported, numbers.dropped)
    assert [str(n) for n in range(captured)] == receiver.ids


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_key_or_an_address_that_is_refused(row, status):
    """Nothing is discarded, one request is made and not one a batch; it is all there when the time to stop has come."""
    with Receiver(answering(status), 10_000) as receiver:
        url = f"http://127.0.0.1:{receiver.server_address[1]}/records"
        observer = Observer(exporters=[HttpExporter(url)], batch_records=BATCH, batch_age=0.01)
        given(observer)
        while not observer.stats().exporters["http"].failures:  # pytest's timeout ends it
            time.sleep(0.01)
        observer.flush(1)
        during = observer.stats().exporters["http"]
        after = observer.shutdown(0).exporters["http"]
        receiver.shutdown()
    row(8, f"{status}, until the end").numbers(after, arrived=receiver.ids)

    assert (RECORDS, {}, 1) == (during.queued + during.in_flight, during.dropped, len(receiver.at))
    assert {"shutdown_deadline": RECORDS} == after.dropped


def test_an_answer_of_a_gigabyte(row):
    """Only its beginning is read: neither memory nor time is lost to it, and the batch has arrived."""

    def flood(connection, names):
        connection.take(names)
        connection.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        for _ in range(1000):
            connection.wfile.write(b"x" * 1_000_000)
        return False

    with Receiver(flood, 10_000) as receiver:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        numbers = delivered(f"http://127.0.0.1:{receiver.server_address[1]}/records")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        receiver.shutdown()
    row(11, "200 with a body of 1 GB, to each batch").numbers(numbers, arrived=receiver.ids)

    assert (RECORDS, {}, RECORDS) == (numbers.exported, numbers.dropped, len(receiver.ids))
    assert grown < 30_000  # KiB; the receiver's threads are in here too
