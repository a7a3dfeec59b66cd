"""How often a page draws its figures: each second, each five, or not at all while somebody studies them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]

from ui import hearing

EVERY_SECONDS: dict[str, float | None] = {"1 s": 1.0, "5 s": 5.0, "Pause": None}
_KEY = "pace"
_TOGETHER_SECONDS = 0.005


def choose() -> None:
    """The choice."""
    kept = st.session_state.get(_KEY, "1 s")
    st.session_state[_KEY] = shadcn.tabs(
        list(EVERY_SECONDS), value=kept, key="pace choice", label="Pace", width="content"
    )


def live(part: Callable[[], None]) -> None:
    """Draw a part of the page, again and again at the viewer's pace."""
    again(part, EVERY_SECONDS[st.session_state.get(_KEY, "1 s")])


def again(part: Callable[[], None], every_seconds: float | None = None) -> None:
    """Draw a part of the page, again and again, or when somebody does something there.

    A browser asks for all parts of a page at one moment: before the first of them is drawn the others have a moment to
    be asked for too, and then one run draws them. Behind it the server has heard all that was drawn (`ui/hearing.py`).
    """

    @wraps(part)
    def draw() -> None:
        time.sleep(_TOGETHER_SECONDS)
        part()
        hearing.server.wait()

    st.fragment(draw, run_every=every_seconds)()
