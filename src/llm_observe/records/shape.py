"""What all that is exported has in common."""

from typing import Literal

import msgspec

SCHEMA = "llm-observe/1"

Status = Literal["ok", "error", "cancelled", "truncated"]


class Shape(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Base of all that is exported: frozen, and silent about what is unknown.

    Outside of the garbage collector's walks (``gc=False``): made last and never changed, nothing in it can point back at it, and a
    queue of ten thousand records must not lengthen the application's collections.
    """
