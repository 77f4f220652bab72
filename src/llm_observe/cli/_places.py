"""Whether records can be written where they are to go."""

import os
from pathlib import Path


def unwritable(directory: Path) -> str | None:
    """Why no records can be written to *directory*, which need not exist yet; None when they can."""
    there = Path(os.path.abspath(directory))  # noqa: PTH100 - resolve() would follow a link
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        return f"{there} is not a directory"
    return None if os.access(there, os.W_OK | os.X_OK) else f"{there} cannot be written to"
