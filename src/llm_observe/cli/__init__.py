"""The command `llm-observe`: demo, tail, decode, doctor.

Bad input gets one clear line on stderr and exit code 2, never a traceback.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from llm_observe import __version__
from llm_observe.errors import ObserveError

COMMANDS = {
    "demo": "run a web app observed end to end, against a local provider",
    "tail": "follow the records that an app writes",
    "decode": "turn recorded HTTP exchanges into call records",
    "doctor": "check what is hooked, which settings hold, and where records go",
}


def parser() -> argparse.ArgumentParser:
    """The command line as a whole."""
    whole = argparse.ArgumentParser(prog="llm-observe", description="One line in a web app, and every LLM call it makes is on record.")
    whole.add_argument("--version", action="version", version=f"llm-observe {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        module = importlib.import_module(f"llm_observe.cli.{name}")
        command = commands.add_parser(name, help=purpose, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ObserveError as error:
        print(f"llm-observe {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
