"""Attempts to calls, scopes to request records."""

import json
import sys

import pytest

from llm_observe._runtime import assemble
from llm_observe._runtime.assemble import Assembler
from llm_observe._runtime.items import ALL, Settle, StepEnded
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.scope import Scope
from llm_observe.records import Call, RateLimit, Request


@pytest.fixture
def assembler(ids, hands):
    """An assembler with a minute of patience."""
    return Assembler(ids, hands.clock, service="shop", window=60.0)


@pytest.fixture
def observer(ids, hands):
    """The owner of scopes."""
    return Observer(exporters=[], clock=hands.clock, ids=ids)


@pytest.fixture
def scope(observer):
    """A web request."""
    return Scope(observer, method="POST", path="/chat", request_id="r-1")


@pytest.fixture
def settle(assembler):
    """What a row of items settles, in order."""

    def all_of(*items):
        return [record for item in items for record in assembler.records(item)]

    return all_of


def test_a_success_is_settled_at_once(settle, make):
    """What went well is not waited for."""
    (call,) = settle(make.captured(make.exchange(lasting=1.5)))

    assert ("ok", 1.5, 1, "shop") == (call.status, call.duration, len(call.attempts), call.service)
    assert ("chat gpt-x", 12, 34) == (call.name, call.usage.input_tokens, call.usage.output_tokens)


def test_a_call_outside_of_any_scope_has_a_trace_of_its_own(settle, make):
    """No request, no parent, but ids."""
    (call,) = settle(make.captured(make.exchange()))

    assert (None, None, None, 32) == (call.request_id, call.parent_id, call.scope, len(call.trace_id))


def test_a_call_in_a_scope_carries_the_scope(settle, make, scope):
    """Trace, parent, request and tags are those of the request."""
    scope.tags["plan"] = "free"
    scope.user_id = "u-1"
    (call,) = settle(make.captured(make.exchange(), scope=scope))

    assert (scope.trace_id, scope.span_id, "r-1") == (call.trace_id, call.parent_id, call.request_id)
    assert ({"plan": "free"}, "u-1") == (call.scope.tags, call.scope.user_id)


def test_a_retry_by_the_clients_own_count_joins_its_call(settle, make, assembler):
    """429 then 200, as openai and anthropic count them, is one call with two attempts."""
    first = make.captured(make.exchange(429, count=0, headers={"retry-after": "2"}))
    (call,) = settle(first, make.captured(make.exchange(200, count=1, at=3.0), after=first))

    assert ("ok", [429, 200], 4.0) == (call.status, [one.status_code for one in call.attempts], call.duration)
    assert ("rate_limit_exceeded", 2.0, 1, 0) == (
        call.attempts[0].error_type,
        call.attempts[0].retry_after,
        assembler.folded,
        assembler.pending,
    )


def test_a_retry_by_the_same_bytes_joins_its_call(settle, make):
    """Clients that do not count are known by what they send."""
    first = make.captured(make.exchange(503))
    (call,) = settle(first, make.captured(make.exchange(at=2.0), after=first))

    assert [503, 200] == [one.status_code for one in call.attempts]


def test_three_attempts_that_all_fail_are_one_call(settle, make, assembler):
    """What waits is settled with the last failure."""
    first = make.captured(make.exchange(503, count=0))
    second = make.captured(make.exchange(500, count=1, at=2.0), after=first)
    third = make.captured(make.exchange(429, count=2, at=4.0), after=second)

    assert [] == settle(first, second, third)
    (call,) = assembler.rest()
    assert ("error", [503, 500, 429], "rate_limit_exceeded") == (call.status, [one.status_code for one in call.attempts], call.error.type)


def test_a_connection_that_failed_may_be_retried(settle, make):
    """No status at all, then an answer."""
    first = make.captured(make.exchange(None))
    (call,) = settle(first, make.captured(make.exchange(at=2.0), after=first))

    assert ([None, 200], "ConnectError") == ([one.status_code for one in call.attempts], call.attempts[0].error_type)


