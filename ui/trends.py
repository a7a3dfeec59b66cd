"""The two charts of the last quarter of an hour, as ECharts options: how much was traded, how long it took. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from ui.charts import EMPTY, FAINT
from ui.history import SECONDS, STEP_SECONDS, History

BLUE, VIOLET = "#3b82f6", "#a855f7"  # readable on light and on dark
LABEL_EVERY = 180 // STEP_SECONDS  # a label each three minutes


def throughput(history: History, now: float, zone: str) -> dict[str, Any]:
    """Trades per second by steps of five seconds."""
    points = history.points(now, SECONDS, lambda sample: sample.trades, grows=True)
    bars = {"type": "bar", "barCategoryGap": "10%", "large": False}
    return _chart(now, zone, [_series("trades/s", points, BLUE, digits=1) | bars], "%,.1f")


def latency(history: History, now: float, zone: str) -> dict[str, Any]:
    """Milliseconds from receipt to merged figures: half of the trades were quicker, 99 % were quicker."""
    half = history.points(now, SECONDS, lambda sample: _milliseconds(sample.p50))
    most = history.points(now, SECONDS, lambda sample: _milliseconds(sample.p99))
    line = {"type": "line", "showSymbol": False, "lineStyle": {"width": 1.6}}
    series = [_series("p99 ms", most, VIOLET, digits=3) | line, _series("p50 ms", half, BLUE, digits=3) | line]
    return _chart(now, zone, series, "%,.2f")


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _series(name: str, points: Sequence[float | None], colour: str, *, digits: int) -> dict[str, Any]:
    data = [EMPTY if value is None else round(value, digits) for value in points]
    return {"name": name, "data": data, "itemStyle": {"color": colour}, "tooltip": {}}


def _chart(now: float, zone: str, series: list[dict[str, Any]], number: str) -> dict[str, Any]:
    first = int(now // STEP_SECONDS * STEP_SECONDS + STEP_SECONDS - SECONDS)
    return {
        "animation": False,
        "grid": {"left": 8, "right": 48, "top": 26 if len(series) > 1 else 10, "bottom": 24, "outerBoundsMode": "none"},
        "legend": {"show": len(series) > 1, "top": 0, "left": 4, "itemWidth": 12, "itemHeight": 8, "icon": "roundRect"},
        "tooltip": {"trigger": "axis", "confine": True, "valueFormatter": number},
        "xAxis": {
            "type": "category",
            "data": _labels(first, zone),
            "axisLine": {"lineStyle": {"color": FAINT}},
            "axisTick": {"show": False},
            "axisLabel": {"interval": LABEL_EVERY - 1, "alignMinLabel": "left"},
        },
        "yAxis": {"position": "right", "min": 0, "splitNumber": 3, "splitLine": {"lineStyle": {"color": FAINT}}},
        "series": series,
    }


@lru_cache(maxsize=4)
def _labels(first: int, zone: str) -> list[str]:
    """The beginnings of the steps; the tooltip shows their seconds too."""
    clock = ZoneInfo(zone)
    moments = (datetime.fromtimestamp(first + step, clock) for step in range(0, SECONDS, STEP_SECONDS))
    return [f"{moment:%H:%M:%S}" for moment in moments]
