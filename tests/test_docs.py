"""What can be set, called, counted or installed is documented, and nothing that is documented is not there."""

import argparse
import importlib
import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

import llm_observe
from llm_observe import Observer, Settings, cli, errors, exporters, records
from llm_observe.settings import PREFIX, PYTHON_ONLY

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "llm_observe"
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def page(name: str) -> str:
    """The text of a page."""
    return (DOCS / f"{name}.md").read_text()


def headings(text: str) -> dict[str, str]:
    """The headings of *text* that are code (``## `name` ``), with what stands below them."""
    pieces = re.split(r"^#{2,3} (.+)$", text, flags=re.MULTILINE)[1:]
    return {title.strip("`"): body for title, body in zip(pieces[::2], pieces[1::2], strict=True) if title.startswith("`")}


def rows(text: str) -> set[str]:
    """What the tables of *text* explain: the code words of their first columns."""
    return {word for row in re.findall(r"^\| (`.+?) \|", text, flags=re.MULTILINE) for word in re.findall(r"`([^`]+)`", row)}


def shown(value: Any) -> str:
    """A default as the page of settings writes it."""
    if value is None or value in ((), {}, ""):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of *language* on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_every_setting_has_a_heading():
    """docs/settings.md documents all settings and no others, in their order."""
    assert list(Settings.__struct_fields__) == list(headings(page("settings")))


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_a_setting_is_told_with_its_default_and_its_variable(name):
    """The reader learns what holds without it, and how to set it from outside."""
    told = headings(page("settings"))[name]
    default = re.escape(shown(getattr(Settings(), name)))

    assert re.search(rf"^Default: {default}( \([\d.]+ \w+\))?\. ", told, flags=re.MULTILINE), told
    assert ("In Python only." if name in PYTHON_ONLY else f"Environment: `{PREFIX}{name.upper()}`.") in told


def test_no_page_names_a_variable_that_does_not_exist():
    """Every LLM_OBSERVE_* on a page is a setting's, but for the one that shows the error."""
    named = {name for path in PAGES for name in re.findall(rf"\b{PREFIX}([A-Z_]+)\b", path.read_text())}

    assert {"CONTNET"} == named - {name.upper() for name in Settings.__struct_fields__}


def test_every_exporter_has_a_heading():
    """docs/exporters.md has a heading for each exporter, by its short name, and no others."""
    known = {exporters.named(getattr(exporters, name)) for name in exporters.__all__ if name.endswith("Exporter")}

    assert known == set(headings(page("exporters")))


def test_every_name_of_the_front_door_has_a_heading():
    """docs/by-hand.md explains each name of the root, and no others."""
    assert set(llm_observe.__all__) == set(headings(page("by-hand")))


def test_every_extra_has_a_heading():
    """docs/install.md explains each extra of the metadata, and no others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert set(project["optional-dependencies"]) == set(headings(page("install")))


def test_every_command_has_a_heading():
    """docs/command-line.md explains each command, and no others."""
    assert {f"llm-observe {name}" for name in cli.COMMANDS} == set(headings(page("command-line")))


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_is_told_with_its_options(name, capsys):
    """Every option and argument of a command stands in its section, and no others do; `--help` works."""
    module = importlib.import_module(f"llm_observe.cli.{name}")
    parser = argparse.ArgumentParser(add_help=False)
    module.add_arguments(parser)
    known = {word for action in parser._actions for word in action.option_strings or [action.metavar]}
    told = {re.split("[ =]", word)[0] for word in rows(headings(page("command-line"))[f"llm-observe {name}"])}

    assert known == told
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    assert f"llm-observe {name}" in capsys.readouterr().out


def test_no_page_runs_a_command_that_does_not_exist():
    """Every `llm-observe X` on a page is a command."""
    pages = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    named = {word for path in pages for word in re.findall(r"(?:^\$ |`|&& )llm-observe ([a-z]+)", path.read_text(), flags=re.MULTILINE)}

    assert set(cli.COMMANDS) == named


def test_every_reason_for_a_loss_is_told():
    """docs/limits.md explains each reason that a record may be dropped for, and no others."""
    with Observer(exporters=[]) as observer:
        counted = {*observer.handover.dropped, *observer.sink.lost, *observer.outlet.lost}
    files = [SRC / "errors.py", *SRC.glob("_runtime/*.py"), *SRC.glob("exporters/*.py")]
    source = "\n".join(path.read_text() for path in files)
    given = set(re.findall(r"""(?:give_up\(|reason(?:: str)? ?= ?)"([a-z_0-9]+)\"""", source))
    table = page("limits").partition("`dropped` counts by reason")[2].partition("\n## ")[0]

    assert counted | given == rows(table)


