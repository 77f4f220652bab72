"""`llm-observe doctor`: what it finds, what it makes of it, and that it leaves nothing behind."""

import os
import socket
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import httpx
import pytest

import llm_observe
from llm_observe import capture
from llm_observe.cli import doctor, main
from llm_observe.settings import PYTHON_ONLY
from llm_observe.testing.provider import FakeProvider


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    """A folder of its own, with no proxy and no default observer; what is imported there is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    before = set(sys.modules)
    llm_observe.shutdown()
    yield tmp_path
    llm_observe.shutdown()
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def report(capsys):
    """Run the doctor: its exit code, and what it printed."""

    def run(*arguments):
        code = main(["doctor", *arguments])
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def refusal(capsys):
    """Run the doctor where it cannot: the one line it says, and nothing on stdout."""

    def run(*arguments):
        assert 2 == main(["doctor", *arguments])
        said = capsys.readouterr()
        assert "" == said.out
        (line,) = said.err.splitlines()
        return line

    return run


def finding(said, beginning):
    """The one line that begins with these words, after its sign."""
    (line,) = [line for line in said.splitlines() if line[2:].startswith(beginning)]
    return line


# --- as a whole ------------------------------------------------------------------------------------------------------


def test_all_is_well(report):
    """Where nothing is wrong it says so, and the exit code is 0."""
    code, said = report()

    assert (0, "All is well.") == (code, said.splitlines()[-1])
    assert "PROBLEM" not in said


def test_it_leaves_nothing_behind(report, place):
    """It makes no directory and writes no record."""
    report()

    assert [] == list(place.iterdir())


def test_it_tells_its_topics_in_the_order_of_the_data(report):
    """Environment, hooks, settings, exporters, others: each once."""
    _, said = report()

    assert ["environment", "hooks", "settings", "exporters", "other instrumentation"] == [
        line for line in said.splitlines()[:-1] if line and not line.startswith(" ")
    ]


def test_problems_are_counted(report, monkeypatch):
    """The last line says how many things need attention."""
    Path("file").touch()
    monkeypatch.setenv("LLM_OBSERVE_DIRECTORY", "file/below")

    assert "1 problem needs your attention: see above." == report()[1].splitlines()[-1]
    monkeypatch.setenv("LLM_OBSERVE_ENABLED", "0")
    assert "2 problems need your attention: see above." == report()[1].splitlines()[-1]


def test_signs_are_coloured_on_a_terminal(report, monkeypatch):
    """On a terminal a sign has its colour, and NO_COLOR is honoured."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    assert "\x1b[32mok     \x1b[0m Python" in report()[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in report()[1]


def test_packages_are_named_with_their_versions(report, monkeypatch):
    """Frameworks and SDKs are listed, also those that are not there."""
    monkeypatch.setattr(doctor, "SDKS", ("openai", "no-such-sdk"))
    _, said = report()

    assert finding(said, "ok      openai ")
    assert finding(said, "note    no-such-sdk is not installed")


def test_a_free_threaded_build_is_noted(report, monkeypatch):
    """Python without the GIL gets a word of caution."""
    real = sysconfig.get_config_var
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: 1 if name == "Py_GIL_DISABLED" else real(name))

    assert finding(report()[1], "note    a free-threaded build")


# --- hooks -----------------------------------------------------------------------------------------------------------


THROUGH = {
    "httpx": "Client and AsyncClient",
    "httpx2": "Client and AsyncClient",
    "aiohttp": "ClientSession",
    "requests": "Session",
    "botocore": "URLLib3Session",
}


@pytest.mark.parametrize("library", THROUGH)
def test_a_hook_that_holds_is_shown_by_a_call(report, library):
    """Each client library is tried with a made-up call, blocking and not."""
    pytest.importorskip(library)
    _, said = report()

    assert finding(said, f"ok      {library} ").endswith(f"self-test calls through {THROUGH[library]} were seen")


@pytest.mark.parametrize(
    ("module", "owner"), [("aiohttp", "ClientSession"), ("requests", "Session"), ("botocore.httpsession", "URLLib3Session")]
)
def test_a_hook_of_any_library_that_is_gone_is_a_problem(report, monkeypatch, module, owner):
    """The call arrives, and leaves no record."""
    pytest.importorskip(module)
    capture.install()
    client = getattr(sys.modules[module], owner)
    method = "_request" if module == "aiohttp" else "send"
    monkeypatch.setattr(client, method, getattr(client, method).__wrapped__)
    code, said = report()

    assert 1 == code
    assert finding(said, f"PROBLEM {module.partition('.')[0]}: ").endswith(f"a self-test call through {owner} left no record")


def test_the_self_test_needs_no_proxy_of_the_machine_s(report, monkeypatch):
    """It goes to this machine, whatever the environment says."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert 0 == report()[0]


def test_a_library_that_is_not_there_is_noted(report, monkeypatch):
    """A client library that cannot be imported is no problem."""
    monkeypatch.setitem(sys.modules, "httpx", None)
    code, said = report()

    assert 0 == code
    assert finding(said, "note    httpx is not installed")


def test_recording_that_is_off_is_a_problem(report, monkeypatch):
    """With enabled=0 nothing is recorded, and it says who said so."""
    monkeypatch.setenv("LLM_OBSERVE_ENABLED", "0")
    code, said = report()

    assert 1 == code
    assert finding(said, "PROBLEM recording is off").endswith("set by environment LLM_OBSERVE_ENABLED")


def test_a_patch_that_swallows_calls_is_a_problem(report, monkeypatch):
    """Somebody who answers in our place is found by the call that leaves no record, and named."""
    capture.install()
    monkeypatch.setattr(httpx.Client, "send", lambda self, request, **_: httpx.Response(200, request=request))
    code, said = report()

    assert 1 == code
    line = finding(said, "PROBLEM httpx: a self-test call through Client left no record")
    assert f"; {__name__} stands before it" in line


def test_a_hook_that_is_gone_is_a_problem(report, monkeypatch):
    """Where the library's own method is back in place there is nobody to name."""
    capture.install()
    for client in (httpx.Client, httpx.AsyncClient):
        monkeypatch.setattr(client, "send", client.send.__wrapped__)
    code, said = report()

    assert 1 == code
    assert finding(said, "PROBLEM httpx:").endswith("a self-test call through Client and AsyncClient left no record")


def test_a_patch_that_raises_is_a_problem(report, monkeypatch):
    """What another patch raises is shown, with whose it is."""
    capture.install()

    def broken(self, request, **_):
        raise RuntimeError("boom")

    monkeypatch.setattr(httpx.Client, "send", broken)
    code, said = report()

    assert 1 == code
    assert finding(said, "PROBLEM httpx:").endswith(f"the self-test failed: RuntimeError: boom (patched by {__name__})")


def test_an_error_of_the_library_itself_is_a_problem(report, monkeypatch):
    """Where nobody patched anything, the failure stands alone."""
    monkeypatch.setattr(httpx, "MockTransport", None)

    assert finding(report()[1], "PROBLEM httpx: the self-test failed: TypeError").endswith("not callable")


def test_a_patch_that_passes_calls_on_is_noted(report, monkeypatch):
    """Somebody else in the chain is worth a word, and no more."""
    capture.install()
    ours = httpx.Client.send

    def polite(self, request, **options):
        return ours(self, request, **options)

    polite.__wrapped__ = ours
    monkeypatch.setattr(httpx.Client, "send", polite)
    code, said = report()

    assert 0 == code
    assert finding(said, f"note    httpx: {__name__} patches the same methods")


def test_a_patch_that_is_no_function_is_named_by_its_class(report, monkeypatch):
    """Wrapping objects, as instrumentation likes them, are seen too, and a chain in a circle ends."""

    class Wrapping:
        def __init__(self, inner):
            self.inner, self.__wrapped__ = inner, self

        def __get__(self, client, kind):
            return self if client is None else self.inner.__get__(client, kind)

    capture.install()
    monkeypatch.setattr(httpx.Client, "send", Wrapping(httpx.Client.send))

    assert finding(report()[1], f"note    httpx: {__name__} patches the same methods")


# --- settings --------------------------------------------------------------------------------------------------------


def test_settings_tell_where_they_come_from(report, monkeypatch):
    """Each setting is shown with its value and its source."""
    monkeypatch.setenv("LLM_OBSERVE_CONTENT", "metadata")
    _, said = report()
    lines = {line.split()[0]: line.split(" = ")[1] for line in said.splitlines() if " = " in line}

    assert ["metadata", "(environment LLM_OBSERVE_CONTENT)"] == lines["content"].split(maxsplit=1)
    assert ["1.0", "(default)"] == lines["batch_age"].split()
    assert set(llm_observe.Settings.__struct_fields__) - PYTHON_ONLY == set(lines)


def test_secrets_are_not_shown(report, monkeypatch):
    """The values of headers and what follows the question mark of an address stay out of the report."""
    monkeypatch.setenv("LLM_OBSERVE_HTTP_HEADERS", "authorization=Bearer s3cret")
    monkeypatch.setenv("LLM_OBSERVE_EXPORTERS", "file:records,http://127.0.0.1:1/in?key=s3cret")
    _, said = report()

    assert "authorization=..." in said
    assert "= file:records, http://127.0.0.1:1/in (environment LLM_OBSERVE_EXPORTERS)" in said
    assert "s3cret" not in said


def test_a_setting_that_does_not_exist_is_one_line(refusal, monkeypatch):
    """A misspelled variable is all that is said, with the right one, and the exit code is 2."""
    monkeypatch.setenv("LLM_OBSERVE_DIRECTRY", "x")

    assert "Did you mean LLM_OBSERVE_DIRECTORY?" in refusal()


# --- exporters -------------------------------------------------------------------------------------------------------


def test_a_directory_that_is_not_there_yet_is_fine(report, place):
    """It says where records will be, how much room there is, and that the directory comes with the first."""
    line = finding(report()[1], "ok      file: ")

    assert f"{place}/.llm-observe can be written to (" in line
    assert line.endswith(" GiB free, made with the first record)")


def test_a_directory_that_is_there_is_fine(report, place):
    """An existing directory is one that records can be added to."""
    Path(".llm-observe").mkdir()

    assert finding(report()[1], "ok      file: ").endswith(" GiB free)")


def test_a_directory_below_a_file_is_a_problem(report, place, monkeypatch):
    """Where no directory can be made, what stands in the way is named."""
    Path("file").touch()
    monkeypatch.setenv("LLM_OBSERVE_DIRECTORY", "file/below")
    code, said = report()

    assert 1 == code
    assert f"{place}/file is not a directory" in finding(said, "PROBLEM file: ")


def test_a_file_in_place_of_the_directory_is_one_line(refusal, monkeypatch):
    """No observer can be made with it, so there is nothing to look at."""
    Path("file").touch()
    monkeypatch.setenv("LLM_OBSERVE_DIRECTORY", "file")

    assert "that is not a directory" in refusal()


def test_a_directory_without_permission_is_a_problem(report, place, monkeypatch):
    """A directory that this user may not write to is named."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    code, said = report()

    assert 1 == code
    assert f"{place} cannot be written to" in finding(said, "PROBLEM file: ")


def test_no_exporter_is_a_problem(report):
    """Records that go nowhere are not what anybody wants."""
    Path("shop.py").write_text(FASTAPI + "app.add_middleware(LLMObserveMiddleware, exporters=[])")
    code, said = report("--app", "shop:app")

    assert 1 == code
    assert finding(said, "PROBLEM none: nothing that is recorded goes anywhere")


def test_an_http_exporter_that_is_reachable_is_fine(report, monkeypatch):
    """A connection is opened to its host, and nothing is sent."""
    with FakeProvider() as provider:
        monkeypatch.setenv("LLM_OBSERVE_EXPORTERS", f"{provider.url}/records")
        code, said = report()

        assert 0 == code
        assert finding(said, "ok      http: 127.0.0.1:").endswith("accepts connections")
        assert [] == provider.requests


def test_an_http_exporter_that_is_not_reachable_is_a_problem(report, monkeypatch):
    """A host that refuses is named, with what becomes of the records."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("LLM_OBSERVE_EXPORTERS", f"http://127.0.0.1:{port}/records")
    code, said = report()

    assert 1 == code
    assert finding(said, f"PROBLEM http: 127.0.0.1:{port} cannot be reached (").endswith("records wait, then are dropped and counted")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_behind_a_proxy_the_proxy_is_tried(report, monkeypatch, variable):
    """Where the environment names a proxy, the exporter speaks to that, and so does the doctor."""
    with FakeProvider() as provider:
        monkeypatch.setenv(variable.lower(), provider.url)
        monkeypatch.setenv("LLM_OBSERVE_EXPORTERS", "http://collector.invalid/records")

        assert finding(report()[1], "ok      http: 127.0.0.1:").endswith(", the proxy, accepts connections")


def test_a_host_without_a_port_has_its_schemes(report, monkeypatch):
    """Where no port is named it is 443 for https, and 80 else."""
    tried = []

    def refuse(address, timeout):
        tried.append(address)
        raise OSError("no")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setenv("LLM_OBSERVE_EXPORTERS", "https://a.invalid/x,http://b.invalid/x")
    report()

    assert [("a.invalid", 443), ("b.invalid", 80)] == tried


# --- other instrumentation -------------------------------------------------------------------------------------------


@pytest.fixture
def another(place, monkeypatch):
    """A distribution on the path that records the same calls."""
    info = place / "other" / "logfire-9.9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: logfire\nVersion: 9.9.9\n")
    monkeypatch.syspath_prepend(str(place / "other"))


