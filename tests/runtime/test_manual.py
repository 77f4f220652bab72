"""By hand: steps, scopes, calls; in every colour, and in other threads."""

import asyncio
import contextvars
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import llm_observe
from llm_observe import current, record_call, scope, step, tag
from llm_observe._runtime import threads
from llm_observe._runtime.items import OVERHEAD, weight
from llm_observe._runtime.scope import Frame, entered, frame
from llm_observe.records import Message, Text
from llm_observe.testing import recording


@pytest.fixture
def recorded():
    """What is recorded meanwhile."""
    with recording() as made:
        yield made


class Gone(Exception):
    """The application's own."""


def by_name(records):
    """Records by their names."""
    return {record.name: record for record in records}


# --- steps -----------------------------------------------------------------------------------------------------------


def test_a_step_is_recorded_with_its_attributes(recorded):
    """Those given at its begin, and those known only later."""
    with step("retrieve", index="docs") as found:
        found.set(hits=3)

    assert [("retrieve", {"index": "docs", "hits": 3}, "ok")] == [(one.name, one.attributes, one.status) for one in recorded.steps]


def test_steps_inside_steps_have_them_as_parents(recorded):
    """And the outermost has the scope."""
    with scope("job") as job, step("outer"), step("inner"):
        pass
    steps = by_name(recorded.steps)

    assert (job.span_id, steps["outer"].span_id) == (steps["outer"].parent_id, steps["inner"].parent_id)
    assert {job.trace_id} == {one.trace_id for one in steps.values()}


def test_after_a_step_its_parent_is_in_force_again(recorded):
    """Two steps one after the other are siblings."""
    with scope("job") as job:
        with step("a"):
            pass
        with step("b"):
            pass

    assert [job.span_id] * 2 == [one.parent_id for one in recorded.steps]


@pytest.mark.parametrize(
    ("error", "status"), [(Gone("x"), "error"), (KeyboardInterrupt(), "cancelled"), (asyncio.CancelledError(), "cancelled")]
)
def test_what_leaves_a_step_is_recorded_and_goes_on(recorded, error, status):
    """An exception is its error; Ctrl-C and cancellation are nobody's fault."""
    with pytest.raises(type(error)), step("x"):
        raise error

    assert [(status, type(error).__qualname__)] == [(one.status, one.error.type) for one in recorded.steps]


def test_a_step_without_any_scope_stands_alone(recorded):
    """No parent, no request, no error."""
    with step("alone"):
        assert current() is None

    assert [None] == [one.parent_id for one in recorded.steps]


def test_a_step_works_in_async_with(recorded):
    """The same object in both colours."""

    async def main():
        async with scope("job") as job, step("a"):
            return job

    job = asyncio.run(main())

    assert [job.span_id] == [one.parent_id for one in recorded.steps]


# --- decorators ------------------------------------------------------------------------------------------------------


def test_a_function_is_decorated(recorded):
    """It keeps its name, its value and its arguments, and each run is a step of its own."""

    @step("double", unit="x")
    def double(n):
        """Twice."""
        return 2 * n

    assert ([2, 4], "double", "Twice.") == ([double(1), double(n=2)], double.__name__, double.__doc__)
    assert ["double", "double"] == [one.name for one in recorded.steps]


def test_a_coroutine_function_is_decorated(recorded):
    """It stays one, and runs side by side with itself."""

    @step("double")
    async def double(n):
        await asyncio.sleep(0)
        return 2 * n

    async def main():
        return await asyncio.gather(*map(double, range(3)))

    assert ([0, 2, 4], True) == (asyncio.run(main()), inspect.iscoroutinefunction(double))
    assert 3 == len({one.span_id for one in recorded.steps})


def test_a_scope_decorates_too(recorded):
    """A job is a function."""

    @scope("job", user="u", session="s", plan="free")
    def job():
        with step("inside"):
            return current().request_id

    ids = {job(), job()}

    assert (2, ids) == (len(ids), {one.request_id for one in recorded.requests})
    assert {("u", "s", "free")} == {(one.scope.user_id, one.scope.session_id, one.scope.tags["plan"]) for one in recorded.steps}


