"""The tape: the newest trades, newest on top, as a component that reads the gateway's stream from the browser.

Theory of operation: its script opens a WebSocket of its own at TELEMETRY_PUBLIC_URL, so that trades reach the eye
without the page being drawn again. Where that does not open within 3 s (another address, a proxy, a key that browsers
cannot send) it says so, and takes its rows from the page's one stream, with each update of the page, until it is open.
It holds the newest 50 trades and closes its connection while the tab is hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from ui.board import Ask, View
from ui.entrypoint import Desk
from ui.filters import Filters

ROWS = 50
COLUMNS = ("time", "side", "price", "quantity", "venue", "account")
_HERE = Path(__file__).parent
_HTML = (
    '<div class="tape"><p hidden></p><div class="frame" tabindex="0" role="region" aria-label="Trades">'
    "<table><thead><tr></tr></thead><tbody></tbody></table></div></div>"
)


@cache
def _component() -> Callable[..., Any]:
    css, js = ((_HERE / f"tape.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return st.components.v2.component("telemetry_tape", html=_HTML, css=css, js=js)


def tape(
    parts: Desk,
    view: View,
    symbols: Sequence[str] = ("*",),
    chosen: Filters | None = None,
    *,
    columns: Sequence[str] = COLUMNS,
    key: str,
) -> None:
    """The newest trades of these symbols that pass the filters; call it within a fragment that is drawn each second."""
    chosen = chosen or Filters()
    ask = Ask("trades", symbols=tuple(symbols))
    before = st.session_state.get(key) or {}
    rows: list[Mapping[str, Any]] = []
    if before.get("source") == "page":  # only then: at ten thousand trades a second they are much to read
        rows = newest(parts.feed.want(ask).part(ask).events, chosen)
    data = {
        "url": parts.stream_url,
        "symbols": list(symbols),
        "filters": {name: list(values) for name, values in chosen._asdict().items()},
        "newest": max((int(view.all.rows.get(symbol, {}).get("revision", 0)) for symbol in symbols), default=0)
        or view.seq,
        "rows": rows,
        "empty": "The next trade appears here",
        **_look(parts, columns, "Latest trades"),
    }
    _component()(key=key, data=data, default={"source": "stream"}, on_source_change=_nothing)


def trades(parts: Desk, rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str], label: str, key: str) -> None:
    """Trades that are known already, as `GET /v1/trades` gives them, in the same form."""
    data = {"url": "", "symbols": [], "filters": {}, "newest": 0, "rows": list(rows), "empty": ""}
    _component()(key=key, data=data | _look(parts, columns, label))


def newest(events: Sequence[Mapping[str, Any]], chosen: Filters) -> list[Mapping[str, Any]]:
    """The newest ones that pass the filters, newest first; `events` are oldest first."""
    found: list[Mapping[str, Any]] = []
    for row in reversed(events):
        if all(not wanted or row.get(name) in wanted for name, wanted in chosen._asdict().items()):
            found.append(row)
            if len(found) == ROWS:
                break
    return found


def _look(parts: Desk, columns: Sequence[str], label: str) -> dict[str, Any]:
    return {"columns": list(columns), "label": label, "zone": parts.timezone}


def _nothing() -> None:
    """A state exists only with a callback."""