def test_other_instrumentation_is_noted(report, another):
    """What is installed and would see the same calls is named, and is no problem."""
    code, said = report()

    assert 0 == code
    assert finding(said, "note    logfire 9.9.9 is installed, not loaded")


def test_other_instrumentation_that_is_loaded_is_said_to_be(report, another, monkeypatch):
    """Loaded, it records the same calls in its own place."""
    monkeypatch.setitem(sys.modules, "logfire", ModuleType("logfire"))

    assert finding(report()[1], "note    logfire 9.9.9 is loaded: it records the same calls")


def test_no_other_instrumentation_is_fine(report, monkeypatch):
    """Where there is none it says so."""
    monkeypatch.setattr(doctor, "OTHERS", {})

    assert finding(report()[1], "ok      none that would count a call twice")


# --- an app ----------------------------------------------------------------------------------------------------------

FASTAPI = "from fastapi import FastAPI\nfrom llm_observe.fastapi import LLMObserveMiddleware\napp = FastAPI()\n"
FLASK = "from flask import Flask\nfrom llm_observe.flask import LLMObserve\napp = Flask('shop')\n"
OBSERVER = "from llm_observe import Observer\ndef sold(batch): ...\nmine = Observer(service='shop', exporters=[sold])\n"

OBSERVED = {
    "FastAPI with settings": FASTAPI + "def sold(batch): ...\napp.add_middleware(LLMObserveMiddleware, service='shop', exporters=[sold])",
    "FastAPI with an observer": FASTAPI + OBSERVER + "app.add_middleware(LLMObserveMiddleware, observer=mine)",
    "FastAPI with another middleware": FASTAPI
    + OBSERVER
    + "from starlette.middleware.gzip import GZipMiddleware\n"
    + "app.add_middleware(LLMObserveMiddleware, observer=mine)\napp.add_middleware(GZipMiddleware)",
    "FastAPI with the configured observer": FASTAPI
    + "import llm_observe\ndef sold(batch): ...\nllm_observe.configure(service='shop', exporters=[sold])\n"
    + "app.add_middleware(LLMObserveMiddleware)",
    "Flask with settings": FLASK + "def sold(batch): ...\nLLMObserve(app, service='shop', exporters=[sold])",
    "Flask with an observer": FLASK + OBSERVER + "LLMObserve(app, observer=mine)",
    "plain ASGI": OBSERVER
    + "from llm_observe.asgi import LLMObserveMiddleware\nasync def plain(scope, receive, send): ...\n"
    + "app = LLMObserveMiddleware(plain, observer=mine)",
}


