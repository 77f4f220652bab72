"""By hand: steps, scopes without a web framework, calls without HTTP."""

from typing import Any

from llm_observe._runtime.around import Place, place
from llm_observe._runtime.clock import call_id, serials
from llm_observe._runtime.default import default
from llm_observe._runtime.items import Mark, StepEnded, Told, kept, last_attempt
from llm_observe._runtime.levels import narrowed
from llm_observe._runtime.observer import Observer
from llm_observe._runtime.scope import SUPPRESSED, Frame, Scope, current, frame, inside, under
from llm_observe._runtime.section import Section, facts
from llm_observe.records import CallRequest
from llm_observe.settings import Content

PARAMETERS = frozenset(CallRequest.__struct_fields__) - {"model"}


class step(Section):  # noqa: N801 - used as a decorator and in `with`
    """A named part of a request's work: retrieval, a tool, a chain. Calls made inside have it as parent.

    ::

        with llm_observe.step("retrieve", index="docs"):
            ...

        @llm_observe.step("rerank")
        async def rerank(documents): ...

    Inside, ``set(**attributes)`` adds to its record what is known only later.
    """

    def __init__(self, name: str, /, **attributes: object) -> None:
        self.name, self.attributes = name, dict(attributes)

    def set(self, **attributes: object) -> None:
        """Add *attributes* to the step's record."""
        self.attributes.update(attributes)

    def again(self) -> "step":
        return step(self.name, **self.attributes)

    def begin(self) -> Frame:
        around = frame.get()
        self._scope = around.scope if around is not None else None
        self._observer = self._scope.observer if self._scope is not None else default()
        self._silent = around is SUPPRESSED
        if self._silent:
            return SUPPRESSED
        self._content = None if around is None else around.content
        self._parent, self._around = _under(self._observer, around)
        self._span = self._observer.ids.span()
        self._started, self._began = self._observer.clock.wall(), self._observer.clock.now()
        return inside(self._observer, self._scope, self._span, around=self._around, name=self.name)

    def end(self, error: BaseException | None) -> None:
        if self._silent:
            return
        kind, message, cancelled = (None, None, False) if error is None else facts(error)
        self._observer.hand_over(
            StepEnded(
                name=self.name,
                span_id=self._span,
                parent_id=self._parent,
                scope=self._scope,
                started_ns=self._started,
                began=self._began,
                ended=self._observer.clock.now(),
                attributes=dict(self.attributes),
                around=self._around,
                content=self._content,
                error_type=kind,
                error_message=message,
                cancelled=cancelled,
            )
        )


class scope(Section):  # noqa: N801 - used as a decorator and in `with`
    """A job, a script, a message from a queue: what a web request is elsewhere. Calls inside join its record.

    ::

        with llm_observe.scope("nightly-job", user="system"):
            ...

    ``observer`` is the default one where none is given. ``content`` takes away what was said, for all that happens inside. The value of ``with`` has ``id``, ``trace_id`` and ``request_id``.
    """

    def __init__(
        self,
        name: str,
        /,
        *,
        observer: Observer | None = None,
        user: str | None = None,
        session: str | None = None,
        content: Content | None = None,
        **tags: object,
    ) -> None:
        self.name, self._given, self._user, self._session, self._tags = name, observer, user, session, tags
        self._content = content

    def again(self) -> "scope":
        return scope(self.name, observer=self._given, user=self._user, session=self._session, content=self._content, **self._tags)

    def begin(self) -> Frame:
        around, self._silent = current(), frame.get() is SUPPRESSED
        observer = self._given or (around.observer if around is not None else default())
        inner = Scope(observer, name=self.name)
        if around is not None:
            inner.trace_id, inner.parent_id, inner.sampled = around.trace_id, around.span_id, around.sampled
            inner.trace_state = around.trace_state
        _, span = under(observer, frame.get())
        if span is not None:
            where = place(span)
            inner.trace_id, inner.parent_id, inner.sampled = where.trace_id, where.span_id, where.sampled
            inner.trace_state = where.trace_state
        inner.user_id, inner.session_id = self._user, self._session
        here = frame.get()
        above = narrowed(None if around is None else around.content, None if here is None else here.content)
        inner.content = narrowed(above, self._content)
        inner.tags.update(self._tags)
        self._inner = inner
        return SUPPRESSED if self._silent else inside(observer, inner, inner.span_id, around=None, name=self.name)

    def end(self, error: BaseException | None) -> None:
        if self._silent:
            return
        if error is not None:
            if isinstance(error, Exception):
                self._inner.fail(error)
            else:
                self._inner.disconnected = True
        self._inner.finish()

    def __enter__(self) -> Scope:  # type: ignore[override]  # `with` gives what users tag and read, not the section
        super().__enter__()
        return self._inner

    async def __aenter__(self) -> Scope:  # type: ignore[override]  # as above
        return self.__enter__()


class content(Section):  # noqa: N801 - used as a decorator and in `with`
    """How much stays on record of what is said inside: ``none``, ``metadata`` or ``full``. It can only take away.

    ::

        with llm_observe.content("none"):
            ...

    Calls and steps inside are part of the request as ever. It needs none.
    """

    def __init__(self, level: Content, /) -> None:
        self.level = level

    def again(self) -> "content":
        return content(self.level)

    def begin(self) -> Frame:
        here = frame.get()
        if here is None:
            return Frame(None, None, content=self.level)
        if here is SUPPRESSED:
            return SUPPRESSED
        if here.scope is not None:
            here.scope.look()  # now or never: what is adopted later knows the frame it is adopted in, and no other
        return Frame(here.scope, here.span_id, here.around, content=narrowed(here.content, self.level))

    def end(self, error: BaseException | None) -> None:
        pass


