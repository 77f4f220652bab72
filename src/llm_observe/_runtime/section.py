"""Something with a begin and an end under which other things happen: a context manager, sync and async, and a decorator.

It decorates functions, coroutine functions and generators of both kinds. Nothing here holds a context-variable token across a `yield`
or an `await` of the user's: see `scope.py`.
"""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeVar

from llm_observe._runtime.scope import Frame, entered, frame

F = TypeVar("F", bound=Callable[..., Any])


class Section:
    """What :class:`step`, :class:`scope` and :class:`record_call` have in common."""

    _before: Frame | None = None
    _here: Frame | None = None

    def again(self) -> Self:
        """A fresh one of the same kind: a decorated function may run many times at once."""
        raise NotImplementedError

    def begin(self) -> Frame:
        """Start, and return the frame to be in."""
        raise NotImplementedError

    def end(self, error: BaseException | None) -> None:
        """Be done, with *error* where one left the section: hand over."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._before = frame.get()
        self._here = self.begin()
        frame.set(self._here)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if frame.get() is self._here:
            frame.set(self._before)
        self.end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        wrapper: Any
        if inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
                async for value in _drive_async(self.again(), function(*args, **kwargs)):
                    yield value

        elif inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                return (yield from _drive(self.again(), function(*args, **kwargs)))

        elif inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self.again():
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with self.again():
                    return function(*args, **kwargs)

        return wrapper  # type: ignore[no-any-return]


def _drive(section: Section, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Run *generator* piece by piece inside *section*'s frame, and outside of it while its consumer has the word."""
    here, failed = section.begin(), None
    sent: Any = None
    thrown: BaseException | None = None
    try:
        while True:
            try:
                with entered(here):
                    value = generator.send(sent) if thrown is None else generator.throw(thrown)
            except StopIteration as stop:
                return stop.value
            sent = thrown = None
            try:
                sent = yield value
            except GeneratorExit:
                with entered(here):
                    generator.close()
                raise
            except BaseException as error:
                thrown = error
    except BaseException as error:
        failed = error
        raise
    finally:
        section.end(None if isinstance(failed, GeneratorExit) else failed)


async def _drive_async(section: Section, generator: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    """:func:`_drive` for an async generator."""
    here, failed = section.begin(), None
    try:
        while True:
            with entered(here):
                try:
                    value = await anext(generator)
                except StopAsyncIteration:
                    return
            try:
                yield value
            except BaseException:
                with entered(here):
                    await generator.aclose()
                raise
    except BaseException as error:
        failed = error
        raise
    finally:
        section.end(None if isinstance(failed, GeneratorExit) else failed)


def words(error: BaseException) -> tuple[str, str | None, bool]:
    """The type and message of *error*, and whether it is a cancellation."""
    try:
        message = str(error)[:4096]
    except Exception:  # somebody else's __str__
        message = None
    return type(error).__qualname__, message, not isinstance(error, Exception)