def test_a_count_that_begins_anew_is_another_call(settle, make):
    """The application asked again after its client had given up."""
    first = make.captured(make.exchange(429, count=0))
    failed, call = settle(first, make.captured(make.exchange(200, count=0, at=3.0), after=first))

    assert [("error", 1), ("ok", 1)] == [(failed.status, len(failed.attempts)), (call.status, len(call.attempts))]


@pytest.mark.parametrize("count", ["2", "two", ""])
def test_a_count_that_does_not_follow_is_another_call(settle, make, count):
    """Attempts are joined one by one, and only by numbers."""
    first = make.captured(make.exchange(429, count=0))
    second = make.captured(make.exchange(200, request_headers={"x-stainless-retry-count": count}), after=first)

    assert 2 == len(settle(first, second))


def test_a_first_attempt_with_a_strange_count_counts_as_the_first(settle, make):
    """A header that is no number stands for none."""
    first = make.captured(make.exchange(429, request_headers={"x-stainless-retry-count": "many"}))

    assert 1 == len(settle(first, make.captured(make.exchange(200, count=1), after=first)))


def aws(status: int | None, invocation: str, **changes) -> dict:
    """An attempt of AWS's SDK: all attempts of one call have the same invocation id."""
    return {"status": status, "request_headers": {"amz-sdk-invocation-id": invocation}} | changes


def test_awss_attempts_are_joined_by_their_invocation(settle, make):
    """And not by their bytes: two calls with one prompt are two."""
    first = make.captured(make.exchange(**aws(503, "a")))
    second = make.captured(make.exchange(**aws(503, "a", at=2.0)), after=first)
    third = make.captured(make.exchange(**aws(200, "b", at=4.0)), after=second)
    failed, call = settle(first, second, third)

    assert ([503, 503], [200]) == ([one.status_code for one in failed.attempts], [one.status_code for one in call.attempts])


def test_aws_says_slow_down_with_a_400_too(settle, make, assembler):
    """Which its SDK retries; any other 400 is settled at once."""
    slow = {"error": {"message": "m", "type": "ThrottlingException"}}
    wrong = {"error": {"message": "m", "type": "ValidationException"}}
    items = [make.captured(make.exchange(400, chunks=[json.dumps(body).encode()])) for body in (slow, wrong)]

    assert ["ValidationException"] == [call.error.type for call in settle(*items)]
    assert 1 == assembler.pending


def test_the_providers_word_for_a_retry_counts(settle, make, assembler):
    """`x-should-retry: true` has its clients repeat what they would not."""
    assert [] == settle(make.captured(make.exchange(404, headers={"x-should-retry": "true"})))
    assert 1 == assembler.pending


def test_an_account_at_its_end_is_said_to_be(settle, make, assembler):
    """Clients repeat every 429, so it waits; but it is told apart from one that trying again may help."""
    bodies = [{"error": {"message": "m", "type": kind, "code": kind}} for kind in ("insufficient_quota", "rate_limit_exceeded")]
    assert [] == settle(*[make.captured(make.exchange(429, chunks=[json.dumps(body).encode()])) for body in bodies])

    assert [True, None] == [call.error.permanent for call in assembler.rest()]


def test_an_attempt_keeps_what_the_provider_says_of_itself(settle, make):
    """Its id for it, how long it worked, what is left of its limits."""
    headers = {
        "x-request-id": "req_1",
        "openai-processing-ms": "250",
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
    }
    (call,) = settle(make.captured(make.exchange(headers=headers)))
    (attempt,) = call.attempts

    assert ("req_1", 0.25, (RateLimit(name="requests", limit=60, remaining=59),)) == (
        attempt.provider_request_id,
        attempt.processing_time,
        attempt.rate_limits,
    )


def test_another_prompt_is_another_call(settle, make):
    """The context moved on: the failure before is settled as it was."""
    first = make.captured(make.exchange(429, prompt="one"))
    failed, call = settle(first, make.captured(make.exchange(prompt="two"), after=first))

    assert ("error", "ok") == (failed.status, call.status)


