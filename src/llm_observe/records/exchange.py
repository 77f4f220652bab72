"""One HTTP attempt as the capture saw it: references and instants, nothing parsed."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

End = Literal["open", "eof", "closed", "abandoned", "cancelled", "error"]


class Exchange(msgspec.Struct, kw_only=True, gc=False):
    """One HTTP attempt with a provider, undecoded. Filled by its tap, then never touched again.

    Instants are ``time.perf_counter_ns()`` except ``started_ns``, which is ``time.time_ns()`` at ``began``.
    Headers are the allow-listed ones, names in lower case; ``path`` has no query.
    """

    client: str
    method: str
    host: str
    path: str
    port: int | None = None
    request_headers: Mapping[str, str] = {}
    request_body: bytes | None = None
    request_ends: tuple[bytes, bytes] | None = None  # its first and last bytes, where it was too long to keep
    request_size: int = 0
    started_ns: int = 0
    began: int = 0
    status_code: int | None = None
    response_headers: Mapping[str, str] = {}
    chunks: list[bytes] = []
    chunk_times: list[int] = []
    tail: Sequence[bytes] = ()  # the end of a response too long to keep whole
    tail_times: Sequence[int] = ()
    response_size: int = 0
    content_decoded: bool = False  # the chunks are free of content-encoding already
    streamed: bool = False  # the application took the body as a stream
    ended: int = 0
    end: End = "open"
    error_type: str | None = None
    error_message: str | None = None
    shed: tuple[str, ...] = ()  # bodies left out for want of room: "request", "response", and "middle" for all of an answer but its ends
