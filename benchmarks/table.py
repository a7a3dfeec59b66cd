"""The result as a table for the terminal."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from benchmarks.figure import Figure

STYLES = {"aim": "[bold green]", "ok": "[green]", "SHORT": "[bold red]", "skipped": "[yellow]", "": ""}


def table(figures: Mapping[str, Sequence[Figure]]) -> Table:
    """A line per figure, with its absolute values below it."""
    made = Table("figure", "median", "lowest – highest", "required", "aim", "result", highlight=False)
    for group in figures.values():
        for figure in group:
            made.add_row(*_row(figure))
            for label, values in figure.values.items():
                made.add_row(f"[dim]  {escape(label)}", *(f"[dim]{text}" for text in _spread(values, "")))
        made.add_section()
    return made


def number(value: float, unit: str = "") -> str:
    """Three digits that count, thousands apart."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
    return f"{value:,.{digits}f}" + (f" {unit}" if unit else "")


def bound(figure: Figure, value: float | None) -> str:
    """`≥ 0.6`, `≤ 8 ms`."""
    if value is None:
        return ""
    return f"{'≥' if figure.at_least else '≤'} {value:,g}" + (f" {figure.unit}" if figure.unit else "")


def _row(figure: Figure) -> tuple[str, ...]:
    name = escape(figure.name) + (f"\n[dim]{escape(figure.note)}[/]" if figure.note else "")
    spread = _spread(figure.measured, figure.unit) if figure.measured else (escape(figure.skipped), "")
    verdict = figure.verdict
    style = STYLES[verdict]
    result = f"{style}{verdict}[/]" if style else verdict
    return name, *spread, bound(figure, figure.required), bound(figure, figure.aim), result


def _spread(values: Sequence[float], unit: str) -> tuple[str, str]:
    median = number(statistics.median(values), unit)
    return median, f"{number(min(values))} – {number(max(values))}"
