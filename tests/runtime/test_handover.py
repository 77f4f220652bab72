"""The hand-over: bounded, counted, and never in the way."""

import contextlib
import gc
import threading
from types import SimpleNamespace

import pytest

import llm_observe
from llm_observe._runtime.handover import BURST, Handover
from llm_observe._runtime.items import END, OVERHEAD


class Woken:
    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1


def item(size=10):
    """Anything with a size."""
    return SimpleNamespace(size=size)


@pytest.fixture
def woken():
    """A sink that counts how often it is called."""
    return Woken()


@pytest.fixture
def handover(woken):
    """A small one."""
    return Handover(room=3, room_bytes=100_000, wake=woken)


def test_what_is_left_is_taken_in_order(handover):
    """First in, first out."""
    items = [item(), item(), item()]
    for one in items:
        handover.put(one)

    assert items == handover.take(9)


def test_one_too_many_is_refused_and_counted(handover):
    """The fourth finds no room in a house for three."""
    for _ in range(4):
        handover.put(item())

    assert (3, 1) == (len(handover.take(9)), handover.dropped["queue_full_count"])


def test_one_too_big_is_refused_and_counted(handover):
    """Bytes are a bound of their own."""
    handover.put(item(60_000))
    handover.put(item(60_000))

    assert (1, 1, 60_000) == (len(handover), handover.dropped["queue_full_bytes"], handover.bytes)


def test_taking_makes_room(handover):
    """Bytes that were taken wait no more."""
    handover.put(item(80_000))
    handover.take(1)
    handover.put(item(80_000))

    assert (1, 80_000) == (len(handover), handover.bytes)


def test_bytes_held_further_on_count(handover):
    """What dead exporters hold back takes room here too."""
    handover.held = 95_000
    handover.put(item(10_000))

    assert 1 == handover.dropped["queue_full_bytes"]


def test_not_more_is_taken_at_once_than_fills_a_hand():
    """Taking stops when enough bytes are in hand, so that what is out of the queue is bounded as well."""
    handover = Handover(room=100, room_bytes=10**9, wake=lambda: None)
    for _ in range(10):
        handover.put(item(1000))

    assert [3, 7] == [len(handover.take(100, 2500)), len(handover)]


def test_near_the_byte_bound_the_prompt_goes_first(handover, make):
    """A call whose answer fits without its prompt keeps the answer."""
    call = make.captured(make.exchange(request_body=b"p" * 80_000, request_size=80_000, chunks=[b"a" * 30_000], response_size=30_000))
    handover.put(call)

    assert (None, ("request",), OVERHEAD + 2 * END + 30_000) == (call.exchange.request_body, call.exchange.shed, handover.bytes)


def test_then_the_answer_goes(handover, make):
    """A call that is too big even so keeps its metadata."""
    call = make.captured(make.exchange(request_body=b"p" * 80_000, request_size=80_000, chunks=[b"a" * 100_000], response_size=100_000))
    handover.put(call)

    assert (("request", "response"), [], OVERHEAD + 2 * END, 1) == (call.exchange.shed, call.exchange.chunks, handover.bytes, handover.shed)


def test_then_what_the_ends_of_the_prompt_say_goes(handover, make):
    """The record stays, when its model and parameters have to go."""
    first, second = (make.captured(make.exchange(request_body=b"p" * 80_000, request_size=80_000)) for _ in range(2))
    handover.put(item(85_000))
    handover.put(first)
    handover.put(second)

    assert (3, 2 * END, None) == (handover.accepted, sum(map(len, first.exchange.request_ends)), second.exchange.request_ends)
    assert 85_000 + 2 * OVERHEAD + 2 * END == handover.bytes


def test_records_without_content_have_room_of_their_own(handover, make):
    """However much the channels hold of what was decoded: a record takes more there than the bytes that it is made of."""
    handover.held = 95_000
    handover.put(make.captured(make.exchange()))

    assert (1, 1) == (handover.accepted, handover.shed)


@pytest.mark.parametrize(
    ("room", "waiting", "reason"), [(8, [10] * 7, "queue_full_count"), (100, [87_000], "queue_full_bytes")], ids=["records", "bytes"]
)
def test_the_last_of_the_room_is_for_failures_and_retries(make, room, waiting, reason):
    """An ordinary call finds no room any more where one that failed still does, by records and by bytes."""
    handover = Handover(room=room, room_bytes=100_000, wake=lambda: None)
    for size in waiting:
        handover.put(item(size))
    while not handover.dropped[reason]:
        handover.put(make.captured(make.exchange()))
    handover.put(make.captured(make.exchange(429)))

    assert (429, 1) == (handover.take(99)[-1].exchange.status_code, handover.dropped[reason])


