"""The user's own rows: addresses that speak a known format, belong to a provider that no rule knows, or are to be left alone.

One is written ``host[:port][/path]`` to what it is: a format (``openai.chat``), a provider's name (``my_gateway``), both, or ``ignore``.
"""

import difflib
import re
from collections.abc import Callable, Mapping

import msgspec

from llm_observe.errors import SettingsError
from llm_observe.records import Exchange
from llm_observe.wire.format import Format

IGNORE = "ignore"

_ADDRESS = re.compile(r"(?P<host>\*|(?:\*\.)?[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?(?P<path>/[^?#\s]*)?")
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_.-]*")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One address of the user's."""

    host: str
    port: int | None
    path: str
    pattern: re.Pattern[str]
    format: Format | None = None
    name: str | None = None  # the format's name, or its dialect's, as the user wrote it
    provider: str | None = None
    ignored: bool = False

    def at(self, host: str, port: int | None, path: str) -> bool:
        """Whether this is where a request went."""
        if self.port is not None and self.port != port:
            return False
        if self.host.startswith("*."):
            if not host.endswith(self.host[1:]):
                return False
        elif self.host not in {"*", host}:
            return False
        return self.pattern.match(path) is not None


class Endpoints:
    """The table of a setting. Falsy where it is empty.

    :raises SettingsError: for an address or a meaning that cannot be read.
    """

    def __init__(self, table: Mapping[str, str], formats: tuple[Format, ...]) -> None:
        named = {name: form for form in reversed(formats) for name in (*form.dialects.values(), form.name) if form.method == "POST"}
        rows = [_row(address, meaning, named) for address, meaning in table.items()]
        # The most particular first: a whole address before a base, a host before any host.
        self.rows = sorted(rows, key=lambda row: (len(row.path), row.port is not None, not row.host.startswith("*")), reverse=True)

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of calls that no format of ours ends in."""
        return tuple(row.path for row in self.rows if row.format is not None)

    def format_of(self, exchange: Exchange) -> Endpoint | None:
        """The row that says what the exchange speaks, or that it is to be left alone."""
        return self._first(exchange, lambda row: row.format is not None or row.ignored)

    def provider_of(self, exchange: Exchange) -> str | None:
        """The provider that the user says it went to."""
        row = self._first(exchange, lambda row: row.provider is not None)
        return row.provider if row else None

    def _first(self, exchange: Exchange, fits: Callable[[Endpoint], bool]) -> Endpoint | None:
        host, path = exchange.host.lower().rstrip("."), exchange.path.partition("?")[0].partition("#")[0]
        return next((row for row in self.rows if fits(row) and row.at(host, exchange.port, path)), None)


def _row(address: str, meaning: str, named: Mapping[str, Format]) -> Endpoint:
    where = f"endpoints: {address!r}: {meaning!r}"
    match = _ADDRESS.fullmatch(address.strip().removeprefix("https://").removeprefix("http://"))
    if match is None or int(match["port"] or 0) > 65535:
        raise SettingsError(f"{where}: Expected an address like `host`, `host:port`, `*.domain` or `host/path`, got {address!r}.")
    words = meaning.split()
    ignored = words == [IGNORE]
    spoken = [word for word in words if word in named]
    providers = [] if ignored else [word for word in words if word not in named]
    if not words or len(spoken) > 1 or len(providers) > 1 or not all(map(_PROVIDER.fullmatch, providers)):
        raise SettingsError(
            f"{where}: Expected a format, a provider's name, both with a blank between, or `{IGNORE}`, got {meaning!r}."
            f" Formats are: {', '.join(sorted(named))}."
        )
    if providers and (near := difflib.get_close_matches(providers[0], named, n=1, cutoff=0.85)):
        raise SettingsError(f"{where}: there is no format {providers[0]!r}. Did you mean {near[0]!r}?")
    path = (match["path"] or "").rstrip("/")
    if spoken and (not path or path.endswith("{}")):
        raise SettingsError(
            f"{where}: Expected the whole path of the calls beside a format, as in `host/v1/ask`, with `{{}}` for what varies but not at its end."
        )
    form = named[spoken[0]] if spoken else None
    brands = {brand: provider for provider, brand in form.dialects.items()} if form else {}
    inner = re.escape(path).replace(r"\{\}", ".+")
    return Endpoint(
        host=match["host"].lower().strip("[]"),
        port=int(match["port"]) if match["port"] else None,
        path=path,
        pattern=re.compile(f"{inner}/?$" if form else f"{inner}(?:/|$)"),
        format=form,
        name=spoken[0] if spoken else None,
        provider=providers[0] if providers else brands.get(spoken[0]) if spoken else None,
        ignored=ignored,
    )
