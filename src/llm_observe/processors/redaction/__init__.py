"""Secrets and what tells of persons, out of every text of a record, before it goes anywhere.

It fails closed: a text whose rules fail is withheld, and so is what there is no time for.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from llm_observe.errors import SettingsError
from llm_observe.processors.content import stripped
from llm_observe.processors.redaction.custom import custom, re2
from llm_observe.processors.redaction.gate import Gate
from llm_observe.processors.redaction.kinds import GROUPS, SECRETS, chosen
from llm_observe.processors.redaction.scan import Finder, OutOfTime, Scanner, built_in, pseudonym
from llm_observe.processors.redaction.walk import is_content, is_secret, names_one, walked
from llm_observe.records import AnyRecord, Call
from llm_observe.settings import Settings

FAILED, WITHHELD, DROPPED = "[redaction failed]", "[withheld]", "[dropped]"
MOST_FAILURES = 10  # records in a row in which a rule of the user's failed, after which content is dropped
PAUSE = 60 * 10**9  # nanoseconds until such rules are tried again
_SECRET = frozenset(SECRETS)  # which are looked for in a few places only: there Python's own expressions are the faster ones
_ACTIONS = frozenset({"keep", "drop", "pseudonym"})


class _Plan(NamedTuple):
    """What is looked for in the records of a route."""

    finders: tuple[Finder, ...]
    gate: Callable[[bytes], bool]
    open: bool  # every record has to be gone through
    secrets: bool  # what stands under a secret's name is one
    prepare: Callable[[], object]  # what has to be done once


class Redactor:
    """Takes out of records what *settings* say, by their route.

    *now* is nanoseconds that never go back, *spent* those of processor time of this thread, by which the budget counts; *rest* is called
    between pieces of work, *failed* is told of failures of the user's rules.
    ``redacted`` counts what was taken out, ``withheld`` the texts that could not be gone through, by reason.

    :raises SettingsError: for a kind that does not exist, and a pattern that may take for ever.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        default_key: bytes,
        now: Callable[[], int] = lambda: 0,
        spent: Callable[[], int] = lambda: 0,
        rest: Callable[[], object] = lambda: None,
        failed: Callable[[Exception], object] = lambda _: None,
    ) -> None:
        self.redacted: dict[str, int] = {}
        self.withheld = {"failed": 0, "late": 0}
        self.key = settings.redact_key.encode() or default_key
        self.now, self.spent, self.rest, self._failed = now, spent, rest, failed
        self.budget = int(settings.redact_budget * 1e9)
        self.call: Callable[[str, str], Any] | None = settings.redact_with
        self._linear = re2()
        self._own = tuple(
            custom(name, expression, unsafe=settings.redact_unsafe, linear=self._linear)
            for name, expression in settings.redact_patterns.items()
        )
        self.fields = [(pattern, self._action(pattern, action)) for pattern, action in settings.redact_fields.items()]
        self._everywhere = self._plan("redact", settings.redact)
        self._routes = [(pattern, self._plan(f"redact_for: {pattern}", names)) for pattern, names in settings.redact_for.items()]
        self.in_a_row, self._closed_until = 0, 0

    def __call__(self, record: AnyRecord, encode: Callable[[AnyRecord], bytes]) -> tuple[AnyRecord, bytes]:
        """*record* as it may go out, and its bytes."""
        plan = self._plan_of(record) if self._routes else self._everywhere
        if self._closed_until and self.paused:
            record = stripped(record)
        line = encode(record)
        try:
            if not (plan.open or plan.gate(line) or (plan.secrets and names_one(record))):
                return record, line
            record = _Pass(self, plan).through(record)
        except Exception as error:  # ours, or a value of the application's that does what it likes when asked for its words
            self.note(error)
            self.withheld["failed"] += 1
            record = _bare(record)
        return record, encode(record)

    @property
    def paused(self) -> bool:
        """Whether the user's rules failed so often that they are not asked for a while, and no content goes out."""
        return self._closed_until > self.now()

    def _plan_of(self, record: AnyRecord) -> _Plan:
        scope = record.scope
        where = None if scope is None else scope.route or scope.name or record.name
        if where is not None:
            for pattern, plan in self._routes:
                if fnmatchcase(where, pattern):
                    return plan
        return self._everywhere

    def _plan(self, where: str, names: str) -> _Plan:
        kinds = chosen(_names(where, names))
        finders = (*self._ready(kinds), *(self._own if _names(where, names) != ["none"] else ()))
        wide = bool(self.fields or self.call or len(finders) > len(kinds))

        def prepare() -> None:
            for finder in itertools.chain(finders, *(action for _, action in self.fields if isinstance(action, tuple))):
                finder.prepare()
                self.rest()

        return _Plan(finders, Gate(kinds, self.rest).__call__, wide, SECRETS[0] in kinds, functools.cache(prepare))

    def _ready(self, kinds: Iterable[Any]) -> list[Finder]:
        return [built_in(kind, re if kind in _SECRET or self._linear is None else self._linear) for kind in kinds]

    def _action(self, pattern: str, action: str) -> str | tuple[Finder, ...]:
        if action in _ACTIONS:
            return action
        return tuple(self._ready(chosen(_names(f"redact_fields: {pattern}", action, more=sorted(_ACTIONS)))))

    def note(self, error: Exception) -> None:
        """A rule failed with *error* in a record."""
        self.in_a_row += 1
        if self.in_a_row >= MOST_FAILURES:
            self._closed_until = self.now() + PAUSE
        self._failed(error)


