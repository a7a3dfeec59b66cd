"""Pipeline: what is on its way, and where: hops, workers, stages."""

from __future__ import annotations

import streamlit as st

from ui import asks, pace, pipeline
from ui.board import View
from ui.components import note
from ui.entrypoint import desk
from ui.filters import Filters
from ui.hops import hops
from ui.listing import Line, listing
from ui.states import banner, drawing

STAGES = ("Stage", "What it measures", "Trades", "p50", "p90", "p99", "p99.9", "Longest")
RATE = asks.rate(Filters())


def page() -> None:
    """Everything below the strip."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        note("The way of a trade", "title", key="pipeline title")
        pace.choose()
    pace.live(_live)


def _live() -> None:
    parts = desk()
    view = parts.feed.view()
    with st.container(), drawing("state"):
        banner(parts, view)
    with st.container(), drawing("pipeline"):
        told = parts.reading.read("/v1/workers")
        pool, stale = told.document, bool(told.error)
        cards = pipeline.hops(view, pool, _per_second(parts.feed.want(RATE)))
        hops(cards, label="Hops", key="hops", flow=True, stale=stale, seq=pool["as_of_seq"])
        note("Workers", "title", key="workers title")
        cards = pipeline.workers(pool)
        if not cards:
            note(
                "No worker is connected: trades are journaled, and wait. Start one with `telemetry worker`.",
                "bad",
                key="no workers",
            )
        hops(cards, label="Workers", key="workers", stale=stale, seq=pool["as_of_seq"])
    with st.container(), drawing("stages"):
        note("Stages, last minute", "title", key="stages title")
        lines = [Line(cells[0], cells) for cells in pipeline.stages(view)]
        listing(STAGES, lines, numeric=STAGES[2:], label="Stages", key="stages", empty="Nothing was measured yet.")


def _per_second(view: View) -> float | None:
    totals = view.part(RATE).rows.get("totals")
    return None if totals is None else float(totals["trades"]) / asks.RATE_SECONDS
