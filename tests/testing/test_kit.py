"""`recording()` and what it hands over: the kit for tests, without pytest."""

import asyncio
import threading
from pathlib import Path

import pytest

import llm_observe
from llm_observe import Observer
from llm_observe._runtime.default import existing
from llm_observe.errors import SettingsError
from llm_observe.testing import MemoryExporter, Recorded, recording


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    """A folder of its own and no default observer, so that what is written or left over shows."""
    monkeypatch.chdir(tmp_path)
    llm_observe.shutdown()
    yield tmp_path
    llm_observe.shutdown()


def told(name="a-model"):
    """A call, told by hand."""
    with llm_observe.record_call(name, provider="local", input="Hi") as call:
        call.output = "Hello"


def fail(*_):
    """A processor, or an exporter, that always fails."""
    raise RuntimeError("boom")


# --- what was recorded -----------------------------------------------------------------------------------------------


def test_a_call_is_there_at_once():
    """A look waits until what happened before it has arrived."""
    with recording() as recorded:
        told()

        assert ["a-model"] == [call.request.model for call in recorded.calls]


def test_each_kind_has_its_list():
    """Calls, requests and steps are told apart, and together they are the records in their order."""
    with recording() as recorded:
        with llm_observe.scope("job"), llm_observe.step("retrieve"):
            told()

        assert (["chat a-model"], ["job"], ["retrieve"]) == tuple(
            [record.name for record in records] for records in (recorded.calls, recorded.requests, recorded.steps)
        )
        assert ["chat a-model", "retrieve", "job"] == [record.name for record in recorded.records]


def test_a_list_is_ones_own():
    """What a test does to a list changes nothing for its next look."""
    with recording() as recorded:
        told()
        recorded.records.clear()

        assert 1 == len(recorded.records)


def test_it_forgets_on_demand():
    """After `clear` only what comes later is there, also when the earlier was still on its way."""
    with recording() as recorded:
        told("before")
        recorded.clear()
        told("after")

        assert ["after"] == [call.request.model for call in recorded.calls]


def test_it_can_be_read_afterwards():
    """After the block nothing is lost of what was recorded in it."""
    with recording() as recorded:
        told()

    assert ["a-model"] == [call.request.model for call in recorded.calls]


def test_it_shows_what_it_has():
    """An assertion that fails prints the records' names."""
    with recording() as recorded:
        told()
        recorded.records

        assert "Recorded('chat a-model')" == repr(recorded)


def test_any_observer_can_be_looked_at():
    """`Recorded` works with an observer that a test made itself."""
    memory = MemoryExporter()
    with Observer(exporters=[memory]) as observer:
        recorded = Recorded(observer, memory)
        with llm_observe.scope("job", observer=observer):
            told()

        assert ["job"] == [request.name for request in recorded.requests]


# --- where it records ------------------------------------------------------------------------------------------------


def test_nothing_is_written_to_disk(place):
    """Records stay in memory."""
    with recording() as recorded:
        told()
        assert recorded.calls

    assert [] == list(place.iterdir())


def test_an_app_that_configures_itself_records_here(place):
    """`configure()` in the function that makes the app returns the kit's observer, and replaces nothing."""
    with recording() as recorded:
        assert recorded.observer is llm_observe.configure(service="shop", exporters=["file:./records"])
        told()

        assert ["a-model"] == [call.request.model for call in recorded.calls]
    assert [] == list(place.iterdir())


def test_an_app_that_configures_itself_wrongly_is_told_so():
    """Its settings are checked as they will be in production."""
    with recording(), pytest.raises(SettingsError, match="contnt"):
        llm_observe.configure(contnt="none")


def test_the_default_observer_is_back_afterwards(place):
    """What was configured before records again, and has seen nothing of the test."""
    mine = MemoryExporter()
    before = llm_observe.configure(exporters=[mine])
    with recording():
        told("within")
    told("after")
    llm_observe.flush(60)

    assert before is existing()
    assert ["after"] == [call.request.model for call in mine.calls]


def test_the_default_observer_is_back_after_a_failure():
    """An exception in the block passes through, and the observer of before is back."""
    before = llm_observe.configure(exporters=[MemoryExporter()])
    with pytest.raises(KeyError, match="mine"), recording():
        raise KeyError("mine")

    assert before is existing()


def test_it_leaves_no_thread():
    """The observer of a test ends with it."""
    with recording():
        told()

    assert [] == [thread.name for thread in threading.enumerate() if thread.name == "llm-observe"]


def test_one_may_stand_in_another():
    """The inner one records, then the outer one again."""
    with recording() as outer:
        with recording() as inner:
            told("inner")
        told("outer")

        assert (["inner"], ["outer"]) == tuple([call.request.model for call in recorded.calls] for recorded in (inner, outer))


