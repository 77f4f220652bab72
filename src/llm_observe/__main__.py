"""``python -m llm_observe``: the command line."""

import sys

from llm_observe.cli import main

if __name__ == "__main__":
    sys.exit(main())
