"""Cards of facts as a component: a heading, one large figure, lines below it, and what goes wrong there by reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

_HERE = Path(__file__).parent


class Hop(NamedTuple):
    """`tone` is `good`, `warn`, `bad` or nothing; `facts` and `troubles` are pairs of a name and a figure."""

    title: str
    value: str
    unit: str = ""
    facts: Sequence[tuple[str, str]] = ()
    troubles: Sequence[tuple[str, str]] = ()
    tone: str = ""
    key: str = ""


@cache
def _component() -> Callable[..., Any]:
    css, js = ((_HERE / f"hops.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return st.components.v2.component("telemetry_hops", html='<div class="hops" role="list"></div>', css=css, js=js)


def hops(cards: Sequence[Hop], *, label: str, key: str, flow: bool = False, stale: bool = False, seq: int = 0) -> None:
    """The cards; with `flow` an arrow leads from each to the next. `seq`: as of which trade they are true."""
    data = {"cards": [card._asdict() for card in cards], "label": label, "flow": flow, "stale": stale, "seq": seq}
    _component()(key=key, data=data)
