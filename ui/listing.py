"""A plain table as a component: texts in rows, at most one button in each; filled in place, so nothing moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

_HTML = (
    '<div class="listing" tabindex="0" role="region"><table><thead><tr></tr></thead><tbody></tbody></table>'
    "<p hidden></p></div>"
)
_HERE = Path(__file__).parent


class Line(NamedTuple):
    """What its button tells, and its texts."""

    key: str
    cells: Sequence[str]


@cache
def _component() -> Callable[..., Any]:
    css, js = ((_HERE / f"listing.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return st.components.v2.component("telemetry_listing", html=_HTML, css=css, js=js)


def listing(
    columns: Sequence[str],
    lines: Sequence[Line],
    *,
    label: str,
    key: str,
    numeric: Sequence[str] = (),
    empty: str = "",
    deed: str = "",
) -> str | None:
    """The table; with `deed` each line has a button of that name. The key of the line whose button was pressed."""
    data = {
        "columns": [*columns, *([""] if deed else [])],
        "rows": [line._asdict() for line in lines],
        "numeric": list(numeric),
        "label": label,
        "empty": empty,
        "deed": deed,
    }
    pressed = _component()(key=key, data=data, on_pressed_change=_nothing).pressed
    return pressed if isinstance(pressed, str) else None


def _nothing() -> None:
    """A trigger exists only with a callback."""
