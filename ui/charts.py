"""The price chart as an ECharts option: candles and VWAP on top, volume and imbalance below. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ui.figures import decimals_of, price

UP, DOWN, VWAP = "#16a34a", "#dc2626", "#d97706"  # readable on light and on dark
HEIGHT = 430  # pixels, of the whole chart
FAINT = "rgba(128, 128, 128, 0.25)"
LEFT, RIGHT = 8, 78  # pixels; prices stand on the right, next to the newest candle
FEWEST = 60  # places on the time axis
EMPTY = "-"  # ECharts for "nothing here"
_FORMATS = {"1s": "%H:%M:%S", "10s": "%H:%M:%S", "1h": "%d %b %H:%M"}


def priced(row: Mapping[str, Any]) -> bool:
    """Whether a candle has prices: trades in several currencies have none in common."""
    return row["open"] is not None


def price_chart(rows: Sequence[Mapping[str, Any]], *, interval: str, zone: str) -> dict[str, Any]:
    """Candles (ascending, as the gateway gives them) as an ECharts option; times in `zone`. One without prices has its
    place and its volume."""
    # A few candles stand at the right, next to the price axis, instead of being spread over the whole width.
    before = max(0, FEWEST - len(rows))
    labels = [""] * before + [_label(row["start"], interval, zone) for row in rows]
    return {
        "animation": False,
        "grid": [_grid(22, 222), _grid(270, 54), _grid(348, 50)],
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "cross"}, "confine": True},
        "legend": {"data": ["VWAP"], "top": 0, "left": 0, "itemWidth": 14, "itemHeight": 2},
        "xAxis": [_times(labels, 0, shown=False), _times(labels, 1, shown=False), _times(labels, 2, shown=True)],
        "yAxis": [_prices(rows), _amounts(1), _amounts(2) | {"min": -1, "max": 1}],
        "title": [_title("Volume", 256), _title("Imbalance", 332)],
        "series": [
            _candles(rows, before),
            _bars("volume, up", [_volume(row, rose=True) for row in rows], before, UP, 1),
            _bars("volume, down", [_volume(row, rose=False) for row in rows], before, DOWN, 1),
            _line(rows, before),
            _bars("imbalance, bought", [_part(row, 1) for row in rows], before, UP, 2),
            _bars("imbalance, sold", [_part(row, -1) for row in rows], before, DOWN, 2),
        ],
    }


def _grid(top: int, height: int) -> dict[str, Any]:
    return {"left": LEFT, "right": RIGHT, "top": top, "height": height, "outerBoundsMode": "none"}


def _title(text: str, top: int) -> dict[str, Any]:
    return {
        "text": text,
        "left": 0,
        "top": top,
        "textStyle": {"fontSize": 11, "fontWeight": "normal", "color": "#808080"},
        "padding": 0,
    }


def running_vwap(rows: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """The average price since the first of the candles, weighted by quantity, as of the end of each."""
    money, quantity, line = 0.0, 0.0, list[float | None]()
    for row in rows:
        if row.get("vwap") is not None:
            money += row["vwap"] * float(row["quantity"])
            quantity += float(row["quantity"])
        line.append(money / quantity if quantity else None)
    return line


def imbalance(row: Mapping[str, Any]) -> float | None:
    """(bought − sold) / (bought + sold) quantity of a candle; None when neither side is known."""
    bought, sold = float(row.get("buy_quantity", 0)), float(row.get("sell_quantity", 0))
    return (bought - sold) / (bought + sold) if bought + sold else None


def _part(row: Mapping[str, Any], side: int) -> float | str:
    value = imbalance(row)
    return EMPTY if value is None or value * side < 0 else round(value, 4)


def _volume(row: Mapping[str, Any], *, rose: bool) -> float | str:
    return float(row["quantity"]) if _rose(row) == rose else EMPTY


def _line(rows: Sequence[Mapping[str, Any]], before: int) -> dict[str, Any]:
    values = [EMPTY if value is None else float(f"{value:.12g}") for value in running_vwap(rows)]
    return {
        "name": "VWAP",
        "type": "line",
        "data": [EMPTY] * before + values,
        "showSymbol": False,
        "itemStyle": {"color": VWAP},
        "lineStyle": {"color": VWAP, "width": 1.6},
    }


def _label(start: str, interval: str, zone: str) -> str:
    moment = datetime.fromisoformat(start[:19] + "+00:00").astimezone(ZoneInfo(zone))
    return moment.strftime(_FORMATS.get(interval, "%H:%M"))


def _times(labels: list[str], grid: int, *, shown: bool) -> dict[str, Any]:
    return {
        "type": "category",
        "gridIndex": grid,
        "data": labels,
        "boundaryGap": True,
        "axisLine": {"lineStyle": {"color": FAINT}},
        "axisTick": {"show": False},
        "axisLabel": {"show": shown, "hideOverlap": True},
        "axisPointer": {"label": {"show": shown}},
    }


def _prices(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    # scale: a price axis that starts at 0 shows a flat line
    axis = {"scale": True, "position": "right", "splitLine": {"lineStyle": {"color": FAINT}}, "splitNumber": 5}
    prices = {float(row[name]) for row in rows if priced(row) for name in ("high", "low")}
    if len(prices) == 1:  # one price only: the axis would have no height
        only = prices.pop()
        room = abs(only) * 0.01 or 1.0
        axis |= {"min": only - room, "max": only + room, "axisLabel": {"showMinLabel": False, "showMaxLabel": False}}
    return axis


def _amounts(grid: int) -> dict[str, Any]:
    quiet = {"axisLabel": {"show": False}, "axisLine": {"show": False}, "axisTick": {"show": False}}
    return {
        "gridIndex": grid,
        "position": "right",
        "splitLine": {"show": False},
        "axisPointer": {"show": False},
    } | quiet


def _candles(rows: Sequence[Mapping[str, Any]], before: int) -> dict[str, Any]:
    names = ("open", "close", "low", "high")
    shown = [[float(row[name]) for name in names] if priced(row) else EMPTY for row in rows]
    series: dict[str, Any] = {
        "name": "price",
        "type": "candlestick",
        "data": [EMPTY] * before + shown,
        "barMaxWidth": 12,
        "itemStyle": {"color": UP, "color0": DOWN, "borderColor": UP, "borderColor0": DOWN},
    }
    if known := [row for row in rows if priced(row)]:
        last = known[-1]
        colour = UP if _rose(last) else DOWN
        series["markLine"] = {
            "silent": True,
            "symbol": "none",
            "data": [{"yAxis": float(last["close"])}],
            "lineStyle": {"color": colour, "type": "dashed", "width": 1},
            "label": {
                "position": "end",
                "formatter": price(last["close"], decimals_of([row["close"] for row in known])).text,
                "color": "#ffffff",
                "backgroundColor": colour,
                "padding": [3, 5],
                "borderRadius": 3,
            },
        }
    return series


def _rose(row: Mapping[str, Any]) -> bool:
    return not priced(row) or float(row["close"]) >= float(row["open"])


def _bars(name: str, values: Sequence[float | str], before: int, colour: str, grid: int) -> dict[str, Any]:
    return {
        "name": name,
        "type": "bar",
        "stack": name.partition(",")[0],
        "xAxisIndex": grid,
        "yAxisIndex": grid,
        "data": [EMPTY] * before + list(values),
        "barMaxWidth": 12,
        "itemStyle": {"color": colour, "opacity": 0.6},
    }
