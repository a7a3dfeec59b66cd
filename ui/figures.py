"""Figures as people read them, from the exact values of the gateway.

Pure. Shortened numbers are for the eye only; wherever one is shortened the exact text goes along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, NamedTuple

NONE = "–"
MONEY = 2  # decimals of an amount of money
WINDOW_SECONDS = 60  # of ui.board.WINDOW
_SUFFIXES = ((12, "T"), (9, "B"), (6, "M"))
_EXACT = Context(prec=60)


class Cell(NamedTuple):
    """What is shown, what sorts it, and the exact text where what is shown is shortened."""

    text: str
    number: float | None = None
    exact: str = ""


def amount(text: str | None, decimals: int = 6, *, digits: int = 7) -> Cell:
    """A sum: grouped by thousands, below one thousand with `decimals`, shortened from `digits` + 1 digits on."""
    if text is None:
        return Cell(NONE)
    value = Decimal(text)
    power = value.adjusted() if value else 0
    shown, suffix = value, ""
    for exponent, letter in _SUFFIXES:
        if power >= max(exponent, digits):
            shown, suffix = value.scaleb(-exponent, _EXACT), letter
            break
    places = 3 if suffix else 2 if power >= 3 else decimals
    rounded = shown.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN, _EXACT)
    if not rounded and value:  # smaller than what the decimals show
        return Cell(f"{value:.3g}", float(value), text)
    words = f"{rounded:,f}"
    if decimals > MONEY and not suffix and "." in words:
        words = words.rstrip("0").rstrip(".")
    return Cell(words + suffix, float(value), "" if not suffix and rounded == value else text)


def short(value: Decimal, *, places: int = 2) -> str:
    """An amount at a glance: 1.24 M, 38,412, 734.04, 0.47082."""
    size = abs(value)
    if size >= 1_000_000:
        exponent, letter = next((pair for pair in _SUFFIXES if size >= Decimal(1).scaleb(pair[0])), _SUFFIXES[-1])
        return f"{value.scaleb(-exponent, _EXACT):,.{places}f} {letter}"
    if size >= 10_000:
        return f"{value:,.0f}"
    if size >= 1 or not value:
        return f"{value:,.2f}"
    return f"{value:.3g}" if size < Decimal("0.00001") else f"{value:.5f}".rstrip("0")


def price(value: str | float | None, decimals: int) -> Cell:
    """A price with so many decimals, so that a column lines up."""
    if value is None:
        return Cell(NONE)
    exact = Decimal(str(value))
    text = f"{exact:,.{decimals}f}"
    return Cell(text, float(exact), "" if Decimal(text.replace(",", "")) == exact else str(value))


def decimals_of(prices: Iterable[str | None]) -> int:
    """The decimals that prices of one instrument have at most; at least two, because trailing zeros are not sent."""
    return max(MONEY, max((len(text.partition(".")[2]) for text in prices if text), default=0))


def seconds(value: float | None) -> str:
    """A duration in the unit that reads best."""
    if value is None:
        return NONE
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return "0 s" if not value else "< 1 µs"


def rate(trades: int) -> str:
    """Trades per second in the last minute."""
    per_second = trades / WINDOW_SECONDS
    if not trades:
        return "0"
    return (
        f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.1f}" if per_second >= 1 else f"{per_second:.2f}"
    )


def clock(text: str | None, now: datetime) -> str:
    """The time of day of an RFC 3339 text in the zone of `now`, with the date when it is not today's."""
    if text is None:
        return NONE
    moment = datetime.fromisoformat(text[:26] + "+00:00").astimezone(now.tzinfo)
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M:%S}"


def matching(rows: Mapping[str, Mapping[str, Any]], wanted: str) -> list[str]:
    """The symbols that contain a text, the most traded first."""
    text = wanted.strip().casefold()
    found = [symbol for symbol in rows if text in symbol.casefold()]
    return sorted(found, key=lambda symbol: (-rows[symbol]["trades"], symbol))
