"""What llm-observe raises on purpose.

::

    ObserveError
    ├── SettingsError     something we were told to do makes no sense (also a ValueError)
    ├── MissingExtra      an edge module without the package it stands on (also an ImportError)
    └── ExportError       an exporter's word about a batch
        ├── RetryLater    not now: keep the batch and come back
        └── Rejected      never: the batch will not be taken, count it as dropped

Errors about the *set-up* raise at start-up. Errors about *traffic* never reach the app: they are counted and show in
``observer.stats()``.
"""


class ObserveError(Exception):
    """Base of everything llm-observe raises on purpose."""


class SettingsError(ObserveError, ValueError):
    """Something we were told to do makes no sense; the text says what, where, and what to do."""


class MissingExtra(ObserveError, ImportError):
    """An edge module was imported without the package it stands on."""


class ExportError(ObserveError):
    """An exporter's word about a batch it was given."""


class RetryLater(ExportError):
    """The destination cannot take the batch now.

    ``after`` is how long it asked us to stay away, in seconds; None leaves that to our own backoff.
    """

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Rejected(ExportError):
    """The destination will never take this batch, or *count* of its records while the others arrived.

    ``reason`` is the word they are counted under.
    """

    def __init__(self, message: str, reason: str = "rejected_4xx", *, count: int | None = None) -> None:
        super().__init__(message)
        self.reason, self.count = reason, count


def missing(error: ModuleNotFoundError, *, extra: str) -> MissingExtra:
    """The error for an edge module whose package is not there, naming the extra that brings it."""
    return MissingExtra(f"{error.name} is not installed; `pip install 'llm-observe[{extra}]'` brings it.")
