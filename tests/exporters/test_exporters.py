"""Exporters by name: from a URL, by default, and for the numbers."""

import functools
import re
import subprocess
import sys

import pytest

import llm_observe.exporters as exporters
from llm_observe.errors import SettingsError
from llm_observe.exporters import defaults, from_url, named
from llm_observe.exporters.file import FileExporter
from llm_observe.exporters.http import HttpExporter
from llm_observe.exporters.memory import MemoryExporter
from llm_observe.exporters.stdout import StdoutExporter
from llm_observe.settings import Settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Relative directories are under the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "format"), [("stdout", "json"), ("stdout:", "json"), ("stdout:json", "json"), ("STDOUT:line", "line"), (" stdout ", "json")]
)
def test_stdout_and_its_formats_can_be_named(text, format):
    """Without a format it depends on whether there is a terminal."""
    exporter = from_url(text)

    assert (StdoutExporter, format) == (type(exporter), exporter.format)


@pytest.mark.parametrize(
    ("text", "directory"),
    [
        ("file", ".llm-observe"),
        ("file:", ".llm-observe"),
        ("file:./r", "r"),
        ("file:r/s", "r/s"),
        ("file:/abs", "/abs"),
        ("file:///abs", "/abs"),
    ],
)
def test_a_directory_can_be_named(tmp_path, text, directory):
    """Relative, absolute, as a URL, or not at all."""
    exporter = from_url(text)

    assert (FileExporter, tmp_path / directory) == (type(exporter), exporter.directory)


def test_what_a_url_leaves_open_is_taken_from_the_settings(tmp_path):
    """The directory and the sizes."""
    exporter = from_url("file", Settings(directory="s", file_max_bytes=5000, file_total_bytes=50_000))

    assert (tmp_path / "s", 5000, 50_000) == (exporter.directory, exporter.max_bytes, exporter.total_bytes)


def test_sizes_of_a_url_go_before_those_of_the_settings(tmp_path):
    """The nearer word counts."""
    exporter = from_url("file:./r?max_bytes=6000&total_bytes=60000", Settings(file_max_bytes=5000))

    assert (tmp_path / "r", 6000, 60_000) == (exporter.directory, exporter.max_bytes, exporter.total_bytes)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_can_be_named(scheme):
    """With its query, which is the receiver's."""
    exporter = from_url(f"{scheme}://host/x?max_bytes=1")

    assert (HttpExporter, f"{scheme}://host/x") == (type(exporter), exporter.url)


def test_headers_come_from_the_settings_and_from_the_caller():
    """Both are sent."""
    shown = repr(from_url("https://host/", Settings(http_headers={"x-one": "1"}), headers={"x-two": "2"}))

    assert "'x-one', 'x-two'" in shown


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("otlp+grpc://collector:4317", "unknown exporter 'otlp+grpc'. Expected `stdout`"),
        ("stdou", "unknown exporter 'stdou'. Did you mean 'stdout'?"),
        ("files:./r", "unknown exporter 'files'. Did you mean 'file'?"),
        ("", "unknown exporter ''. Expected"),
        ("stdout:xml", "'stdout:xml': expected `stdout`, `stdout:json` or `stdout:line`"),
        ("file:./r?maxbytes=5", "there is no option 'maxbytes'. Options are: max_bytes, total_bytes"),
        ("file:./r?max_bytes=5MB", "max_bytes='5MB': expected a number of bytes"),
        ("file:./r?max_bytes=0", "max_bytes='0': expected a number of bytes"),
    ],
)
def test_a_name_that_makes_no_sense_is_refused_with_what_was_expected(text, says):
    """At start-up, so that it can be put right."""
    with pytest.raises(SettingsError, match=re.escape(says)):
        from_url(text)


def test_with_nothing_configured_records_go_to_files(tmp_path):
    """Into the directory of the settings."""
    [exporter] = defaults(Settings(directory="s", file_max_bytes=5000))

    assert (tmp_path / "s", 5000) == (exporter.directory, exporter.max_bytes)


def test_with_nothing_configured_a_terminal_sees_a_line_a_call(make, send, monkeypatch, capsys):
    """Of requests and steps it hears elsewhere."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")

    _, exporter = defaults(Settings())
    send(exporter, make.batch(make.step(), make.call(), make.request()))

    assert 1 == len(capsys.readouterr().out.splitlines())


def test_without_any_stdout_there_is_no_terminal(monkeypatch):
    """A daemon, a window application."""
    monkeypatch.setattr(sys, "stdout", None)

    assert 1 == len(defaults(Settings()))


def export_to_kafka(batch):
    """A function as an exporter."""


class Warehouse:
    """A class as an exporter."""

    def send(self, batch):
        """A method as an exporter."""


@pytest.mark.parametrize(
    ("exporter", "name"),
    [
        (FileExporter("r"), "file"),
        (StdoutExporter(), "stdout"),
        (HttpExporter("http://host/"), "http"),
        (MemoryExporter(), "memory"),
        (export_to_kafka, "export_to_kafka"),
        (functools.partial(export_to_kafka), "export_to_kafka"),
        (Warehouse(), "warehouse"),
        (Warehouse().send, "send"),
        (lambda batch: None, "lambda"),
        (type("Exporter", (), {})(), "exporter"),
    ],
)
def test_every_exporter_has_a_short_name(exporter, name):
    """For the numbers: ours, a class, a function, whatever exports."""
    assert name == named(exporter)


def test_all_that_is_listed_can_be_imported():
    """From the package itself."""
    assert [] == [name for name in exporters.__all__ if getattr(exporters, name, None) is None]


def test_what_does_not_exist_is_said_as_usual():
    """As of any module."""
    with pytest.raises(AttributeError, match=r"llm_observe.exporters. has no attribute .KafkaExporter."):
        exporters.KafkaExporter


def test_naming_an_exporter_loads_no_other():
    """A file needs neither structlog nor an HTTP client."""
    code = "import sys; from llm_observe.exporters import from_url; from_url('file'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert set() == {"structlog", "httpx2"} & set(loaded)