@pytest.mark.parametrize(
    ("change", "matters"),
    [({}, False), ({"status": None}, True), ({"status": 500}, True), ({"count": 1}, True), ({"count": 0}, False), ({"end": "error"}, True)],
)
def test_what_matters_of_calls(make, change, matters):
    """A failure, however it shows, and a retry; not what went well at once."""
    assert matters == make.captured(make.exchange(**change)).matters


def test_what_matters_of_all_else(observe, memory):
    """Steps, calls told by hand and requests that failed."""
    observer = observe(memory)
    left = []
    observer.hand_over = left.append
    with contextlib.suppress(ValueError), llm_observe.scope("job", observer=observer):
        with llm_observe.step("well"), llm_observe.record_call("m", provider="p"):
            pass
        with llm_observe.step("badly"), llm_observe.record_call("m", provider="p"):
            raise ValueError

    assert [False, False, True, True, True] == [one.matters for one in left]


def test_without_room_for_the_metadata_the_call_is_refused(handover, make):
    """Shedding everything may not be enough."""
    handover.put(item(99_990))
    handover.put(make.captured(make.exchange()))

    assert (1, 1, 0) == (len(handover), handover.dropped["queue_full_bytes"], handover.shed)


def test_a_body_left_out_at_capture_is_not_shed_twice(make):
    """What the hook left out already does not count, and the rest goes in its turn."""
    call = make.captured(make.exchange(request_body=None, request_size=10**9, shed=("request",), chunks=[b"a" * 100], response_size=100))
    before = call.size
    call.shed(OVERHEAD, OVERHEAD)

    assert (OVERHEAD + 100, ("request", "response"), OVERHEAD) == (before, call.exchange.shed, call.size)


def test_of_an_answer_too_long_to_keep_its_ends_count(make):
    """They are all that is kept of it."""
    call = make.captured(make.exchange(request_size=100, shed=("middle",), chunks=[b"a" * 50], tail=[b"z" * 7], response_size=10**9))

    assert OVERHEAD + 100 + 57 == call.size


def test_half_as_many_bytes_are_lent_as_may_wait():
    """To answers that are under way, and to the last one; what was not to be had is not counted."""
    handover = Handover(room=3, room_bytes=1000, wake=lambda: None)
    said = [handover.lend(size) for size in (200, 301, 300, 1)]
    lent = handover.lent
    handover.lent -= 300

    assert ([True, False, True, False], 500, True) == (said, lent, handover.lend(300))


def test_only_a_sleeper_is_woken(handover, woken):
    """The first item wakes the sink, the next ones find it awake."""
    handover.put(item())
    handover.put(item())

    assert (1, False) == (woken.times, handover.asleep)


def test_a_burst_wakes_too(woken):
    """A sink that naps is called when very much comes at once."""
    handover = Handover(room=10_000, room_bytes=10**9, wake=woken)
    handover.asleep = False
    for _ in range(BURST + 10):
        handover.put(item())

    assert 1 == woken.times


def test_an_order_wakes_and_is_not_counted(handover, woken):
    """Instructions are no records: they pass where nothing fits any more."""
    handover.asleep = False
    for _ in range(3):
        handover.put(item())
    handover.order(item())

    assert (1, 3, 4) == (woken.times, handover.accepted, len(handover.take(9)))
    assert 3 == handover.taken


def test_after_an_order_or_a_look_nobody_wakes_again(woken):
    """The sink is awake then: what comes after finds it so."""
    for ask in (lambda handover: handover.order(item()), Handover.look):
        handover, before = Handover(room=3, room_bytes=100_000, wake=woken), woken.times
        handover.watched = True
        ask(handover)
        handover.put(item())

        assert (before + 1, False) == (woken.times, handover.asleep)


def test_what_is_refused_is_told_so(handover):
    """Whoever waits for its record learns that there is none."""
    told = []
    handover.closed = True
    handover.put(SimpleNamespace(size=10, settled=told.append))

    assert [""] == told


def test_what_says_nothing_of_itself_does_not_matter(woken):
    """It gets no part of the room that failures and retries have for themselves."""
    handover = Handover(room=80, room_bytes=100_000, wake=woken)
    for _ in range(80):
        handover.put(item())

    assert (70, 10) == (handover.accepted, handover.dropped["queue_full_count"])


def test_a_closed_one_refuses_and_counts(handover, woken):
    """After the end everything is `disabled`."""
    handover.closed = True
    handover.put(item())

    assert (0, 1, 0) == (len(handover), handover.dropped["disabled"], woken.times)


