"""The one thing an exporter does, as something to await."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread

from llm_observe.protocols import Batch


def verb(exporter: object) -> Callable[[Batch], Awaitable[object]]:
    """The one thing *exporter* does, as something to await."""
    call: Any = getattr(exporter, "export", exporter)
    if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None)):  # noqa: B004 - an object may be async
        return call  # type: ignore[no-any-return]

    async def in_a_thread(batch: Batch) -> None:
        started = False

        def run() -> object:
            nonlocal started
            started = True
            return call(batch)

        try:
            result = await anyio.to_thread.run_sync(run, abandon_on_cancel=True)
        except RuntimeError:
            if started:
                raise
            result = run()  # no thread can be started while the interpreter ends
        if inspect.isawaitable(result):  # a lambda around an async function
            await result

    return in_a_thread
