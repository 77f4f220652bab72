"""One command is the whole truth, here and in CI: `nox`.

The wheel is built once. What the tests see is the wheel, never `src/`: with every extra on each Python, with none of them, and with
the oldest dependencies its metadata promises.
"""

import os
import shutil
import tomllib
from pathlib import Path

import nox

HERE = Path(__file__).parent
PYTHONS = nox.project.python_versions(tomllib.loads((HERE / "pyproject.toml").read_text()))
WHEELS = HERE / ".nox" / "wheels"
COMPILED = {"UV_COMPILE_BYTECODE": "1"}  # all at once, where tests start many processes; elsewhere Python compiles what it imports
COVERAGE = {"COVERAGE_FILE": str(HERE / ".nox" / "covered" / "data")}  # absolute: tests start processes in other folders

# Real servers run in some tests: a file's tests stay in one worker, in their order.
ELSEWHERE = [f"--ignore=tests/{name}" for name in ("faults", "neighbours", "phoenix", "sdks")]  # each has a run of its own
PYTEST = ["-m", "pytest", "-n", "3", "--dist", "loadfile"]
FAULTS = ["-m", "pytest", "-n", "4", "tests/faults"]  # they wait more than they work
# What takes twice as long when its lines are traced, and comes to few that nothing else comes to: whole programs, thousands of answers, and faults.
UNTRACED = [
    f"tests/{name}"
    for name in ("cli/test_demo.py", "examples", "servers", "test_bench.py", "testing/test_plugin.py", "wire/test_corpus.py")
]
UNTRACED += map(str, sorted(Path("tests").glob("**/test_resilience.py")))

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is imported is compiled once, and not by each worker of each session
nox.options.download_python = "never"  # a Python that the machine lacks is skipped and said so; under CI it fails

# pyenv's shims answer for the versions that are named, as a rule one. Name all, the one in use first.
versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
if shutil.which("pyenv") and "PYENV_VERSION" not in os.environ and versions.is_dir():
    there = {path.name for path in versions.iterdir()}
    wanted = [name for series in PYTHONS for name in sorted(there) if name.startswith(f"{series}.")]
    os.environ["PYENV_VERSION"] = ":".join([*wanted, "system"])


def built() -> str:
    """The wheel that the `wheel` session made."""
    (wheel,) = WHEELS.glob("*.whl")
    return str(wheel)


@nox.session(python=PYTHONS[0], default=False)
def wheel(session: nox.Session) -> None:
    """Build the wheel, once, for all sessions that install it."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    shutil.rmtree(Path(COVERAGE["COVERAGE_FILE"]).parent, ignore_errors=True)
    session.install("hatchling")
    session.run("hatchling", "build", "-t", "wheel", "-d", str(WHEELS))


@nox.session(python=PYTHONS, requires=["wheel"])
def tests(session: nox.Session) -> None:
    """The wheel with every extra: all tests, every example in README and docs, and the fault matrix."""
    session.install(f"llm-observe[all] @ file://{built()}", "--group", "tests", "--group", "sockets", "--group", "servers", env=COMPILED)
    if session.posargs:
        session.run("python", *PYTEST, *ELSEWHERE, *session.posargs)
    elif session.python != PYTHONS[0]:  # tracing takes half as long again, and one Python's lines are all there are
        session.run("python", *PYTEST, *ELSEWHERE)
        session.run("python", *FAULTS)
    else:
        Path(COVERAGE["COVERAGE_FILE"]).parent.mkdir(parents=True, exist_ok=True)
        session.run("coverage", "run", *PYTEST, *ELSEWHERE, *(f"--ignore={path}" for path in UNTRACED), env=COVERAGE)
        session.run("python", *FAULTS)
        session.run("python", *PYTEST, *UNTRACED)
        session.notify("coverage")


@nox.session(python=PYTHONS, requires=["wheel"], default=False)
def faults(session: nox.Session) -> None:
    """The fault matrix alone, with a table of what was lost: `FAULTS_TABLE=docs/reliability.md` puts it on that page."""
    session.install(f"llm-observe[all] @ file://{built()}", "--group", "tests", "--group", "servers")
    session.run("python", *FAULTS, *session.posargs)


@nox.session(python=PYTHONS[0], requires=["wheel"], default=False)
def soak(session: nox.Session) -> None:
    """The faults that take minutes."""
    session.install(f"llm-observe[all] @ file://{built()}", "--group", "tests", "--group", "servers")
    session.run("python", *FAULTS, *session.posargs, env={"SOAK": "1"})


@nox.session(python=PYTHONS[0], requires=["wheel"])
def bare(session: nox.Session) -> None:
    """The wheel with no extra: it imports, records to a file, and says which extra a module needs."""
    session.install(built(), "pytest", "pytest-timeout")
    session.run("python", "-m", "pytest", "--confcutdir=tests", "tests/test_house.py", "-k", "bare", env={"NO_EXTRAS": "1"})


@nox.session(python=PYTHONS[0], venv_backend="uv", requires=["wheel"])
def oldest(session: nox.Session) -> None:
    """The wheel with the versions that our lower bounds promise."""
    session.install("--resolution", "lowest-direct", "-r", "pyproject.toml", "--extra", "all", "--group", "tests", env=COMPILED)
    session.install("--no-deps", built())
    session.run("python", *PYTEST, *ELSEWHERE, *session.posargs, env={"OLDEST": "1"})


@nox.session(python=PYTHONS[0], requires=["wheel"])
@nox.parametrize("openai", ["3", "2"])
def sdks(session: nox.Session, openai: str) -> None:
    """The wheel under every SDK that we name, each asked plain and streamed, sync and async, with and without a failure; and beside others' instrumentations."""
    others = ["google-genai>=3", "mistralai>=3", "ollama", "boto3", "aiobotocore"] if openai == "3" else []
    both = ["anthropic>=2", "cohere", "groq", "litellm", "langchain-openai", "langchain-anthropic", "aiohttp", "httpx-aiohttp"]
    beside = [f"opentelemetry-instrumentation-{name}" for name in ("fastapi", "genai-openai", "httpx")]
    ours = f"llm-observe[fastapi,otel,prometheus] @ file://{built()}"
    session.install(
        ours, "pytest", "pytest-timeout", "pytest-xdist", "httpx2", f"openai>={openai},<{int(openai) + 1}", *both, *others, *beside
    )
    run = ["python", "-m", "pytest", "--confcutdir=tests", *session.posargs]
    either = [0, 5] if session.posargs else [0]  # a selection may be in one of them alone
    session.run(*run, "-n", "2", "tests/sdks", success_codes=either)
    session.run(*run, "tests/neighbours", success_codes=either, env={"NEIGHBOURS": "1"})