def test_a_told_call_decorates_too(recorded):
    """A function that is a model: its time and its errors."""

    @record_call("llama", provider="local", temperature=0.5)
    def llama(prompt):
        return prompt.upper()

    assert "HI" == llama("hi")
    assert [("chat llama", 0.5)] == [(call.name, call.request.temperature) for call in recorded.calls]


def echo():
    """A generator that says what it was sent and what was thrown into it, and where it runs."""
    said = ["begin"]
    try:
        while True:
            try:
                sent = yield said
                said = ["sent", sent]
            except Gone as error:
                said = ["thrown", str(error)]
            if sent == "end":
                return "value"
    finally:
        said.append("closed")


def test_a_generator_keeps_its_whole_protocol(recorded):
    """next, send, throw and return all reach it."""
    decorated = step("echo")(echo)

    def drive():
        generator = decorated()
        heard = [next(generator)[:], generator.send(1)[:], generator.throw(Gone("x"))[:]]
        with pytest.raises(StopIteration) as stop:
            generator.send("end")
        return [*heard, stop.value.value]

    assert (True, [["begin"], ["sent", 1], ["thrown", "x"], "value"]) == (inspect.isgeneratorfunction(decorated), drive())
    assert ["ok"] == [one.status for one in recorded.steps]


def test_a_generator_may_be_delegated_to(recorded):
    """`yield from` gets its value."""

    @step("inner")
    def inner():
        yield 1
        return 2

    def outer():
        return (yield from inner())

    generator = outer()
    values = [next(generator)]
    with pytest.raises(StopIteration) as stop:
        next(generator)

    assert ([1], 2) == (values, stop.value.value)


def test_a_generator_that_is_closed_ends_its_step(recorded):
    """Leaving early is no error; the generator is closed at once."""
    closed = []

    @step("count")
    def count():
        try:
            yield 1
            yield 2
        finally:
            closed.append(current())

    with scope("job") as job:
        generator = count()
        next(generator)
        generator.close()

        assert [job] == closed
    assert ["ok"] == [one.status for one in recorded.steps]


def test_a_generator_that_fails_is_an_error(recorded):
    """Its exception is recorded and goes on to the consumer."""

    @step("fails")
    def fails():
        yield 1
        raise Gone("x")

    with pytest.raises(Gone):
        list(fails())

    assert [("error", "Gone")] == [(one.status, one.error.type) for one in recorded.steps]


def test_a_generator_that_will_not_close_is_the_applications_affair(recorded):
    """Python's own complaint passes, and is on record."""

    @step("stubborn")
    def stubborn():
        try:
            yield 1
        except GeneratorExit:
            yield 2

    generator = stubborn()
    next(generator)
    with pytest.raises(RuntimeError):
        generator.close()

    assert ["RuntimeError"] == [one.error.type for one in recorded.steps]


def test_a_generator_that_is_never_started_leaves_no_step(recorded):
    """Nothing ran."""
    step("count")(echo)()

    assert [] == recorded.steps


def test_wrong_arguments_of_a_generator_leave_no_step(recorded):
    """It never began."""
    with pytest.raises(TypeError):
        next(step("echo")(echo)("too many"))

    assert [] == recorded.steps


def test_between_two_yields_the_consumer_is_where_it_was(recorded):
    """A generator's steps, its own and those it opened inside, are in force in it and nowhere else."""
    inside = []

    @step("outer")
    def pages():
        with step("inner"):
            inside.append(frame.get())
            yield 1
            inside.append(frame.get())
            yield 2
        inside.append(frame.get())

    with scope("job"):
        here = frame.get()
        between = [frame.get() for _ in pages()] + [frame.get()]

    assert [here] * 3 == between
    assert (inside[0], True) == (inside[1], inside[2] is not inside[0])
    steps = by_name(recorded.steps)
    assert (steps["outer"].span_id, steps["inner"].span_id) == (steps["inner"].parent_id, inside[0].span_id)


