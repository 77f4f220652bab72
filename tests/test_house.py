"""How the house is built, checked: length, front door, imports, sentences. The floors themselves are import-linter's."""

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import llm_observe

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "llm_observe"
BARE = "NO_EXTRAS" in os.environ  # set by the nox session that installs no extra

# What an import of the root must not bring along, whatever is installed.
NEIGHBOURS = {
    "anthropic",
    "fastapi",
    "flask",
    "httpx",
    "httpx2",
    "openai",
    "opentelemetry",
    "re2",
    "requests",
    "rich",
    "starlette",
    "structlog",
    "uvicorn",
    "werkzeug",
}

# An edge module, the package it stands on, and the extra that brings it.
EDGES = [
    ("llm_observe.starlette", "starlette", "starlette"),
    ("llm_observe.fastapi", "fastapi", "fastapi"),
    ("llm_observe.flask", "flask", "flask"),
    ("llm_observe.exporters.otel", "opentelemetry", "otel"),
]

# The files that may spell `gen_ai.` outside of a docstring.
CONVENTION = {
    "_runtime/around.py",  # by which the spans of others are known for calls
    "exporters/_attributes.py",
    "processors/instruments.py",  # metrics are named apart from the fields they are made of
    "processors/measures.py",
}


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(SRC.rglob("*.py"))


def run(code: str, **env: str) -> str:
    """What *code* prints in a Python of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **env}, timeout=60)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def constants(tree: ast.AST) -> Iterator[str]:
    """The string literals of *tree* that are no docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings.add(id(node.value))  # the sentence below an attribute
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def silent(path: Path) -> Iterator[str]:
    """What of the module *path* is public and says nothing. A method may rely on the words of its class, or of the one it overrides."""
    name = ".".join(path.relative_to(SRC.parent).with_suffix("").parts).removesuffix(".__init__")
    try:
        module = importlib.import_module(name)
    except ImportError:  # a neighbour's lowest version may lack what a part of ours needs; with the latest one there is no such part
        if "OLDEST" not in os.environ:
            raise
        return
    if not module.__doc__:
        yield name
    for owner, thing, value in [(name, *item) for item in vars(module).items() if getattr(item[1], "__module__", None) == name]:
        if thing.startswith("_") or not (inspect.isroutine(value) or inspect.isclass(value)):
            continue
        if not value.__doc__:
            yield f"{owner}.{thing}"
        for part, method in vars(value).items() if inspect.isclass(value) else ():
            known = part.startswith("_") or not (inspect.isroutine(method) or isinstance(method, property))
            known = known or f"``{part}``" in value.__doc__
            if not known and not inspect.getdoc(getattr(value, part)):
                yield f"{owner}.{thing}.{part}"


def test_no_module_outgrows_one_sitting():
    """A module past 400 lines is two modules: split it before merging."""
    sizes = {str(path.relative_to(SRC)): len(path.read_text().splitlines()) for path in modules()}

    assert {} == {name: lines for name, lines in sizes.items() if lines > 400}


def test_what_is_made_for_each_call_is_made_with_fifteen_keywords_at_most():
    """Of more than that CPython makes a dict first (`compile.c`, STACK_USE_GUIDELINE: 30 values), which takes three times as long. Our own numbers are asked for seldom."""
    calls = [node for path in modules() for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]

    assert ["Stats"] == [ast.unparse(call.func) for call in calls if len(call.args) + 2 * len(call.keywords) > 30]


def test_the_bare_front_door_lists_exactly_what_it_opens():
    """Every public name at the root is in `__all__`, sorted, twelve at the most, and nothing else is."""
    names = {name for name, value in vars(llm_observe).items() if not name.startswith("_") and not inspect.ismodule(value)}

    assert sorted(names) == list(llm_observe.__all__)
    assert 12 >= len(names)


def test_importing_the_bare_package_brings_no_neighbour():
    """`import llm_observe` loads no framework, no SDK, no HTTP client, whatever is installed."""
    loaded = run("import sys, llm_observe; print(*sys.modules)").split()

    assert set() == NEIGHBOURS & set(loaded)


@pytest.mark.parametrize(("module", "package", "extra"), EDGES)
def test_a_bare_edge_says_which_extra_it_misses(module, package, extra):
    """Without its package an edge module fails at import with the command that brings it."""
    code = f"""
import sys
if not {BARE}:
    sys.modules["{package}"] = None
from llm_observe.errors import MissingExtra
try:
    import {module}
except MissingExtra as error:
    print(error)
"""

    said = run(code).strip()

    assert said.startswith(package), said
    assert said.endswith(f" is not installed; `pip install 'llm-observe[{extra}]'` brings it."), said


def test_a_bare_script_has_its_call_on_record(tmp_path):
    """With nothing configured and no extra installed, a call told by hand is in a file below the working directory."""
    code = f"""
import os
os.chdir({str(tmp_path)!r})
import llm_observe
with llm_observe.scope("nightly"):
    with llm_observe.record_call("small", provider="local", input="Hi") as call:
        call.output = "Hello"
"""
    run(code)
    lines = [json.loads(line) for path in (tmp_path / ".llm-observe").rglob("*.jsonl") for line in path.read_text().splitlines()]

    assert [("call", "chat small"), ("request", "nightly")] == sorted((line["kind"], line["name"]) for line in lines)


def test_everything_public_says_what_it_is():
    """Every module, and every public class, function and method in it, has a docstring."""
    assert [] == [name for path in modules() for name in silent(path)]


def test_every_test_is_a_sentence():
    """Each test says in a docstring what holds, so that it can be read as a specification."""
    quiet = [
        f"{path.relative_to(ROOT)}::{node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert [] == quiet


def test_the_convention_is_spelled_in_one_place():
    """A field's path is its OpenTelemetry name; but for metrics, no module spells the `gen_ai.` prefix beside that."""
    spelled = {
        str(path.relative_to(SRC)) for path in modules() if any("gen_ai." in text for text in constants(ast.parse(path.read_text())))
    }

    assert CONVENTION == spelled


def test_no_file_names_a_registry():
    """Where packages come from is the reader's own configuration."""
    hosts = [("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com")]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
    files = [ROOT / name for name in listed] or [*modules(), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    named = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in files
        if path.is_file()
        for host in (".".join(parts) for parts in hosts)
        if host.encode() in path.read_bytes()
    ]

    assert [] == named


def test_every_python_of_the_classifiers_is_one_we_require():
    """The lowest Python that the metadata allows is the lowest that is tested."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tested = [one.rpartition(" ")[2] for one in project["classifiers"] if one.startswith("Programming Language :: Python :: 3.")]

    assert f">={tested[0]}" == project["requires-python"]


def test_the_version_is_told_once():
    """`llm_observe.__version__` is the version in the metadata."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == llm_observe.__version__
