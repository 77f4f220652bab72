"""Whom a directory of records was told to forget, so that what comes late is not written again.

Subjects are on the list as keyed hashes; the key is a file beside it. The list alone, copied elsewhere, says nothing about anybody.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

from llm_observe.protocols import Batch

LIST, KEY = ".forgotten", ".forgotten-key"
MOST_REQUESTS = 10_000  # requests that are remembered to be of a forgotten subject, while parts of them may still come

Kind = Literal["user", "session", "request"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Owner = tuple[str | None, str | None]  # a trace and a request in it: a client may choose either, hardly both


class Subject(NamedTuple):
    """A user, a session or a request, by its id."""

    kind: Kind
    id: str


class Belonging(NamedTuple):
    """To whom a record belongs."""

    user: str | None
    session: str | None
    request: str | None
    trace: str | None
    kind: str | None = None

    @property
    def owner(self) -> Owner | None:
        """What joins the records of one request; None for a record outside of any."""
        return (self.trace, self.request) if self.request is not None else None

    def subjects(self) -> Iterator[Subject]:
        """Whoever may want it forgotten."""
        for kind, name in zip(KINDS, (self.user, self.session, self.request), strict=True):
            if name is not None:
                yield Subject(kind, name)


class Joined:
    """Requests known to be of a forgotten subject, with the users they were seen with.

    A part of such a request goes too, also where its user was not known yet; but never one that names another user: whoever sends
    somebody else's request id has no say over his records.
    """

    def __init__(self, most: int | None = None) -> None:
        self._users: OrderedDict[Owner, set[str | None]] = OrderedDict()
        self._most = most

    def add(self, record: Belonging) -> None:
        """*record* is of a forgotten subject."""
        if (owner := record.owner) is not None:
            self._users.setdefault(owner, {None}).add(record.user)
            self._users.move_to_end(owner)
            if self._most is not None and len(self._users) > self._most:
                self._users.popitem(last=False)

    def __contains__(self, record: Belonging) -> bool:
        owner = record.owner
        return owner is not None and record.user in self._users.get(owner, ())

    @property
    def traces(self) -> set[str]:
        """The traces of those requests."""
        return {trace for trace, _ in self._users if trace}


def digest(subject: Subject, key: bytes) -> str:
    """How *subject* stands on the list."""
    text = f"{subject.kind}\0{subject.id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, key=key, digest_size=16).hexdigest()


def read(directory: int, name: str) -> bytes:
    """The file *name* of the directory, and no link of that name.

    :raises OSError: when it cannot be read.
    """
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    with os.fdopen(fd, "rb") as file:
        return file.read()


class Sieve:
    """Keeps out of a directory what belongs to whom it was told to forget."""

    def __init__(self) -> None:
        self._seen: tuple[int, int, int] | None = None
        self._key = b""
        self._digests: frozenset[str] = frozenset()
        self._joined = Joined(MOST_REQUESTS)

    def kept(self, directory: int, batch: Batch) -> Sequence[bytes]:
        """The lines of *batch* that may be written. The list is read when it has changed: one look at it a batch.

        :raises OSError: when there is a list that cannot be read: nothing is written then.
        """
        self._look(directory)
        if not self._digests:
            return batch.lines
        belongings = [_belonging(record) for record in batch.records]
        named = [self._named(one) for one in belongings]
        for one, known in zip(belongings, named, strict=True):
            if known:
                self._joined.add(one)
        return [line for line, one, known in zip(batch.lines, belongings, named, strict=True) if not known and one not in self._joined]

    def _named(self, record: Belonging) -> bool:
        return any(digest(subject, self._key) in self._digests for subject in record.subjects())

    def _look(self, directory: int) -> None:
        try:
            found = os.stat(LIST, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            self._seen, self._digests = None, frozenset()
            return
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            self._key = read(directory, KEY)
            self._digests = frozenset(read(directory, LIST).decode("ascii", "replace").split())
            self._seen = seen


def _belonging(record: Any) -> Belonging:
    scope = getattr(record, "scope", None)
    return Belonging(
        getattr(scope, "user_id", None),
        getattr(scope, "session_id", None),
        getattr(record, "request_id", None),
        getattr(record, "trace_id", None),
    )


def listed(subjects: Iterable[Subject], key: bytes) -> set[str]:
    """*subjects* as they stand on the list."""
    return {digest(subject, key) for subject in subjects}