def test_another_place_is_another_call(settle, make):
    """A fallback to another host is no retry."""
    first = make.captured(make.exchange(429, count=0))

    assert 2 == len(settle(first, make.captured(make.exchange(200, count=1, host="api.mistral.ai"), after=first)))


def test_two_bodies_left_out_for_want_of_room_are_told_apart_by_size(settle, make):
    """Where the bytes are gone, their number is left."""
    first = make.captured(make.exchange(429, request_body=None, request_size=100_000, shed=("request",)))
    second = make.captured(make.exchange(200, request_body=None, request_size=200_000, shed=("request",)), after=first)

    assert 2 == len(settle(first, second))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_clients_do_not_retry_is_settled_at_once(settle, make, status):
    """A request that is wrong stays wrong."""
    assert ["error"] == [call.status for call in settle(make.captured(make.exchange(status)))]


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503, 529])
def test_what_clients_retry_waits(settle, make, assembler, status):
    """A retry may come."""
    assert ([], 1) == (settle(make.captured(make.exchange(status))), assembler.pending)


def test_the_providers_word_against_a_retry_counts(settle, make):
    """`x-should-retry: false` settles even a 429."""
    assert 1 == len(settle(make.captured(make.exchange(429, headers={"x-should-retry": "false"}))))


def test_a_failure_is_settled_when_its_client_moves_on(settle, make, assembler):
    """A flush in the same context says so."""
    first = make.captured(make.exchange(429))
    (call,) = settle(first, Settle(first.serial), Settle(first.serial))

    assert ("error", 0) == (call.status, assembler.pending)


def test_all_failures_may_be_settled_at_once(settle, make, assembler):
    """A final flush waits for no retries."""
    items = [make.captured(make.exchange(429)) for _ in range(3)]

    assert (3, 0) == (len(settle(*items, Settle(ALL))), assembler.pending)


def test_a_failure_is_settled_when_its_scope_ends(settle, make, scope, observer):
    """And before its request's record, so that it is in the roll-up; other scopes' failures wait on."""
    mine, other = make.captured(make.exchange(429), scope=scope), make.captured(make.exchange(429), scope=Scope(observer, name="other"))
    call, request = settle(mine, other, scope)

    assert (Call, Request, 1, 1) == (type(call), type(request), request.calls.count, request.calls.errors)


def test_a_scope_is_let_go_of_with_its_last_attempt(settle, make, observer):
    """One that was retried, and one that waited until the scope ended: neither keeps it alive."""
    scope = Scope(observer, name="job")
    before = sys.getrefcount(scope)
    first = make.captured(make.exchange(429), scope=scope)
    settle(
        first, make.captured(make.exchange(200, at=3.0), after=first, scope=scope), make.captured(make.exchange(503), scope=scope), scope
    )
    del first

    assert before == sys.getrefcount(scope)


def test_a_failure_is_settled_when_the_window_has_passed(settle, make, assembler, hands):
    """After a minute no retry is waited for any more."""
    settle(make.captured(make.exchange(429, lasting=1.0)))
    hands.move(60.9)
    early = list(assembler.overdue())
    hands.move(0.2)

    assert ([], ["error"]) == (early, [call.status for call in assembler.overdue()])


@pytest.mark.parametrize("bound", ["MOST_PENDING", "MOST_PENDING_BYTES"])
def test_failures_that_wait_are_bounded(settle, make, assembler, monkeypatch, bound):
    """In an outage the oldest are settled early: by count, and by the bytes that they hold."""
    monkeypatch.setattr(assemble, bound, 3 if bound == "MOST_PENDING" else 3 * make.captured(make.exchange(503)).size)
    settle(*[make.captured(make.exchange(503)) for _ in range(5)])

    assert (2, 3) == (len(list(assembler.overdue())), assembler.pending)


