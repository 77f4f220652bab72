"""FastAPI: one line.

::

    from llm_observe.fastapi import LLMObserveMiddleware
    app.add_middleware(LLMObserveMiddleware)

The application's lifespan, if it has one, is left as it is: the middleware starts the observer before it and drains after it.
"""

from llm_observe.errors import missing

try:
    import fastapi as _fastapi
except ModuleNotFoundError as error:
    raise missing(error, extra="fastapi") from None

from llm_observe.starlette import LLMObserveMiddleware

del _fastapi

__all__ = ["LLMObserveMiddleware"]
