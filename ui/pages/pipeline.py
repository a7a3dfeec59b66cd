"""Pipeline: what is on its way, and where."""

from __future__ import annotations

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]

from ui import figures, pace
from ui.entrypoint import desk
from ui.states import banner, drawing


def page() -> None:
    """Everything below the strip."""
    pace.live(_live)


def _live() -> None:
    parts = desk()
    view = parts.feed.view()
    banner(parts, view)
    with drawing("stages"):
        for column, (stage, row) in zip(st.columns(4), list(view.latency.rows.items())[:4], strict=False):
            with column:
                shadcn.metric_card(stage, figures.seconds(row.get("p99")), description="p99, last minute", key=stage)
