"""What a context remembers of its last attempt: the id of the call that it is part of."""

import pytest

from llm_observe._runtime.clock import Serials, call_id
from llm_observe._runtime.items import SETTLED, Captured
from llm_observe._runtime.retries import probably_repeats


def after(made, before):
    """*made*, as the hook links it to the attempt before it."""
    made.before = before.anchored()
    return made


def test_ids_sort_by_time_and_do_not_look_alike():
    """Version 7, variant 1; a serial is spread over all digits."""
    one, other = call_id(1_800_000_000_000_000_000, 1), call_id(1_800_000_000_000_000_000, 2)

    assert (one[:18], "7", "8") == (other[:18], one[14], one[19])
    assert one[20:] != other[20:]
    assert one[-4:] != other[-4:]
    assert one < call_id(1_800_000_000_001_000_000, 1)


def test_no_two_serials_make_one_id():
    """Also where the numbers have gone past what an id holds of them."""
    serials = [2**60 - 2 + n for n in range(1000)]

    assert 1000 == len({call_id(0, serial) for serial in serials})


def test_serials_rise_by_one_from_anywhere():
    """A process begins where no other does."""
    one, other = Serials(), Serials()
    first = one.next()

    assert first + 1 == one.next()
    assert abs(first - other.next()) > 10**6


def test_a_retry_has_the_first_attempts_id(make):
    """And the third attempt, too, though it knows only the second."""
    first = make.captured(make.exchange(503))
    second = after(make.captured(make.exchange(503)), first)
    third = after(make.captured(make.exchange(200)), second)

    assert [first.record_id()] * 2 == [second.record_id(), third.record_id()]
    assert None is second.before


def test_what_is_no_retry_has_an_id_of_its_own(make):
    """Another prompt."""
    first = make.captured(make.exchange(503))
    second = after(make.captured(make.exchange(200, prompt="something else")), first)

    assert first.record_id() != second.record_id()


def test_the_sinks_word_counts(make):
    """It knows what the answer said."""
    mark = make.captured(make.exchange(503))
    guess = mark.record_id()
    mark.settled("the record's")

    assert ("the record's", SETTLED) == (mark.record_id(), mark.exchange)
    assert guess != mark.record_id()


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"status": 503}, True),
        ({"status": 429}, True),
        ({"status": None}, True),
        ({"status": 200}, False),
        ({"status": 401}, False),
        ({"status": 503, "headers": {"x-should-retry": "false"}}, False),
        ({"status": 409, "headers": {"x-should-retry": "true"}}, True),
        ({"status": 400, "headers": {"x-amzn-errortype": "ThrottlingException:http://internal"}}, True),
        ({"status": 400, "headers": {"x-amzn-errortype": "ValidationException"}}, False),
    ],
)
def test_what_may_be_repeated_by_its_headers(make, facts, expected):
    """Nothing is decoded for it."""
    assert expected == probably_repeats(make.exchange(**facts), make.exchange(200))


def test_what_cannot_be_read_is_no_retry(make):
    """The application's log lines do not suffer from what a client keeps its headers in."""

    class Unreadable(dict):
        def get(self, name, default=None):
            raise ValueError

    first = make.captured(make.exchange(503))
    made = make.exchange(200)
    made.request_headers = Unreadable()
    second = after(Captured(made, None, None, 7, first.serial), first)

    assert call_id(made.started_ns, 7) == second.record_id()
