"""Calls made in executor threads keep with their request.

`asyncio.to_thread` and anyio copy the context into their threads; `ThreadPoolExecutor.submit`, and `loop.run_in_executor` with it, do
not. This carries our own variable over and nothing else.
"""

import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from llm_observe._runtime.items import NONE, last_attempt
from llm_observe._runtime.scope import Frame, entered, frame

_original: Callable[..., Any] = ThreadPoolExecutor.submit


def _in_frame(here: Frame, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    last_attempt.set(NONE)  # one job is no retry of another that this thread did before
    with entered(here):
        return work(*args, **kwargs)


@functools.wraps(_original)
def _submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
    here = frame.get()
    if here is None:
        return _original(self, fn, *args, **kwargs)  # type: ignore[no-any-return]
    return _original(self, _in_frame, here, fn, *args, **kwargs)  # type: ignore[no-any-return]


def install() -> None:
    """Have ``ThreadPoolExecutor.submit`` carry the scope into its threads. Safe to call twice."""
    if ThreadPoolExecutor.submit is _original:
        ThreadPoolExecutor.submit = _submit  # type: ignore[method-assign,assignment]


def uninstall() -> None:
    """Take it out again, if it is still ours to take."""
    if ThreadPoolExecutor.submit is _submit:
        ThreadPoolExecutor.submit = _original  # type: ignore[method-assign]