@nox.session(python=PYTHONS[0], venv_backend="uv", requires=["wheel"])
def phoenix(session: nox.Session) -> None:
    """The wheel beside a real Phoenix, in an environment of its own: it asks for an older anthropic."""
    server = Path(session.create_tmp(), "server").resolve()
    session.run_install("uv", "venv", "--quiet", "--clear", "--python", session.virtualenv.location, str(server))
    session.run_install("uv", "pip", "install", "--python", str(server), "arize-phoenix")
    ours = f"llm-observe[cost,demo,otel] @ file://{built()}"
    session.install(ours, "pytest", "pytest-timeout", "arize-phoenix-client")
    place = {"PHOENIX_SERVER": str(server / "bin" / "phoenix")}
    session.run("python", "-m", "pytest", "--confcutdir=tests", "tests/phoenix", *session.posargs, env=place)


@nox.session(python=PYTHONS[0])
def house(session: nox.Session) -> None:
    """Style, types, floors, docs."""
    session.install("-e", ".[all]", "--group", "tests", "--group", "house", "--group", "docs")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")
    site = session.create_tmp()
    session.run("mkdocs", "build", "--strict", "--quiet", "--site-dir", site, env={"NO_MKDOCS_2_WARNING": "1"})
    session.run("python", "-m", "pytest", "tests/test_house.py", "tests/test_docs.py")


@nox.session(python=PYTHONS[0], default=False)
def mutants(session: nox.Session) -> None:
    """Break counters, channels and the spool in a thousand places, one at a time, and list what no test minds: `-- 'llm_observe._runtime.spool*'`."""
    session.install("-e", ".[all]", "--group", "tests", "mutmut>=3.8")
    there = HERE / "mutants"
    (there / "src").mkdir(parents=True, exist_ok=True)  # what is not there when Python starts is not looked for again
    env = {"PYTHONPATH": f"{there / 'src'}{os.pathsep}{there}"}  # which tests' own processes see too
    session.run("mutmut", "run", "--max-children", "2", *session.posargs, env=env)
    session.run("mutmut", "results", env=env)


@nox.session(python=PYTHONS[0], default=False)
def coverage(session: nox.Session) -> None:
    """All processes' coverage together, gated."""
    session.install("coverage[toml]")
    session.run("coverage", "combine", env=COVERAGE)
    session.run("coverage", "report", env=COVERAGE)


@nox.session(python=PYTHONS[0], requires=["wheel"], default=False)
def bench(session: nox.Session) -> None:
    """The wheel beside its peers, each in a virtual environment of its own: `nox -s bench -- --scenario plain --peer langfuse --quick`."""
    session.install("matplotlib>=3.9", "rich>=13.7", "uv")
    session.run("python", "-m", "peers", "--wheel", built(), *session.posargs, env={"PYTHONPATH": "bench"})
