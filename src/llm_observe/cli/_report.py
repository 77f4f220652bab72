"""What the doctor's parts have in common."""

import importlib.metadata
from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One line of the report."""

    topic: str
    state: Literal["ok", "fact", "note", "problem"]
    text: str


def version(distribution: str) -> str | None:
    """The version that is installed; None where there is none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
