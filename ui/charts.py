"""The price chart as an ECharts option: candles on top, volume below. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

UP, DOWN = "#16a34a", "#dc2626"  # readable on light and on dark
FAINT = "rgba(128, 128, 128, 0.25)"
LEFT, RIGHT = 8, 78  # pixels; prices stand on the right, next to the newest candle
FEWEST = 60  # places on the time axis
EMPTY = "-"  # ECharts for "nothing here"
_FORMATS = {"1s": "%H:%M:%S", "10s": "%H:%M:%S", "1h": "%d %b %H:%M"}


def price_chart(rows: Sequence[Mapping[str, Any]], *, interval: str, zone: str) -> dict[str, Any]:
    """Candles (ascending, as the gateway gives them) as an ECharts option; times in `zone`."""
    # A few candles stand at the right, next to the price axis, instead of being spread over the whole width.
    before = max(0, FEWEST - len(rows))
    labels = [""] * before + [_label(row["start"], interval, zone) for row in rows]
    return {
        "animation": False,
        "grid": [
            {"left": LEFT, "right": RIGHT, "top": 12, "height": 232, "containLabel": False},
            {"left": LEFT, "right": RIGHT, "top": 262, "height": 58, "containLabel": False},
        ],
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "cross"}, "confine": True},
        "xAxis": [_times(labels, 0, shown=False), _times(labels, 1, shown=True)],
        "yAxis": [_prices(rows), _volumes()],
        "series": [
            _candles(rows, before),
            _bars("volume, up", rows, before, UP),
            _bars("volume, down", rows, before, DOWN),
        ],
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
    prices = {float(row[name]) for row in rows for name in ("high", "low")}
    if len(prices) == 1:  # one price only: the axis would have no height
        only = prices.pop()
        room = abs(only) * 0.01 or 1.0
        axis |= {"min": only - room, "max": only + room, "axisLabel": {"showMinLabel": False, "showMaxLabel": False}}
    return axis


def _volumes() -> dict[str, Any]:
    quiet = {"axisLabel": {"show": False}, "axisLine": {"show": False}, "axisTick": {"show": False}}
    return {"gridIndex": 1, "position": "right", "splitLine": {"show": False}, "axisPointer": {"show": False}} | quiet


def _candles(rows: Sequence[Mapping[str, Any]], before: int) -> dict[str, Any]:
    series: dict[str, Any] = {
        "name": "price",
        "type": "candlestick",
        "data": [EMPTY] * before + [[float(row[name]) for name in ("open", "close", "low", "high")] for row in rows],
        "barMaxWidth": 12,
        "itemStyle": {"color": UP, "color0": DOWN, "borderColor": UP, "borderColor0": DOWN},
    }
    if rows:
        last = rows[-1]
        colour = UP if _rose(last) else DOWN
        series["markLine"] = {
            "silent": True,
            "symbol": "none",
            "data": [{"yAxis": float(last["close"])}],
            "lineStyle": {"color": colour, "type": "dashed", "width": 1},
            "label": {
                "position": "end",
                "formatter": last["close"],
                "color": "#ffffff",
                "backgroundColor": colour,
                "padding": [3, 5],
                "borderRadius": 3,
            },
        }
    return series


def _rose(row: Mapping[str, Any]) -> bool:
    return float(row["close"]) >= float(row["open"])


def _bars(name: str, rows: Sequence[Mapping[str, Any]], before: int, colour: str) -> dict[str, Any]:
    wanted = colour == UP
    volumes = [float(row["quantity"]) if _rose(row) == wanted else EMPTY for row in rows]
    return {
        "name": name,
        "type": "bar",
        "stack": "volume",
        "xAxisIndex": 1,
        "yAxisIndex": 1,
        "data": [EMPTY] * before + volumes,
        "barMaxWidth": 12,
        "itemStyle": {"color": colour, "opacity": 0.6},
    }