def test_calls_of_the_consumer_are_not_the_generators(recorded):
    """What is done between two yields has the consumer's parent."""

    @step("pages")
    def pages():
        yield 1
        yield 2

    with scope("job") as job:
        for _ in pages():
            with step("consumer"):
                pass

    assert [job.span_id] * 3 == [one.parent_id for one in recorded.steps]


async def aecho():
    """The same, async."""
    said = ["begin"]
    while True:
        await asyncio.sleep(0)
        try:
            sent = yield said
            said = ["sent", sent]
        except Gone as error:
            said = ["thrown", str(error)]
        if sent == "end":
            return


def test_an_async_generator_keeps_its_whole_protocol(recorded):
    """anext, asend, athrow and its end all reach it."""
    decorated = step("echo")(aecho)

    async def main():
        generator = decorated()
        heard = [(await anext(generator))[:], (await generator.asend(1))[:], (await generator.athrow(Gone("x")))[:]]
        with pytest.raises(StopAsyncIteration):
            await generator.asend("end")
        return heard

    assert (True, [["begin"], ["sent", 1], ["thrown", "x"]]) == (inspect.isasyncgenfunction(decorated), asyncio.run(main()))
    assert ["ok"] == [one.status for one in recorded.steps]


@pytest.mark.parametrize("leave", ["aclose", "break", "raise"])
def test_leaving_an_async_generator_closes_it_and_ends_its_step(recorded, leave):
    """At its aclose, which whoever breaks off must await, and no later."""
    closed = []

    @step("count")
    async def count():
        try:
            for n in range(9):
                await asyncio.sleep(0)
                yield n
        finally:
            await asyncio.sleep(0)
            closed.append(current())

    async def main():
        with scope("job") as job:
            generator = count()
            try:
                async for _ in generator:
                    if leave == "raise":
                        raise Gone
                    break
            except Gone:
                pass
            here = frame.get()
            await generator.aclose()
            assert ([job], here) == (closed, frame.get())

    asyncio.run(main())

    assert ["ok"] == [one.status for one in recorded.steps]


def test_an_async_generator_hears_what_is_thrown(recorded):
    """As under `asynccontextmanager`, whose body's error it may handle or pass on."""
    from contextlib import asynccontextmanager

    heard = []

    @asynccontextmanager
    @step("session")
    async def session():
        try:
            yield 1
        except Gone as error:
            heard.append(str(error))
            raise

    async def main():
        async with session():
            raise Gone("x")

    with pytest.raises(Gone):
        asyncio.run(main())

    assert (["x"], [("error", "Gone")]) == (heard, [(one.status, one.error.type) for one in recorded.steps])


def test_an_async_generator_that_is_cancelled_is_cancelled(recorded):
    """And is neither ok nor an error."""

    @step("waits")
    async def waits():
        await asyncio.sleep(60)
        yield 1

    async def main():
        async with asyncio.timeout(0.01):
            async for _ in waits():
                pass

    with pytest.raises(TimeoutError):
        asyncio.run(main())

    assert ["cancelled"] == [one.status for one in recorded.steps]


def test_between_two_yields_the_async_consumer_is_where_it_was(recorded):
    """Steps opened in the generator are put aside with it."""

    @step("outer")
    async def pages():
        with step("inner"):
            yield frame.get()
            await asyncio.sleep(0)
            yield frame.get()

    async def main():
        with scope("job"):
            here = frame.get()
            inside, between = [], []
            async for one in pages():
                inside.append(one)
                between.append(frame.get())
            return here, inside, [*between, frame.get()]

    here, inside, between = asyncio.run(main())

    assert [here] * 3 == between
    assert 1 == len(set(inside)) and here not in inside


# --- contexts --------------------------------------------------------------------------------------------------------


def test_a_frame_left_in_another_context_does_not_raise(recorded):
    """A WSGI server may close the body from elsewhere; where it does, nothing is put back that is not ours."""
    section = step("x")
    contextvars.copy_context().run(section.__enter__)
    with scope("other"):
        here = frame.get()
        section.__exit__(None, None, None)

        assert here is frame.get()
    assert ["x"] == [one.name for one in recorded.steps]


