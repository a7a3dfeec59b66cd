"""The profile of a symbol as an ECharts option: how much it trades at each minute of the day. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ui.charts import FAINT
from ui.trends import BLUE, VIOLET

HEIGHT = 210  # pixels
MINUTES = 24 * 60
_NAMES = tuple(f"{minute // 60:02}:{minute % 60:02}" for minute in range(MINUTES))


def words(profile: Mapping[str, Any]) -> str:
    """What the profile is about."""
    days, zone = int(profile.get("days") or 0), profile.get("zone") or "UTC"
    return f"By the minute of the day, {zone}, mean of {days:,} day{'' if days == 1 else 's'} with trades"


def profile_chart(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Trades and quantity of each minute, over the days that had trades: a minute without any counts as none."""
    days = max(1, int(profile.get("days") or 0))
    found = {row["minute"]: row for row in profile.get("minutes") or ()}
    trades = [_mean(found.get(name), "trades", days) for name in _NAMES]
    quantity = [_mean(found.get(name), "quantity", days) for name in _NAMES]
    return {
        "animation": False,
        "grid": {"left": 44, "right": 64, "top": 26, "bottom": 24, "outerBoundsMode": "none"},
        "legend": {"top": 0, "left": 0, "itemWidth": 12, "itemHeight": 8, "icon": "roundRect"},
        "tooltip": {"trigger": "axis", "confine": True, "valueFormatter": "%,.4f"},
        "xAxis": {
            "type": "category",
            "data": list(_NAMES),
            "axisLine": {"lineStyle": {"color": FAINT}},
            "axisTick": {"show": False},
            "axisLabel": {"interval": 119},
        },
        "yAxis": [_axis("left"), _axis("right") | {"splitLine": {"show": False}}],
        "series": [
            _series("Trades per minute", trades, BLUE, 0) | {"areaStyle": {"opacity": 0.25}},
            _series("Quantity per minute", quantity, VIOLET, 1),
        ],
    }


def _mean(row: Mapping[str, Any] | None, name: str, days: int) -> float:
    return 0.0 if row is None else float(f"{float(row[name]) / days:.6g}")


def _axis(side: str) -> dict[str, Any]:
    return {"position": side, "min": 0, "splitNumber": 3, "splitLine": {"lineStyle": {"color": FAINT}}}


def _series(name: str, data: list[float], colour: str, axis: int) -> dict[str, Any]:
    line = {"type": "line", "step": "middle", "showSymbol": False, "lineStyle": {"width": 1.2, "color": colour}}
    return line | {"name": name, "data": data, "yAxisIndex": axis, "itemStyle": {"color": colour}}