def test_concurrent_calls_with_one_prompt_keep_their_attempts_apart(settle, make, scope):
    """Two tasks ask the same; each one's retry joins its own call, in whatever order they come."""
    a1 = make.captured(make.exchange(429, lasting=0.1), scope=scope)
    b1 = make.captured(make.exchange(503, lasting=0.2), scope=scope)
    b2 = make.captured(make.exchange(200, at=1.0), after=b1, scope=scope)
    a2 = make.captured(make.exchange(200, at=2.0), after=a1, scope=scope)
    b, a = settle(a1, b1, b2, a2)

    assert ([503, 200], [429, 200]) == ([one.status_code for one in b.attempts], [one.status_code for one in a.attempts])


def test_traffic_that_is_no_call_is_counted_and_ignored(settle, make, assembler):
    """What passed the hook by mistake leaves no record."""
    assert ([], 1) == (settle(make.captured(make.exchange(path="/v1/unheard-of"))), assembler.ignored)


def test_an_item_gives_a_record_or_is_kept_account_of(settle, make, assembler):
    """The account that the sink checks losses against."""
    first = make.captured(make.exchange(429, count=0))
    items = [first, make.captured(make.exchange(200, count=1), after=first), make.captured(make.exchange(path="/v1/x")), Settle(ALL)]
    waiting = make.captured(make.exchange(500))

    assert 4 == len(settle(*items, waiting)) + assembler.kept


def test_the_time_to_the_first_chunk_counts_from_the_first_attempt(settle, make):
    """What the user waited for, retries and all."""
    first = make.captured(make.exchange(429, count=0))
    stream = [b'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}\n\n', b"data: [DONE]\n\n"]
    second = make.exchange(
        count=1,
        at=2.0,
        streamed=True,
        chunks=stream,
        chunk_times=[2_500_000_000, 3_000_000_000],
        headers={"content-type": "text/event-stream"},
        request_body=first.exchange.request_body,
    )
    (call,) = settle(first, make.captured(second, after=first))

    assert 2.5 == call.response.time_to_first_chunk


# --- requests --------------------------------------------------------------------------------------------------------


def test_a_request_adds_up_its_calls(settle, make, scope, hands):
    """Count, errors, retries and tokens of all its calls; the slowest by id."""
    first = make.captured(make.exchange(429, count=0), scope=scope)
    retried = make.captured(make.exchange(200, count=1, at=1.0, lasting=4.0), after=first, scope=scope)
    wrong = make.captured(make.exchange(400, at=6.0), scope=scope)
    hands.move(8.0)
    scope.status_code = 200
    scope.respond()
    slow, _, request = settle(first, retried, wrong, scope)
    totals = request.calls

    assert (2, 1, 1, 12, 34) == (totals.count, totals.errors, totals.retries, totals.input_tokens, totals.output_tokens)
    assert (slow.id, 5.0, "chat gpt-x") == (totals.slowest.id, totals.slowest.duration, totals.slowest.name)


def test_serial_calls_have_a_wall_equal_to_their_sum(settle, make, scope):
    """One after the other."""
    *_, request = settle(*[make.captured(make.exchange(at=2.0 * n, lasting=1.0), scope=scope) for n in range(3)], scope)

    assert (3.0, 3.0) == (request.calls.wall, request.calls.sum)


def test_parallel_calls_have_a_wall_below_their_sum(settle, make, scope):
    """At the same time, and one inside another."""
    lasting = [(0.0, 2.0), (1.0, 3.0), (1.5, 0.1)]
    *_, request = settle(*[make.captured(make.exchange(at=at, lasting=length), scope=scope) for at, length in lasting], scope)

    assert (4.0, 5.1) == (request.calls.wall, pytest.approx(request.calls.sum))


def test_calls_under_way_when_the_response_ended_are_counted(settle, scope):
    """A stream that outlives its request is seen on it."""
    scope.open[1] = 0
    scope.respond()
    (request,) = settle(scope)

    assert (0, 1) == (request.calls.count, request.calls.running)