def test_what_a_paused_generator_left_ends_with_its_scope(recorded):
    """A step that hangs open in an abandoned generator must not stay in force after its request."""

    def pages():
        with step("hanging"):
            yield 1

    with scope("job"):
        generator = pages()
        next(generator)

    assert None is frame.get()
    generator.close()
    assert None is frame.get()


def test_a_step_leaves_a_foreign_frame_alone(recorded):
    """What is not its own and not below its own scope is somebody else's."""
    foreign = Frame(None, "f" * 16)
    with step("x"):
        before = frame.get()
        frame.set(foreign)

    assert foreign is frame.get()
    with entered(before):
        frame.set(foreign)
    assert foreign is frame.get()
    frame.set(None)


def test_scopes_inside_scopes_share_the_trace(recorded):
    """A job started in a request is its child, and has a record and calls of its own."""
    with scope("outer") as outer, scope("inner") as inner:
        assert current() is inner

    assert (outer.trace_id, outer.span_id, True) == (inner.trace_id, inner.parent_id, inner.request_id != outer.request_id)
    assert ["inner", "outer"] == [one.name for one in recorded.requests]


@pytest.mark.parametrize(("error", "status"), [(Gone("x"), "error"), (KeyboardInterrupt(), "cancelled")])
def test_what_leaves_a_scope_is_recorded_and_goes_on(recorded, error, status):
    """As with steps."""
    with pytest.raises(type(error)), scope("job"):
        raise error

    assert [status] == [one.status for one in recorded.requests]


def test_tags_reach_the_request_and_all_that_is_in_it(recorded):
    """User, session and free tags; those of later win."""
    with scope("job", plan="free"):
        tag(user="u", session="s", plan="paid", n=1)
        tag(n=2)
        with step("x"):
            pass
    (one,), (request,) = recorded.steps, recorded.requests

    assert ("u", "s", {"plan": "paid", "n": 2}) == (one.scope.user_id, one.scope.session_id, one.scope.tags)
    assert one.scope.tags == request.scope.tags


def test_a_tag_outside_of_any_scope_does_nothing(recorded):
    """There is nothing to tag."""
    tag(user="u", x=1)

    assert (None, []) == (current(), recorded.records)


@pytest.mark.parametrize("way", ["submit", "map", "run_in_executor", "to_thread", "default_executor"])
def test_executor_threads_keep_the_scope(recorded, way):
    """Python carries the context into some of them; we carry our scope into the others."""

    def work(_=None):
        with step("work"):
            return current()

    async def main():
        loop = asyncio.get_running_loop()
        if way == "to_thread":
            return await asyncio.to_thread(work)
        with ThreadPoolExecutor(1) as pool:
            return await loop.run_in_executor(None if way == "default_executor" else pool, work)

    with scope("job") as job:
        if way in {"submit", "map"}:
            with ThreadPoolExecutor(1) as pool:
                seen = pool.submit(work, _=1).result() if way == "submit" else next(pool.map(work, [1]))
        else:
            seen = asyncio.run(main())

        assert job is seen
    assert [job.span_id] == [one.parent_id for one in recorded.steps]


def test_an_executor_thread_forgets_the_scope_after_the_work(recorded):
    """The pool's threads are used again."""
    with ThreadPoolExecutor(1) as pool:
        with scope("job"):
            pool.submit(current).result()

        assert None is pool.submit(current).result()


def test_threads_are_followed_once_and_let_go_again():
    """Installing twice is installing once; what others patched over stays theirs."""
    original = threads._original
    threads.uninstall()
    try:
        assert original is ThreadPoolExecutor.submit
        threads.install()
        threads.install()
        assert threads._submit is ThreadPoolExecutor.submit
        ThreadPoolExecutor.submit = other = lambda *args: None
        threads.uninstall()
        threads.install()
        assert other is ThreadPoolExecutor.submit
    finally:
        ThreadPoolExecutor.submit = original
        threads.install()


def test_plain_threads_are_on_their_own(recorded):
    """A `Thread` belongs to no request, unless it is told."""
    seen = []
    with scope("job"):
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()

    assert [None] == seen