def test_every_promise_names_tests_that_there_are():
    """docs/reliability.md: fifteen promises, each held by tests, and none of them has been renamed or taken away."""
    told = page("reliability").partition("## Fifteen promises")[2].partition("\n## ")[0]
    promises = re.findall(r"^\| (\d+) \| .+ \| (.+) \|$", told, flags=re.MULTILINE)
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", told)
    missing = [
        name
        for path, name in named
        if not re.search(rf"^(?:async def |def |class |){name or ''}\b", (ROOT / path).read_text(), flags=re.MULTILINE)
    ]

    assert [str(number) for number in range(1, 16)] == [number for number, tests in promises if "`tests/" in tests]
    assert [] == missing


def test_every_field_of_a_record_is_told():
    """docs/records.md names every field of the three kinds of records."""
    fields = {field.encode_name for kind in (records.Call, records.Request, records.Step) for field in msgspec.structs.fields(kind)}
    wanted = {field.encode_name for field in msgspec.structs.fields(records.CallRequest)}
    text = page("records")

    assert set() == fields - rows(text)
    assert set() == {name for name in wanted if f"`{name}`" not in headings(text)["request"]}


def test_every_part_of_a_message_is_told():
    """docs/records.md names every type a part of a message can have."""
    types = {part.__struct_config__.tag for part in records.Part.__subclasses__()}
    section = page("records").partition("### Parts of a message")[2].partition("\n## ")[0]

    assert set() == {name for name in types if f"`{name}`" not in section}


def test_every_error_is_told():
    """docs/by-hand.md names every error that is raised on purpose."""
    known = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, errors.ObserveError)}
    section = page("by-hand").partition("## Errors")[2]

    assert set() == {name for name in known if f"`{name}`" not in section}


def test_the_kit_for_tests_is_told():
    """docs/testing.md names every fixture and every public name of the kit."""
    from llm_observe import testing
    from llm_observe.testing import pytest_plugin

    fixtures = {name for name, value in vars(pytest_plugin).items() if type(value).__name__ == "FixtureFunctionDefinition"}
    text = page("testing")

    assert {"llm_provider", "llm_records"} == {name for name in headings(text) if name.startswith("llm_")}
    assert fixtures <= {"llm_provider", "llm_records"}  # what pytest calls its fixtures differs from version to version
    assert set() == {name for name in set(testing.__all__) - {"Recorded"} if name not in headings(text)}


@pytest.mark.parametrize("number", range(2))
def test_the_example_records_are_records(number):
    """The JSON on the page is what its record is written as: no field too many, and none misspelt."""
    text = blocks(DOCS / "records.md", "json")[number]
    record = msgspec.json.decode(text, type=records.AnyRecord)

    assert msgspec.json.decode(text) == msgspec.json.decode(msgspec.json.encode(record))


def test_links_of_the_readme_lead_somewhere():
    """The files that README and CONTRIBUTING link to are there, and so are the headings. Those of the docs are mkdocs' business."""
    lost = []
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            if "://" not in target and not (ROOT / target).is_file():
                lost.append(target)

    assert [] == lost


def test_the_readme_fits_a_screen():
    """README says what it is and how to try it; the rest is in docs."""
    assert 60 >= len((ROOT / "README.md").read_text().splitlines())


def test_the_gates_command_is_the_readmes():
    """CI runs what the README tells the reader to run."""
    gate = (ROOT / ".ci" / "run").read_text()
    (command,) = [line.removeprefix("$ ") for text in blocks(ROOT / "README.md", "console") for line in text.splitlines() if "nox" in line]

    assert "pip install 'nox[uv]' && nox" == command
    assert "pip install --quiet 'nox[uv]'\nnox\n" in gate
