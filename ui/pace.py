"""How often a page draws its figures: each second, each five, or not at all while somebody studies them."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]

EVERY_SECONDS: dict[str, float | None] = {"1 s": 1.0, "5 s": 5.0, "Pause": None}
_KEY = "pace"


def choose() -> None:
    """The choice."""
    kept = st.session_state.get(_KEY, "1 s")
    st.session_state[_KEY] = shadcn.tabs(
        list(EVERY_SECONDS), value=kept, key="pace choice", label="Pace", width="content"
    )


def live(part: Callable[[], None]) -> None:
    """Draw a part of the page, again and again at the viewer's pace."""
    st.fragment(part, run_every=EVERY_SECONDS[st.session_state.get(_KEY, "1 s")])()