# --- calls told by hand ----------------------------------------------------------------------------------------------


def test_a_told_call_is_a_call_like_any_other(recorded):
    """What was asked, what came back, how long the first piece took, what it cost."""
    with scope("job") as job, record_call("llama", provider="local", input="hi", system="be brief", max_tokens=9) as call:
        call.first_chunk()
        call.first_chunk()
        call.output = "Hello"
        call.response_id, call.response_model, call.finish_reasons = "r-1", "llama-3", ("stop",)
        call.usage(input_tokens=5, output_tokens=7, cache_read=1, cache_write=2, reasoning=3)
        call.usage(output_tokens=8)
    (told,) = recorded.calls

    assert ("chat llama", "ok", "local", 9, job.span_id) == (
        told.name,
        told.status,
        told.provider.name,
        told.request.max_tokens,
        told.parent_id,
    )
    assert (5, 8, 1, 2, 3) == (
        told.usage.input_tokens,
        told.usage.output_tokens,
        told.usage.cache_read.input_tokens,
        told.usage.cache_write.input_tokens,
        told.usage.reasoning.output_tokens,
    )
    assert ((Message(role="user", parts=(Text(content="hi"),)),), 1) == (told.input.messages, told.input.count)
    assert ((Message(role="assistant", parts=(Text(content="Hello"),)),), (Text(content="be brief"),)) == (
        told.output.messages,
        told.system_instructions,
    )
    assert ("r-1", "llama-3", ("stop",)) == (told.response.id, told.response.model, told.response.finish_reasons)
    assert 0 <= told.response.time_to_first_chunk <= told.duration
    assert (1, 5, 8) == (
        recorded.requests[0].calls.count,
        recorded.requests[0].calls.input_tokens,
        recorded.requests[0].calls.output_tokens,
    )


def test_a_told_call_without_a_scope_stands_alone(recorded):
    """Nothing but its model is needed."""
    with record_call("m", provider="p"):
        pass
    (told,) = recorded.calls

    assert (None, None, (), None, None) == (
        told.parent_id,
        told.scope,
        told.input.messages,
        told.input.count,
        told.response.time_to_first_chunk,
    )


@pytest.mark.parametrize(("error", "status"), [(Gone("x"), "error"), (asyncio.CancelledError(), "cancelled")])
def test_what_leaves_a_told_call_is_its_error_and_goes_on(recorded, error, status):
    """And it counts in its request."""
    with scope("job"), pytest.raises(type(error)), record_call("m", provider="p"):
        raise error

    assert [(status, type(error).__qualname__)] == [(call.status, call.error.type) for call in recorded.calls]
    assert int(status == "error") == recorded.requests[0].calls.errors


def test_a_parameter_that_a_record_has_no_field_for_is_refused():
    """With its name, and those there are."""
    with pytest.raises(TypeError, match=r"record_call\(\) knows no parameter 'temprature'; it takes .*temperature") as caught:
        record_call("m", provider="p", temprature=1)

    assert "model" not in str(caught.value).split("it takes ")[1].split(", ")


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (None, []),
        ("hi", [("user", ["hi"])]),
        ({"role": "system", "content": "be brief"}, [("system", ["be brief"])]),
        (["a", {"content": "b"}], [("user", ["a"]), ("user", ["b"])]),
        (("a",), [("user", ["a"])]),
        ({"role": "assistant", "content": None}, [("assistant", [])]),
        ({"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image"}]}, [("user", ["look", {"type": "image"}])]),
        (Message(role="tool", parts=(Text(content="x"),)), [("tool", ["x"])]),
        (42, [("user", [42])]),
        ({"a": 1}, [("user", [{"a": 1}])]),
    ],
)
def test_content_is_what_people_have_at_hand(recorded, content, messages):
    """A text, a chat message, its parts, a list of either; anything else as it is."""
    with record_call("m", provider="p", input=content):
        pass
    (told,) = recorded.calls

    assert messages == [(message.role, [part.content for part in message.parts]) for message in told.input.messages]


