"""The command as a whole: what it says when it is called rightly, wrongly, or without what it stands on."""

import importlib
import subprocess
import sys

import pytest

import llm_observe
from llm_observe.cli import COMMANDS, main

EXTRAS = ["anthropic", "fastapi", "flask", "httpx", "httpx2", "openai", "rich", "starlette", "uvicorn"]

BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
from llm_observe.cli import main
sys.exit(main(sys.argv[1:]))
"""


def without(names, *arguments, cwd, said=b""):
    """The command in a Python in which the packages *names* are not installed."""
    code = BLOCKED.format(names=names)
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, input=said, capture_output=True, check=False, timeout=60)


def ended(*arguments):
    """The code with which argparse ends the process."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


def test_no_command_gives_the_usage(capsys):
    """Called with nothing it says what there is, on stderr, and fails."""
    assert 2 == main([])

    said = capsys.readouterr()
    assert "" == said.out
    assert [] == [name for name in COMMANDS if name not in said.err]


def test_it_tells_its_version(capsys):
    """`--version` names the package and its version."""
    assert 0 == ended("--version")
    assert f"llm-observe {llm_observe.__version__}\n" == capsys.readouterr().out


def test_it_runs_as_a_module():
    """`python -m llm_observe` is the same command, under the same name."""
    done = subprocess.run([sys.executable, "-m", "llm_observe", "frob"], capture_output=True, text=True, check=False, timeout=60)

    assert (2, "llm-observe: ") == (done.returncode, done.stderr[:13])


def test_importing_the_module_runs_nothing(capsys):
    """Tools that import every module do not start the command."""
    importlib.import_module("llm_observe.__main__")

    assert ("", "") == capsys.readouterr()


def test_arguments_come_from_the_command_line(monkeypatch, capsys):
    """Without arguments handed over it reads those of the process."""
    monkeypatch.setattr(sys, "argv", ["llm-observe", "--version"])

    with pytest.raises(SystemExit):
        main()
    assert f"llm-observe {llm_observe.__version__}\n" == capsys.readouterr().out


def test_an_unknown_command_is_one_line(capsys):
    """A command that does not exist is answered with those that do."""
    assert 2 == ended("frob")

    (line,) = capsys.readouterr().err.splitlines()
    assert "'frob'" in line
    assert [] == [name for name in COMMANDS if name not in line]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_one_line(command, capsys):
    """An option that does not exist is answered with one line that says where help is."""
    assert 2 == ended(command, "--frob")

    (line,) = capsys.readouterr().err.splitlines()
    assert "--frob" in line
    assert "--help" in line


@pytest.mark.parametrize("columns", ["60", "80", "200"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_wide_as_the_terminal(command, columns, monkeypatch, capsys):
    """Each command's help has its purpose and its options, in lines that fit, in words without markup."""
    monkeypatch.setenv("COLUMNS", columns)

    assert 0 == ended(command, "--help")
    said = capsys.readouterr().out
    assert f"usage: llm-observe {command}" in said
    assert "``" not in said
    assert [] == [line for line in said.splitlines() if len(line) > int(columns)]


def test_settings_that_make_no_sense_are_one_line(monkeypatch, capsys):
    """What the environment says wrongly is told under the command's name, and not as a traceback."""
    monkeypatch.setenv("LLM_OBSERVE_CONTNT", "full")

    assert 2 == main(["tail"])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("llm-observe tail: LLM_OBSERVE_CONTNT: ")
    assert "LLM_OBSERVE_CONTENT" in line


def test_an_interrupt_ends_it_quietly(monkeypatch, capsys):
    """Ctrl-C is exit code 130 and not a word."""

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("llm_observe.cli.doctor.run", interrupted)

    assert 130 == main(["doctor"])
    assert ("", "") == capsys.readouterr()


@pytest.mark.parametrize(
    "arguments", [("decode",), ("tail", "--no-follow", "."), ("doctor",), ("--version",), ("demo", "--help")], ids=" ".join
)
def test_a_command_needs_no_extra_of_another(arguments, tmp_path):
    """Everything but running the demo works where no extra is installed."""
    done = without(EXTRAS, *arguments, cwd=tmp_path)

    assert 0 == done.returncode, done.stderr.decode()


def test_a_command_loads_no_other():
    """What the other commands are made of costs this one no time."""
    code = (
        "import sys; from llm_observe.cli import main\n"
        "try: main(['tail', '--help'])\n"
        "except SystemExit: print('\\n', *(name for name in sys.modules if name.startswith('llm_observe.cli.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert ["llm_observe.cli.tail"] == done.stdout.splitlines()[-1].split()


def test_a_demo_without_its_extra_names_it(tmp_path):
    """In a plain installation the demo says in one line what to install, and leaves nothing behind."""
    done = without(["rich"], "demo", cwd=tmp_path)

    assert (2, "llm-observe demo: rich is not installed; `pip install 'llm-observe[demo]'` brings it.\n") == (
        done.returncode,
        done.stderr.decode(),
    )
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["anthropic", "fastapi", "httpx2", "openai", "uvicorn"])
def test_each_package_of_the_demo_is_asked_for(package, monkeypatch, tmp_path, capsys):
    """Whichever package the demo lacks, the line names it and the extra."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)

    assert 2 == main(["demo"])
    assert f"llm-observe demo: {package} is not installed; `pip install 'llm-observe[demo]'` brings it.\n" == capsys.readouterr().err
