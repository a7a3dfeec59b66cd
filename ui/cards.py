"""The cards of the overview: a figure, what it is, how it changed in the last minute, and how it went before.

Pure. What is shown is for the eye; exact values go along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from ui import asks, figures
from ui.board import HEALTH, LATENCY, Ask, Row, View
from ui.filters import Filters
from ui.history import MINUTE, SPARK_SECONDS, Figure, History, Sample

WIDTH, HEIGHT = 100, 28  # of a sparkline, in its own units
OTHER_CURRENCIES = 3  # shown below the first one


class Card(NamedTuple):
    """`exact` is shown when the value is pointed at; `tone` colours the change: `better`, `worse` or nothing. `seq` is
    the trade that the figure is as of; `spark` is the path of the sparkline, empty as long as there is none."""

    name: str
    label: str
    value: str = figures.NONE
    detail: str = "not known yet"
    seq: int = 0
    exact: str = ""
    change: str = ""
    tone: str = ""
    spark: str = ""


class Now(NamedTuple):
    """What cards are made from: a view, which of its totals are meant, and the figures a minute ago."""

    view: View
    rate: Ask
    today: Ask
    before: Sample | None
    currencies: list[str]  # of today, that of the most trades first


def cards(view: View, history: History, filters: Filters, *, now: float, zone: str) -> list[Card]:
    """All cards as of a view; `now` in UTC seconds."""
    today = asks.today(filters, now, zone)
    money = in_order((view.part(today).rows.get("totals") or {}).get("notional") or {}, view.all.rows.values())
    of = Now(view, asks.rate(filters), today, history.before(now, MINUTE), money)
    return [_drawn(kind, of, history, now) for kind in KINDS]


def _drawn(kind: Kind, of: Now, history: History, now: float) -> Card:
    part = of.view.part(kind.ask(of))
    card = Card(kind.name, kind.label)
    if not part.started:
        return card
    # What has not changed is not sent again: it stands as of what was looked at in the same instants and has changed.
    seq = max(part.seq, of.view.part(of.rate).seq)
    figure = kind.figure(of)
    points = history.points(now, SPARK_SECONDS, figure, grows=kind.grows)
    return card._replace(seq=seq, spark=spark(points), **kind.make(of, part.rows, figure))


def _rate(of: Now, rows: Row, figure: Figure) -> dict[str, str]:
    rate = rows["totals"]["trades"] / asks.RATE_SECONDS
    change = signed(_since(rate, of, figure), lambda value: f"{value:,.1f}")
    return {"value": f"{rate:,.1f}", "detail": f"mean of {asks.RATE_SECONDS} s", "change": change}


def _trades(of: Now, rows: Row, figure: Figure) -> dict[str, str]:
    trades = rows["totals"]["trades"]
    change = signed(_added(trades, of, figure), lambda value: f"{value:,.0f}")
    return {"value": f"{trades:,}", "detail": "since midnight", "change": change}


def _notional(of: Now, rows: Row, figure: Figure) -> dict[str, str]:
    amounts = {name: Decimal(text) for name, text in rows["totals"]["notional"].items()}
    if not of.currencies:
        return {"value": "0", "detail": "price × quantity"}
    first, *others = of.currencies
    shown = [f"{figures.short(amounts[name])} {name}".strip() for name in others[:OTHER_CURRENCIES]]
    more = [f"{len(others) - len(shown)} more"] if len(others) > len(shown) else []
    change = signed(_added(float(amounts[first]), of, figure), lambda value: figures.short(Decimal(str(value))))
    return {
        "value": f"{figures.short(amounts[first], places=3)} {first}".strip(),
        "detail": " · ".join([*shown, *more]) or "price × quantity",
        "exact": " · ".join(f"{amounts[name]:,f} {name}".strip() for name in of.currencies),
        "change": change,
    }


def _latency(of: Now, rows: Row, figure: Figure) -> dict[str, str]:
    stage = rows.get("end_to_end") or {}
    change = _since(stage.get("p99"), of, figure)
    detail = f"p50 {figures.seconds(stage.get('p50'))}, last minute"
    changed = {"change": signed(change, figures.seconds), "tone": _worse(change)}
    return {"value": figures.seconds(stage.get("p99")), "detail": detail} | changed


def _backlog(of: Now, rows: Row, figure: Figure) -> dict[str, str]:
    backlog = int(rows.get("backlog") or 0)
    change = _since(backlog, of, figure)
    changed = {"change": signed(change, lambda value: f"{value:,.0f}"), "tone": _worse(change)}
    return {"value": f"{backlog:,}", "detail": "trades on their way" if backlog else "nothing waits"} | changed


class Kind(NamedTuple):
    """A card: whose words it shows, how they are told, what it was in a sample, and whether that is a sum."""

    name: str
    label: str
    ask: Callable[[Now], Ask]
    make: Callable[[Now, Row, Figure], dict[str, str]]
    figure: Callable[[Now], Figure]
    grows: bool = False


def _money(of: Now) -> Figure:
    first = of.currencies[0] if of.currencies else ""
    return lambda sample: float(sample.notional.get(first, 0))


KINDS = (
    Kind("rate", "Trades per second", lambda of: of.rate, _rate, lambda _: lambda sample: sample.rate),
    Kind("trades", "Trades today", lambda of: of.today, _trades, lambda _: lambda sample: sample.today, grows=True),
    Kind("notional", "Notional today", lambda of: of.today, _notional, _money, grows=True),
    Kind("latency", "p99 end to end", lambda _: LATENCY, _latency, lambda _: lambda sample: sample.p99_minute),
    Kind("backlog", "Backlog", lambda _: HEALTH, _backlog, lambda _: lambda sample: sample.backlog),
)


def in_order(amounts: Iterable[str], rows: Iterable[Row]) -> list[str]:
    """Currencies, that of the most trades first: amounts of different ones are never compared or added."""
    trades: Counter[str] = Counter()
    for row in rows:
        trades[row.get("currency") or ""] += row["trades"]
    return sorted(amounts, key=lambda currency: (-trades[currency], currency))


def _since(value: float | None, of: Now, figure: Figure) -> float | None:
    before = None if of.before is None else figure(of.before)
    return None if value is None or before is None else value - before


def _added(value: float, of: Now, figure: Figure) -> float | None:
    """What a sum of today grew by; unknown when the day began since."""
    change = _since(value, of, figure)
    return None if change is None or change < 0 else change


def signed(change: float | None, text: Callable[[float], str]) -> str:
    """A change by arrow and sign, empty when it is not known."""
    if change is None:
        return ""
    if not change:
        return "± 0"
    return f"▲ +{text(change)}" if change > 0 else f"▼ −{text(-change)}"


def _worse(change: float | None) -> str:
    return "" if not change else "worse" if change > 0 else "better"


def spark(points: Sequence[float | None]) -> str:
    """The path of a sparkline: a line through the points, from the lowest to the highest of them."""
    known = [value for value in points if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    room = high - low
    path, down = [], False
    for number, value in enumerate(points):
        if value is None:
            down = False
            continue
        x = number * WIDTH / (len(points) - 1)
        y = HEIGHT / 2 if not room else HEIGHT - 2 - (value - low) / room * (HEIGHT - 4)
        path.append(f"{'L' if down else 'M'}{x:.1f} {y:.1f}")
        down = True
    return "".join(path)
