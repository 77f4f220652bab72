"""Records of what had calls in it and has ended: web requests, and steps."""

import msgspec

from llm_observe._runtime.around import whereabouts
from llm_observe._runtime.clock import Ids, instant
from llm_observe._runtime.given import plain
from llm_observe._runtime.items import StepEnded
from llm_observe._runtime.sampling import Keeps
from llm_observe._runtime.scope import Scope
from llm_observe._runtime.tally import Tally
from llm_observe.records import Body, Error, Http, HttpRequest, HttpResponse, Request, ScopeInfo, Status, Step, Url


def request_of(scope: Scope, *, service: str | None, keeps: Keeps) -> Request:
    """The web request, or the job, that *scope* was, with the sums of its calls."""
    tally = scope.tally or Tally()
    sampled = keeps(scope.trace_id, scope, "") if scope.sampled is None else scope.sampled
    ended = scope.ended or scope.began
    http = None
    if scope.method is not None:
        http = Http(
            request=HttpRequest(method=scope.method, body=None if scope.request_size is None else Body(size=scope.request_size)),
            response=HttpResponse(status_code=scope.status_code, body=Body(size=scope.response_size)),
            route=scope.route,
        )
    request = Request(  # in two steps: of more than fifteen keywords Python makes a dict first, which takes three times as long
        id=scope.id,
        trace_id=scope.trace_id,
        span_id=scope.span_id,
        parent_id=scope.parent_id,
        request_id=scope.request_id,
        started_at=instant(scope.started_ns),
        duration=(ended - scope.began) / 1e9,
        name=scope.name or f"{scope.method} {scope.route or scope.path}",
        status=_request_status(scope),
        scope=scope_info(scope, name=False),
        http=http,
        url=None if scope.path is None else Url(path=scope.path),
        disconnected=scope.disconnected,
        calls=tally.totals(scope.running),
    )
    return msgspec.structs.replace(
        request,
        service=service,
        error=_request_error(scope),
        sampled=None if sampled else False,
        trace_state=scope.trace_state,
        instrumentation=scope.instrumentation,
        content=scope.content,
    )


def step_of(step: StepEnded, ids: Ids, *, service: str | None, keeps: Keeps) -> Step:
    """The part of a request that *step* was."""
    scope = step.scope
    status: Status = "cancelled" if step.cancelled else "error" if step.error_type else "ok"
    where = whereabouts(
        ids, scope, around=step.around, parent_id=step.parent_id, span_id=step.span_id, name=step.name, keeps=keeps, content=step.content
    )
    record = Step(
        id=ids.record(step.started_ns),
        trace_id=where.trace_id,
        span_id=where.span_id,
        parent_id=where.parent_id,
        request_id=scope.request_id if scope else None,
        started_at=instant(step.started_ns),
        duration=(step.ended - step.began) / 1e9,
        name=step.name,
        status=status,
        error=Error(type=step.error_type, message=step.error_message) if step.error_type else None,
        scope=scope_info(scope),
        attributes=_given(step.attributes),
    )
    return msgspec.structs.replace(
        record,
        service=service,
        sampled=where.sampled,
        trace_state=where.trace_state,
        instrumentation=where.instrumentation,
        content=where.content,
    )


def _request_status(scope: Scope) -> Status:
    if scope.error_type is not None or (scope.status_code or 0) >= 500:
        return "error"
    return "cancelled" if scope.disconnected else "ok"


def _request_error(scope: Scope) -> Error | None:
    if scope.error_type is not None:
        return Error(type=scope.error_type, message=scope.error_message)
    return Error(type=str(scope.status_code)) if (scope.status_code or 0) >= 500 else None


def scope_info(scope: Scope | None, *, name: bool = True) -> ScopeInfo | None:
    """What *scope* says on the records inside."""
    if scope is None:
        return None
    return ScopeInfo(
        name=scope.name if name else None,
        method=scope.method,
        route=scope.route,
        user_id=scope.user_id,
        session_id=scope.session_id,
        tags=_given(dict(scope.tags)),
    )


def _given(values: dict[str, object]) -> dict[str, object]:
    """What the application named, as it can be written: processors see what will be."""
    return {name: plain(value) for name, value in values.items()} if values else values