@pytest.mark.parametrize("source", OBSERVED.values(), ids=list(OBSERVED))
def test_an_apps_own_observer_is_looked_at(report, source):
    """With --app the settings and exporters shown are those the app records with."""
    Path("shop.py").write_text(source)
    code, said = report("--app", "shop:app")

    assert 0 == code
    assert finding(said, "ok      shop:app is observed")
    assert "service           = shop " in said
    assert "exporters         = sold " in said
    assert finding(said, "ok      sold: shop.sold")


def test_an_app_with_nothing_set_has_the_defaults(report):
    """One line in the app and nothing more: the default observer is shown, and nothing is written."""
    Path("shop.py").write_text(FASTAPI + "app.add_middleware(LLMObserveMiddleware)")
    code, said = report("--app", "shop:app")

    assert 0 == code
    assert finding(said, "ok      file: ")
    assert not Path(".llm-observe").exists()


@pytest.mark.parametrize(
    ("source", "line"), [(FASTAPI, "app.add_middleware(LLMObserveMiddleware)"), (FLASK, "LLMObserve(app)")], ids=["FastAPI", "Flask"]
)
def test_an_app_that_is_not_observed_is_a_problem(report, source, line):
    """The line that is missing is told."""
    Path("shop.py").write_text(source)
    code, said = report("--app", "shop:app")

    assert 1 == code
    assert finding(said, "PROBLEM shop:app is not observed; ").endswith(f"add {line}")