def test_it_records_where_recording_is_off(monkeypatch):
    """LLM_OBSERVE_ENABLED=0 is for the application's tests that do not ask."""
    monkeypatch.setenv("LLM_OBSERVE_ENABLED", "0")
    with recording() as recorded:
        told()

        assert 1 == len(recorded.calls)


def test_it_takes_settings():
    """Settings are the observer's: content, service and the like can be tested."""
    with recording(content="none", service="shop") as recorded:
        told()
        (call,) = recorded.calls

    assert ("shop", ()) == (call.service, call.output.messages)


def test_it_takes_exporters_beside_its_own():
    """An exporter under test gets what the test sees."""
    mine = MemoryExporter()
    with recording(exporters=[mine]) as recorded:
        told()

        assert recorded.records == mine.records


def test_a_shutdown_of_the_app_does_not_end_it():
    """An application that shuts the default observer down can be started again in the same test."""
    with recording() as recorded:
        told("first")
        llm_observe.shutdown()
        told("second")

        assert ["first", "second"] == [call.request.model for call in recorded.calls]


def test_an_asynchronous_shutdown_does_not_end_it():
    """The same where the application runs in a loop."""
    with recording() as recorded:
        told("first")
        asyncio.run(recorded.observer.adrain(5))
        told("second")

        assert ["first", "second"] == [call.request.model for call in recorded.calls]


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_look_raises_what_failed_in_the_background():
    """A processor of the application that fails fails the test that made it, once."""
    with recording(processors=[fail]) as recorded:
        told()
        with pytest.raises(RuntimeError, match="boom") as caught:
            recorded.records

        assert ["in llm-observe, the processor fail"] == caught.value.__notes__
        assert recorded.records


def test_the_end_raises_what_nobody_looked_at():
    """A test that does not look fails all the same, after the default observer is back."""
    with pytest.raises(RuntimeError, match="boom"), recording(processors=[fail]):
        told()

    assert existing() is None


def test_an_error_in_the_request_is_raised_there(monkeypatch):
    """What fails of ours in the application's own thread is raised in it."""
    with recording() as recorded:
        monkeypatch.setattr(recorded.observer.handover, "put", fail)
        with pytest.raises(RuntimeError, match="boom"):
            told()


def test_it_can_be_as_forgiving_as_in_production():
    """With strict=False failures are counted, and the record is there as far as it can be."""
    with recording(processors=[fail], strict=False) as recorded:
        told()

        assert 1 == len(recorded.calls)
        assert recorded.observer.stats().errors


def test_records_that_do_not_arrive_are_told():
    """Where an exporter hangs, a look ends with the numbers that show where the records are."""
    free = threading.Event()
    try:
        with recording(exporters=[lambda batch: free.wait(30)], timeout=0.1) as recorded:
            told()
            with pytest.raises(TimeoutError, match=r"did not arrive within 0\.1 seconds: Stats\("):
                recorded.records
            free.set()
    finally:
        free.set()


# --- with applications -----------------------------------------------------------------------------------------------


def test_a_fastapi_app_is_seen_through_its_test_client(place):
    """An app made long before the test records into it, as often as it is started."""
    fastapi = pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    from llm_observe.fastapi import LLMObserveMiddleware

    app = fastapi.FastAPI()
    app.add_middleware(LLMObserveMiddleware)

    @app.get("/chat/{user}")
    def chat(user: str) -> str:
        told()
        return user

    with recording() as recorded:
        for user in ("ada", "grace"):
            with TestClient(app) as client:
                client.get(f"/chat/{user}")

        assert ["/chat/ada", "/chat/grace"] == [request.url.path for request in recorded.requests]
        assert [1, 1] == [request.calls.count for request in recorded.requests]
    assert [] == list(place.iterdir())


def test_a_flask_app_is_seen_through_its_test_client(place):
    """An app made long before the test records into it, streamed answers too."""
    flask = pytest.importorskip("flask")
    from llm_observe.flask import LLMObserve

    app = flask.Flask("shop")
    LLMObserve(app)

    @app.get("/chat/<user>")
    def chat(user):
        def words():
            told()
            yield user

        return flask.Response(words())

    with recording() as recorded:
        assert "ada" == app.test_client().get("/chat/ada").text

        assert [("GET /chat/<user>", 1)] == [(request.name, request.calls.count) for request in recorded.requests]
    assert [] == list(place.iterdir())


def test_an_apps_own_observer_is_replaced_by_handing_this_one_over():
    """An app with settings of its own gets the test's observer where it is made."""
    flask = pytest.importorskip("flask")
    from llm_observe.flask import LLMObserve

    with recording(service="shop") as recorded:
        app = flask.Flask("shop")
        LLMObserve(app, observer=recorded.observer)
        app.test_client().get("/nowhere")

        assert ["shop"] == [request.service for request in recorded.requests]
    assert not Path(".llm-observe").exists()