class _Pass:
    """One record's way through. Content that there is no time for is withheld; facts are short, and looked at all the same."""

    def __init__(self, redactor: Redactor, plan: _Plan) -> None:
        self._owner, self._plan = redactor, plan
        plan.prepare()  # for the first record, whose time this is not: 31 expressions are 4 ms, and more on a busy machine
        self._end = redactor.spent() + redactor.budget
        self._content = self._late = self._wrong = False
        self._scanner = Scanner(plan.finders, redactor.key, self._tick)

    def through(self, record: AnyRecord) -> AnyRecord:
        """*record*, every text of it gone through."""
        seen = walked(record, self._text)
        for name, count in self._scanner.taken.items():
            self._owner.redacted[name] = self._owner.redacted.get(name, 0) + count
        if not self._wrong and not self._owner.paused:
            self._owner.in_a_row = 0
        return seen

    def _tick(self) -> None:
        self._owner.rest()
        if self._content and self._owner.spent() > self._end:
            raise OutOfTime

    def _text(self, text: str, path: str, secret: bool) -> str:
        self._content = is_content(path)
        if self._late and self._content:
            self._owner.withheld["late"] += 1
            return WITHHELD
        try:
            return self._redacted(text, path, secret)
        except OutOfTime:
            self._late = True
            self._owner.withheld["late"] += 1
            return WITHHELD
        except Exception as error:  # of the user's rules
            self._owner.withheld["failed"] += 1
            if not self._wrong:
                self._wrong = True
                self._owner.note(error)
            return FAILED

    def _redacted(self, text: str, path: str, secret: bool) -> str:
        scanner, owner = self._scanner, self._owner
        for pattern, action in owner.fields:
            if fnmatchcase(path, pattern):
                if action == "keep":
                    return text
                if action == "drop":
                    return DROPPED
                if action == "pseudonym":
                    return self._stand_in(path.rpartition(".")[2], text)
                scanner = Scanner(action, owner.key, self._tick)  # type: ignore[arg-type] # what is none of the words above is a tuple of finders
                break
        if secret and self._plan.secrets:
            return self._stand_in("secret", text)
        seen = scanner(text)
        if scanner is not self._scanner:
            self._scanner.taken.update({name: self._scanner.taken.get(name, 0) + n for name, n in scanner.taken.items()})
        call = owner.call
        if call is None or owner.paused:
            return seen
        said = call(seen, path)
        if type(said) is not str:
            raise TypeError(f"redact_with returned {type(said).__name__}, not a str")
        self._tick()
        return said

    def _stand_in(self, name: str, text: str) -> str:
        taken = self._scanner.taken
        taken[name] = taken.get(name, 0) + 1
        return pseudonym(self._owner.key, name, text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def _names(where: str, names: str, more: Iterable[str] = ()) -> list[str]:
    found = names.replace(",", " ").split()
    for name in found:
        if name not in GROUPS:
            raise SettingsError(f"{where}={names!r}: There is no {name!r}. Expected some of {', '.join([*GROUPS, *more])}.")
    if "none" in found and len(found) > 1:
        raise SettingsError(f"{where}={names!r}: `none` stands alone.")
    return found


def _bare(record: AnyRecord) -> AnyRecord:
    """*record* where even going through it failed: numbers, ids and times."""
    import msgspec

    record = msgspec.structs.replace(stripped(record), name=FAILED, scope=None, error=None, request_id=None)
    if isinstance(record, Call):
        facts: Mapping[str, Any] = {"prompt": None, "conversation": None, "server": None}
        return msgspec.structs.replace(record, **facts)
    return record


__all__ = ["FAILED", "WITHHELD", "Redactor", "is_secret"]
