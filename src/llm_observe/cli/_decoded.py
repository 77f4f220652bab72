"""What a file of exchanges held, as tables: counted line by line, so that a file of any size takes no more memory than its kinds."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_observe.records import Call

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class _Kind:
    """The calls of one format with one provider, counted."""

    calls: int = 0
    streams: int = 0
    errors: int = 0
    cut: int = 0
    unread: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def add(self, call: Call) -> None:
        wire = call.wire
        self.calls += 1
        self.streams += call.request.stream is True
        self.errors += call.status == "error"
        self.cut += call.status in {"truncated", "cancelled"}
        self.unread += wire is not None and wire.reason is not None
        self.input_tokens += call.usage.input_tokens or 0
        self.output_tokens += call.usage.output_tokens or 0


class Summary:
    """Counts records as they come."""

    def __init__(self) -> None:
        self.bytes = 0
        self._kinds: dict[tuple[str, str], _Kind] = defaultdict(_Kind)
        self._none: Counter[str] = Counter()

    def call(self, call: Call) -> None:
        """One that was a call."""
        self._kinds[call.wire.format if call.wire else "?", call.provider.name].add(call)

    def none(self, reason: str) -> None:
        """One that was none. What is particular to it, after the colon, is left out."""
        parts = reason.split(": ")
        self._none[": ".join(parts[:2]) if parts[0] == "no inference" else parts[0]] += 1

    def show(self, console: "Console", seconds: float) -> None:
        """Print it all."""
        from llm_observe.cli._tables import Column, number, table_of

        keys = sorted(self._kinds)
        each = [self._kinds[key] for key in keys]
        if each:
            total = _Kind(**{name: sum(getattr(kind, name) for kind in each) for name in _Kind.__dataclass_fields__})
            rows = [*each, total]
            columns = [
                Column("format", [*(key[0] for key in keys), "all"], words=True),
                Column("provider", [*(key[1] for key in keys), ""], words=True),
                Column("calls", [f"{kind.calls:,}" for kind in rows]),
                Column("streams", [number([kind.streams]) for kind in rows], rank=2),
                Column("errors", [number([kind.errors]) for kind in rows], rank=1),
                Column("cut\nshort", [number([kind.cut]) for kind in rows], rank=3),
                Column("not read\nwhole", [number([kind.unread]) for kind in rows], rank=4),
                Column("tokens in", [number([kind.input_tokens]) for kind in rows], rank=5),
                Column("tokens out", [number([kind.output_tokens]) for kind in rows], rank=6),
            ]
            console.print(table_of("Model calls", columns, console.width, total=True))
            console.print()
        if self._none:
            named = self._none.most_common()
            columns = [
                Column("exchanges", [f"{count:,}" for _, count in named]),
                Column("why", [reason for reason, _ in named], words=True),
            ]
            console.print(table_of("No model calls", columns, console.width))
            console.print()
        calls, others = sum(kind.calls for kind in each), self._none.total()
        megabytes = self.bytes / 1e6
        pace = f", {megabytes / seconds:,.1f} MB/s" if seconds else ""
        console.print(
            f"{calls + others:,} exchanges, [bold]{calls:,}[/] calls, {megabytes:,.1f} MB of bodies in {seconds:.1f} s{pace}.",
            highlight=False,
        )
