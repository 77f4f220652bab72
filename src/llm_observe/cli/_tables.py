"""Tables that fit into a terminal, and whose words stay words there."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llm_observe.exporters._plain import plain


class Column(NamedTuple):
    """A heading and its cells. *rank* says which goes first where there is no room: the highest; 0 never goes."""

    heading: str
    cells: list[str]
    rank: int = 0
    words: bool = False


def table_of(title: str, columns: Sequence[Column], width: int, *, total: bool = False) -> Table:
    """A table that fits into *width*: with less air first, then with fewer columns. A column without a word in it is left out."""
    kept = [column for column in columns if any(column.cells)]
    ranks = sorted((column.rank for column in kept if column.rank), reverse=True)
    table = _drawn(title, kept, gap=1, total=total)
    while _width(table) > width:
        if table.padding[1]:
            table = _drawn(title, kept, gap=0, total=total)
        elif ranks:
            least = ranks.pop(0)
            kept = [column for column in kept if column.rank != least]
            table = _drawn(title, kept, gap=0, total=total)
        else:
            break
    return table


def _drawn(title: str, columns: Sequence[Column], *, gap: int, total: bool) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0)
    )
    for column in columns:
        table.add_column(column.heading, justify="left" if column.words else "right", vertical="bottom", overflow="ellipsis", no_wrap=True)
    rows = list(zip(*(column.cells for column in columns), strict=True))
    for number, row in enumerate(rows, 1):
        table.add_row(*(Text(plain(cell)) for cell in row), style="bold" if total and number == len(rows) else None)
    return table


def _width(table: Table) -> int:
    """How many columns *table* takes when nothing in it is cut."""
    endless = Console(width=10_000)
    return endless.measure(table).maximum


def number(values: Iterable[int]) -> str:
    """A sum to read; nothing for none."""
    total = sum(values)
    return f"{total:,}" if total else ""
