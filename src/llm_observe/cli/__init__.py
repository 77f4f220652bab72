"""The command `llm-observe`: demo, tail, decode, doctor, forget.

Bad input gets one clear line on stderr and exit code 2, never a traceback. A command's module is loaded when it is the one that runs,
so that none needs what another stands on.
"""

import argparse
import importlib
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import NoReturn

from llm_observe import __version__
from llm_observe.errors import ObserveError
from llm_observe.exporters._plain import plain

COMMANDS = {
    "demo": "run a web app observed end to end, against a local provider",
    "tail": "follow the records that an app writes",
    "decode": "turn recorded HTTP exchanges into call records",
    "doctor": "check what is hooked, which settings hold, and where records go",
    "forget": "remove the records of a user, a session or a request",
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end with code 2."""
        self.exit(2, f"{self.prog}: {plain(message)}. See `{self.prog} --help`.\n")


def parser(named: Sequence[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The command line as a whole, with the options of those commands that are among *named*."""
    whole = Parser(prog="llm-observe", description="One line in a web app, and every LLM call it makes is on record.")
    whole.add_argument("--version", action="version", version=f"llm-observe {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name in named:
            module = importlib.import_module(f"llm_observe.cli.{name}")
            command.description = paragraphs(module.__doc__ or purpose)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return whole


def paragraphs(text: str) -> str:
    """A docstring as words for a terminal, as wide as it is and no wider than one likes to read."""
    width = min(100, shutil.get_terminal_size().columns) - 2
    return "\n\n".join(textwrap.fill(" ".join(part.split()), width) for part in text.replace("``", "`").split("\n\n"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    command = ""
    try:
        whole = parser(words)
        options = whole.parse_args(words)
        command = options.command
        if command is None:
            whole.print_help(sys.stderr)
            return 2
        return int(options.run(options))
    except ObserveError as error:
        print(f"llm-observe {command}: {plain(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
