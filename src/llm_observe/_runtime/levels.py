"""The application's own word on how much of what is said stays on record."""


def narrowed(outer: str | None, own: str | None) -> str | None:
    """The lower of two levels of content, None being all; one that is no level stays, and takes all away when the sink sees it."""
    if own is None or own == "full":
        return outer
    return own if outer in {None, "full", "metadata"} else outer
