"""Something with a begin and an end under which other things happen: a context manager, sync and async, and a decorator.

It decorates functions, coroutine functions and generators of both kinds. Nothing here holds a context-variable token across a `yield`
or an `await` of the user's: see `scope.py`.
"""

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from llm_observe._runtime.guard import words
from llm_observe._runtime.scope import Frame, frame

F = TypeVar("F", bound=Callable[..., Any])


class Section(ABC):
    """What :class:`step`, :class:`scope` and :class:`record_call` have in common."""

    _before: Frame | None = None
    _here: Frame | None = None
    _leave: Callable[[], None] | None = None

    @abstractmethod
    def again(self) -> Self:
        """A fresh one of the same kind: a decorated function may run many times at once."""

    @abstractmethod
    def begin(self) -> Frame:
        """Start, and return the frame to be in."""

    @abstractmethod
    def end(self, error: BaseException | None) -> None:
        """Be done, with *error* where one left the section: hand over."""

    def __enter__(self) -> Self:
        self._before = frame.get()
        self._here = self.begin()
        frame.set(self._here)
        self._leave = self._here.enters() if self._here.enters is not None else None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        now = frame.get()
        if now is self._here or self._opened(now):
            frame.set(self._before)
        if self._leave is not None:
            self._leave()
        self.end(error)

    def _opened(self, now: Frame | None) -> bool:
        """Whether *now* is what a generator, paused inside a scope that this section opened, has left behind."""
        if now is None or now.scope is None or self._here is None:
            return False
        return now.scope is self._here.scope and (self._before is None or self._before.scope is not now.scope)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        around: Callable[[Section, Any], Any]
        if inspect.isasyncgenfunction(function):
            around = _async_generator
        elif inspect.isgeneratorfunction(function):
            around = _generator
        elif inspect.iscoroutinefunction(function):
            around = _coroutine
        else:
            around = _function
        return cast("F", functools.wraps(function)(around(self, function)))


def _function(section: Section, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with section.again():
            return function(*args, **kwargs)

    return wrapper


def _coroutine(section: Section, function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with section.again():
            return await function(*args, **kwargs)

    return wrapper


def _generator(section: Section, function: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Generator[Any, Any, Any]]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        paused = _Paused(section.again())
        resume: Any = functools.partial(generator.send, None)
        try:
            while True:
                with paused.resumed():
                    try:
                        value = resume()
                    except StopIteration as stop:
                        return stop.value
                try:
                    resume = functools.partial(generator.send, (yield value))
                except GeneratorExit:
                    with paused.resumed():
                        generator.close()
                    raise
                except BaseException as error:
                    resume = functools.partial(generator.throw, error)
        except BaseException as error:
            paused.failed = error
            raise
        finally:
            resume = None  # it may hold the error, whose traceback holds this frame
            paused.end()

    return wrapper


def _async_generator(section: Section, function: Callable[..., AsyncGenerator[Any, Any]]) -> Callable[..., AsyncGenerator[Any, Any]]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = function(*args, **kwargs)
        paused = _Paused(section.again())
        resume: Any = functools.partial(generator.asend, None)
        try:
            while True:
                with paused.resumed():
                    try:
                        value = await resume()
                    except StopAsyncIteration:
                        return
                try:
                    resume = functools.partial(generator.asend, (yield value))
                except GeneratorExit:
                    with paused.resumed():
                        await generator.aclose()
                    raise
                except BaseException as error:
                    resume = functools.partial(generator.athrow, error)
        except BaseException as error:
            paused.failed = error
            raise
        finally:
            resume = None  # as above
            paused.end()

    return wrapper


class _Paused:
    """A section around a generator: in force while the generator runs, put aside while its consumer has the word."""

    def __init__(self, section: Section) -> None:
        self._section, self._inside = section, section.begin()
        self.failed: BaseException | None = None

    @contextmanager
    def resumed(self) -> Iterator[None]:
        """Be where the generator was when it paused: inside the section, and in what it has opened itself since."""
        before = frame.get()
        frame.set(self._inside)
        leave = self._inside.enters() if self._inside.enters is not None else None
        try:
            yield
        finally:
            self._inside = frame.get() or self._inside
            frame.set(before)
            if leave is not None:
                leave()

    def end(self) -> None:
        """The generator is at its end, or closed before it."""
        failed, self.failed = self.failed, None
        self._section.end(None if isinstance(failed, GeneratorExit) else failed)


def facts(error: BaseException) -> tuple[str, str | None, bool]:
    """The type and message of *error*, and whether it is a cancellation."""
    return type(error).__qualname__, words(error), not isinstance(error, Exception)
