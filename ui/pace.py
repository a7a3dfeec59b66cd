"""How often a page draws its figures: each second, each five, or not at all while somebody studies them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps

import streamlit as st
import streamlit_shadcn_ui as shadcn  # type: ignore[import-untyped]

EVERY_SECONDS: dict[str, float | None] = {"1 s": 1.0, "5 s": 5.0, "Pause": None}
_KEY = "pace"
_HEARD_SECONDS = 0.005


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

    A browser asks for all parts at one moment, and Streamlit throws away what it has not yet heard of a run that has
    ended when the next request is taken. So before and behind each run the processor is left to what takes requests
    and hears: requests of one moment become one run, and nothing of it is lost.
    """

    @wraps(part)
    def draw() -> None:
        time.sleep(_HEARD_SECONDS)
        part()
        time.sleep(_HEARD_SECONDS)

    st.fragment(draw, run_every=every_seconds)()