def test_eight_threads_lose_nothing():
    """Every record of eight threads is taken, or counted as refused."""
    handover = Handover(room=5000, room_bytes=10**9, wake=lambda: None)
    each, taken, over = 20_000, 0, threading.Event()

    def leave():
        for _ in range(each):
            handover.put(item())

    threads = [threading.Thread(target=leave) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += len(handover.take(256))
    over.set()
    taken += len(handover.take(100_000))

    assert 8 * each == taken + handover.dropped["queue_full_count"]
    assert (taken, 0) == (handover.taken, handover.bytes)


def test_the_garbage_collector_may_leave_things(handover):
    """An abandoned stream hands over from inside a collection, in the midst of another hand-over."""

    class Abandoned:
        def __init__(self):
            self.me = self

        def __del__(self):
            handover.put(item(1))

    class Collecting:
        @property
        def size(self):
            Abandoned()
            gc.collect()
            return 5

    handover.put(Collecting())

    assert [1, 5] == [one.size if isinstance(one, SimpleNamespace) else 5 for one in handover.take(9)]


def test_a_new_one_is_empty():
    """And asleep, and open; each reason is there from the beginning."""
    new = Handover(room=3, room_bytes=100, wake=lambda: None)
    reasons = {"queue_full_count": 0, "queue_full_bytes": 0, "disabled": 0, "forked_child": 0}

    assert (True, False, False, reasons) == (new.asleep, new.closed, new.watched, new.dropped)
    assert [0] * 8 == [new.accepted, new.taken, new.held, new.lent, new.shed, new.begun, new.ended, new.bytes]


class Big:
    """Something that can shed, and remembers what it was asked for."""

    def __init__(self, size, left, *, matters=False):
        self.size, self.left, self.matters, self.asked, self.refused = size, left, matters, [], []

    def shed(self, room, most):
        self.asked.append((room, most))
        self.size = self.left

    def settled(self, call_id):
        self.refused.append(call_id)


@pytest.mark.parametrize(("size", "asked"), [(757, []), (758, [(757, 882)])])
def test_content_has_three_quarters_of_the_bytes(woken, size, asked):
    """To the byte; what sheds is told how much may stay, and how much at the very most."""
    handover = Handover(room=9, room_bytes=1007, wake=woken)
    one = Big(size, left=10)
    handover.put(one)

    assert (asked, 1, int(bool(asked))) == (one.asked, len(handover), handover.shed)


def test_what_waits_and_what_is_held_is_taken_off_what_may_stay(woken):
    """What waits here takes the room of what comes, and so does what is held further on."""
    handover = Handover(room=9, room_bytes=1007, wake=woken)
    handover.put(item(100))
    handover.held = 300
    one, other = Big(500, left=10), Big(500, left=10)
    handover.put(one)
    handover.put(other)

    assert ([(357, 482)], [(347, 472)], 2) == (one.asked, other.asked, handover.shed)


def test_without_content_an_eighth_of_the_bytes_is_their_own(woken):
    """Whatever else waits and is held; of failures two eighths. What was taken has made room, and what kept its content takes none of it."""
    handover = Handover(room=9, room_bytes=1007, wake=woken)
    handover.put(whole := Big(800, left=700))
    handover.held = 5000
    several = [Big(500, left=100), Big(500, left=20), Big(500, left=10), Big(500, left=10, matters=True)]
    for one in several:
        handover.put(one)
    handover.take(2)
    handover.put(last := Big(500, left=10))

    rooms = [[most for _, most in one.asked] for one in (whole, *several, last)]
    assert ([[882], [125], [25], [5], [130], [95]], 5) == (rooms, handover.shed)


@pytest.mark.parametrize(("left", "taken"), [(882, 1), (883, 0)])
def test_ordinary_records_have_seven_eighths_to_the_byte(woken, left, taken):
    """What is refused lets go of what it holds."""
    handover = Handover(room=9, room_bytes=1007, wake=woken)
    one = Big(2000, left=left)
    handover.put(one)

    assert (taken, 1 - taken, [""] * (1 - taken)) == (len(handover), handover.dropped["queue_full_bytes"], one.refused)


def test_failures_fill_the_room_and_no_more(woken):
    """Of eight places one is theirs; the ninth is refused, and lets go of what it holds."""
    handover = Handover(room=8, room_bytes=10**6, wake=woken)
    for _ in range(8):
        handover.put(SimpleNamespace(size=1, matters=True))
    late = Big(1, left=1)
    late.matters = True
    handover.put(late)

    assert (8, 1, [""]) == (len(handover), handover.dropped["queue_full_count"], late.refused)


@pytest.mark.parametrize("size", [0, 1])
def test_the_smallest_counts(handover, size):
    """As taken, and by its bytes."""
    handover.put(item(size))
    handover.take(9)

    assert (1, 0) == (handover.taken, handover.bytes)


def test_not_more_is_taken_than_asked_for(woken):
    """In records, and in bytes: the one that fills them is the last."""
    handover = Handover(room=9, room_bytes=10**6, wake=woken)
    for _ in range(5):
        handover.put(item(10))

    assert (2, 1, 2) == (len(handover.take(2)), len(handover.take(9, 10)), len(handover.take(9)))
