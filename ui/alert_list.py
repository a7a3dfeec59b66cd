"""The list of alerts as a component, and the plain tables beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from ui.alerts import MUTES

_HERE = Path(__file__).parent
_HTML = (
    '<div class="alerts"><div class="announce" aria-live="polite"></div>'
    '<p class="empty" hidden></p><div class="list"></div></div>'
)


class Done(NamedTuple):
    """What was pressed: `trades`, `acknowledge` or `mute` (for `seconds`), and of which alert."""

    does: str
    id: str
    seconds: int = 0


@cache
def _component() -> Callable[..., Any]:
    css, js = ((_HERE / f"alerts.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return st.components.v2.component("telemetry_alerts", html=_HTML, css=css, js=js)


def alert_list(items: Sequence[Mapping[str, Any]], *, empty: str, stale: bool, key: str) -> Done | None:
    """The list; what was pressed since the last run, if anything."""
    data = {"items": list(items), "empty": empty, "stale": stale, "mutes": MUTES}
    done = _component()(key=key, data=data, on_done_change=_nothing).done
    return Done(**dict(done)) if done else None


def _nothing() -> None:
    """A trigger exists only with a callback."""