class record_call(Section):  # noqa: N801 - used in `with`
    """A call to a model that no HTTP hook sees: in this process, over gRPC, through a binary.

    ::

        with llm_observe.record_call("llama-3-8b", provider="llama_cpp", input=prompt) as call:
            answer = llm(prompt)
            call.output = answer.text
            call.usage(input_tokens=answer.n_prompt, output_tokens=answer.n_out)

    ``input`` and ``output`` are a text, a chat message (``{"role": ..., "content": ...}``) or a list of either. Keyword *parameters*
    are the request's: ``temperature=0.2``, ``max_tokens=100``. An exception that leaves the block is the call's error.

    :raises TypeError: for a parameter that a call's record has no field for.
    """

    def __init__(
        self, model: str, /, *, provider: str, operation: str = "chat", input: Any = None, system: str | None = None, **parameters: Any
    ) -> None:
        if unknown := parameters.keys() - PARAMETERS:
            raise TypeError(f"record_call() knows no parameter {min(unknown)!r}; it takes {', '.join(sorted(PARAMETERS))}")
        self.model, self.provider, self.operation = model, provider, operation
        self.input, self.system, self.parameters = kept(input), system, parameters
        self.output: Any = None
        self.response_id: str | None = None
        self.response_model: str | None = None
        self.finish_reasons: tuple[str, ...] = ()
        self._usage: dict[str, int] = {}
        self._first: int | None = None

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read: int | None = None,
        cache_write: int | None = None,
        reasoning: int | None = None,
    ) -> None:
        """Say how many tokens it took: totals, with cached ones inside the input and reasoning inside the output."""
        counts = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cache_read": cache_read,
            "cache_write": cache_write,
            "reasoning": reasoning,
        }
        self._usage.update({name: count for name, count in counts.items() if count is not None})

    def first_chunk(self) -> None:
        """Say that the first piece of the answer is there: the time to it goes on record. The first time counts."""
        if self._first is None:
            self._first = self._observer.clock.now()

    def again(self) -> "record_call":
        return record_call(
            self.model, provider=self.provider, operation=self.operation, input=self.input, system=self.system, **self.parameters
        )

    def begin(self) -> Frame:
        around = frame.get()
        self._scope = around.scope if around is not None else None
        self._observer = self._scope.observer if self._scope is not None else default()
        self._span, self._serial, self._previous = self._observer.ids.span(), serials.next(), last_attempt.get().serial
        self._silent = around is SUPPRESSED
        if self._silent:
            self._began = self._observer.clock.now()
            return SUPPRESSED
        self._content = None if around is None else around.content
        self._parent, self._around = _under(self._observer, around)
        self._started, self._began = self._observer.clock.wall(), self._observer.clock.now()
        self._id = call_id(self._started, self._serial)
        last_attempt.set(Mark(self._serial, self._scope, self._id))
        if self._scope is not None:
            self._scope.open[self._serial] = self._began
        self._handover = self._observer.handover
        self._handover.begun += 1
        if self._handover.asleep:
            self._handover.look()
        return inside(self._observer, self._scope, self._span, around=self._around, name=f"{self.operation} {self.model}")

    def end(self, error: BaseException | None) -> None:
        if self._silent:
            return
        kind, message, cancelled = (None, None, False) if error is None else facts(error)
        if self._scope is not None:
            self._scope.open.pop(self._serial, None)
        self._handover.ended += 1
        if self._handover is not self._observer.handover:  # a fork has been: the parent's record has that id
            self._id = call_id(self._started, serials.next())
        told = Told(  # in two steps: of more than fifteen keywords Python makes a dict first
            model=self.model,
            provider=self.provider,
            operation=self.operation,
            span_id=self._span,
            parent_id=self._parent,
            scope=self._scope,
            id=self._id,
            previous=self._previous,
            started_ns=self._started,
            began=self._began,
            around=self._around,
            content=self._content,
            ended=self._observer.clock.now(),
            first_chunk_at=self._first,
        )
        told.input, told.system, told.output, told.parameters = self.input, self.system, kept(self.output), self.parameters
        told.response_id, told.response_model = self.response_id, self.response_model
        told.finish_reasons, told.usage = self.finish_reasons, self._usage
        told.error_type, told.error_message, told.cancelled = kind, message, cancelled
        self._observer.hand_over(told)


def _under(observer: Observer, here: Frame | None) -> tuple[str | None, Any]:
    """The parent of what begins *here*, and what knows its trace: outside of any, a trace begins."""
    parent, around = under(observer, here)
    if around is None and (here is None or here.scope is None):
        around = Place(observer.ids.trace())
    return parent, around


def tag(*, user: str | None = None, session: str | None = None, **tags: object) -> None:
    """Put a user, a session and free *tags* on the record of the current request or job, and on all its calls and steps.

    Outside of any scope there is nothing to tag and nothing happens.
    """
    here = current()
    if here is not None:
        if user is not None:
            here.user_id = user
        if session is not None:
            here.session_id = session
        here.tags.update(tags)