def test_a_web_request_has_its_http_facts(settle, scope, hands):
    """Method, route, status and sizes; the duration runs to the response's end."""
    hands.move(1.25)
    scope.route = lambda: "/chat/{id}"
    scope.status_code, scope.request_size, scope.response_size = 201, 10, 20
    scope.respond()
    hands.move(5.0)
    (request,) = settle(scope)

    assert ("POST /chat/{id}", "ok", 1.25, "/chat", "r-1") == (
        request.name,
        request.status,
        request.duration,
        request.url.path,
        request.request_id,
    )
    assert ("POST", 10, 201, 20, "/chat/{id}") == (
        request.http.request.method,
        request.http.request.body.size,
        request.http.response.status_code,
        request.http.response.body.size,
        request.http.route,
    )


def test_a_request_without_a_route_is_named_by_its_path(settle, scope):
    """A 404 matched nothing."""
    assert ["POST /chat"] == [request.name for request in settle(scope)]


def test_a_route_that_cannot_be_found_costs_nothing_but_itself(settle, scope):
    """The framework's own trouble is not the record's."""
    scope.route = lambda: 1 / 0
    scope.finish()

    assert ["POST /chat"] == [request.name for request in settle(scope)]


def test_a_job_has_a_name_and_no_http(settle, observer):
    """Outside of the web there is no method and no path."""
    (request,) = settle(Scope(observer, name="nightly"))

    assert ("nightly", None, None) == (request.name, request.http, request.url)


@pytest.mark.parametrize(
    ("facts", "status", "error"),
    [
        ({"status_code": 200}, "ok", None),
        ({"status_code": 404}, "ok", None),
        ({"status_code": 503}, "error", "503"),
        ({"error_type": "ValueError", "error_message": "no"}, "error", "ValueError"),
        ({"disconnected": True}, "cancelled", None),
        ({"status_code": 200, "disconnected": True}, "cancelled", None),
    ],
)
def test_how_a_request_ended(settle, scope, facts, status, error):
    """An exception or a 5xx is an error; a client that left has cancelled."""
    for name, value in facts.items():
        setattr(scope, name, value)
    (request,) = settle(scope)

    assert (status, error) == (request.status, request.error and request.error.type)


def test_an_exception_before_the_answer_is_a_500(scope):
    """As the server will make it; one whose words cannot be had is known by its type."""

    class Silent(Exception):
        def __str__(self):
            raise RuntimeError

    scope.fail(Silent())

    assert (500, None) == (scope.status_code, scope.error_message)
    assert scope.error_type.endswith("Silent")


def test_a_scope_says_what_it_is(scope, observer):
    """For whoever prints it."""
    assert ["<Scope POST /chat request_id=r-1>", "<Scope job  request_id=j>"] == [
        repr(scope),
        repr(Scope(observer, name="job", request_id="j")),
    ]


# --- steps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "status"),
    [({}, "ok"), ({"error_type": "ValueError"}, "error"), ({"error_type": "CancelledError", "cancelled": True}, "cancelled")],
)
def test_a_step_becomes_a_record(settle, scope, facts, status):
    """With its scope, its parent, its attributes, and how it ended."""
    ended = StepEnded(
        name="retrieve",
        span_id="1" * 16,
        parent_id=scope.span_id,
        scope=scope,
        started_ns=0,
        began=0,
        ended=2 * 10**9,
        attributes={"k": 5},
        **facts,
    )
    (step,) = settle(ended)

    assert ("retrieve", status, 2.0, {"k": 5}) == (step.name, step.status, step.duration, step.attributes)
    assert (scope.trace_id, scope.span_id, "r-1") == (step.trace_id, step.parent_id, step.request_id)


def test_a_step_outside_of_any_scope_has_a_trace_of_its_own(settle):
    """It stands alone."""
    (step,) = settle(StepEnded(name="x", span_id="1" * 16, parent_id=None, scope=None, started_ns=0, began=0, ended=1, attributes={}))

    assert (32, None, None) == (len(step.trace_id), step.request_id, step.scope)