@pytest.mark.parametrize(("given", "reasons"), [("stop", ("stop",)), (["stop", "length"], ("stop", "length")), (None, ()), (3, ("3",))])
def test_finish_reasons_are_texts(recorded, given, reasons):
    """One word is one reason, and not its letters."""
    with record_call("m", provider="p") as call:
        call.finish_reasons = given

    assert reasons == recorded.calls[0].response.finish_reasons


def test_numbers_of_an_array_library_are_numbers(recorded):
    """What has an index is a count; what has none is left out, and costs the call nothing else."""

    class Int64:
        def __index__(self):
            return 12

    with scope("job"), record_call("m", provider="p") as call:
        call.usage(input_tokens=Int64(), output_tokens="many")

    assert (12, None) == (recorded.calls[0].usage.input_tokens, recorded.calls[0].usage.output_tokens)
    assert 12 == recorded.requests[0].calls.input_tokens


def test_what_the_application_does_to_its_list_afterwards_is_not_on_record(recorded):
    """The chat goes on while the record waits for the sink."""
    history, answers = ["hi"], ["Hello"]
    with record_call("m", provider="p", input=history) as call:
        call.output = answers
        history.append("Hello")
    answers.append("more")
    (told,) = recorded.calls

    assert (1, 1) == (len(told.input.messages), len(told.output.messages))


def test_told_content_counts_by_its_bytes_and_is_shed():
    """Near the byte bound the prompt goes first, and the record says what is missing."""
    with recording(queue_bytes=65536) as recorded:
        for answer in ("a" * 10, "a" * 70_000):
            with record_call("m", provider="p", input=["p" * 40_000, "p" * 30_000]) as call:
                call.output = answer
            recorded.observer.flush(60)
        small, big = recorded.calls

        assert (2, (), 1, {"input.messages": 70_000}) == (
            small.input.count,
            small.input.messages,
            len(small.output.messages),
            {name: cut.bytes for name, cut in small.truncated.items()},
        )
        assert ({"input.messages": 70_000, "output.messages": 70_000}, ()) == (
            {name: cut.bytes for name, cut in big.truncated.items()},
            big.output.messages,
        )
        assert 2 == recorded.observer.stats().shed


def test_a_list_inside_itself_has_a_weight():
    """No depth is endless."""
    inside = ["text"]
    inside.append(inside)

    assert (4 * 4, 0, 256 + 3, OVERHEAD) == (weight(inside), weight(None), weight({"content": "abc"}), 1024)


def test_a_failed_call_before_a_told_one_is_settled(recorded, make):
    """The fallback to another model shows that no retry will come."""
    from llm_observe._runtime.items import last_attempt

    failed = make.captured(make.exchange(503))
    failed.exchange.ended = recorded.observer.clock.now()
    recorded.observer.hand_over(failed)
    last_attempt.set(failed)
    with record_call("m", provider="p"):
        pass
    recorded.observer.flush(60)

    assert ["error", "ok"] == [call.status for call in recorded.memory.calls]


def test_an_exporters_own_steps_and_calls_are_not_recorded():
    """Else every export would make another record."""
    seen = []

    def export(batch):
        with scope("export") as job, step("write") as one, record_call("m", provider="p") as call:
            one.set(n=len(batch))
            call.first_chunk()
            tag(x=1)
            seen.append(job.name)

    with recording(exporters=[export]) as recorded:
        with step("mine"):
            pass

        assert (["mine"], ["export"]) == ([one.name for one in recorded.records], seen[:1])
        assert recorded.observer.flush(60)
        assert ["mine"] == [one.name for one in recorded.records]


def test_without_an_observer_one_is_made_from_the_environment(monkeypatch, tmp_path):
    """The first step of a script needs no set-up."""
    monkeypatch.setenv("LLM_OBSERVE_EXPORTERS", f"file:{tmp_path}")
    with step("first"):
        pass

    assert llm_observe.flush(60)
    assert "first" in "".join(file.read_text() for file in tmp_path.glob("**/*.jsonl"))
    llm_observe.shutdown()
