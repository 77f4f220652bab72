"""The record of a web request or a job, and of the steps in it."""

import msgspec

from llm_observe.records.calls import Record
from llm_observe.records.facts import Cost
from llm_observe.records.shape import Shape


class Step(Record, tag="step", frozen=True, kw_only=True):
    """A named part of a request's work, marked by the user."""

    attributes: dict[str, object] = msgspec.field(default_factory=dict)


class Slowest(Shape, frozen=True, kw_only=True):
    """The call of a request that took longest."""

    id: str
    name: str
    duration: float


class CallTotals(Shape, frozen=True, kw_only=True):
    """The roll-up of a request's calls.

    ``wall`` is the time during which at least one call ran, ``sum`` the calls' durations added up, both in seconds: equal means
    serial, sum above wall means parallel. ``running`` is how many had not ended when the response did (or the client left).
    """

    count: int
    errors: int
    retries: int
    running: int
    input_tokens: int
    output_tokens: int
    wall: float
    sum: float
    slowest: Slowest | None = None
    cost: Cost | None = None


class Body(Shape, frozen=True, kw_only=True):
    """A body's size in bytes."""

    size: int


class HttpRequest(Shape, frozen=True, kw_only=True):
    """``http.request.*``."""

    method: str
    body: Body | None = None


class HttpResponse(Shape, frozen=True, kw_only=True):
    """``http.response.*``."""

    status_code: int | None = None
    body: Body | None = None


class Http(Shape, frozen=True, kw_only=True):
    """``http.*``: ``route`` is the template that matched."""

    request: HttpRequest
    response: HttpResponse | None = None
    route: str | None = None


class Url(Shape, frozen=True, kw_only=True):
    """``url.path``: no query, it may carry keys."""

    path: str


class Request(Record, tag="request", frozen=True, kw_only=True):
    """A web request or a job: its own facts and the roll-up of its calls.

    ``duration`` runs to the last body byte or the client's disconnect, in seconds.
    """

    calls: CallTotals
    http: Http | None = None
    url: Url | None = None
    disconnected: bool = False