@pytest.mark.parametrize("name", ["app", "application"])
def test_an_app_of_a_usual_name_need_not_be_named(report, name):
    """Of a module the application is found where servers look for it."""
    Path("shop.py").write_text(FLASK + f"LLMObserve(app)\n{name} = app")

    assert finding(report("--app", "shop")[1], "ok      shop is observed")


def test_a_module_without_an_app_is_noted(report):
    """A script that configures has no requests to be recorded; its observer is shown all the same."""
    Path("shop.py").write_text("import llm_observe\nllm_observe.configure(service='shop', exporters=['stdout'])")
    code, said = report("--app", "shop")

    assert 0 == code
    assert finding(said, "note    shop is a module: ")
    assert "service           = shop " in said
    assert finding(said, "ok      stdout: llm_observe.exporters.stdout.StdoutExporter")


def test_an_app_of_an_unknown_kind_is_noted(report):
    """What is no app that we know may be observed or not."""
    Path("shop.py").write_text("class Shop:\n    app = object()")

    assert finding(report("--app", "shop:Shop.app")[1], "note    shop:Shop.app is of type object: ")


def test_what_an_app_instruments_is_seen(report, another):
    """The import comes first, so that what it loads counts as loaded."""
    Path("other", "logfire.py").write_text("")
    Path("shop.py").write_text("import logfire\n" + FLASK + "LLMObserve(app)")

    assert finding(report("--app", "shop:app")[1], "note    logfire 9.9.9 is loaded")


@pytest.mark.parametrize(
    ("source", "name", "why"),
    [
        ("", "shop:app", "AttributeError: module 'shop' has no attribute 'app'"),
        ("1 / 0", "shop:app", "ZeroDivisionError: division by zero"),
        ("raise SystemExit('no licence')", "shop:app", "SystemExit: no licence"),
        ("", "shelf:app", "ModuleNotFoundError: No module named 'shelf'"),
        ("", ":app", "ValueError: Empty module name"),
        (FASTAPI + "app.add_middleware(LLMObserveMiddleware, contnt='full')", "shop:app", "Did you mean content?"),
        (FLASK + "LLMObserve(app, contnt='full')", "shop:app", "Did you mean content?"),
    ],
)
def test_an_app_that_cannot_be_imported_is_one_line(refusal, source, name, why):
    """What the import raises is told in one line, and the exit code is 2."""
    Path("shop.py").write_text(source)

    assert why in refusal("--app", name)
